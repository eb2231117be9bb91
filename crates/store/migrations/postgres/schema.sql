TABLE candidates
    chunk BYTEA NOT NULL
    tenant BYTEA NOT NULL

TABLE chunk_data
    tenant BYTEA NOT NULL
    chunk BYTEA NOT NULL
    generation INT8 NOT NULL
    attempt INT8 NOT NULL
    written_at INT8 NOT NULL
    data BYTEA NOT NULL

TABLE chunks
    tenant BYTEA NOT NULL
    chunk BYTEA NOT NULL
    generation INT8 NOT NULL
    state INT8 NOT NULL
    length INT8 NOT NULL
    place BYTEA
    data BYTEA

TABLE condemned
    generation INT8 NOT NULL
    tenant BYTEA NOT NULL
    chunk BYTEA NOT NULL
    length INT8 NOT NULL
    place BYTEA NOT NULL
    condemned_at INT8 NOT NULL

TABLE files
    tenant BYTEA NOT NULL
    path TEXT COLLATE "C" NOT NULL
    version INT8 NOT NULL
    rope BYTEA
    hash BYTEA NOT NULL
    size INT8 NOT NULL
    content_type TEXT NOT NULL
    created_at INT8 NOT NULL
    modified_at INT8 NOT NULL
    metadata TEXT NOT NULL

TABLE gone_tenants
    tenant BYTEA NOT NULL
    gone_at INT8 NOT NULL

TABLE identity
    id INT8 NOT NULL
    store BYTEA NOT NULL
    copy_of BYTEA

TABLE last_versions
    tenant BYTEA NOT NULL
    path TEXT COLLATE "C" NOT NULL
    version INT8 NOT NULL

TABLE leases
    upload BYTEA NOT NULL
    chunk BYTEA NOT NULL
    tenant BYTEA NOT NULL
    generation INT8 NOT NULL

TABLE links
    link BYTEA NOT NULL
    tenant BYTEA NOT NULL
    path TEXT COLLATE "C" NOT NULL
    kind INT8 NOT NULL
    principal BYTEA
    session BYTEA
    version INT8
    created_at INT8 NOT NULL
    expires_at INT8
    max_uses INT8
    uses INT8 NOT NULL DEFAULT 0
    spent_at INT8
    revoked_at INT8
    name TEXT NOT NULL
    networks TEXT NOT NULL
    max_size INT8
    content_types TEXT NOT NULL

TABLE loose_ropes
    tenant BYTEA NOT NULL
    rope BYTEA NOT NULL

TABLE migration_lease
    id INT8 NOT NULL
    holder BYTEA NOT NULL
    ends_at INT8 NOT NULL

TABLE migrations
    number INT8 NOT NULL
    applied_at INT8 NOT NULL

TABLE moves
    generation INT8 NOT NULL
    deadline INT8 NOT NULL

TABLE moving
    tenant BYTEA NOT NULL
    moved_at INT8 NOT NULL
    begun_at INT8 NOT NULL
    due_at INT8 NOT NULL
    after BYTEA

TABLE outcomes
    call BYTEA NOT NULL
    at INT8 NOT NULL

TABLE overwritten
    tenant BYTEA NOT NULL
    path TEXT COLLATE "C" NOT NULL
    due_at INT8 NOT NULL
    after INT8 NOT NULL DEFAULT 0

TABLE passwords
    principal BYTEA NOT NULL
    user_name TEXT COLLATE "C" NOT NULL
    user_folded TEXT COLLATE "C" NOT NULL
    hash TEXT NOT NULL
    changed_at INT8 NOT NULL

TABLE pieces
    tenant BYTEA NOT NULL
    rope BYTEA NOT NULL
    at INT8 NOT NULL
    chunk BYTEA NOT NULL
    length INT8 NOT NULL

TABLE principals
    region TEXT COLLATE "C" NOT NULL
    principal BYTEA NOT NULL
    label TEXT NOT NULL
    version INT8 NOT NULL
    claims TEXT
    email TEXT COLLATE "C"
    email_domain TEXT COLLATE "C"

TABLE ropes
    tenant BYTEA NOT NULL
    rope BYTEA NOT NULL
    hash BYTEA NOT NULL
    size INT8 NOT NULL

TABLE sessions
    region TEXT COLLATE "C" NOT NULL
    session BYTEA NOT NULL
    principal BYTEA NOT NULL
    parent BYTEA
    capabilities INT8 NOT NULL
    is_super BOOL NOT NULL DEFAULT false
    on_principal BYTEA
    tenant BYTEA
    path TEXT COLLATE "C"
    version INT8
    issued_at INT8 NOT NULL
    expires_at INT8 NOT NULL
    life INT8 NOT NULL
    not_after INT8
    name TEXT COLLATE "C"
    note TEXT NOT NULL DEFAULT ''::text
    tenant_gone BOOL NOT NULL DEFAULT false

