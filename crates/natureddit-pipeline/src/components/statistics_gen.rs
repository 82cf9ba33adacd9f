//! StatisticsGen: what is in each split, and how bright its photos are.

mod brightness;

use std::path::PathBuf;
use std::sync::Arc;

use natureddit_core::fs::FsError;
use natureddit_image::ImageLimits;
use rayon::prelude::*;
use serde_json::{Value, json};

use self::brightness::{Brightness, UNREAD_FILE, UnreadPhotos};
use super::photo::first_readable;
use super::{read_json, write_json};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, OutsideChange, Port};
use crate::examples::Example;
use crate::examples::columns::{COLUMNS, Cell, Column, ColumnKind};
use crate::file_state::FileStates;
use crate::split::Split;
use crate::statistics::{
    Derivation, FeatureAccumulator, FeatureKind, SplitAccumulator, SplitStatistics, write_statistics,
};

/// Summarises the examples.
pub struct StatisticsGen {
    /// Where the photos are.
    pub images_dir: PathBuf,
    /// Where the brightness of photos is kept between runs: the folder of the embeddings.
    pub cache_dir: PathBuf,
    /// The largest photo.
    pub limits: ImageLimits,
}

impl Component for StatisticsGen {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "StatisticsGen",
                version: 1,
                inputs: &[Port::new("examples", ArtifactType::Examples)],
                outputs: &[Port::new("statistics", ArtifactType::ExampleStatistics)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        // Limits decide which photos have a brightness.
        json!({ "image_bytes_max": self.limits.bytes_max, "image_pixels_max": self.limits.pixels_max })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let read = |split| Ok((split, cx.examples.read(io.input("examples"), split)?));
        let splits: Vec<(Split, Arc<[Example]>)> = Split::ALL.into_iter().map(read).collect::<anyhow::Result<_>>()?;
        let mut brightness = Brightness::open(self)?;
        let unread = brightness.measure_missing(splits.iter().flat_map(|(_, examples)| examples.iter()), cx)?;
        splits.par_iter().try_for_each(|(split, examples)| {
            let statistics = summarise(examples, &brightness)?;
            anyhow::Ok(write_statistics(io.output("statistics"), *split, &statistics)?)
        })?;
        cx.set_property("statistics", "split_names", r#"["train", "eval", "test"]"#);
        write_json(&io.output("statistics").join(UNREAD_FILE), &unread)
    }

    /// A photo whose file could not be read has a brightness as soon as the file is what it should be.
    fn change_outside(&self, io: &ExecutionIo, _files: &mut FileStates) -> Option<OutsideChange> {
        let unread: UnreadPhotos = read_json(&io.output("statistics").join(UNREAD_FILE)).ok()??;
        let path = first_readable(unread, io.input("examples"), &self.images_dir, self.limits.bytes_max)?;
        Some(OutsideChange::Readable(path))
    }
}

/// The columns of the examples, and what is derived of them.
fn summarise(examples: &[Example], brightness: &Brightness<'_>) -> Result<SplitStatistics, FsError> {
    // Feature by feature, on all cores.
    let (columns, (length, brightness)) = rayon::join(
        || COLUMNS.par_iter().map(|column| summarise_column(examples, column)).collect::<Vec<_>>(),
        || rayon::join(|| summarise_title_length(examples), || summarise_brightness(examples, brightness)),
    );
    let features = columns.into_iter().chain([length, brightness?]).collect();
    Ok(SplitAccumulator { examples: examples.len() as u64, features }.statistics())
}

fn summarise_column(examples: &[Example], column: &Column) -> FeatureAccumulator {
    let mut feature = FeatureAccumulator::new(column.name, kind(column.kind));
    for example in examples {
        match (column.cell)(example) {
            Cell::Missing => feature.push_missing(),
            Cell::Int(number) => feature.push_number(number as f64),
            Cell::Text(text) => feature.push_text(text.as_bytes()),
        }
    }
    feature
}

fn summarise_title_length(examples: &[Example]) -> FeatureAccumulator {
    let mut feature = derived("title_length", FeatureKind::Int, "title", "characters of the title");
    for example in examples {
        let length = example.title.chars().count();
        push(&mut feature, (length > 0).then_some(length as f64));
    }
    feature
}

fn summarise_brightness(examples: &[Example], brightness: &Brightness<'_>) -> Result<FeatureAccumulator, FsError> {
    let description = "mean brightness of the photo, 0 (black) to 255 (white)";
    let mut feature = derived("brightness", FeatureKind::Float, "img_name", description);
    for example in examples {
        push(&mut feature, brightness.of(example)?.map(f64::from));
    }
    Ok(feature)
}

fn derived(name: &str, kind: FeatureKind, source: &str, description: &str) -> FeatureAccumulator {
    let (deriver, description) = ("natureddit".to_owned(), description.to_owned());
    FeatureAccumulator::new(name, kind).derived(Derivation { deriver, description, sources: vec![source.to_owned()] })
}

fn push(feature: &mut FeatureAccumulator, value: Option<f64>) {
    match value {
        Some(value) => feature.push_number(value),
        None => feature.push_missing(),
    }
}

fn kind(kind: ColumnKind) -> FeatureKind {
    match kind {
        ColumnKind::Text => FeatureKind::String,
        ColumnKind::Int => FeatureKind::Int,
    }
}

#[cfg(test)]
mod tests;
