//! What a collection tells in the end: a table by subreddit, what was dropped and why, where posts may be missing.

use std::fmt;

use console::style;
use indicatif::HumanCount;
use natureddit_data::{CollectReport, SubredditGap, SubredditReport, Window};
use serde::Serialize;

use crate::cli::words::{counted, is_or_are, plural, size, time, was_or_were};

/// Of the subreddits with a reason so many are named.
const NAMED_MAX: usize = 4;

/// What was collected.
#[derive(Serialize)]
pub(in crate::cli) struct Collected {
    #[serde(flatten)]
    pub(super) report: CollectReport,
    #[serde(flatten)]
    pub(super) window: Window,
    /// How long it took.
    pub(super) seconds: f64,
}

impl fmt::Display for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        writeln!(f, "posts from {}, collected in {}\n", self.window, time(self.seconds))?;
        write_table(f, report)?;
        write_reasons(f, report)?;
        write_remarks(f, report)
    }
}

const HEADER: [&str; 8] = ["subreddit", "posts", "new", "photos", "present", "dropped", "size", "gaps"];

fn write_table(f: &mut fmt::Formatter<'_>, report: &CollectReport) -> fmt::Result {
    let mut rows: Vec<_> = report.subreddits.iter().map(|part| row(&format!("r/{}", part.subreddit), part)).collect();
    if rows.len() > 1 {
        rows.push(row("all", &sum(report)));
    }
    let header = HEADER.map(str::to_owned);
    let width = |column: usize| rows.iter().chain([&header]).map(|row| row[column].len()).max().unwrap_or_default();
    let widths: [usize; HEADER.len()] = std::array::from_fn(width);
    let aligned = |row: &[String; HEADER.len()]| {
        let numbers = row.iter().zip(widths).skip(1).map(|(cell, width)| format!("  {cell:>width$}"));
        format!("{:<first$}{}", row[0], numbers.collect::<String>(), first = widths[0])
    };
    writeln!(f, "{}", style(aligned(&header)).bold())?;
    rows.iter().try_for_each(|row| writeln!(f, "{}", aligned(row)))
}

fn row(name: &str, part: &SubredditReport) -> [String; HEADER.len()] {
    let SubredditReport { posts_seen, posts_new, photos_stored, photos_present, photo_bytes, gaps, .. } = part;
    let count = |count: u64| if count == 0 { "-".to_owned() } else { HumanCount(count).to_string() };
    let size = if *photo_bytes == 0 { "-".to_owned() } else { size(*photo_bytes) };
    let counts = [*posts_seen, *posts_new, *photos_stored, *photos_present, part.dropped.values().sum()].map(count);
    let [posts, new, stored, present, dropped] = counts;
    [name.to_owned(), posts, new, stored, present, dropped, size, count(*gaps)]
}

fn sum(report: &CollectReport) -> SubredditReport {
    SubredditReport {
        subreddit: String::new(),
        posts_seen: report.posts_seen,
        posts_new: report.posts_new,
        photos_stored: report.photos_stored,
        photos_present: report.photos_present,
        photo_bytes: report.photo_bytes,
        dropped: report.dropped.clone(),
        gaps: report.gaps.len() as u64,
    }
}

/// How many were dropped for each reason, the most frequent first.
fn write_reasons(f: &mut fmt::Formatter<'_>, report: &CollectReport) -> fmt::Result {
    if report.dropped.is_empty() {
        return Ok(());
    }
    let mut reasons: Vec<_> = report.dropped.iter().collect();
    reasons.sort_by_key(|(reason, count)| (u64::MAX - **count, *reason));
    let longest = reasons.iter().map(|(reason, _)| reason.len()).max().unwrap_or_default();
    writeln!(f, "\n{}", style("dropped, and why").bold())?;
    for (reason, count) in reasons {
        let whole =
            format!("{:>6}  {reason:<longest$}  {}", HumanCount(*count).to_string(), where_dropped(report, reason));
        writeln!(f, "{}", whole.trim_end())?;
    }
    Ok(())
}

/// `r/flowers 12, r/EarthPorn 3`; nothing where there is one subreddit only.
fn where_dropped(report: &CollectReport, reason: &str) -> String {
    if report.subreddits.len() < 2 {
        return String::new();
    }
    let count = |part: &SubredditReport| part.dropped.get(reason).copied().unwrap_or_default();
    let mut parts: Vec<_> = report.subreddits.iter().filter(|part| count(part) > 0).collect();
    parts.sort_by_key(|part| u64::MAX - count(part));
    let named = parts.iter().take(NAMED_MAX).map(|part| format!("r/{} {}", part.subreddit, HumanCount(count(part))));
    let others = parts.len().saturating_sub(NAMED_MAX);
    let others = (others > 0).then(|| format!("and {others} more"));
    named.chain(others).collect::<Vec<_>>().join(", ")
}

