//! Cases for files.

use std::collections::BTreeMap;
use std::time::Duration;

use cacheroach_model::{Entry, Expected, Metadata, Path, TenantId, Version};
use cacheroach_store::Error;
use cacheroach_store::files::{Browsing, Copy, CopyBelow, Listing, Moment, NewFile, PIECES_PAGE, Piece};

use crate::subject::{Subject, hash, path};

pub(crate) async fn what_is_put_is_found_and_read(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let pairs = BTreeMap::from([("k".to_owned(), "v\u{e9}".to_owned())]);
    let file = NewFile {
        metadata: Metadata::parse(pairs).unwrap(),
        ..subject.file(tenant, "/a b/\u{e9}", b"content")
    };
    let version = metadata.put_file(&file, "content".into()).await.unwrap();
    let found = metadata.find_file(tenant, &file.path, None).await.unwrap().unwrap();
    assert_eq!((found.version, found.size, found.hash), (version, 7, hash(b"content")));
    assert_eq!(
        (&found.path, &found.content_type, &found.metadata),
        (&file.path, &file.content_type, &file.metadata)
    );
    assert_eq!((found.created_at, found.modified_at), (subject.now(), subject.now()));
    assert_eq!(subject.read(tenant, "/a b/\u{e9}", None).await.unwrap(), b"content");
    subject.put(tenant, "/empty", b"").await;
    assert_eq!(subject.read(tenant, "/empty", None).await.unwrap(), b"");
    assert_eq!(subject.read(tenant, "/none", None).await, None);
}

pub(crate) async fn versions_only_grow_and_stay_readable(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let created = subject.now();
    for (version, content) in [(1, b"one"), (2, b"two"), (3, b"one")] {
        assert_eq!(subject.put(tenant, "/a", content).await, Version(version));
        subject.advance(Duration::from_secs(1));
    }
    let head = metadata.find_file(tenant, &path("/a"), None).await.unwrap().unwrap();
    assert_eq!((head.version, head.created_at), (Version(3), created));
    assert_eq!(subject.read(tenant, "/a", Some(Version(2))).await.unwrap(), b"two");
    assert_eq!(subject.read(tenant, "/a", Some(Version(4))).await, None);
    let past = metadata.find_file(tenant, &path("/a"), Some(Version(2))).await.unwrap().unwrap();
    assert_eq!((past.version, past.hash), (Version(2), hash(b"two")));
    assert!(metadata.find_file(tenant, &path("/a"), Some(Version(4))).await.unwrap().is_none());
}

pub(crate) async fn a_deleted_file_is_gone_in_all_versions_and_comes_back_anew(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    subject.put(tenant, "/a", b"one").await;
    subject.put(tenant, "/a", b"two").await;
    subject.put(tenant, "/a/b", b"other").await;
    assert!(metadata.delete_file(tenant, &path("/a"), Expected::Anything).await.unwrap());
    assert!(!metadata.delete_file(tenant, &path("/a"), Expected::Anything).await.unwrap());
    for version in [None, Some(Version(1)), Some(Version(2))] {
        assert_eq!(subject.read(tenant, "/a", version).await, None);
    }
    assert_eq!(subject.read(tenant, "/a/b", None).await.unwrap(), b"other");
    subject.advance(Duration::from_secs(1));
    assert_eq!(subject.put(tenant, "/a", b"three").await, Version(3), "the numbers go on");
    let head = metadata.find_file(tenant, &path("/a"), None).await.unwrap().unwrap();
    assert_eq!(head.created_at, subject.now(), "c23: it is a new file");
    assert_eq!(subject.read(tenant, "/a", Some(Version(2))).await, None);
}

