//! What is made of versions that are there: restored, copied, moved and described anew, without touching any bytes.

use cacheroach_api::convert::expected;
use cacheroach_api::file::{
    CopyRequest, CopyResponse, DeleteRequest, EditRequest, EditResponse, ListVersionsRequest,
    ListVersionsResponse, Meta, MoveRequest, RestoreRequest, StatRequest,
};
use cacheroach_api::method::{contents, files};
use cacheroach_api::{tenant, text};
use cacheroach_auth::Want;
use cacheroach_model::{Capabilities, Expected, File, Goal, Metadata, Path, TenantId, Version};
use cacheroach_store::Error as StoreError;
use cacheroach_store::failpoint::{Step as Failpoint, hit};
use cacheroach_store::files::{Copy, CopyBelow};
use prost::Message as _;

use crate::door::Ask;
use crate::files::{PAGE, bad_path, canonical_file, canonical_listing, parse_metadata, parse_version, place};
use crate::listings::{PAGE_SIZE, page};
use crate::still::Still;
use crate::{Caller, Error, Result, Service};

/// How often a change looks again that found somebody else to be faster.
const TRIES: usize = 3;

impl Ask for files::Stat {
    type Answer = Meta;

    fn canonical(request: &mut StatRequest) -> Result<Option<Want>> {
        canonical_file(request.tenant.as_ref(), &mut request.path, request.version)
    }

    async fn answer(service: &Service, _: &Caller, request: StatRequest) -> Result<Meta> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        let version = parse_version(request.version)?;
        let found = service.store.metadata.find_file(tenant, &path, version).await?;
        Ok(Meta::new(tenant, &found.ok_or(Error::NotFound("file"))?))
    }
}

impl Ask for files::ListVersions {
    type Answer = ListVersionsResponse;

    fn canonical(request: &mut ListVersionsRequest) -> Result<Option<Want>> {
        canonical_file(request.tenant.as_ref(), &mut request.path, 0)
    }

    async fn answer(
        service: &Service,
        caller: &Caller,
        request: ListVersionsRequest,
    ) -> Result<ListVersionsResponse> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        let before = match request.before {
            0 => None,
            1.. => Some(Version(request.before)),
            _ => return Err(Error::invalid("before", "a version, or 0")),
        };
        let limit = page("page_size", request.page_size)?;
        let mut found = service.store.metadata.list_versions(tenant, &path, before, limit).await?;
        let mut more = found.len() == limit;
        if !caller.authority().may(Capabilities::WRITE, &Want::Path(tenant, Goal::File(path), None)) {
            // What is deleted is older than what is not: all versions there were went at once.
            let live = found.iter().take_while(|past| past.deleted_at.is_none()).count();
            more &= live == found.len();
            found.truncate(live);
        }
        if found.is_empty() && before.is_none() {
            return Err(Error::NotFound("file"));
        }
        let (mut versions, mut size) = (Vec::with_capacity(found.len()), 0);
        for past in &found {
            let meta = Meta::past(tenant, past);
            size += meta.encoded_len();
            if size > PAGE_SIZE && !versions.is_empty() {
                break;
            }
            versions.push(meta);
        }
        more |= versions.len() < found.len();
        let before = versions.last().filter(|_| more).map_or(0, |last| last.version);
        // The first version is the last one of every listing.
        Ok(ListVersionsResponse { versions, before: if before == 1 { 0 } else { before } })
    }
}

impl Ask for files::Restore {
    type Answer = Meta;

    fn canonical(request: &mut RestoreRequest) -> Result<Option<Want>> {
        canonical_file(request.tenant.as_ref(), &mut request.path, request.version)
    }

    async fn answer(service: &Service, _: &Caller, request: RestoreRequest) -> Result<Meta> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        let mut expected = expected(request.expected_version)?;
        let version = match parse_version(request.version)? {
            Some(version) => version,
            None => {
                let last = service.last_if_deleted(tenant, &path).await?;
                // It is still deleted when it is restored, or somebody has written it anew.
                if expected == Expected::Anything {
                    expected = Expected::Nothing;
                }
                last
            }
        };
        let copy = Copy { version: Some(version), expected, ..in_place(tenant, path) };
        let restored = service.store.metadata.copy_file(&copy).await?.ok_or(Error::NotFound("file"))?;
        Ok(Meta::new(tenant, &restored))
    }
}

impl Ask for files::Copy {
    type Answer = CopyResponse;

