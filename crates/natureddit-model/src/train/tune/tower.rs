//! The encoders as they learn, and what goes into the part of them that does.

use std::borrow::Cow;

use burn::tensor::{Device, Tensor, TensorData};
use natureddit_core::Progress;

use super::lanes::in_order;
use super::{TuneError, TuneSetting, TuneSplit, TunedLayers};
use crate::encoder::Ports;
use crate::onnx::{Floats, Integers, Program, ProgramValue};
use crate::preprocess::Prepared;
use crate::runtime::{Feed, Graph, RuntimeError};

const IMAGE: &str = "image encoder";
const TEXT: &str = "text encoder";

/// An encoder.
#[derive(Debug)]
pub(super) struct Tower {
    pub(super) encoder: &'static str,
    pub(super) program: Program,
    /// How many features it gives.
    width: usize,
    /// How its inputs are called.
    ports: Ports,
}

/// Both.
#[derive(Debug)]
pub(super) struct Towers {
    pub(super) image: Tower,
    pub(super) text: Tower,
    /// The side of a photo, in pixels.
    side: usize,
}

impl Towers {
    pub(super) fn build(setting: &TuneSetting<'_>) -> Result<Self, TuneError> {
        let TuneSetting { encoders, files, tune, .. } = *setting;
        let (widths, ports) = (encoders.widths(), encoders.ports());
        let tower = |encoder, last: Option<String>, onnx: &dyn Fn() -> _, width, ports| {
            let last = last.ok_or(TuneError::Foreign(encoder))?;
            let block = (tune.layers == TunedLayers::LastBlocks).then_some(last.as_str());
            let onnx: Vec<u8> = onnx()?;
            let program = Program::read(&onnx, block).map_err(|reason| TuneError::Graph { encoder, reason })?;
            Ok::<_, TuneError>(Tower { encoder, program, width, ports })
        };
        let (image, text) = (&encoders.image, &encoders.text);
        Ok(Self {
            image: tower(IMAGE, image.last_block(), &|| image.build(files), widths.image, ports.image)?,
            text: tower(TEXT, text.last_block(), &|| text.build(files), widths.text, ports.text)?,
            side: encoders.preprocess().image.size as usize,
        })
    }
}

/// Numbers and their shape.
#[derive(Clone, Debug)]
pub(super) struct Shaped {
    /// Of one row, without the batch.
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// What goes into the part that learns, of a title.
#[derive(Clone, Debug)]
pub(super) struct Title {
    /// The ids of its tokens.
    ids: Vec<i64>,
    /// Where that part begins within the encoder, what is calculated up to there: [tokens, width].
    vectors: Option<Shaped>,
}

/// What goes into the part that learns, of a row.
#[derive(Clone, Debug, Default)]
pub(super) struct RowInput {
    pub(super) photo: Option<Shaped>,
    pub(super) title: Option<Title>,
}

impl Tower {
    /// The features of some photos: [photos, features].
    pub(super) fn photos(
        &self,
        photos: &[&Shaped],
        parameters: &[Tensor<4>],
        device: &Device,
    ) -> Result<Tensor<2>, TuneError> {
        let shape = photos.first().map_or([0; 3], |first| three(&first.shape));
        let values: Vec<f32> = photos.iter().flat_map(|photo| photo.values.iter().copied()).collect();
        let [channels, height, width] = shape;
        let data = TensorData::new(values, [photos.len(), channels, height, width]);
        let pixels = ProgramValue::from(Floats::new(Tensor::from_data(data, device), 4));
        let name = self.program.cut().unwrap_or_else(|| &self.ports.inputs[0]);
        self.run(vec![(name, pixels)], photos.len(), parameters, device)
    }

    /// The features of some titles: [titles, features].
    pub(super) fn titles(
        &self,
        titles: &[&Title],
        parameters: &[Tensor<4>],
        device: &Device,
    ) -> Result<Tensor<2>, TuneError> {
        let length = titles.iter().map(|title| title.ids.len()).max().unwrap_or(0);
        let shape = vec![titles.len(), length];
        let padded = |value: &dyn Fn(&Title, usize) -> i64| {
            let of_title = |title| (0..length).map(move |at| value(title, at));
            let values = titles.iter().copied().flat_map(of_title).collect();
            ProgramValue::Integers(Integers { shape: shape.clone(), values })
        };
        let mut inputs: Vec<(&str, ProgramValue)> = vec![
            (&self.ports.inputs[0], padded(&|title, at| title.ids.get(at).copied().unwrap_or(0))),
            (&self.ports.inputs[1], padded(&|title, at| i64::from(at < title.ids.len()))),
        ];
        if let Some(cut) = self.program.cut() {
            let vectors: Vec<&Shaped> = titles.iter().filter_map(|title| title.vectors.as_ref()).collect();
            let width = vectors.first().and_then(|first| first.shape.last()).copied().unwrap_or(0);
            let mut values = Vec::with_capacity(titles.len() * length * width);
            for (row, shaped) in vectors.iter().enumerate() {
                values.extend_from_slice(&shaped.values);
                values.resize((row + 1) * length * width, 0.0);
            }
            let tensor = Tensor::from_data(TensorData::new(values, [1, titles.len(), length, width]), device);
            inputs.push((cut, ProgramValue::from(Floats::new(tensor, 3))));
        }
        self.run(inputs, titles.len(), parameters, device)
    }

