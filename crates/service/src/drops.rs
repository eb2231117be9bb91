//! Drop links: whoever holds one puts files into one directory, within limits that are kept in its row. The bearer can
//! write files that are not there yet, and nothing else.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use cacheroach_api::content::WriteRequest;
use cacheroach_api::convert::timestamp;
use cacheroach_api::file::{CreateDropLinkRequest, CreateDropLinkResponse};
use cacheroach_api::method::{contents, files};
use cacheroach_auth::{DropLink, Want};
use cacheroach_model::{Capabilities, Goal, LinkId, LinkKind, Path, TenantId, Timestamp};
use cacheroach_store::files::Browsing;
use cacheroach_store::links::KeptLink;

use crate::content::{Writer, Written};
use crate::door::Ask;
use crate::files::{canonical_file, canonical_listing, place};
use crate::links::{at_most, check_name, must_be_there, networks};
use crate::tenants::check_label;
use crate::{Caller, Error, Result, Service};

/// Where a drop link says nothing else. Nothing said must not mean everything.
const DEFAULT_SIZE: u64 = 100 << 20;
const DEFAULT_FILES: u64 = 100;

/// How many types may be named.
const MAX_TYPES: usize = 32;

impl Ask for files::CreateDropLink {
    type Answer = CreateDropLinkResponse;

    fn canonical(request: &mut CreateDropLinkRequest) -> Result<Option<Want>> {
        if !request.path.ends_with('/') {
            return Err(Error::invalid("path", "a directory: with a last slash"));
        }
        canonical_listing(request.tenant.as_ref(), "path", &mut request.path)
    }

    async fn answer(
        service: &Service,
        caller: &Caller,
        request: CreateDropLinkRequest,
    ) -> Result<CreateDropLinkResponse> {
        let (tenant, dir) = place(request.tenant.as_ref(), &request.path)?;
        check_label("label", &request.label)?;
        let session = caller.session();
        let link = DropLink {
            id: LinkId::random(service.random.id()),
            tenant,
            dir: dir.clone(),
            principal: session.principal,
            session: session.id,
            issued_at: service.now(),
            expires_at: service.link_end(request.valid_for, session)?,
        };
        let kept = KeptLink {
            id: link.id,
            kind: LinkKind::Drop,
            tenant,
            path: dir,
            version: None,
            principal: link.principal,
            session: link.session,
            created_at: link.issued_at,
            expires_at: link.expires_at,
            max_uses: Some(at_most("max_files", request.max_files)?.unwrap_or(DEFAULT_FILES)),
            uses: 0,
            revoked_at: None,
            name: request.label,
            networks: networks(&request.client_networks)?,
            max_size: Some(at_most("max_size", request.max_size)?.unwrap_or(DEFAULT_SIZE)),
            content_types: types(&request.content_types)?,
        };
        service.store.metadata.add_link(&kept).await?;
        Ok(CreateDropLinkResponse {
            put_uri: format!("/_/v0/drop/?access_token={}", link.sign(&service.keys)),
            expires_at: link.expires_at.map(timestamp),
            link_id: Some(link.id.into()),
        })
    }
}

/// `type/subtype` or `type/*`, in small letters.
fn types(given: &[String]) -> Result<Vec<String>> {
    let wrong = || Error::invalid("content_types", "up to 32 of them, such as image/png or image/*");
    if given.len() > MAX_TYPES {
        return Err(wrong());
    }
    // A comma is between them where they are kept, so it is good that it is not among these.
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    let check = |text: &String| match text.trim().to_ascii_lowercase().split_once('/') {
        Some((kind, subtype))
            if text.len() <= 127 && is_token(kind) && (subtype == "*" || is_token(subtype)) =>
        {
            Ok(format!("{kind}/{subtype}"))
        }
        _ => Err(wrong()),
    };
    given.iter().map(check).collect()
}

/// The bearer of a drop link, and what it takes.
pub struct Inlet {
    link: DropLink,
    row: KeptLink,
}

