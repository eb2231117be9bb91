//! Numbers of several rounds, and what can be said of two sets of them.

use serde::Serialize;

/// A value over the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0));
        let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
        let median =
            values.get(low).zip(values.get(high)).map_or(0.0, |(low, high)| f64::midpoint(*low, *high));
        Self { median, min, max }
    }

    fn overlaps(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }

    pub(crate) fn scaled(self, by: f64) -> Self {
        Self { median: self.median * by, min: self.min * by, max: self.max * by }
    }

    pub(crate) fn shown(self) -> String {
        let (min, max) = (number(self.min), number(self.max));
        if min == max { number(self.median) } else { format!("{} ({min}–{max})", number(self.median)) }
    }
}

/// How one set of numbers stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Comparison {
    /// `None`: the spread is wider than the difference, and which is larger was not found out.
    #[serde(rename = "ratio")]
    value: Option<f64>,
    min: f64,
    max: f64,
}

impl Comparison {
    /// Ours over theirs. `judged`: there were enough rounds; a single one has no spread to judge by.
    pub(crate) fn ratio(ours: Spread, theirs: Spread, judged: bool) -> Self {
        let value = (judged && !ours.overlaps(theirs)).then(|| ours.median / theirs.median);
        Self { value, min: ours.min / theirs.max, max: ours.max / theirs.min }
    }

    /// How much ours are above theirs.
    pub(crate) fn difference(ours: Spread, theirs: Spread, judged: bool) -> Self {
        let value = (judged && !ours.overlaps(theirs)).then_some(ours.median - theirs.median);
        Self { value, min: ours.min - theirs.max, max: ours.max - theirs.min }
    }

    pub(crate) fn shown(self) -> String {
        let value = self.value.map_or("~".to_owned(), number);
        format!("{value} ({}–{})", number(self.min), number(self.max))
    }
}

/// About three digits that mean something.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 99.95 || value == 0.0 => 0,
        value if value >= 9.995 => 1,
        value if value >= 0.9995 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: &[f64]) -> Spread {
        Spread::of(values.iter().copied())
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(spread(&[1.0, 2.0]).median, 1.5);
        assert_eq!(spread(&[]).median, 0.0);
    }

    #[test]
    fn no_ratio_within_the_spread() {
        let theirs = spread(&[2.0, 2.2, 2.4]);
        assert_eq!(Comparison::ratio(spread(&[1.0, 1.1, 1.2]), theirs, true).value, Some(0.5));
        assert_eq!(Comparison::ratio(spread(&[1.0]), theirs, false).value, None);
        let unclear = Comparison::ratio(spread(&[1.0, 1.1, 2.1]), theirs, true);
        assert_eq!(unclear.value, None);
        assert!(unclear.shown().starts_with("~ ("), "{}", unclear.shown());
        assert_eq!(Comparison::difference(spread(&[3.0, 3.2]), theirs, true).shown(), "0.900 (0.600–1.20)");
        assert_eq!(Comparison::difference(spread(&[2.0, 3.2]), theirs, true).value, None);
    }

    #[test]
    fn numbers_keep_three_digits() {
        let shown: Vec<_> = [0.0, 0.1234, 1.234, -12.34, 123.4, 12345.6].map(number).into();
        assert_eq!(shown, ["0", "0.123", "1.23", "-12.3", "123", "12346"]);
    }
}