pub(crate) async fn equal_contents_of_a_tenant_share_a_rope(subject: &Subject) {
    let (one, two, metadata) = (subject.tenant().await, subject.tenant().await, subject.store().metadata);
    subject.put(one, "/a", b"same").await;
    subject.put(one, "/b", b"same").await;
    subject.put(two, "/a", b"same").await;
    let rope = async |tenant: TenantId, at: &str| {
        metadata.find_file(tenant, &path(at), None).await.unwrap().unwrap().rope.unwrap()
    };
    assert_eq!(rope(one, "/a").await, rope(one, "/b").await);
    assert_ne!(rope(one, "/a").await, rope(two, "/a").await, "p7: never across tenants");
    assert!(metadata.list_pieces(two, rope(one, "/a").await, 0..4).await.unwrap().is_empty());
}

pub(crate) async fn a_file_needs_its_tenant(subject: &Subject) {
    let nowhere = subject.file(TenantId::new(subject.id()), "/a", b"a");
    assert!(matches!(
        subject.store().metadata.put_file(&nowhere, "a".into()).await,
        Err(Error::Missing("tenant"))
    ));
}

async fn list(
    subject: &Subject,
    tenant: TenantId,
    exactly: Option<&str>,
    below: Option<&str>,
) -> Vec<String> {
    let mut listing = Listing {
        tenant,
        exactly: exactly.map(path),
        below: below.map(|below| Path::parse(below).unwrap()),
        after: None,
        at: Moment::Now,
        limit: 2,
    };
    let mut found = Vec::new();
    loop {
        let page = subject.store().metadata.list_files(&listing).await.unwrap();
        assert!(page.files.len() <= 2);
        found.extend(page.files.iter().map(|file| file.path.to_string()));
        match page.next {
            None => return found,
            next => listing.after = next,
        }
    }
}

pub(crate) async fn s12_names_are_bytes_in_listings(subject: &Subject) {
    let tenant = subject.tenant().await;
    let mut names = [
        "/a",
        "/a!x",
        "/a-b",
        "/a.b",
        "/a/!",
        "/a/b",
        "/a/b/c",
        "/a/\u{e9}",
        "/a0",
        "/a_b",
        "/aXb",
        "/a%b",
        "/A",
        "/'",
    ];
    for name in names {
        subject.put(tenant, name, b"x").await;
    }
    names.sort_unstable();
    assert_eq!(list(subject, tenant, None, Some("/")).await, names);
    assert_eq!(
        list(subject, tenant, Some("/a"), Some("/a")).await,
        ["/a", "/a/!", "/a/b", "/a/b/c", "/a/\u{e9}"]
    );
    assert_eq!(list(subject, tenant, None, Some("/a")).await, ["/a/!", "/a/b", "/a/b/c", "/a/\u{e9}"]);
    assert_eq!(list(subject, tenant, Some("/a_b"), Some("/a_b")).await, ["/a_b"]);
    assert_eq!(list(subject, tenant, Some("/a%b"), None).await, ["/a%b"]);
    assert_eq!(list(subject, tenant, Some("/none"), Some("/none")).await, [""; 0]);
}

pub(crate) fn browsing(tenant: TenantId, dir: &Path, after: Option<&str>, limit: usize) -> Browsing {
    Browsing { tenant, dir: dir.clone(), after: after.map(str::to_owned), past: None, limit }
}

pub(crate) async fn a_directory_shows_what_is_right_in_it(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    for name in ["/d/a", "/d/a/x", "/d/a/y/z", "/d/a-b", "/d/b/1", "/d/b/2", "/d/b0", "/d/c", "/e", "/d"] {
        subject.put(tenant, name, b"x").await;
    }
    let expected = ["a", "a-b", "a/", "b/", "b0", "c"];
    let dir = Path::parse("/d").unwrap();
    for limit in 1..=7 {
        let mut shown: Vec<String> = Vec::new();
        loop {
            let after = shown.last().map(String::as_str);
            let page = metadata.browse(&browsing(tenant, &dir, after, limit)).await.unwrap();
            let full = page.len() == limit;
            shown.extend(page.iter().map(|entry| match entry {
                Entry::Directory(name) => format!("{name}/"),
                Entry::File(file) => file.path.name().to_owned(),
            }));
            if !full {
                break;
            }
        }
        assert_eq!(shown, expected, "{limit} at a time");
    }
    let top = metadata.browse(&browsing(tenant, &Path::root(), None, 9)).await.unwrap();
    assert_eq!(top.iter().map(Entry::name).collect::<Vec<_>>(), ["d", "d", "e"]);
    assert!(
        metadata.browse(&browsing(tenant, &Path::parse("/none").unwrap(), None, 9)).await.unwrap().is_empty()
    );
}

