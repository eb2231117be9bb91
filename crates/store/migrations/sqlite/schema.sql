CREATE TABLE candidates (
    chunk BLOB NOT NULL,
    tenant BLOB NOT NULL,
    PRIMARY KEY (chunk, tenant)
) STRICT, WITHOUT ROWID;

CREATE TABLE chunk_data (
    tenant BLOB NOT NULL,
    chunk BLOB NOT NULL,
    generation INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    -- Last, so that what is before it is read without it.
    data BLOB NOT NULL,
    PRIMARY KEY (tenant, chunk, generation, attempt)
) STRICT;

CREATE TABLE chunks (
    tenant BLOB NOT NULL,
    chunk BLOB NOT NULL,
    generation INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
    length INTEGER NOT NULL CHECK (length > 0),
    place BLOB,
    data BLOB,
    PRIMARY KEY (tenant, chunk),
    CHECK (state <> 1 OR (place IS NULL) <> (data IS NULL))
) STRICT;

CREATE TABLE condemned (
    generation INTEGER NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL,
    chunk BLOB NOT NULL,
    length INTEGER NOT NULL CHECK (length > 0),
    place BLOB NOT NULL,
    -- When it was handed out to be erased.
    condemned_at INTEGER NOT NULL
) STRICT;

CREATE TABLE files (
    tenant BLOB NOT NULL,
    path TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    rope BLOB,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    content_type TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    PRIMARY KEY (tenant, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE generations (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    last INTEGER NOT NULL
) STRICT;

CREATE TABLE gone_tenants (
    tenant BLOB NOT NULL PRIMARY KEY,
    gone_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE identity (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    store BLOB NOT NULL CHECK (length(store) = 16),
    copy_of BLOB CHECK (length(copy_of) = 16)
) STRICT;

CREATE TABLE last_versions (
    tenant BLOB NOT NULL,
    path TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    PRIMARY KEY (tenant, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
    upload BLOB NOT NULL,
    chunk BLOB NOT NULL,
    tenant BLOB NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (upload, chunk)
) STRICT, WITHOUT ROWID;

CREATE TABLE links (
    link BLOB NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL,
    -- Of a drop link, its directory with a last slash.
    path TEXT NOT NULL,
    -- 0: for reading; 1: a drop link.
    kind INTEGER NOT NULL CHECK (kind IN (0, 1)),
    -- Who signed it; nobody, if a holder of the key did.
    principal BLOB,
    session BLOB,
    version INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    -- How often it may be used, if that is counted, and how often it was.
    max_uses INTEGER CHECK (max_uses > 0),
    uses INTEGER NOT NULL DEFAULT 0 CHECK (uses >= 0),
    revoked_at INTEGER,
    -- For people: the download name, or what a drop link is called.
    name TEXT NOT NULL,
    networks TEXT NOT NULL,
    -- Of each file that comes by a drop link; types with commas between them.
    max_size INTEGER CHECK (max_size > 0),
    content_types TEXT NOT NULL
, spent_at INTEGER) STRICT, WITHOUT ROWID;

CREATE TABLE loose_ropes (
    tenant BLOB NOT NULL,
    rope BLOB NOT NULL,
    PRIMARY KEY (tenant, rope)
) STRICT, WITHOUT ROWID;

CREATE TABLE migrations (
            number INTEGER NOT NULL PRIMARY KEY,
            applied_at INTEGER NOT NULL
         ) STRICT;

CREATE TABLE moves (
    generation INTEGER NOT NULL PRIMARY KEY,
    deadline INTEGER NOT NULL
) STRICT;

CREATE TABLE moving (
    tenant BLOB NOT NULL PRIMARY KEY,
    moved_at INTEGER NOT NULL,
    begun_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    after BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE overwritten (
    tenant BLOB NOT NULL,
    path TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    after INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE passwords (
    principal BLOB NOT NULL PRIMARY KEY,
    user_name TEXT NOT NULL CHECK (user_name <> ''),
    user_folded TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pieces (
    tenant BLOB NOT NULL,
    rope BLOB NOT NULL,
    at INTEGER NOT NULL CHECK (at >= 0),
    chunk BLOB NOT NULL,
    length INTEGER NOT NULL CHECK (length > 0),
    PRIMARY KEY (tenant, rope, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE principals (
    region TEXT NOT NULL DEFAULT 'local',
    principal BLOB NOT NULL PRIMARY KEY,
    label TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    claims TEXT,
    email TEXT UNIQUE,
    email_domain TEXT UNIQUE
) STRICT, WITHOUT ROWID;

CREATE TABLE ropes (
    tenant BLOB NOT NULL,
    rope BLOB NOT NULL,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    PRIMARY KEY (tenant, rope),
    UNIQUE (tenant, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    region TEXT NOT NULL DEFAULT 'local',
    session BLOB NOT NULL PRIMARY KEY,
    principal BLOB NOT NULL,
    parent BLOB,
    capabilities INTEGER NOT NULL,
    is_super INTEGER NOT NULL DEFAULT 0,
    on_principal BLOB,
    tenant BLOB,
    path TEXT,
    version INTEGER,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- How long it was given at first, and the end that no renewal passes.
    life INTEGER NOT NULL,
    not_after INTEGER,
    name TEXT,
    note TEXT NOT NULL DEFAULT '',
    -- Kept when its tenant goes, so that its holder is told so, and a new tenant of that id does not revive it.
    tenant_gone INTEGER NOT NULL DEFAULT 0,
    CHECK (is_super + (on_principal IS NOT NULL) + (tenant IS NOT NULL) = 1),
    CHECK ((tenant IS NULL) = (path IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE sweep (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    after BLOB,
    due_at INTEGER NOT NULL
) STRICT;

CREATE TABLE tenants (
    tenant BLOB NOT NULL PRIMARY KEY,
    label TEXT NOT NULL CHECK (label <> ''),
    version INTEGER NOT NULL CHECK (version > 0),
    region TEXT NOT NULL DEFAULT 'local'
, keep_versions INTEGER CHECK (keep_versions >= 0), keep_versions_for INTEGER CHECK (keep_versions_for >= 0)) STRICT, WITHOUT ROWID;

CREATE TABLE uploads (
    region TEXT NOT NULL DEFAULT 'local',
    upload BLOB NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL,
    path TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    -- How many bytes have come, in how many calls; the last ones are in tail until they fill a chunk.
    at INTEGER NOT NULL DEFAULT 0,
    transfers INTEGER NOT NULL DEFAULT 0,
    tail BLOB NOT NULL DEFAULT x'',
    hash_state BLOB NOT NULL DEFAULT x'',
    -- The last call, to know it again when it is repeated.
    last_from INTEGER NOT NULL DEFAULT 0,
    last_digest BLOB NOT NULL DEFAULT x'',
    -- The version it became.
    outcome INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
    tenant BLOB NOT NULL,
    path TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    rope BLOB,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    content_type TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    deleted_at INTEGER,
    PRIMARY KEY (tenant, path, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE vhosts (
    host TEXT NOT NULL PRIMARY KEY CHECK (host <> ''),
    tenant BLOB NOT NULL
, login INTEGER NOT NULL DEFAULT 0, cors TEXT NOT NULL DEFAULT '', spa INTEGER NOT NULL DEFAULT 0, index_name TEXT NOT NULL DEFAULT '', error_page TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;

CREATE INDEX condemned_by_time ON condemned (condemned_at);

CREATE INDEX leases_of_chunk ON leases (tenant, chunk);

CREATE INDEX links_by_expiry ON links (expires_at) WHERE expires_at IS NOT NULL;

CREATE INDEX links_by_last_use ON links (spent_at) WHERE spent_at IS NOT NULL;

CREATE INDEX links_of_path ON links (tenant, path, link);

CREATE INDEX links_of_principal ON links (tenant, principal, path, link);

CREATE INDEX moves_by_deadline ON moves (deadline);

CREATE INDEX moving_by_due ON moving (due_at);

CREATE INDEX overwritten_by_due ON overwritten (due_at);

CREATE INDEX pieces_of_chunk ON pieces (tenant, chunk);

CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE UNIQUE INDEX sessions_by_name ON sessions (principal, name) WHERE name IS NOT NULL;

CREATE INDEX sessions_of_principal ON sessions (principal, expires_at);

CREATE INDEX sessions_on_tenant ON sessions (tenant) WHERE tenant IS NOT NULL;

CREATE INDEX uploads_finished ON uploads (deadline) WHERE outcome IS NOT NULL;

CREATE INDEX uploads_of_tenant ON uploads (tenant);

CREATE INDEX uploads_open ON uploads (deadline) WHERE outcome IS NULL;

CREATE INDEX versions_deleted ON versions (deleted_at, tenant, path, version) WHERE deleted_at IS NOT NULL;

CREATE INDEX versions_of_rope ON versions (tenant, rope) WHERE rope IS NOT NULL;

CREATE INDEX vhosts_of_tenant ON vhosts (tenant);
