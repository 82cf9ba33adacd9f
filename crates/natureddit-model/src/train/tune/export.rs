//! Tuned encoders as ONNX graphs.

use natureddit_core::{ContentHash, ContentHasher};

use super::lanes::in_order;
use super::learner::{COMPARED, EVAL, TRAIN, TuneLearner};
use super::{TuneError, TuneSetting, Tuned};
use crate::encoder::{EncoderGraphs, EncoderPair, Encoders, Features};
use crate::train::{Sample, temperature};

/// Encoders that were tuned, as ONNX graphs.
#[derive(Clone)]
pub struct TunedEncoders(pub(crate) EncoderGraphs);

impl TunedEncoders {
    /// What decides the features of a photo, as [`EncoderPair::image_hash`] does for encoders as they were published.
    #[must_use]
    pub fn image_hash(&self, pair: &EncoderPair) -> ContentHash {
        hash(pair.image_hash(), &self.0.image)
    }

    /// What decides the features of a title.
    #[must_use]
    pub fn text_hash(&self, pair: &EncoderPair) -> ContentHash {
        hash(pair.text_hash(), &self.0.text)
    }
}

impl std::fmt::Debug for TunedEncoders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TunedEncoders").field(&self.0.image.len()).field(&self.0.text.len()).finish()
    }
}

fn hash(before: ContentHash, graph: &[u8]) -> ContentHash {
    let mut hasher = ContentHasher::new();
    hasher.part("tuned").part(before.as_bytes()).part(ContentHash::of(graph).as_bytes()).finish()
}

impl TuneLearner<'_> {
    /// Writes the parameters back into the graphs, makes sure that ONNX Runtime calculates with them what burn did, and fits the
    /// temperature by what ONNX Runtime says of the eval rows, as it is what serves.
    pub(super) fn export(
        &mut self,
        parameters: &[Vec<f32>],
        setting: &TuneSetting<'_>,
        tuned: &mut Tuned,
    ) -> Result<(), TuneError> {
        let (encoders, head) = parameters.split_at(self.head_begins(parameters));
        let (image, text) = encoders.split_at(self.towers.image.program.parameters().len());
        let graphs =
            EncoderGraphs { image: self.towers.image.program.write(image), text: self.towers.text.program.write(text) };
        let split = if self.samples(EVAL).is_empty() { TRAIN } else { EVAL };
        let rows = if split == EVAL { self.samples(EVAL).len() } else { self.samples(TRAIN).len().min(COMPARED) };
        let served = self.served(split, rows, &graphs, setting)?;
        let learnt = self.features(split, rows.min(COMPARED), parameters)?;
        tuned.difference_after = self.compare(served.iter().zip(&learnt))?;
        tuned.head = self.network.head(head, self.rows);
        if split == EVAL {
            let samples = self.samples(EVAL).iter().zip(&served);
            let samples: Vec<Sample<'_>> = samples.map(|(sample, features)| Sample { features, ..*sample }).collect();
            tuned.calibration = temperature::calibrate(&tuned.head, &samples);
            tuned.head.temperature = tuned.calibration.map_or(1.0, |fitted| fitted.temperature);
        }
        tuned.encoders = Some(TunedEncoders(graphs));
        Ok(())
    }

    /// The features of the first rows of a split as ONNX Runtime calculates them, each alone.
    fn served(
        &self,
        split: usize,
        rows: usize,
        graphs: &EncoderGraphs,
        setting: &TuneSetting<'_>,
    ) -> Result<Vec<Features>, TuneError> {
        let TuneSetting { encoders: pair, runtime, threads, .. } = *setting;
        let open = |_| Encoders::open(runtime, graphs, &pair.preprocess(), (pair.widths(), pair.ports()), 1);
        let lanes = (0..threads.max(1)).map(open).collect::<Result<Vec<_>, _>>()?;
        in_order(lanes, rows, |encoders, row| {
            let mut features = encoders.encode(&[self.inputs.prepared(split, row)?])?;
            Ok(features.pop().unwrap_or_default())
        })
    }
}
