//! What the requests are about: for each kind of scope two tenants with files and hosts, for each caller two principals
//! with sessions.

use std::sync::Arc;

use cacheroach_api::{file, session, upload};
use cacheroach_model::{Capabilities, PrincipalId, TenantId};
use serde_json::json;

use crate::callers::Kind;
use crate::oracle::{Held, Scope, Set, Tenant, Version, Whose};
use crate::support::{Server, Template, on_everything, on_principal, on_tenant};
use crate::table::{At, FILES, Kept};

/// The tenants of a kind of scope. Its callers come one after the other.
pub(crate) struct World {
    pub(crate) server: Arc<Server>,
    own: TenantId,
    other: TenantId,
    /// Uploads that a superuser began: one to commit, and one to go on with.
    uploads: Vec<(Tenant, &'static str, [upload::TransferState; 4])>,
    /// Signed by a superuser. Taken back once they are no less.
    links: Vec<(Tenant, file::link::Id)>,
}

/// A caller on the wire.
pub(crate) struct Known {
    /// None: empty.
    pub(crate) token: String,
    /// Of sessions like its own, to be used up.
    pub(crate) to_refresh: String,
    pub(crate) to_end: String,
    pub(crate) to_log_out: String,
    pub(crate) own: PrincipalId,
    pub(crate) another: PrincipalId,
    /// The address of the other principal.
    pub(crate) address: String,
    kept: Vec<(session::Id, String)>,
}

/// What each version number is when there are two.
const OLDER: i64 = 1;
const CURRENT: i64 = 2;
pub(crate) const MISSING: i64 = 1_000_000;

impl World {
    pub(crate) async fn new(server: &Arc<Server>) -> Self {
        let (own, other) = (server.tenant().await, server.tenant().await);
        let mut world = World { server: server.clone(), own, other, uploads: Vec::new(), links: Vec::new() };
        for tenant in [Tenant::Own, Tenant::Other] {
            server.vhost(&world.host(tenant), world.tenant(tenant)).await;
            world.fill(tenant).await;
            for path in ["/dir/file", "/other/up"] {
                let upload = async || world.upload(tenant, path).await;
                let states = [upload().await, upload().await, upload().await, upload().await];
                world.uploads.push((tenant, path, states));
            }
            let link = world.sign(tenant).await;
            world.links.push((tenant, link));
            // Twice: the files have two versions.
            world.fill(tenant).await;
        }
        world
    }

    async fn upload(&self, tenant: Tenant, path: &str) -> upload::TransferState {
        let mut uploads = self.server.uploads(&self.server.super_token());
        let begin = upload::BeginRequest {
            tenant: Some(self.tenant(tenant).into()),
            path: path.into(),
            ..Default::default()
        };
        uploads.begin(begin).await.unwrap().into_inner().state.unwrap()
    }

    async fn sign(&self, tenant: Tenant) -> file::link::Id {
        let tenant = Some(self.tenant(tenant).into());
        let request =
            file::RetrievalRequest { tenant, path: "/dir/file".into(), listed: true, ..Default::default() };
        let mut files = self.server.files(&self.server.super_token());
        files.retrieve(request).await.unwrap().into_inner().link_id.unwrap()
    }

    /// The link to a file there.
    pub(crate) fn link(&self, at: At) -> file::link::Id {
        self.links.iter().find(|(tenant, _)| *tenant == at.0).unwrap().1.clone()
    }

    pub(crate) fn tenant(&self, tenant: Tenant) -> TenantId {
        match tenant {
            Tenant::Own => self.own,
            Tenant::Other => self.other,
            Tenant::Public => TenantId::new([0x0a; 16]),
        }
    }

    pub(crate) fn host(&self, tenant: Tenant) -> String {
        format!("{}.example", self.tenant(tenant))
    }

    /// What was begun there: to be committed, to be gone on with, to be offered to, and to be streamed to. Each of it may be repeated (D9).
    pub(crate) fn states(&self, at: At) -> [upload::TransferState; 4] {
        let found = self.uploads.iter().find(|(tenant, path, _)| (*tenant, *path) == (at.0, at.1));
        found.unwrap_or_else(|| panic!("no upload was begun for {at:?}")).2.clone()
    }

    /// Puts all files there, again if they are there.
    pub(crate) async fn fill(&self, tenant: Tenant) {
        for path in FILES {
            self.server.put(self.tenant(tenant), path, "content").await;
        }
    }

    /// Takes away a file that stands in the way of others.
    pub(crate) async fn delete(&self, At(tenant, path, _): At) {
        let tenant = Some(self.tenant(tenant).into());
        let request = file::DeleteRequest { tenant, path: path.into(), ..Default::default() };
        self.server.files(&self.server.super_token()).delete(request).await.unwrap();
    }

