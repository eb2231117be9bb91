//! Flame graphs on demand: perf watches a server during a case, and its stacks are drawn as one picture.

mod svg;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Result;
use crate::report::Report;

/// Samples a second: not a divisor of anything that ticks.
const SAMPLES: &str = "199";
/// Stacks are found by debug information: without frame pointers there is no other way.
const STACKS: &str = "dwarf,8192";

/// A folder for pictures, one for each case.
pub(crate) struct Flame {
    dir: PathBuf,
    recorded: BTreeSet<&'static str>,
}

impl Flame {
    /// Nothing where perf is missing, which is noted.
    pub(crate) fn open(dir: &Path, report: &mut Report) -> Result<Option<Self>> {
        let version = Command::new("perf").arg("--version").stdout(Stdio::null()).status();
        if !version.is_ok_and(|status| status.success()) {
            report.note("perf is not installed (Debian: linux-perf), so there are no flame graphs");
            return Ok(None);
        }
        report.note("the first round of each case was recorded by perf, which costs the server something");
        fs::create_dir_all(dir)?;
        Ok(Some(Self { dir: dir.to_owned(), recorded: BTreeSet::new() }))
    }

    /// Begins to watch a process, if the case was not recorded yet.
    pub(crate) fn record(&mut self, case: &'static str, process: u32) -> Result<Option<Recording>> {
        if !self.recorded.insert(case) {
            return Ok(None);
        }
        let file = |ending: &str| self.dir.join(format!("{case}.{ending}"));
        let (data, folded, picture) = (file("data"), file("folded"), file("svg"));
        let mut command = Command::new("perf");
        command.args(["record", "--quiet", "-F", SAMPLES, "--call-graph", STACKS]);
        command.args(["-p", &process.to_string(), "-o"]).arg(&data);
        let perf = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Some(Recording { perf, case, data, folded, picture }))
    }
}

/// A case that is being watched.
pub(crate) struct Recording {
    perf: Child,
    case: &'static str,
    data: PathBuf,
    folded: PathBuf,
    picture: PathBuf,
}

impl Recording {
    /// Ends it and draws what was seen.
    pub(crate) fn finish(mut self) -> Result<()> {
        let id = self.perf.id().to_string();
        Command::new("sh").args(["-c", "kill -INT \"$0\"", &id]).status()?;
        self.perf.wait()?;
        let mut script = Command::new("perf");
        script.args(["script", "--no-inline", "-F", "comm,ip,sym", "-i"]).arg(&self.data);
        let output = script.stderr(Stdio::null()).output()?;
        let stacks = fold(&String::from_utf8_lossy(&output.stdout));
        let lines: String = stacks.iter().map(|(stack, count)| format!("{stack} {count}\n")).collect();
        fs::write(&self.folded, lines)?;
        fs::write(&self.picture, svg::draw(self.case, &stacks))?;
        // Large, and of no use to anybody else.
        fs::remove_file(&self.data)?;
        eprintln!("{}: {} samples", self.picture.display(), stacks.values().sum::<u64>());
        Ok(())
    }
}

impl Drop for Recording {
    /// Also when the case failed.
    fn drop(&mut self) {
        if matches!(self.perf.try_wait(), Ok(None)) {
            drop(self.perf.kill());
            drop(self.perf.wait());
        }
    }
}

/// How often each stack was seen, outermost frame first: "thread;main;work".
fn fold(script: &str) -> BTreeMap<String, u64> {
    let mut stacks = BTreeMap::new();
    for sample in script.split("\n\n") {
        let mut lines = sample.lines().filter(|line| !line.trim().is_empty());
        let Some(thread) = lines.next() else { continue };
        let frames = lines.map(|line| line.trim().split_once(' ').map_or("[unknown]", |(_, symbol)| symbol));
        let mut frames: Vec<_> = frames.map(plain).collect();
        frames.push(thread.trim().to_owned());
        frames.reverse();
        *stacks.entry(frames.join(";")).or_insert(0) += 1;
    }
    stacks
}

/// A symbol without what makes it unique, and without what means something in a folded stack.
fn plain(symbol: &str) -> String {
    let symbol = symbol.trim().replace(';', ":");
    match symbol.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|sign| sign.is_ascii_hexdigit()) => {
            name.to_owned()
        }
        _ => symbol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_folded_from_the_outside_in() {
        let script = "tokio-rt-worker \n\t    7f read\n\t    55 a::b::h0123456789abcdef\n\n\
                      tokio-rt-worker \n\t    7f read\n\t    56 a::b::h0123456789abcdef\n\n\
                      main \n\t    57 [unknown]\n\n";
        let stacks: Vec<_> = fold(script).into_iter().collect();
        assert_eq!(stacks, [("main;[unknown]".into(), 1), ("tokio-rt-worker;a::b;read".into(), 2)]);
    }

    #[test]
    fn symbols_lose_their_hashes_alone() {
        assert_eq!(plain("core::ptr::h0123456789abcdef"), "core::ptr");
        assert_eq!(plain("a::hello"), "a::hello");
        assert_eq!(plain("x;y"), "x:y");
    }
}
