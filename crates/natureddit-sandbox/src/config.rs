//! What a simulator is started with.

use std::path::PathBuf;

use natureddit_core::ClassNames;

/// The subreddits of a corpus that asks for no others: mostly animals, plants, landscapes, and everything.
pub const SUBREDDITS: [&str; 4] = ["wildlifephotography", "flowers", "EarthPorn", "NatureIsFuckingLit"];

/// What a simulator is started with.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// The corpus, its pictures and its times follow from this alone.
    pub seed: u64,
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// How many posts to make, those that must be dropped included; at least 1. With `photos` it is ignored:
    /// there is a post for every photo.
    pub posts: usize,
    /// A folder of real photos to serve instead of drawn ones: `DIR/{class}/*`, with titles from
    /// `DIR/posts.csv` (columns `id,title,img_name,choice`) when that is present.
    pub photos: Option<PathBuf>,
    /// The classes. Drawn pictures show `fauna`, `flora` and `landscape` and need just these names.
    pub classes: ClassNames,
    /// The names of the subreddits, without `r/`; at least one. The n-th is mostly about the n-th class.
    pub subreddits: Vec<String>,
    /// How the search takes `after` and `before`.
    pub after: AfterMode,
    /// Faults to answer with, for tests of clients; every one counts its own requests.
    pub faults: Vec<Fault>,
}

/// How the search takes `after` and `before`: services of this shape differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterMode {
    /// Posts of that very second are left out, as Pushshift did.
    Exclusive,
    /// Posts of that very second are given again, as Pushshift did after 2023.
    Inclusive,
}

/// A planned fault.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Requests whose path with query contains this are counted.
    pub path_contains: String,
    /// The first of them that fails, counted from 1.
    pub nth: u64,
    /// How many in a row fail.
    pub times: u64,
    /// What is answered instead.
    pub action: FaultAction,
}

/// What a client gets instead of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAction {
    /// This status, with a `retry-after` header in seconds when given.
    Status {
        /// The HTTP status.
        code: u16,
        /// Seconds for the `retry-after` header.
        retry_after: Option<u32>,
    },
    /// The connection is closed without an answer.
    Reset,
    /// The answer stops in the middle of its body and the connection is closed.
    Truncated,
    /// Status 200 and no body.
    Empty,
}
