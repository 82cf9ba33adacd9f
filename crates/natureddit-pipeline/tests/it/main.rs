//! The runner on small components that count how often they run, and ExampleGen on a dataset on disk.

mod example_gen;
mod failures;
mod project;
mod reasons;
mod records;
