//! Plots as inline SVG: axes with ticks, lines, steps, points and bars, a legend, a title for who cannot see them.
//!
//! Colours are CSS classes ([`STYLE`]), so that a plot is legible on a light page, on a dark one and on paper. The same
//! plot gives the same bytes.

mod axis;

use maud::{Markup, html};

pub use axis::Axis;

/// The style that plots need; the page sets `--ink`, `--soft`, `--line` and `--c0` to `--c5`.
pub const STYLE: &str = "\
svg.plot{display:block;width:100%;height:auto;font-size:12px;fill:var(--ink)}\
svg.plot text{fill:var(--soft)}\
svg.plot .grid{stroke:var(--line);stroke-width:1}\
svg.plot .axis{stroke:var(--soft);stroke-width:1}\
svg.plot .mark{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\
svg.plot .bar{stroke-width:1;fill-opacity:.45}\
svg.plot .dot{stroke:none}\
svg.plot .dashed{stroke-dasharray:5 4}\
svg.plot .c0{stroke:var(--c0)}svg.plot .bar.c0,svg.plot .dot.c0{fill:var(--c0)}\
svg.plot .c1{stroke:var(--c1)}svg.plot .bar.c1,svg.plot .dot.c1{fill:var(--c1)}\
svg.plot .c2{stroke:var(--c2)}svg.plot .bar.c2,svg.plot .dot.c2{fill:var(--c2)}\
svg.plot .c3{stroke:var(--c3)}svg.plot .bar.c3,svg.plot .dot.c3{fill:var(--c3)}\
svg.plot .c4{stroke:var(--c4)}svg.plot .bar.c4,svg.plot .dot.c4{fill:var(--c4)}\
svg.plot .c5{stroke:var(--c5)}svg.plot .bar.c5,svg.plot .dot.c5{fill:var(--c5)}\
svg.plot .soft{stroke:var(--soft)}svg.plot .bar.soft,svg.plot .dot.soft{fill:var(--soft)}";

/// Which of the page's colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// One of six; further ones begin again.
    Series(usize),
    /// Not in the foreground.
    Soft,
}

impl Colour {
    fn class(self) -> &'static str {
        match self {
            Self::Series(at) => ["c0", "c1", "c2", "c3", "c4", "c5"][at % 6],
            Self::Soft => "soft",
        }
    }
}

/// What is drawn, in the units of the axes.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// From point to point.
    Line(Vec<[f64; 2]>),
    /// Each point's height from the point before it on.
    Steps(Vec<[f64; 2]>),
    /// Dots.
    Points(Vec<[f64; 2]>),
    /// Columns: where each begins and ends, and its height above the axis.
    Bars(Vec<([f64; 2], f64)>),
}

/// One thing in a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// What is drawn.
    pub shape: Shape,
    /// In which colour.
    pub colour: Colour,
    /// Whether a line is dashed.
    pub dashed: bool,
    /// Its name in the legend; `None`: it is not in it.
    pub label: Option<String>,
}

/// A plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// What it shows, for who cannot see it.
    pub title: String,
    /// From left to right.
    pub x: Axis,
    /// From the bottom to the top.
    pub y: Axis,
    /// The height of the whole; the width is [`WIDTH`].
    pub height: f64,
    /// What is drawn, the last on top.
    pub marks: Vec<Mark>,
}

/// The width of every plot in its own units, of which 12 are the height of its letters.
pub const WIDTH: f64 = 360.0;

const LEFT: f64 = 64.0;
const RIGHT: f64 = 22.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;
const LEGEND_LINE: f64 = 18.0;
/// About the width of a letter.
const LETTER: f64 = 6.6;

/// Where the axes lie.
struct Frame<'a> {
    plot: &'a Plot,
    top: f64,
}

