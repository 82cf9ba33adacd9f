//! Histograms and bars of block characters.

use std::fmt;

use console::{measure_text_width, style, truncate_str};
use indicatif::HumanCount;
use natureddit_pipeline::statistics::{
    Bucket, FeatureStatistics, HistogramKind, NumericStatistics, SplitStatistics, TextStatistics, ValueStatistics,
};

use super::super::words::counted;
use super::table::{number, one_line};

/// So many values of a text have a bar.
const BARS: usize = 10;
/// The widest label in front of a bar.
const LABEL_WIDTH_MAX: usize = 36;
/// Eighths of a block.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

pub(super) fn write(f: &mut fmt::Formatter<'_>, statistics: &SplitStatistics, width: usize) -> fmt::Result {
    for feature in &statistics.features {
        writeln!(f, "\n{}  {}", style(one_line(&feature.name)).bold(), heading(feature))?;
        match &feature.values {
            ValueStatistics::Numeric(numbers) => write_numbers(f, numbers, width)?,
            ValueStatistics::Text(texts) => write_texts(f, texts, feature.presence.present, width)?,
        }
    }
    Ok(())
}

fn heading(feature: &FeatureStatistics) -> String {
    let presence = &feature.presence;
    let mut heading = format!("{}, {}", feature.kind.name(), counted(presence.present, "value"));
    if presence.missing > 0 {
        heading += &format!(", {} missing", HumanCount(presence.missing));
    }
    match &feature.values {
        ValueStatistics::Text(texts) if presence.present > 0 => {
            heading += &format!(
                ", {} different, {} bytes on average",
                HumanCount(texts.unique),
                number(f64::from(texts.bytes_mean))
            );
        }
        ValueStatistics::Numeric(numbers) => {
            let nan = numbers.histograms.first().map_or(0, |histogram| histogram.nan);
            if nan > 0 {
                heading += &format!(", {} not a number", HumanCount(nan));
            }
        }
        ValueStatistics::Text(_) => {}
    }
    heading
}

/// A bar for each of the equally wide intervals, and the ends of the equally full ones below.
fn write_numbers(f: &mut fmt::Formatter<'_>, numbers: &NumericStatistics, width: usize) -> fmt::Result {
    if let Some(standard) = numbers.histogram(HistogramKind::Standard) {
        let bars: Vec<(String, f64)> =
            labels(&standard.buckets).into_iter().zip(standard.buckets.iter().map(|b| b.count)).collect();
        write_bars(f, &bars, width)?;
    }
    let full = numbers.histogram(HistogramKind::Quantiles).filter(|histogram| !histogram.buckets.is_empty());
    if let Some(full) = full {
        let ends = full.buckets.iter().map(|bucket| bucket.low).chain(full.buckets.last().map(|bucket| bucket.high));
        let line = format!("  tenths: {}", ends.map(number).collect::<Vec<_>>().join("  "));
        writeln!(f, "{}", truncate_str(&line, width, "…"))?;
    }
    Ok(())
}

/// `  1,000 to  2,000`, the numbers below each other.
fn labels(buckets: &[Bucket]) -> Vec<String> {
    let low: Vec<String> = buckets.iter().map(|bucket| number(bucket.low)).collect();
    let high: Vec<String> = buckets.iter().map(|bucket| number(bucket.high)).collect();
    let width = |texts: &[String]| texts.iter().map(String::len).max().unwrap_or(0);
    let (low_width, high_width) = (width(&low), width(&high));
    low.iter().zip(&high).map(|(low, high)| format!("{low:>low_width$} to {high:>high_width$}")).collect()
}

fn write_texts(f: &mut fmt::Formatter<'_>, texts: &TextStatistics, present: u64, width: usize) -> fmt::Result {
    // Where every value is there once, a drawing shows nothing.
    if texts.top_values.first().is_some_and(|top| top.count == 1) && texts.unique > BARS as u64 {
        return writeln!(f, "  every value is there once");
    }
    let shown = &texts.top_values[..texts.top_values.len().min(BARS)];
    let mut bars: Vec<(String, f64)> = shown.iter().map(|top| (one_line(&top.value), top.count as f64)).collect();
    let others = present.saturating_sub(shown.iter().map(|top| top.count).sum());
    if others > 0 {
        let count = texts.unique.saturating_sub(shown.len() as u64);
        bars.push((format!("({} more)", HumanCount(count)), others as f64));
    }
    write_bars(f, &bars, width)
}

/// A line a bar: label, bar, count. The longest bar fills the width.
fn write_bars(f: &mut fmt::Formatter<'_>, bars: &[(String, f64)], width: usize) -> fmt::Result {
    let labels: Vec<_> = bars.iter().map(|(label, _)| truncate_str(label, LABEL_WIDTH_MAX, "…")).collect();
    let label_width = labels.iter().map(|label| measure_text_width(label)).max().unwrap_or(0);
    let counts: Vec<String> = bars.iter().map(|(_, count)| HumanCount(count.round() as u64).to_string()).collect();
    let count_width = counts.iter().map(String::len).max().unwrap_or(0);
    let longest = width.saturating_sub(2 + label_width + 2 + 2 + count_width).max(8);
    let most = bars.iter().map(|(_, count)| *count).fold(0.0, f64::max);
    for ((label, (_, count)), number) in labels.iter().zip(bars).zip(&counts) {
        let gap = label_width - measure_text_width(label);
        let bar = bar(if most > 0.0 { count / most } else { 0.0 }, longest);
        writeln!(
            f,
            "  {label}{:gap$}  {}{:rest$}  {number:>count_width$}",
            "",
            style(&bar).cyan(),
            "",
            rest = longest - measure_text_width(&bar)
        )?;
    }
    Ok(())
}

/// A share of so many blocks; what is there at all has at least an eighth of one.
fn bar(share: f64, blocks: usize) -> String {
    let eighths = (share * 8.0 * blocks as f64).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!([bar(1.0, 4), bar(0.5, 4), bar(0.53, 4), bar(0.0, 4), bar(1e-9, 4)], ["████", "██", "██▏", "", "▏"]);
    }
}
