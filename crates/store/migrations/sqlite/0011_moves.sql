-- Tenants whose bytes are being brought home: when they were moved, when the walk through their chunks began that is under
-- way, how far it has come, and when it goes on.
CREATE TABLE moving (
    tenant BLOB NOT NULL PRIMARY KEY,
    moved_at INTEGER NOT NULL,
    begun_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    after BLOB
) STRICT, WITHOUT ROWID;

CREATE INDEX moving_by_due ON moving (due_at);

-- The next lives of chunks whose bytes are being written anew at home: a mover's lease, until then.
CREATE TABLE moves (
    generation INTEGER NOT NULL PRIMARY KEY,
    deadline INTEGER NOT NULL
) STRICT;

CREATE INDEX moves_by_deadline ON moves (deadline);
