//! The tables that a store is made of, as rows without an engine: what is walked, dumped, loaded and copied.
//!
//! The names are those of every engine's tables and columns. A column that an engine has beside these is its own
//! business: it must be fine without a value.

use std::fmt;

use cacheroach_model::{Hash, TenantId};

use crate::{Error, Result};

/// What a column holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// 16 bytes.
    Id,
    /// A SHA-256.
    Hash,
    /// Any bytes.
    Bytes,
    /// Text.
    Text,
    /// A number, or a time in microseconds since 1970.
    Number,
    /// Yes or no.
    Flag,
}

/// A column.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Column {
    /// As in SQL.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether there may be no value.
    pub optional: bool,
}

/// A table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Table {
    /// As in SQL.
    pub name: &'static str,
    /// How many of the first columns are the key, by which a walk is ordered.
    pub key: usize,
    /// Its columns.
    pub columns: &'static [Column],
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: false }
}

const fn optional(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: true }
}

use Kind::{Bytes, Flag, Hash as Sha256, Id, Number, Text};

/// Tenants.
pub static TENANTS: Table = Table {
    name: "tenants",
    key: 1,
    columns: &[
        column("tenant", Id),
        column("label", Text),
        column("version", Number),
        column("region", Text),
        optional("keep_versions", Number),
        optional("keep_versions_for", Number),
    ],
};

/// Principals.
pub static PRINCIPALS: Table = Table {
    name: "principals",
    key: 1,
    columns: &[
        column("principal", Id),
        column("region", Text),
        column("label", Text),
        column("version", Number),
        optional("claims", Text),
        optional("email", Text),
        optional("email_domain", Text),
    ],
};

/// Passwords, hashed.
pub static PASSWORDS: Table = Table {
    name: "passwords",
    key: 1,
    columns: &[
        column("principal", Id),
        column("user_name", Text),
        column("user_folded", Text),
        column("hash", Text),
        column("changed_at", Number),
    ],
};

/// Sessions, those that are over too.
pub static SESSIONS: Table = Table {
    name: "sessions",
    key: 1,
    columns: &[
        column("session", Id),
        column("region", Text),
        column("principal", Id),
        optional("parent", Id),
        column("capabilities", Number),
        column("is_super", Flag),
        optional("on_principal", Id),
        optional("tenant", Id),
        optional("path", Text),
        optional("version", Number),
        column("issued_at", Number),
        column("expires_at", Number),
        column("life", Number),
        optional("not_after", Number),
        optional("name", Text),
        column("note", Text),
        column("tenant_gone", Flag),
    ],
};

/// Virtual hosts.
pub static VHOSTS: Table = Table {
    name: "vhosts",
    key: 1,
    columns: &[
        column("host", Text),
        column("tenant", Id),
        column("login", Flag),
        column("cors", Text),
        column("spa", Flag),
        column("index_name", Text),
        column("error_page", Text),
    ],
};

/// Links that have a row.
pub static LINKS: Table = Table {
    name: "links",
    key: 1,
    columns: &[
        column("link", Id),
        column("tenant", Id),
        column("path", Text),
        column("kind", Number),
        optional("principal", Id),
        optional("session", Id),
        optional("version", Number),
        column("created_at", Number),
        optional("expires_at", Number),
        optional("max_uses", Number),
        column("uses", Number),
        optional("spent_at", Number),
        optional("revoked_at", Number),
        column("name", Text),
        column("networks", Text),
        optional("max_size", Number),
        column("content_types", Text),
    ],
};

/// Versions of files, deleted ones too.
pub static VERSIONS: Table = Table {
    name: "versions",
    key: 3,
    columns: &[
        column("tenant", Id),
        column("path", Text),
        column("version", Number),
        optional("rope", Id),
        column("hash", Sha256),
        column("size", Number),
        column("content_type", Text),
        column("created_at", Number),
        column("modified_at", Number),
        column("metadata", Text),
        optional("deleted_at", Number),
    ],
};

/// The current versions of live files.
pub static FILES: Table = Table {
    name: "files",
    key: 2,
    columns: &[
        column("tenant", Id),
        column("path", Text),
        column("version", Number),
        optional("rope", Id),
        column("hash", Sha256),
        column("size", Number),
        column("content_type", Text),
        column("created_at", Number),
        column("modified_at", Number),
        column("metadata", Text),
    ],
};

