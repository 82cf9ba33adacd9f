//! What a simulator is started with.

use std::path::PathBuf;

use natureddit_core::{ClassNames, Clock};

use crate::script::{Fault, PostEvent};

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
    /// How the search in the shape of Pushshift takes `after` and `before`.
    pub after: AfterMode,
    /// The most posts that this search gives, whatever `size` says: 100 today, 500 and 1,000 in earlier years.
    pub size_max: usize,
    /// Faults to answer with, for tests of clients; every one counts its own requests.
    pub faults: Vec<Fault>,
    /// What becomes of posts, by id.
    pub events: Vec<PostEvent>,
    /// What becomes of posts, by chance.
    pub later: LaterConfig,
    /// Whether there are posts of every kind that Reddit has, such as crossposts, links to imgur, advertisements and
    /// galleries with every fault.
    pub varied: bool,
    /// Whether no post has a photo that is wanted: texts, videos, links, and photos marked as not safe for work or gone
    /// from the start. For tests of paging, which then fetch no photo.
    pub posts_only: bool,
    /// What moves the simulator's time on. A fixed clock that a test shares with its client moves both.
    pub clock: Clock,
    /// The simulator's time when it starts, in seconds since the epoch; `None`: two days after the last post.
    pub starts_at: Option<i64>,
    /// Reddit's own API.
    pub oauth: OauthConfig,
    /// The archive in the shape of Arctic Shift.
    pub arctic_shift: ArcticShiftConfig,
}

impl SandboxConfig {
    /// A drawn corpus in the usual subreddits on a free port, without faults.
    #[must_use]
    pub fn new(seed: u64, posts: usize, classes: ClassNames) -> Self {
        Self {
            seed,
            port: 0,
            posts,
            photos: None,
            classes,
            subreddits: SUBREDDITS.map(str::to_owned).to_vec(),
            after: AfterMode::Exclusive,
            size_max: 100,
            faults: Vec::new(),
            events: Vec::new(),
            later: LaterConfig::default(),
            varied: false,
            posts_only: false,
            clock: Clock::System,
            starts_at: None,
            oauth: OauthConfig::default(),
            arctic_shift: ArcticShiftConfig::default(),
        }
    }
}

/// How Reddit's own API behaves.
#[derive(Clone, Debug)]
pub struct OauthConfig {
    /// The app that may ask for tokens.
    pub client_id: String,
    /// Its secret. An installed app sends an empty one and asks with a device id.
    pub client_secret: String,
    /// How long a token holds: 3,600 until 2022, 86,400 since.
    pub token_seconds: i64,
    /// How many requests a client may make in a window.
    pub requests_max: u64,
    /// How long a window is.
    pub window_seconds: i64,
    /// No listing goes further back than so many posts.
    pub listing_max: usize,
    /// What a listing does after a post that it does not hold.
    pub lost_anchor: LostAnchor,
    /// What an address that ends with `.json` answers without a token.
    pub anonymous: Anonymous,
}

/// The app that a simulator knows unless it is told another.
pub const CLIENT_ID: &str = "sandbox-client-id";
/// The secret of that app; it opens nothing but a simulator.
pub const CLIENT_SECRET: &str = "sandbox-client-secret";

impl Default for OauthConfig {
    fn default() -> Self {
        Self {
            client_id: CLIENT_ID.into(),
            client_secret: CLIENT_SECRET.into(),
            token_seconds: 86_400,
            requests_max: 1_000,
            window_seconds: 600,
            listing_max: 1_000,
            lost_anchor: LostAnchor::Continues,
            anonymous: Anonymous::Blocked,
        }
    }
}

/// What a listing does after a post that it does not hold, such as one deleted between two pages. What Reddit does is
/// not known, so that a client must bear all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostAnchor {
    /// It goes on with the next older post.
    Continues,
    /// It ends, as if there were no older posts.
    Ends,
    /// It begins anew.
    Restarts,
}

/// What an address that ends with `.json` answers without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// 403 and a web page, as Reddit does since 2026.
    Blocked,
    /// The listing, as it was before.
    Allowed,
}

/// How the archive in the shape of Arctic Shift behaves.
#[derive(Clone, Debug)]
pub struct ArcticShiftConfig {
    /// How it takes `after` and `before`.
    pub after: AfterMode,
    /// How many posts `limit=auto` gives: 100 to 1,000 by load.
    pub auto_limit: usize,
    /// A search that would give more posts than this ends with 422, as one does that takes too long.
    pub timeout_above: Option<usize>,
    /// How many requests a client may make in a window.
    pub requests_max: u64,
    /// How long a window is.
    pub window_seconds: i64,
}

impl Default for ArcticShiftConfig {
    fn default() -> Self {
        Self {
            after: AfterMode::Exclusive,
            auto_limit: 1_000,
            timeout_above: None,
            requests_max: 2_000,
            window_seconds: 60,
        }
    }
}

/// How the search takes `after` and `before`: services of this shape differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterMode {
    /// Posts of that very second are left out, as Pushshift did.
    Exclusive,
    /// Posts of that very second are given again, as Pushshift did after 2023.
    Inclusive,
}

/// What becomes of posts, by chance that follows from the seed. Nothing, unless asked for.
#[derive(Clone, Debug, Default)]
pub struct LaterConfig {
    /// The share of kept posts that their authors delete.
    pub deleted: f64,
    /// The share of kept posts that moderators remove.
    pub removed: f64,
    /// The share of kept posts that no look-up knows any more.
    pub vanished: f64,
    /// All that becomes of a post becomes of it within so many seconds after it was made.
    pub within_seconds: i64,
    /// How long the pictures of a gallery are not processed yet.
    pub processing_seconds: i64,
    /// How long a post is in no listing and no search.
    pub unseen_seconds: i64,
}
