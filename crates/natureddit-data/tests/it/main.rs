//! Collecting from a small Reddit of its own; labels and titles; DVC remotes.

mod collect;
mod datasets;
mod gallery;
mod labels;
mod mutated;
mod oauth;
mod photos;
mod pictures;
mod reddit;
mod remotes;
mod sources;
mod versioning;
