//! A simulated Reddit on loopback: seeded corpus, drawn pictures, truth.
//!
//! It serves posts in the shape of Pushshift and their photos under one port, each host under its own path:
//! `/pullpush` stands for `api.pullpush.io` and `/media/{host}` for the picture hosts. Addresses inside the posts
//! look real (`https://i.redd.it/x.jpg`); a client reaches them through [`Sandbox::host_map`]. What a correct
//! client must make of the posts is the [`Truth`].
//!
//! What is absent: nothing here knows the collector it tests, no code is shared with it, and no address but
//! 127.0.0.1 is ever listened on.

mod caption;
mod config;
mod corpus;
mod fault;
mod log;
mod media;
mod picture;
mod scene;
mod search;
mod server;
mod truth;
mod wire;

pub use config::{AfterMode, Fault, FaultAction, SUBREDDITS, SandboxConfig};
pub use corpus::CorpusError;
pub use log::LogEntry;
pub use server::{Sandbox, StartError};
pub use truth::{DropReason, Outcome, Truth, TruthPost, Window};
