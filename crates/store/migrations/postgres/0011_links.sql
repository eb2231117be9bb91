CREATE TABLE IF NOT EXISTS links (
    link BYTEA NOT NULL PRIMARY KEY,
    tenant BYTEA NOT NULL,
    -- Of a drop link, its directory with a last slash.
    path TEXT COLLATE "C" NOT NULL,
    -- 0: for reading; 1: a drop link.
    kind INT8 NOT NULL CHECK (kind IN (0, 1)),
    -- Who signed it; nobody, if a holder of the key did.
    principal BYTEA,
    session BYTEA,
    version INT8,
    created_at INT8 NOT NULL,
    expires_at INT8,
    -- How often it may be used, if that is counted, and how often it was.
    max_uses INT8 CHECK (max_uses > 0),
    uses INT8 NOT NULL DEFAULT 0 CHECK (uses >= 0),
    -- When the last of its uses was taken.
    spent_at INT8,
    revoked_at INT8,
    -- For people: the download name, or what a drop link is called.
    name TEXT NOT NULL,
    networks TEXT NOT NULL,
    -- Of each file that comes by a drop link; types with commas between them.
    max_size INT8 CHECK (max_size > 0),
    content_types TEXT NOT NULL
);
