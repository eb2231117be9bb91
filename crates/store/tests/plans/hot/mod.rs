//! What is done often, or in batches over tables that grow. Each may be done some times over.

mod purging;
mod reading;
mod writing;

use std::pin::Pin;
use std::time::Duration;

use cacheroach_model::{Expected, Hash, Metadata, Path, Retention, TenantId, Timestamp};
use cacheroach_store::Store;
use cacheroach_store::files::{Browsing, Listing, Moment, NewFile};
use cacheroach_store::purge::{Kind, Limits};

use crate::filled::{TENANT, id, path};

/// A page and a batch.
pub(crate) const BATCH: usize = 20;

/// A filled store, and how often an operation was done there before.
pub(crate) struct Hot {
    pub(crate) store: Store,
    pub(crate) files: u64,
    pub(crate) round: u64,
}

type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A name and what is done.
pub(crate) type Operation = (&'static str, for<'a> fn(&'a Hot) -> Running<'a>);

macro_rules! operations {
    ($($file:ident { $($name:ident),* $(,)? })*) => {
        &[$($((stringify!($name), |hot| Box::pin($file::$name(hot)))),*),*]
    };
}

/// In this order: what is added is not in the way of what is looked for.
pub(crate) const OPERATIONS: &[Operation] = operations! {
    reading {
        open_a_file,
        open_a_large_file,
        open_a_version,
        go_on_in_a_long_rope,
        find_a_chunk,
        list_a_page,
        list_a_steady_page,
        list_a_past_page,
        browse_directories,
        browse_files,
        browse_over_a_large_directory,
        browse_the_past,
        list_versions,
        find_a_session,
        find_a_session_by_name,
        list_grants,
        find_a_principal,
        find_a_principal_by_address,
        find_a_principal_by_domain,
        find_a_password_by_user,
        find_a_host,
        find_a_link,
        list_links,
        list_links_of_a_principal,
    }
    writing {
        add_and_end_a_session,
        use_a_link,
        put_a_file,
        put_a_file_again,
        put_over_many_versions,
        put_a_known_content,
        keep_a_chunk,
        begin_an_upload,
        upload_chunks,
        repeat_a_file,
        copy_a_file,
        copy_a_page,
        delete_a_file,
        delete_a_page,
    }
    purging {
        remove_sessions,
        remove_links,
        remove_uploads,
        remove_tenants,
        remove_deleted,
        remove_overwritten,
        remove_ropes,
        condemn_and_drop,
        walk_chunks,
        walk_files,
    }
};

impl Hot {
    fn tenant(&self) -> TenantId {
        TenantId::new(id(TENANT, 0))
    }

    /// One in the middle, in each round another one; even, as what is live is odd.
    fn middle(&self, of: u64) -> u64 {
        of / 4 * 2 + self.round * 2
    }

    fn file(&self, at: Path, hash: Hash) -> NewFile {
        NewFile {
            tenant: self.tenant(),
            path: at,
            hash,
            content_type: String::new(),
            metadata: Metadata::default(),
            expected: Expected::Anything,
        }
    }

    fn listing(&self, below: &str, after: Option<Path>, at: Moment) -> Listing {
        let below = Some(Path::parse(below).unwrap());
        Listing { tenant: self.tenant(), exactly: None, below, after, at, limit: BATCH }
    }

    async fn list(&self, at: Moment, expected: usize) {
        // Below the root the middle is where both halves meet.
        let after = path(self.files / 4, self.files);
        let page = self.store.metadata.list_files(&self.listing("/", Some(after), at)).await.unwrap();
        assert_eq!(page.files.len(), expected);
    }

    async fn browse(&self, dir: &str, after: &str, past: Option<Timestamp>) -> usize {
        let dir = Path::parse(dir).unwrap();
        let after = Some(after.to_owned());
        let browsing = Browsing { tenant: self.tenant(), dir, after, past, limit: BATCH };
        self.store.metadata.browse(&browsing).await.unwrap().len()
    }

    async fn remove(&self, kind: Kind) {
        let retention = Retention { versions: Some(3), age: None };
        let limits = Limits { deleted_for: Some(Duration::ZERO), retention };
        let removed = self.store.metadata.remove(kind, &limits, BATCH).await.unwrap();
        // Of the smaller store all is gone after some rounds.
        assert!(removed.rows > 0 || self.round > 0, "{kind:?}");
    }
}
