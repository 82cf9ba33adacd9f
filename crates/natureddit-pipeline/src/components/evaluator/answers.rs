//! What a bundle answers to the test posts: from the features where its encoders are theirs, else from photos and titles.

use anyhow::Context as _;
use natureddit_core::ClassNames;
use natureddit_model::{ModelBundle, ModelInput, Prediction, Predictor, PredictorOptions, Prepared, Runtime};

use super::{Evaluator, Post};
use crate::component::ExecutionContext;
use crate::components::photo::read_photo;
use crate::encoder_form::EncoderHashes;
use crate::examples::Example;

impl Evaluator {
    /// The answers of a bundle of the same classes, in whatever order; `None` for a post it cannot be asked about. Where
    /// its encoders are those that made the features, these are used.
    pub(super) fn answers(
        &self,
        bundle: &ModelBundle,
        posts: &[Post],
        made_by: &EncoderHashes,
        cx: &ExecutionContext,
    ) -> anyhow::Result<Vec<Option<Prediction>>> {
        let classes = &bundle.manifest.classes;
        anyhow::ensure!(same_names(classes, &self.classes), "the model tells {classes} apart, not {}", self.classes);
        let answers = if EncoderHashes::of_model(&bundle.manifest) == *made_by {
            let head = bundle.head()?;
            let answer = |(example, features): &Post| -> anyhow::Result<_> {
                let answer = Prediction::of(&head, features);
                Ok(Some(answer.with_context(|| format!("the model cannot be judged by post {}", example.id))?))
            };
            posts.iter().map(answer).collect::<Result<_, _>>()?
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
            let answer = prepared.map(|input| predictor.predict_finite(&[input])).transpose()?;
            answers.push(answer.and_then(|mut answers| answers.pop()?.ok()));
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
pub(super) fn same_names(a: &ClassNames, b: &ClassNames) -> bool {
    a.len() == b.len() && a.names().all(|name| b.class(name).is_some())
}

/// An answer over the classes `from` as one over the same classes in the order of `to`.
fn in_order(answer: &Prediction, from: &ClassNames, to: &ClassNames) -> Option<Prediction> {
    let probability = |name| answer.probabilities.get(from.class(name)?.0).copied();
    to.names().map(probability).collect::<Option<Vec<f32>>>().map(Prediction::new)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
