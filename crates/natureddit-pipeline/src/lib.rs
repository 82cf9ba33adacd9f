//! The pipeline: artifacts, components, runner, cache, metadata.
//!
//! A [`Component`] reads its input folders and writes its output folders; a [`Graph`] says which output is whose
//! input; the [`Runner`] runs what is stale, in order, and writes down in the [`Metadata`] store what it did.
//!
//! What is absent: no component opens the metadata store, no cache key holds an id, a path or a time, and nothing here
//! opens a socket.

pub mod anomalies;
pub mod artifact;
pub mod cache;
pub mod collect;
pub mod component;
pub mod components;
pub mod cross_validation;
pub mod embeddings;
mod encoder_form;
pub mod examples;
mod feature_shards;
pub mod file_state;
pub mod graph;
pub mod grouping;
pub mod label_quality;
pub mod leakage;
pub mod metadata;
pub mod runner;
pub mod schema;
pub mod setting_names;
pub mod shortcuts;
pub mod split;
pub mod statistics;
pub mod svg;
pub mod tracking;
pub mod training_graph;
pub mod unlabelled;
pub mod wire;

pub use artifact::{ArtifactId, ArtifactType, ExecutionId, PropertyValue};
pub use cache::{StaleReason, cache_key};
pub use component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, OutsideChange, Port};
pub use examples::{Example, read_split};
pub use file_state::FileStates;
pub use graph::{External, Graph, Input, Node};
pub use metadata::{Metadata, MetadataLocation};
pub use runner::{
    ComponentFailure, ComponentReport, Outcome, Outlook, RunError, RunEvent, RunOptions, RunPlan, RunReport, Runner,
};
pub use split::Split;
