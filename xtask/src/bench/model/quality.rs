//! How good the head is, beside scikit-learn's logistic regression on the very same features and folds.

use super::super::{Bar, Figure, number, report};
use super::Bench;
use crate::json::Json;
use crate::process::{Failure, output, run};

const SEEDS: &str = "5";
const ROWS: &str = "50000";
/// How far a part alone may be below a head that learnt that part only.
const ALONE_LOSS_MAX: f64 = 0.01;

/// Grouped cross-validation on the real photos beside the repository.
pub(super) fn judge(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let Some(photos) = bench.workspace.shared_photos() else {
        println!("skipped: ../shared/photos is absent");
        return Ok(Vec::new());
    };
    let (program, folder) = (bench.example("judge")?, bench.folder.join("judged"));
    run(bench.start(&program).arg(photos).arg(&folder).arg(SEEDS))?;
    let report = report(bench.script("logistic_regression.py").arg("judge").arg(&folder))?;
    if let Some(Json::Text(best)) = report.get(&["best_reference"]) {
        println!("the best scikit-learn is that of: {best}");
    }
    let at = |path: &[&str]| number(&report, path);
    let plain = |name, path: &[&str]| Ok(Figure { name, value: at(path)?, unit: "", bar: Bar::None });
    let barred = |name, path: &[&str], bar| Ok(Figure { name, value: at(path)?, unit: "", bar });
    [
        plain("macro-F1, mean of 5 seeds of 5 grouped folds", &["ours"]),
        plain("  scikit-learn, features as they are, C = 1", &["references", "raw, C = 1"]),
        plain("  scikit-learn, features as they are, best C", &["references", "raw, grid"]),
        plain("  scikit-learn, standardised, C = 1", &["references", "standardised, C = 1"]),
        plain("  scikit-learn, standardised, best C", &["references", "standardised, grid"]),
        plain("  ours less the best of these", &["beside_reference", "difference"]),
        plain("  from (95 %, paired bootstrap)", &["beside_reference", "low"]),
        barred("  to: not worse", &["beside_reference", "high"], Bar::AtLeast(0.0)),
        plain("macro-F1 with the auxiliary titles", &["ours_with_titles"]),
        barred("  less that without: better", &["titles_beside_none", "difference"], Bar::Over(0.0)),
        plain("  from (95 %, paired bootstrap)", &["titles_beside_none", "low"]),
        plain("  to", &["titles_beside_none", "high"]),
        plain("  less the best scikit-learn without them, at least", &["beside_reference_with_titles", "low"]),
        barred("  at most: not worse", &["beside_reference_with_titles", "high"], Bar::AtLeast(0.0)),
        plain("macro-F1, a source left out at a time", &["by_source", "ours"]),
        plain("  with the auxiliary titles", &["by_source", "ours_with_titles"]),
        plain("  scikit-learn, C = 1", &["by_source", "reference"]),
        barred("ECE", &["ece"], Bar::AtMost(0.03)),
        barred("  with the auxiliary titles", &["ece_with_titles"], Bar::AtMost(0.03)),
        plain("a title alone", &["title", "of_both"]),
        barred("  less a head of titles only", &["title", "difference"], Bar::AtLeast(-ALONE_LOSS_MAX)),
        plain("a photo alone", &["photo", "of_both"]),
        barred("  less a head of photos only", &["photo", "difference"], Bar::AtLeast(-ALONE_LOSS_MAX)),
        plain("a title alone, with the auxiliary titles", &["title_with_titles", "of_both"]),
        barred("  less a head of titles only", &["title_with_titles", "difference"], Bar::AtLeast(-ALONE_LOSS_MAX)),
        plain("a photo alone, with the auxiliary titles", &["photo_with_titles", "of_both"]),
        barred("  less a head of photos only", &["photo_with_titles", "difference"], Bar::AtLeast(-ALONE_LOSS_MAX)),
    ]
    .into_iter()
    .collect()
}

/// A training on many rows that are made up.
pub(super) fn retrain(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let (program, folder) = (bench.example("retrain")?, bench.folder.join("retrained"));
    let line = output(bench.start(&program).arg(ROWS).arg(&folder))?;
    let told = |key| word_after(&line, key);
    let report = report(bench.script("logistic_regression.py").arg("retrain").arg(&folder))?;
    let at = |path: &[&str]| number(&report, path);
    let plain = |name, unit, value| Figure { name, value, unit, bar: Bar::None };
    let barred = |name, unit, value, bar| Figure { name, value, unit, bar };
    Ok(vec![
        barred("retraining on 50,000 made-up rows", "s", told("seconds")?, Bar::Under(20.0)),
        plain("  epochs", "", told("epochs")?),
        plain("  macro-F1", "", at(&["ours"])?),
        barred("  less scikit-learn's, C = 1", "", at(&["plain", "difference"])?, Bar::AtLeast(0.0)),
        plain("  scikit-learn's time, C = 1", "s", at(&["plain", "seconds"])?),
        plain("  scikit-learn's best C of a grid, by the eval rows", "", at(&["best", "c"])?),
        plain("  its macro-F1", "", at(&["best", "f1"])?),
        barred("  ours less that", "", at(&["best", "difference"])?, Bar::AtLeast(0.0)),
        plain("  from (95 %, paired bootstrap)", "", at(&["best", "low"])?),
        plain("  to", "", at(&["best", "high"])?),
        plain("  its time for that C alone", "s", at(&["best", "seconds"])?),
    ])
}

/// The number after a word.
pub(super) fn word_after(line: &str, key: &str) -> Result<f64, Failure> {
    let mut words = line.split_whitespace().skip_while(|word| *word != key);
    let value = words.nth(1).and_then(|value| value.parse().ok());
    value.ok_or_else(|| Failure::new(format!("`{}` has no number after `{key}`", line.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_the_word_before_it() {
        let line = "rows 50000 seconds 5.85 epochs 22\n";
        assert_eq!(word_after(line, "seconds").unwrap(), 5.85);
        assert!(word_after(line, "macro_f1").is_err() && word_after("seconds", "seconds").is_err());
    }
}