    fn canonical(request: &mut CopyRequest) -> Result<Option<Want>> {
        let want = canonical_ends(request.tenant.as_ref(), &mut request.path, &mut request.to)?;
        if request.path.ends_with('/') && request.version != 0 {
            return Err(Error::invalid("version", "a directory has none"));
        }
        let version = parse_version(request.version)?;
        Ok(want.map(|want| match want {
            Want::Path(tenant, goal, _) => Want::Path(tenant, goal, version),
            other => other,
        }))
    }

    async fn answer(service: &Service, caller: &Caller, request: CopyRequest) -> Result<CopyResponse> {
        let ends = Ends::of(request.tenant.as_ref(), &request.path, &request.to)?;
        let version = parse_version(request.version)?;
        service.transfer(caller, ends, version, request.expected_version, false).await
    }
}

impl Ask for files::Move {
    type Answer = CopyResponse;

    fn canonical(request: &mut MoveRequest) -> Result<Option<Want>> {
        canonical_ends(request.tenant.as_ref(), &mut request.path, &mut request.to)
    }

    async fn answer(service: &Service, caller: &Caller, request: MoveRequest) -> Result<CopyResponse> {
        let ends = Ends::of(request.tenant.as_ref(), &request.path, &request.to)?;
        service.transfer(caller, ends, None, request.expected_version, true).await
    }
}

impl Ask for files::Edit {
    type Answer = EditResponse;

    fn canonical(request: &mut EditRequest) -> Result<Option<Want>> {
        canonical_file(request.tenant.as_ref(), &mut request.path, 0)
    }

    async fn answer(service: &Service, caller: &Caller, request: EditRequest) -> Result<EditResponse> {
        let (tenant, path) = place(request.tenant.as_ref(), &request.path)?;
        let unless_same = may_read(caller, tenant, Goal::File(path.clone()));
        let asked = match expected(request.expected_version)? {
            Expected::Nothing => return Err(Error::invalid("expected_version", "a version, or 0 for any")),
            expected => expected,
        };
        for _ in 0..TRIES {
            let found = service.store.metadata.find_file(tenant, &path, None).await?;
            let found = found.ok_or(Error::NotFound("file"))?;
            if !asked.is_met_by(Some(found.version)) {
                break;
            }
            let described = Some(described(&found, &request)?);
            let expected = Expected::Version(found.version);
            let copy = Copy { expected, described, unless_same, ..in_place(tenant, path.clone()) };
            match service.store.metadata.copy_file(&copy).await {
                Ok(edited) => {
                    let version = edited.ok_or(Error::NotFound("file"))?.version.0;
                    return Ok(EditResponse { version });
                }
                // It has changed since we looked, but nobody said that it must not.
                Err(StoreError::Skew) if asked == Expected::Anything => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Conflict(text::VERSION_SKEW))
    }
}

/// The same over HTTP, where what is public is so without logging in.
macro_rules! over_http {
    ($($inside:ident: $request:ty => $answer:ty as $public:ident),* $(,)?) => { $(
        impl Ask for contents::$inside {
            type Answer = $answer;

            fn canonical(request: &mut $request) -> Result<Option<Want>> {
                files::$public::canonical(request)
            }

            async fn answer(service: &Service, caller: &Caller, request: $request) -> Result<$answer> {
                files::$public::answer(service, caller, request).await
            }
        }
    )* };
}

over_http! {
    Copy: CopyRequest => CopyResponse as Copy,
    Edit: EditRequest => EditResponse as Edit,
    Move: MoveRequest => CopyResponse as Move,
    Remove: DeleteRequest => () as Delete,
    Restore: RestoreRequest => Meta as Restore,
    Versions: ListVersionsRequest => ListVersionsResponse as ListVersions,
}

/// A file becomes its own next version.
fn in_place(tenant: TenantId, path: Path) -> Copy {
    Copy {
        tenant,
        from: path.clone(),
        version: None,
        to: path,
        expected: Expected::Anything,
        described: None,
        moved: false,
        unless_same: true,
    }
}

/// Whether a caller may know what is there, so that a repeated call need not make it anew.
pub(crate) fn may_read(caller: &Caller, tenant: TenantId, goal: Goal) -> bool {
    caller.authority().may(Capabilities::READ, &Want::Path(tenant, goal, None))
}

/// The description that an edit makes of the one there is.
fn described(found: &File, edit: &EditRequest) -> Result<(String, Metadata)> {
    let mut pairs = found.metadata.pairs().clone();
    for key in &edit.remove_meta {
        pairs.remove(key);
    }
    pairs.extend(edit.meta.clone());
    let metadata = parse_metadata(pairs)?;
    let content_type = if edit.content_type.is_empty() {
        found.content_type.clone()
    } else {
        check_type(&edit.content_type)?;
        edit.content_type.clone()
    };
    Ok((content_type, metadata))
}

/// A content type travels in a header: visible ASCII, and no more than a line of it.
pub(crate) fn check_type(content_type: &str) -> Result<()> {
    let fine = content_type.len() <= 255 && content_type.bytes().all(|b| matches!(b, b' '..=b'~'));
    let has_slash =
        content_type.split_once('/').is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty());
    if content_type.is_empty() || (fine && has_slash) {
        Ok(())
    } else {
        Err(Error::invalid("content_type", "type/subtype; parameters"))
    }
}

