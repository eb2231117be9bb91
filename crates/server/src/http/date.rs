//! Dates as HTTP writes them (RFC 9110, 5.6.7), in whole seconds.

use std::fmt::Write as _;

use cacheroach_model::Timestamp;
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// The first second that four digits can tell: 0000-01-01T00:00:00Z.
const FIRST: i64 = -62_167_219_200;

/// Of an IMF-fixdate.
const LENGTH: usize = 29;

/// As IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn format(time: Timestamp) -> String {
    let at = civil(time);
    let day = &DAYS[usize::from(at.weekday().to_monday_zero_offset().unsigned_abs())][..3];
    let month = MONTHS[usize::from(at.month().unsigned_abs()) - 1];
    let mut text = String::with_capacity(LENGTH);
    // A string takes whatever is written to it.
    let _ = write!(
        text,
        "{day}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT",
        at.day(),
        at.year(),
        at.hour(),
        at.minute(),
        at.second()
    );
    text
}

/// In any of the three forms a recipient must read; none if it is no date. The weekday must be one, not the right one.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let words: Vec<&str> = text.split(' ').collect();
    let (date, time) = match *words.as_slice() {
        [weekday, day, month, year, time, "GMT"] => {
            is_weekday(weekday.strip_suffix(',')?, 3).then_some(())?;
            (date(digits(year, 4)?, month, digits(day, 2)?)?, time)
        }
        [weekday, day_month_year, time, "GMT"] => {
            is_weekday(weekday.strip_suffix(',')?, usize::MAX).then_some(())?;
            let mut parts = day_month_year.split('-');
            let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
            parts.next().is_none().then_some(())?;
            // Two digits of a year are at most 50 years ahead; without a clock, that's 1970 to 2069.
            let year = digits(year, 2)?;
            (date(if year < 70 { 2000 + year } else { 1900 + year }, month, digits(day, 2)?)?, time)
        }
        [weekday, month, day, time, year] if is_weekday(weekday, 3) => {
            (date(digits(year, 4)?, month, digits(day, 2)?)?, time)
        }
        [weekday, month, "", day, time, year] if is_weekday(weekday, 3) => {
            (date(digits(year, 4)?, month, digits(day, 1)?)?, time)
        }
        _ => return None,
    };
    at(date, time)
}

/// The date and time of day in UTC, to the second.
pub(crate) fn civil(time: Timestamp) -> DateTime {
    let seconds = time.seconds().clamp(FIRST, Timestamp::MAX.seconds());
    EPOCH.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(EPOCH)
}

fn is_weekday(name: &str, length: usize) -> bool {
    DAYS.iter().any(|day| day[..day.len().min(length)] == *name)
}

fn digits(text: &str, count: usize) -> Option<i16> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn date(year: i16, month: &str, day: i16) -> Option<Date> {
    let month = 1 + MONTHS.iter().position(|name| *name == month)?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn at(date: Date, time: &str) -> Option<Timestamp> {
    let mut parts = time.split(':').map(|part| digits(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if hour > 23 || minute > 59 || second > 60 || parts.next().is_some() {
        return None;
    }
    let days = date.to_datetime(Time::midnight()).duration_since(EPOCH).as_secs();
    // A leap second counts as the one before it.
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second.min(59));
    Some(Timestamp::from_seconds(days + seconds))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_three_forms_of_the_standard_are_the_same_second() {
        let expected = Some(Timestamp::from_seconds(784_111_777));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), expected);
        assert_eq!(parse("Sunday, 06-Nov-94 08:49:37 GMT"), expected);
        assert_eq!(parse("Sun Nov  6 08:49:37 1994"), expected);
        assert_eq!(format(Timestamp::from_micros(784_111_777_999_999)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse("Wed Nov 16 08:49:37 1994"), Some(Timestamp::from_seconds(784_975_777)));
    }

    #[test]
    fn a_year_of_two_digits_is_between_1970_and_2069() {
        assert_eq!(parse("Tuesday, 01-Jan-70 00:00:00 GMT"), Some(Timestamp::from_seconds(0)));
        assert_eq!(parse("Tuesday, 01-Jan-69 00:00:00 GMT"), parse("Tue, 01 Jan 2069 00:00:00 GMT"));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "yesterday",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:+7 GMT",
            "Sun, 06 Nov 19940 08:49:37 GMT",
            "Xxx, 06 Nov 1994 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94-1 08:49:37 GMT",
            " Sun, 06 Nov 1994 08:49:37 GMT",
            "S\u{fc}n, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_out_of_reach_are_shown_as_the_nearest() {
        assert_eq!(format(Timestamp::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(format(Timestamp::from_micros(i64::MAX)), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(format(Timestamp::from_micros(i64::MIN)), "Sat, 01 Jan 0000 00:00:00 GMT");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in FIRST..=Timestamp::MAX.seconds()) {
            let time = Timestamp::from_seconds(seconds);
            prop_assert_eq!(parse(&format(time)), Some(time));
        }

        #[test]
        fn anything_may_be_read(text in "[A-Za-z0-9,: -]{0,40}|\\PC{0,20}") {
            let _ = parse(&text);
        }
    }
}
