//! Links: signing, following, listing and taking back. A plain signed URL needs no row; one that is counted or listed has
//! one from the beginning, and one that was taken back has one from then on.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cacheroach_api::content;
use cacheroach_api::convert::timestamp;
use cacheroach_api::file::{
    self, ListLinksRequest, ListLinksResponse, Meta, RetrievalRequest, RetrievalResponse, RevokeLinkRequest,
    link, revoke_link_request,
};
use cacheroach_api::method::files;
use cacheroach_auth::{DropLink, Link, Presented, Purpose, Want, claims, enforcer};
use cacheroach_model::{
    Capabilities, Goal, LinkId, LinkKind, Location, Networks, Pattern, PrincipalId, Session, TenantId,
    Timestamp,
};
use cacheroach_store::links::{KeptLink, LinkListing};

use crate::caller::Callers;
use crate::door::Ask;
use crate::files::{PAGE, canonical_file, canonical_listing, parse_version, place};
use crate::listings::page;
use crate::{Caller, Error, Result, Service};

/// The longest file name that links deal with, in bytes: what most file systems take.
const MAX_NAME: usize = 255;

/// The bearer of a signed URL, and what it is good for.
#[derive(Debug)]
pub struct Linked {
    /// With the authority to ask for just that.
    pub caller: Caller,
    /// What to ask for.
    pub request: content::OpenRequest,
    /// The name to save the file by, if it is to be saved.
    pub download_name: Option<String>,
    /// Whose use is to be counted, if it is.
    counted: Option<LinkId>,
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
        let max_uses = at_most("max_uses", request.max_uses)?;
        let networks = networks(&request.client_networks)?;
        check_name("download_name", &request.download_name)?;
        let session = caller.session();
        let expires_at = service.link_end(request.valid_for, session)?;
        let file =
            service.store.metadata.find_file(tenant, &path, version).await?.ok_or(Error::NotFound("file"))?;
        let link = Link {
            id: LinkId::random(service.random.id()),
            tenant,
            path: path.clone(),
            version,
            principal: session.principal,
            session: session.id,
            issued_at: service.now(),
            expires_at,
            download_name: Some(request.download_name).filter(|name| !name.is_empty()),
            networks,
            counted: max_uses.is_some(),
        };
        if request.listed || link.counted {
            service.may_change()?;
            service.store.metadata.add_link(&KeptLink { max_uses, ..kept(&link) }).await?;
        }
        let token = link.sign(&service.keys);
        Ok(RetrievalResponse {
            get_uri: format!("/_/v0/retrieve/{}?access_token={token}", encode_segment(path.name())),
            expires_at: expires_at.map(timestamp),
            meta: Some(Meta::new(tenant, &file)),
            link_id: Some(link.id.into()),
        })
    }
}

/// The row of a signed URL.
fn kept(link: &Link) -> KeptLink {
    KeptLink {
        id: link.id,
        kind: LinkKind::Read,
        tenant: link.tenant,
        path: link.path.clone(),
        version: link.version,
        principal: link.principal,
        session: link.session,
        created_at: link.issued_at,
        expires_at: link.expires_at,
        max_uses: None,
        uses: 0,
        revoked_at: None,
        name: link.download_name.clone().unwrap_or_default(),
        networks: link.networks.clone(),
        max_size: None,
        content_types: Vec::new(),
    }
}

/// A limit; 0 is none.
pub(crate) fn at_most(field: &str, limit: i64) -> Result<Option<u64>> {
    let limit = u64::try_from(limit).map_err(|_| Error::invalid(field, "not negative"))?;
    Ok(Some(limit).filter(|limit| *limit > 0))
}

pub(crate) fn networks(texts: &[String]) -> Result<Networks> {
    Networks::parse(texts).map_err(|problem| Error::invalid("client_networks", problem))
}

/// A name that a stranger sees or gives is the name of a file, and leads nowhere else.
pub(crate) fn check_name(field: &str, name: &str) -> Result<()> {
    let leads_elsewhere = matches!(name, "." | "..") || name.contains(['/', '\\']);
    if leads_elsewhere || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        let problem = "a file name of at most 255 bytes, without slashes and control characters";
        return Err(Error::invalid(field, problem));
    }
    Ok(())
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

