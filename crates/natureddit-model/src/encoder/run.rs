//! Encoders at work.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{EncoderFiles, EncoderPair, Features, Ports};
use crate::error::ModelError;
use crate::parallel::in_parallel;
use crate::preprocess::{Prepared, PreprocessConfig};
use crate::quantization::Precision;
use crate::runtime::{Feed, Graph, Runtime, RuntimeError};

/// The two encoders as ONNX files.
#[derive(Clone)]
pub(crate) struct EncoderGraphs {
    pub(crate) image: Vec<u8>,
    pub(crate) text: Vec<u8>,
}

/// The encoders, loaded: a lane for each thread. Graphs that run on one thread each do more in the same time than one that
/// spreads each operator over all threads, and a photo and its title do not wait for each other.
#[derive(Debug)]
pub struct Encoders {
    lanes: Vec<Lane>,
    shape: Shape,
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
        answers: (Widths, EncoderPorts),
        threads: usize,
    ) -> Result<Self, RuntimeError> {
        let image = || runtime.open("image encoder", &graphs.image);
        let text = || runtime.open("text encoder", &graphs.text);
        Self::with_lanes(&image, &text, Shape::new(preprocess, answers), threads)
    }

    pub(crate) fn open_files(
        runtime: &Runtime,
        (image, text): (&Path, &Path),
        preprocess: &PreprocessConfig,
        answers: (Widths, EncoderPorts),
        threads: usize,
    ) -> Result<Self, RuntimeError> {
        let (image, text) = (|| runtime.open_file(image), || runtime.open_file(text));
        Self::with_lanes(&image, &text, Shape::new(preprocess, answers), threads)
    }

    fn with_lanes(
        image: &(impl Fn() -> Result<Graph, RuntimeError> + Sync),
        text: &(impl Fn() -> Result<Graph, RuntimeError> + Sync),
        shape: Shape,
        threads: usize,
    ) -> Result<Self, RuntimeError> {
        let open = |number: usize| {
            let has_text = number.is_multiple_of(2);
            move || Ok::<_, RuntimeError>(Lane { image: image()?, text: has_text.then(text).transpose()? })
        };
        let lanes = in_parallel((0..threads.max(1)).map(open)).into_iter().collect::<Result<_, _>>()?;
        Ok(Self { lanes, shape })
    }

    /// The features of each prepared input, in order.
    ///
    /// # Errors
    /// When a graph cannot be run.
    pub fn encode(&mut self, inputs: &[Prepared]) -> Result<Vec<Features>, RuntimeError> {
        let features = Mutex::new(vec![Features::default(); inputs.len()]);
        self.encode_each(inputs, &|at, encoded| locked(&features)[at] = encoded)?;
        Ok(features.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives the features of each prepared input, with its place, to `done` as soon as they are there, from any thread.
    ///
    /// Each part goes through its graph alone: how many rows are multiplied at once, and padding, decide the order in which
    /// ONNX Runtime adds, and so the last bits. On one thread a batch is no faster either.
    ///
    /// # Errors
    /// When a graph cannot be run; what has no features yet has none then.
    pub(crate) fn encode_each(
        &mut self,
        inputs: &[Prepared],
        done: &(impl Fn(usize, Features) + Sync),
    ) -> Result<(), RuntimeError> {
        let Self { lanes, shape } = self;
        let (shape, parts, unfinished) = (&*shape, &Parts::of(inputs), &Unfinished::new(inputs, done));
        let work = |lane| move || work_off(lane, parts, shape, unfinished);
        in_parallel(lanes.iter_mut().take(parts.count().max(1)).map(work)).into_iter().collect()
    }
}

/// What one thread works with.
#[derive(Debug)]
struct Lane {
    image: Graph,
    /// In every other lane: titles are the smaller part of the work, and their encoder has most of the weights.
    text: Option<Graph>,
}

/// What all lanes have in common.
#[derive(Debug)]
struct Shape {
    image_size: usize,
    widths: Widths,
    ports: EncoderPorts,
}

impl Shape {
    fn new(preprocess: &PreprocessConfig, (widths, ports): (Widths, EncoderPorts)) -> Self {
        Self { image_size: preprocess.image.size as usize, widths, ports }
    }

    fn photo(&self, graph: &mut Graph, pixels: &[f32]) -> Result<Vec<f32>, RuntimeError> {
        let shape = vec![1, 3, self.image_size, self.image_size];
        let Ports { inputs, output } = &self.ports.image;
        let feeds: Vec<_> = inputs.iter().map(|name| Feed::F32(name, shape.clone(), pixels)).collect();
        whole(graph.run(&feeds, output)?, self.widths.image)
    }

    fn title(&self, graph: &mut Graph, tokens: &[i64]) -> Result<Vec<f32>, RuntimeError> {
        let mask = vec![1; tokens.len()];
        // All tokens are of the first kind, where a graph asks for it.
        let kinds = vec![0; tokens.len()];
        let Ports { inputs, output } = &self.ports.text;
        let values = [tokens, &mask, &kinds];
        let feeds: Vec<_> =
            inputs.iter().zip(values).map(|(name, values)| Feed::I64(name, vec![1, tokens.len()], values)).collect();
        whole(graph.run(&feeds, output)?, self.widths.text)
    }
}

/// The photos and titles among some inputs, which lanes take one after the other.
struct Parts<'a> {
    titles: Taken<'a, [i64]>,
    photos: Taken<'a, [f32]>,
}

