//! Encoders at work.

use std::path::Path;

use super::{BATCH_LEN, EncoderFiles, EncoderPair, Features, Ports};
use crate::error::ModelError;
use crate::preprocess::{Prepared, PreprocessConfig};
use crate::quantization::Precision;
use crate::runtime::{Feed, Graph, Runtime, RuntimeError};

/// The two encoders as ONNX files.
#[derive(Clone)]
pub(crate) struct EncoderGraphs {
    pub(crate) image: Vec<u8>,
    pub(crate) text: Vec<u8>,
}

/// The encoders, loaded.
#[derive(Debug)]
pub struct Encoders {
    image: Graph,
    text: Graph,
    image_size: usize,
    widths: Widths,
    ports: EncoderPorts,
}

/// How many features a photo and a title get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Widths {
    pub(crate) image: usize,
    pub(crate) text: usize,
}

/// How the values of both graphs are called.
#[derive(Clone, Debug)]
pub(crate) struct EncoderPorts {
    pub(crate) image: Ports,
    pub(crate) text: Ports,
}

impl Encoders {
    /// Builds both graphs from the weights in the form that `precision` says, and loads them to run on so many threads.
    ///
    /// # Errors
    /// [`ModelError`] when a file is not what it should be, the ranges are not those of the encoders, or the runtime refuses
    /// a graph.
    pub fn build(
        pair: &EncoderPair,
        files: &EncoderFiles,
        precision: &Precision,
        runtime: &Runtime,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let graphs = precision.graphs(pair, files)?;
        Ok(Self::open(runtime, &graphs, &pair.preprocess(), (pair.widths(), pair.ports()), threads)?)
    }

    pub(crate) fn open(
        runtime: &Runtime,
        graphs: &EncoderGraphs,
        preprocess: &PreprocessConfig,
        (widths, ports): (Widths, EncoderPorts),
        threads: usize,
    ) -> Result<Self, RuntimeError> {
        let image = runtime.open("image encoder", &graphs.image, threads)?;
        let text = runtime.open("text encoder", &graphs.text, threads)?;
        Ok(Self { image, text, image_size: preprocess.image.size as usize, widths, ports })
    }

    pub(crate) fn open_files(
        runtime: &Runtime,
        (image, text): (&Path, &Path),
        preprocess: &PreprocessConfig,
        (widths, ports): (Widths, EncoderPorts),
        threads: usize,
    ) -> Result<Self, RuntimeError> {
        let image = runtime.open_file(image, threads)?;
        let text = runtime.open_file(text, threads)?;
        Ok(Self { image, text, image_size: preprocess.image.size as usize, widths, ports })
    }

    /// The features of each prepared input, in order.
    ///
    /// # Errors
    /// When a graph cannot be run.
    pub fn encode(&mut self, inputs: &[Prepared]) -> Result<Vec<Features>, RuntimeError> {
        let mut features = vec![Features::default(); inputs.len()];
        let photos: Vec<usize> = (0..inputs.len()).filter(|&i| inputs[i].pixels.is_some()).collect();
        for batch in photos.chunks(BATCH_LEN) {
            for (&at, values) in batch.iter().zip(self.encode_photos(inputs, batch)?) {
                features[at].image = Some(values);
            }
        }
        let length = |i: usize| inputs[i].tokens.as_ref().map_or(0, Vec::len);
        let mut titles: Vec<usize> = (0..inputs.len()).filter(|&i| length(i) > 0).collect();
        // Titles of like length share a batch, so that little of it is padding.
        titles.sort_by_key(|&i| length(i));
        for batch in titles.chunks(BATCH_LEN) {
            for (&at, values) in batch.iter().zip(self.encode_titles(inputs, batch)?) {
                features[at].text = Some(values);
            }
        }
        Ok(features)
    }

    fn encode_photos(&mut self, inputs: &[Prepared], batch: &[usize]) -> Result<Vec<Vec<f32>>, RuntimeError> {
        let mut pixels = Vec::with_capacity(batch.len() * 3 * self.image_size * self.image_size);
        batch.iter().filter_map(|&i| inputs[i].pixels.as_ref()).for_each(|p| pixels.extend_from_slice(p));
        let shape = vec![batch.len(), 3, self.image_size, self.image_size];
        let Ports { inputs, output } = &self.ports.image;
        let feeds: Vec<_> = inputs.iter().map(|name| Feed::F32(name, shape.clone(), &pixels)).collect();
        let output = self.image.run(&feeds, output)?;
        rows(&output, batch.len(), self.widths.image)
    }

    fn encode_titles(&mut self, inputs: &[Prepared], batch: &[usize]) -> Result<Vec<Vec<f32>>, RuntimeError> {
        let tokens: Vec<&[i64]> = batch.iter().filter_map(|&i| inputs[i].tokens.as_deref()).collect();
        let length = tokens.iter().map(|t| t.len()).max().unwrap_or(0);
        let mut ids = vec![0; batch.len() * length];
        let mut mask = vec![0; batch.len() * length];
        for (row, title) in tokens.iter().enumerate() {
            let start = row * length;
            ids[start..start + title.len()].copy_from_slice(title);
            mask[start..start + title.len()].fill(1);
        }
        let shape = vec![batch.len(), length];
        // All tokens are of the first kind, where a graph asks for it.
        let kinds = vec![0; ids.len()];
        let Ports { inputs, output } = &self.ports.text;
        let values = [&ids, &mask, &kinds];
        let feeds: Vec<_> =
            inputs.iter().zip(values).map(|(name, values)| Feed::I64(name, shape.clone(), values)).collect();
        let output = self.text.run(&feeds, output)?;
        rows(&output, batch.len(), self.widths.text)
    }
}

/// The features of each input; a graph that gives others than it should is not cut to fit.
fn rows(output: &[f32], count: usize, width: usize) -> Result<Vec<Vec<f32>>, RuntimeError> {
    if width == 0 || output.len() != count * width {
        let reason = format!("{} values for {count} inputs with {width} features each", output.len());
        return Err(RuntimeError::Run(reason));
    }
    Ok(output.chunks_exact(width).map(<[f32]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_gives_what_was_promised() {
        assert_eq!(rows(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap(), [[1.0, 2.0], [3.0, 4.0]]);
        let error = rows(&[1.0, 2.0, 3.0, 4.0], 2, 3).unwrap_err();
        assert_eq!(error.to_string(), "inference failed: 4 values for 2 inputs with 3 features each");
        assert!(rows(&[], 2, 0).is_err());
    }
}