impl Service {
    /// Until when a link is good that a session asks for now.
    pub(crate) fn link_end(
        &self,
        valid_for: Option<prost_types::Duration>,
        session: &Session,
    ) -> Result<Option<Timestamp>> {
        let now = self.now();
        let asked = match valid_for {
            Some(length) if length.seconds < 0 || length.nanos < 0 => {
                return Err(Error::invalid("valid_for", "not negative"));
            }
            Some(length) if length.seconds > 0 || length.nanos > 0 => {
                // Rounded up to seconds: what was asked for is what is got.
                let seconds = length.seconds.unsigned_abs() + u64::from(length.nanos > 0);
                let end = now.after(Duration::from_secs(seconds));
                if end == Timestamp::MAX {
                    return Err(Error::invalid("valid_for", "not beyond the year 9999"));
                }
                Some(end)
            }
            _ => None,
        };
        // A session that no store knows can't be looked up later: the link ends with it.
        let ephemeral = if session.id.is_none() { session.expires_at } else { None };
        let limit = self.settings.link_max_validity.map(|length| now.after(length));
        Ok(asked.into_iter().chain(ephemeral).chain(limit).min())
    }

    /// That a link is not older than the operator lets any be: those that were signed under another limit, too.
    pub(crate) fn must_be_young(&self, issued_at: Timestamp) -> Result<()> {
        match self.settings.link_max_validity {
            Some(length) if issued_at.after(length) <= self.now() => {
                Err(Error::Unauthenticated("this link is older than links may be here".into()))
            }
            _ => Ok(()),
        }
    }

    /// Whoever holds a signed URL and is where it can be used from, if its signer may still read the file: by any live
    /// session.
    ///
    /// # Errors
    /// [`Error::Denied`] outside of its networks, and when it was used as often as it may be;
    /// [`Error::Unauthenticated`] for anything else.
    pub async fn follow(&self, token: &str, peer: Option<IpAddr>) -> Result<Linked> {
        let link = match claims::verify(&self.keys, token, self.now())? {
            Presented::Link(link) => link,
            Presented::Session(_) => return Err(Error::Unauthenticated("not a signed URL".into())),
        };
        self.must_be_young(link.issued_at)?;
        let seen = self.callers.seen();
        let row = self.store.metadata.find_link(link.id).await?;
        if must_be_there(row.as_ref(), link.counted, &link.networks, peer)?.is_some_and(is_used_up) {
            return Err(used_up());
        }
        self.callers.signer_must(&link).await?;
        let request = content::OpenRequest {
            tenant: Some(link.tenant.into()),
            path: link.path.to_string(),
            version: link.version.map_or(0, |version| version.0),
            ..Default::default()
        };
        let (download_name, counted) = (link.download_name.clone(), link.counted.then_some(link.id));
        let caller = self.callers.caller(link.as_session(), None, seen).await?.by(link);
        Ok(Linked { caller: caller.from(peer), request, download_name, counted })
    }

    /// Counts that contents are about to be sent to whoever follows a link.
    ///
    /// # Errors
    /// [`Error::Denied`] if there is no use left: then nothing must be sent.
    pub async fn count(&self, linked: &Linked) -> Result<()> {
        match linked.counted {
            Some(id) => {
                self.may_change()?;
                if self.store.metadata.use_link(id).await? { Ok(()) } else { Err(used_up()) }
            }
            None => Ok(()),
        }
    }
}

impl Callers {
    /// That whoever signed a URL may still read the file, by whichever live session.
    pub(crate) async fn signer_must(&self, link: &Link) -> Result<()> {
        let want = Want::Path(link.tenant, Goal::File(link.path.clone()), link.version);
        if self.signer_may(link.principal, link.expires_at, Capabilities::READ, &want).await? {
            Ok(())
        } else {
            Err(Error::Unauthenticated("who signed this URL may no longer read the file".into()))
        }
    }

