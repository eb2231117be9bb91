CREATE TABLE IF NOT EXISTS sessions (
    region TEXT COLLATE "C" NOT NULL,
    session BYTEA NOT NULL,
    principal BYTEA NOT NULL,
    parent BYTEA,
    capabilities INT8 NOT NULL,
    is_super BOOL NOT NULL DEFAULT false,
    on_principal BYTEA,
    tenant BYTEA,
    path TEXT COLLATE "C",
    version INT8,
    issued_at INT8 NOT NULL,
    expires_at INT8 NOT NULL,
    -- How long it was given at first, and the end that no renewal passes.
    life INT8 NOT NULL,
    not_after INT8,
    name TEXT COLLATE "C",
    note TEXT NOT NULL DEFAULT '',
    -- Kept when its tenant goes, so that its holder is told so, and a new tenant of that id does not revive it.
    tenant_gone BOOL NOT NULL DEFAULT false,
    PRIMARY KEY (region, session),
    CONSTRAINT sessions_by_id UNIQUE (session),
    CHECK (CASE WHEN is_super THEN on_principal IS NULL AND tenant IS NULL
           ELSE (on_principal IS NULL) <> (tenant IS NULL) END),
    CHECK ((tenant IS NULL) = (path IS NULL))
);
