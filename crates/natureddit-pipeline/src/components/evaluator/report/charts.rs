//! The plots: calibration, accuracy against coverage, precision against recall.

use maud::{Markup, html};
use natureddit_core::Class;
use natureddit_model::metrics::{COVERAGES, Judged, ReliabilityBin, precision_recall, selective_curve};

use super::{Report, figure};
use crate::svg::{Axis, Colour, Mark, Plot, Shape};

/// Curves of more points are thinned: nobody sees them.
const POINTS_MAX: usize = 400;

const CANDIDATE: &str = "candidate";
const CHAMPION: &str = "pushed model";

pub(super) fn section(report: &Report<'_>) -> Markup {
    if report.candidate.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="confidence" {
            h2 #confidence { "How far its confidence can be trusted" }
            p.note {
                "Columns at the dashed line are honest: of the posts answered with 80 % confidence, four in five are right. "
                "Where only the surest posts are answered and the others go to a person, accuracy should rise."
            }
            div.charts {
                figure { figcaption { "Calibration" } (reliability(report).render()) }
                figure { figcaption { "Posts by confidence" } (confidences(&report.evaluation.metrics.reliability).render()) }
                figure { figcaption { "Accuracy by coverage" } (selective(report).render()) }
            }
        }
        section aria-labelledby="curves" {
            h2 #curves { "Precision and recall" }
            p.note { "Posts are ranked by the probability of the class; the steps go from the likeliest on." }
            div.charts { @for class in report.classes.classes() { (class_curve(report, class)) } }
        }
    }
}

fn mark(shape: Shape, colour: Colour, label: Option<&str>) -> Mark {
    Mark { shape, colour, dashed: false, label: label.map(str::to_owned) }
}

fn filled(bins: &[ReliabilityBin]) -> impl Iterator<Item = &ReliabilityBin> {
    bins.iter().filter(|bin| bin.examples > 0)
}

fn reliability(report: &Report<'_>) -> Plot {
    let bins = &report.evaluation.metrics.reliability;
    let columns = filled(bins).map(|bin| (bin.range, bin.accuracy)).collect();
    let points = |bins: &[ReliabilityBin]| filled(bins).map(|bin| [bin.confidence, bin.accuracy]).collect::<Vec<_>>();
    let mut marks = vec![
        mark(Shape::Bars(columns), Colour::Series(0), Some(CANDIDATE)),
        Mark { dashed: true, ..mark(Shape::Line(vec![[0.0, 0.0], [1.0, 1.0]]), Colour::Soft, Some("honest")) },
        mark(Shape::Points(points(bins)), Colour::Series(0), None),
    ];
    if let Some(champion) = &report.evaluation.champion {
        let line = Shape::Line(points(&champion.metrics.reliability));
        marks.push(mark(line, Colour::Series(1), Some(CHAMPION)));
    }
    Plot {
        title: format!("Accuracy by confidence; calibration error {}", figure(report.evaluation.metrics.ece)),
        x: Axis::share("confidence", [0.0, 1.0]),
        y: Axis::share("right answers", [0.0, 1.0]),
        height: 300.0,
        marks,
    }
}

fn confidences(bins: &[ReliabilityBin]) -> Plot {
    let most = bins.iter().map(|bin| bin.examples).max().unwrap_or(0).max(1);
    let columns = filled(bins).map(|bin| (bin.range, bin.examples as f64)).collect();
    Plot {
        title: "How many posts were answered with which confidence".to_owned(),
        x: Axis::share("confidence", [0.0, 1.0]),
        y: Axis::count("posts", [0.0, most as f64]),
        height: 300.0,
        marks: vec![mark(Shape::Bars(columns), Colour::Series(0), None)],
    }
}

fn selective(report: &Report<'_>) -> Plot {
    let curve = thinned(selective_curve(report.candidate));
    let champion = report.champion.map(|judged| thinned(selective_curve(judged)));
    let lowest = curve.iter().chain(champion.iter().flatten()).map(|[_, accuracy]| *accuracy).fold(1.0, f64::min);
    let told = report.evaluation.metrics.selective.iter().map(|s| [s.coverage, s.accuracy]).collect();
    let mut marks = Vec::new();
    if let Some(curve) = champion {
        marks.push(mark(Shape::Line(curve), Colour::Series(1), Some(CHAMPION)));
    }
    marks.push(mark(Shape::Line(curve), Colour::Series(0), Some(CANDIDATE)));
    marks.push(mark(Shape::Points(told), Colour::Series(0), None));
    let coverages = COVERAGES.map(|coverage| format!("{:.0}", coverage * 100.0)).join(", ");
    Plot {
        title: format!("Accuracy on the surest posts, by the share of posts; dots at {coverages} %"),
        x: Axis::share("share of posts answered", [0.0, 1.0]),
        // Down to the next tenth, so that differences are seen.
        y: Axis::share("right answers", [((lowest * 10.0).floor() / 10.0).min(0.9), 1.0]),
        height: 300.0,
        marks,
    }
}

fn class_curve(report: &Report<'_>, class: Class) -> Markup {
    let name = report.classes.name(class);
    let average_precision = report.evaluation.metrics.per_class[class.0].average_precision;
    let curve = |judged: &[Judged]| Shape::Steps(recall_and_precision(judged, class));
    let mut marks = Vec::new();
    if let Some(champion) = report.champion {
        marks.push(Mark { dashed: true, ..mark(curve(champion), Colour::Soft, Some(CHAMPION)) });
    }
    marks.push(mark(curve(report.candidate), Colour::Series(class.0), Some(CANDIDATE)));
    let plot = Plot {
        title: format!("Precision by recall of {name}; average precision {}", figure(average_precision)),
        x: Axis::share("recall", [0.0, 1.0]),
        y: Axis::share("precision", [0.0, 1.0]),
        height: 270.0,
        marks,
    };
    html! {
        figure {
            figcaption { (name) " " small { "average precision " (figure(average_precision)) } }
            (plot.render())
        }
    }
}

/// The curve from recall 0 on, where precision is that of the first step.
fn recall_and_precision(judged: &[Judged], class: Class) -> Vec<[f64; 2]> {
    let points: Vec<[f64; 2]> =
        precision_recall(judged, class).points.iter().map(|point| [point.recall, point.precision]).collect();
    let start = points.first().map(|[_, precision]| [0.0, *precision]);
    start.into_iter().chain(thinned(points)).collect()
}

/// The curve with every so many points left out, never the last.
fn thinned(points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    let last = points.len().saturating_sub(1);
    points.into_iter().enumerate().filter(|(at, _)| at % every == 0 || *at == last).map(|(_, point)| point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_curve_keeps_its_ends() {
        let points: Vec<[f64; 2]> = (0..1_000).map(|at| [f64::from(at), 0.0]).collect();
        let kept = thinned(points);
        assert!(kept.len() <= POINTS_MAX + 1);
        assert_eq!((kept[0][0], kept[kept.len() - 1][0]), (0.0, 999.0));
        assert_eq!(thinned(vec![[1.0, 2.0]]), [[1.0, 2.0]]);
    }
}
