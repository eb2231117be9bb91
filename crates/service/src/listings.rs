//! Listings: of all below a path, or of what is right in a directory.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cacheroach_api::content;
use cacheroach_api::convert::{from_timestamp, timestamp};
use cacheroach_api::file::{Cursor, ListRequest, ListResponse, Meta};
use cacheroach_api::method::{contents, files};
use cacheroach_api::rule::Ruled;
use cacheroach_auth::{Purpose, Want};
use cacheroach_model::{Capabilities, Entry, Goal, Path, TenantId, Timestamp};
use cacheroach_store::files::{Browsing, Listed, Listing, Moment};
use prost::Message as _;

use crate::door::Ask;
use crate::files::{PAGE, canonical_listing, place};
use crate::tenants::named;
use crate::{Caller, Error, Result, Service};

/// How many bytes of messages a page has at most: clients take 4 MiB.
pub(crate) const PAGE_SIZE: usize = 3 << 20;

/// A page of a directory.
pub struct Directory {
    /// In byte order of the names.
    pub entries: Vec<Entry>,
    /// Whether there is more behind them.
    pub more: bool,
}

/// That the caller may see all of it was checked with the request.
impl Ruled for Directory {}

/// How many entries a page is to have.
pub(crate) fn page(field: &str, asked: i32) -> Result<usize> {
    match usize::try_from(asked) {
        Ok(0) => Ok(PAGE),
        Ok(size) => Ok(size.min(PAGE)),
        Err(_) => Err(Error::invalid(field, "not negative")),
    }
}

impl Ask for files::List {
    type Answer = ListResponse;

    /// No path at all is the top, for superusers: nobody else has a scope that covers it.
    fn canonical(request: &mut ListRequest) -> Result<Option<Want>> {
        match request.delimiter.as_str() {
            "" if matches!(request.path.as_str(), "" | ".") => {
                request.path.clear();
                return named(request.tenant.as_ref(), "tenant").map(|_| None);
            }
            "" => {}
            // A directory, however it is written.
            "/" => request.path.push('/'),
            _ => return Err(Error::invalid("delimiter", "a slash, or nothing")),
        }
        canonical_listing(request.tenant.as_ref(), "path", &mut request.path)
    }

    async fn answer(service: &Service, caller: &Caller, request: ListRequest) -> Result<ListResponse> {
        let limit = page("page_size", request.page_size)?;
        let past = request.as_of.map(from_timestamp);
        let kind = Kind { tenant: named(request.tenant.as_ref(), "tenant")?, request: &request, past };
        let cursor = request.cursor.as_ref().map(|cursor| service.open_cursor(&kind, cursor)).transpose()?;
        if request.delimiter.is_empty() {
            service.list_below(caller, &kind, cursor, limit).await
        } else {
            service.list_within(&kind, cursor, limit).await
        }
    }
}

/// What the pages of one listing have in common: a cursor of it is no good for another.
struct Kind<'a> {
    tenant: TenantId,
    request: &'a ListRequest,
    past: Option<Timestamp>,
}

impl Kind<'_> {
    fn parts<'p>(&'p self, after: &'p [u8], as_of: &'p [u8; 8]) -> [&'p [u8]; 6] {
        let past: &[u8] = if self.past.is_some() { b"past" } else { b"" };
        let ListRequest { path, delimiter, .. } = self.request;
        [self.tenant.as_bytes(), path.as_bytes(), delimiter.as_bytes(), past, after, as_of]
    }

    fn path(&self) -> &str {
        if self.request.path.is_empty() { "/" } else { &self.request.path }
    }
}

/// Where a listing goes on, and of which time it is.
struct Position {
    after: String,
    as_of: Timestamp,
}

impl Service {
    /// A file and all that is below it.
    async fn list_below(
        &self,
        caller: &Caller,
        kind: &Kind<'_>,
        cursor: Option<Position>,
        limit: usize,
    ) -> Result<ListResponse> {
        let (tenant, at) = place(kind.request.tenant.as_ref(), kind.path())?;
        let may = |goal: Goal| caller.authority().may(Capabilities::READ, &Want::Path(tenant, goal, None));
        let after = cursor.as_ref().map(|cursor| Path::parse(&cursor.after)).transpose();
        let as_of = cursor.map(|cursor| cursor.as_of);
        // Each half only if it may be read: a scope may be good for the file, or only for what is below it.
        let listing = Listing {
            tenant,
            exactly: (!at.is_root() && may(Goal::File(at.clone()))).then(|| at.clone()),
            below: may(Goal::Listing(at.clone())).then_some(at),
            after: after.map_err(|_| not_a_cursor())?,
            at: match (kind.past, as_of) {
                (Some(then), _) => Moment::Past(then),
                (None, Some(then)) => Moment::Steady(then),
                (None, None) => Moment::Now,
            },
            limit,
        };
        let found = self.store.metadata.list_files(&listing).await?;
        // The following pages show what there is now, even if the clock was set back since some of it was written.
        let as_of = match kind.past.or(as_of) {
            Some(as_of) => as_of,
            None => {
                let newest = found.files.iter().map(|file| file.modified_at).max();
                self.store.metadata.now().await?.max(newest.unwrap_or_default())
            }
        };
        let (files, next) = fit(tenant, found);
        let cursor = next.map(|last| self.seal_cursor(kind, last.as_str(), as_of));
        Ok(ListResponse { files, cursor, prefixes: Vec::new() })
    }

