//! Decisions about authority, without input or output: what a token says ([`claims`], [`link`], [`drop`](mod@drop)), what is signed with
//! which key ([`keys`]), and whether a caller may say or hear a message ([`enforcer`]). Facts that it lacks, such as a
//! principal's other sessions, are handed in.

pub mod claims;
pub mod drop;
pub mod enforcer;
pub mod jwt;
pub mod keys;
pub mod link;

pub use claims::Presented;
pub use drop::DropLink;
pub use enforcer::{Authority, Lack, Refusal, Refused, Want};
pub use jwt::TokenError;
pub use keys::{KeyError, Keys, Purpose};
pub use link::Link;
