//! How long files are: small ones are read whole, and most of reading is finding the right one.

use std::fmt;

use super::Finding;
use super::files::{File, Tree};

/// A Rust or Python file over this many lines is refused.
const LINES_MAX: usize = 800;
/// The median Rust file should stay under this.
const LINES_MEDIAN: usize = 200;
/// Nine of ten Rust files should stay under this.
const LINES_P90: usize = 500;
/// A larger file does not belong into git.
const BYTES_MAX: u64 = 1_000_000;

/// What is wrong with one file's size.
pub(super) fn findings(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = file.text.lines().count();
    if is_source(&file.path) && lines > LINES_MAX {
        let reason = format!("{lines} lines, at most {LINES_MAX}: split it by idea");
        findings.push(Finding::new(&file.path, LINES_MAX + 1, reason));
    }
    if file.bytes > BYTES_MAX {
        let reason = format!("{} bytes, at most {BYTES_MAX}: data does not belong into git", file.bytes);
        findings.push(Finding::new(&file.path, 1, reason));
    }
    findings
}

fn is_source(path: &str) -> bool {
    path.ends_with(".rs") || path.ends_with(".py")
}

/// The lengths of all Rust files.
pub(super) struct Report {
    /// Lines and path, shortest first.
    files: Vec<(usize, String)>,
}

impl Report {
    pub(super) fn new(tree: &Tree) -> Self {
        let rust_files = tree.files().iter().filter(|file| file.path.ends_with(".rs"));
        let mut files: Vec<_> = rust_files.map(|file| (file.text.lines().count(), file.path.clone())).collect();
        files.sort();
        Self { files }
    }

    /// The length that `percent` of the files do not exceed (nearest rank).
    fn percentile(&self, percent: usize) -> usize {
        let rank = (self.files.len() * percent).div_ceil(100);
        self.files.get(rank.saturating_sub(1)).map_or(0, |(lines, _)| *lines)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((longest, path)) = self.files.last() else { return Ok(()) };
        let (median, p90) = (self.percentile(50), self.percentile(90));
        writeln!(out, "{} Rust files: median {median} lines, p90 {p90}, longest {longest} ({path})", self.files.len())?;
        if median > LINES_MEDIAN {
            writeln!(out, "warning: the median is over {LINES_MEDIAN} lines")?;
        }
        if p90 > LINES_P90 {
            writeln!(out, "warning: p90 is over {LINES_P90} lines")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, lines: usize) -> File {
        File { path: path.to_owned(), bytes: 2 * lines as u64, text: "a\n".repeat(lines) }
    }

    #[test]
    fn a_source_file_over_the_limit_is_found_and_one_at_it_is_not() {
        assert_eq!(findings(&file("src/a.rs", 801)).len(), 1);
        assert_eq!(findings(&file("interop/a.py", 801)).len(), 1);
        assert_eq!(findings(&file("src/a.rs", 800)), []);
        assert_eq!(findings(&file("Cargo.lock", 9000)), []);
    }

    #[test]
    fn a_large_file_is_found() {
        let photo = File { path: "photo.jpg".to_owned(), bytes: 1_000_001, text: String::new() };
        assert_eq!(findings(&photo).len(), 1);
    }

    #[test]
    fn the_report_gives_median_and_p90_and_warns() {
        let files = (1..=10).map(|n| file(&format!("src/{n:02}.rs"), n * 60)).collect();
        let report = Report::new(&Tree::new(files)).to_string();
        assert!(report.starts_with("10 Rust files: median 300 lines, p90 540, longest 600 (src/10.rs)\n"), "{report}");
        assert!(report.contains("the median is over 200") && report.contains("p90 is over 500"), "{report}");
    }
}