impl Inlet {
    /// What it is called; may be empty.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.row.name
    }

    /// The largest file, in bytes.
    #[must_use]
    pub fn max_size(&self) -> u64 {
        self.row.max_size.unwrap_or(DEFAULT_SIZE)
    }

    /// `type/subtype` or `type/*`; none of them means all.
    #[must_use]
    pub fn content_types(&self) -> &[String] {
        &self.row.content_types
    }

    /// How many more files.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.row.max_uses.map_or(0, |most| most.saturating_sub(self.row.uses))
    }

    /// Until when.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.row.expires_at
    }

    /// Whether it takes contents of this type; its parameters do not matter.
    fn takes(&self, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let kind = essence.split('/').next().unwrap_or_default();
        let fits = |wanted: &String| match wanted.strip_suffix("/*") {
            Some(wanted) => wanted == kind,
            None => *wanted == essence,
        };
        self.row.content_types.is_empty() || self.row.content_types.iter().any(fits)
    }
}

/// A file on its way in by a drop link. It has one of the link's files until it is dropped unfinished.
pub struct Arrival {
    writer: Writer,
    link: DropLink,
    path: Path,
    max_size: u64,
    size: u64,
    reserved: Reserved,
}

impl Arrival {
    /// Takes more bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond what the link takes, and [`Writer::write`]'s; the file is lost then.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.size > self.max_size {
            return Err(too_large(self.max_size));
        }
        self.writer.write(bytes).await
    }

    /// Lets go of what has come so far.
    pub async fn abandon(self) {
        self.writer.abandon().await;
        self.reserved.give_back().await;
    }
}

/// There is something where nothing was expected.
fn name_is_taken(error: Error) -> Error {
    match error {
        Error::Conflict(_) => Error::Taken("the name"),
        error => error,
    }
}

fn too_large(max_size: u64) -> Error {
    Error::TooLarge(format!("a file has at most {max_size} bytes here"))
}

/// One of the files of a link, counted before it comes: many at once must not be more than one by one.
struct Reserved {
    store: Arc<dyn cacheroach_store::Metadata>,
    link: LinkId,
    /// Whether it is given back when this is dropped.
    open: bool,
}

impl Reserved {
    async fn give_back(mut self) {
        self.open = false;
        if let Err(error) = self.store.return_use(self.link).await {
            tracing::warn!(%error, "a use of a drop link is lost");
        }
    }
}

impl Drop for Reserved {
    /// The client went away in the middle.
    fn drop(&mut self) {
        if let (true, Ok(runtime)) = (self.open, tokio::runtime::Handle::try_current()) {
            let (store, link) = (Arc::clone(&self.store), self.link);
            runtime.spawn(async move {
                if let Err(error) = store.return_use(link).await {
                    tracing::warn!(%error, "a use of a drop link is lost");
                }
            });
        }
    }
}

impl Service {
    /// Whoever holds a drop link and is where it can be used from, if its signer may still write in the directory: by any
    /// live session.
    ///
    /// # Errors
    /// [`Error::Denied`] outside of its networks; [`Error::Unauthenticated`] for anything else.
    pub async fn follow_drop(&self, token: &str, peer: Option<IpAddr>) -> Result<Inlet> {
        let link = DropLink::verify(&self.keys, token, self.now())?;
        self.must_be_young(link.issued_at)?;
        let row = self.store.metadata.find_link(link.id).await?;
        let networks = row.as_ref().map(|row| row.networks.clone()).unwrap_or_default();
        must_be_there(row.as_ref(), true, &networks, peer)?;
        let row = row.ok_or_else(|| Error::internal("a drop link without a row"))?;
        self.dropper_may_write(&link, Goal::Listing(link.dir.clone())).await?;
        Ok(Inlet { link, row })
    }

