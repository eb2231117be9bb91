//! The text of statements.

/// A statement: a literal as for `format!`. Tests know all of them by it: each is prepared on PostgreSQL, and searched
/// for what CockroachDB lacks.
macro_rules! sql {
    ($($text:tt)*) => {
        $crate::postgres::statement::seen(file!(), line!(), format!($($text)*))
    };
}

pub(super) use sql;

/// Where it is written is told for tests alone.
pub(super) fn seen(_file: &'static str, _line: u32, text: String) -> String {
    text
}
