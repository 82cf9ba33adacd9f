//! InfraValidator: whether a real server answers with the model, asked before anybody is served by it.
//!
//! The server that will serve the model is started with the candidate on a free port of the loopback interface, asked as
//! its clients will ask it, and stopped. The verdict is a file in the output folder, `INFRA_BLESSED` or
//! `INFRA_NOT_BLESSED` as TFX names it, that holds a line for each rule. A server that does not do is the model's fault
//! and no failed run; only a program that cannot be started at all is.

mod exam;
mod requests;
mod server;
pub mod skew;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use natureddit_core::{Progress, fs};
use natureddit_model::{
    EncoderPair, Features, Head, InputLimits, ModelBundle, ModelInput, Prediction, Predictor, PredictorOptions, Runtime,
};
use serde_json::{Value, json};

use self::exam::Exam;
use super::{AssetLoader, read_transformed};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, Port};
use crate::examples::{Example, read_split};
use crate::split::Split;

/// The file TFX's InfraValidator leaves for a model that a server can serve.
const BLESSED: &str = "INFRA_BLESSED";
const NOT_BLESSED: &str = "INFRA_NOT_BLESSED";

/// How often a server is started before a model is given up: what failed once may be the machine's fault.
const TRIES: usize = 2;

/// The largest file of reasons.
const REASONS_BYTES_MAX: u64 = 1 << 20;

/// How the server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfraValidatorConfig {
    /// The longest it may take until it listens.
    pub start_timeout: Duration,
    /// The longest it may take to stop when it is told to.
    pub stop_timeout: Duration,
    /// The longest an answer may take.
    pub response_timeout: Duration,
    /// The most test posts it is asked about, besides the requests that are always the same.
    pub test_posts_max: usize,
}

/// What a server needs to know of the model it is started with.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The folder of its bundle.
    pub bundle: &'a Path,
    /// An empty folder for what the server makes to be reached, such as a certificate; it is removed afterwards.
    pub scratch: &'a Path,
}