pub(crate) async fn a_listing_is_of_its_time(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    for name in ["/changed", "/deleted", "/kept"] {
        subject.put(tenant, name, b"old").await;
    }
    let as_of = subject.now();
    subject.advance(Duration::from_secs(1));
    subject.put(tenant, "/changed", b"newer").await;
    subject.put(tenant, "/new", b"new").await;
    metadata.delete_file(tenant, &path("/deleted"), Expected::Anything).await.unwrap();
    let listing =
        |at| Listing { tenant, exactly: None, below: Some(Path::root()), after: None, at, limit: 9 };
    let shown = async |at| {
        let page = metadata.list_files(&listing(at)).await.unwrap();
        page.files
            .iter()
            .map(|file| format!("{} {} {}", file.path, file.version.0, file.size))
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(Moment::Steady(as_of)).await, ["/changed 1 3", "/kept 1 3"]);
    assert_eq!(shown(Moment::Past(as_of)).await, ["/changed 1 3", "/deleted 1 3", "/kept 1 3"]);
    assert_eq!(shown(Moment::Now).await, ["/changed 2 5", "/kept 1 3", "/new 1 3"]);
}

pub(crate) async fn pieces_are_found_from_any_byte_on(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let chunks: Vec<Vec<u8>> =
        (0..PIECES_PAGE + 3).map(|at| vec![u8::try_from(at).unwrap(); 1 + at % 5]).collect();
    let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
    subject.upload(tenant, "/a", &slices).await;
    let (file, first) = metadata.open_file(tenant, &path("/a"), None).await.unwrap().unwrap();
    assert_eq!(first.len(), PIECES_PAGE);
    for at in 0..file.size {
        let pieces = async |to| metadata.list_pieces(tenant, file.rope.unwrap(), at..to).await.unwrap();
        let holds = |piece: &Piece| piece.at <= at && at < piece.at + u64::from(piece.length);
        let all = pieces(u64::MAX).await;
        assert!(holds(&all[0]), "byte {at}");
        assert!(
            all.len() == PIECES_PAGE
                || all.last().is_some_and(|last| last.at + u64::from(last.length) == file.size)
        );
        // None that is not asked for.
        assert_eq!(pieces(at + 1).await.len(), 1, "byte {at}");
        for to in [at + 2, at + 7] {
            let wanted: Vec<u64> = all.iter().map(|piece| piece.at).filter(|begun| *begun < to).collect();
            assert_eq!(
                pieces(to).await.iter().map(|piece| piece.at).collect::<Vec<_>>(),
                wanted,
                "bytes {at} to {to}"
            );
        }
    }
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), chunks.concat());
}

fn copy(tenant: TenantId, from: &str, to: &str) -> Copy {
    Copy {
        tenant,
        from: path(from),
        version: None,
        to: path(to),
        expected: Expected::Anything,
        described: None,
        moved: false,
        unless_same: true,
    }
}

pub(crate) async fn a_change_is_made_from_what_was_expected_or_not_at_all(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let put = async |expected| {
        let file = NewFile { expected, ..subject.file(tenant, "/a", b"x") };
        metadata.put_file(&file, "x".into()).await
    };
    let one = Expected::Version(Version(1));
    assert!(matches!(put(one).await, Err(Error::Skew)));
    assert_eq!(put(Expected::Nothing).await.unwrap(), Version(1));
    assert!(matches!(put(Expected::Nothing).await, Err(Error::Skew)));
    assert_eq!(put(one).await.unwrap(), Version(2));
    assert!(matches!(put(one).await, Err(Error::Skew)));
    assert!(matches!(metadata.delete_file(tenant, &path("/a"), one).await, Err(Error::Skew)));
    let skewed = Copy { expected: Expected::Nothing, ..copy(tenant, "/a", "/a") };
    assert!(matches!(metadata.copy_file(&skewed).await, Err(Error::Skew)));
    assert!(metadata.delete_file(tenant, &path("/a"), Expected::Version(Version(2))).await.unwrap());
    assert!(matches!(put(one).await, Err(Error::Skew)), "a deleted version is not the current one");
    assert_eq!(put(Expected::Nothing).await.unwrap(), Version(3), "and a deleted file is none");
}

