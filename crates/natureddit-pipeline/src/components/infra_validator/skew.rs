//! Training-serving skew: whether a server answers a training row as the model does by the features that were stored of it.
//!
//! A photo goes two ways to the head: once through the Transform, which keeps its features, and each time it is asked about
//! through the server's own decoding, tokenising and encoders. The two must agree, or the model is served something else than
//! it learnt from.
//!
//! Of a model with encoders of its own, such as tuned ones, no features are stored: its bundle is loaded here and asked about
//! the photos and titles that it learnt from.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use natureddit_core::{Class, ClassNames, PostId, Progress, fs};
use natureddit_model::{
    EncoderPair, Features, ModelBundle, ModelInput, Prediction, Predictor, PredictorOptions, Runtime,
};
use natureddit_net::own_server::{Answer, AnswerForm, OwnServer};
use serde::Serialize;
use url::Url;

use super::exam::told;
use super::requests::{Request, brief, photo_of, prediction};
use super::server::{Ready, Server};
use super::{Candidate, InfraValidatorConfig, ServerProgram};
use crate::components::read_transformed;
use crate::encoder_form::EncoderHashes;
use crate::examples::{Example, ExampleSource, read_split};
use crate::split::Split;

/// How far a probability may be from that of the stored features.
pub const SKEW_MAX: f64 = 1e-4;

/// So many of the worst rows are told.
const WORST_MAX: usize = 10;

/// Who is asked.
pub enum SkewServer<'a> {
    /// A server that runs.
    Running {
        /// Where it listens.
        url: Url,
        /// The certificate to trust, PEM; none for HTTP.
        certificate: Option<PathBuf>,
    },
    /// One that is started for it.
    Own {
        /// The program.
        program: &'a ServerProgram,
        /// A folder for what it makes to be reached.
        scratch: &'a Path,
    },
}

/// What it is asked.
pub struct SkewCheck<'a> {
    /// The model that it should answer with.
    pub bundle: &'a ModelBundle,
    /// The version that is asked for; `None`: the server's default.
    pub version: Option<u64>,
    /// Which encoders the stored features are of.
    pub encoders: &'a EncoderPair,
    /// Where the photos are.
    pub images_dir: &'a Path,
    /// The largest photo and title that are sent, and what the bundle may use where it is loaded here.
    pub options: PredictorOptions,
    /// Loads what the bundle needs to be asked here.
    pub runtime: &'a dyn Fn() -> anyhow::Result<Runtime>,
    /// The most rows; they are spread evenly over the training posts.
    pub rows_max: usize,
    /// How long the server may take.
    pub config: &'a InfraValidatorConfig,
}

/// What the answers are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkewReference {
    /// The model's head on the features that the Transform has stored.
    StoredFeatures,
    /// The bundle, loaded here: its encoders are other ones than those of the stored features.
    Bundle,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SkewReport {
    /// What the answers are compared with.
    pub reference: SkewReference,
    /// Whether every row was answered with its label, and every probability within the tolerance.
    pub holds: bool,
    /// The rows that were sent.
    pub rows: usize,
    /// Training posts that were not, because their photo is not there as it was, or has no features or cannot be read.
    pub skipped: usize,
    /// Rows that got no prediction.
    pub unanswered: usize,
    /// Rows that got another label.
    pub other_labels: usize,
    /// Rows with a probability that is too far off.
    pub too_far: usize,
    /// The largest difference of a probability; `None` where no row got one.
    pub difference_max: Option<f64>,
    /// The largest that is allowed.
    pub tolerance: f64,
    /// The worst rows, the worst first; of rows without fault those with the largest difference.
    pub worst: Vec<SkewedRow>,
}

/// A row and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SkewedRow {
    /// The post.
    pub id: PostId,
    /// Its photo.
    pub img_name: String,
    /// The label by what is compared with.
    pub stored: String,
    /// The label that was served; `None` where there was no prediction.
    pub served: Option<String>,
    /// The largest difference of a probability.
    pub difference: Option<f64>,
    /// Why there was no prediction.
    pub fault: Option<String>,
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum SkewError {
    /// No row could be sent.
    #[error("none of the {posts} training posts has the photo that it was learnt from, and features of it")]
    NoRow {
        /// How many training posts there are.
        posts: usize,
    },
    /// There is no server.
    #[error("the server cannot be asked: {reason}")]
    Server {
        /// Why.
        reason: String,
    },
    /// It answers no row, whatever is in it.
    #[error("the server cannot be asked: it answers {status}: {body}")]
    Refused {
        /// The status of its answer.
        status: u16,
        /// What it says.
        body: String,
    },
}

impl SkewError {
    /// The error of an answer that every row would get: another address, no key, no such model or version.
    fn of_all_rows(Answer { status, body }: &Answer) -> Option<Self> {
        let is_of_all = match status {
            // Of what rows hold, none is told so.
            400 => body.contains("HTTPS"),
            300..400 | 401 | 403 | 404 | 405 | 426 => true,
            _ => false,
        };
        is_of_all.then(|| Self::Refused { status: *status, body: brief(body) })
    }
}

