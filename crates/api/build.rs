//! Compiles the protos without protoc, and turns the access rules written in them into static tables.

mod build {
    pub(crate) mod rules;
}

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorSet;

/// Asked for by front ends inside the process; no gRPC service of its own.
const INTERNAL: &str = "content.proto";

const PROTOS: [&str; 11] = [
    "capabilities.proto",
    "diag.proto",
    "file.proto",
    "principal.proto",
    "session.proto",
    "store.proto",
    "tenant.proto",
    "token.proto",
    "upload.proto",
    "vhost.proto",
    INTERNAL,
];

/// What comes in large pieces, and is not to be copied out of the message.
const LARGE: &str = ".cacheroach.upload.StreamRequest.data";

/// Messages that hold passwords: what they show of themselves is written by hand, in `src/secret.rs`.
const WITH_SECRETS: [&str; 2] =
    [".cacheroach.principal.SetPasswordRequest", ".cacheroach.token.LoginRequest"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(PROTOS)?;
    // Encoded by protox itself: prost_types would drop the options that are extensions.
    let encoded = compiler.encode_file_descriptor_set();

    let pool = DescriptorPool::decode(encoded.as_slice())?;
    fs::write(out.join("rules.rs"), build::rules::generate(&pool)?)?;

    let mut set = FileDescriptorSet::decode(encoded.as_slice())?;
    for file in &mut set.file {
        if file.name() == INTERNAL {
            file.service.clear();
        }
    }
    tonic_prost_build::configure().bytes(LARGE).skip_debug(WITH_SECRETS).compile_fds(set)?;

    // What reflection shows: all but the internal file, with the options that are extensions.
    let mut shown = protox::Compiler::new(["proto"])?;
    shown.include_source_info(false).include_imports(true);
    shown.open_files(PROTOS.iter().filter(|name| **name != INTERNAL))?;
    fs::write(out.join("descriptors.bin"), shown.encode_file_descriptor_set())?;
    Ok(())
}
