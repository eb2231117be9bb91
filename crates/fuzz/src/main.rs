//! libFuzzer's side: one program for all targets. Which is told by `CACHEROACH_FUZZ_TARGET`.

#![no_main]
#![allow(unsafe_code, unreachable_pub, missing_docs, reason = "the macro is written so")]

use std::sync::OnceLock;

use cacheroach_fuzz::Target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("CACHEROACH_FUZZ_TARGET").expect("CACHEROACH_FUZZ_TARGET names the target");
        let _ = TARGET.set(Target::find(&name).expect("CACHEROACH_FUZZ_TARGET is one of the targets"));
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(data);
        }
    }
);
