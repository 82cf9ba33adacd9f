//! A small collection into a dataset that has many rows already: what it takes of memory and time.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use super::super::child;
use super::super::sandbox::Sandbox;
use super::super::{Bar, Figure, number};
use super::Bench;
use crate::json::Json;
use crate::process::Failure;

const COLUMNS: &str =
    "author,created_utc,full_link,id,subreddit,title,url,img_name,source,flair,over_18,width,height,sha256,phash\n";
const SUBREDDITS: [&str; 4] = ["wildlifephotography", "flowers", "EarthPorn", "NatureIsFuckingLit"];
/// Posts that are collected on top.
const POSTS: &str = "40";
const MEMORY_MAX_MB: f64 = 300.0;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    for (rows, memory, time) in [
        (100_000, "peak resident memory, 100,000 rows there", "  time to collect 40 posts on top"),
        (1_000_000, "peak resident memory, 1,000,000 rows there", "  time to collect 40 posts on top"),
    ] {
        let folder = bench.workspace.empty_folder("bench-rows")?;
        let cost = collect(bench, rows, &folder)?;
        figures.push(Figure { name: memory, value: cost.peak_mb, unit: "MB", bar: Bar::Under(MEMORY_MAX_MB) });
        figures.push(Figure { name: time, value: cost.wall, unit: "s", bar: Bar::None });
        // Hundreds of megabytes that nobody needs again.
        fs::remove_dir_all(&folder).map_err(|error| Failure::new(format!("could not remove {folder:?}: {error}")))?;
    }
    Ok(figures)
}

fn collect(bench: &Bench, rows: u64, project: &Path) -> Result<child::Cost, Failure> {
    let sandbox = Sandbox::start(bench.natureddit(bench.workspace.root()), &["--posts", POSTS])?;
    sandbox.write_project(project)?;
    let table = project.join("data").join("posts.csv");
    let written = fs::create_dir_all(project.join("data")).and_then(|()| write_rows(&table, rows));
    written.map_err(|error| Failure::new(format!("could not write {}: {error}", table.display())))?;
    let (printed, cost) = child::measure(bench.natureddit(project).args(["collect", "--json"]))?;
    let report = Json::parse(&printed).map_err(Failure::new)?;
    if number(&report, &["photos_stored"])? == 0.0 {
        return Err(Failure::new("no photo was collected on top of the rows"));
    }
    Ok(cost)
}

/// Rows as a dataset of photos has them: a minute between two, in the order of the file.
fn write_rows(path: &Path, rows: u64) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(COLUMNS.as_bytes())?;
    let mut row = String::new();
    for number in 0..rows {
        row.clear();
        push_row(&mut row, number);
        out.write_all(row.as_bytes())?;
    }
    out.flush()
}

fn push_row(row: &mut String, number: u64) {
    let subreddit = SUBREDDITS[number as usize % SUBREDDITS.len()];
    let (minute, hour, day) = (number % 60, number / 60 % 24, number / 1440);
    let (day, month, year) = (1 + day % 28, 1 + day / 28 % 12, 2012 + day / 336);
    // A number that looks like any other, for hashes (the multiplier of a well-known generator).
    let hash = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let id = format!("z{number:06}");
    let _ = writeln!(
        row,
        "photographer_{},{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:00,\
         https://www.reddit.com/r/{subreddit}/comments/{id}/a_quiet_morning_at_the_lake_{number}/,{id},{subreddit},\
         \"A quiet morning at the lake, number {number} of many\",https://i.redd.it/{hash:013x}.jpg,{id}_0.jpg,pushshift,\
         OC,false,1080,810,{hash:016x}{hash:016x}{hash:016x}{hash:016x},{hash:016x}",
        number % 5000
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_every_column_and_rows_rise_in_time() {
        let rows: Vec<String> = [0, 1, 59, 60, 999_999]
            .map(|number| {
                let mut row = String::new();
                push_row(&mut row, number);
                row
            })
            .into();
        // One comma stands in the quoted title.
        let commas = |text: &str| text.matches(',').count();
        assert!(rows.iter().all(|row| commas(row) == commas(COLUMNS) + 1 && row.ends_with('\n')));
        let times: Vec<_> = rows.iter().filter_map(|row| row.split(',').nth(1)).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!(times[3], "2012-01-01T01:00:00");
    }
}
