//! How far the bytes have come, on standard error: bars on a terminal, otherwise lines.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

use crate::output::printable;

/// How often a transfer without a bar is heard of.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Smaller transfers are over before a bar could be read.
const LEAST_FOR_BAR: u64 = 1 << 20;
const TEMPLATE: &str = "{wide_msg} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// All transfers of a command.
pub(crate) struct Progress {
    bars: Option<MultiProgress>,
}

/// One transfer.
pub(crate) struct Transfer {
    name: String,
    bar: Option<ProgressBar>,
    size: u64,
    lines: Option<Mutex<Lines>>,
}

struct Lines {
    begun: Instant,
    said: Instant,
    /// What an earlier run had transferred already.
    ahead: u64,
    done: u64,
}

impl Progress {
    /// With bars, if the terminal is ours.
    pub(crate) fn new(bars: bool) -> Self {
        Progress { bars: bars.then(MultiProgress::new) }
    }

    /// Begins with a file; of a size that nobody knows if that is 0.
    pub(crate) fn start(&self, name: &str, size: u64) -> Transfer {
        let name = printable(name);
        let now = Instant::now();
        let Some(bars) = &self.bars else {
            let lines = Lines { begun: now, said: now, ahead: 0, done: 0 };
            return Transfer { name, bar: None, size, lines: Some(Mutex::new(lines)) };
        };
        let mut transfer = Transfer { name, bar: None, size, lines: None };
        if size >= LEAST_FOR_BAR {
            let style =
                ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(size).with_style(style).with_message(transfer.name.clone());
            transfer.bar = Some(bars.add(bar));
        }
        transfer
    }

    /// Says something beside the bars.
    pub(crate) fn say(&self, line: &str) {
        self.aside(|| eprintln!("{}", printable(line)));
    }

    /// Does what writes to the terminal, while there are no bars on it.
    pub(crate) fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        match &self.bars {
            Some(bars) => bars.suspend(act),
            None => act(),
        }
    }
}

impl Transfer {
    /// So many bytes an earlier try has left.
    pub(crate) fn resume(&self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.reset_eta();
        }
        self.lines(|lines| (lines.ahead, lines.done) = (done, done));
    }

    /// So many bytes are done, all in all.
    pub(crate) fn reach(&self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        self.lines(|lines| {
            lines.done = done;
            if lines.said.elapsed() >= LINE_EVERY {
                lines.said = Instant::now();
                eprintln!("{}: {}", self.name, lines.so_far(self.size));
            }
        });
    }

    /// All bytes are done.
    pub(crate) fn finish(&self) {
        self.lines(|lines| {
            let rate = lines.rate().unwrap_or(lines.done);
            eprintln!("{}: {}, {}/s", self.name, HumanBytes(lines.done), HumanBytes(rate));
        });
    }

    fn lines(&self, act: impl FnOnce(&mut Lines)) {
        if let Some(Ok(mut lines)) = self.lines.as_ref().map(Mutex::lock) {
            act(&mut lines);
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    /// Bytes per second, once a second has passed.
    fn rate(&self) -> Option<u64> {
        (self.done - self.ahead).checked_div(self.begun.elapsed().as_secs())
    }

    fn so_far(&self, size: u64) -> String {
        let mut text = HumanBytes(self.done).to_string();
        if size > 0 {
            text.push_str(&format!(" of {}", HumanBytes(size)));
        }
        if let Some(rate) = self.rate() {
            text.push_str(&format!(", {}/s", HumanBytes(rate)));
            let left = size.saturating_sub(self.done).checked_div(rate);
            if let Some(left) = left.filter(|_| size > 0) {
                text.push_str(&format!(", {} left", HumanDuration(Duration::from_secs(left))));
            }
        }
        text
    }
}
