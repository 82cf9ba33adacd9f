//! A dump of the archives, streamed.

use super::super::child;
use super::super::made;
use super::super::sandbox::write_settings;
use super::super::{Bar, Figure, number};
use super::Bench;
use super::median;
use crate::json::Json;
use crate::process::Failure;

/// Decimal megabytes of text.
const MEGABYTES: usize = 600;
const SUBREDDIT: &str = "EarthPorn";
const ROUNDS: usize = 3;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let dump = made::dump(&bench.workspace, &bench.python, MEGABYTES, SUBREDDIT)?;
    let folder = bench.workspace.empty_folder("bench-dump")?;
    let (mut rates, mut peaks) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let project = folder.join(round.to_string());
        let settings = format!(
            "[collect]\nsource = \"dump\"\nsubreddits = [\"{SUBREDDIT}\"]\nsince = \"2022-05-01\"\nuntil = \"2022-06-01\"\n\
             [collect.dump]\nfiles = [\"{}\"]\n",
            dump.display()
        );
        write_settings(&project, &settings)?;
        let (printed, cost) = child::measure(bench.natureddit(&project).args(["collect", "--json"]))?;
        let report = Json::parse(&printed).map_err(Failure::new)?;
        if number(&report, &["posts_seen"])? == 0.0 {
            return Err(Failure::new("no post of the dump was seen"));
        }
        rates.push(MEGABYTES as f64 / cost.wall);
        peaks.push(cost.peak_mb);
    }
    Ok(vec![
        Figure {
            name: "a dump with the largest window, streamed",
            value: median(rates),
            unit: "MB/s of text",
            bar: Bar::AtLeast(80.0),
        },
        // The decoder keeps as much of the text as the dump's window says, up to 2 GiB.
        Figure {
            name: "  peak resident memory, the window included",
            value: median(peaks),
            unit: "MB",
            bar: Bar::None,
        },
    ])
}
