-- One way to get a session. A user is looked up as it is spelled; no two differ in case alone.
CREATE TABLE passwords (
    principal BLOB NOT NULL PRIMARY KEY,
    user_name TEXT NOT NULL CHECK (user_name <> ''),
    user_folded TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
