CREATE TABLE IF NOT EXISTS passwords (
    principal BYTEA NOT NULL PRIMARY KEY,
    user_name TEXT COLLATE "C" NOT NULL CHECK (user_name <> ''),
    user_folded TEXT COLLATE "C" NOT NULL,
    hash TEXT NOT NULL,
    changed_at INT8 NOT NULL,
    CONSTRAINT passwords_by_user UNIQUE (user_folded)
);
