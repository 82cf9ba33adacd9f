//! Dates as Arctic Shift takes and gives them.

const DAY: i64 = 86_400;

/// Seconds since the epoch of what a client gives as a date: seconds, milliseconds, part of an ISO 8601 date, or how
/// long ago it was.
pub(super) fn date(text: &str, now: i64) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        // A number that would be a year far off as seconds is one of milliseconds.
        return Some(if number.abs() >= 100_000_000_000 { number.div_euclid(1_000) } else { number });
    }
    iso_date(text).or_else(|| ago(text).map(|seconds| now - seconds))
}

/// `2020-01-01`, with `T` or a space and a time of day behind it if need be, always UTC.
fn iso_date(text: &str) -> Option<i64> {
    let text = text.trim_end_matches('Z');
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let date: Vec<i64> = date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let time = time.split('.').next()?;
    let time: Vec<i64> = time.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day] = date[..] else { return None };
    let (hour, minute, second) = (time.first()?, time.get(1).unwrap_or(&0), time.get(2).unwrap_or(&0));
    Some(days(year, month, day) * DAY + hour * 3_600 + minute * 60 + second)
}

/// `2d`, `1hour` or `10s`.
fn ago(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: i64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim_end_matches('s') {
        "year" | "y" => 365 * DAY,
        "month" | "m" => 30 * DAY,
        "day" | "d" => DAY,
        "hour" | "h" => 3_600,
        "min" | "minute" => 60,
        "" | "sec" | "second" => 1,
        _ => return None,
    };
    Some(number * unit)
}

/// Days since the epoch of a date of the Gregorian calendar (Howard Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of the day that many days after the epoch.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days - era * 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// How many days of its month have passed before the second's day, and how many of its year before the month.
pub(super) fn day_and_month(second: i64) -> (i64, i64) {
    let (year, month, day) = civil(second.div_euclid(DAY));
    (day - 1, days(year, month, 1) - days(year, 1, 1))
}

/// `2022-04-30T00:00:00.000Z`.
pub(super) fn iso(second: i64) -> String {
    let ((year, month, day), time) = (civil(second.div_euclid(DAY)), second.rem_euclid(DAY));
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_taken_in_every_form() {
        let now = 1_700_000_000;
        let cases = [
            ("1650000000", Some(1_650_000_000)),
            ("1650000000999", Some(1_650_000_000)),
            ("2022-04-15", Some(1_649_980_800)),
            ("2022-04-15T05:20:00.000Z", Some(1_650_000_000)),
            ("2022-04-15 05:20:00", Some(1_650_000_000)),
            ("2d", Some(now - 172_800)),
            ("1hour", Some(now - 3_600)),
            ("10s", Some(now - 10)),
            ("1w", None),
            ("yesterday", None),
        ];
        for (text, expected) in cases {
            assert_eq!(date(text, now), expected, "{text}");
        }
    }

    #[test]
    fn dates_are_written_as_they_are_read() {
        for second in [0, 951_782_400, 1_650_000_000, 1_709_164_800, 4_102_444_799] {
            assert_eq!(date(&iso(second), 0), Some(second));
        }
        assert_eq!(iso(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(day_and_month(951_782_400), (28, 31));
    }
}
