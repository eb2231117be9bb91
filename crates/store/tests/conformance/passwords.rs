//! Cases for passwords.

use cacheroach_model::PrincipalId;
use cacheroach_store::Error;
use cacheroach_store::passwords::Password;

use crate::subject::Subject;

fn password(principal: PrincipalId, user: &str, hash: &str) -> Password {
    Password { principal, user: user.into(), hash: hash.into() }
}

pub(crate) async fn a_password_is_set_found_changed_and_taken_away(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (id, other) = (subject.principal(None, None).await, subject.principal(None, None).await);
    assert_eq!(metadata.find_password(id).await.unwrap(), None);
    assert_eq!(metadata.find_password_by_user("alice").await.unwrap(), None);

    let first = password(id, "alice", "$one");
    metadata.set_password(&first, None).await.unwrap();
    metadata.set_password(&password(other, "bob@example.com", "$other"), None).await.unwrap();
    assert_eq!(metadata.find_password(id).await.unwrap(), Some(first.clone()));
    assert_eq!(metadata.find_password_by_user("alice").await.unwrap(), Some(first));

    let second = password(id, "Alice B.", "$two");
    metadata.set_password(&second, None).await.unwrap();
    assert_eq!(metadata.find_password_by_user("alice").await.unwrap(), None);
    drop(metadata);
    subject.open().await;
    let metadata = subject.store().metadata;
    assert_eq!(metadata.find_password_by_user("Alice B.").await.unwrap(), Some(second));

    for _ in 0..2 {
        metadata.delete_password(id).await.unwrap();
        assert_eq!(metadata.find_password(id).await.unwrap(), None);
    }
    assert!(metadata.find_password(other).await.unwrap().is_some());
    let nobody = password(PrincipalId::new(subject.id()), "nobody", "$");
    assert!(matches!(metadata.set_password(&nobody, None).await, Err(Error::Missing("principal"))));
}

pub(crate) async fn a_user_is_one_principal_in_whatever_case(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (id, other) = (subject.principal(None, None).await, subject.principal(None, None).await);
    metadata.set_password(&password(id, "J\u{fc}rgen", "$"), None).await.unwrap();
    let same = password(other, "j\u{dc}RGEN", "$");
    assert!(matches!(metadata.set_password(&same, None).await, Err(Error::Taken("user"))));
    assert_eq!(metadata.find_password(other).await.unwrap(), None);
    // It is looked up as it is spelled, and may be spelled anew by its owner.
    assert_eq!(metadata.find_password_by_user("j\u{fc}rgen").await.unwrap(), None);
    metadata.set_password(&password(id, "j\u{fc}rgen", "$"), None).await.unwrap();
    assert!(metadata.find_password_by_user("j\u{fc}rgen").await.unwrap().is_some());
}

pub(crate) async fn p8_a_password_that_was_changed_meanwhile_stays(subject: &Subject) {
    let metadata = subject.store().metadata;
    let id = subject.principal(None, None).await;
    let (one, two) = (password(id, "alice", "$one"), password(id, "alice", "$two"));
    assert!(matches!(metadata.set_password(&two, Some("$one")).await, Err(Error::Skew)));
    metadata.set_password(&one, None).await.unwrap();
    metadata.set_password(&two, Some("$one")).await.unwrap();
    assert!(matches!(metadata.set_password(&one, Some("$one")).await, Err(Error::Skew)));
    assert_eq!(metadata.find_password(id).await.unwrap(), Some(two));
}

pub(crate) async fn a_principal_takes_its_password_with_it(subject: &Subject) {
    let metadata = subject.store().metadata;
    let (gone, kept) = (subject.principal(None, None).await, subject.principal(None, None).await);
    metadata.set_password(&password(gone, "gone", "$"), None).await.unwrap();
    metadata.set_password(&password(kept, "kept", "$"), None).await.unwrap();
    metadata.delete_principal(gone, 1).await.unwrap();
    assert_eq!(metadata.find_password_by_user("gone").await.unwrap(), None);
    assert!(metadata.find_password_by_user("kept").await.unwrap().is_some());
    metadata.set_password(&password(kept, "gone", "$"), None).await.unwrap();
}
