//! Training-serving skew: whether a server answers a training row as the model does by the features that were stored of it.
//!
//! A photo goes two ways to the head: once through the Transform, which keeps its features, and each time it is asked about
//! through the server's own decoding, tokenising and encoders. The two must agree, or the model is served something else than
//! it learnt from.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use natureddit_core::{Class, ClassNames, PostId, Progress, fs};
use natureddit_model::{EncoderPair, Features, ModelBundle, Prediction};
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
    /// The largest photo that is sent, in bytes.
    pub image_bytes_max: u64,
    /// The most rows; they are spread evenly over the training posts.
    pub rows_max: usize,
    /// How long the server may take.
    pub config: &'a InfraValidatorConfig,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SkewReport {
    /// Whether every row was answered with its label, and every probability within the tolerance.
    pub holds: bool,
    /// The rows that were sent.
    pub rows: usize,
    /// Training posts that were not, because their photo is not there as it was or has no features.
    pub skipped: usize,
    /// Rows that got no prediction.
    pub unanswered: usize,
    /// Rows that got another label.
    pub other_labels: usize,
    /// Rows with a probability that is too far off.
    pub too_far: usize,
    /// The largest difference of a probability.
    pub difference_max: f64,
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
    /// The label by the stored features.
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
    /// The features are of other encoders than the model's.
    #[error("the stored features are of other encoders than those of {name}")]
    OtherEncoders {
        /// The model.
        name: String,
    },
    /// No row could be sent.
    #[error("none of the {posts} training posts has its features and the photo that they are of")]
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
}

/// Sends training rows and compares; the folders are those of the Examples and of the TransformedExamples.
///
/// # Errors
/// [`SkewError`]; else when a file cannot be read or the program not be started. A row that is answered otherwise is none.
pub fn verify_skew(
    (examples, transformed): (&Path, &Path),
    server: &SkewServer<'_>,
    check: &SkewCheck<'_>,
    progress: &Progress,
) -> anyhow::Result<SkewReport> {
    let manifest = &check.bundle.manifest;
    if EncoderHashes::of_model(manifest) != EncoderHashes::read(transformed)? {
        return Err(SkewError::OtherEncoders { name: manifest.name.clone() }.into());
    }
    let posts: Vec<(Example, Features)> = read_split(examples, Split::Train)?
        .into_iter()
        .zip(read_transformed(transformed, Split::Train, check.encoders)?)
        .filter(|(example, _)| example.source == ExampleSource::Post)
        .collect();
    let (rows, skipped) = rows(&posts, check)?;
    if rows.is_empty() {
        return Err(SkewError::NoRow { posts: posts.len() }.into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("could not start the async runtime")?;
    progress.start("asking the server about training rows", Some(rows.len() as u64));
    let outcomes = runtime.block_on(ask(server, &rows, check, progress))?;
    progress.finish();
    Ok(report(outcomes, skipped))
}

/// A training post and what the model says of its stored features.
struct Row<'a> {
    example: &'a Example,
    request: Request,
    stored: Prediction,
}

/// The rows to send, and how many that were chosen cannot be.
fn rows<'a>(posts: &'a [(Example, Features)], check: &SkewCheck<'_>) -> anyhow::Result<(Vec<Row<'a>>, usize)> {
    let head = check.bundle.head()?;
    let chosen = spread(posts.len(), check.rows_max);
    let row = |at: &usize| {
        let (example, features) = &posts[*at];
        features.image.as_ref()?;
        let photo = photo_of(example, check.images_dir, check.image_bytes_max)?;
        let stored = Prediction::new(head.probabilities(features));
        let request = Request::of_post(example, photo, features.text.is_some(), stored.probabilities.clone());
        Some(Row { example, request, stored })
    };
    let rows: Vec<Row<'a>> = chosen.iter().filter_map(row).collect();
    let skipped = chosen.len() - rows.len();
    Ok((rows, skipped))
}

