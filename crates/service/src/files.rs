//! Files: over gRPC by message, and for the other front ends with their bodies.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cacheroach_api::convert::{from_timestamp, timestamp};
use cacheroach_api::file::{
    Cursor, DeleteRequest, ListRequest, ListResponse, Meta, RetrievalRequest, RetrievalResponse,
};
use cacheroach_api::method::{contents, files};
use cacheroach_api::rule::{FormError, Judge, Ruled, Value};
use cacheroach_api::{content, tenant};
use cacheroach_auth::{Link, Purpose, Want};
use cacheroach_model::{Capabilities, Entry, Goal, Path, PathError, TenantId, Timestamp, UploadId, Version};
use cacheroach_store::files::{Listed, Listing};
use prost::Message as _;

use crate::content::{Content, Opened, Writer};
use crate::door::Ask;
use crate::tenants::named;
use crate::{Caller, Error, Result, Service};

/// How many files a page of a listing has at most.
const PAGE: usize = 1000;

/// And how many bytes: clients take messages of 4 MiB.
const PAGE_SIZE: usize = 3 << 20;

/// A page of a directory.
pub struct Directory {
    /// In byte order of the names.
    pub entries: Vec<Entry>,
    /// Whether there is more behind them.
    pub more: bool,
}

/// Brings the path of one file into its canonical form.
pub(crate) fn canonical_file(
    id: Option<&tenant::Id>,
    path: &mut String,
    version: i64,
) -> Result<Option<Want>> {
    let tenant = named(id, "tenant")?;
    let parsed = Path::parse_file(path).map_err(bad_path)?;
    *path = parsed.to_string();
    Ok(Some(Want::Path(tenant, Goal::File(parsed), parse_version(version)?)))
}

fn bad_path(problem: PathError) -> Error {
    match problem {
        PathError::TooLong => Error::TooLarge(format!("path: {problem}")),
        problem => Error::invalid("path", problem),
    }
}

fn parse_version(version: i64) -> Result<Option<Version>> {
    match version {
        0 => Ok(None),
        1.. => Ok(Some(Version(version))),
        _ => Err(Error::invalid("version", "versions count from 1; 0 is the current one")),
    }
}

/// Brings a path into its canonical form that may be a file's or, with a last slash, mean what is below it.
fn canonical_listing(id: Option<&tenant::Id>, path: &mut String) -> Result<Option<Want>> {
    let tenant = named(id, "tenant")?;
    let goal = Goal::parse(path).map_err(bad_path)?;
    *path = goal.to_string();
    Ok(Some(Want::Path(tenant, goal, None)))
}

/// Where a request leads that was checked in its canonical form.
pub(crate) fn place(id: Option<&tenant::Id>, path: &str) -> Result<(TenantId, Path)> {
    Ok((named(id, "tenant")?, Path::parse(path).map_err(bad_path)?))
}

impl Ask for files::Delete {
    type Answer = ();

    fn canonical(request: &mut DeleteRequest) -> Result<Option<Want>> {
        canonical_listing(request.tenant.as_ref(), &mut request.path)
    }

    async fn answer(service: &Service, _: &Caller, request: DeleteRequest) -> Result<()> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        // With a last slash it is a directory: that is no file, so there is nothing to delete.
        if !request.path.ends_with('/') {
            service.store.metadata.delete_file(tenant, &path).await?;
        }
        Ok(())
    }
}

impl Ask for contents::Remove {
    type Answer = ();

    fn canonical(request: &mut DeleteRequest) -> Result<Option<Want>> {
        files::Delete::canonical(request)
    }

    async fn answer(service: &Service, caller: &Caller, request: DeleteRequest) -> Result<()> {
        files::Delete::answer(service, caller, request).await
    }
}

impl Ask for files::List {
    type Answer = ListResponse;

    /// No path at all is the top, for superusers: nobody else has a scope that covers it.
    fn canonical(request: &mut ListRequest) -> Result<Option<Want>> {
        if matches!(request.path.as_str(), "" | ".") {
            request.path.clear();
            return named(request.tenant.as_ref(), "tenant").map(|_| None);
        }
        canonical_listing(request.tenant.as_ref(), &mut request.path)
    }

