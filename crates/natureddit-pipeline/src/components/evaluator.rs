//! Evaluator: how good the model is on the test split, and whether it may be pushed.

use std::path::{Path, PathBuf};

use natureddit_core::{ClassNames, fs};
use natureddit_model::metrics::{Bootstrap, Judged, Metrics, evaluate};
use natureddit_model::{
    BundleError, EncoderPair, Features, InputLimits, ModelBundle, ModelInput, Prediction, Predictor, PredictorOptions,
    Prepared, Runtime,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::photo::read_photo;
use super::{AssetLoader, read_transformed, write_json};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, Port};
use crate::examples::{Example, ExampleSource, read_split};
use crate::split::Split;

/// The file that [`Evaluation`] is read from.
pub const EVALUATION_FILE: &str = "evaluation.json";

/// What a model must reach.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvaluatorConfig {
    /// How the interval is made.
    pub bootstrap: Bootstrap,
    /// The fewest test examples a verdict may rest on.
    pub test_examples_min: usize,
    /// How far macro-F1 must be above that of always answering the most frequent class.
    pub majority_gain_min: f64,
    /// How far macro-F1 may be below the champion's on the same examples.
    pub champion_loss_max: f64,
}

/// What the Evaluator found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The candidate on the test split.
    pub metrics: Metrics,
    /// The pushed model beside it; `None` where nothing was pushed or it tells other classes apart.
    pub champion: Option<Comparison>,
    /// Whether the candidate may be pushed.
    pub blessed: bool,
    /// Why, one sentence a rule.
    pub reasons: Vec<String>,
}

/// The pushed model beside the candidate, both on the posts that both answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The pushed model.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// The candidate's macro-F1 on these posts.
    pub candidate_macro_f1: f64,
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
    /// Where the photos are, for a champion with other encoders.
    pub images_dir: PathBuf,
    /// The largest photo and title.
    pub limits: InputLimits,
    /// How many threads such a champion uses.
    pub threads: usize,
    /// Finds the runtime for such a champion.
    pub assets: AssetLoader,
}

impl Component for Evaluator {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "Evaluator",
                version: 2,
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
        let candidate = self.answers(&ModelBundle::read(io.input("model"))?, &posts, cx)?;
        let metrics = self.evaluate(&posts, &candidate, |_| true);
        let champion = match io.optional_input("champion") {
            Some(dir) => self.compare(&candidate, dir, &posts, cx)?,
            None => Champion::Absent,
        };
        let (blessed, reasons) = verdict(&metrics, &champion, &self.config);
        let champion = match champion {
            Champion::Compared(comparison) => Some(comparison),
            Champion::Absent | Champion::OtherClasses(_) => None,
        };

        cx.set_property("evaluation", "accuracy", metrics.accuracy);
        cx.set_property("evaluation", "macro_f1", metrics.macro_f1);
        cx.set_property("blessing", "blessed", blessed);
        let file = if blessed { BLESSED } else { NOT_BLESSED };
        fs::write_atomic(&io.output("blessing").join(file), reasons.join("\n") + "\n")?;
        let evaluation = Evaluation { metrics, champion, blessed, reasons };
        write_json(&io.output("evaluation").join(EVALUATION_FILE), &evaluation)
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

/// The pushed model beside which a candidate is judged.
enum Champion {
    /// Nothing was pushed.
    Absent,
    /// It tells other classes apart, so that the two cannot be compared.
    OtherClasses(ClassNames),
    /// On the same posts.
    Compared(Comparison),
}

/// A post to judge by, and what the candidate's encoders say of it.
type Post = (Example, Features);

fn is_usable((example, features): &Post) -> bool {
    example.source == ExampleSource::Post && (features.image.is_some() || features.text.is_some())
}

impl Evaluator {
    fn compare(
        &self,
        candidate: &[Option<Prediction>],
        dir: &Path,
        posts: &[Post],
        cx: &ExecutionContext,
    ) -> anyhow::Result<Champion> {
        let bundle = ModelBundle::read(dir).map_err(|source| UnreadableChampion { dir: dir.to_owned(), source })?;
        if !same_names(&bundle.manifest.classes, &self.classes) {
            return Ok(Champion::OtherClasses(bundle.manifest.classes));
        }
        let champion = self.answers(&bundle, posts, cx)?;
        let both = |at: usize| candidate[at].is_some() && champion[at].is_some();
        Ok(Champion::Compared(Comparison {
            metrics: self.evaluate(posts, &champion, both),
            candidate_macro_f1: self.evaluate(posts, candidate, both).macro_f1,
        }))
    }

    /// Answers beside the truth, of the posts that are `counted` by their place.
    fn evaluate(&self, posts: &[Post], answers: &[Option<Prediction>], counted: impl Fn(usize) -> bool) -> Metrics {
        let judge = |(at, ((example, _), answer)): (usize, (&Post, &Option<Prediction>))| {
            let truth = self.classes.class(&example.choice).filter(|_| counted(at))?;
            Some(Judged { truth, prediction: answer.clone()?, group: example.group.clone() })
        };
        let judged: Vec<Judged> = posts.iter().zip(answers).enumerate().filter_map(judge).collect();
        evaluate(&judged, &self.classes, &self.config.bootstrap)
    }

