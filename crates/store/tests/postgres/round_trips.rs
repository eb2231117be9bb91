//! How often a call waits for the database: what goes to it comes by a counter.

use bytes::Bytes;
use cacheroach_model::{Expected, Metadata, Path, Tenant, TenantId};
use cacheroach_store::chunks::db::{ChunkRows as _, RowKey};
use cacheroach_store::files::{Files as _, NewFile};
use cacheroach_store::tenants::Tenants as _;

use crate::counter::{CALLS, counted};
use crate::{hash, open};

const TENANT: TenantId = TenantId::new([7; 16]);

pub(crate) async fn a_small_file_takes_one_to_be_put_and_one_to_be_opened() {
    let (_database, url, waits) = counted().await;
    let store = open(&url).await.unwrap();
    let tenant = Tenant { id: TENANT, label: "a tenant".into(), ..Default::default() };
    store.ensure_tenant(&tenant).await.unwrap();
    let path = |call: u32| Path::parse_file(&format!("/{call}")).unwrap();
    let put = async |call: u32| {
        let content = Bytes::from(call.to_string());
        let file = NewFile {
            tenant: TENANT,
            path: path(call),
            hash: hash(&content),
            content_type: String::new(),
            metadata: Metadata::default(),
            expected: Expected::Anything,
        };
        store.put_file(&file, content).await.unwrap();
    };
    let find = async |call: u32| assert!(store.open_file(TENANT, &path(call), None).await.unwrap().is_some());
    // Statements are prepared once on each connection.
    put(CALLS).await;
    find(CALLS).await;
    assert_eq!(waits.during(put).await, CALLS);
    assert_eq!(waits.during(find).await, CALLS);
}

pub(crate) async fn a_chunk_takes_one_to_be_written_and_one_to_be_read() {
    let (_database, url, waits) = counted().await;
    let store = open(&url).await.unwrap();
    let bytes = Bytes::from(vec![7; 512 << 10]);
    let key = |call: u32| RowKey { tenant: TENANT, hash: hash(&bytes), generation: 1, attempt: call.into() };
    let write = async |call: u32| store.write_chunks(vec![(key(call), bytes.clone())]).await.unwrap();
    let read = async |call: u32| assert!(store.read_chunk(&key(call)).await.unwrap().is_some());
    write(CALLS).await;
    read(CALLS).await;
    assert_eq!(waits.during(write).await, CALLS);
    assert_eq!(waits.during(read).await, CALLS);
}
