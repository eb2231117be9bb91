//! Where a listing goes on: only from where the same listing ended.

use cacheroach_api::convert::from_timestamp;
use cacheroach_api::file::{Cursor, ListRequest};
use cacheroach_api::method::files;
use cacheroach_model::{TenantId, Timestamp};
use prost::Message as _;

use crate::change;
use crate::world::{Renewed, World, is_fault};

/// Listings that have several pages, and all cursors that each gave out.
struct Listings {
    world: World,
    all: Vec<(ListRequest, Vec<Cursor>)>,
}

thread_local! {
    static LISTINGS: Renewed<Listings> = const { Renewed::new() };
}

impl Listings {
    fn new() -> Self {
        let world = World::new();
        let listing = |tenant: TenantId, path: &str, delimiter: &str, page_size| ListRequest {
            tenant: Some(tenant.into()),
            path: path.into(),
            delimiter: delimiter.into(),
            page_size,
            ..Default::default()
        };
        let asked = [
            listing(world.own, "/docs/", "", 2),
            listing(world.own, "/docs/", "/", 2),
            listing(world.own, "/", "", 1),
            listing(world.own, "/docs/deep/", "", 0),
            ListRequest { as_of: Some(Default::default()), ..listing(world.own, "/docs/", "", 2) },
            listing(world.other, "/", "", 1),
        ];
        let all = asked.into_iter().map(|asked| {
            let (mut request, mut given) = (asked.clone(), Vec::new());
            loop {
                let page = world.call::<files::List>(&world.superuser, request.clone()).expect("a page");
                request.cursor = page.cursor;
                let Some(cursor) = &request.cursor else { return (asked, given) };
                given.push(cursor.clone());
            }
        });
        Listings { all: all.collect(), world }
    }
}

/// What makes one cursor another; times are cut to microseconds.
fn meaning(cursor: &Cursor) -> (&str, Option<Timestamp>) {
    (&cursor.after, cursor.as_of.map(from_timestamp))
}

/// Which listing; then a cursor as a message, or which genuine one of which listing, and how it is changed.
pub(crate) fn cursor(data: &[u8]) {
    let Some((&[listing, kind], data)) = data.split_first_chunk::<2>() else { return };
    LISTINGS.with(|listings| {
        listings.with(Listings::new, |listings| {
            let (asked, given) = &listings.all[usize::from(listing) % listings.all.len()];
            let genuine: Vec<_> = listings.all.iter().flat_map(|(_, given)| given).collect();
            let cursor = match genuine.get(usize::from(kind)) {
                Some(cursor) => Cursor::decode(&*change::changed(cursor.encode_to_vec(), data)),
                None => Cursor::decode(data),
            };
            let Ok(cursor) = cursor else { return };
            let request = ListRequest { cursor: Some(cursor.clone()), ..asked.clone() };
            match listings.world.call::<files::List>(&listings.world.superuser, request) {
                Ok(_) => {
                    assert!(given.iter().any(|one| meaning(one) == meaning(&cursor)), "{asked:?} {cursor:?}");
                }
                Err(error) => assert!(!is_fault(&error), "{error:?}"),
            }
        });
    });
}