    /// The answers of a bundle of the same classes, in whatever order; `None` for a post it cannot be asked about. Where
    /// its encoders are those of the features, these are used.
    fn answers(
        &self,
        bundle: &ModelBundle,
        posts: &[Post],
        cx: &ExecutionContext,
    ) -> anyhow::Result<Vec<Option<Prediction>>> {
        let classes = &bundle.manifest.classes;
        anyhow::ensure!(same_names(classes, &self.classes), "the model tells {classes} apart, not {}", self.classes);
        let same_encoders = bundle.manifest.image_encoder.hash == self.encoders.image_hash()
            && bundle.manifest.text_encoder.hash == self.encoders.text_hash();
        let answers = if same_encoders {
            let head = bundle.head()?;
            posts.iter().map(|(_, features)| Some(Prediction::new(head.probabilities(features)))).collect()
        } else {
            self.predict(bundle, posts, cx)?
        };
        Ok(answers.into_iter().map(|answer| in_order(&answer?, classes, &self.classes)).collect())
    }

    /// The answers of a bundle from photos and titles. A post whose photo is not what it was has none: by its title alone
    /// the bundle would be judged on less than the candidate.
    fn predict(
        &self,
        bundle: &ModelBundle,
        posts: &[Post],
        cx: &ExecutionContext,
    ) -> anyhow::Result<Vec<Option<Prediction>>> {
        let runtime = Runtime::load(&(self.assets)(&cx.progress)?.runtime)?;
        let options = PredictorOptions { limits: self.limits, threads: self.threads };
        let mut predictor = Predictor::load(bundle, &runtime, &options)?;
        cx.progress.start("asking the pushed model", Some(posts.len() as u64));
        let mut answers = Vec::with_capacity(posts.len());
        for (example, _) in posts {
            let prepared = self.prepare(&predictor, example);
            answers.push(prepared.map(|input| predictor.predict(&[input])).transpose()?.and_then(|mut a| a.pop()));
            cx.progress.advance(1);
        }
        cx.progress.finish();
        Ok(answers)
    }

