//! Tables from the first row to the last, a page at a time.

use std::collections::VecDeque;

use crate::Result;
use crate::inspect::{CHUNKS, Key, PIECES, ROPES, Row, TENANTS, Table, Value, Walk};

/// The rows of a table in the order of their keys.
pub(super) struct Rows<'a> {
    walk: &'a dyn Walk,
    table: &'static Table,
    page: VecDeque<Row>,
    after: Option<Key>,
    over: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn of(walk: &'a dyn Walk, table: &'static Table) -> Self {
        Rows { walk, table, page: VecDeque::new(), after: None, over: false }
    }

    /// Rows of chunks may hold 64 KiB each.
    fn most(&self) -> usize {
        if *self.table == CHUNKS { 64 } else { 1000 }
    }

    pub(super) async fn peek(&mut self) -> Result<Option<&Row>> {
        if self.page.is_empty() && !self.over {
            let most = self.most();
            let page = self.walk.list_rows(self.table, self.after.as_ref(), most).await?;
            self.over = page.len() < most;
            self.after = page.last().map(Row::key).or(self.after.take());
            self.page = page.into();
        }
        Ok(self.page.front())
    }

    pub(super) async fn next(&mut self) -> Result<Option<Row>> {
        self.peek().await?;
        Ok(self.page.pop_front())
    }

    /// The row with this key, after letting all before it go. Keys must be asked for in order.
    pub(super) async fn reach(&mut self, key: &[Value]) -> Result<Option<&Row>> {
        while self.peek().await?.is_some_and(|row| row.key().as_slice() < key) {
            self.page.pop_front();
        }
        Ok(self.page.front().filter(|row| row.key().as_slice() == key))
    }
}

/// The rows of a table that belong to something that is there: not what a deleted tenant left, not the pieces of uploads in
/// progress, not chunks whose bytes have not come.
pub(super) struct Belonging<'a> {
    rows: Rows<'a>,
    tenants: Option<Rows<'a>>,
    ropes: Option<Rows<'a>>,
}

impl<'a> Belonging<'a> {
    pub(super) fn of(walk: &'a dyn Walk, table: &'static Table) -> Self {
        Belonging {
            rows: Rows::of(walk, table),
            tenants: table.is_tenants().then(|| Rows::of(walk, &TENANTS)),
            ropes: (*table == PIECES).then(|| Rows::of(walk, &ROPES)),
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Row>> {
        while let Some(row) = self.rows.next().await? {
            if let Some(tenants) = &mut self.tenants
                && tenants.reach(&row.values()[..1]).await?.is_none()
            {
                continue;
            }
            if let Some(ropes) = &mut self.ropes
                && ropes.reach(&row.values()[..2]).await?.is_none()
            {
                continue;
            }
            if *row.table() == CHUNKS && row.number("state") != 1 {
                continue;
            }
            return Ok(Some(row));
        }
        Ok(None)
    }
}
