//! `natureddit label check`: which labels are likely wrong.

use std::fmt;
use std::path::PathBuf;

use anyhow::anyhow;
use natureddit_core::fs;
use natureddit_pipeline::label_quality::{Conflict, ConflictKind, LabelQuality, Suspect, check_labels};
use natureddit_pipeline::training_graph::TrainingConfig;
use serde::Serialize;

use super::rows::{brief, of_quality, table};
use crate::cli::error::{CliError, HintExt};
use crate::cli::features::FeatureFolders;
use crate::cli::out_file::{Kept, OutFile};
use crate::cli::session::Session;
use crate::cli::words::{counted, is_or_are};
use crate::config::Config;
use crate::wiring;

/// So many suspects and sets are told; a file and JSON have all.
const TOLD_MAX: usize = 15;
/// How many folds there are where nobody says.
pub(super) const FOLDS: u16 = 5;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many folds the posts are dealt into; each is judged by a model that saw none of it
    #[arg(long, default_value_t = FOLDS, value_parser = clap::value_parser!(u16).range(2..=100))]
    folds: u16,
    /// Also write the posts to look at as a table, the surest first
    #[arg(long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    quality: LabelQuality,
    /// The table that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<(), CliError> {
    let config = session.config()?;
    let out = args.out.as_deref().map(|path| OutFile { option: "--out", path, example: "check.csv" });
    let out = out.map(|out| out.resolve(&[], &Kept::of(&config).and_data(&config))).transpose()?;
    let training = wiring::training(&config, &session.output.progress())?;
    let quality = quality(&config, &training, args.folds, session)?;
    if let Some(file) = &out {
        fs::write_atomic(file, table(&of_quality(&quality))?)?;
    }
    Ok(session.output.result(&Checked { quality, file: args.out.clone() })?)
}

/// What is found of the labels as they are now.
pub(super) fn quality(
    config: &Config,
    training: &TrainingConfig,
    folds: u16,
    session: &Session,
) -> Result<LabelQuality, CliError> {
    let folders = FeatureFolders::bring_up_to_date(config, training, session)?;
    let quality = check_labels(folders.paths(), usize::from(folds), training, &session.output.progress())?;
    if quality.posts == 0 {
        return Err(anyhow!("no labelled post has features")).hint("`natureddit dataset validate` looks at the photos");
    }
    Ok(quality)
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LabelQuality { posts, folds, noise, likely_wrong, conflicts, .. } = &self.quality;
        let percent = noise * 100.0;
        writeln!(
            f,
            "{}, {folds} folds: an estimated {percent:.1} % of the labels are wrong",
            counted(*posts as u64, "post")
        )?;
        self.write_joint(f)?;
        let count = likely_wrong.len() as u64;
        writeln!(f, "\n{} {} likely wrong", counted(count, "label"), is_or_are(count))?;
        likely_wrong.iter().take(TOLD_MAX).try_for_each(|suspect| write_suspect(f, suspect))?;
        write_rest(f, likely_wrong.len())?;
        writeln!(f, "\n{} of posts that are alike, with different labels", counted(conflicts.len() as u64, "set"))?;
        conflicts.iter().take(TOLD_MAX).try_for_each(|conflict| write_conflict(f, conflict))?;
        write_rest(f, conflicts.len())?;
        match &self.file {
            Some(file) => writeln!(f, "\n{}: mend the column choice, then `natureddit label import`", file.display()),
            None if likely_wrong.is_empty() && conflicts.is_empty() => Ok(()),
            None => writeln!(f, "\n--out FILE.csv writes a table of them, to be mended and imported"),
        }
    }
}

