//! The slices as a table, each with a line from end to end of its interval.

use maud::{Markup, html};

use super::{figure, range};
use crate::components::evaluator::EvaluatorConfig;
use crate::components::evaluator::slices::{Slice, SliceKind};

/// So many slices of a kind are shown; all are in the JSON file beside the page.
const SHOWN_MAX: usize = 30;

pub(super) fn section(slices: &[Slice], config: &EvaluatorConfig) -> Markup {
    html! {
        section aria-labelledby="slices" {
            h2 #slices { "Slices" }
            p.note {
                "Parts of the test posts. Those with fewer than " (config.slice_examples_min)
                " posts are grey and never decide anything. Macro-F1 counts a class that is only answered, so that it is "
                "strict where nearly all posts are of one class: accuracy stands beside it."
            }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "slice" }
                    @for name in ["posts", "accuracy", "macro-F1"] { th scope="col" { (name) } }
                    th.name scope="col" { "macro-F1 from 0 to 1" }
                } }
                tbody { @for kind in SliceKind::ALL { (of_kind(kind, slices, config)) } }
            } }
        }
    }
}

fn of_kind(kind: SliceKind, slices: &[Slice], config: &EvaluatorConfig) -> Markup {
    let slices: Vec<&Slice> = slices.iter().filter(|slice| slice.kind == kind).collect();
    let hidden = slices.len().saturating_sub(SHOWN_MAX);
    // Slices are in the order of their size, months in that of time: the small and the old ones are left out.
    let (shown, left_out) = if kind == SliceKind::Month {
        (&slices[hidden..], &slices[..hidden])
    } else {
        slices.split_at(slices.len() - hidden)
    };
    let posts: u64 = left_out.iter().map(|slice| slice.metrics.examples).sum();
    html! {
        tr.kind { th colspan="5" scope="rowgroup" { (kind.label()) } }
        @for slice in shown { (row(slice, config)) }
        @if hidden > 0 { tr.few { td.name colspan="5" { "and " (hidden) " more with " (posts) " posts" } } }
    }
}

fn row(slice: &Slice, config: &EvaluatorConfig) -> Markup {
    let metrics = &slice.metrics;
    let below = |min: Option<f64>, found: f64| slice.judged && min.is_some_and(|min| found < min);
    html! {
        tr.few[!slice.judged] {
            td.name { @if slice.name.is_empty() { "(none)" } @else { bdi { (slice.name) } } }
            td { (metrics.examples) }
            td.low[below(config.slice_accuracy_min, metrics.accuracy)] { (figure(metrics.accuracy)) small { (range(metrics.accuracy_interval)) } }
            td.low[below(config.slice_macro_f1_min, metrics.macro_f1)] { (figure(metrics.macro_f1)) small { (range(metrics.macro_f1_interval)) } }
            td.name { (whisker(metrics.macro_f1, metrics.macro_f1_interval, config.slice_macro_f1_min)) }
        }
    }
}

/// A line from 0 to 1 with the interval and the figure on it; the numbers stand beside it.
fn whisker(value: f64, [low, high]: [f64; 2], limit: Option<f64>) -> Markup {
    let at = |share: f64| format!("{:.1}", 5.0 + share * 160.0);
    html! {
        svg.whisker viewBox="0 0 170 14" aria-hidden="true" {
            line.base x1=(at(0.0)) x2=(at(1.0)) y1="7" y2="7" {}
            @if let Some(limit) = limit { line.limit x1=(at(limit)) x2=(at(limit)) y1="0" y2="14" {} }
            line x1=(at(low)) x2=(at(high)) y1="7" y2="7" {}
            circle cx=(at(value)) cy="7" r="4" {}
        }
    }
}
