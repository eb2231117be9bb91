//! The nouns of cacheroach as types, and the glossary: one word per concept, the same in SQL, protos, URLs, the command
//! line and the documentation.
//!
//! | word | meaning |
//! |---|---|
//! | tenant | the wall: files, hashes and sizes of one tenant are unknown to all others |
//! | region | a place where servers, databases and buckets are; each tenant is at home in one |
//! | retention | which old versions a tenant keeps |
//! | principal | who can hold sessions: a person, a program, or anonymous callers |
//! | session | what a token stands for: capabilities on a scope, until a time |
//! | capability | read, write, delegate, pii, fetch |
//! | scope | what a session reaches: everything, a principal, or a location |
//! | grant | a session of one's principal, used by way of another session with `delegate` |
//! | location | a path, or all below it, in a tenant, maybe in one version |
//! | file | a path of a tenant with its current version, the head |
//! | version | one content a file had, numbered from 1, never changed |
//! | rope | an immutable content: an ordered sequence of chunks |
//! | chunk | up to 512 KiB of bytes, named by their hash within a tenant |
//! | upload | a content on its way in, until it becomes a version |
//! | lease | what keeps a chunk that an upload needs |
//! | link | a URL that is a credential: for reading one file, or a drop link for uploading into one directory |
//! | vhost | which tenant a host name shows, and how |
//! | origin | whose scripts may read what a vhost answers |
//!
//! No input or output here, no clock, no protocol. What can be malformed is parsed at the edge and trusted inside.

mod capabilities;
mod chunk;
mod file;
mod id;
mod link;
mod location;
mod origin;
mod principal;
mod session;
mod tenant;
mod time;
mod upload;
mod vhost;

pub use capabilities::Capabilities;
pub use chunk::{CHUNK_SIZE, Hash, HashError};
pub use file::{Entry, Expected, File, Metadata, MetadataError, PastFile, Version};
pub use id::{IdError, LinkId, PrincipalId, RopeId, SessionId, TenantId, UploadId};
pub use link::{LinkKind, NetworkError, Networks};
pub use location::{Goal, Location, Path, PathError, Pattern, canonical};
pub use origin::{Origin, OriginError};
pub use principal::Principal;
pub use session::{Scope, Session};
pub use tenant::{Region, RegionError, Retention, Tenant};
pub use time::{Clock, Random, Timestamp};
pub use upload::Upload;
pub use vhost::{Host, HostError, IndexName, IndexNameError, Vhost, VhostSettings};
