//! `store copy`.

use cacheroach_store::tools::copy::{Copied, copy};
use cacheroach_store::{CacheSettings, Location, Settings, Tier};
use clap::Args;

use super::place::{locate, open, open_to_read, tier};
use crate::commands::Context;
use crate::error::Error;
use crate::output::{Cell, facts};

/// Copy a whole store to another engine and tier, or bring a copy up to date.
///
/// The source may be served meanwhile; the target must not. A copy that was broken off goes on when the command is given
/// again. The last one is made while the source takes no writes: `start --readOnly`.
#[derive(Args)]
#[command(rename_all = "camelCase")]
pub(crate) struct Copy {
    /// Metadata engine to copy from: sqlite:DIR.
    #[arg(long, value_name = "URL")]
    from: String,
    /// Metadata engine to copy to.
    #[arg(long, value_name = "URL")]
    to: String,
    /// Chunk tier to copy from [default: the engine's, for sqlite:DIR disk:DIR/chunks].
    #[arg(long, value_name = "URL")]
    from_chunks: Option<String>,
    /// Chunk tier to copy to [default: the engine's, for sqlite:DIR disk:DIR/chunks].
    #[arg(long, value_name = "URL")]
    to_chunks: Option<String>,
}

/// The tier's usual place, or the one that was named. Nothing is remembered of what is read once.
fn settings(flag: &str, url: &str, chunks: Option<&String>) -> Result<Settings, Error> {
    let metadata = locate(&format!("--{flag}"), url)?;
    let chunks = match (&metadata, chunks) {
        (_, Some(text)) => tier(&format!("--{flag}Chunks"), text)?,
        (Location::Sqlite(dir), None) => Tier::Disk(dir.join("chunks")),
        (Location::Postgres(_), None) => Tier::Db,
    };
    Ok(Settings { cache: CacheSettings::NONE, ..Settings::new(metadata, chunks) })
}

impl Copy {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let from = settings("from", &self.from, self.from_chunks.as_ref())?;
        let to = settings("to", &self.to, self.to_chunks.as_ref())?;
        let (from, to) = (open_to_read(&from).await?, open(&to).await?);
        let done = copy(&from, &to, |problem| eprintln!("not copied: {problem}"));
        let done = done.await.map_err(|e| Error::because("the store was not copied", e))?;
        tell(context, &done)?;
        if done.unsettled > 0 {
            return Err(Error::new("the source changed under the copy: copy once more"));
        }
        match done.damaged {
            0 => Ok(()),
            damaged => Err(Error::new(format!(
                "{damaged} chunks of the source are damaged: `store verify` names the files"
            ))),
        }
    }
}

fn tell(context: &Context, done: &Copied) -> Result<(), Error> {
    let number = |number: u64| Cell::from(i64::try_from(number).unwrap_or(i64::MAX));
    let changed = !done.changed_nothing();
    facts(
        context.format,
        vec![
            ("Chunks", number(done.chunks)),
            ("Bytes", number(done.bytes)),
            ("Chunks There", number(done.chunks_there)),
            ("Chunks Removed", number(done.chunks_removed)),
            ("Rows", number(done.rows.values().sum())),
            ("Rows Removed", number(done.rows_removed)),
            ("Changed", Cell::new(if changed { "yes" } else { "no" }, changed.into())),
        ],
    )
}