    /// The same in the tenant that is everybody's.
    pub(crate) async fn fill_public(server: &Server) {
        for path in FILES {
            server.put(TenantId::new([0x0a; 16]), path, "content").await;
        }
    }

    /// The number of a version as it is now.
    pub(crate) async fn number(&self, At(tenant, path, version): At) -> i64 {
        match version {
            Version::Any => 0,
            Version::Older => OLDER,
            Version::Missing => MISSING,
            Version::Current => {
                let tenant = Some(self.tenant(tenant).into());
                let request = file::StatRequest { tenant, path: path.into(), version: 0 };
                self.server
                    .files(&self.server.super_token())
                    .stat(request)
                    .await
                    .unwrap()
                    .into_inner()
                    .version
            }
        }
    }

    /// A caller of this kind.
    pub(crate) async fn caller(&self, kind: &Kind, capabilities: Set, name: &str) -> Known {
        let server = &self.server;
        let address =
            |who| (format!("{who}@{name}.example"), json!({ "email": format!("{who}@{name}.example") }));
        let (_, claims) = address("own");
        let own = server.principal_with(&claims, "").await;
        let (address, claims) = address("another");
        // Not of the domain that may be inherited from.
        let address = address.replace(".example", ".test");
        let claims = json!({ "email": claims["email"].as_str().unwrap().replace(".example", ".test") });
        let another = server.principal_with(&claims, "").await;
        let mut known = Known {
            token: String::new(),
            to_refresh: String::new(),
            to_end: String::new(),
            to_log_out: String::new(),
            own,
            another,
            address,
            kept: Vec::new(),
        };
        for (by, held) in kind.grants {
            let holder = match (by, kind.inherited) {
                (Whose::Own, true) => {
                    server.principal_with(&serde_json::Value::Null, &format!("{name}.example")).await
                }
                _ => known.principal(*by),
            };
            server.issue(&self.template(&known, holder, *held)).await;
        }
        // Sessions of no use to their holders.
        let nothing = Capabilities::NONE;
        for template in [
            on_tenant(own, nothing, self.own, "/kept"),
            on_principal(another, nothing, another),
            on_tenant(another, nothing, self.own, "/kept"),
        ] {
            let (session, token) = server.issue_session(&template).await;
            known.kept.push((session.id.unwrap(), token));
        }
        if let Some(scope) = kind.scope {
            let template = self.template(&known, own, Held { capabilities, scope });
            known.token = server.issue(&template).await;
            known.to_refresh = server.issue(&template).await;
            known.to_end = server.issue(&template).await;
            known.to_log_out = server.issue(&template).await;
        }
        known
    }

    pub(crate) fn template(&self, known: &Known, holder: PrincipalId, held: Held) -> Template {
        let capabilities = Capabilities::from_bits(held.capabilities);
        match held.scope {
            Scope::Everything => Template { capabilities, ..on_everything(holder) },
            Scope::Principal(whose) => on_principal(holder, capabilities, known.principal(whose)),
            Scope::Path(tenant, path, version) => {
                let template = on_tenant(holder, capabilities, self.tenant(tenant), path);
                match version {
                    Version::Any => template,
                    Version::Older => template.of_version(OLDER),
                    Version::Current => template.of_version(CURRENT),
                    Version::Missing => template.of_version(MISSING),
                }
            }
        }
    }

    /// One session that was ended is to be there again.
    pub(crate) async fn renew(&self, known: &mut Known, kept: Kept) {
        let nothing = Capabilities::NONE;
        let (at, template) = match kept {
            Kept::Own => (0, on_tenant(known.own, nothing, self.own, "/kept")),
            Kept::Anothers => (1, on_principal(known.another, nothing, known.another)),
            Kept::AnothersOnTenant => (2, on_tenant(known.another, nothing, self.own, "/kept")),
            Kept::None | Kept::Current => return,
        };
        let (session, token) = self.server.issue_session(&template).await;
        known.kept[at] = (session.id.unwrap(), token);
    }
}

impl Known {
    pub(crate) fn principal(&self, whose: Whose) -> PrincipalId {
        match whose {
            Whose::Own => self.own,
            Whose::Another => self.another,
        }
    }

    /// The id of a session, and its token.
    pub(crate) fn session(&self, kept: Kept) -> (session::Id, String) {
        match kept {
            Kept::Own => self.kept[0].clone(),
            Kept::Anothers => self.kept[1].clone(),
            Kept::AnothersOnTenant => self.kept[2].clone(),
            Kept::None | Kept::Current => (session::Id { data: vec![1; 16] }, String::new()),
        }
    }
}