/// What a program is told to serve a model.
pub type ServerArguments = Arc<dyn Fn(&Candidate<'_>) -> Vec<OsString> + Send + Sync>;

/// A program that serves a model.
///
/// It must listen on a free port of the loopback interface, then write a JSON object with its `url`, and the path of its
/// `certificate` where that is `https`, to its standard output, and end when its standard input is closed. So it also
/// ends when this process does, however it ends.
#[derive(Clone)]
pub struct ServerProgram {
    /// The program.
    pub program: PathBuf,
    /// Its arguments for a model.
    pub arguments: ServerArguments,
    /// Its whole environment: nothing else is passed on, no secret above all.
    pub environment: Vec<(OsString, OsString)>,
    /// What decides how it answers besides the model, such as its version and its limits: part of the cache key.
    pub settings: Value,
}

/// Asks a server that is started with the model.
pub struct InfraValidator {
    /// The model's name.
    pub name: String,
    /// Which encoders the features come from.
    pub encoders: EncoderPair,
    /// How it is asked.
    pub config: InfraValidatorConfig,
    /// Where the photos are.
    pub images_dir: PathBuf,
    /// The largest photo that is sent, and the largest title.
    pub limits: InputLimits,
    /// Finds the runtime for a model whose encoders were tuned: no features are kept of those.
    pub assets: AssetLoader,
    /// The server.
    pub server: ServerProgram,
}

impl Component for InfraValidator {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "InfraValidator",
                version: 1,
                inputs: &[
                    Port::new("model", ArtifactType::Model),
                    Port::new("examples", ArtifactType::Examples),
                    Port::new("transformed_examples", ArtifactType::TransformedExamples),
                ],
                outputs: &[Port::new("blessing", ArtifactType::InfraBlessing)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        let InfraValidatorConfig { start_timeout, stop_timeout, response_timeout, test_posts_max } = &self.config;
        json!({
            "name": self.name,
            "start_timeout_ms": milliseconds(*start_timeout),
            "stop_timeout_ms": milliseconds(*stop_timeout),
            "response_timeout_ms": milliseconds(*response_timeout),
            "test_posts_max": test_posts_max,
            "image_bytes_max": self.limits.image.bytes_max,
            "server": self.server.settings,
        })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let output = io.output("blessing");
        let scratch = output.join("scratch");
        let exam = self.exam(io, &cx.progress)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("could not start the async runtime")?;
        cx.progress.start("asking a server with the model", None);
        let mut tries = 0;
        let verdict = loop {
            tries += 1;
            fs::create_dir_all(&scratch)?;
            let candidate = Candidate { name: &self.name, bundle: io.input("model"), scratch: &scratch };
            let verdict = runtime.block_on(exam.hold(&self.server, &candidate))?;
            fs::remove_dir_all(&scratch)?;
            if verdict.is_passed() || tries == TRIES {
                break verdict;
            }
            tracing::warn!("a server with the model did not do and is tried again: {}", verdict.reasons().join("; "));
        };
        cx.progress.finish();

        let blessed = verdict.is_passed();
        cx.set_property("blessing", "blessed", blessed);
        cx.set_detail("servers_started", tries);
        for (name, value) in verdict.measured() {
            cx.set_detail(name, value);
        }
        let file = if blessed { BLESSED } else { NOT_BLESSED };
        Ok(fs::write_atomic(&output.join(file), verdict.reasons().join("\n") + "\n")?)
    }
}

impl InfraValidator {
    /// What the server is asked: test posts whose photos are there, and what the model answers to them.
    fn exam(&self, io: &ExecutionIo, progress: &Progress) -> anyhow::Result<Exam> {
        let bundle = ModelBundle::read(io.input("model"))?;
        let examples = read_split(io.input("examples"), Split::Test)?;
        let features = read_transformed(io.input("transformed_examples"), Split::Test, &self.encoders)?;
        let posts = examples.iter().zip(&features).filter_map(|(example, features)| {
            features.image.as_ref()?;
            Some((example, features, requests::photo_of(example, &self.images_dir, self.limits.image.bytes_max)?))
        });
        let mut model = self.model(&bundle, progress)?;
        let request = |(example, features, photo): (&Example, &Features, Vec<u8>)| -> anyhow::Result<_> {
            let has_title = features.text.is_some();
            let text = has_title.then_some(example.title.as_str());
            let probabilities = model.probabilities(features, &ModelInput { text, image: Some(&photo) })?;
            Ok(requests::Request::of_post(example, photo, has_title, probabilities))
        };
        let requests = posts.take(self.config.test_posts_max).map(request).collect::<anyhow::Result<Vec<_>>>()?;
        let requests = requests.into_iter().chain(requests::canned()).collect();
        Ok(Exam { classes: bundle.manifest.classes, config: self.config.clone(), requests })
    }

    /// What answers for the model: its head where the features are of its encoders, else all of it.
    fn model(&self, bundle: &ModelBundle, progress: &Progress) -> anyhow::Result<Answering> {
        let manifest = &bundle.manifest;
        let hashes = (manifest.image_encoder.hash, manifest.text_encoder.hash);
        if hashes == (self.encoders.image_hash(), self.encoders.text_hash()) {
            return Ok(Answering::Head(Box::new(bundle.head()?)));
        }
        let runtime = Runtime::load(&(self.assets)(progress)?.runtime)?;
        let options = PredictorOptions { limits: self.limits, threads: 1 };
        Ok(Answering::Whole(Box::new(Predictor::load(bundle, &runtime, &options)?)))
    }
}

/// What tells the answers that a server should give.
enum Answering {
    Head(Box<Head>),
    Whole(Box<Predictor>),
}

impl Answering {
    fn probabilities(&mut self, features: &Features, input: &ModelInput<'_>) -> anyhow::Result<Vec<f32>> {
        match self {
            Self::Head(head) => Ok(Prediction::of(head, features)?.probabilities),
            Self::Whole(predictor) => {
                let prepared = predictor.preprocessor().prepare(input)?;
                let answer = predictor.predict(&[prepared])?.pop();
                Ok(answer.context("the model gives no answer")?.probabilities)
            }
        }
    }
}

/// A verdict as it was written down.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct InfraVerdict {
    /// Whether a server can serve the model.
    pub blessed: bool,
    /// A sentence for each rule.
    pub reasons: Vec<String>,
}

/// The verdict in the folder of an InfraBlessing; `None` where there is none.
///
/// # Errors
/// When the folder cannot be read.
pub fn read_infra_blessing(folder: &Path) -> Result<Option<InfraVerdict>, fs::FsError> {
    for (file, blessed) in [(BLESSED, true), (NOT_BLESSED, false)] {
        if let Some(text) = fs::optional(fs::read_limited(&folder.join(file), REASONS_BYTES_MAX))? {
            let reasons = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
            return Ok(Some(InfraVerdict { blessed, reasons }));
        }
    }
    Ok(None)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
