//! The figures of the whole and of each class, the pushed model's beside them, and who was taken for whom.

use maud::{Markup, html};
use natureddit_model::metrics::{McNemar, Metrics, PairedTest};

use super::{Report, figure, percent, range};
use crate::components::evaluator::Comparison;

/// A figure and its interval.
type Figure = (f64, [f64; 2]);

pub(super) fn section(report: &Report<'_>) -> Markup {
    let metrics = &report.evaluation.metrics;
    let champion = report.evaluation.champion.as_ref();
    html! {
        section aria-labelledby="figures" {
            h2 #figures { "Figures" }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "on the test posts" }
                    th scope="col" { "candidate" }
                    @if champion.is_some() { th scope="col" { "pushed model" } }
                    th scope="col" { "most frequent class" }
                } }
                tbody {
                    @for row in rows(metrics) { (row.render(metrics, champion)) }
                }
            } }
            @if let Some(comparison) = champion { (beside_champion(metrics, comparison)) }
        }
    }
}

/// One line of the table.
struct Row {
    name: String,
    of: Box<dyn Fn(&Metrics) -> Figure>,
    majority: Option<f64>,
}

fn rows(metrics: &Metrics) -> Vec<Row> {
    let row =
        |name: &str, majority, of: fn(&Metrics) -> Figure| Row { name: name.to_owned(), of: Box::new(of), majority };
    let mut rows = vec![
        row("accuracy", Some(metrics.majority_accuracy), |m| (m.accuracy, m.accuracy_interval)),
        row("macro-F1", Some(metrics.majority_macro_f1), |m| (m.macro_f1, m.macro_f1_interval)),
        row("calibration error (ECE)", None, |m| (m.ece, m.ece_interval)),
        row("Brier score", None, |m| (m.brier, m.brier_interval)),
    ];
    for (at, selective) in metrics.selective.iter().enumerate() {
        rows.push(Row {
            name: format!("accuracy on the surest {}", percent(selective.coverage)),
            of: Box::new(move |m| m.selective.get(at).map_or((0.0, [0.0; 2]), |s| (s.accuracy, s.interval))),
            majority: None,
        });
    }
    rows
}

impl Row {
    fn render(&self, candidate: &Metrics, champion: Option<&Comparison>) -> Markup {
        html! {
            tr {
                th scope="row" { (self.name) }
                td { (with_interval((self.of)(candidate))) }
                @if let Some(comparison) = champion { td { (with_interval((self.of)(&comparison.metrics))) } }
                td { @if let Some(majority) = self.majority { (figure(majority)) } }
            }
        }
    }
}

fn with_interval((value, interval): Figure) -> Markup {
    html! { (figure(value)) small { (range(interval)) } }
}

fn beside_champion(metrics: &Metrics, comparison: &Comparison) -> Markup {
    let PairedTest { macro_f1_difference, macro_f1_difference_interval, p_value, mcnemar, .. } = comparison.paired;
    let [low, high] = macro_f1_difference_interval;
    let McNemar { candidate_only, champion_only, p_value: mcnemar_p } = mcnemar;
    let both = comparison.metrics.examples;
    html! {
        p.note {
            @if both < metrics.examples {
                "The pushed model answered " (both) " of the " (metrics.examples)
                " posts; the two are compared on those. "
            }
            "On the same posts the candidate's macro-F1 is " (format!("{:+.3}", macro_f1_difference))
            " from the pushed model's (" (format!("{low:+.3}")) " to " (format!("{high:+.3}")) "; p = " (format!("{p_value:.3}"))
            " by the paired bootstrap). It alone is right on " (candidate_only) " posts, the pushed model alone on "
            (champion_only) " (McNemar's exact test: p = " (format!("{mcnemar_p:.3}")) ")."
        }
    }
}

pub(super) fn classes_section(report: &Report<'_>) -> Markup {
    let metrics = &report.evaluation.metrics;
    html! {
        section aria-labelledby="classes" {
            h2 #classes { "Classes" }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "class" }
                    @for name in ["precision", "recall", "F1", "average precision", "posts"] { th scope="col" { (name) } }
                } }
                tbody { @for class in &metrics.per_class { tr {
                    th scope="row" { (class.name) }
                    td { (with_interval((class.precision, class.precision_interval))) }
                    td { (with_interval((class.recall, class.recall_interval))) }
                    td { (with_interval((class.f1, class.f1_interval))) }
                    td { (with_interval((class.average_precision, class.average_precision_interval))) }
                    td { (class.support) }
                } } }
            } }
            h2 #confusion { "Who was taken for whom" }
            p.note { "A row is what posts show, a column what the candidate said; shares are of the row." }
            (confusion(metrics))
        }
    }
}

fn confusion(metrics: &Metrics) -> Markup {
    html! {
        div.scroll { table.confusion aria-labelledby="confusion" {
            thead { tr {
                th scope="col" { "shows \\ said" }
                @for class in &metrics.per_class { th scope="col" { (class.name) } }
            } }
            tbody { @for (truth, (class, row)) in metrics.per_class.iter().zip(&metrics.confusion).enumerate() { tr {
                th scope="row" { (class.name) }
                @for (answer, count) in row.iter().enumerate() {
                    @let share = *count as f64 / class.support.max(1) as f64;
                    td.right[truth == answer] style=(format!("--share:{:.0}", share * 100.0)) {
                        (count) small { (format!("{:.0} %", share * 100.0)) }
                    }
                }
            } } }
        } }
    }
}