    /// Begins with one file of a drop link, under a name of the client's.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no name of a file, or is one that stands for a directory; [`Error::MediaType`] for a
    /// type that is not taken; [`Error::Taken`] for a name that is there, of a file or a directory; [`Error::Denied`] when there were as many files as may come.
    pub async fn begin_arrival(&self, inlet: &Inlet, name: &str, content_type: &str) -> Result<Arrival> {
        if name.is_empty() {
            return Err(Error::invalid("name", "which file"));
        }
        check_name("name", name)?;
        if !inlet.takes(content_type) {
            let taken = inlet.content_types().join(", ");
            return Err(Error::MediaType(format!("files of these types are taken here: {taken}")));
        }
        let link = inlet.link.clone();
        let mut path = format!("{}{name}", link.dir.prefix());
        let tenant = Some(link.tenant.into());
        canonical_file(tenant.as_ref(), &mut path, 0)?;
        let (_, path) = place(tenant.as_ref(), &path)?;
        self.dropper_may_write(&link, Goal::File(path.clone())).await?;
        self.must_hide_nothing(link.tenant, &path).await?;
        self.may_change()?;
        if !self.store.metadata.use_link(link.id).await? {
            return Err(Error::denied("no more files are taken by this link"));
        }
        let reserved = Reserved { store: Arc::clone(&self.store.metadata), link: link.id, open: true };
        let caller = self.callers.caller(link.as_session(&path), None, self.callers.seen()).await?;
        let request = WriteRequest {
            tenant,
            path: path.to_string(),
            content_type: content_type.to_owned(),
            // What is there is never written over, nor is what comes there in the meantime.
            expected_version: -1,
            ..Default::default()
        };
        let begun = self.call::<contents::Write>(&caller, request).await.map_err(name_is_taken);
        match begun {
            Ok(writer) => Ok(Arrival { writer, link, path, max_size: inlet.max_size(), size: 0, reserved }),
            Err(error) => {
                reserved.give_back().await;
                Err(error)
            }
        }
    }

    /// Makes what has come a file, if that may still be: the link may have ended or been taken back while it came.
    ///
    /// # Errors
    /// As [`Service::begin_arrival`]; nothing is visible then.
    pub async fn finish_arrival(&self, mut arrival: Arrival) -> Result<Written> {
        if let Err(error) = self.may_finish(&arrival).await {
            arrival.abandon().await;
            return Err(error);
        }
        // From here on the file may be there whether or not anybody waits for the answer: only a failure gives back.
        arrival.reserved.open = false;
        match arrival.writer.finish().await.map_err(name_is_taken) {
            Ok(written) => Ok(written),
            Err(error) => {
                arrival.reserved.give_back().await;
                Err(error)
            }
        }
    }

    async fn may_finish(&self, arrival: &Arrival) -> Result<()> {
        let link = &arrival.link;
        if link.expires_at.is_some_and(|end| end <= self.now()) {
            return Err(Error::Unauthenticated("this link is over".into()));
        }
        self.must_be_young(link.issued_at)?;
        let row = self.store.metadata.find_link(link.id).await?;
        must_be_there(row.as_ref(), true, &cacheroach_model::Networks::default(), None)?;
        self.dropper_may_write(link, Goal::File(arrival.path.clone())).await
    }

    /// A browser is shown a file in the place of the directory of its name, and a page in the place of the directory it is
    /// in. So neither may come by a link: it would write over what is there as far as anybody can see.
    async fn must_hide_nothing(&self, tenant: TenantId, path: &Path) -> Result<()> {
        if self.is_index(tenant, path.name()).await? {
            return Err(Error::invalid("name", "a file of this name is shown in the place of the directory"));
        }
        let below = Browsing { tenant, dir: path.clone(), after: None, past: None, limit: 1 };
        match self.store.metadata.browse(&below).await?.is_empty() {
            true => Ok(()),
            false => Err(Error::Taken("the name")),
        }
    }

    async fn dropper_may_write(&self, link: &DropLink, goal: Goal) -> Result<()> {
        let want = Want::Path(link.tenant, goal, None);
        if self.callers.signer_may(link.principal, link.expires_at, Capabilities::WRITE, &want).await? {
            Ok(())
        } else {
            Err(Error::Unauthenticated("who made this link may no longer write here".into()))
        }
    }
}