    /// Whether whoever signed a link may still do there what it is for, by whichever live session.
    pub(crate) async fn signer_may(
        &self,
        principal: Option<PrincipalId>,
        expires_at: Option<Timestamp>,
        capabilities: Capabilities,
        want: &Want,
    ) -> Result<bool> {
        let Some(principal) = principal else {
            // Signed with a token of a key holder, which is over within a minute, and so is the link.
            return Ok(expires_at.is_some());
        };
        let mut held = self.grants(principal).await?;
        // A session may be on another principal, and use what that one holds.
        let mut others: BTreeSet<_> = held.iter().filter_map(Session::lookup).collect();
        // What is public is so for reading only.
        if !others.is_empty() && Capabilities::READ.contains(capabilities) {
            others.insert(PrincipalId::UNAUTHENTICATED);
        }
        others.remove(&principal);
        for other in others {
            held.extend(self.grants(other).await?);
        }
        Ok(held.iter().any(|session| enforcer::covers(session, capabilities, want)))
    }
}

fn used_up() -> Error {
    Error::denied("this link has been used as often as it may be")
}

fn is_used_up(row: &KeptLink) -> bool {
    row.max_uses.is_some_and(|most| row.uses >= most)
}

/// That a link was not taken back, is kept if it has to be, and is used from where it may be.
pub(crate) fn must_be_there<'a>(
    row: Option<&'a KeptLink>,
    needs_row: bool,
    networks: &Networks,
    peer: Option<IpAddr>,
) -> Result<Option<&'a KeptLink>> {
    if row.map_or(needs_row, |row| row.revoked_at.is_some()) {
        return Err(Error::Unauthenticated("this link was taken back".into()));
    }
    if networks.allow(peer) {
        Ok(row)
    } else {
        Err(Error::denied("this link can't be used from your network"))
    }
}

/// What one must be able to do oneself to see and end one's own links.
fn purpose(kind: LinkKind) -> Capabilities {
    match kind {
        LinkKind::Read => Capabilities::READ,
        LinkKind::Drop => Capabilities::WRITE,
    }
}

/// Whether a link is the caller's to know of and to end.
fn is_theirs(caller: &Caller, link: &KeptLink) -> bool {
    let goal = match link.kind {
        LinkKind::Read => Goal::File(link.path.clone()),
        LinkKind::Drop => Goal::Listing(link.path.clone()),
    };
    let want = Want::Path(link.tenant, goal, link.version);
    let is_own = caller.principal().is_some() && caller.principal() == link.principal;
    rules_over(caller, link.tenant) || (is_own && caller.authority().may(purpose(link.kind), &want))
}

fn rules_over(caller: &Caller, tenant: TenantId) -> bool {
    let everything = Location { tenant, pattern: Pattern::everything(), version: None };
    caller.authority().may(Capabilities::DELEGATE, &Want::Location(everything))
}

impl Ask for files::ListLinks {
    type Answer = ListLinksResponse;

    fn canonical(request: &mut ListLinksRequest) -> Result<Option<Want>> {
        canonical_listing(request.tenant.as_ref(), "path", &mut request.path)
    }

    async fn answer(
        service: &Service,
        caller: &Caller,
        request: ListLinksRequest,
    ) -> Result<ListLinksResponse> {
        let (tenant, at) = place(request.tenant.as_ref(), &request.path)?;
        let limit = page("page_size", request.page_size)?;
        let sealed = [&b"links"[..], tenant.as_bytes(), request.path.as_bytes()];
        let after = service.open_link_cursor(sealed, &request.cursor)?;
        let rules = rules_over(caller, tenant);
        let principal = caller.principal();
        if !rules && principal.is_none() {
            return Ok(ListLinksResponse::default());
        }
        let mut listing = LinkListing {
            tenant,
            exactly: (!request.path.ends_with('/')).then(|| at.clone()),
            below: Some(at),
            principal: principal.filter(|_| !rules),
            after,
            limit: PAGE + 1,
        };
        // A page ends where something is shown: a cursor names its place, and must not tell of what is not.
        let mut visible = Vec::new();
        loop {
            let found = service.store.metadata.list_links(&listing).await?;
            let is_all = found.len() < listing.limit;
            listing.after = found.last().map(|last| (last.place(), last.id));
            visible.extend(found.into_iter().filter(|link| rules || is_theirs(caller, link)));
            if is_all || visible.len() > limit {
                break;
            }
        }
        let is_more = visible.len() > limit;
        visible.truncate(limit);
        let last = visible.last().filter(|_| is_more);
        let cursor = last.map(|last| service.seal_link_cursor(sealed, last)).unwrap_or_default();
        let links = visible.iter().map(shown).collect();
        Ok(ListLinksResponse { links, cursor })
    }
}