/// Sends training rows and compares; the folders are those of the Examples and of the TransformedExamples.
///
/// # Errors
/// [`SkewError`]; else when a file cannot be read or the program not be started. A row that is answered otherwise is none,
/// unless every row would be.
pub fn verify_skew(
    (examples, transformed): (&Path, &Path),
    server: &SkewServer<'_>,
    check: &SkewCheck<'_>,
    progress: &Progress,
) -> anyhow::Result<SkewReport> {
    let train: Vec<Example> = read_split(examples, Split::Train)?;
    let posts = train.iter().filter(|example| is_post(example)).count();
    let has_features = EncoderHashes::of_model(&check.bundle.manifest) == EncoderHashes::read(transformed)?;
    let (reference, (rows, skipped)) = if has_features {
        let features = read_transformed(transformed, Split::Train, check.encoders)?;
        let train = train.into_iter().zip(features).filter(|(example, _)| is_post(example)).collect();
        (SkewReference::StoredFeatures, by_features(train, check)?)
    } else {
        let train = train.into_iter().filter(is_post).collect();
        (SkewReference::Bundle, by_bundle(train, check, progress)?)
    };
    if rows.is_empty() {
        return Err(SkewError::NoRow { posts }.into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("could not start the async runtime")?;
    progress.start("asking the server about training rows", Some(rows.len() as u64));
    let outcomes = runtime.block_on(ask(server, &rows, check, progress))?;
    progress.finish();
    Ok(report(outcomes, skipped, reference))
}

fn is_post(example: &Example) -> bool {
    example.source == ExampleSource::Post
}

/// A training post and what the model says of it.
struct Row {
    example: Example,
    request: Request,
    stored: Prediction,
}

impl Row {
    /// `has_title`: see [`Request::of_post`].
    fn new(example: Example, photo: Vec<u8>, has_title: bool, stored: Prediction) -> Self {
        let request = Request::of_post(&example, photo, has_title, stored.probabilities.clone());
        Self { example, request, stored }
    }
}

/// The rows to send with what the head says of their stored features, and how many that were chosen cannot be.
fn by_features(posts: Vec<(Example, Features)>, check: &SkewCheck<'_>) -> anyhow::Result<(Vec<Row>, usize)> {
    let head = check.bundle.head()?;
    let row = |(example, features): (Example, Features)| {
        features.image.as_ref()?;
        let photo = check.photo_of(&example)?;
        let stored = Prediction::new(head.probabilities(&features));
        Some(Row::new(example, photo, features.text.is_some(), stored))
    };
    let chosen = spread(posts, check.rows_max);
    let count = chosen.len();
    let rows: Vec<Row> = chosen.into_iter().filter_map(row).collect();
    let skipped = count - rows.len();
    Ok((rows, skipped))
}

/// The same with what the bundle itself says of their photos and titles.
fn by_bundle(posts: Vec<Example>, check: &SkewCheck<'_>, progress: &Progress) -> anyhow::Result<(Vec<Row>, usize)> {
    let mut predictor = Predictor::load(check.bundle, &(check.runtime)()?, &check.options)?;
    let chosen = spread(posts, check.rows_max);
    let (count, mut rows) = (chosen.len(), Vec::new());
    progress.start("asking the model itself about training rows", Some(count as u64));
    for example in chosen {
        progress.advance(1);
        let Some(photo) = check.photo_of(&example) else { continue };
        let input = ModelInput { text: Some(&example.title), image: Some(&photo) };
        let Ok(prepared) = predictor.preprocessor().prepare(&input) else { continue };
        let stored = predictor.predict(&[prepared])?.pop().context("an answer for each input")?;
        let has_title = !example.title.trim().is_empty();
        rows.push(Row::new(example, photo, has_title, stored));
    }
    progress.finish();
    let skipped = count - rows.len();
    Ok((rows, skipped))
}

impl SkewCheck<'_> {
    fn photo_of(&self, example: &Example) -> Option<Vec<u8>> {
        photo_of(example, self.images_dir, self.options.limits.image.bytes_max)
    }
}

/// At most so many, evenly spread over all.
fn spread<T>(all: Vec<T>, most: usize) -> Vec<T> {
    let (count, taken) = (all.len(), all.len().min(most));
    let chosen: BTreeSet<usize> = (0..taken).map(|at| at * count / taken).collect();
    all.into_iter().enumerate().filter(|(at, _)| chosen.contains(at)).map(|(_, one)| one).collect()
}

/// What became of a row: the probabilities that were served, or why there are none.
struct Outcome<'a> {
    row: &'a Row,
    classes: &'a ClassNames,
    served: Result<Vec<f64>, String>,
}