    async fn answer(service: &Service, caller: &Caller, request: ListRequest) -> Result<ListResponse> {
        let path = if request.path.is_empty() { "/" } else { &request.path };
        let (tenant, at) = place(request.tenant.as_ref(), path)?;
        let may = |goal: Goal| caller.authority().may(Capabilities::READ, &Want::Path(tenant, goal, None));
        let place = [tenant.as_bytes(), path.as_bytes()];
        let (after, as_of) = match &request.cursor {
            Some(cursor) => service.open_cursor(place, cursor)?,
            None => (None, None),
        };
        // Each half only if it may be read: a scope may be good for the file, or only for what is below it.
        let listing = Listing {
            tenant,
            exactly: (!at.is_root() && may(Goal::File(at.clone()))).then(|| at.clone()),
            below: may(Goal::Listing(at.clone())).then_some(at),
            after,
            as_of,
            limit: PAGE,
        };
        let found = service.store.metadata.list_files(&listing).await?;
        // The following pages show what there is now, even if the clock was set back since some of it was written.
        let as_of = match as_of {
            Some(as_of) => as_of,
            None => {
                let newest = found.files.iter().map(|file| file.modified_at).max();
                service.store.metadata.now().await?.max(newest.unwrap_or_default())
            }
        };
        let (files, next) = fit(tenant, found);
        let cursor = next.map(|last| service.seal_cursor(place, &last, as_of));
        Ok(ListResponse { files, cursor })
    }
}

/// As much of a page as clients take in one message, and where the next one goes on.
fn fit(tenant: TenantId, found: Listed) -> (Vec<Meta>, Option<Path>) {
    let (mut files, mut next, mut size) = (Vec::with_capacity(found.files.len()), found.next, 0);
    for file in found.files {
        let meta = Meta::new(tenant, &file);
        size += meta.encoded_len();
        if size > PAGE_SIZE && !files.is_empty() {
            next = files.last().and_then(|last: &Meta| Path::parse(&last.path).ok());
            break;
        }
        files.push(meta);
    }
    (files, next)
}

/// Cursors are sealed: one listing's is no good for another.
impl Service {
    fn seal_cursor(&self, place: [&[u8]; 2], after: &Path, as_of: Timestamp) -> Cursor {
        let [tenant, path] = place;
        let mut sealed = self
            .keys
            .sign(Purpose::Cursor, &[tenant, path, after.as_str().as_bytes(), &as_of.micros().to_be_bytes()]);
        sealed.extend_from_slice(after.as_str().as_bytes());
        Cursor { after: URL_SAFE_NO_PAD.encode(sealed), as_of: Some(timestamp(as_of)) }
    }

    fn open_cursor(&self, place: [&[u8]; 2], cursor: &Cursor) -> Result<(Option<Path>, Option<Timestamp>)> {
        let [tenant, path] = place;
        let wrong = || Error::invalid("cursor", "not one that this listing gave out");
        let as_of = from_timestamp(cursor.as_of.ok_or_else(wrong)?);
        if cursor.after.len() > 2 * Path::MAX_LENGTH {
            return Err(wrong());
        }
        let sealed = URL_SAFE_NO_PAD.decode(&cursor.after).map_err(|_| wrong())?;
        let (signature, after) = sealed.split_at_checked(64).ok_or_else(wrong)?;
        let parts: [&[u8]; 4] = [tenant, path, after, &as_of.micros().to_be_bytes()];
        if !self.keys.verify(Purpose::Cursor, &parts, signature) {
            return Err(wrong());
        }
        let after =
            std::str::from_utf8(after).ok().and_then(|after| Path::parse(after).ok()).ok_or_else(wrong)?;
        Ok((Some(after), Some(as_of)))
    }
}

impl Ask for files::Retrieve {
    type Answer = RetrievalResponse;

    fn canonical(request: &mut RetrievalRequest) -> Result<Option<Want>> {
        canonical_file(request.tenant.as_ref(), &mut request.path, request.version)
    }

