//! Evaluator: how good the model is on the test split, and whether it may be pushed.

mod answers;
mod quantisation;
mod report;
mod slices;
mod verdict;

use std::path::{Path, PathBuf};

use natureddit_core::{ClassNames, fs};
use natureddit_model::metrics::{Bootstrap, Judged, Metrics, PairedTest, evaluate, macro_f1, paired_test};
use natureddit_model::{BundleError, EncoderPair, Features, InputLimits, ModelBundle, Prediction};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::example_gen::split_rule;
use super::trainer::SPLIT_RULE;
use super::transform::Transform;
use super::{AssetLoader, read_transformed, write_json};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, Port};
use crate::encoder_form::EncoderHashes;
use crate::examples::{Example, ExampleSource, read_split};
use crate::split::Split;
use report::{Mistakes, Photos, Report};
use verdict::{Champion, NOT_MET, Ruling, rulings};

pub use quantisation::Quantisation;
pub use report::REPORT_FILE;
pub use slices::{Slice, SliceKind};
pub use verdict::Rule;

/// The file that [`Evaluation`] is read from.
pub const EVALUATION_FILE: &str = "evaluation.json";

/// What a model must reach. A threshold that is `None` asks for nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvaluatorConfig {
    /// How intervals are made.
    pub bootstrap: Bootstrap,
    /// The fewest test examples a verdict may rest on.
    pub test_examples_min: usize,
    /// The fewest of them of each class.
    pub class_examples_min: usize,
    /// The fewest of a slice for it to count.
    pub slice_examples_min: usize,
    /// How far macro-F1 must be above that of always answering the most frequent class.
    pub majority_gain_min: f64,
    /// The least macro-F1.
    pub macro_f1_min: Option<f64>,
    /// The least accuracy.
    pub accuracy_min: Option<f64>,
    /// The least recall of each class.
    pub recall_min: Option<f64>,
    /// The largest expected calibration error.
    pub ece_max: Option<f64>,
    /// The least macro-F1 of each slice that counts.
    pub slice_macro_f1_min: Option<f64>,
    /// The least accuracy of each slice that counts.
    pub slice_accuracy_min: Option<f64>,
    /// How far macro-F1 may be below the champion's on the same examples.
    pub champion_loss_max: f64,
    /// A larger loss counts only if the paired bootstrap gives it at most this p-value; 1: every loss counts.
    pub champion_p_max: f64,
    /// How far macro-F1 with encoders in eight bits may be below that with the same in floats.
    pub quantisation_loss_max: f64,
    /// A larger loss counts only if the paired bootstrap gives it at most this p-value; 1: every loss counts.
    pub quantisation_p_max: f64,
    /// The most posts of each split that both forms are compared on.
    pub quantisation_posts_max: usize,
    /// How many wrong answers the report shows.
    pub mistakes_max: usize,
    /// The longest side of their photos there, in pixels.
    pub thumbnail_side_max: u32,
}

/// What the Evaluator found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The candidate on the test split.
    pub metrics: Metrics,
    /// The candidate on parts of it.
    pub slices: Vec<Slice>,
    /// The pushed model beside it; `None` where nothing was pushed, it tells other classes apart, or it may have learnt from
    /// these posts.
    pub champion: Option<Comparison>,
    /// Its encoders in eight bits beside the same in floats; `None` where they are in floats or cannot be compared.
    pub quantisation: Option<Quantisation>,
    /// Whether the candidate may be pushed.
    pub blessed: bool,
    /// Why, one sentence a rule: `met: ...` or `not met: ...`.
    pub reasons: Vec<String>,
    /// The rules that are not met, each once.
    pub refused_by: Vec<Rule>,
}

impl Evaluation {
    /// What is said of the rules that are not met.
    pub fn unmet(&self) -> impl Iterator<Item = &str> {
        self.reasons.iter().filter_map(|reason| reason.strip_prefix(NOT_MET))
    }
}

/// The pushed model beside the candidate, both on the posts that both answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The pushed model.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// The candidate's macro-F1 on these posts.
    pub candidate_macro_f1: f64,
    /// Whether the difference may be chance.
    pub paired: PairedTest,
}

/// A pushed model that the candidate cannot be judged beside: nothing is blessed without that.
#[derive(Debug, thiserror::Error)]
#[error("the pushed model in {dir} cannot be compared with", dir = dir.display())]
pub struct UnreadableChampion {
    /// The folder of its version.
    pub dir: PathBuf,
    /// What is wrong with it.
    pub source: BundleError,
}