/// The last numbers of paths whose versions are all gone.
pub static LAST_VERSIONS: Table = Table {
    name: "last_versions",
    key: 2,
    columns: &[column("tenant", Id), column("path", Text), column("version", Number)],
};

/// Contents.
pub static ROPES: Table = Table {
    name: "ropes",
    key: 2,
    columns: &[column("tenant", Id), column("rope", Id), column("hash", Sha256), column("size", Number)],
};

/// Contents that may have lost their last version.
pub static LOOSE_ROPES: Table =
    Table { name: "loose_ropes", key: 2, columns: &[column("tenant", Id), column("rope", Id)] };

/// What contents are made of; those of uploads in progress have no rope yet.
pub static PIECES: Table = Table {
    name: "pieces",
    key: 3,
    columns: &[
        column("tenant", Id),
        column("rope", Id),
        column("at", Number),
        column("chunk", Sha256),
        column("length", Number),
    ],
};

/// Chunks: 0 pending, 1 live.
pub static CHUNKS: Table = Table {
    name: "chunks",
    key: 2,
    columns: &[
        column("tenant", Id),
        column("chunk", Sha256),
        column("generation", Number),
        column("state", Number),
        column("length", Number),
        optional("place", Bytes),
        optional("data", Bytes),
    ],
};

/// Lives of chunks whose bytes are about to be erased. Neither dumped nor copied.
pub static CONDEMNED: Table = Table {
    name: "condemned",
    key: 1,
    columns: &[
        column("generation", Number),
        column("tenant", Id),
        column("chunk", Sha256),
        column("length", Number),
        column("place", Bytes),
        column("condemned_at", Number),
    ],
};

/// What a dump holds, in this order: who refers comes before what is referred to, so that a walk over a store in use
/// finds what it was referred to. Uploads in progress and the purge's other lists are left out: the ones begin again, the
/// others are found again.
pub static TABLES: [&Table; 13] = [
    &TENANTS,
    &PRINCIPALS,
    &PASSWORDS,
    &SESSIONS,
    &VHOSTS,
    &LINKS,
    &FILES,
    &VERSIONS,
    &LAST_VERSIONS,
    &LOOSE_ROPES,
    &ROPES,
    &PIECES,
    &CHUNKS,
];

impl Table {
    /// Where a column is.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The names of the columns of the key, with commas between them.
    #[must_use]
    pub fn key_names(&self) -> String {
        names(&self.columns[..self.key])
    }

    /// The names of all columns, with commas between them.
    #[must_use]
    pub fn names(&self) -> String {
        names(self.columns)
    }

    /// Whether its rows are a tenant's, by the first column of their key.
    #[must_use]
    pub fn is_tenants(&self) -> bool {
        self.key > 1 && self.columns[0].name == "tenant"
    }
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// What is in a column of a row.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Value {
    /// Nothing.
    None,
    /// Of [`Kind::Id`], [`Kind::Hash`], [`Kind::Bytes`].
    Bytes(Vec<u8>),
    /// Of [`Kind::Text`].
    Text(String),
    /// Of [`Kind::Number`].
    Number(i64),
    /// Of [`Kind::Flag`].
    Flag(bool),
}

impl Value {
    /// Whether a column can hold it.
    #[must_use]
    pub fn fits(&self, column: &Column) -> bool {
        match (self, column.kind) {
            (Value::None, _) => column.optional,
            (Value::Bytes(bytes), Id) => bytes.len() == 16,
            (Value::Bytes(bytes), Sha256) => bytes.len() == 32,
            (Value::Bytes(_), Bytes)
            | (Value::Text(_), Text)
            | (Value::Number(_), Number)
            | (Value::Flag(_), Flag) => true,
            _ => false,
        }
    }
}

/// The key of a row: the values of the first columns. Keys of one table are ordered as its engine orders them: by bytes.
pub type Key = Vec<Value>;

/// A row of a table.
#[derive(Clone, Eq, PartialEq)]
pub struct Row {
    table: &'static Table,
    values: Vec<Value>,
}

