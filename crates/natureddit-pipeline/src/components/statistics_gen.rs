//! StatisticsGen: what is in each split, and how bright its photos are.

mod brightness;

use std::path::PathBuf;

use natureddit_core::fs::FsError;
use natureddit_image::ImageLimits;
use rayon::prelude::*;
use serde_json::{Value, json};

use self::brightness::{Brightness, UNREAD_FILE, UnreadPhotos};
use super::photo::first_readable;
use super::{read_json, write_json};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, OutsideChange, Port};
use crate::examples::columns::{COLUMNS, Cell, ColumnKind, cells};
use crate::examples::{Example, read_split};
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
        let splits: Vec<(Split, Vec<Example>)> = Split::ALL
            .into_iter()
            .map(|split| Ok((split, read_split(io.input("examples"), split)?)))
            .collect::<anyhow::Result<_>>()?;
        let mut brightness = Brightness::open(self)?;
        let unread = brightness.measure_missing(splits.iter().flat_map(|(_, examples)| examples), cx)?;
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

/// What is derived of examples: its name, its kind, of which column, and in words.
const DERIVED: [(&str, FeatureKind, &str, &str); 2] = [
    ("title_length", FeatureKind::Int, "title", "characters of the title"),
    ("brightness", FeatureKind::Float, "img_name", "mean brightness of the photo, 0 (black) to 255 (white)"),
];

/// The columns of the examples, and what is derived of them.
fn summarise(examples: &[Example], brightness: &Brightness<'_>) -> Result<SplitStatistics, FsError> {
    let mut columns = COLUMNS.map(|column| FeatureAccumulator::new(column.name, kind(column.kind)));
    let mut derived = DERIVED.map(|(name, kind, source, description)| {
        FeatureAccumulator::new(name, kind).derived(Derivation {
            deriver: "natureddit".to_owned(),
            description: description.to_owned(),
            sources: vec![source.to_owned()],
        })
    });
    for example in examples {
        for (feature, cell) in columns.iter_mut().zip(cells(example)) {
            match cell {
                Cell::Missing => feature.push_missing(),
                Cell::Int(number) => feature.push_number(number as f64),
                Cell::Text(text) => feature.push_text(text.as_bytes()),
            }
        }
        let length = example.title.chars().count();
        let values = [(length > 0).then_some(length as f64), brightness.of(example)?.map(f64::from)];
        for (feature, value) in derived.iter_mut().zip(values) {
            match value {
                Some(value) => feature.push_number(value),
                None => feature.push_missing(),
            }
        }
    }
    let features = columns.into_iter().chain(derived).collect();
    Ok(SplitAccumulator { examples: examples.len() as u64, features }.statistics())
}

fn kind(kind: ColumnKind) -> FeatureKind {
    match kind {
        ColumnKind::Text => FeatureKind::String,
        ColumnKind::Int => FeatureKind::Int,
    }
}

#[cfg(test)]
mod tests;
