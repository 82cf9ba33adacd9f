//! What the demo tells in the end.

use std::fmt;
use std::path::PathBuf;

use natureddit_pipeline::{PropertyValue, RunReport};
use serde::Serialize;
use serde_json::Value;

use super::steps::Step;
use crate::cli::collect::Collected;
use crate::cli::run::Ran;

#[derive(Serialize)]
pub(super) struct DemoReport {
    pub(super) dir: PathBuf,
    pub(super) steps: Vec<Step>,
    pub(super) embedding: Embedding,
    pub(super) collected: Collected,
    pub(super) ran: Ran,
    /// The version that an earlier demo pushed and that still answers, because this run's model was not pushed.
    pub(super) kept_version: Option<u64>,
    pub(super) prediction: AskedPrediction,
    /// The same request for a shell.
    pub(super) curl: String,
    /// Where this demo serves, or where `natureddit serve` in the folder will.
    pub(super) url: String,
    #[serde(skip)]
    pub(super) serving: bool,
    /// The pictures are the simulator's own.
    #[serde(skip)]
    pub(super) drawn: bool,
}

/// How fast photos went through the encoder.
#[derive(Serialize)]
pub(super) struct Embedding {
    photos: i64,
    seconds: f64,
}

impl Embedding {
    /// As the Transform told it.
    pub(super) fn of(report: &RunReport) -> Self {
        let detail = |name| report.component("Transform").and_then(|transform| transform.details.get(name));
        let photos = match detail("photos_to_embed") {
            Some(PropertyValue::Int(photos)) => *photos,
            _ => 0,
        };
        let seconds = match detail("photos_seconds") {
            Some(PropertyValue::Double(seconds)) => *seconds,
            _ => 0.0,
        };
        Self { photos, seconds }
    }
}

/// The post that was asked about and what the server said.
#[derive(Serialize)]
pub(super) struct AskedPrediction {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) photo: PathBuf,
    /// It has a label, as every post of the dataset has: the model may have learnt from it.
    pub(super) labelled: bool,
    /// What the post really shows.
    pub(super) truth: Option<String>,
    /// The server's JSON.
    pub(super) answer: Value,
}

impl fmt::Display for DemoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", self.collected)?;
        writeln!(f, "\n{}", self.ran)?;
        if let Some(version) = self.kept_version {
            writeln!(f, "  the new model was not pushed; version {version}, pushed earlier, answers")?;
        }
        writeln!(f, "\n  seconds  step")?;
        self.steps.iter().try_for_each(|Step { name, seconds }| writeln!(f, "{seconds:9.2}  {name}"))?;
        let total: f64 = self.steps.iter().map(|step| step.seconds).sum();
        writeln!(f, "{total:9.2}  in all")?;
        if self.embedding.photos > 0 {
            let rate = self.embedding.photos as f64 / self.embedding.seconds.max(f64::EPSILON);
            writeln!(f, "           {} photos embedded, {rate:.0} a second", self.embedding.photos)?;
        }

        let AskedPrediction { title, truth, answer, labelled, .. } = &self.prediction;
        let which = if *labelled { "a labelled post, for every post has a label" } else { "a post without a label" };
        writeln!(f, "\nasked over HTTPS about {which}: {title:?}")?;
        write!(f, "  answer: {}", answer["label"].as_str().unwrap_or("none"))?;
        if let Some(probabilities) = answer["probabilities"].as_object() {
            let parts: Vec<String> = probabilities
                .iter()
                .map(|(class, p)| format!("{class} {p:.3}", p = p.as_f64().unwrap_or(0.0)))
                .collect();
            write!(f, "  ({})", parts.join(", "))?;
        }
        writeln!(f, "\n  truth:  {}", truth.as_deref().unwrap_or("unknown"))?;
        if self.drawn {
            writeln!(f, "\ndrawn pictures are easy to tell apart, real photos are harder: try --photos DIR")?;
        }
        writeln!(f, "\nthe project is in {}: every other command works there", self.dir.display())?;
        if self.serving {
            write!(f, "serving on {} until Ctrl-C; try:\n\n{}\n", self.url, self.curl)
        } else {
            write!(f, "`natureddit serve` in that folder answers:\n\n{}\n", self.curl)
        }
    }
}
