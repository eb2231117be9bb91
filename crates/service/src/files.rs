//! Files: over gRPC by message, and for the other front ends with their bodies. Listings are in `listings.rs`, what is
//! made of versions that are there in `versions.rs`.

use std::sync::Arc;

use cacheroach_api::convert::expected;
use cacheroach_api::file::DeleteRequest;
use cacheroach_api::method::{contents, files};
use cacheroach_api::rule::Ruled;
use cacheroach_api::{content, tenant, text};
use cacheroach_auth::Want;
use cacheroach_model::{
    CHUNK_SIZE, Capabilities, Expected, Goal, Metadata, MetadataError, Path, PathError, TenantId, UploadId,
    Version,
};
use cacheroach_store::failpoint::{Step as Failpoint, hit};

use crate::content::{Content, Target, Writer};
use crate::door::Ask;
use crate::still::Still;
use crate::tenants::named;
use crate::{Caller, Error, Result, Service};

/// How many files are dealt with at a time, and shown on a page at most.
pub(crate) const PAGE: usize = 1000;

/// Brings the path of one file into its canonical form.
pub(crate) fn canonical_file(
    id: Option<&tenant::Id>,
    path: &mut String,
    version: i64,
) -> Result<Option<Want>> {
    let tenant = named(id, "tenant")?;
    let parsed = Path::parse_file(path).map_err(|problem| bad_path("path", problem))?;
    if *path != parsed.as_str() {
        parsed.as_str().clone_into(path);
    }
    Ok(Some(Want::Path(tenant, Goal::File(parsed), parse_version(version)?)))
}

pub(crate) fn bad_path(field: &str, problem: PathError) -> Error {
    match problem {
        PathError::TooLong => Error::TooLarge(format!("{field}: {problem}")),
        problem => Error::invalid(field, problem),
    }
}

/// The pairs of a request.
pub(crate) fn parse_metadata(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Metadata> {
    Metadata::parse(pairs).map_err(|problem| match problem {
        MetadataError::TooMany | MetadataError::TooLarge => Error::TooLarge(format!("meta: {problem}")),
        MetadataError::EmptyKey => Error::invalid("meta", problem),
    })
}

pub(crate) fn parse_version(version: i64) -> Result<Option<Version>> {
    match version {
        0 => Ok(None),
        1.. => Ok(Some(Version(version))),
        _ => Err(Error::invalid("version", "versions count from 1; 0 is the current one")),
    }
}

/// Brings a path into its canonical form that may be a file's or, with a last slash, mean what is below it.
pub(crate) fn canonical_listing(
    id: Option<&tenant::Id>,
    field: &str,
    path: &mut String,
) -> Result<Option<Want>> {
    let tenant = named(id, "tenant")?;
    let goal = Goal::parse(path).map_err(|problem| bad_path(field, problem))?;
    *path = goal.to_string();
    Ok(Some(Want::Path(tenant, goal, None)))
}

/// Where a request leads that was checked in its canonical form.
pub(crate) fn place(id: Option<&tenant::Id>, path: &str) -> Result<(TenantId, Path)> {
    Ok((named(id, "tenant")?, Path::parse(path).map_err(|problem| bad_path("path", problem))?))
}

impl Ask for files::Delete {
    type Answer = ();

    fn canonical(request: &mut DeleteRequest) -> Result<Option<Want>> {
        if request.recursive {
            // A field that was left out is not the top of all.
            if request.path.is_empty() {
                return Err(Error::invalid("path", "of a directory, which has a name"));
            }
            request.path.push('/');
        }
        canonical_listing(request.tenant.as_ref(), "path", &mut request.path)
    }

    async fn answer(service: &Service, caller: &Caller, request: DeleteRequest) -> Result<()> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        let expected = match expected(request.expected_version)? {
            Expected::Anything => Expected::Anything,
            _ if request.recursive => {
                return Err(Error::invalid("expected_version", "a directory has no versions"));
            }
            expected => expected,
        };
        let metadata = &service.store.metadata;
        if request.recursive {
            // A page is a transaction: what is interrupted is finished by the same call again.
            let below = Want::Path(tenant, Goal::Listing(path.clone()), None);
            let mut still = Still::able(&service.callers, caller, vec![(Capabilities::WRITE, below)]);
            while metadata.delete_files(tenant, &path, PAGE).await? > 0 {
                still.must().await?;
            }
        } else if !request.path.ends_with('/') {
            // With a last slash it would be a directory: that is no file, so there is nothing to delete.
            metadata.delete_file(tenant, &path, expected).await?;
            hit(Failpoint::DeleteAfterCommit);
        }
        Ok(())
    }
}

impl Ask for contents::Open {
    type Answer = Content;

    fn canonical(request: &mut content::OpenRequest) -> Result<Option<Want>> {
        canonical_file(request.tenant.as_ref(), &mut request.path, request.version)
    }

    async fn answer(service: &Service, caller: &Caller, request: content::OpenRequest) -> Result<Content> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        let version = parse_version(request.version)?;
        let found = service.openings.open(&service.store, tenant, &path, version, request.unread).await?;
        let found = found.ok_or(Error::NotFound("file"))?;
        // What goes out at once needs no second look.
        let is_long = found.file.size > CHUNK_SIZE as u64;
        let reader = is_long.then(|| Still::new::<Self>(&service.callers, caller, request));
        Ok(Content::new(service.store.clone(), tenant, found, reader))
    }
}

impl Ask for contents::Write {
    type Answer = Writer;

    fn canonical(request: &mut content::WriteRequest) -> Result<Option<Want>> {
        canonical_file(request.tenant.as_ref(), &mut request.path, 0)
    }

    async fn answer(service: &Service, _: &Caller, request: content::WriteRequest) -> Result<Writer> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        let metadata = parse_metadata(request.meta)?;
        let expected = expected(request.expected_version)?;
        let target = Target { tenant, path, content_type: request.content_type, metadata, expected };
        service.meets(&target).await?;
        Ok(service.writer(target))
    }
}

impl Service {
    pub(crate) fn writer(&self, target: Target) -> Writer {
        let id = UploadId::random(self.random.id());
        let (timeout, room) = (self.settings.upload_timeout, Arc::clone(&self.room));
        Writer::new(self.store.clone(), target, id, timeout, room, self.buffers.clone())
    }

    /// Refuses what would fail in the end before all of it has come. What counts is the look in the end.
    async fn meets(&self, target: &Target) -> Result<()> {
        if target.expected == Expected::Anything {
            return Ok(());
        }
        let current = self.store.metadata.find_file(target.tenant, &target.path, None).await?;
        let met = target.expected.is_met_by(current.map(|file| file.version));
        if met { Ok(()) } else { Err(Error::Conflict(text::VERSION_SKEW)) }
    }
}

/// That the caller may see all of it was checked with the request.
impl Ruled for Content {}
impl Ruled for Writer {}