TABLE sweep
    id INT8 NOT NULL
    after BYTEA
    due_at INT8 NOT NULL

TABLE tenants
    tenant BYTEA NOT NULL
    label TEXT NOT NULL
    version INT8 NOT NULL
    region TEXT COLLATE "C" NOT NULL
    keep_versions INT8
    keep_versions_for INT8

TABLE uploads
    region TEXT COLLATE "C" NOT NULL
    upload BYTEA NOT NULL
    tenant BYTEA NOT NULL
    path TEXT COLLATE "C" NOT NULL
    started_at INT8 NOT NULL
    deadline INT8 NOT NULL
    at INT8 NOT NULL DEFAULT 0
    transfers INT8 NOT NULL DEFAULT 0
    tail BYTEA NOT NULL DEFAULT '\x'::bytea
    hash_state BYTEA NOT NULL DEFAULT '\x'::bytea
    last_from INT8 NOT NULL DEFAULT 0
    last_digest BYTEA NOT NULL DEFAULT '\x'::bytea
    outcome INT8

TABLE versions
    tenant BYTEA NOT NULL
    path TEXT COLLATE "C" NOT NULL
    version INT8 NOT NULL
    rope BYTEA
    hash BYTEA NOT NULL
    size INT8 NOT NULL
    content_type TEXT NOT NULL
    created_at INT8 NOT NULL
    modified_at INT8 NOT NULL
    metadata TEXT NOT NULL
    deleted_at INT8
    call BYTEA

TABLE vhosts
    host TEXT COLLATE "C" NOT NULL
    tenant BYTEA NOT NULL
    login BOOL NOT NULL DEFAULT false
    cors TEXT NOT NULL DEFAULT ''::text
    spa BOOL NOT NULL DEFAULT false
    index_name TEXT NOT NULL DEFAULT ''::text
    error_page TEXT NOT NULL DEFAULT ''::text

chunks: CHECK (((state <> 1) OR ((place IS NULL) <> (data IS NULL))))
chunks: CHECK ((generation > 0))
chunks: CHECK ((length > 0))
chunks: CHECK ((state = ANY (ARRAY[(0)::bigint, (1)::bigint, (2)::bigint])))
condemned: CHECK ((length > 0))
files: CHECK ((size >= 0))
files: CHECK ((version > 0))
identity: CHECK ((length(copy_of) = 16))
identity: CHECK ((id = 1))
identity: CHECK ((length(store) = 16))
last_versions: CHECK ((version > 0))
links: CHECK ((kind = ANY (ARRAY[(0)::bigint, (1)::bigint])))
links: CHECK ((max_size > 0))
links: CHECK ((max_uses > 0))
links: CHECK ((uses >= 0))
migration_lease: CHECK ((id = 1))
passwords: CHECK ((user_name <> ''::text))
pieces: CHECK ((at >= 0))
pieces: CHECK ((length > 0))
principals: CHECK ((version > 0))
ropes: CHECK ((size > 0))
sessions: CHECK (
CASE
    WHEN is_super THEN ((on_principal IS NULL) AND (tenant IS NULL))
    ELSE ((on_principal IS NULL) <> (tenant IS NULL))
END)
sessions: CHECK (((tenant IS NULL) = (path IS NULL)))
sweep: CHECK ((id = 1))
tenants: CHECK ((keep_versions >= 0))
tenants: CHECK ((keep_versions_for >= 0))
tenants: CHECK ((label <> ''::text))
tenants: CHECK ((version > 0))
versions: CHECK ((size >= 0))
versions: CHECK ((version > 0))
vhosts: CHECK ((host <> ''::text))

