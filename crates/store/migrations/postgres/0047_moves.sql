-- The next lives of chunks whose bytes are being written anew at home: a mover's lease, until then.
CREATE TABLE IF NOT EXISTS moves (
    generation INT8 NOT NULL PRIMARY KEY,
    deadline INT8 NOT NULL
);
