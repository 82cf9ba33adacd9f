//! One picture file of every kind that a collector meets, and what a careful reader makes of it.

mod files;
mod jpeg;
mod png;

use serde::Serialize;

pub(crate) use files::removed;

/// A picture file of some kind. A simulator serves it as `https://i.redd.it/zoo-{name}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZooFile {
    /// What it is, with an extension: `exif-6.jpg`.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// What a careful reader makes of it.
    pub expected: ZooExpected,
}

/// What a careful reader makes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ZooExpected {
    /// A photo of this size, seen upright.
    Photo {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// Several pictures in one file.
    Animated,
    /// The data ends too early.
    Truncated,
    /// A header that promises more pixels than anyone should decode.
    TooManyPixels,
    /// No picture at all, whatever its name.
    NotAPicture,
    /// No byte at all.
    Empty,
}

/// Every file of the zoo, always in the same order.
#[must_use]
pub fn zoo() -> Vec<ZooFile> {
    files::all()
}

/// The place of the file of that name.
pub(crate) fn index_of(name: &str) -> Option<usize> {
    files::all().iter().position(|file| file.name == name)
}
