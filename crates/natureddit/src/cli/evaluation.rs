//! The evaluation as a table for people.

use std::fmt;

use natureddit_model::metrics::Metrics;
use natureddit_pipeline::components::evaluator::{Comparison, Evaluation};

/// The figures of a model, the pushed model's beside them, and the verdict.
pub(super) struct EvaluationTable<'a> {
    pub(super) evaluation: &'a Evaluation,
    /// The version of the pushed model, where there is one to compare with.
    pub(super) champion_version: Option<&'a str>,
}

impl fmt::Display for EvaluationTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evaluation { metrics, champion, blessed, reasons } = self.evaluation;
        writeln!(f, "{}", MetricsTable(metrics))?;
        if let Some(comparison) = champion {
            writeln!(f, "{}", ComparisonLine { comparison, version: self.champion_version.unwrap_or("?") })?;
        }
        writeln!(f, "{}", if *blessed { "blessed" } else { "not blessed" })?;
        reasons.iter().try_for_each(|reason| writeln!(f, "  {reason}"))
    }
}

/// The pushed model beside the candidate: `pushed model v3: macro-F1 0.968, the candidate has 0.974 on the same 210 posts`.
struct ComparisonLine<'a> {
    comparison: &'a Comparison,
    version: &'a str,
}

impl fmt::Display for ComparisonLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { metrics: Metrics { examples, macro_f1, .. }, candidate_macro_f1 } = self.comparison;
        let found = if candidate_macro_f1 >= macro_f1 { "is not worse" } else { "is worse" };
        write!(f, "pushed model v{}: macro-F1 {macro_f1:.3}, ", self.version)?;
        write!(f, "the candidate {found} with {candidate_macro_f1:.3} on the same {examples} posts")
    }
}

/// The figures of a model.
pub(super) struct MetricsTable<'a>(pub(super) &'a Metrics);

impl fmt::Display for MetricsTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Metrics { examples, accuracy, macro_f1, macro_f1_interval: [low, high], confidence, ece, .. } = self.0;
        let percent = (confidence * 1e6).round() / 1e4;
        write!(f, "{examples} test posts: accuracy {accuracy:.3}, macro-F1 {macro_f1:.3} ")?;
        writeln!(f, "({percent} % interval {low:.3}-{high:.3}), ECE {ece:.3}")?;
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