impl Frame<'_> {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.plot.x.position(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom() - self.plot.y.position(value) * (self.bottom() - self.top)
    }

    fn bottom(&self) -> f64 {
        self.plot.height - BOTTOM
    }

    fn place(&self, point: &[f64; 2]) -> String {
        format!("{:.1},{:.1}", self.x(point[0]), self.y(point[1]))
    }
}

impl Plot {
    /// The plot as an `svg` element.
    #[must_use]
    pub fn render(&self) -> Markup {
        let (legend, lines) = self.legend();
        let frame = Frame { plot: self, top: TOP + lines as f64 * LEGEND_LINE };
        html! {
            svg class="plot" role="img" viewBox=(format!("0 0 {WIDTH} {}", self.height)) aria-label=(self.title) {
                title { (self.title) }
                (legend)
                (frame.axes())
                @for mark in &self.marks { (frame.mark(mark)) }
            }
        }
    }

    /// The legend and how many lines it takes.
    fn legend(&self) -> (Markup, usize) {
        let (mut x, mut line) = (LEFT, 0);
        let mut entries = Vec::new();
        for (mark, label) in self.marks.iter().filter_map(|mark| Some((mark, mark.label.as_deref()?))) {
            let width = 30.0 + label.chars().count() as f64 * LETTER;
            if x + width > WIDTH && x > LEFT {
                (x, line) = (LEFT, line + 1);
            }
            entries.push((mark, label, x, TOP + line as f64 * LEGEND_LINE));
            x += width;
        }
        let lines = if entries.is_empty() { 0 } else { line + 1 };
        let markup = html! {
            @for (mark, label, x, y) in entries {
                (swatch(mark, x, y))
                text x=(format!("{:.1}", x + 20.0)) y=(format!("{:.1}", y + 4.0)) { (label) }
            }
        };
        (markup, lines)
    }
}

/// What stands for a mark in the legend.
fn swatch(mark: &Mark, x: f64, y: f64) -> Markup {
    let colour = mark.colour.class();
    let number = |value: f64| format!("{value:.1}");
    html! {
        @match mark.shape {
            Shape::Line(_) | Shape::Steps(_) => {
                line class=(line_class(mark)) x1=(number(x)) x2=(number(x + 15.0)) y1=(number(y)) y2=(number(y)) {}
            }
            Shape::Points(_) => circle class={ "dot " (colour) } cx=(number(x + 8.0)) cy=(number(y)) r="4" {},
            Shape::Bars(_) => {
                rect class={ "bar " (colour) } x=(number(x + 2.0)) y=(number(y - 5.0)) width="12" height="10" {}
            }
        }
    }
}

fn line_class(mark: &Mark) -> String {
    format!("mark {}{}", mark.colour.class(), if mark.dashed { " dashed" } else { "" })
}

