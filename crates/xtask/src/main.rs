//! Every command we run, by name: `cargo xtask help`. CI runs the same ones.

mod bench;
mod fuzz;
mod minio;
#[cfg(test)]
mod threats;

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const HELP: &str = "\
Usage: cargo xtask COMMAND

  test          every test this machine can run; what needs a server that is not here shows as ignored
                (an S3 server is built by Go, where it is here: three minutes, once)
  test --quick  only the tests inside the crates' sources
  test --all    every test there is: a missing server is a failure
  lint          formatting, clippy, documentation; warnings are errors
  ci            lint, test, then two minutes of torture on SQLite, and on PostgreSQL with two servers
  torture       kills servers at random while they work, and looks for what is lost
                --minutes N (default 2), --store sqlite|postgres|URL, --chunks URL, --servers N, --seed S
  fuzz          searches for inputs that break a promise, guided by coverage; all targets together for 14 minutes
                --minutes N, --target NAME (one of crates/fuzz/corpus), --runs N (of each target, in place of minutes),
                --keep (the smallest finds that reach further go into the kept corpus)
  bench ...     builds a release and measures it (cargo xtask bench --help)
  bench growth  whether a store that grows stays as fast (cargo xtask bench growth --help)
  bench backlog whether a purge with much to do is noticed meanwhile (cargo xtask bench backlog --help)
  help          this
";

/// Programs some test needs, and the Debian package that has each. `test` installs them where it may.
const TEST_PROGRAMS: &[(&str, &str)] = &[("pg_ctlcluster", "postgresql")];

/// Set for `test --all`: tests whose server is absent fail instead of being ignored.
const TEST_ALL: &str = "CACHEROACH_TEST_ALL";

/// Why a command ended early.
#[derive(Debug)]
enum Failure {
    /// A step failed and has said why; we end with its code.
    Step(u8),
    Usage(String),
    /// A step could not be run at all.
    Broken(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(code) => write!(formatter, "that failed, with code {code}"),
            Self::Usage(text) => write!(formatter, "{text}\n\n{HELP}"),
            Self::Broken(text) => formatter.write_str(text),
        }
    }
}

type Result<T = ()> = std::result::Result<T, Failure>;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(match failure {
                Failure::Step(code) => code,
                Failure::Usage(_) => 2,
                Failure::Broken(_) => 1,
            })
        }
    }
}

fn run(arguments: &[&str]) -> Result {
    match arguments {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        ["test", options @ ..] => test(Tests::parse(options)?),
        ["lint"] => lint(),
        ["ci"] => {
            // As commands of their own, so that what CI runs is word for word what people run.
            step(cargo().args(["xtask", "lint"]))?;
            step(cargo().args(["xtask", "test"]))?;
            step(cargo().args(["xtask", "torture", "--minutes", "2"]))?;
            step(cargo().args([
                "xtask",
                "torture",
                "--minutes",
                "2",
                "--store",
                "postgres",
                "--servers",
                "2",
            ]))
        }
        ["fuzz", options @ ..] => fuzz::fuzz(&fuzz::Options::parse(options)?),
        ["torture", options @ ..] => torture(options),
        ["bench", arguments @ ..] => bench::bench(arguments),
        other => Err(Failure::Usage(format!("unknown command: {}", other.join(" ")))),
    }
}

/// Which tests to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tests {
    Quick,
    Usual,
    All,
}

impl Tests {
    fn parse(options: &[&str]) -> Result<Self> {
        match options {
            [] => Ok(Self::Usual),
            ["--quick"] => Ok(Self::Quick),
            ["--all"] => Ok(Self::All),
            other => Err(Failure::Usage(format!("unknown options of test: {}", other.join(" ")))),
        }
    }
}

fn test(tests: Tests) -> Result {
    if tests != Tests::Quick {
        for (program, package) in TEST_PROGRAMS {
            match ensure_installed(program, package) {
                Err(failure) if tests == Tests::All || std::env::var_os("CI").is_some() => {
                    return Err(failure);
                }
                // What needs it shows as ignored.
                Err(failure) => eprintln!("xtask: {failure}"),
                Ok(()) => {}
            }
        }
    }
    let minio = minio::ensure(tests)?;
    let mut command = cargo();
    command.args(["test", "--workspace", "--locked"]);
    if let Some(minio) = &minio {
        command.envs(minio.environment());
    }
    match tests {
        Tests::Usual => &mut command,
        Tests::Quick => command.args(["--lib", "--bins"]),
        Tests::All => command.args(["--", "--include-ignored"]).env(TEST_ALL, "1"),
    };
    step(&mut command)
}