async fn ask<'a>(
    server: &SkewServer<'_>,
    rows: &'a [Row],
    check: &'a SkewCheck<'_>,
    progress: &Progress,
) -> anyhow::Result<Vec<Outcome<'a>>> {
    let (program, scratch) = match server {
        SkewServer::Running { url, certificate } => {
            let ready = Ready { url: url.clone(), certificate: certificate.clone() };
            return ask_at(&ready, rows, check, progress).await;
        }
        SkewServer::Own { program, scratch } => (program, scratch),
    };
    let name = &check.bundle.manifest.name;
    let (mut own, stdout) = Server::start(program, &Candidate { name, bundle: check.bundle.dir(), scratch })?;
    let ready = own.ready(stdout, check.config.start_timeout).await;
    let ready = ready.map_err(|reason| SkewError::Server { reason })?;
    let outcomes = ask_at(&ready, rows, check, progress).await?;
    own.stop(check.config.stop_timeout).await.map_err(|reason| SkewError::Server { reason })?;
    Ok(outcomes)
}

async fn ask_at<'a>(
    ready: &Ready,
    rows: &'a [Row],
    check: &'a SkewCheck<'_>,
    progress: &Progress,
) -> anyhow::Result<Vec<Outcome<'a>>> {
    let certificate = ready.certificate.as_deref().map(fs::read).transpose()?;
    let client = OwnServer::new(certificate.as_deref(), check.config.response_timeout)?;
    let name = &check.bundle.manifest.name;
    let path =
        check.version.map_or_else(|| format!("predictions/{name}"), |version| format!("predictions/{name}/{version}"));
    let predictions = ready.url.join(&path)?;
    // A server that is not there would be told once for each row.
    let ping = client.get(&ready.url.join("ping")?).await;
    let ping = ping.map_err(|error| SkewError::Server { reason: told(&error) })?;
    // Before a row is sent where it should not be; who has no /ping may have predictions.
    if let Some(error) = SkewError::of_all_rows(&ping).filter(|_| ping.status != 404) {
        return Err(error.into());
    }
    let classes = &check.bundle.manifest.classes;
    let mut outcomes = Vec::with_capacity(rows.len());
    for row in rows {
        let answer = client.post_form(&predictions, AnswerForm::Json, row.request.fields()).await;
        let served = match answer {
            Ok(Answer { status: 200, body }) => prediction(&body, classes),
            Ok(answer) => match SkewError::of_all_rows(&answer) {
                Some(error) => return Err(error.into()),
                None => Err(format!("the answer is {}: {}", answer.status, brief(&answer.body))),
            },
            Err(error) => Err(told(&error)),
        };
        outcomes.push(Outcome { row, classes, served });
        progress.advance(1);
    }
    Ok(outcomes)
}

impl Outcome<'_> {
    fn told(self) -> SkewedRow {
        let Row { example, stored, .. } = self.row;
        let name = |at: usize| self.classes.name(Class(at)).to_owned();
        let served = self.served.as_ref().ok();
        let best =
            |served: &Vec<f64>| (0..served.len()).fold(0, |best, at| if served[at] > served[best] { at } else { best });
        let difference = |served: &Vec<f64>| {
            let pairs = served.iter().zip(&stored.probabilities);
            pairs.map(|(served, stored)| (served - f64::from(*stored)).abs()).fold(0.0, f64::max)
        };
        SkewedRow {
            id: example.id.clone(),
            img_name: example.img_name.clone(),
            stored: name(stored.class.0),
            served: served.map(best).map(name),
            difference: served.map(difference),
            fault: self.served.err(),
        }
    }
}

impl SkewedRow {
    fn has_other_label(&self) -> bool {
        self.served.as_ref().is_some_and(|served| *served != self.stored)
    }

    fn is_too_far(&self) -> bool {
        self.difference.is_some_and(|difference| difference > SKEW_MAX)
    }
}

fn report(outcomes: Vec<Outcome<'_>>, skipped: usize, reference: SkewReference) -> SkewReport {
    let mut rows: Vec<SkewedRow> = outcomes.into_iter().map(Outcome::told).collect();
    let count = |is: fn(&SkewedRow) -> bool| rows.iter().filter(|row| is(row)).count();
    let unanswered = count(|row| row.difference.is_none());
    let (other_labels, too_far) = (count(SkewedRow::has_other_label), count(SkewedRow::is_too_far));
    let difference_max = rows.iter().filter_map(|row| row.difference).reduce(f64::max);
    let sent = rows.len();
    let rank = |row: &SkewedRow| (row.difference.is_none(), row.has_other_label());
    rows.sort_by(|a, b| {
        rank(b).cmp(&rank(a)).then(b.difference.unwrap_or(0.0).total_cmp(&a.difference.unwrap_or(0.0)))
    });
    rows.truncate(WORST_MAX);
    SkewReport {
        reference,
        holds: unanswered + other_labels + too_far == 0,
        rows: sent,
        skipped,
        unanswered,
        other_labels,
        too_far,
        difference_max,
        tolerance: SKEW_MAX,
        worst: rows,
    }
}
