//! The evaluation as a table for people.

use std::fmt;

use natureddit_model::metrics::Metrics;
use natureddit_pipeline::components::evaluator::Evaluation;

/// The figures of a model, the pushed model's beside them, and the verdict.
pub(super) struct EvaluationTable<'a>(pub(super) &'a Evaluation);

impl fmt::Display for EvaluationTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evaluation { metrics, blessed, reasons, .. } = self.0;
        writeln!(f, "{}", MetricsTable(metrics))?;
        writeln!(f, "{}", if *blessed { "blessed" } else { "not blessed" })?;
        reasons.iter().try_for_each(|reason| writeln!(f, "  {reason}"))
    }
}

/// The figures of a model.
pub(super) struct MetricsTable<'a>(pub(super) &'a Metrics);

impl fmt::Display for MetricsTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Metrics { examples, accuracy, macro_f1, macro_f1_interval: [low, high], ece, .. } = self.0;
        writeln!(
            f,
            "{examples} test posts: accuracy {accuracy:.3}, macro-F1 {macro_f1:.3} [{low:.3}, {high:.3}], ECE {ece:.3}"
        )?;
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