impl Checked {
    /// What is estimated of each label.
    fn write_joint(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LabelQuality { classes, confident_joint, .. } = &self.quality;
        let width = classes.iter().map(|class| class.name.chars().count()).max().unwrap_or(0).max(5);
        write!(f, "\n{:width$}  posts   wrong", "label")?;
        classes.iter().try_for_each(|class| write!(f, "  {:>width$}", class.name))?;
        writeln!(f, "   (estimated to show)")?;
        for (class, row) in classes.iter().zip(confident_joint) {
            write!(f, "{:width$}  {:5}  {:4.1} %", class.name, class.posts, class.noise * 100.0)?;
            row.iter().try_for_each(|count| write!(f, "  {count:>width$}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

fn write_suspect(f: &mut fmt::Formatter<'_>, suspect: &Suspect) -> fmt::Result {
    let Suspect { id, given, suggested, probability, title, .. } = suspect;
    writeln!(f, "  {id}  {given}, more likely {suggested} ({probability:.3})  {}", brief(title))
}

fn write_conflict(f: &mut fmt::Formatter<'_>, Conflict { kind, posts }: &Conflict) -> fmt::Result {
    let what = match kind {
        ConflictKind::Photo => "near-duplicate photos",
        ConflictKind::Title => "one title",
    };
    let told: Vec<String> = posts.iter().map(|post| format!("{} {}", post.id, post.given)).collect();
    let title = posts.first().map_or("", |post| post.title.as_str());
    writeln!(f, "  {what}: {}  {}", told.join(", "), brief(title))
}

fn write_rest(f: &mut fmt::Formatter<'_>, count: usize) -> fmt::Result {
    match count.saturating_sub(TOLD_MAX) {
        0 => Ok(()),
        more => writeln!(f, "  and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use natureddit_pipeline::label_quality::{ClassQuality, Conflicting};

    use super::*;

    fn checked() -> Checked {
        let class = |name: &str, noise| ClassQuality { name: name.to_owned(), posts: 40, threshold: 0.9, noise };
        let suspect = Suspect {
            id: "abc".parse().unwrap(),
            img_name: "abc.jpg".to_owned(),
            title: "A \u{1b}[2J rose, ".to_owned() + &"very ".repeat(20),
            given: "fauna".to_owned(),
            suggested: "flora".to_owned(),
            probability: 0.987,
            given_probability: 0.013,
            margin: 0.013,
        };
        let post = |id: &str, given: &str| Conflicting {
            id: id.parse().unwrap(),
            img_name: format!("{id}.jpg"),
            title: "A rose".to_owned(),
            given: given.to_owned(),
        };
        let quality = LabelQuality {
            posts: 80,
            folds: 5,
            classes: vec![class("fauna", 0.05), class("flora", 0.0)],
            noise: 0.025,
            confident_joint: vec![vec![38, 2], vec![0, 40]],
            likely_wrong: vec![suspect],
            conflicts: vec![Conflict {
                kind: ConflictKind::Photo,
                posts: vec![post("abc", "fauna"), post("abd", "flora")],
            }],
        };
        Checked { quality, file: None }
    }

    #[test]
    fn the_report_names_what_to_look_at() {
        let expected = "\
80 posts, 5 folds: an estimated 2.5 % of the labels are wrong

label  posts   wrong  fauna  flora   (estimated to show)
fauna     40   5.0 %     38      2
flora     40   0.0 %      0     40

1 label is likely wrong
  abc  fauna, more likely flora (0.987)  A \\u{1b}[2J rose, very very very very very very very ve…

1 set of posts that are alike, with different labels
  near-duplicate photos: abc fauna, abd flora  A rose

--out FILE.csv writes a table of them, to be mended and imported
";
        assert_eq!(checked().to_string(), expected);
    }

    #[test]
    fn the_table_has_each_post_once_and_can_be_imported() {
        let table = String::from_utf8(table(&of_quality(&checked().quality)).unwrap()).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "id,img_name,choice,suggested,probability,margin,reason,set,title");
        assert!(lines[1].starts_with("abc,abc.jpg,fauna,flora,0.987000,0.013000,likely_wrong,,"), "{}", lines[1]);
        assert_eq!(lines[2], "abd,abd.jpg,flora,,,,near_photos,1,A rose");
        assert_eq!(lines.len(), 3);
    }
}
