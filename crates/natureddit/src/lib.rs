//! The whole machine-learning loop for Reddit posts, in one program.
//!
//! [`cli`] holds one file a command, [`config`] the settings. What is absent: nothing outside [`config`] reads the
//! environment, and no command computes anything itself that another program could want from a library.

pub mod cli;
pub mod config;
mod npz;
mod wiring;
