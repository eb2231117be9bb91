//! Versions without contents, and heads that are not the newest version.

use cacheroach_model::{Path, RopeId, Version};

use super::{PAGE, Problem, Touches, Verify, Wrong};
use crate::inspect::{FILES, Key, ROPES, Row, VERSIONS, Value};
use crate::tools::rows::Rows;
use crate::{Error, Result};

fn path(row: &Row) -> Result<Path> {
    Path::parse(row.text("path")).map_err(|_| Error::Damaged("versions: path".into()))
}

/// What a head must be, given the newest version of its path.
fn head_of(newest: &Row) -> Result<Option<Row>> {
    if *newest.get("deleted_at") != Value::None {
        return Ok(None);
    }
    let values = FILES.columns.iter().map(|column| newest.get(column.name).clone()).collect();
    Row::new(&FILES, values).map(Some)
}

impl<F: FnMut(super::Finding) + Send> Verify<'_, F> {
    /// Whether each version has its content.
    pub(super) async fn versions(&mut self) -> Result<()> {
        let store = self.store;
        let mut rows = Rows::of(&*store.metadata, &VERSIONS);
        while let Some(row) = rows.next().await? {
            self.done.versions += 1;
            if self.lacks_rope(&row).await? {
                self.bad_version(&row).await?;
            }
        }
        Ok(())
    }

    async fn lacks_rope(&self, row: &Row) -> Result<bool> {
        if row.bytes("rope").is_none() {
            return Ok(row.number("size") != 0);
        }
        let key = vec![row.get("tenant").clone(), row.get("rope").clone()];
        let rope = self.store.metadata.find_row(&ROPES, &key).await?;
        Ok(rope.is_none_or(|rope| rope.get("hash") != row.get("hash") || rope.get("size") != row.get("size")))
    }

    async fn bad_version(&mut self, row: &Row) -> Result<()> {
        let metadata = &self.store.metadata;
        let Some(row) = metadata.find_row(&VERSIONS, &row.key()).await? else { return Ok(()) };
        if !self.lacks_rope(&row).await? {
            return Ok(());
        }
        let rope = row.bytes("rope").and_then(|id| RopeId::try_from(id).ok());
        let mut repaired = false;
        if let (true, Some(_)) = (self.settings.repair, rope) {
            // An empty rope of that name: it can't be read, and is made whole when its content is brought again.
            let values = ["tenant", "rope", "hash", "size"].map(|column| row.get(column).clone());
            match metadata.restore_rows(vec![Row::new(&ROPES, values.to_vec())?]).await {
                Ok(()) => repaired = true,
                // The content is there under another name.
                Err(Error::Taken(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let touches = Touches::Version(path(&row)?, Version(row.number("version")));
        let detail = rope.map_or_else(|| "no content".to_owned(), |rope| format!("rope {rope} is not there"));
        let (problem, tenant) = (Problem::MissingRope, row.tenant()?);
        self.found(Wrong { problem, tenant, detail, repaired, touches }).await
    }

    /// Compares heads with versions, both in the order of their paths.
    pub(super) async fn heads(&mut self) -> Result<()> {
        let metadata = &*self.store.metadata;
        let (mut heads, mut versions) = (Rows::of(metadata, &FILES), Rows::of(metadata, &VERSIONS));
        let mut suspects: Vec<Key> = Vec::new();
        loop {
            let head = heads.peek().await?.map(Row::key);
            let version = versions.peek().await?.map(|row| row.key()[..2].to_vec());
            let Some(key) = head.iter().chain(&version).min().cloned() else { break };
            let mut newest = None;
            while let Some(row) = versions.peek().await?
                && row.key().starts_with(&key)
            {
                newest = versions.next().await?;
            }
            let is = if head.as_ref() == Some(&key) { heads.next().await? } else { None };
            let must = newest.as_ref().map(head_of).transpose()?.flatten();
            if is != must {
                suspects.push(key);
            }
            if suspects.len() >= PAGE {
                self.bad_heads(std::mem::take(&mut suspects)).await?;
            }
        }
        self.bad_heads(suspects).await
    }

    async fn bad_heads(&mut self, keys: Vec<Key>) -> Result<()> {
        let metadata = &self.store.metadata;
        for key in keys {
            let is = metadata.find_row(&FILES, &key).await?;
            let must = match self.newest(&key).await? {
                Some(newest) => head_of(&newest)?,
                None => None,
            };
            // Whatever changed meanwhile is looked at by the next run.
            if is == must || is != metadata.find_row(&FILES, &key).await? {
                continue;
            }
            if self.settings.repair {
                match must.clone() {
                    Some(must) => metadata.restore_rows(vec![must]).await?,
                    None => metadata.remove_rows(&FILES, vec![key]).await?,
                }
            }
            let Some(row) = is.as_ref().or(must.as_ref()) else { continue };
            let touches = Touches::Version(path(row)?, Version(row.number("version")));
            let name = |row: &Option<Row>| match row {
                Some(row) => format!("version {}", row.number("version")),
                None => "none".to_owned(),
            };
            let detail = format!("it is {}, and must be {}", name(&is), name(&must));
            let (problem, tenant, repaired) = (Problem::WrongHead, row.tenant()?, self.settings.repair);
            self.found(Wrong { problem, tenant, detail, repaired, touches }).await?;
        }
        Ok(())
    }

    /// The newest version of a path.
    async fn newest(&self, key: &Key) -> Result<Option<Row>> {
        let [Value::Bytes(tenant), Value::Text(text)] = &key[..] else { return Ok(None) };
        let damaged = || Error::Damaged("files: path".into());
        let tenant = tenant.as_slice().try_into().map_err(|_| damaged())?;
        let path = Path::parse(text).map_err(|_| damaged())?;
        let newest = self.store.metadata.list_versions(tenant, &path, None, 1).await?;
        let Some(newest) = newest.first() else { return Ok(None) };
        let mut key = key.clone();
        key.push(Value::Number(newest.file.version.0));
        self.store.metadata.find_row(&VERSIONS, &key).await
    }
}
