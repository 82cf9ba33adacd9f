//! A bundle loaded and answering.

use natureddit_core::{Class, ClassNames};

use crate::bundle::ModelBundle;
use crate::encoder::{Encoders, Features, NotFinite};
use crate::error::ModelError;
use crate::head::Head;
use crate::preprocess::{InputLimits, Prepared, Preprocessor};
use crate::runtime::Runtime;

/// What a predictor may use.
#[derive(Clone, Copy, Debug)]
pub struct PredictorOptions {
    /// How large an input may be.
    pub limits: InputLimits,
    /// How many threads one call may use.
    pub threads: usize,
}

/// The model's answer for one input.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The most probable class.
    pub class: Class,
    /// The probability of each class, in the order of the names.
    pub probabilities: Vec<f32>,
    /// What the encoders said of the input, where the predictor [keeps](Predictor::keep_features) it.
    pub features: Option<Features>,
}

impl Prediction {
    /// The answer that goes with these probabilities; of equal ones the first wins.
    #[must_use]
    pub fn new(probabilities: Vec<f32>) -> Self {
        let best =
            (0..probabilities.len()).fold(0, |best, i| if probabilities[i] > probabilities[best] { i } else { best });
        Self { class: Class(best), probabilities, features: None }
    }

    /// What a head says of the features.
    ///
    /// # Errors
    /// When one of them is not a finite number.
    pub fn of(head: &Head, features: &Features) -> Result<Self, NotFinite> {
        features.check_finite()?;
        Ok(Self::new(head.probabilities(features)))
    }
}

/// A loaded model. One thread owns it; many may prepare inputs for it.
#[derive(Debug)]
pub struct Predictor {
    preprocessor: Preprocessor,
    encoders: Encoders,
    head: Head,
    classes: ClassNames,
    keeps_features: bool,
}

impl Predictor {
    /// Loads the graphs, tokenizer and head of a bundle.
    ///
    /// # Errors
    /// [`ModelError`] naming the file that is not usable.
    pub fn load(bundle: &ModelBundle, runtime: &Runtime, options: &PredictorOptions) -> Result<Self, ModelError> {
        let (image, text) = bundle.graphs();
        let preprocess = bundle.preprocess();
        let encoders =
            Encoders::open_files(runtime, (&image, &text), preprocess, bundle.widths_and_ports(), options.threads)?;
        let preprocessor = Preprocessor::read(preprocess.clone(), &bundle.tokenizer(), options.limits)?;
        let (head, classes) = (bundle.head()?, bundle.manifest.classes.clone());
        Ok(Self { preprocessor, encoders, head, classes, keeps_features: false })
    }

    /// The same, whose predictions hold the features they were made from, some kilobytes each, or do not.
    #[must_use]
    pub fn keep_features(self, keep: bool) -> Self {
        Self { keeps_features: keep, ..self }
    }

    /// The preprocessing of this model, to be called from any thread.
    #[must_use]
    pub fn preprocessor(&self) -> &Preprocessor {
        &self.preprocessor
    }

    /// The classes in the order of the probabilities.
    #[must_use]
    pub fn classes(&self) -> &ClassNames {
        &self.classes
    }

    /// What explaining an answer asks apart.
    pub(crate) fn parts(&mut self) -> (&Preprocessor, &mut Encoders, &Head) {
        (&self.preprocessor, &mut self.encoders, &self.head)
    }

    /// The features of each input, in order.
    ///
    /// # Errors
    /// When an encoder fails.
    pub fn encode(&mut self, inputs: &[Prepared]) -> Result<Vec<Features>, ModelError> {
        let mut features = self.encoders.encode(inputs)?;
        inputs.iter().zip(&mut features).for_each(|(input, encoded)| input.share(encoded));
        Ok(features)
    }

    /// An answer for each input, in order.
    ///
    /// # Errors
    /// When an encoder fails, or gives no numbers for an input.
    pub fn predict(&mut self, inputs: &[Prepared]) -> Result<Vec<Prediction>, ModelError> {
        Ok(self.predict_finite(inputs)?.into_iter().collect::<Result<_, _>>()?)
    }

    /// An answer for each input for which the encoders give numbers, in order.
    ///
    /// # Errors
    /// When an encoder fails.
    pub fn predict_finite(&mut self, inputs: &[Prepared]) -> Result<Vec<Result<Prediction, NotFinite>>, ModelError> {
        let features = self.encode(inputs)?;
        Ok(features.into_iter().map(|features| answer(&self.head, features, self.keeps_features)).collect())
    }

    /// Gives the answer for each input, with its place, to `done` as soon as it is there, from any thread.
    ///
    /// # Errors
    /// When an encoder fails; what has no answer yet has none then.
    pub fn predict_each(
        &mut self,
        inputs: &[Prepared],
        done: &(impl Fn(usize, Result<Prediction, NotFinite>) + Sync),
    ) -> Result<(), ModelError> {
        let Self { encoders, head, keeps_features, .. } = self;
        let encoded = |at: usize, mut features: Features| {
            inputs[at].share(&mut features);
            done(at, answer(head, features, *keeps_features));
        };
        Ok(encoders.encode_each(inputs, &encoded)?)
    }
}

/// What the head says of the features.
fn answer(head: &Head, features: Features, keeps_features: bool) -> Result<Prediction, NotFinite> {
    let prediction = Prediction::of(head, &features)?;
    Ok(Prediction { features: keeps_features.then_some(features), ..prediction })
}
