-- Links that are listed, counted or taken back, and all drop links. A signed URL that is none of these has no row.
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
) STRICT, WITHOUT ROWID;

CREATE INDEX links_of_path ON links (tenant, path, link);

CREATE INDEX links_of_principal ON links (tenant, principal, path, link);

CREATE INDEX links_by_expiry ON links (expires_at) WHERE expires_at IS NOT NULL;
