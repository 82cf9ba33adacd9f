//! Evaluator: how good the model is on the test split, and whether it may be pushed.

use std::path::{Path, PathBuf};

use natureddit_core::{ClassNames, fs};
use natureddit_model::metrics::{Bootstrap, Judged, Metrics, evaluate};
use natureddit_model::{
    EncoderPair, Features, InputLimits, ModelBundle, ModelInput, Prediction, Predictor, PredictorOptions, Runtime,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
    /// The pushed model on the same examples; `None` where nothing was pushed.
    pub champion: Option<Metrics>,
    /// Whether the candidate may be pushed.
    pub blessed: bool,
    /// Why, one sentence a rule.
    pub reasons: Vec<String>,
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
                version: 1,
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
        let posts: Vec<(Example, Features)> =
            examples.into_iter().zip(features).filter(|(example, _)| example.source == ExampleSource::Post).collect();
        let metrics = self.judge(&ModelBundle::read(io.input("model"))?, &posts, cx)?;
        let champion = match io.optional_input("champion") {
            Some(dir) => self.judge_champion(dir, &posts, cx)?,
            None => Champion::Absent,
        };
        let (blessed, reasons) = verdict(&metrics, &champion, &self.config);
        let champion = match champion {
            Champion::Judged(metrics) => Some(metrics),
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
    /// On the same examples.
    Judged(Metrics),
}

impl Evaluator {
    fn judge_champion(
        &self,
        dir: &Path,
        posts: &[(Example, Features)],
        cx: &ExecutionContext,
    ) -> anyhow::Result<Champion> {
        let bundle = ModelBundle::read(dir)?;
        if !same_names(&bundle.manifest.classes, &self.classes) {
            return Ok(Champion::OtherClasses(bundle.manifest.classes));
        }
        Ok(Champion::Judged(self.judge(&bundle, posts, cx)?))
    }

    /// A bundle of the same classes, in whatever order, on the posts; where its encoders are those of the features,
    /// these are used.
    fn judge(
        &self,
        bundle: &ModelBundle,
        posts: &[(Example, Features)],
        cx: &ExecutionContext,
    ) -> anyhow::Result<Metrics> {
        let classes = &bundle.manifest.classes;
        anyhow::ensure!(same_names(classes, &self.classes), "the model tells {classes} apart, not {}", self.classes);
        let ordered = |answer: Option<Prediction>| in_order(&answer?, classes, &self.classes);
        let same_encoders = bundle.manifest.image_encoder.hash == self.encoders.image_hash()
            && bundle.manifest.text_encoder.hash == self.encoders.text_hash();
        let judged = if same_encoders {
            let head = bundle.head()?;
            let answer = |features: &Features| Prediction::new(head.probabilities(features));
            self.pair(posts, posts.iter().map(|(_, features)| ordered(Some(answer(features)))))
        } else {
            let answers = self.predict(bundle, posts, cx)?;
            self.pair(posts, answers.into_iter().map(ordered))
        };
        Ok(evaluate(&judged, &self.classes, &self.config.bootstrap))
    }

    /// Answers beside the truth; a post without an answer is left out.
    fn pair(&self, posts: &[(Example, Features)], answers: impl Iterator<Item = Option<Prediction>>) -> Vec<Judged> {
        let judge = |((example, features), answer): (&(Example, Features), Option<Prediction>)| {
            let usable = features.image.is_some() || features.text.is_some();
            usable.then_some(Judged { truth: self.classes.class(&example.choice)?, prediction: answer? })
        };
        posts.iter().zip(answers).filter_map(judge).collect()
    }

    /// The answers of a bundle from photos and titles.
    fn predict(
        &self,
        bundle: &ModelBundle,
        posts: &[(Example, Features)],
        cx: &ExecutionContext,
    ) -> anyhow::Result<Vec<Option<Prediction>>> {
        let runtime = Runtime::load(&(self.assets)(&cx.progress)?.runtime)?;
        let options = PredictorOptions { limits: self.limits, threads: self.threads };
        let mut predictor = Predictor::load(bundle, &runtime, &options)?;
        cx.progress.start("asking the pushed model", Some(posts.len() as u64));
        let mut answers = Vec::with_capacity(posts.len());
        for (example, _) in posts {
            let photo = fs::optional(fs::read(&self.images_dir.join(&example.img_name)))?;
            let input = ModelInput { text: Some(&example.title), image: photo.as_deref() };
            let prepared = predictor.preprocessor().prepare(&input).ok();
            answers.push(prepared.map(|input| predictor.predict(&[input])).transpose()?.and_then(|mut a| a.pop()));
            cx.progress.advance(1);
        }
        cx.progress.finish();
        Ok(answers)
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
    rules.push(match champion {
        Champion::Absent => (true, "no model has been pushed to compare with".to_owned()),
        Champion::OtherClasses(classes) => {
            (true, format!("the pushed model tells {classes} apart and cannot be compared with"))
        }
        Champion::Judged(champion) => {
            let why = format!(
                "macro-F1 {f1:.4} against {:.4} of the pushed model, at most {:.4} less is allowed",
                champion.macro_f1, config.champion_loss_max
            );
            (f1 >= champion.macro_f1 - config.champion_loss_max, why)
        }
    });
    let blessed = rules.iter().all(|(holds, _)| *holds);
    let reasons = rules.into_iter().map(|(holds, why)| format!("{}: {why}", if holds { "met" } else { "not met" }));
    (blessed, reasons.collect())
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
        verdict(&candidate, &champion.map_or(Champion::Absent, Champion::Judged), &CONFIG).0
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
