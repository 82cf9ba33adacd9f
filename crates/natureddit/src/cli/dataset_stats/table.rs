//! The statistics, a line a feature.

use std::fmt::{self, Write as _};

use console::{measure_text_width, style, truncate_str};
use natureddit_pipeline::statistics::{
    FeatureStatistics, NumericStatistics, SplitStatistics, TextStatistics, ValueStatistics,
};

use super::super::words::{counted, printable};
use indicatif::HumanCount;

/// The longest name of a feature that is shown whole.
const NAME_WIDTH_MAX: usize = 24;

pub(super) fn write(f: &mut fmt::Formatter<'_>, statistics: &SplitStatistics, width: usize) -> fmt::Result {
    let (examples, features) = (statistics.examples, statistics.features.len() as u64);
    writeln!(f, "{}, {}\n", counted(examples, "example"), counted(features, "feature"))?;
    let names = statistics.features.iter().map(|feature| measure_text_width(&feature.name)).max();
    let name_width = names.unwrap_or(0).clamp("feature".len(), NAME_WIDTH_MAX);
    let header = format!("{:name_width$}  type    missing     unique  values", "feature");
    writeln!(f, "{}", style(header).bold())?;
    for feature in &statistics.features {
        let mut line = padded(&feature.name, name_width);
        write!(line, "  {:6}  {:>7}", feature.kind.name(), percent(feature))?;
        let (unique, values) = match &feature.values {
            ValueStatistics::Text(texts) => (HumanCount(texts.unique).to_string(), text_values(texts)),
            ValueStatistics::Numeric(numbers) => (String::new(), number_values(numbers)),
        };
        let values = if feature.presence.present == 0 { "no value".to_owned() } else { values };
        write!(line, "  {unique:>9}  {values}")?;
        writeln!(f, "{}", truncate_str(&line, width, "…").trim_end())?;
    }
    Ok(())
}

/// A name in so many columns.
fn padded(name: &str, width: usize) -> String {
    let name = one_line(name);
    let name = truncate_str(&name, width, "…");
    format!("{name}{:1$}", "", width.saturating_sub(measure_text_width(&name)))
}

/// `0 %`, `6.0 %`, `<0.1 %`.
fn percent(feature: &FeatureStatistics) -> String {
    let percent = 100.0 * feature.presence.missing_fraction();
    match percent {
        0.0 => "0 %".to_owned(),
        0.0..0.05 => "<0.1 %".to_owned(),
        _ if percent > 99.95 && percent < 100.0 => ">99.9 %".to_owned(),
        _ => format!("{percent:.1} %"),
    }
}

fn text_values(texts: &TextStatistics) -> String {
    let mut line = String::new();
    for (at, top) in texts.top_values.iter().take(8).enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        let value = one_line(&top.value);
        // Writing to a string does not fail.
        let _ = write!(line, "{separator}{} {}", truncate_str(&value, 28, "…"), HumanCount(top.count));
    }
    line
}

fn number_values(numbers: &NumericStatistics) -> String {
    let NumericStatistics { mean, std_dev, min, median, max, zeros, .. } = numbers;
    let [mean, std_dev, min, median, max] = [mean, std_dev, min, median, max].map(|value| number(*value));
    let zeros = if *zeros > 0 { format!(", {}", counted(*zeros, "zero")) } else { String::new() };
    format!("{min} to {max}, median {median}, mean {mean} ± {std_dev}{zeros}")
}

/// A number with as many digits as tell something: `1,655,000,000`, `12.35`, `0.00123`, `1.2e-9`.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return value.to_string();
    }
    if size >= 1e15 || (size > 0.0 && size < 1e-4) {
        return format!("{value:.3e}");
    }
    let decimals = if value.fract() == 0.0 { 0 } else { (3 - size.log10().floor() as i64).clamp(0, 6) as usize };
    let text = format!("{size:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let grouped = HumanCount(whole.parse().unwrap_or(0)).to_string();
    let sign = if value < 0.0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}

/// A value as it can stand in a line of a terminal.
pub(super) fn one_line(value: &str) -> String {
    printable(value).replace('\n', "⏎")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_tell_something() {
        let shown = [0.0, 3.0, 12.345, 1655.5, 1_655_000_000.0, -0.001_234, 1e-9, 1e20, 0.5, f64::NAN, 99.999_99];
        let expected =
            ["0", "3", "12.35", "1,656", "1,655,000,000", "-0.001234", "1.000e-9", "1.000e20", "0.5", "NaN", "100"];
        assert_eq!(shown.map(number), expected);
    }
}