pub(crate) async fn f21_of_many_with_one_expectation_one_wins(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let writes = (0..20).map(|seed: u8| {
        let file = NewFile { expected: Expected::Nothing, ..subject.file(tenant, "/a", &[seed]) };
        let metadata = metadata.clone();
        async move { metadata.put_file(&file, vec![seed].into()).await }
    });
    let outcomes = futures::future::join_all(writes).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::Skew))));
}

pub(crate) async fn versions_are_listed_deleted_ones_too(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    for content in [b"1", b"2"] {
        subject.put(tenant, "/a", content).await;
    }
    metadata.delete_file(tenant, &path("/a"), Expected::Anything).await.unwrap();
    let deleted_at = Some(subject.now());
    subject.advance(Duration::from_secs(1));
    subject.put(tenant, "/a", b"3").await;
    subject.put(tenant, "/a/b", b"other").await;
    let all = metadata.list_versions(tenant, &path("/a"), None, 9).await.unwrap();
    let shown: Vec<_> = all.iter().map(|past| (past.file.version.0, past.deleted_at)).collect();
    assert_eq!(shown, [(3, None), (2, deleted_at), (1, deleted_at)]);
    let page = metadata.list_versions(tenant, &path("/a"), Some(Version(3)), 1).await.unwrap();
    assert_eq!(page.iter().map(|past| past.file.version.0).collect::<Vec<_>>(), [2]);
    assert!(metadata.list_versions(tenant, &path("/none"), None, 9).await.unwrap().is_empty());
}

pub(crate) async fn a_copy_is_a_version_of_the_same_content(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let pairs = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    let described = Metadata::parse(pairs).unwrap();
    let file = NewFile { metadata: described.clone(), ..subject.file(tenant, "/a", b"one") };
    metadata.put_file(&file, "one".into()).await.unwrap();
    subject.put(tenant, "/a", b"two").await;
    subject.advance(Duration::from_secs(1));
    let old = Copy { version: Some(Version(1)), ..copy(tenant, "/a", "/b") };
    let made = metadata.copy_file(&old).await.unwrap().unwrap();
    assert_eq!((made.version, made.metadata, made.created_at), (Version(1), described, subject.now()));
    assert_eq!(subject.read(tenant, "/b", None).await.unwrap(), b"one");
    let again = metadata.copy_file(&old).await.unwrap().unwrap();
    assert_eq!(again.version, Version(1), "p5: a repeated copy makes nothing new");
    let anyway = metadata.copy_file(&Copy { unless_same: false, ..old.clone() }).await.unwrap().unwrap();
    assert_eq!(anyway.version, Version(2), "a26: unless that would tell what is there");
    assert!(metadata.copy_file(&copy(tenant, "/none", "/b")).await.unwrap().is_none());
    let anew = Copy { described: Some(("text/y".into(), Metadata::default())), ..copy(tenant, "/b", "/b") };
    let edited = metadata.copy_file(&anew).await.unwrap().unwrap();
    assert_eq!((edited.version, edited.content_type.as_str()), (Version(3), "text/y"));
}

pub(crate) async fn a_deleted_version_comes_back_as_a_new_one(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let created = subject.now();
    subject.put(tenant, "/a", b"one").await;
    subject.put(tenant, "/a", b"two").await;
    metadata.delete_file(tenant, &path("/a"), Expected::Anything).await.unwrap();
    subject.advance(Duration::from_secs(1));
    let back = Copy { version: Some(Version(2)), ..copy(tenant, "/a", "/a") };
    let restored = metadata.copy_file(&back).await.unwrap().unwrap();
    assert_eq!((restored.version, restored.created_at), (Version(3), created));
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), b"two");
    assert_eq!(subject.read(tenant, "/a", Some(Version(2))).await, None, "the old ones stay deleted");
}

