//! Lengths of time in the syntax of Go: numbers with units, one after the other.

use std::time::Duration;

const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("\u{b5}s", 1e-6),
    ("\u{3bc}s", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// From `1h30m`, `1.5s`, `0`. Fit to be a parser of clap's.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("no duration such as 90s or 1h30m: {text:?}");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let seconds = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
        total = part(number, seconds).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(total)
}

/// Whole numbers exactly, fractions as near as a float is.
fn part(number: &str, unit_seconds: f64) -> Option<Duration> {
    match number.parse::<u32>() {
        Ok(whole) => Duration::try_from_secs_f64(unit_seconds).ok()?.checked_mul(whole),
        Err(_) => Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit_seconds).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("2m0.25s", 120_250),
            ("87600h0m0s", 87_600 * 3_600_000),
            ("100ms", 100),
            ("5000us", 5),
            ("5000\u{b5}s", 5),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "1", "h", "1d", "-1s", "1.2.3s", "1h ", " 1h", "99999999999999999999999h", "."] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