    async fn answer(
        service: &Service,
        caller: &Caller,
        request: RetrievalRequest,
    ) -> Result<RetrievalResponse> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        let version = parse_version(request.version)?;
        let file =
            service.store.metadata.find_file(tenant, &path, version).await?.ok_or(Error::NotFound("file"))?;
        let session = caller.session();
        let asked = match request.valid_for {
            Some(length) if length.seconds < 0 || length.nanos < 0 => {
                return Err(Error::invalid("valid_for", "not negative"));
            }
            Some(length) if length.seconds > 0 || length.nanos > 0 => {
                // Rounded up to seconds: what was asked for is what is got.
                let seconds = length.seconds.unsigned_abs() + u64::from(length.nanos > 0);
                let end = service.now().after(Duration::from_secs(seconds));
                if end == Timestamp::MAX {
                    return Err(Error::invalid("valid_for", "not beyond the year 9999"));
                }
                Some(end)
            }
            _ => None,
        };
        // A session that no store knows can't be looked up later: the link ends with it.
        let ephemeral = if session.id.is_none() { session.expires_at } else { None };
        let expires_at = asked.into_iter().chain(ephemeral).min();
        let link = Link {
            tenant,
            path: path.clone(),
            version,
            principal: session.principal,
            session: session.id,
            expires_at,
        };
        let token = link.sign(&service.keys, service.now());
        Ok(RetrievalResponse {
            get_uri: format!("/_/v0/retrieve/{}?access_token={token}", encode_segment(path.name())),
            expires_at: expires_at.map(timestamp),
            meta: Some(Meta::new(tenant, &file)),
        })
    }
}

/// A segment of a URL path: all but what RFC 3986 leaves unreserved is percent-encoded.
fn encode_segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes all");
        }
    }
    encoded
}

impl Ask for contents::Open {
    type Answer = Opened;

    fn canonical(request: &mut content::OpenRequest) -> Result<Option<Want>> {
        canonical_file(request.tenant.as_ref(), &mut request.path, request.version)
    }

    async fn answer(service: &Service, _: &Caller, request: content::OpenRequest) -> Result<Opened> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        let version = parse_version(request.version)?;
        let found = service.store.metadata.open_file(tenant, &path, version).await?;
        let (file, pieces) = found.ok_or(Error::NotFound("file"))?;
        let content = Content::new(service.store.clone(), tenant, &file, pieces);
        Ok(Opened { file, content })
    }
}

impl Ask for contents::Browse {
    type Answer = Directory;

    /// Always a directory, however it is written.
    fn canonical(request: &mut content::BrowseRequest) -> Result<Option<Want>> {
        request.path.push('/');
        canonical_listing(request.tenant.as_ref(), &mut request.path)
    }

    async fn answer(service: &Service, _: &Caller, request: content::BrowseRequest) -> Result<Directory> {
        let (tenant, dir) = place(request.tenant.as_ref(), &request.path)?;
        let limit = match usize::try_from(request.limit) {
            Ok(0) => PAGE,
            Ok(limit) => limit.min(PAGE),
            Err(_) => return Err(Error::invalid("limit", "not negative")),
        };
        if request.after.len() > Path::MAX_LENGTH || request.after.chars().any(char::is_control) {
            return Err(Error::invalid("after", "a name"));
        }
        let after = (!request.after.is_empty()).then_some(request.after.as_str());
        let mut entries = service.store.metadata.browse(tenant, &dir, after, limit + 1).await?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        Ok(Directory { entries, more })
    }
}

impl Ask for contents::Write {
    type Answer = Writer;

    fn canonical(request: &mut content::WriteRequest) -> Result<Option<Want>> {
        canonical_file(request.tenant.as_ref(), &mut request.path, 0)
    }

    async fn answer(service: &Service, _: &Caller, request: content::WriteRequest) -> Result<Writer> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        Ok(service.writer(tenant, path, request.content_type))
    }
}

impl Service {
    pub(crate) fn writer(&self, tenant: TenantId, path: Path, content_type: String) -> Writer {
        let id = UploadId::random(self.random.id());
        let (timeout, room) = (self.settings.upload_timeout, Arc::clone(&self.room));
        Writer::new(self.store.clone(), tenant, path, content_type, id, timeout, room)
    }
}

/// That the caller may see all of it was checked with the request.
macro_rules! nothing_to_cut {
    ($($name:ident),*) => { $(
        impl Ruled for $name {
            fn field(&self, _: u32) -> Value<'_> {
                Value::Absent
            }

            fn cut(&mut self, _: &dyn Judge) -> bool {
                false
            }

            fn form(&self) -> Result<(), FormError> {
                Ok(())
            }
        }
    )* };
}

nothing_to_cut!(Directory, Opened, Writer);