pub(crate) async fn a_content_is_repeated_while_it_is_there(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    for (at, content) in [("/small", &b"small"[..]), ("/none", b""), ("/large", &[7; 70_000])] {
        let created = subject.now();
        let parts: &[&[u8]] = if content.is_empty() { &[] } else { &[content] };
        assert_eq!(subject.upload(tenant, at, parts).await, Version(1));
        subject.advance(Duration::from_secs(1));
        let again = NewFile { content_type: "text/y".into(), ..subject.file(tenant, at, content) };
        assert_eq!(metadata.repeat_file(&again).await.unwrap(), Some(Version(2)), "{at}");
        let found = metadata.find_file(tenant, &path(at), None).await.unwrap().unwrap();
        assert_eq!((found.version, found.content_type.as_str()), (Version(2), "text/y"));
        assert_eq!((found.size, found.created_at), (content.len() as u64, created), "{at}");
        assert_eq!(found.modified_at, subject.now(), "{at}");
        assert_eq!(subject.read(tenant, at, None).await.unwrap(), content);
        let expecting = |expected| NewFile { expected, ..subject.file(tenant, at, content) };
        for expected in [Expected::Nothing, Expected::Version(Version(1))] {
            assert!(matches!(metadata.repeat_file(&expecting(expected)).await, Err(Error::Skew)), "{at}");
        }
        let two = expecting(Expected::Version(Version(2)));
        assert_eq!(metadata.repeat_file(&two).await.unwrap(), Some(Version(3)), "{at}");
    }
    let other = subject.tenant().await;
    for file in [
        subject.file(tenant, "/small", b"other"),
        subject.file(tenant, "/missing", b"small"),
        subject.file(other, "/small", b"small"),
    ] {
        assert_eq!(metadata.repeat_file(&file).await.unwrap(), None, "{}", file.path);
    }
    // A chunk of it is lost, and waits for its bytes.
    let chunk = subject.file(tenant, "/large", &[7; 70_000]).hash;
    let live = metadata.find_chunk_from(tenant, chunk).await.unwrap().unwrap();
    assert!(metadata.mark_damaged(tenant, live.chunk, live.generation).await.unwrap());
    let lost = subject.file(tenant, "/large", &[7; 70_000]);
    assert_eq!(metadata.repeat_file(&lost).await.unwrap(), None);
    metadata.delete_file(tenant, &path("/small"), Expected::Anything).await.unwrap();
    assert_eq!(metadata.repeat_file(&subject.file(tenant, "/small", b"small")).await.unwrap(), None);
}

pub(crate) async fn a_moved_file_is_gone_where_it_was(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    let created = subject.now();
    subject.put(tenant, "/a", b"one").await;
    subject.advance(Duration::from_secs(1));
    let moved = Copy { moved: true, ..copy(tenant, "/a", "/b") };
    let made = metadata.copy_file(&moved).await.unwrap().unwrap();
    assert_eq!((made.created_at, made.modified_at), (created, subject.now()));
    assert_eq!(subject.read(tenant, "/a", None).await, None);
    assert_eq!(subject.read(tenant, "/b", None).await.unwrap(), b"one");
    assert!(metadata.copy_file(&moved).await.unwrap().is_none());
}

