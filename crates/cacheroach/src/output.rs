//! What goes to standard output: tables, for people or as JSON.

use std::io::{self, Stdout, Write};

use clap::ValueEnum;
use prost_types::Timestamp;
use serde_json::{Map, Value};

use crate::error::Error;

/// What tables look like.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    Table,
    /// JSON for programs.
    Json,
}

/// One value, in both forms.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    shown: String,
    json: Value,
}

impl Cell {
    /// A value that is shown otherwise than it is written as JSON.
    pub(crate) fn new(shown: impl Into<String>, json: Value) -> Self {
        Cell { shown: shown.into(), json }
    }

    /// Nothing is known.
    pub(crate) fn none() -> Self {
        Cell::new("", Value::Null)
    }

    /// A point in time, shown in the given form.
    pub(crate) fn time(time: Option<&Timestamp>, form: &str) -> Self {
        match time.and_then(|time| jiff::Timestamp::new(time.seconds, time.nanos).ok()) {
            Some(time) => Cell::new(time.strftime(form).to_string(), time.to_string().into()),
            None => Cell::none(),
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell { shown: text.clone(), json: text.into() }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Cell { shown: number.to_string(), json: number.into() }
    }
}

/// Rows that are kept until their columns can be aligned. A table of any length is written in bounded memory: columns
/// are aligned within each block of it.
pub(crate) struct Table<W: Write = Stdout> {
    to: W,
    format: Format,
    columns: Vec<String>,
    widths: Vec<usize>,
    block: Vec<Vec<String>>,
    any: bool,
}

const BLOCK_ROWS: usize = 1024;
const GAP: usize = 2;
const LEAST_WIDTH: usize = 4;

impl Table {
    /// A table on standard output.
    pub(crate) fn new(format: Format, columns: &[&str]) -> Self {
        Table::on(io::stdout(), format, columns)
    }
}

impl<W: Write> Table<W> {
    fn on(to: W, format: Format, columns: &[&str]) -> Self {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        Table { to, format, block: vec![columns.clone()], columns, widths: Vec::new(), any: false }
    }

    /// The next row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) -> Result<(), Error> {
        debug_assert_eq!(N, self.columns.len());
        match self.format {
            Format::Table => {
                self.block.push(cells.iter().map(|cell| printable(&cell.shown)).collect());
                if self.block.len() >= BLOCK_ROWS { self.write_block() } else { Ok(()) }
            }
            Format::Json => {
                let named = self.columns.iter().zip(cells).map(|(name, cell)| (key(name), cell.json));
                let object = Value::Object(named.collect());
                let start = if self.any { ",\n  " } else { "[\n  " };
                self.any = true;
                write!(self.to, "{start}{}", json_text(&object.to_string())).map_err(Error::Output)
            }
        }
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        match self.format {
            Format::Table => self.write_block()?,
            Format::Json => {
                let end = if self.any { "\n]\n" } else { "[]\n" };
                self.to.write_all(end.as_bytes()).map_err(Error::Output)?;
            }
        }
        self.to.flush().map_err(Error::Output)
    }

    fn write_block(&mut self) -> Result<(), Error> {
        let text = aligned(&self.block, &mut self.widths);
        self.block.clear();
        self.to.write_all(text.as_bytes()).map_err(Error::Output)
    }
}

/// Every column but a row's last is padded. `widths` are those so far, and grow.
fn aligned(rows: &[Vec<String>], widths: &mut Vec<usize>) -> String {
    for row in rows {
        for (at, cell) in row.iter().rev().skip(1).rev().enumerate() {
            let width = (cell.chars().count() + GAP).max(LEAST_WIDTH);
            match widths.get_mut(at) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            let width = if at + 1 < row.len() { widths[at] } else { 0 };
            text.push_str(&format!("{cell:width$}"));
        }
        text.push('\n');
    }
    text
}

