//! The checks that tables share: each takes a key and its raw value and gives a checked one, or an error that names
//! the key, the value, the line and what it must be.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use natureddit_core::{PLAIN_NAME, is_plain_name};
use url::Url;

use super::document::Document;
use super::{ConfigError, Environment, nearest};

/// Sizes in bytes: from one byte to a tebibyte.
pub(super) const BYTES: RangeInclusive<i64> = 1..=1 << 40;
/// Counts of pixels: from one to the most that 32-bit offsets into RGB can address.
pub(super) const PIXELS: RangeInclusive<i64> = 1..=1_400_000_000;
/// Shares and probabilities.
pub(super) const SHARE: RangeInclusive<f64> = 0.0..=1.0;

type Result<T> = std::result::Result<T, ConfigError>;

/// What checks need to know besides the value: the file it came from, the project's folder, the environment.
pub(super) struct Checker<'a> {
    pub(super) document: &'a Document,
    pub(super) root: &'a Path,
    pub(super) environment: &'a Environment,
}

impl<'a> Checker<'a> {
    /// The checks of one table's keys.
    pub(super) fn table<'t>(&'t self, path: &'t str) -> TableChecker<'t>
    where
        'a: 't,
    {
        TableChecker { checker: self, path }
    }
}

/// The checks of one table's keys.
pub(super) struct TableChecker<'a> {
    checker: &'a Checker<'a>,
    path: &'a str,
}

impl TableChecker<'_> {
    /// The error of a value that must be something else.
    pub(super) fn bad(&self, key: &str, value: impl Debug, must_be: impl Into<String>) -> ConfigError {
        let key = format!("{}.{key}", self.path);
        let place = self.checker.document.place(&key);
        ConfigError::BadValue { key, value: format!("{value:?}"), place, must_be: must_be.into(), nearest: None }
    }

    /// Whether the file sets the key.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.checker.document.is_set(&format!("{}.{key}", self.path))
    }

    /// The error of a key that does not belong here, whatever its value.
    pub(super) fn misplaced(&self, key: &str, must_be: impl Into<String>) -> ConfigError {
        let value = self.checker.document.shown(self.path, key);
        let key = format!("{}.{key}", self.path);
        let place = self.checker.document.place(&key);
        ConfigError::BadValue { key, value, place, must_be: must_be.into(), nearest: None }
    }

    /// A whole number in `range`, which must fit `T`.
    pub(super) fn integer<T: TryFrom<i64>>(&self, key: &str, value: i64, range: RangeInclusive<i64>) -> Result<T> {
        let must_be = || format!("from {} to {}", range.start(), range.end());
        let inside = Some(value).filter(|value| range.contains(value));
        inside.and_then(|value| T::try_from(value).ok()).ok_or_else(|| self.bad(key, value, must_be()))
    }

    /// A number in `range`; never NaN.
    pub(super) fn number(&self, key: &str, value: f64, range: RangeInclusive<f64>) -> Result<f64> {
        let must_be = || format!("from {} to {}", range.start(), range.end());
        if range.contains(&value) { Ok(value) } else { Err(self.bad(key, value, must_be())) }
    }

    /// A duration such as `"30s"` in `range`.
    pub(super) fn duration(&self, key: &str, text: &str, range: RangeInclusive<Duration>) -> Result<Duration> {
        let shown = |duration: &Duration| format!("{:#}", SignedDuration::try_from(*duration).unwrap_or_default());
        let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
        let must_be = || format!("a duration such as \"30s\", from {} to {}", shown(range.start()), shown(range.end()));
        parsed.filter(|duration| range.contains(duration)).ok_or_else(|| self.bad(key, text, must_be()))
    }

    /// A moment, or `None` for an empty text.
    pub(super) fn moment(&self, key: &str, text: &str) -> Result<Option<Timestamp>> {
        if text.is_empty() {
            return Ok(None);
        }
        let must_be = "a day or moment such as \"2021-01-31\" or \"2021-01-31T18:00:00Z\", or empty";
        parse_moment(text).map(Some).ok_or_else(|| self.bad(key, text, must_be))
    }

    /// The address of a web site, with `http` or `https`.
    pub(super) fn url(&self, key: &str, text: &str) -> Result<Url> {
        let web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.query().is_none();
        let parsed = Url::parse(text).ok().filter(web);
        parsed.ok_or_else(|| self.bad(key, text, "an address such as \"https://example.org\""))
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(&self, key: &str, text: &str, words: &[(&'static str, T)]) -> Result<T> {
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*meant);
        }
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Err(self.none_of(key, text, &words))
    }

    /// The error of a text that is none of these words.
    pub(super) fn none_of(&self, key: &str, text: &str, words: &[&str]) -> ConfigError {
        let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
        let mut error = self.bad(key, text, quoted.join(" or "));
        if let ConfigError::BadValue { nearest, .. } = &mut error {
            *nearest = nearest::spelling(text, words.iter().copied()).map(Box::from);
        }
        error
    }

    /// A name that is safe as a folder and in an address.
    pub(super) fn name(&self, key: &str, text: &str) -> Result<String> {
        if is_plain_name(text) { Ok(text.to_owned()) } else { Err(self.bad(key, text, PLAIN_NAME)) }
    }

    /// A path; a relative one starts at the project's folder.
    pub(super) fn path(&self, key: &str, text: &str) -> Result<PathBuf> {
        self.optional_path(key, text)?.ok_or_else(|| self.bad(key, text, "a path"))
    }

    /// A path, or `None` for an empty text.
    pub(super) fn optional_path(&self, key: &str, text: &str) -> Result<Option<PathBuf>> {
        if text.contains('\0') {
            return Err(self.bad(key, text, "a path"));
        }
        Ok((!text.is_empty()).then(|| self.checker.root.join(text)))
    }

    /// A path, or for an empty text `below` in a folder of the user's.
    pub(super) fn path_or(
        &self,
        key: &str,
        text: &str,
        home: impl FnOnce(&Environment) -> Option<&PathBuf>,
        below: &str,
    ) -> Result<PathBuf> {
        if let Some(path) = self.optional_path(key, text)? {
            return Ok(path);
        }
        let home = home(self.checker.environment);
        home.map(|home| home.join(below)).ok_or_else(|| ConfigError::NoHome { key: format!("{}.{key}", self.path) })
    }
}

/// The moment a text names: a day, meaning its first second in UTC, or a time with its offset.
#[must_use]
pub fn parse_moment(text: &str) -> Option<Timestamp> {
    let utc = |moment| TimeZone::UTC.to_timestamp(moment).ok();
    // A day as such would be read off the beginning of a longer text.
    let time = || text.parse::<DateTime>().ok().and_then(utc);
    text.parse::<Timestamp>().ok().or_else(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_day_or_a_time_with_an_offset() {
        let seconds = |text| parse_moment(text).map(Timestamp::as_second);
        assert_eq!(seconds("1970-01-02"), Some(86_400));
        assert_eq!(seconds("1970-01-01T01:00:00Z"), Some(3_600));
        assert_eq!(seconds("1970-01-01T01:00:00+01:00"), Some(0));
        // As posts.csv has it: without a zone it is UTC, and never cut to its day.
        assert_eq!(seconds("1970-01-01T01:00:00"), Some(3_600));
        assert_eq!(seconds("1970-01-01 01:00"), Some(3_600));
        assert_eq!(seconds("yesterday"), None);
        assert_eq!(seconds("2021-02-30"), None);
    }
}