impl<'a> Parts<'a> {
    fn of(inputs: &'a [Prepared]) -> Self {
        let titles = inputs.iter().enumerate().filter_map(|(at, input)| Some((at, title_of(input)?)));
        let photos = inputs.iter().enumerate().filter_map(|(at, input)| Some((at, photo_of(input)?)));
        Self { titles: Taken::new(titles.collect()), photos: Taken::new(photos.collect()) }
    }

    fn count(&self) -> usize {
        self.titles.parts.len() + self.photos.parts.len()
    }
}

fn title_of(input: &Prepared) -> Option<&[i64]> {
    input.tokens.as_deref().filter(|tokens| !tokens.is_empty())
}

fn photo_of(input: &Prepared) -> Option<&[f32]> {
    input.pixels.as_deref()
}

/// A part of each of some inputs with the place of the input, each given away once.
struct Taken<'a, T: ?Sized> {
    parts: Vec<(usize, &'a T)>,
    next: AtomicUsize,
}

impl<'a, T: ?Sized> Taken<'a, T> {
    fn new(parts: Vec<(usize, &'a T)>) -> Self {
        Self { parts, next: AtomicUsize::new(0) }
    }

    fn take(&self) -> Option<(usize, &'a T)> {
        self.parts.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

/// Inputs of which a part may still be missing; each is given away when none is.
struct Unfinished<'a, Done> {
    inputs: Vec<Mutex<InParts>>,
    done: &'a Done,
}

/// The features of an input that are there, and how many of its parts have none yet.
struct InParts {
    features: Features,
    missing: usize,
}

impl<'a, Done: Fn(usize, Features) + Sync> Unfinished<'a, Done> {
    /// An input without a title and a photo is done at once.
    fn new(inputs: &[Prepared], done: &'a Done) -> Self {
        let in_parts = |input: &Prepared| {
            let missing = usize::from(title_of(input).is_some()) + usize::from(photo_of(input).is_some());
            InParts { features: Features::default(), missing }
        };
        let inputs: Vec<_> = inputs.iter().map(in_parts).collect();
        let nothing = inputs.iter().enumerate().filter(|(_, input)| input.missing == 0);
        nothing.for_each(|(at, _)| done(at, Features::default()));
        Self { inputs: inputs.into_iter().map(Mutex::new).collect(), done }
    }

    /// A part of the input at this place has its features.
    fn add(&self, at: usize, part: impl FnOnce(&mut Features)) {
        let mut input = locked(&self.inputs[at]);
        part(&mut input.features);
        input.missing -= 1;
        if input.missing == 0 {
            let features = std::mem::take(&mut input.features);
            drop(input);
            (self.done)(at, features);
        }
    }
}

/// What a lane left when it panicked is given on: the panic itself goes to the caller.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes parts until none is left: first those that not every lane can take.
fn work_off(
    lane: &mut Lane,
    parts: &Parts<'_>,
    shape: &Shape,
    unfinished: &Unfinished<'_, impl Fn(usize, Features) + Sync>,
) -> Result<(), RuntimeError> {
    if let Some(graph) = &mut lane.text {
        while let Some((at, tokens)) = parts.titles.take() {
            let title = shape.title(graph, tokens)?;
            unfinished.add(at, |features| features.text = Some(title));
        }
    }
    while let Some((at, pixels)) = parts.photos.take() {
        let photo = shape.photo(&mut lane.image, pixels)?;
        unfinished.add(at, |features| features.image = Some(photo));
    }
    Ok(())
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
