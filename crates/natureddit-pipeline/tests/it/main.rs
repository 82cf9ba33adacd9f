//! The runner on small components that count how often they run, and ExampleGen on a dataset on disk.

mod collecting;
mod conformance;
mod example_gen;
mod failures;
mod parallel;
mod postgres;
mod project;
mod reasons;
mod records;
mod tracking;