    fn run(
        &self,
        inputs: Vec<(&str, ProgramValue)>,
        rows: usize,
        parameters: &[Tensor<4>],
        device: &Device,
    ) -> Result<Tensor<2>, TuneError> {
        let failed = |reason| TuneError::Graph { encoder: self.encoder, reason };
        let output = self.program.run(inputs, parameters, device).map_err(failed)?;
        let found = output.tensor.dims();
        match found.iter().product::<usize>() == rows * self.width {
            true => Ok(output.tensor.reshape([rows, self.width])),
            false => Err(failed(format!("it gives {found:?} for {rows} inputs with {} features each", self.width))),
        }
    }
}

fn three(shape: &[usize]) -> [usize; 3] {
    <[usize; 3]>::try_from(shape).unwrap_or([0; 3])
}

/// What goes into the part that learns, of all rows: kept where that part is small, else made anew whenever it is asked for.
pub(super) struct Inputs<'a> {
    pub(super) splits: [TuneSplit<'a>; 2],
    kept: Option<[Vec<RowInput>; 2]>,
    side: usize,
}

/// The names of the splits, in their order.
pub(super) const SPLITS: [&str; 2] = ["train", "eval"];

/// The parts before those that learn, loaded.
struct Stems {
    image: Graph,
    text: Graph,
}

impl<'a> Inputs<'a> {
    /// Calculates what comes before the part that learns, of every row, where there is something. Each row runs alone and on
    /// one thread, so that no neighbour has a part in it.
    pub(super) fn gather(
        towers: &Towers,
        splits: [TuneSplit<'a>; 2],
        setting: &TuneSetting<'_>,
        progress: &Progress,
    ) -> Result<Self, TuneError> {
        let inputs = Self { splits, kept: None, side: towers.side };
        let (Some(image), Some(text)) = (towers.image.program.stem(), towers.text.program.stem()) else {
            return Ok(inputs);
        };
        let open = |_| {
            let open = |name, onnx: &[u8]| setting.runtime.open(name, onnx);
            Ok::<_, RuntimeError>(Stems { image: open(IMAGE, &image)?, text: open(TEXT, &text)? })
        };
        progress.start("calculating up to the last blocks", Some(splits.iter().map(|s| s.samples.len() as u64).sum()));
        let gather = |split: usize| {
            let lanes = (0..setting.threads.max(1)).map(open).collect::<Result<Vec<_>, _>>()?;
            in_order(lanes, splits[split].samples.len(), |stems, row| {
                let input = inputs.made(split, row)?;
                progress.advance(1);
                Ok::<_, TuneError>(stems.run(input, towers)?)
            })
        };
        let kept = Some([gather(0)?, gather(1)?]);
        progress.finish();
        Ok(Self { kept, ..inputs })
    }

    /// That of a row.
    pub(super) fn row(&self, split: usize, row: usize) -> Result<Cow<'_, RowInput>, TuneError> {
        match &self.kept {
            Some(kept) => Ok(Cow::Borrowed(&kept[split][row])),
            None => self.made(split, row).map(Cow::Owned),
        }
    }

    /// A row as the encoders take it, the parts of which there are features.
    pub(super) fn prepared(&self, split: usize, row: usize) -> Result<Prepared, TuneError> {
        let TuneSplit { samples, prepare } = self.splits[split];
        let name = SPLITS[split];
        let Prepared { pixels, tokens, .. } =
            prepare(row).map_err(|source| TuneError::Row { split: name, row, source })?;
        let features = samples[row].features;
        let missing = |part| TuneError::Missing { split: name, row, part };
        let tokens = tokens.filter(|tokens| !tokens.is_empty());
        let pixels = features.image.as_ref().map(|_| pixels.ok_or_else(|| missing("photo"))).transpose()?;
        let tokens = features.text.as_ref().map(|_| tokens.ok_or_else(|| missing("title"))).transpose()?;
        Ok(Prepared::new(pixels, tokens))
    }

    fn made(&self, split: usize, row: usize) -> Result<RowInput, TuneError> {
        let Prepared { pixels, tokens, .. } = self.prepared(split, row)?;
        Ok(RowInput {
            photo: pixels.map(|values| Shaped { shape: vec![3, self.side, self.side], values }),
            title: tokens.map(|ids| Title { ids, vectors: None }),
        })
    }
}

impl Stems {
    fn run(&mut self, input: RowInput, towers: &Towers) -> Result<RowInput, RuntimeError> {
        let mut made = RowInput::default();
        if let Some(Shaped { shape, values }) = input.photo {
            let shape = [&[1], shape.as_slice()].concat();
            let ran = self.image.run_shaped(&[Feed::F32(&towers.image.ports.inputs[0], shape, &values)])?;
            made.photo = Some(without_batch(ran));
        }
        if let Some(Title { ids, .. }) = input.title {
            let (shape, mask) = (vec![1, ids.len()], vec![1; ids.len()]);
            let Ports { inputs, .. } = &towers.text.ports;
            let feeds = [Feed::I64(&inputs[0], shape.clone(), &ids), Feed::I64(&inputs[1], shape, &mask)];
            let vectors = Some(without_batch(self.text.run_shaped(&feeds)?));
            made.title = Some(Title { ids, vectors });
        }
        Ok(made)
    }
}

fn without_batch((shape, values): (Vec<usize>, Vec<f32>)) -> Shaped {
    Shaped { shape: shape.get(1..).unwrap_or_default().to_vec(), values }
}