fn write_remarks(f: &mut fmt::Formatter<'_>, report: &CollectReport) -> fmt::Result {
    let CollectReport { photos_changed, photos_missing, photos_may_come, records_unreadable, .. } = report;
    let mut remarks = Vec::new();
    let mut remark = |count: u64, text: String| remarks.extend((count > 0).then_some(text));
    let missing = counted(*photos_missing, "photo");
    let is = is_or_are(*photos_missing);
    remark(*photos_missing, format!("{missing} {is} missing and cannot be had again; the rows are kept"));
    let changed = counted(*photos_changed, "photo");
    let differs = if *photos_changed == 1 { "differs" } else { "differ" };
    let describes = "what was fetched; the table describes the files as they are now";
    remark(*photos_changed, format!("{changed} {differs} from {describes}"));
    remark(*records_unreadable, format!("{} could not be read", counted(*records_unreadable, "record")));
    let renamed = report.authors_changed;
    let of_rows = counted(renamed, "row");
    remark(
        renamed,
        format!(
            "of {of_rows} that {} there the author is not kept any more, as collect.author says",
            was_or_were(renamed)
        ),
    );
    let forgotten = report.posts_forgotten;
    let stay = if forgotten == 1 { "was deleted and is" } else { "were deleted and are" };
    remark(forgotten, format!("{} {stay} not collected again", counted(forgotten, "post")));
    let may_come = format!("photo{} may come later: run the same command again", plural(*photos_may_come));
    remark(*photos_may_come, format!("{} {may_come}", HumanCount(*photos_may_come)));
    for name in &report.subreddits_unknown {
        remarks.push(format!("warning: not one post of r/{name} came, and none is in the dataset: is the name right?"));
    }
    if !remarks.is_empty() || !report.gaps.is_empty() {
        writeln!(f)?;
    }
    remarks.iter().try_for_each(|remark| writeln!(f, "{remark}"))?;
    for SubredditGap { subreddit, window, reason } in &report.gaps {
        writeln!(f, "gap: posts of r/{subreddit} may be missing from {window}: {}", reason.meaning())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use natureddit_data::gap::GapReason;

    use super::*;

    fn part(subreddit: &str, counts: [u64; 5], dropped: &[(&str, u64)]) -> SubredditReport {
        let [posts_seen, posts_new, photos_stored, photos_present, photo_bytes] = counts;
        let dropped = dropped.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
        SubredditReport {
            subreddit: subreddit.to_owned(),
            posts_seen,
            posts_new,
            photos_stored,
            photos_present,
            photo_bytes,
            dropped,
            gaps: 0,
        }
    }

    fn told(report: CollectReport) -> String {
        let window = Window::new(1_650_000_000, 1_650_086_400).unwrap();
        Collected { report, window, seconds: 187.2 }.to_string()
    }

    #[test]
    fn several_subreddits_are_a_table_with_a_sum() {
        let first =
            part("wildlifephotography", [1_412, 1_390, 1_380, 10, 85_143_222], &[("self_post", 12), ("html", 1)]);
        let second = part("flowers", [1, 1, 1, 0, 900], &[("self_post", 3)]);
        let window = Window::new(1_650_000_000, 1_650_000_060).unwrap();
        let gap = SubredditGap { subreddit: "flowers".into(), window, reason: GapReason::ListingCap };
        let report = CollectReport {
            posts_seen: 1_413,
            posts_new: 1_391,
            photos_stored: 1_381,
            photos_present: 10,
            photo_bytes: 85_144_122,
            photos_may_come: 1,
            photos_missing: 2,
            photos_changed: 1,
            dropped: [("self_post".to_owned(), 15), ("html".to_owned(), 1)].into(),
            gaps: vec![gap],
            subreddits: vec![first, SubredditReport { gaps: 1, ..second }],
            ..CollectReport::default()
        };
        insta::assert_snapshot!(told(report));
    }

    #[test]
    fn one_subreddit_is_its_own_sum() {
        let only = part("flowers", [2, 2, 1, 0, 4_321], &[("http_404", 1)]);
        let report =
            CollectReport { dropped: only.dropped.clone(), subreddits: vec![only], ..CollectReport::default() };
        insta::assert_snapshot!(told(report));
    }
}
