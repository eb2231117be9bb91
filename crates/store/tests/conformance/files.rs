//! Cases for files.

use std::collections::BTreeMap;
use std::time::Duration;

use cacheroach_model::{Entry, Metadata, Path, TenantId, Version};
use cacheroach_store::Error;
use cacheroach_store::files::{Listing, NewFile, PIECES_PAGE};

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
}

pub(crate) async fn a_deleted_file_is_gone_in_all_versions_and_comes_back_anew(subject: &Subject) {
    let (tenant, metadata) = (subject.tenant().await, subject.store().metadata);
    subject.put(tenant, "/a", b"one").await;
    subject.put(tenant, "/a", b"two").await;
    subject.put(tenant, "/a/b", b"other").await;
    assert!(metadata.delete_file(tenant, &path("/a")).await.unwrap());
    assert!(!metadata.delete_file(tenant, &path("/a")).await.unwrap());
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
    assert!(metadata.list_pieces(two, rope(one, "/a").await, 0).await.unwrap().is_empty());
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
        as_of: None,
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
            let page = metadata.browse(tenant, &dir, after, limit).await.unwrap();
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
    let top = metadata.browse(tenant, &Path::root(), None, 9).await.unwrap();
    assert_eq!(top.iter().map(Entry::name).collect::<Vec<_>>(), ["d", "d", "e"]);
    assert!(metadata.browse(tenant, &Path::parse("/none").unwrap(), None, 9).await.unwrap().is_empty());
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
    metadata.delete_file(tenant, &path("/deleted")).await.unwrap();
    let listing =
        |as_of| Listing { tenant, exactly: None, below: Some(Path::root()), after: None, as_of, limit: 9 };
    let shown = async |as_of| {
        let page = metadata.list_files(&listing(as_of)).await.unwrap();
        page.files
            .iter()
            .map(|file| format!("{} {} {}", file.path, file.version.0, file.size))
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(Some(as_of)).await, ["/changed 1 3", "/kept 1 3"]);
    assert_eq!(shown(None).await, ["/changed 2 5", "/kept 1 3", "/new 1 3"]);
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
        let pieces = metadata.list_pieces(tenant, file.rope.unwrap(), at).await.unwrap();
        let piece = pieces.first().unwrap();
        assert!(piece.at <= at && at < piece.at + u64::from(piece.length), "byte {at}");
    }
    assert_eq!(subject.read(tenant, "/a", None).await.unwrap(), chunks.concat());
}
