-- What the purge works off: lists of what may have lost its last reference, so that nothing is scanned for.

-- Chunks that may be unreferenced. By chunk first: servers begin at a random one, so that they don't meet.
CREATE TABLE candidates (
    chunk BLOB NOT NULL,
    tenant BLOB NOT NULL,
    PRIMARY KEY (chunk, tenant)
) STRICT, WITHOUT ROWID;

-- Lives of chunks that are over, until their bytes are erased. They have no row in chunks any more.
CREATE TABLE condemned (
    generation INTEGER NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL,
    chunk BLOB NOT NULL,
    length INTEGER NOT NULL CHECK (length > 0),
    place BLOB NOT NULL,
    -- When it was handed out to be erased.
    condemned_at INTEGER NOT NULL
) STRICT;

CREATE INDEX condemned_by_time ON condemned (condemned_at);

-- Ropes that may have lost their last version, and pieces without a rope: of uploads that are over.
CREATE TABLE loose_ropes (
    tenant BLOB NOT NULL,
    rope BLOB NOT NULL,
    PRIMARY KEY (tenant, rope)
) STRICT, WITHOUT ROWID;

-- Files with old versions that a rule may keep no longer, when to look at them, and from which version on.
CREATE TABLE overwritten (
    tenant BLOB NOT NULL,
    path TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    after INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, path)
) STRICT, WITHOUT ROWID;

CREATE INDEX overwritten_by_due ON overwritten (due_at);

-- The last number of paths whose versions are all gone: the next is higher.
CREATE TABLE last_versions (
    tenant BLOB NOT NULL,
    path TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    PRIMARY KEY (tenant, path)
) STRICT, WITHOUT ROWID;

-- Deleted tenants of which there is still something.
CREATE TABLE gone_tenants (
    tenant BLOB NOT NULL PRIMARY KEY,
    gone_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- When the last of its uses was taken.
ALTER TABLE links ADD COLUMN spent_at INTEGER;

CREATE INDEX links_by_last_use ON links (spent_at) WHERE spent_at IS NOT NULL;

CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE INDEX uploads_open ON uploads (deadline) WHERE outcome IS NULL;

CREATE INDEX uploads_finished ON uploads (deadline) WHERE outcome IS NOT NULL;

DROP INDEX uploads_by_deadline;

-- Together with the key behind it: versions of one path go oldest first.
DROP INDEX versions_deleted;

CREATE INDEX versions_deleted ON versions (deleted_at, tenant, path, version) WHERE deleted_at IS NOT NULL;