pub(crate) async fn directories_are_copied_moved_and_deleted_a_page_at_a_time(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    for name in ["/d/a", "/d/b/c", "/d/e", "/d", "/d0", "/d-x"] {
        subject.put(tenant, name, name.as_bytes()).await;
    }
    let dir = |text: &str| Path::parse(text).unwrap();
    let all = async |mut below: CopyBelow| {
        let mut files = 0;
        loop {
            let copied = metadata.copy_files(&below).await.unwrap();
            files += copied.files;
            match copied.next {
                None => return files,
                next => below.after = next,
            }
        }
    };
    let below = |from: &str, to: &str, moved| CopyBelow {
        tenant,
        from: dir(from),
        to: dir(to),
        after: None,
        limit: 2,
        moved,
        unless_same: true,
    };
    assert_eq!(all(below("/d", "/x/y", false)).await, 3);
    assert_eq!(list(subject, tenant, None, Some("/x")).await, ["/x/y/a", "/x/y/b/c", "/x/y/e"]);
    assert_eq!(subject.read(tenant, "/x/y/b/c", None).await.unwrap(), b"/d/b/c");
    assert_eq!(all(below("/x/y", "/z", true)).await, 3);
    assert_eq!(list(subject, tenant, None, Some("/x")).await, [""; 0]);
    assert_eq!(metadata.delete_files(tenant, &dir("/d"), 2).await.unwrap(), 2);
    assert_eq!(metadata.delete_files(tenant, &dir("/d"), 2).await.unwrap(), 1);
    assert_eq!(list(subject, tenant, None, Some("/")).await, ["/d", "/d-x", "/d0", "/z/a", "/z/b/c", "/z/e"]);
    subject.put(tenant, &format!("/z/{}", "l".repeat(1000)), b"long").await;
    let too_long = CopyBelow { limit: 9, ..below("/z", &format!("/{}", "m".repeat(100)), false) };
    assert!(matches!(metadata.copy_files(&too_long).await, Err(Error::TooLong)));
    assert_eq!(list(subject, tenant, None, Some("/m")).await, [""; 0]);
}

/// What opening a file answers has not changed as long as its stamp is the same.
pub(crate) async fn what_is_remembered_by_its_stamp_is_what_is_there(subject: &Subject) {
    let store = subject.store();
    let (metadata, tenant) = (&store.metadata, subject.tenant().await);
    let names = ["/a", "/b", "/c/d", "/c/e", "/l"];
    let mut remembered = BTreeMap::new();
    let mut kept = 0;
    for step in 0..14 {
        subject.advance(Duration::from_millis(1));
        match step {
            0 => drop(subject.put(tenant, "/a", b"one").await),
            1 => drop(subject.put(tenant, "/a", b"two").await),
            2 => drop(subject.upload(tenant, "/l", &[&[1; 200_000], &[2; 100_000]]).await),
            3 => drop(metadata.copy_file(&copy(tenant, "/a", "/b")).await.unwrap()),
            4 => drop(metadata.copy_file(&Copy { moved: true, ..copy(tenant, "/b", "/c/d") }).await.unwrap()),
            5 => drop(subject.put(tenant, "/c/e", b"three").await),
            6 => drop(metadata.delete_file(tenant, &path("/a"), Expected::Anything).await.unwrap()),
            7 => drop(subject.put(tenant, "/a", b"four").await),
            8 => drop(metadata.delete_files(tenant, &path("/c/"), 10).await.unwrap()),
            9 => drop(subject.put(tenant, "/b", b"five").await),
            10 => drop(subject.upload(tenant, "/l", &[&[3; 200_000]]).await),
            11 => drop(subject.begin(tenant, "/a").await),
            12 => drop(
                metadata.copy_file(&Copy { version: Some(Version(1)), ..copy(tenant, "/l", "/l") }).await,
            ),
            _ => {
                let version = metadata.find_tenant(tenant).await.unwrap().unwrap().version;
                metadata.delete_tenant(tenant, version).await.unwrap();
            }
        }
        for name in names {
            let stamp = metadata.stamp(tenant, &path(name));
            let found = metadata.open_file(tenant, &path(name), None).await.unwrap();
            let now = found.map(|(file, pieces)| format!("{file:?} {pieces:?}"));
            if let Some((then, before)) = remembered.insert(name, (stamp, now.clone()))
                && then.is_some()
                && then == stamp
            {
                assert_eq!(before, now, "{name} after step {step}");
                kept += 1;
            }
        }
    }
    // Where nothing can be remembered there are no stamps at all.
    let can_remember = metadata.stamp(tenant, &path("/a")).is_some();
    assert_eq!(kept > 20, can_remember, "{kept}");
}
