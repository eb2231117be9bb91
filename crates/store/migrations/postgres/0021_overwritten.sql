-- Files with old versions that a rule may keep no longer, when to look at them, and from which version on.
CREATE TABLE IF NOT EXISTS overwritten (
    tenant BYTEA NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    due_at INT8 NOT NULL,
    after INT8 NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, path)
);