/// At most so many places of `count`, evenly spread.
fn spread(count: usize, most: usize) -> Vec<usize> {
    let taken = count.min(most);
    (0..taken).map(|at| at * count / taken).collect()
}

/// What became of a row: the probabilities that were served, or why there are none.
struct Outcome<'a> {
    row: &'a Row<'a>,
    classes: &'a ClassNames,
    served: Result<Vec<f64>, String>,
}

async fn ask<'a>(
    server: &SkewServer<'_>,
    rows: &'a [Row<'a>],
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
    rows: &'a [Row<'a>],
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
    ping.map_err(|error| SkewError::Server { reason: told(&error) })?;
    let classes = &check.bundle.manifest.classes;
    let mut outcomes = Vec::with_capacity(rows.len());
    for row in rows {
        let answer = client.post_form(&predictions, AnswerForm::Json, row.request.fields()).await;
        let served = match answer {
            Ok(Answer { status: 200, body }) => prediction(&body, classes),
            Ok(Answer { status, body }) => Err(format!("the answer is {status}: {}", brief(&body))),
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

fn report(outcomes: Vec<Outcome<'_>>, skipped: usize) -> SkewReport {
    let mut rows: Vec<SkewedRow> = outcomes.into_iter().map(Outcome::told).collect();
    let count = |is: fn(&SkewedRow) -> bool| rows.iter().filter(|row| is(row)).count();
    let unanswered = count(|row| row.difference.is_none());
    let (other_labels, too_far) = (count(SkewedRow::has_other_label), count(SkewedRow::is_too_far));
    let difference_max = rows.iter().filter_map(|row| row.difference).fold(0.0, f64::max);
    let sent = rows.len();
    let rank = |row: &SkewedRow| (row.difference.is_none(), row.has_other_label());
    rows.sort_by(|a, b| {
        rank(b).cmp(&rank(a)).then(b.difference.unwrap_or(0.0).total_cmp(&a.difference.unwrap_or(0.0)))
    });
    rows.truncate(WORST_MAX);
    SkewReport {
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

#[cfg(test)]
mod tests {
    use natureddit_core::ContentHash;
    use natureddit_model::{image_encoder_from_config, text_encoder_from_config};
    use natureddit_testkit::tiny_bundle;

    use super::super::tests::{GOOD, LONG, STOPS, python, server};
    use super::*;

    const CONFIG: InfraValidatorConfig =
        InfraValidatorConfig { start_timeout: LONG, stop_timeout: LONG, response_timeout: LONG, test_posts_max: 1 };

    fn encoders() -> EncoderPair {
        EncoderPair {
            image: image_encoder_from_config("efficientnet_lite0").unwrap().into(),
            text: text_encoder_from_config("all-MiniLM-L6-v2").unwrap().into(),
            title_tokens_max: 64,
        }
    }

    fn post(id: &str) -> Example {
        Example::title_alone(id.parse().unwrap(), "A meadow".to_owned(), "discs".to_owned())
    }

    fn row<'a>(example: &'a Example, stored: &[f32]) -> Row<'a> {
        let request = Request::of_post(example, b"\xff\xd8 a photo \xff\xd9".to_vec(), true, stored.to_vec());
        Row { example, request, stored: Prediction::new(stored.to_vec()) }
    }

    /// What a server that always answers with these probabilities is reported of.
    fn asked(probabilities: [f64; 3], label: &str, stored: &[[f32; 3]]) -> SkewReport {
        let folder = tempfile::tempdir().unwrap();
        tiny_bundle(folder.path(), "m", 1);
        let bundle = ModelBundle::read(folder.path()).unwrap();
        let [discs, stripes, horizon] = probabilities;
        let answer = format!(
            r#"b'{{"label": "{label}", "probabilities": {{"discs": {discs}, "stripes": {stripes}, "horizon": {horizon}}}}}'"#
        );
        let program = server(&format!("{}{STOPS}", GOOD.replace("ANSWER", &answer)));
        let scratch = tempfile::tempdir().unwrap();
        let own = SkewServer::Own { program: &program, scratch: scratch.path() };
        let encoders = encoders();
        let check = SkewCheck {
            bundle: &bundle,
            version: None,
            encoders: &encoders,
            images_dir: Path::new("images"),
            image_bytes_max: 1 << 20,
            rows_max: 10,
            config: &CONFIG,
        };
        let posts: Vec<Example> = (0..stored.len()).map(|at| post(&format!("p{at}"))).collect();
        let rows: Vec<Row<'_>> = posts.iter().zip(stored).map(|(post, stored)| row(post, stored)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcomes = runtime.block_on(ask(&own, &rows, &check, &Progress::silent())).unwrap();
        report(outcomes, 1)
    }

    #[test]
    fn a_server_that_answers_as_the_stored_features_do_has_no_skew() {
        if !python() {
            return;
        }
        let report = asked([0.7, 0.2, 0.1], "discs", &[[0.7, 0.2, 0.1], [0.700_05, 0.199_95, 0.1]]);
        assert!(report.holds && report.rows == 2 && report.skipped == 1, "{report:?}");
        assert!((report.difference_max - 5e-5).abs() < 1e-6 && report.worst[0].id.to_string() == "p1", "{report:?}");
    }

    #[test]
    fn each_way_to_differ_is_counted_and_the_worst_come_first() {
        if !python() {
            return;
        }
        let stored = [[0.7, 0.2, 0.1], [0.6998, 0.2002, 0.1], [0.2, 0.7, 0.1]];
        let report = asked([0.7, 0.2, 0.1], "discs", &stored);
        assert_eq!((report.holds, report.unanswered, report.other_labels, report.too_far), (false, 0, 1, 2));
        let told = |row: &SkewedRow| (row.id.to_string(), row.stored.clone(), row.served.clone());
        assert_eq!(told(&report.worst[0]), ("p2".to_owned(), "stripes".to_owned(), Some("discs".to_owned())));
        assert_eq!(report.worst[1].id.to_string(), "p1");
        // A server whose label is not that of its probabilities has given no prediction.
        let report = asked([0.7, 0.2, 0.1], "horizon", &[[0.7, 0.2, 0.1]]);
        assert_eq!((report.holds, report.unanswered), (false, 1));
        assert!(report.worst[0].fault.as_ref().is_some_and(|fault| fault.contains("horizon")), "{report:?}");
    }

    #[test]
    fn features_of_other_encoders_are_not_compared_with() {
        let folder = tempfile::tempdir().unwrap();
        tiny_bundle(folder.path(), "m", 1);
        let bundle = ModelBundle::read(folder.path()).unwrap();
        let check = SkewCheck {
            bundle: &bundle,
            version: None,
            encoders: &encoders(),
            images_dir: Path::new("images"),
            image_bytes_max: 1,
            rows_max: 1,
            config: &CONFIG,
        };
        let server = SkewServer::Running { url: "http://127.0.0.1:1".parse().unwrap(), certificate: None };
        let stored = EncoderHashes { image: ContentHash::of(b"another"), text: bundle.manifest.text_encoder.hash };
        let transformed = tempfile::tempdir().unwrap();
        stored.write(transformed.path()).unwrap();
        let folders = (Path::new("/nowhere"), transformed.path());
        let error = verify_skew(folders, &server, &check, &Progress::silent()).unwrap_err();
        assert_eq!(error.to_string(), "the stored features are of other encoders than those of m");
    }

    #[test]
    fn rows_are_spread_over_all() {
        assert_eq!(spread(10, 3), [0, 3, 6]);
        assert_eq!(spread(2, 5), [0, 1]);
        assert!(spread(0, 5).is_empty() && spread(5, 0).is_empty());
    }
}
