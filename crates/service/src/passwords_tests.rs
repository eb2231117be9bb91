//! What can't be seen from outside.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cacheroach_api::method::tokens;
use cacheroach_api::token::LoginRequest;
use cacheroach_auth::Keys;

use super::*;
use crate::Settings;
use crate::seams::{Fresh, Still};

/// P13: how long an answer takes tells nothing: the same is computed, whoever is asked for.
#[tokio::test]
async fn p13_an_unknown_user_costs_the_work_of_a_known_one() {
    let dir = tempfile::tempdir().unwrap();
    let at = cacheroach_store::Settings::new(
        cacheroach_store::Location::Sqlite(dir.path().to_owned()),
        cacheroach_store::Tier::Memory,
    );
    let store = cacheroach_store::open(&at, Arc::new(Still)).await.unwrap();
    let keys = Keys::parse(&["BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=".to_owned()]).unwrap();
    let service = Service::new(store, keys, Arc::new(Still), Arc::new(Fresh), Settings::default());
    service.bootstrap().await.unwrap();
    let id = PrincipalId::new([1; 16]);
    let principal = cacheroach_model::Principal {
        id,
        label: "alice".into(),
        version: 0,
        claims: None,
        email: None,
        email_domain: None,
    };
    service.store.metadata.ensure_principal(&principal).await.unwrap();
    service.keep(id, "alice".into(), "correct horse".into(), None).await.unwrap();

    let nobody = service.anonymous().await.unwrap();
    let mut texts = Vec::new();
    for (user, password) in [("alice", "wrong horse"), ("bob", "correct horse"), ("ALICE", "correct horse")] {
        let before = service.hashing.compared.load(Ordering::SeqCst);
        let request = LoginRequest { user: user.into(), password: password.into(), valid_for: None };
        texts.push(service.call::<tokens::Login>(&nobody, request).await.unwrap_err().to_string());
        assert_eq!(service.hashing.compared.load(Ordering::SeqCst), before + 1, "{user}");
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    let request = LoginRequest { user: "alice".into(), password: "correct horse".into(), valid_for: None };
    service.call::<tokens::Login>(&nobody, request).await.unwrap();
}
