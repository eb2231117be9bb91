-- The region comes first in the key, so that CockroachDB can partition by it; the id alone is unique, too, and that index
-- answers who asks without knowing the region.
CREATE TABLE IF NOT EXISTS principals (
    region TEXT COLLATE "C" NOT NULL,
    principal BYTEA NOT NULL,
    label TEXT NOT NULL,
    version INT8 NOT NULL CHECK (version > 0),
    claims TEXT,
    email TEXT COLLATE "C",
    email_domain TEXT COLLATE "C",
    PRIMARY KEY (region, principal),
    CONSTRAINT principals_by_id UNIQUE (principal),
    CONSTRAINT principals_by_email UNIQUE (email),
    CONSTRAINT principals_by_email_domain UNIQUE (email_domain)
);