CREATE UNIQUE INDEX candidates_pkey ON candidates USING btree (chunk, tenant);
CREATE UNIQUE INDEX chunk_data_pkey ON chunk_data USING btree (tenant, chunk, generation, attempt);
CREATE UNIQUE INDEX chunks_pkey ON chunks USING btree (tenant, chunk);
CREATE INDEX condemned_by_time ON condemned USING btree (condemned_at);
CREATE UNIQUE INDEX condemned_pkey ON condemned USING btree (generation);
CREATE UNIQUE INDEX files_pkey ON files USING btree (tenant, path);
CREATE UNIQUE INDEX gone_tenants_pkey ON gone_tenants USING btree (tenant);
CREATE UNIQUE INDEX identity_pkey ON identity USING btree (id);
CREATE UNIQUE INDEX last_versions_pkey ON last_versions USING btree (tenant, path);
CREATE INDEX leases_of_chunk ON leases USING btree (tenant, chunk);
CREATE UNIQUE INDEX leases_pkey ON leases USING btree (upload, chunk);
CREATE INDEX links_by_expiry ON links USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX links_by_last_use ON links USING btree (spent_at) WHERE (spent_at IS NOT NULL);
CREATE INDEX links_of_path ON links USING btree (tenant, path, link);
CREATE INDEX links_of_principal ON links USING btree (tenant, principal, path, link);
CREATE UNIQUE INDEX links_pkey ON links USING btree (link);
CREATE UNIQUE INDEX loose_ropes_pkey ON loose_ropes USING btree (tenant, rope);
CREATE UNIQUE INDEX migration_lease_pkey ON migration_lease USING btree (id);
CREATE UNIQUE INDEX migrations_pkey ON migrations USING btree (number);
CREATE INDEX moves_by_deadline ON moves USING btree (deadline);
CREATE UNIQUE INDEX moves_pkey ON moves USING btree (generation);
CREATE INDEX moving_by_due ON moving USING btree (due_at);
CREATE UNIQUE INDEX moving_pkey ON moving USING btree (tenant);
CREATE INDEX outcomes_by_time ON outcomes USING btree (at);
CREATE UNIQUE INDEX outcomes_pkey ON outcomes USING btree (call);
CREATE INDEX overwritten_by_due ON overwritten USING btree (due_at);
CREATE UNIQUE INDEX overwritten_pkey ON overwritten USING btree (tenant, path);
CREATE UNIQUE INDEX passwords_by_user ON passwords USING btree (user_folded);
CREATE UNIQUE INDEX passwords_pkey ON passwords USING btree (principal);
CREATE INDEX pieces_of_chunk ON pieces USING btree (tenant, chunk);
CREATE UNIQUE INDEX pieces_pkey ON pieces USING btree (tenant, rope, at);
CREATE UNIQUE INDEX principals_by_email ON principals USING btree (email);
CREATE UNIQUE INDEX principals_by_email_domain ON principals USING btree (email_domain);
CREATE UNIQUE INDEX principals_by_id ON principals USING btree (principal);
CREATE UNIQUE INDEX principals_pkey ON principals USING btree (region, principal);
CREATE UNIQUE INDEX ropes_by_hash ON ropes USING btree (tenant, hash);
CREATE UNIQUE INDEX ropes_pkey ON ropes USING btree (tenant, rope);
CREATE INDEX sessions_by_expiry ON sessions USING btree (expires_at);
CREATE UNIQUE INDEX sessions_by_id ON sessions USING btree (session);
CREATE UNIQUE INDEX sessions_by_name ON sessions USING btree (principal, name) WHERE (name IS NOT NULL);
CREATE INDEX sessions_of_principal ON sessions USING btree (principal, expires_at);
CREATE INDEX sessions_on_tenant ON sessions USING btree (tenant) WHERE (tenant IS NOT NULL);
CREATE UNIQUE INDEX sessions_pkey ON sessions USING btree (region, session);
CREATE UNIQUE INDEX sweep_pkey ON sweep USING btree (id);
CREATE UNIQUE INDEX tenants_pkey ON tenants USING btree (tenant);
CREATE UNIQUE INDEX uploads_by_id ON uploads USING btree (upload);
CREATE INDEX uploads_finished ON uploads USING btree (deadline) WHERE (outcome IS NOT NULL);
CREATE INDEX uploads_of_tenant ON uploads USING btree (tenant);
CREATE INDEX uploads_open ON uploads USING btree (deadline) WHERE (outcome IS NULL);
CREATE UNIQUE INDEX uploads_pkey ON uploads USING btree (region, upload);
CREATE INDEX versions_deleted ON versions USING btree (deleted_at, tenant, path, version) WHERE (deleted_at IS NOT NULL);
CREATE UNIQUE INDEX versions_of_call ON versions USING btree (tenant, path, call) WHERE (call IS NOT NULL);
CREATE INDEX versions_of_rope ON versions USING btree (tenant, rope) WHERE (rope IS NOT NULL);
CREATE UNIQUE INDEX versions_pkey ON versions USING btree (tenant, path, version);
CREATE INDEX vhosts_of_tenant ON vhosts USING btree (tenant);
CREATE UNIQUE INDEX vhosts_pkey ON vhosts USING btree (host);
