//! The evaluation as a table for people.

use std::fmt;
use std::path::Path;

use natureddit_model::metrics::Metrics;
use natureddit_pipeline::components::evaluator::{Comparison, Evaluation, Rule};

use super::words::printable;

/// The figures of a model, the pushed model's beside them, and the verdict.
pub(super) struct EvaluationTable<'a> {
    pub(super) evaluation: &'a Evaluation,
    /// The version of the pushed model, where there is one to compare with.
    pub(super) champion_version: Option<&'a str>,
    /// Where the page with the plots lies.
    pub(super) report: Option<&'a Path>,
}

impl fmt::Display for EvaluationTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evaluation { metrics, champion, blessed, reasons, refused_by, .. } = self.evaluation;
        writeln!(f, "{}", MetricsTable(metrics))?;
        if let Some(comparison) = champion {
            writeln!(f, "{}", ComparisonLine { comparison, version: self.champion_version.unwrap_or("?") })?;
        }
        writeln!(f, "{}", if *blessed { "blessed" } else { "not blessed" })?;
        reasons.iter().try_for_each(|reason| writeln!(f, "  {}", printable(reason)))?;
        let mut hints: Vec<&str> = refused_by.iter().filter_map(|rule| hint(*rule)).collect();
        // Several rules may ask for the same.
        hints.dedup();
        hints.iter().try_for_each(|hint| writeln!(f, "hint: {hint}"))?;
        self.report.map_or(Ok(()), |path| writeln!(f, "report: {}", path.display()))
    }
}

/// What to do about a rule that is not met.
fn hint(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::TestExamples => {
            "label more posts, or give the test split more: of examples.hash_buckets, by time an earlier examples.time_test_from"
        }
        Rule::ClassExamples => {
            "label more posts of the classes that have too few; a class that nobody needs can leave project.classes"
        }
        Rule::MajorityGain => {
            "the mistakes in the report show whether the labels are right; evaluator.majority_gain_min says how much is asked for"
        }
        Rule::MacroF1 | Rule::Accuracy | Rule::Recall => {
            "label more posts, let `[tuner] enabled = true` search for better settings, or lower the threshold in [evaluator]"
        }
        Rule::Ece => "its confidence is not what it says: label more posts, or raise evaluator.ece_max",
        Rule::SliceMacroF1 | Rule::SliceAccuracy => {
            "label more posts of that slice; the mistakes in the report may show what is special about it"
        }
        Rule::ChampionExamples => {
            "the pushed model has other encoders and looks at the photos: bring those back that are gone"
        }
        Rule::ChampionLoss => {
            "the pushed model stays; where a loss may be chance, evaluator.champion_p_max = 0.05 forgives it"
        }
        Rule::QuantisationLoss => {
            "with model.precision = \"fp32\" the encoders calculate in floats; a larger model.calibration_posts may help as well"
        }
        // It is always met.
        Rule::Champion => return None,
    })
}

/// The pushed model beside the candidate: `pushed model v3: macro-F1 0.968, the candidate has 0.974 on the same 210 posts`.
struct ComparisonLine<'a> {
    comparison: &'a Comparison,
    version: &'a str,
}

impl fmt::Display for ComparisonLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { metrics: Metrics { examples, macro_f1, .. }, candidate_macro_f1, paired } = self.comparison;
        let found = if candidate_macro_f1 >= macro_f1 { "is not worse" } else { "is worse" };
        write!(f, "pushed model v{}: macro-F1 {macro_f1:.3}, ", self.version)?;
        write!(f, "the candidate {found} with {candidate_macro_f1:.3} on the same {examples} posts ")?;
        write!(f, "(p = {:.3})", paired.p_value)
    }
}

/// The figures of a model.
pub(super) struct MetricsTable<'a>(pub(super) &'a Metrics);

impl fmt::Display for MetricsTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Metrics { examples, accuracy, macro_f1, macro_f1_interval: [low, high], confidence, ece, brier, .. } =
            self.0;
        if *examples == 0 {
            return write!(f, "no test posts: nothing could be judged");
        }
        let percent = (confidence * 1e6).round() / 1e4;
        write!(f, "{examples} test posts: accuracy {accuracy:.3}, macro-F1 {macro_f1:.3} ")?;
        writeln!(f, "({percent} % interval {low:.3}-{high:.3}), ECE {ece:.3}, Brier {brier:.3}")?;
        let surest = self.0.selective.iter().map(|s| format!("{:.0} %: {:.3}", s.coverage * 100.0, s.accuracy));
        writeln!(f, "accuracy on the surest {}", surest.collect::<Vec<_>>().join(", "))?;
        let width = self.0.per_class.iter().map(|class| class.name.chars().count()).max().unwrap_or(0).max(5);
        writeln!(f, "\n{:width$}  precision  recall     F1  posts", "class")?;
        for class in &self.0.per_class {
            let (name, precision, recall) = (&class.name, class.precision, class.recall);
            writeln!(f, "{name:width$}  {precision:9.3}  {recall:6.3}  {:5.3}  {:5}", class.f1, class.support)?;
        }
        write!(f, "\n{:width$}", "truth")?;
        self.0.per_class.iter().try_for_each(|class| write!(f, "  {:>width$}", class.name))?;
        writeln!(f, "   (answered)")?;
        for (class, row) in self.0.per_class.iter().zip(&self.0.confusion) {
            write!(f, "{:width$}", class.name)?;
            row.iter().try_for_each(|count| write!(f, "  {count:>width$}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use natureddit_core::ClassNames;
    use natureddit_model::metrics::{Bootstrap, evaluate};

    use super::*;

    /// A candidate that nothing is known of, refused by one rule.
    pub(in crate::cli) fn refused(rule: Rule, reason: &str) -> Evaluation {
        let classes = ClassNames::new(["fauna", "flora"].map(str::to_owned).to_vec()).unwrap();
        Evaluation {
            metrics: evaluate(&[], &classes, &Bootstrap { samples: 0, confidence: 0.95, seed: 1 }),
            slices: vec![],
            champion: None,
            quantisation: None,
            blessed: false,
            reasons: vec![reason.to_owned()],
            refused_by: vec![rule],
        }
    }

    #[test]
    fn a_refusal_comes_with_what_to_do_and_where_to_look() {
        let evaluation = refused(Rule::TestExamples, "not met: 0 test examples, at least 30 are needed");
        let report = Some(Path::new("pipeline/report.html"));
        let text = EvaluationTable { evaluation: &evaluation, champion_version: None, report }.to_string();
        let (_, verdict) = text.split_once("not blessed\n").unwrap();
        let told = "  not met: 0 test examples, at least 30 are needed\n\
                    hint: label more posts, or give the test split more: of examples.hash_buckets, by time an earlier examples.time_test_from\n\
                    report: pipeline/report.html\n";
        assert_eq!(verdict, told);
    }
}