/// Brings both ends of a copy into their canonical form; both are files, or both directories. Tells where from.
fn canonical_ends(id: Option<&tenant::Id>, path: &mut String, to: &mut String) -> Result<Option<Want>> {
    let from = canonical_listing(id, "path", path)?;
    canonical_listing(id, "to", to)?;
    match (path.ends_with('/'), to.ends_with('/')) {
        (true, false) => Err(Error::invalid("to", "a directory, with a last slash, as where from")),
        (false, true) => Err(Error::invalid("to", "a file, without a last slash, as where from")),
        _ => Ok(from),
    }
}

/// From where to where.
struct Ends {
    tenant: TenantId,
    from: Goal,
    to: Path,
}

impl Ends {
    fn of(id: Option<&tenant::Id>, path: &str, to: &str) -> Result<Self> {
        let (tenant, to) = place(id, to)?;
        let from = Goal::parse(path).map_err(|problem| bad_path("path", problem))?;
        let overlap = match &from {
            Goal::File(from) => *from == to,
            Goal::Listing(from) => *from == to || from.is_below(&to) || to.is_below(from),
        };
        if overlap {
            return Err(Error::invalid(
                "to",
                "another place than where from, and not within it or around it",
            ));
        }
        Ok(Ends { tenant, from, to })
    }
}

impl Service {
    /// Copies or moves a file, or all below a directory page by page.
    async fn transfer(
        &self,
        caller: &Caller,
        ends: Ends,
        version: Option<Version>,
        expected_version: i64,
        moved: bool,
    ) -> Result<CopyResponse> {
        let Ends { tenant, from, to } = ends;
        let expected = expected(expected_version)?;
        match from {
            Goal::File(from) => {
                let unless_same = may_read(caller, tenant, Goal::File(to.clone()));
                let file = Copy { tenant, from, version, to, expected, described: None, moved, unless_same };
                // A deleted version can be restored, and copied then.
                if version.is_some()
                    && self.store.metadata.find_file(tenant, &file.from, version).await?.is_none()
                {
                    return Err(Error::NotFound("file"));
                }
                let made = self.store.metadata.copy_file(&file).await?.ok_or(Error::NotFound("file"))?;
                hit(Failpoint::CopyAfterCommit);
                Ok(CopyResponse { files: 1, version: made.version.0 })
            }
            Goal::Listing(_) if expected != Expected::Anything => {
                Err(Error::invalid("expected_version", "a directory has no versions"))
            }
            Goal::Listing(from) => {
                let unless_same = may_read(caller, tenant, Goal::Listing(to.clone()));
                let at = |dir: &Path| Want::Path(tenant, Goal::Listing(dir.clone()), None);
                let mut needed = vec![(Capabilities::READ, at(&from)), (Capabilities::WRITE, at(&to))];
                needed.extend(moved.then(|| (Capabilities::WRITE, at(&from))));
                let mut still = Still::able(&self.callers, caller, needed);
                let mut below = CopyBelow { tenant, from, to, after: None, limit: PAGE, moved, unless_same };
                let mut files = 0;
                loop {
                    let copied = self.store.metadata.copy_files(&below).await?;
                    files += copied.files;
                    match copied.next {
                        Some(next) => below.after = Some(next),
                        None if files == 0 => return Err(Error::NotFound("directory")),
                        None => break,
                    }
                    still.must().await?;
                }
                Ok(CopyResponse { files: i64::try_from(files).unwrap_or(i64::MAX), version: 0 })
            }
        }
    }

    /// The last version of a file that is deleted.
    async fn last_if_deleted(&self, tenant: TenantId, path: &Path) -> Result<Version> {
        let last = self.store.metadata.list_versions(tenant, path, None, 1).await?;
        let last = last.first().ok_or(Error::NotFound("file"))?;
        if last.deleted_at.is_none() {
            return Err(Error::State("the file is not deleted: say which version is to be restored".into()));
        }
        Ok(last.file.version)
    }
}
