//! The contract: what can be asked, and who may ask it. Messages and method types are generated from `proto/`, where
//! each request stands beside the rule of who may make it; the rules become static tables when this crate is built.
//!
//! Nothing here decides or remembers anything: `cacheroach-auth` evaluates the rules, `cacheroach-service` asks it to.

pub mod convert;
pub mod json;
pub mod rule;
mod secret;

macro_rules! package {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => { $(
        $(#[$doc])*
        #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic, clippy::allow_attributes_without_reason, reason = "generated")]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/cacheroach.", stringify!($name), ".rs"));
        }
    )* };
}

package! {
    /// What a session may do, and the rule language.
    capabilities,
    /// Bodies and directory pages, asked for inside the process.
    content,
    /// What the server sees of a call.
    diag,
    /// Files.
    file,
    /// Principals.
    principal,
    /// Sessions.
    session,
    /// Looking after what is kept.
    store,
    /// Tenants.
    tenant,
    /// Tokens.
    token,
    /// Uploads.
    upload,
    /// Virtual hosts.
    vhost,
}

/// A type for each method: its messages, its name and the rule of who may call it.
pub mod method {
    #![allow(missing_docs, unused_imports, clippy::all, clippy::pedantic, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/rules.rs"));
}

/// The descriptors that reflection serves, encoded.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Names of the original that clients match on.
pub mod text {
    /// The rule of a method does not hold.
    pub const INSUFFICIENT_SCOPE: &str = "insufficient scope";
    /// A rule of a message or field does not hold.
    pub const INAPPROPRIATE_FIELDS: &str = "inappropriate fields in request";
    /// The version a change was made from is not the current one.
    pub const VERSION_SKEW: &str = "version skew";
    /// An upload state that was not made here, was changed, or is past its deadline.
    pub const BAD_STATE: &str = "bad state signature";
    /// A transfer without bytes.
    pub const NO_DATA: &str = "no data in request";
    /// The metadata beside a status that says what to do about it: a sentence, percent-encoded.
    pub const HINT: &str = "cacheroach-hint";
    /// A transfer above the announced size.
    pub const REDUCE_CHUNK: &str = "reduce chunk size";
}
