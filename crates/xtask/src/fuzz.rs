//! Fuzzing: libFuzzer on the stable compiler. LLVM's coverage comes by compiler flags, so no nightly is needed; sanitizers
//! would need one, and look for what safe code can't do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, Result, cargo, ensure_installed, step};

/// What makes coverage lead the search: counters, a table of places, and the values that comparisons see.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// How much of a target's corpus is kept in the repository.
const MAX_FILES: usize = 64;
const MAX_BYTES: u64 = 30_000;

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// Of all targets together.
    minutes: u64,
    /// None: all.
    target: Option<String>,
    /// Of each target, in place of a time.
    runs: Option<u64>,
    /// Whether what is found goes into the repository.
    keep: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Options { minutes: 14, target: None, runs: None, keep: false };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| Failure::Usage(format!("{name} needs a value")));
            let number = |text: &str| {
                text.parse::<u64>()
                    .ok()
                    .filter(|number| *number > 0)
                    .ok_or_else(|| Failure::Usage(format!("{name} is a number from 1 on, not {text}")))
            };
            match *name {
                "--minutes" => options.minutes = number(value()?)?,
                "--runs" => options.runs = Some(number(value()?)?),
                "--target" => options.target = Some((*value()?).to_owned()),
                "--keep" => options.keep = true,
                other => return Err(Failure::Usage(format!("unknown option of fuzz: {other}"))),
            }
        }
        Ok(options)
    }
}

pub(crate) fn fuzz(options: &Options) -> Result {
    let all = targets()?;
    let chosen: Vec<_> = match &options.target {
        None => all,
        Some(name) if all.contains(name) => vec![name.clone()],
        Some(name) => return Err(Failure::Usage(format!("no target {name}; there are {}", all.join(", ")))),
    };
    // libFuzzer is C++.
    ensure_installed("c++", "g++")?;
    let fuzzer = build()?;
    let scratch = Scratch::new()?;
    let seconds = (options.minutes * 60 / chosen.len() as u64).max(1);
    // One that fails does not keep the others from being tried.
    let mut failed = Vec::new();
    for target in &chosen {
        let limit = match options.runs {
            Some(runs) => format!("-runs={runs}"),
            None => format!("-max_total_time={seconds}"),
        };
        let place = Place::of(&fuzzer, target)?;
        if search(&place, &limit, &scratch).is_err() {
            failed.push(format!("{target}: the input is in {}", place.failures.display()));
        } else if options.keep {
            keep(&place, &scratch)?;
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::Broken(failed.join("\n"))) }
}

/// Every target has a folder of kept inputs: a test sees to it.
fn targets() -> Result<Vec<String>> {
    let mut names: Vec<_> = files(&corpus())?
        .iter()
        .filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("fuzz").join("corpus")
}

/// The program for all targets, in a target directory of its own: its flags would have everything else compiled anew.
fn build() -> Result<PathBuf> {
    let output =
        Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV").output();
    let output = output.map_err(|error| Failure::Broken(format!("rustc: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| Failure::Broken("rustc does not tell its host".into()))?;
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(usual, PathBuf::from).join("fuzz");
    // With a target of its own the flags are not for build scripts and macros.
    step(
        cargo()
            .args(["build", "--locked", "--profile", "fuzz", "--package", "cacheroach-fuzz"])
            .args(["--features", "libfuzzer", "--target", host, "--target-dir"])
            .arg(&folder)
            .env("RUSTFLAGS", FLAGS),
    )?;
    Ok(folder.join(host).join("fuzz").join("cacheroach-fuzz"))
}

/// Where a target's inputs are.
struct Place {
    fuzzer: PathBuf,
    target: String,
    /// In the repository.
    kept: PathBuf,
    /// Found here, for the next run.
    found: PathBuf,
    /// Inputs that fail.
    failures: PathBuf,
}

impl Place {
    fn of(fuzzer: &Path, target: &str) -> Result<Self> {
        let work = fuzzer.with_file_name("work").join(target);
        let place = Place {
            fuzzer: fuzzer.to_owned(),
            target: target.to_owned(),
            kept: corpus().join(target),
            found: work.join("found"),
            failures: work.join("failures"),
        };
        for folder in [&place.found, &place.failures] {
            fs::create_dir_all(folder).map_err(|error| broken(folder, &error))?;
        }
        Ok(place)
    }

    fn command(&self, scratch: &Scratch) -> Command {
        let mut command = Command::new(&self.fuzzer);
        command.env("CACHEROACH_FUZZ_TARGET", &self.target).env("TMPDIR", &scratch.0);
        command
    }
}

/// Inputs that fail are printed and kept, and end the search.
fn search(place: &Place, limit: &str, scratch: &Scratch) -> Result {
    let failures = format!("-artifact_prefix={}/", place.failures.display());
    step(
        place
            .command(scratch)
            .args([&place.found, &place.kept])
            .args([limit, &failures, "-max_len=2048", "-timeout=30", "-rss_limit_mb=2048"])
            .args(["-print_final_stats=1", "-use_value_profile=1"]),
    )
}

/// Adds to the repository what reaches further than what is there, the smallest first, as long as there is room.
fn keep(place: &Place, scratch: &Scratch) -> Result {
    let merged = scratch.0.join("merged");
    let _ = fs::remove_dir_all(&merged);
    fs::create_dir_all(&merged).map_err(|error| broken(&merged, &error))?;
    step(place.command(scratch).args(["-merge=1", "-max_len=2048"]).args([
        &merged,
        &place.kept,
        &place.found,
    ]))?;
    let size = |file: &PathBuf| fs::metadata(file).map_or(0, |file| file.len());
    let kept = files(&place.kept)?;
    let (mut count, mut bytes) = (kept.len(), kept.iter().map(size).sum::<u64>());
    let mut new = files(&merged)?;
    new.sort_by_key(|file| (size(file), file.clone()));
    for file in new {
        let to = place.kept.join(file.file_name().unwrap_or_default());
        let is_known = kept.iter().any(|kept| fs::read(kept).ok() == fs::read(&file).ok());
        if is_known || count >= MAX_FILES || bytes + size(&file) > MAX_BYTES {
            continue;
        }
        (count, bytes) = (count + 1, bytes + size(&file));
        fs::copy(&file, &to).map_err(|error| broken(&to, &error))?;
    }
    eprintln!("{}: {count} inputs of {bytes} bytes are kept", place.target);
    Ok(())
}

/// The targets' stores: in memory where that is to be had. Removed at the end, since what runs there ends without cleaning
/// up.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = parent.join(format!("cacheroach-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| broken(&folder, &error))?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| broken(folder, &error))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

fn broken(place: &Path, error: &std::io::Error) -> Failure {
    Failure::Broken(format!("{}: {error}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_nonsense_is_refused() {
        let options = Options::parse(&["--minutes", "3", "--target", "path", "--keep"]).unwrap();
        let expected = Options { minutes: 3, target: Some("path".into()), runs: None, keep: true };
        assert_eq!(options, expected);
        assert_eq!(Options::parse(&["--runs", "5"]).unwrap().runs, Some(5));
        for wrong in [&["--minutes"][..], &["--minutes", "x"], &["--runs", "0"], &["--fast"]] {
            assert!(matches!(Options::parse(wrong), Err(Failure::Usage(_))), "{wrong:?}");
        }
    }

    #[test]
    fn an_unknown_target_is_told_before_anything_is_built() {
        let options = Options::parse(&["--target", "nothing"]).unwrap();
        assert!(matches!(fuzz(&options), Err(Failure::Usage(_))));
    }
}