impl Frame<'_> {
    fn axes(&self) -> Markup {
        let Plot { x, y, .. } = self.plot;
        let number = |value: f64| format!("{value:.1}");
        let (left, right, top, bottom) = (number(LEFT), number(WIDTH - RIGHT), number(self.top), number(self.bottom()));
        let middle = (self.top + self.bottom()) / 2.0;
        html! {
            @for tick in y.ticks() {
                line class="grid" x1=(left) x2=(right) y1=(number(self.y(tick))) y2=(number(self.y(tick))) {}
                text x=(number(LEFT - 6.0)) y=(number(self.y(tick) + 4.0)) text-anchor="end" { (y.text(tick)) }
            }
            @for tick in x.ticks() {
                line class="axis" x1=(number(self.x(tick))) x2=(number(self.x(tick)))
                    y1=(bottom) y2=(number(self.bottom() + 4.0)) {}
                text x=(number(self.x(tick))) y=(number(self.bottom() + 17.0)) text-anchor="middle" { (x.text(tick)) }
            }
            line class="axis" x1=(left) x2=(right) y1=(bottom) y2=(bottom) {}
            line class="axis" x1=(left) x2=(left) y1=(top) y2=(bottom) {}
            text x=(number((LEFT + WIDTH - RIGHT) / 2.0)) y=(number(self.plot.height - 6.0)) text-anchor="middle" {
                (x.label())
            }
            text transform=(format!("translate(12 {middle:.1}) rotate(-90)")) text-anchor="middle" { (y.label()) }
        }
    }

    fn mark(&self, mark: &Mark) -> Markup {
        let places = |points: &[[f64; 2]]| points.iter().map(|point| self.place(point)).collect::<Vec<_>>().join(" ");
        let colour = mark.colour.class();
        html! {
            @match &mark.shape {
                Shape::Line(points) => polyline class=(line_class(mark)) points=(places(points)) {},
                Shape::Steps(points) => polyline class=(line_class(mark)) points=(places(&steps(points))) {},
                Shape::Points(points) => @for [x, y] in points {
                    circle class={ "dot " (colour) } cx=(format!("{:.1}", self.x(*x)))
                        cy=(format!("{:.1}", self.y(*y))) r="3.5" {}
                },
                Shape::Bars(bars) => @for ([from, to], height) in bars {
                    rect class={ "bar " (colour) } x=(format!("{:.1}", self.x(*from)))
                        y=(format!("{:.1}", self.y(*height)))
                        width=(format!("{:.1}", self.x(*to) - self.x(*from)))
                        height=(format!("{:.1}", self.bottom() - self.y(*height))) {}
                },
            }
        }
    }
}

/// The corners of steps.
fn steps(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut corners = Vec::with_capacity(points.len() * 2);
    for &[x, y] in points {
        corners.extend(corners.last().map(|&[before, _]: &[f64; 2]| [before, y]));
        corners.push([x, y]);
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(marks: Vec<Mark>) -> Plot {
        let axis = |label: &str| Axis::share(label, [0.0, 1.0]);
        Plot { title: "a <b> plot".into(), x: axis("x"), y: axis("y & z"), height: 300.0, marks }
    }

    fn mark(shape: Shape, label: Option<&str>) -> Mark {
        Mark { shape, colour: Colour::Series(7), dashed: false, label: label.map(str::to_owned) }
    }

    #[test]
    fn a_plot_is_one_element_with_its_title_escaped_and_every_tag_closed() {
        let line = mark(Shape::Line(vec![[0.0, 0.0], [1.0, 1.0]]), Some("models < 2"));
        let text = plot(vec![line]).render().into_string();
        assert!(text.starts_with("<svg class=\"plot\" role=\"img\""), "{text}");
        assert!(text.contains("<title>a &lt;b&gt; plot</title>") && text.contains("models &lt; 2"));
        assert!(text.contains("y &amp; z"));
        for tag in ["line", "text", "polyline"] {
            assert_eq!(text.matches(&format!("<{tag} ")).count(), text.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        // From the lower left corner of the axes to the upper right one, below one line of legend.
        assert!(text.contains(r#"<polyline class="mark c1" points="64.0,258.0 338.0,30.0">"#), "{text}");
    }

    #[test]
    fn bars_stand_on_the_axis() {
        let text = plot(vec![mark(Shape::Bars(vec![([0.0, 0.5], 0.5)]), None)]).render().into_string();
        assert!(text.contains(r#"<rect class="bar c1" x="64.0" y="135.0" width="137.0" height="123.0">"#), "{text}");
    }

    #[test]
    fn steps_go_up_before_they_go_on() {
        assert_eq!(steps(&[[0.0, 1.0], [0.5, 0.8]]), [[0.0, 1.0], [0.0, 0.8], [0.5, 0.8]]);
        assert_eq!(steps(&[]), [[0.0; 2]; 0]);
    }

    #[test]
    fn a_long_legend_is_broken() {
        let marks = ["one", "two", "three"].map(|name| mark(Shape::Points(vec![]), Some(&name.repeat(8))));
        let (_, lines) = plot(marks.to_vec()).legend();
        assert_eq!(lines, 3);
    }
}