    /// What is right in a directory.
    async fn list_within(
        &self,
        kind: &Kind<'_>,
        cursor: Option<Position>,
        limit: usize,
    ) -> Result<ListResponse> {
        let (tenant, dir) = place(kind.request.tenant.as_ref(), kind.path())?;
        let as_of = match (&cursor, kind.past) {
            (_, Some(then)) => then,
            (Some(cursor), None) => cursor.as_of,
            (None, None) => self.store.metadata.now().await?,
        };
        let after = cursor.map(|cursor| cursor.after);
        let browsing = Browsing { tenant, dir: dir.clone(), after, past: kind.past, limit };
        let entries = self.store.metadata.browse(&browsing).await?;
        let (mut answer, mut last, mut size) = (ListResponse::default(), None, 0);
        let (full, mut cut) = (entries.len() == limit, false);
        for entry in entries {
            let name = match entry {
                Entry::Directory(name) => {
                    answer.prefixes.push(format!("{}{name}/", dir.prefix()));
                    size += dir.prefix().len() + name.len();
                    format!("{name}/")
                }
                Entry::File(file) => {
                    let meta = Meta::new(tenant, &file);
                    size += meta.encoded_len();
                    answer.files.push(meta);
                    file.path.name().to_owned()
                }
            };
            last = Some(name);
            // One more is at most a few KiB: there is room for it.
            cut = size > PAGE_SIZE;
            if cut {
                break;
            }
        }
        answer.cursor = last.filter(|_| full || cut).map(|name| self.seal_cursor(kind, &name, as_of));
        Ok(answer)
    }

    fn seal_cursor(&self, kind: &Kind<'_>, after: &str, as_of: Timestamp) -> Cursor {
        let time = as_of.micros().to_be_bytes();
        let mut sealed = self.keys.sign(Purpose::Cursor, &kind.parts(after.as_bytes(), &time));
        sealed.extend_from_slice(after.as_bytes());
        Cursor { after: URL_SAFE_NO_PAD.encode(sealed), as_of: Some(timestamp(as_of)) }
    }

    fn open_cursor(&self, kind: &Kind<'_>, cursor: &Cursor) -> Result<Position> {
        let as_of = from_timestamp(cursor.as_of.ok_or_else(not_a_cursor)?);
        if cursor.after.len() > 2 * Path::MAX_LENGTH || kind.past.is_some_and(|past| past != as_of) {
            return Err(not_a_cursor());
        }
        let sealed = URL_SAFE_NO_PAD.decode(&cursor.after).map_err(|_| not_a_cursor())?;
        let (signature, after) = sealed.split_at_checked(64).ok_or_else(not_a_cursor)?;
        let time = as_of.micros().to_be_bytes();
        if !self.keys.verify(Purpose::Cursor, &kind.parts(after, &time), signature) {
            return Err(not_a_cursor());
        }
        let after = String::from_utf8(after.to_vec()).map_err(|_| not_a_cursor())?;
        Ok(Position { after, as_of })
    }
}

fn not_a_cursor() -> Error {
    Error::invalid("cursor", "not one that this listing gave out")
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

impl Ask for contents::Browse {
    type Answer = Directory;

    /// Always a directory, however it is written.
    fn canonical(request: &mut content::BrowseRequest) -> Result<Option<Want>> {
        request.path.push('/');
        canonical_listing(request.tenant.as_ref(), "path", &mut request.path)
    }

    async fn answer(service: &Service, _: &Caller, request: content::BrowseRequest) -> Result<Directory> {
        let (tenant, dir) = place(request.tenant.as_ref(), &request.path)?;
        let limit = page("limit", request.limit)?;
        if request.after.len() > Path::MAX_LENGTH || request.after.chars().any(char::is_control) {
            return Err(Error::invalid("after", "a name"));
        }
        let after = (!request.after.is_empty()).then_some(request.after);
        let past = request.as_of.map(from_timestamp);
        let browsing = Browsing { tenant, dir, after, past, limit: limit + 1 };
        let mut entries = service.store.metadata.browse(&browsing).await?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        Ok(Directory { entries, more })
    }
}
