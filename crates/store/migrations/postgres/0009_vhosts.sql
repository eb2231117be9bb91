CREATE TABLE IF NOT EXISTS vhosts (
    host TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (host <> ''),
    tenant BYTEA NOT NULL,
    login BOOL NOT NULL DEFAULT false,
    cors TEXT NOT NULL DEFAULT '',
    spa BOOL NOT NULL DEFAULT false,
    index_name TEXT NOT NULL DEFAULT '',
    error_page TEXT NOT NULL DEFAULT ''
);