/// What is known of one thing: a line each, or a JSON object.
pub(crate) fn facts(format: Format, facts: Vec<(&str, Cell)>) -> Result<(), Error> {
    let text = match format {
        Format::Table => {
            let rows: Vec<_> =
                facts.iter().map(|(name, cell)| vec![(*name).to_owned(), printable(&cell.shown)]).collect();
            aligned(&rows, &mut Vec::new())
        }
        Format::Json => {
            let object: Map<_, _> = facts.into_iter().map(|(name, cell)| (key(name), cell.json)).collect();
            json_text(&Value::Object(object).to_string()) + "\n"
        }
    };
    io::stdout().write_all(text.as_bytes()).map_err(Error::Output)
}

/// A line of text, as it is.
pub(crate) fn line(text: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{text}").map_err(Error::Output)
}

/// A text that can't take over a terminal: control characters, and those that turn the direction of writing, are
/// shown as escape sequences.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, |c| c.escape_default().to_string())
}

/// JSON needs no escapes for some characters that terminals act upon.
fn json_text(json: &str) -> String {
    escaped(json, |c| format!("\\u{:04x}", u32::from(c)))
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            safe.push_str(&escape(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn key(column: &str) -> String {
    column.to_lowercase().replace(' ', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format, rows: &[[&str; 3]]) -> String {
        let mut to = Vec::new();
        let mut table = Table::on(&mut to, format, &["ID", "Tenant ID", "Path"]);
        for row in rows {
            table.row(row.map(Cell::from)).unwrap();
        }
        table.finish().unwrap();
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn columns_are_padded_but_the_last() {
        assert_eq!(
            written(Format::Table, &[["a", "long tenant", "/x"], ["abc", "\u{e9}", ""]]),
            "ID   Tenant ID    Path\na    long tenant  /x\nabc  \u{e9}            \n"
        );
        assert_eq!(written(Format::Table, &[]), "ID  Tenant ID  Path\n");
    }

    #[test]
    fn a_table_is_json_too() {
        assert_eq!(
            written(Format::Json, &[["a", "b", "\u{9b}\u{7f}"], ["", "", "\n"]]),
            "[\n  {\"id\":\"a\",\"path\":\"\\u009b\\u007f\",\"tenant_id\":\"b\"},\n  \
             {\"id\":\"\",\"path\":\"\\n\",\"tenant_id\":\"\"}\n]\n"
        );
        assert_eq!(written(Format::Json, &[]), "[]\n");
    }

    #[test]
    fn a_long_table_is_written_in_blocks() {
        let rows = vec![["a", "b", "c"]; 3 * BLOCK_ROWS];
        assert_eq!(written(Format::Table, &rows).lines().count(), 3 * BLOCK_ROWS + 1);
    }

    #[test]
    fn a87_nothing_in_a_table_reaches_the_terminal_as_a_command() {
        let text = written(Format::Table, &[["\u{1b}[2J", "a\nb\t", "\u{202e}gpj"]]);
        assert_eq!(text.lines().count(), 2);
        assert!(
            text.contains("\\u{1b}[2J") && text.contains("a\\nb\\t") && text.contains("\\u{202e}gpj"),
            "{text}"
        );
        assert_eq!(printable("caf\u{e9} \u{1f600}"), "caf\u{e9} \u{1f600}");
    }

    #[test]
    fn a_time_is_shown_in_the_form_asked_for() {
        let time = Timestamp { seconds: 1_795_353_451, nanos: 0 };
        assert_eq!(Cell::time(Some(&time), "%b %e %H:%M:%S").shown, "Nov 22 13:17:31");
        assert_eq!(Cell::time(Some(&time), "%F %T%.f +0000 UTC").shown, "2026-11-22 13:17:31 +0000 UTC");
        let time = Timestamp { nanos: 500_000_000, ..time };
        assert_eq!(Cell::time(Some(&time), "%F %T%.f +0000 UTC").shown, "2026-11-22 13:17:31.5 +0000 UTC");
        assert_eq!(Cell::time(None, "%F").shown, "");
    }
}