/// Without the values: there are hashes of passwords among them.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("table", &self.table.name).finish_non_exhaustive()
    }
}

impl Row {
    /// From values for all columns, in their order.
    ///
    /// # Errors
    /// [`Error::Damaged`] when they don't fit.
    pub fn new(table: &'static Table, values: Vec<Value>) -> Result<Self> {
        let misfit = table.columns.iter().zip(&values).find(|(column, value)| !value.fits(column));
        match misfit {
            Some((column, _)) => Err(Error::Damaged(format!("{}: {}", table.name, column.name))),
            None if values.len() != table.columns.len() => {
                Err(Error::Damaged(format!("{}: {} values", table.name, values.len())))
            }
            None => Ok(Row { table, values }),
        }
    }

    /// Of which table.
    #[must_use]
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// All values, in the order of the columns.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Key {
        self.values[..self.table.key].to_vec()
    }

    /// The value of a column.
    ///
    /// # Panics
    /// For a column that the table has not: a slip of whoever wrote it down.
    #[must_use]
    pub fn get(&self, column: &str) -> &Value {
        let at = self.table.position(column).expect("a column of the table");
        &self.values[at]
    }

    /// The same row with another value in a column.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it does not fit.
    pub fn with(mut self, column: &str, value: Value) -> Result<Self> {
        let at = self.table.position(column).expect("a column of the table");
        self.values[at] = value;
        Row::new(self.table, self.values)
    }

    /// The bytes of a column; none: it has no value.
    #[must_use]
    pub fn bytes(&self, column: &str) -> Option<&[u8]> {
        if let Value::Bytes(bytes) = self.get(column) { Some(bytes) } else { None }
    }

    /// The text of a column, empty without one.
    #[must_use]
    pub fn text(&self, column: &str) -> &str {
        if let Value::Text(text) = self.get(column) { text } else { "" }
    }

    /// The number of a column, 0 without one.
    #[must_use]
    pub fn number(&self, column: &str) -> i64 {
        if let Value::Number(number) = self.get(column) { *number } else { 0 }
    }

    /// The tenant, of tables with such a column.
    ///
    /// # Errors
    /// [`Error::Damaged`] when there is none.
    pub fn tenant(&self) -> Result<TenantId> {
        let bytes = self.bytes("tenant").and_then(|bytes| TenantId::try_from(bytes).ok());
        bytes.ok_or_else(|| Error::Damaged(format!("{}: tenant", self.table.name)))
    }

    /// A hash.
    ///
    /// # Errors
    /// [`Error::Damaged`] when there is none.
    pub fn hash(&self, column: &str) -> Result<Hash> {
        let bytes = self.bytes(column).and_then(|bytes| Hash::try_from(bytes).ok());
        bytes.ok_or_else(|| Error::Damaged(format!("{}: {column}", self.table.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_a_key_has_a_value_and_every_name_is_there_once() {
        for table in TABLES.iter().copied().chain([&CONDEMNED]) {
            assert!(table.columns[..table.key].iter().all(|column| !column.optional), "{}", table.name);
            for (at, column) in table.columns.iter().enumerate() {
                assert_eq!(table.position(column.name), Some(at), "{}", table.name);
            }
        }
    }

    #[test]
    fn a_row_that_does_not_fit_its_table_is_damage() {
        let id = || Value::Bytes(vec![1; 16]);
        assert!(Row::new(&LOOSE_ROPES, vec![id(), id()]).is_ok());
        for wrong in [vec![], vec![id()], vec![id(), Value::None], vec![id(), Value::Bytes(vec![1; 15])]] {
            assert!(Row::new(&LOOSE_ROPES, wrong).is_err());
        }
    }

    #[test]
    fn p13_what_is_in_a_row_is_not_shown() {
        let values = vec![
            Value::Bytes(vec![1; 16]),
            Value::Text("somebody".into()),
            Value::Text("somebody".into()),
            Value::Text("secret".into()),
            Value::Number(0),
        ];
        let shown = format!("{:?}", Row::new(&PASSWORDS, values).unwrap());
        assert!(!shown.contains("secret") && !shown.contains("somebody"), "{shown}");
    }
}
