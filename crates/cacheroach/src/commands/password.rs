//! Where passwords come from: the terminal, standard input or a file, and never an argument.

use std::fs;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::Url;

use crate::error::Error;
use crate::terminal::ask;

/// What a file with a password may measure; a password has at most 1,024 bytes.
const LARGEST: u64 = 64 * 1024;

/// How a password is given. On the terminal, unless said otherwise.
#[derive(Args)]
pub(super) struct Source {
    /// Read the password from standard input.
    #[arg(long, conflicts_with = "password_file")]
    pub(super) password_stdin: bool,
    /// Read the password from a file.
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// Send the password in clear text, even to another machine.
    #[arg(long)]
    pub(super) insecure: bool,
}

impl Source {
    /// Whether one is given other than on the terminal.
    pub(super) fn is_given(&self) -> bool {
        self.password_stdin || self.password_file.is_some()
    }

    /// A password that exists.
    pub(super) async fn read(&self) -> Result<String, Error> {
        match self.given()? {
            Some(password) => Ok(password),
            None => ask("Password").await,
        }
    }

    /// A new password. What nobody can see is typed twice.
    pub(super) async fn read_new(&self) -> Result<String, Error> {
        let password = match self.given()? {
            Some(password) => password,
            None => ask_twice().await?,
        };
        check(&password)?;
        Ok(password)
    }

    /// The old password and the new one: on two lines of standard input, in two files, or as they are asked for.
    pub(super) async fn read_change(&self, old: Option<&Path>) -> Result<(String, String), Error> {
        let old = old.map(from_file).transpose()?;
        let (old, new) = match (old, self.password_stdin) {
            (Some(old), _) => (old, self.read_new().await?),
            (None, true) => {
                let text = from_stdin()?;
                let (old, new) = text.split_once('\n').ok_or_else(|| {
                    Error::new("standard input has the old password and the new one, a line each")
                })?;
                (line(old).to_owned(), line(new).to_owned())
            }
            (None, false) => (ask("Old password").await?, self.read_new().await?),
        };
        check(&new)?;
        Ok((old, new))
    }

    fn given(&self) -> Result<Option<String>, Error> {
        match &self.password_file {
            Some(file) => from_file(file).map(Some),
            None if self.password_stdin => Ok(Some(line(&from_stdin()?).to_owned())),
            None => Ok(None),
        }
    }

    /// Refuses a way on which others can read along, unless that was asked for.
    pub(super) fn must_be_private(&self, host: &str, insecure: bool) -> Result<(), Error> {
        if insecure && !self.insecure && !is_this_machine(host) {
            let why = "the password would travel in clear text; use https, or give --insecure if nobody can read along";
            return Err(Error::new(why));
        }
        Ok(())
    }
}

async fn ask_twice() -> Result<String, Error> {
    let password = ask("Password").await?;
    check(&password)?;
    if ask("Once more").await? != password {
        return Err(Error::new("the passwords differ"));
    }
    Ok(password)
}

/// As the server has it, but before anything is done.
fn check(password: &str) -> Result<(), Error> {
    if (8..=1024).contains(&password.len()) {
        Ok(())
    } else {
        Err(Error::new("a password has 8 to 1024 bytes"))
    }
}

fn from_stdin() -> Result<String, Error> {
    let mut text = String::new();
    let read = io::stdin().lock().take(LARGEST).read_to_string(&mut text);
    read.map_err(|e| Error::because("cannot read the password from standard input", e))?;
    Ok(text)
}

fn from_file(file: &Path) -> Result<String, Error> {
    let cannot = |e| Error::because(format!("cannot read the password from {}", file.display()), e);
    let mut text = String::new();
    fs::File::open(file).and_then(|file| file.take(LARGEST).read_to_string(&mut text)).map_err(cannot)?;
    Ok(line(&text).to_owned())
}

/// Without the end of the line, which is no part of a password. Other white space may be.
fn line(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

fn is_this_machine(host: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
    let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_its_line_and_nothing_else_goes() {
        for (text, password) in
            [("a b \n", "a b "), ("a\r\n", "a"), ("a\n\n", "a\n"), ("\u{e4}", "\u{e4}"), ("", "")]
        {
            assert_eq!(line(text), password);
        }
    }

    #[test]
    fn a90_a_password_goes_to_another_machine_by_tls_only() {
        let source = |insecure| Source { password_stdin: true, password_file: None, insecure };
        for host in [
            "localhost:80",
            "127.0.0.1:13013",
            "127.9.9.9:1",
            "[::1]:1",
            "LOCALHOST:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(source(false).must_be_private(host, true).is_ok(), "{host}");
        }
        for host in
            ["example.com:80", "192.0.2.1:80", "[2001:db8::1]:80", "localhost.evil:80", "127.0.0.1.evil:80"]
        {
            assert!(source(false).must_be_private(host, true).is_err(), "{host}");
            assert!(source(false).must_be_private(host, false).is_ok(), "{host}");
            assert!(source(true).must_be_private(host, true).is_ok(), "{host}");
        }
    }
}
