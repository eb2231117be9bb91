//! `completion`: scripts for shells.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;
use crate::error::Error;

/// Print the completion script of a shell.
#[derive(Args)]
pub(crate) struct Completion {
    /// Which one.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(super) fn run(self) -> Result<(), Error> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "cacheroach", &mut script);
        io::stdout().write_all(&script).map_err(Error::Output)
    }
}