/// Judges a model.
pub struct Evaluator {
    /// The classes.
    pub classes: ClassNames,
    /// Which encoders the features come from.
    pub encoders: EncoderPair,
    /// What a model must reach.
    pub config: EvaluatorConfig,
    /// Where the photos are, for a champion with other encoders and for the report.
    pub images_dir: PathBuf,
    /// The largest photo and title.
    pub limits: InputLimits,
    /// How many threads such a champion uses.
    pub threads: usize,
    /// Finds the runtime for such a champion.
    pub assets: AssetLoader,
    /// How features in floats are made, where those of the candidate are in eight bits.
    pub floats: Transform,
}

impl Component for Evaluator {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "Evaluator",
                version: 5,
                inputs: &[
                    Port::new("examples", ArtifactType::Examples),
                    Port::new("transformed_examples", ArtifactType::TransformedExamples),
                    Port::new("model", ArtifactType::Model),
                    Port::optional("champion", ArtifactType::PushedModel),
                ],
                outputs: &[
                    Port::new("evaluation", ArtifactType::ModelEvaluation),
                    Port::new("blessing", ArtifactType::ModelBlessing),
                ],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        // The limits decide which posts a champion with other encoders answers.
        let limits = (self.limits.image.bytes_max, self.limits.image.pixels_max, self.limits.text_bytes_max);
        json!({ "classes": self.classes, "config": self.config, "limits": limits })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let examples = read_split(io.input("examples"), Split::Test)?;
        let features = read_transformed(io.input("transformed_examples"), Split::Test, &self.encoders)?;
        let posts: Vec<Post> = examples.into_iter().zip(features).filter(is_usable).collect();
        let bundle = ModelBundle::read(io.input("model"))?;
        let made_by = EncoderHashes::read(io.input("transformed_examples"))?;
        let answers = self.answers(&bundle, &posts, &made_by, cx)?;
        let candidate = self.answered(&posts, &answers, |_| true);
        let (champion, champion_judged) = match io.optional_input("champion") {
            Some(dir) => self.compare(&answers, (io, dir), &posts, cx)?,
            None => (Champion::Absent, None),
        };
        let floats = self.beside_floats(&bundle, io, cx)?;

        let judged: Vec<Judged> = candidate.iter().map(|answered| answered.judged.clone()).collect();
        let metrics = evaluate(&judged, &self.classes, &self.config.bootstrap);
        let (bootstrap, min) = (&self.config.bootstrap, self.config.slice_examples_min);
        let slices = slices::slices(&candidate, &self.classes, bootstrap, min);
        let mut rulings = rulings(&metrics, &slices, &champion, &self.config);
        rulings.extend(floats.ruling(&self.config));
        let evaluation = Evaluation::new(metrics, slices, (champion, floats.compared()), &rulings);
        tell(&evaluation, cx);
        write_blessing(io.output("blessing"), &evaluation)?;
        write_json(&io.output("evaluation").join(EVALUATION_FILE), &evaluation)?;
        let report = Report {
            model: &bundle.manifest.name,
            origin: &origin(io),
            classes: &self.classes,
            config: &self.config,
            evaluation: &evaluation,
            rulings: &rulings,
            candidate: &judged,
            champion: champion_judged.as_deref(),
            mistakes: &self.mistakes(&candidate),
        };
        Ok(fs::write_atomic(&io.output("evaluation").join(REPORT_FILE), report.render())?)
    }
}

/// The file TFX's Evaluator leaves for a model that may be pushed.
const BLESSED: &str = "BLESSED";
const NOT_BLESSED: &str = "NOT_BLESSED";

/// Whether the folder of a blessing says yes.
///
/// # Errors
/// When the folder cannot be looked at.
pub fn is_blessed(blessing: &Path) -> Result<bool, fs::FsError> {
    Ok(fs::optional(fs::metadata(&blessing.join(BLESSED)))?.is_some())
}

fn write_blessing(dir: &Path, evaluation: &Evaluation) -> Result<(), fs::FsError> {
    let file = if evaluation.blessed { BLESSED } else { NOT_BLESSED };
    fs::write_atomic(&dir.join(file), evaluation.reasons.join("\n") + "\n")
}

/// The figures that the metadata store keeps.
fn tell(evaluation: &Evaluation, cx: &mut ExecutionContext) {
    let metrics = &evaluation.metrics;
    for (name, value) in
        [("accuracy", metrics.accuracy), ("macro_f1", metrics.macro_f1), ("ece", metrics.ece), ("brier", metrics.brier)]
    {
        cx.set_property("evaluation", name, value);
    }
    cx.set_property("blessing", "blessed", evaluation.blessed);
}

