//! A simulated Reddit on loopback: seeded corpus, drawn pictures, truth.
//!
//! It serves posts as Reddit's own API, Pushshift and Arctic Shift give them, and their photos, under one port, each
//! host under its own path: `/` stands for `oauth.reddit.com` and `www.reddit.com`, `/pullpush` for `api.pullpush.io`,
//! `/arctic` for `arctic-shift.photon-reddit.com` and `/media/{host}` for the picture hosts. Addresses inside the posts
//! look real (`https://i.redd.it/x.jpg`); a client reaches them through [`Sandbox::host_map`]. What a correct
//! client must make of the posts is the [`Truth`].
//!
//! What goes wrong is data, a [`Script`] of faults and of what becomes of posts, which the configuration names or
//! which is posted to `/_sim/script`. Time is simulated: it follows a clock that a test may share with its client, and
//! `/_sim/clock?advance=SECONDS` moves it on. `/_sim/log` tells who asked for what, `/_sim/truth.json` and
//! `/_sim/zoo.json` what a careful client makes of it.
//!
//! What is absent: nothing here knows the collector it tests, no code is shared with it, and no address but
//! 127.0.0.1 is ever listened on.

mod api;
mod caption;
mod changes;
mod clock;
mod config;
mod corpus;
mod dump;
mod fault;
mod index;
mod log;
mod media;
mod picture;
mod scene;
mod script;
mod server;
mod state;
mod stored;
mod truth;
mod wire;
mod zoo;

pub use config::{
    AfterMode, Anonymous, ArcticShiftConfig, CLIENT_ID, CLIENT_SECRET, LaterConfig, LostAnchor, OauthConfig,
    SUBREDDITS, SandboxConfig,
};
pub use corpus::CorpusError;
pub use dump::{DumpConfig, DumpFormat, DumpReport};
pub use log::LogEntry;
pub use script::{Change, Fault, FaultAction, PostEvent, Script, ScriptError};
pub use server::{Sandbox, StartError};
pub use truth::{DropReason, Outcome, Truth, TruthPost, Window};
pub use zoo::{ZooExpected, ZooFile, zoo};