fn shown(link: &KeptLink) -> file::Link {
    let number = |count: Option<u64>| i64::try_from(count.unwrap_or(0)).unwrap_or(i64::MAX);
    let kind = match link.kind {
        LinkKind::Read => link::Kind::Read,
        LinkKind::Drop => link::Kind::Drop,
    };
    file::Link {
        id: Some(link.id.into()),
        kind: kind.into(),
        tenant: Some(link.tenant.into()),
        path: link.place(),
        version: link.version.map_or(0, |version| version.0),
        principal: link.principal.map(Into::into),
        created_at: Some(timestamp(link.created_at)),
        expires_at: link.expires_at.map(timestamp),
        max_uses: number(link.max_uses),
        uses: number(Some(link.uses)),
        name: link.name.clone(),
        client_networks: link.networks.texts(),
        max_size: number(link.max_size),
        content_types: link.content_types.clone(),
    }
}

/// Cursors are sealed: one listing's is no good for another, of links or of files.
impl Service {
    fn seal_link_cursor(&self, of: [&[u8]; 3], last: &KeptLink) -> String {
        let place = last.place();
        let [kind, tenant, path] = of;
        let parts = [kind, tenant, path, place.as_bytes(), last.id.as_bytes()];
        let mut sealed = self.keys.sign(Purpose::Cursor, &parts);
        sealed.extend_from_slice(last.id.as_bytes());
        sealed.extend_from_slice(place.as_bytes());
        URL_SAFE_NO_PAD.encode(sealed)
    }

    fn open_link_cursor(&self, of: [&[u8]; 3], cursor: &str) -> Result<Option<(String, LinkId)>> {
        if cursor.is_empty() {
            return Ok(None);
        }
        let wrong = || Error::invalid("cursor", "not one that this listing gave out");
        if cursor.len() > 2048 {
            return Err(wrong());
        }
        let sealed = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        let (signature, rest) = sealed.split_at_checked(64).ok_or_else(wrong)?;
        let (id, place) = rest.split_at_checked(16).ok_or_else(wrong)?;
        let [kind, tenant, path] = of;
        if !self.keys.verify(Purpose::Cursor, &[kind, tenant, path, place, id], signature) {
            return Err(wrong());
        }
        let place = String::from_utf8(place.to_vec()).map_err(|_| wrong())?;
        Ok(Some((place, LinkId::try_from(id).map_err(|_| wrong())?)))
    }
}

impl Ask for files::RevokeLink {
    type Answer = ();

    async fn answer(service: &Service, caller: &Caller, request: RevokeLinkRequest) -> Result<()> {
        use revoke_link_request::Kind;
        let missing = || Error::NotFound("link");
        let link = match request.kind {
            Some(Kind::Id(id)) => {
                let id = link::Id::parse(Some(&id)).ok_or_else(|| Error::invalid("id", "which link"))?;
                service.store.metadata.find_link(id).await?.ok_or_else(missing)?
            }
            Some(Kind::Url(url)) => service.link_of_url(&url).await?.ok_or_else(missing)?,
            None => return Err(Error::invalid("Kind", "the id or the URL of a link")),
        };
        if !is_theirs(caller, &link) {
            return Err(missing());
        }
        Ok(service.store.metadata.revoke_link(&link).await?)
    }
}

impl Service {
    /// The link that a URL stands for: its token proves what it is, not whose. Nothing if it is none of ours, or over.
    async fn link_of_url(&self, url: &str) -> Result<Option<KeptLink>> {
        let token = token_of(url);
        if let Ok(link) = DropLink::verify(&self.keys, token, self.now()) {
            return Ok(self.store.metadata.find_link(link.id).await?);
        }
        match claims::verify(&self.keys, token, self.now()) {
            Ok(Presented::Link(link)) => Ok(Some(kept(&link))),
            Ok(Presented::Session(_)) | Err(_) => Ok(None),
        }
    }
}

/// The token in a URL. Its characters are never percent-encoded; what is no URL is taken for the token itself.
fn token_of(url: &str) -> &str {
    let query = url.split_once('?').map_or(url, |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    query.split('&').find_map(|pair| pair.strip_prefix("access_token=")).unwrap_or(query).trim()
}