/// What the report says of where its figures are from.
fn origin(io: &ExecutionIo) -> Vec<(&'static str, String)> {
    let inputs = [("model", "model"), ("examples", "examples"), ("pushed model", "champion")];
    inputs.into_iter().filter_map(|(name, key)| Some((name, io.input_hash(key)?.to_string()))).collect()
}

/// A post to judge by, and what the candidate's encoders say of it.
type Post = (Example, Features);

fn is_usable((example, features): &Post) -> bool {
    example.source == ExampleSource::Post && (features.image.is_some() || features.text.is_some())
}

/// A test post and the answer to it beside the truth.
struct Answered<'a> {
    example: &'a Example,
    features: &'a Features,
    judged: Judged,
}

impl Evaluation {
    fn new(
        metrics: Metrics,
        slices: Vec<Slice>,
        (champion, quantisation): (Champion, Option<Quantisation>),
        rulings: &[Ruling],
    ) -> Self {
        let mut refused_by: Vec<Rule> = rulings.iter().filter(|ruling| !ruling.met).map(|ruling| ruling.rule).collect();
        // Several slices may break one rule.
        refused_by.dedup();
        Self {
            metrics,
            slices,
            champion: match champion {
                Champion::Compared(comparison) => Some(*comparison),
                Champion::Absent | Champion::OtherClasses(_) | Champion::OtherSplits => None,
            },
            quantisation,
            blessed: refused_by.is_empty(),
            reasons: rulings.iter().map(Ruling::reason).collect(),
            refused_by,
        }
    }
}

impl Evaluator {
    /// The pushed model beside the candidate, and its answers where both gave one.
    fn compare(
        &self,
        candidate: &[Option<Prediction>],
        (io, dir): (&ExecutionIo, &Path),
        posts: &[Post],
        cx: &ExecutionContext,
    ) -> anyhow::Result<(Champion, Option<Vec<Judged>>)> {
        let bundle = ModelBundle::read(dir).map_err(|source| UnreadableChampion { dir: dir.to_owned(), source })?;
        if !answers::same_names(&bundle.manifest.classes, &self.classes) {
            return Ok((Champion::OtherClasses(bundle.manifest.classes), None));
        }
        if let Some(rule) = bundle.manifest.lineage.get(SPLIT_RULE)
            && split_rule(io.input("examples"))?.is_some_and(|ours| ours != *rule)
        {
            return Ok((Champion::OtherSplits, None));
        }
        let made_by = EncoderHashes::read(io.input("transformed_examples"))?;
        let champion = self.answers(&bundle, posts, &made_by, cx)?;
        let both = |at: usize| candidate[at].is_some() && champion[at].is_some();
        let judged = |answers| -> Vec<Judged> {
            self.answered(posts, answers, both).into_iter().map(|answered| answered.judged).collect()
        };
        let (ours, theirs) = (judged(candidate), judged(&champion));
        let EvaluatorConfig { bootstrap, champion_loss_max, .. } = &self.config;
        let comparison = Comparison {
            metrics: evaluate(&theirs, &self.classes, bootstrap),
            candidate_macro_f1: macro_f1(&ours, &self.classes),
            paired: paired_test(&ours, &theirs, &self.classes, bootstrap, *champion_loss_max),
        };
        Ok((Champion::Compared(Box::new(comparison)), Some(theirs)))
    }

    /// Answers beside the truth, of the posts that are `counted` by their place.
    fn answered<'a>(
        &self,
        posts: &'a [Post],
        answers: &[Option<Prediction>],
        counted: impl Fn(usize) -> bool,
    ) -> Vec<Answered<'a>> {
        let judge = |(at, ((example, features), answer)): (usize, (&'a Post, &Option<Prediction>))| {
            let truth = self.classes.class(&example.choice).filter(|_| counted(at))?;
            let judged = Judged { truth, prediction: answer.clone()?, group: example.group.clone() };
            Some(Answered { example, features, judged })
        };
        posts.iter().zip(answers).enumerate().filter_map(judge).collect()
    }

    fn mistakes(&self, candidate: &[Answered<'_>]) -> Mistakes {
        let EvaluatorConfig { mistakes_max, thumbnail_side_max, .. } = self.config;
        let photos = Photos { images_dir: &self.images_dir, limits: self.limits.image, side_max: thumbnail_side_max };
        Mistakes::find(candidate, &self.classes, mistakes_max, &photos)
    }
}
