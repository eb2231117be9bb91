//! Asking whoever sits at the terminal for what nobody else may read.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::error::Error;

/// A terminal that does not show what is typed, until this goes out of scope: also when the program is told to stop.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    fn new(terminal: File) -> rustix::io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Silent { terminal, before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// A line that is not shown while it is typed. It comes from the terminal itself, wherever standard input does.
pub(crate) async fn ask(what: &str) -> Result<String, Error> {
    let cannot = |error: std::io::Error| {
        let what = format!("no terminal to ask for the {} on", what.to_lowercase());
        Error::because(format!("{what}; give it by a file or on standard input"), error)
    };
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").map_err(cannot)?;
    let silent = Silent::new(terminal.try_clone().map_err(cannot)?).map_err(|e| cannot(e.into()))?;
    write!(terminal, "{what}: ").map_err(cannot)?;
    let reading = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(terminal).read_line(&mut line).map(|_| line)
    });
    let line =
        reading.await.map_err(|e| Error::because("the question was not answered", e))?.map_err(cannot)?;
    drop(silent);
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.strip_suffix('\r').unwrap_or(line).to_owned()),
        None => Err(Error::new(format!("no {} given", what.to_lowercase()))),
    }
}
