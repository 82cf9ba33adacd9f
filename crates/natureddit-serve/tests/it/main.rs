//! The server from outside: requests over real HTTPS, to models whose answers and moments the tests
//! decide, and to real ones.

mod bundles;
mod certificates;
mod description;
mod explanations;
mod fixture;
mod kserve;
mod limits;
mod management;
mod metrics;
mod mutated;
mod prediction_log;
mod predictions;
mod remote;
mod service;
mod strict;
mod torchserve;
mod traces;
