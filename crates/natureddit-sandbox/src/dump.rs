//! Dump files: a post a line as Arctic Shift's archives have them, plain or as Zstandard with the largest window.

use std::ops::Range;
use std::path::Path;

use natureddit_core::fs::{self, FsError};
use serde_json::{Value, json};

use crate::state::State;
use crate::wire::arctic_shift;

/// A block of a Zstandard frame holds no more (RFC 8878, 3.1.1.2.4).
const BLOCK_BYTES_MAX: usize = 128 << 10;
/// The window that the monthly dumps are written with.
const WINDOW_LOG: u8 = 31;

/// What a dump holds and how it is written.
#[derive(Clone, Debug)]
pub struct DumpConfig {
    /// How it is written.
    pub format: DumpFormat,
    /// Only posts of this subreddit.
    pub subreddit: Option<String>,
    /// Only posts of these times, in seconds since the epoch.
    pub times: Range<i64>,
    /// Whether it has what real dumps have: times as text or with a point, lines that cannot be read, a last line
    /// without its end.
    pub with_flaws: bool,
}

/// How a dump is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpFormat {
    /// Zstandard with a window of two gigabytes, which decoders refuse unless they are told to take it.
    Zstandard,
    /// Lines as they are.
    Lines,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DumpReport {
    /// Lines with a post.
    pub posts: usize,
    /// Lines that cannot be read, empty ones not counted.
    pub unreadable: usize,
}

impl Default for DumpConfig {
    fn default() -> Self {
        Self { format: DumpFormat::Zstandard, subreddit: None, times: 0..i64::MAX, with_flaws: false }
    }
}

/// Writes the posts that an archive has at the simulator's time, oldest first.
pub(crate) fn write(state: &State, path: &Path, config: &DumpConfig) -> Result<DumpReport, FsError> {
    let now = state.clock.now();
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut report = DumpReport::default();
    let wanted = state.posts.all().iter().filter(|post| {
        config.times.contains(&post.created_utc)
            && config.subreddit.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(&post.subreddit))
    });
    for archived in wanted.filter_map(|post| state.changes.archived(post, now)) {
        let mut post = arctic_shift::post(&archived, now);
        if config.with_flaws {
            flaw(&mut post, report.posts, &mut lines, &mut report);
        }
        lines.push(post.to_string().into_bytes());
        report.posts += 1;
    }
    let mut text = lines.join(&b'\n');
    if !config.with_flaws && !text.is_empty() {
        text.push(b'\n');
    }
    let bytes = match config.format {
        DumpFormat::Lines => text,
        DumpFormat::Zstandard => zstandard(&text),
    };
    fs::write_atomic(path, bytes)?;
    Ok(report)
}

/// Puts into the dump what real ones have.
fn flaw(post: &mut Value, at: usize, lines: &mut Vec<Vec<u8>>, report: &mut DumpReport) {
    let created = post["created_utc"].clone();
    match at % 5 {
        1 => post["created_utc"] = json!(created.to_string()),
        3 => post["created_utc"] = json!(created.as_f64()),
        _ => {}
    }
    match at % 40 {
        7 => lines.push(Vec::new()),
        11 => {
            let cut = post.to_string();
            lines.push(cut.as_bytes()[..cut.len() / 2].to_vec());
            report.unreadable += 1;
        }
        23 => {
            lines.push(b"{\"id\": \"\xff\xfe\", \"title\": \"no UTF-8\"}".to_vec());
            report.unreadable += 1;
        }
        _ => {}
    }
}

/// A frame of stored blocks (RFC 8878, 3.1.1): no content size, so that the window that is declared holds.
fn zstandard(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (WINDOW_LOG - 10) << 3];
    let blocks = bytes.len().div_ceil(BLOCK_BYTES_MAX).max(1);
    for at in 0..blocks {
        let block = &bytes[at * BLOCK_BYTES_MAX..bytes.len().min((at + 1) * BLOCK_BYTES_MAX)];
        let header = (block.len() as u32) << 3 | u32::from(at + 1 == blocks);
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(block);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_declares_its_window_and_ends_with_its_last_block() {
        let frame = zstandard(&vec![7; BLOCK_BYTES_MAX + 5]);
        assert_eq!(frame[..6], [0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8]);
        assert_eq!(frame[6..9], [0, 0, 0x10]);
        assert_eq!(frame[9 + BLOCK_BYTES_MAX..], [5 << 3 | 1, 0, 0, 7, 7, 7, 7, 7]);
        assert_eq!(zstandard(&[])[6..], [1, 0, 0]);
    }
}
