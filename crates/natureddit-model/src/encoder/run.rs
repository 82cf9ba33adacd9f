//! Encoders at work.

use std::path::Path;

use super::{EncoderFiles, EncoderPair, Features, Ports};
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
    /// Each goes through the graphs alone: how many rows are multiplied at once, and padding, decide the order in which ONNX
    /// Runtime adds, and so the last bits. On one thread a batch is no faster either.
    ///
    /// # Errors
    /// When a graph cannot be run.
    pub fn encode(&mut self, inputs: &[Prepared]) -> Result<Vec<Features>, RuntimeError> {
        inputs.iter().map(|input| self.encode_one(input)).collect()
    }

    /// As [`Encoders::encode`].
    pub(crate) fn encode_one(&mut self, input: &Prepared) -> Result<Features, RuntimeError> {
        let image = input.pixels.as_ref().map(|pixels| self.encode_photo(pixels)).transpose()?;
        let tokens = input.tokens.as_ref().filter(|tokens| !tokens.is_empty());
        let text = tokens.map(|tokens| self.encode_title(tokens)).transpose()?;
        Ok(Features { image, text })
    }

    fn encode_photo(&mut self, pixels: &[f32]) -> Result<Vec<f32>, RuntimeError> {
        let shape = vec![1, 3, self.image_size, self.image_size];
        let Ports { inputs, output } = &self.ports.image;
        let feeds: Vec<_> = inputs.iter().map(|name| Feed::F32(name, shape.clone(), pixels)).collect();
        whole(self.image.run(&feeds, output)?, self.widths.image)
    }

    fn encode_title(&mut self, tokens: &[i64]) -> Result<Vec<f32>, RuntimeError> {
        let mask = vec![1; tokens.len()];
        // All tokens are of the first kind, where a graph asks for it.
        let kinds = vec![0; tokens.len()];
        let Ports { inputs, output } = &self.ports.text;
        let values = [tokens, &mask, &kinds];
        let feeds: Vec<_> =
            inputs.iter().zip(values).map(|(name, values)| Feed::I64(name, vec![1, tokens.len()], values)).collect();
        whole(self.text.run(&feeds, output)?, self.widths.text)
    }
}

/// The features of one input; a graph that gives others than it should is not cut to fit.
fn whole(output: Vec<f32>, width: usize) -> Result<Vec<f32>, RuntimeError> {
    if width == 0 || output.len() != width {
        return Err(RuntimeError::Run(format!("{} features and not {width}", output.len())));
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_gives_what_was_promised() {
        assert_eq!(whole(vec![1.0, 2.0], 2).unwrap(), [1.0, 2.0]);
        let error = whole(vec![1.0, 2.0, 3.0, 4.0], 2).unwrap_err();
        assert_eq!(error.to_string(), "inference failed: 4 features and not 2");
        assert!(whole(Vec::new(), 0).is_err());
    }
}