/// One of the tests, so that nothing is compiled for it alone.
fn torture(options: &[&str]) -> Result {
    const KNOWN: &[&str] = &["--minutes", "--store", "--chunks", "--servers", "--seed"];
    let known = options.chunks(2).all(|pair| pair.len() == 2 && KNOWN.contains(&pair[0]));
    if !known || options.iter().any(|word| word.contains(char::is_whitespace)) {
        return Err(Failure::Usage(format!("unknown options of torture: {}", options.join(" "))));
    }
    let minutes = if options.contains(&"--minutes") { "" } else { "--minutes 2 " };
    let mut command = cargo();
    command.args(["test", "--workspace", "--locked", "--test", "torture", "--", "--nocapture"]);
    eprintln!("$ {}", words(&command));
    // Not shown: there may be a password in the store's URL.
    run_step(command.env("CACHEROACH_TORTURE", format!("{minutes}{}", options.join(" "))))
}

/// The cheapest first. All of it shares one target directory and profile with the tests, so that nothing is
/// compiled twice for no reason.
fn lint() -> Result {
    step(cargo().args(["fmt", "--all", "--check"]))?;
    step(cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    step(cargo().args(["doc", "--no-deps", "--workspace", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Makes sure a program is there: from Debian, where this is root on a machine with apt-get.
fn ensure_installed(program: &str, package: &str) -> Result {
    if find(program).is_some() {
        return Ok(());
    }
    if !is_root() || find("apt-get").is_none() {
        return Err(Failure::Broken(format!("{program} is missing: install it (Debian: {package})")));
    }
    let install = || {
        step(
            Command::new("apt-get")
                .args(["install", "--yes", "--no-install-recommends", package])
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    // A fresh machine has no lists yet, and old lists name packages that are gone.
    install().or_else(|_| {
        step(Command::new("apt-get").arg("update"))?;
        install()
    })
}

/// Where a program is; servers are often kept out of an ordinary user's PATH.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The cargo that runs us.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Says what it runs, runs it, and passes its failure on.
fn step(command: &mut Command) -> Result {
    eprintln!("$ {}", words(command));
    run_step(command)
}

fn run_step(command: &mut Command) -> Result {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| Failure::Broken(format!("{program}: {error}")))?;
    if status.success() {
        return Ok(());
    }
    // Ended by a signal there is no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Err(Failure::Step(code.unwrap_or(1)))
}

/// A command as one would type it.
fn words(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value.filter(|_| name != minio::SECRET) {
            words.push(format!("{}={}", name.display(), quoted(&value.to_string_lossy())));
        }
    }
    let program = Path::new(command.get_program());
    words.push(program.file_name().unwrap_or_default().to_string_lossy().into_owned());
    words.extend(command.get_args().map(|argument| quoted(&argument.to_string_lossy())));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(char::is_whitespace) { format!("'{word}'") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/somewhere/cargo");
        command.args(["doc", "a b"]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(words(&command), "RUSTDOCFLAGS='-D warnings' cargo doc 'a b'");
    }

    #[test]
    fn a_failing_step_passes_its_code_on() {
        let failure = step(Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        assert!(matches!(failure, Failure::Step(7)), "{failure}");
        assert!(matches!(step(&mut Command::new("/no/such/program")), Err(Failure::Broken(_))));
    }

    #[test]
    fn unknown_words_are_refused() {
        for arguments in [
            &["tset"][..],
            &["test", "--fast"],
            &["lint", "more"],
            &["ci", "--quick"],
            &["torture", "--hours", "2"],
            &["torture", "--seed"],
        ] {
            assert!(matches!(run(arguments), Err(Failure::Usage(_))), "{arguments:?}");
        }
    }

    #[test]
    fn a_program_that_is_there_needs_no_installing() {
        assert!(ensure_installed("sh", "no-such-package").is_ok());
    }
}