    fn prepare(&self, predictor: &Predictor, example: &Example) -> Option<Prepared> {
        let path = self.images_dir.join(&example.img_name);
        let photo = read_photo(&path, &example.sha256?, self.limits.image.bytes_max).ok()?;
        let input = ModelInput { text: Some(&example.title), image: Some(&photo) };
        predictor.preprocessor().prepare(&input).ok()
    }
}

/// Whether both are the same classes, in whatever order.
fn same_names(a: &ClassNames, b: &ClassNames) -> bool {
    a.len() == b.len() && a.names().all(|name| b.class(name).is_some())
}

/// An answer over the classes `from` as one over the same classes in the order of `to`.
fn in_order(answer: &Prediction, from: &ClassNames, to: &ClassNames) -> Option<Prediction> {
    let probability = |name| answer.probabilities.get(from.class(name)?.0).copied();
    to.names().map(probability).collect::<Option<Vec<f32>>>().map(Prediction::new)
}

/// Whether the candidate may be pushed, and why.
fn verdict(metrics: &Metrics, champion: &Champion, config: &EvaluatorConfig) -> (bool, Vec<String>) {
    let majority = metrics.majority_macro_f1;
    let f1 = metrics.macro_f1;
    let mut rules = vec![
        (
            metrics.examples >= config.test_examples_min as u64,
            format!("{} test examples, at least {} are needed", metrics.examples, config.test_examples_min),
        ),
        (
            f1 > majority && f1 >= majority + config.majority_gain_min,
            format!(
                "macro-F1 {f1:.4} against {majority:.4} of the most frequent class, at least {:.4} more is needed",
                config.majority_gain_min
            ),
        ),
    ];
    match champion {
        Champion::Absent => rules.push((true, "no model has been pushed to compare with".to_owned())),
        Champion::OtherClasses(classes) => {
            rules.push((true, format!("the pushed model tells {classes} apart and cannot be compared with")));
        }
        Champion::Compared(comparison) => rules.extend(beside_champion(metrics, comparison, config)),
    }
    let blessed = rules.iter().all(|(holds, _)| *holds);
    let reasons = rules.into_iter().map(|(holds, why)| format!("{}: {why}", if holds { "met" } else { "not met" }));
    (blessed, reasons.collect())
}

/// The rules of a candidate beside the pushed model.
fn beside_champion(
    metrics: &Metrics,
    comparison: &Comparison,
    config: &EvaluatorConfig,
) -> impl Iterator<Item = (bool, String)> {
    let Comparison { metrics: champion, candidate_macro_f1: f1 } = comparison;
    // Few posts, or none, are no evidence that the candidate is as good.
    let enough = champion.examples >= config.test_examples_min.max(1) as u64;
    let too_few = (champion.examples < metrics.examples).then(|| {
        let (both, all) = (champion.examples, metrics.examples);
        (
            enough,
            format!("the pushed model answered {both} of {all} test posts: the photos of the others are not there"),
        )
    });
    let why = format!(
        "macro-F1 {f1:.4} against {:.4} of the pushed model, at most {:.4} less is allowed",
        champion.macro_f1, config.champion_loss_max
    );
    too_few.into_iter().chain([(*f1 >= champion.macro_f1 - config.champion_loss_max, why)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(examples: u64, macro_f1: f64) -> Metrics {
        Metrics {
            examples,
            accuracy: macro_f1,
            macro_f1,
            macro_f1_interval: [macro_f1, macro_f1],
            confidence: 0.95,
            ece: 0.0,
            per_class: vec![],
            confusion: vec![],
            majority_accuracy: 0.4,
            majority_macro_f1: 0.2,
        }
    }

    const CONFIG: EvaluatorConfig = EvaluatorConfig {
        bootstrap: Bootstrap { samples: 10, confidence: 0.95, seed: 1 },
        test_examples_min: 30,
        majority_gain_min: 0.1,
        champion_loss_max: 0.01,
    };

    fn blessed(candidate: Metrics, champion: Option<Metrics>) -> bool {
        let candidate_macro_f1 = candidate.macro_f1;
        let compared = |metrics| Champion::Compared(Comparison { metrics, candidate_macro_f1 });
        verdict(&candidate, &champion.map_or(Champion::Absent, compared), &CONFIG).0
    }

    #[test]
    fn beside_the_pushed_model_only_the_posts_that_both_answered_count() {
        let beside = |examples, candidate_macro_f1| {
            Champion::Compared(Comparison { metrics: metrics(examples, 0.9), candidate_macro_f1 })
        };
        let all = metrics(100, 0.95);
        assert!(verdict(&all, &beside(60, 0.9), &CONFIG).0);
        assert!(!verdict(&all, &beside(60, 0.8), &CONFIG).0, "what it gained elsewhere is no excuse");
        let (blessed, reasons) = verdict(&all, &beside(29, 0.95), &CONFIG);
        assert!(!blessed);
        let expected =
            "not met: the pushed model answered 29 of 100 test posts: the photos of the others are not there";
        assert_eq!(reasons[2], expected);
        let no_minimum = EvaluatorConfig { test_examples_min: 0, ..CONFIG };
        assert!(!verdict(&all, &beside(0, 0.0), &no_minimum).0);
    }

    #[test]
    fn a_model_of_other_classes_is_no_obstacle() {
        let classes = ClassNames::new(vec!["cat".into(), "dog".into()]).unwrap();
        let (blessed, reasons) = verdict(&metrics(30, 0.9), &Champion::OtherClasses(classes), &CONFIG);
        assert!(blessed);
        assert_eq!(reasons[2], "met: the pushed model tells cat, dog apart and cannot be compared with");
    }

    #[test]
    fn a_good_first_model_is_blessed() {
        assert!(blessed(metrics(30, 0.9), None));
    }

    #[test]
    fn too_little_evidence_is_refused() {
        assert!(!blessed(metrics(29, 0.9), None));
        assert!(!blessed(metrics(0, 0.0), None));
    }

    #[test]
    fn no_better_than_the_most_frequent_class_is_refused() {
        let (blessed, reasons) = verdict(&metrics(100, 0.25), &Champion::Absent, &CONFIG);
        assert!(!blessed);
        assert_eq!(
            reasons[1],
            "not met: macro-F1 0.2500 against 0.2000 of the most frequent class, at least 0.1000 more is needed"
        );
    }

    #[test]
    fn classes_in_another_order_are_the_same_classes() {
        let names = |names: &[&str]| ClassNames::new(names.iter().map(|&name| name.to_owned()).collect()).unwrap();
        let (pushed, now) = (names(&["flora", "fauna", "fungi"]), names(&["fungi", "flora", "fauna"]));
        assert!(same_names(&pushed, &now));
        assert!(!same_names(&pushed, &names(&["flora", "fauna"])));
        assert!(!same_names(&pushed, &names(&["flora", "fauna", "rock"])));
        let answer = in_order(&Prediction::new(vec![0.1, 0.7, 0.2]), &pushed, &now).unwrap();
        assert_eq!(answer.probabilities, [0.2, 0.1, 0.7]);
        assert_eq!(now.name(answer.class), "fauna");
    }

    #[test]
    fn as_good_as_the_most_frequent_class_is_not_better() {
        let config = EvaluatorConfig { majority_gain_min: 0.0, ..CONFIG };
        assert!(!verdict(&metrics(100, 0.2), &Champion::Absent, &config).0);
        assert!(verdict(&metrics(100, 0.21), &Champion::Absent, &config).0);
    }

    #[test]
    fn worse_than_the_pushed_model_is_refused() {
        assert!(blessed(metrics(100, 0.895), Some(metrics(100, 0.9))));
        assert!(!blessed(metrics(100, 0.85), Some(metrics(100, 0.9))));
    }
}
