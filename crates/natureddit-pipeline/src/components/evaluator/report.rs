//! The evaluation as one HTML page: no script, nothing fetched, the same bytes for the same inputs.
//!
//! Titles are text of strangers: `maud` escapes them, and the page's policy forbids scripts and requests as well.

mod charts;
mod figures;
mod mistakes;
mod slices;

use maud::{Markup, html};
use natureddit_core::ClassNames;
use natureddit_model::metrics::Judged;

use super::verdict::Ruling;
use super::{Evaluation, EvaluatorConfig};
use crate::components::page::page;

pub(super) use mistakes::{Mistakes, Photos};

/// The page in the folder of an evaluation.
pub const REPORT_FILE: &str = "report.html";

/// Everything the page tells.
pub(super) struct Report<'a> {
    /// The model's name.
    pub(super) model: &'a str,
    /// What the model was judged on and made of: a name and a hash.
    pub(super) origin: &'a [(&'static str, String)],
    pub(super) classes: &'a ClassNames,
    pub(super) config: &'a EvaluatorConfig,
    pub(super) evaluation: &'a Evaluation,
    pub(super) rulings: &'a [Ruling],
    /// The candidate's answers to all posts.
    pub(super) candidate: &'a [Judged],
    /// The pushed model's, to the posts that both answered.
    pub(super) champion: Option<&'a [Judged]>,
    pub(super) mistakes: &'a Mistakes,
}

impl Report<'_> {
    /// The page.
    pub(super) fn render(&self) -> String {
        let body = html! {
            (self.header())
            (self.verdict())
            (figures::section(self))
            (figures::classes_section(self))
            (charts::section(self))
            (slices::section(&self.evaluation.slices, self.config))
            (mistakes::section(self.mistakes))
            (self.footer())
        };
        page(&format!("Evaluation of {}", self.model), true, &body)
    }

    fn header(&self) -> Markup {
        let metrics = &self.evaluation.metrics;
        html! {
            header {
                h1 { "Evaluation of " (self.model) }
                p.lead {
                    (metrics.examples) " test posts of " (metrics.groups) " groups, told apart as "
                    (self.classes) "."
                }
            }
        }
    }

    fn verdict(&self) -> Markup {
        let blessed = self.evaluation.blessed;
        html! {
            section.verdict.blessed[blessed].refused[!blessed] aria-labelledby="verdict" {
                h2 #verdict { @if blessed { "Blessed" } @else { "Not blessed" } }
                ul.rulings {
                    @for ruling in self.rulings {
                        li.met[ruling.met].unmet[!ruling.met] { (ruling.reason()) }
                    }
                }
            }
        }
    }

    fn footer(&self) -> Markup {
        let bootstrap = &self.config.bootstrap;
        html! {
            footer {
                p {
                    "Intervals hold " (percent(bootstrap.confidence)) " of " (bootstrap.samples)
                    " bootstrap resamples of whole groups (posts of one author, and near-duplicates), drawn with the seed "
                    (bootstrap.seed) ". What each figure means is told in docs/evaluation.md of NatuReddit."
                }
                dl.origin {
                    @for (name, hash) in self.origin { dt { (name) } dd { code { (hash) } } }
                }
            }
        }
    }
}

/// `0.950` as `95 %`.
fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 1e2)
}

/// `0.912`
fn figure(value: f64) -> String {
    format!("{value:.3}")
}

/// `0.887 – 0.934`
fn range([low, high]: [f64; 2]) -> String {
    format!("{low:.3} – {high:.3}")
}

#[cfg(test)]
mod tests;
