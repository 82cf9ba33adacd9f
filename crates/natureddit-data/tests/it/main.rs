//! Collecting from a small Reddit of its own; labels and titles.

mod collect;
mod labels;
mod pictures;
mod reddit;
