//! A flame graph without a script: each frame is as wide as its share of the samples, and stands on who called it.

use std::collections::BTreeMap;

const WIDTH: f64 = 1_600.0;
const ROW: f64 = 17.0;
const HEAD: f64 = 28.0;
/// A letter, in pixels.
const LETTER: f64 = 6.6;
/// Narrower frames can't be seen.
const NARROWEST: f64 = 0.3;

/// A function where it was called from.
#[derive(Default)]
struct Frame {
    samples: u64,
    called: BTreeMap<String, Frame>,
}

impl Frame {
    fn add(&mut self, stack: &str, samples: u64) {
        self.samples += samples;
        let mut frame = self;
        for name in stack.split(';') {
            frame = frame.called.entry(name.to_owned()).or_default();
            frame.samples += samples;
        }
    }

    fn depth(&self) -> usize {
        1 + self.called.values().map(Self::depth).max().unwrap_or(0)
    }
}

/// Of folded stacks and how often each was seen.
pub(super) fn draw(title: &str, stacks: &BTreeMap<String, u64>) -> String {
    let mut root = Frame::default();
    for (stack, samples) in stacks {
        root.add(stack, *samples);
    }
    let height = HEAD + ROW * root.depth() as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"monospace\" font-size=\"11\">\n\
         <text x=\"4\" y=\"18\" font-size=\"14\">{}: {} samples</text>\n",
        escaped(title),
        root.samples
    );
    let scale = WIDTH / root.samples.max(1) as f64;
    rows(&root, 0.0, height, scale, root.samples, &mut text);
    text.push_str("</svg>\n");
    text
}

/// What a frame called, from left to right above it.
fn rows(frame: &Frame, left: f64, bottom: f64, scale: f64, all: u64, text: &mut String) {
    let mut left = left;
    for (name, called) in &frame.called {
        let (width, top) = (called.samples as f64 * scale, bottom - ROW);
        if width >= NARROWEST {
            let share = called.samples as f64 * 100.0 / all.max(1) as f64;
            let fits = shortened(name, width);
            text.push_str(&format!(
                "<g><title>{} ({} samples, {share:.1} %)</title><rect x=\"{left:.1}\" y=\"{top}\" \
                 width=\"{width:.1}\" height=\"{:.0}\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{}\">{}</text></g>\n",
                escaped(name),
                called.samples,
                ROW - 1.0,
                color(name),
                left + 2.0,
                top + 12.0,
                escaped(&fits)
            ));
            rows(called, left, top, scale, all, text);
        }
        left += width;
    }
}

/// Of a path of modules the end says most.
fn shortened(name: &str, width: f64) -> String {
    let letters = name.chars().count();
    let fits = (0..=letters).rev().find(|count| *count as f64 * LETTER <= width - 4.0).unwrap_or(0);
    if fits < 3 { String::new() } else { name.chars().skip(letters - fits).collect() }
}

/// The same for the same name, from yellow to red.
fn color(name: &str) -> String {
    let sum = name.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("rgb({},{},{})", 205 + sum % 50, 80 + sum / 50 % 130, sum / 6_500 % 55)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_wide_as_their_share() {
        let stacks = [("main;a<u8>".to_owned(), 3), ("main;b".to_owned(), 1)].into();
        let picture = draw("case", &stacks);
        assert!(picture.contains("case: 4 samples"), "{picture}");
        assert!(picture.contains("a&lt;u8&gt; (3 samples, 75.0 %)"), "{picture}");
        assert!(picture.contains("width=\"1200.0\"") && picture.contains("width=\"400.0\""), "{picture}");
    }

    #[test]
    fn nothing_seen_is_a_picture_too() {
        assert!(draw("case", &BTreeMap::new()).ends_with("</svg>\n"));
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shortened("abcdef", 1000.0), "abcdef");
        assert_eq!(shortened("abcdef", 3.0 * LETTER + 4.0), "def");
        assert_eq!(shortened("abcdef", 5.0), "");
    }
}
