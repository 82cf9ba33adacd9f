//! Where posts come from. A source is walked: it gives the posts of the windows it was asked for, and says of each window
//! what it could not cover.

mod answer;
pub mod arctic_shift;
pub mod dump;
mod listing;
pub(crate) mod lookup;
pub mod pushshift;
mod ranged;
mod reddit_json;
pub mod reddit_oauth;

use std::path::PathBuf;

use natureddit_net::{Client, NetError};
use url::Url;

use crate::gap::Gap;
use crate::id_set::IdSet;
use crate::paging::PagingError;
use crate::submission::Submission;
use crate::window::{Window, shown};

pub use dump::DumpError;
pub use reddit_oauth::{OauthError, RedditOauthConfig};

use arctic_shift::ArcticShift;
use dump::DumpWalk;
use listing::ListingWalk;
use pushshift::Pushshift;
use ranged::{RangedApi, RangedWalk};
use reddit_oauth::RedditOauth;

/// Which source to collect from.
#[derive(Clone, Debug)]
pub enum SourceConfig {
    /// An API in the shape of Pushshift.
    Pushshift {
        /// Its address; `/reddit/search/submission/` is appended.
        base_url: Url,
        /// The largest page that is read, in bytes.
        page_bytes_max: u64,
    },
    /// An API in the shape of Arctic Shift.
    ArcticShift {
        /// Its address; `/api/posts/search` is appended.
        base_url: Url,
        /// The largest page that is read, in bytes.
        page_bytes_max: u64,
    },
    /// Reddit's own API.
    RedditOauth(RedditOauthConfig),
    /// Files of posts on this machine.
    Dump {
        /// The files, read one after the other.
        files: Vec<PathBuf>,
        /// The longest line that is read, in bytes.
        line_bytes_max: usize,
    },
}

impl SourceConfig {
    /// The source's name, as the dataset records it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pushshift { .. } => pushshift::NAME,
            Self::ArcticShift { .. } => arctic_shift::NAME,
            Self::RedditOauth(_) => reddit_oauth::NAME,
            Self::Dump { .. } => dump::NAME,
        }
    }
}

/// What to collect of one subreddit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The subreddit's name without `r/`.
    pub subreddit: String,
    /// Windows that do not touch each other, in order.
    pub windows: Vec<Window>,
}

/// A walk through the posts of some windows.
#[derive(Debug)]
pub enum Walk {
    /// Pages of ranges of time.
    Ranged(Box<RangedWalk>),
    /// Listings of the newest posts.
    Listing(Box<ListingWalk>),
    /// Files.
    Dump(Box<DumpWalk>),
}

/// What a walk comes to.
#[derive(Debug)]
pub enum Step {
    /// It begins with something: the name of a subreddit or a file.
    Begin(String),
    /// Posts of the windows, each once in a walk.
    Posts(Batch),
    /// It is through with a window.
    Done(Walked),
}

/// Some posts, and how many records with them could not be read.
#[derive(Debug, Default)]
pub struct Batch {
    /// Posts of the windows.
    pub submissions: Vec<Submission>,
    /// Records, or lines, without a usable id or time; each counted once.
    pub unreadable: u64,
}

/// A window that was walked to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The subreddit as the wish spelled it.
    pub subreddit: String,
    /// The window.
    pub window: Window,
    /// How many posts of it came.
    pub posts: u64,
    /// What could not be covered.
    pub gaps: Vec<Gap>,
}

/// A page or file that could not be had. It never means that there are no posts.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No answer, or a refusal.
    #[error("could not fetch posts of r/{subreddit} after {}", shown(*after))]
    Net {
        /// The subreddit.
        subreddit: String,
        /// Where the page begins, in seconds since the epoch.
        after: i64,
        /// Why.
        #[source]
        source: NetError,
    },
    /// An answer that holds no list of posts.
    #[error("the answer for r/{subreddit} after {} is no list of posts: {problem}", shown(*after))]
    Answer {
        /// The subreddit.
        subreddit: String,
        /// Where the page begins, in seconds since the epoch.
        after: i64,
        /// What it is instead.
        problem: String,
    },
    /// The source cannot be paged.
    #[error("the posts of r/{subreddit} cannot be paged")]
    Paging {
        /// The subreddit.
        subreddit: String,
        /// Why.
        #[source]
        source: PagingError,
    },
    /// Reddit's own API gives no answer that can be used.
    #[error(transparent)]
    Reddit(#[from] OauthError),
    /// An archive gives no posts by their ids.
    #[error("the archive gives no posts by their ids: {problem}")]
    LookUp {
        /// What it says instead.
        problem: String,
    },
    /// A source that knows no posts by their ids.
    #[error("posts cannot be looked up in the source {name:?}")]
    NoLookUp {
        /// The source.
        name: &'static str,
    },
    /// A dump cannot be read.
    #[error(transparent)]
    Dump(#[from] DumpError),
}

/// Starts a walk through a source. `page_size` is how many posts are asked for at once.
#[must_use]
pub fn walk(config: &SourceConfig, client: &Client, wishes: Vec<Wish>, page_size: u32) -> Walk {
    let ranged = |api, wishes| Walk::Ranged(Box::new(RangedWalk::new(api, wishes, page_size)));
    match config {
        SourceConfig::Pushshift { base_url, page_bytes_max } => {
            let pushshift = Pushshift::new(base_url, *page_bytes_max, client.clone());
            ranged(RangedApi::Pushshift(pushshift), wishes)
        }
        SourceConfig::ArcticShift { base_url, page_bytes_max } => {
            let arctic_shift = ArcticShift::new(base_url, *page_bytes_max, client.clone());
            ranged(RangedApi::ArcticShift(arctic_shift), wishes)
        }
        SourceConfig::RedditOauth(config) => {
            let reddit = RedditOauth::new(config, client);
            Walk::Listing(Box::new(ListingWalk::new(reddit, wishes, page_size)))
        }
        SourceConfig::Dump { files, line_bytes_max } => {
            Walk::Dump(Box::new(DumpWalk::new(files.clone(), *line_bytes_max, wishes)))
        }
    }
}

impl Walk {
    /// The next step; `None` at the end.
    ///
    /// # Errors
    /// [`SourceError`]; the windows that are not done then are not covered.
    pub async fn next(&mut self) -> Result<Option<Step>, SourceError> {
        match self {
            Self::Ranged(walk) => walk.next().await,
            Self::Listing(walk) => walk.next().await,
            Self::Dump(walk) => walk.next().await,
        }
    }
}

/// Sorts posts into the windows of a wish, each post once.
#[derive(Debug)]
struct Sieve {
    wish: Wish,
    seen: IdSet,
    /// How many posts of each window came.
    posts: Vec<u64>,
}

impl Sieve {
    fn new(wish: Wish) -> Self {
        let posts = vec![0; wish.windows.len()];
        Self { wish, seen: IdSet::default(), posts }
    }

    /// Whether a post is of one of the windows and came for the first time.
    fn takes(&mut self, submission: &Submission) -> bool {
        let second = submission.post.created_utc;
        let Some(at) = self.wish.windows.iter().position(|window| window.contains(second)) else { return false };
        let is_new = self.seen.insert(&submission.post.id);
        self.posts[at] += u64::from(is_new);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use natureddit_core::fs;
    use serde_json::{Value, json};

    use super::answer::read_page;
    use super::reddit_json::Escaping;
    use crate::media::{GalleryMode, SkipReason, photos};

    /// The class a recorded post has in `expected_reference.json`, by what is made of it here.
    fn class(reason: SkipReason) -> &'static str {
        match reason {
            SkipReason::Removed => "removed",
            SkipReason::SelfPost => "self",
            SkipReason::Video => "video",
            SkipReason::Animated => "animated_or_other",
            SkipReason::GalleryPending => "gallery_pending",
            SkipReason::NotAPhoto => "link_unresolved",
            _ => "none of them",
        }
    }

    #[test]
    fn recorded_posts_have_the_photo_that_the_reference_names() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reddit");
        if !folder.is_dir() {
            // Past the capture of a passing test's output.
            let _ =
                writeln!(std::io::stderr(), "skipped: recorded posts: there is no shared folder beside the project");
            return;
        }
        let json = |path: &str| serde_json::from_slice::<Value>(&fs::read(&folder.join(path)).unwrap()).unwrap();
        let expected = json("expected_reference.json");
        for (name, expected) in expected.as_object().unwrap() {
            let page = json!({"data": [json(&format!("posts/{name}"))["data"]]});
            let page = read_page(page.to_string().as_bytes(), "any", Escaping::PlainUnlessSeen).unwrap();
            let found = photos(&page.submissions[0], true, GalleryMode::First).remove(0).url;
            match (&found, expected["first_image"].as_str()) {
                (Ok(found), Some(image)) => assert_eq!(found, image, "{name}"),
                // The reference leaves imgur's pages unresolved.
                (Ok(found), None) => assert!(found.starts_with("https://i.imgur.com/"), "{name}: {found}"),
                // Nor does it tell videos on other sites from other links.
                (Err(SkipReason::Video), _) if expected["class"] == "link_unresolved" => {}
                (Err(reason), _) => assert_eq!(class(*reason), expected["class"], "{name}"),
            }
        }
        let body = json("http/pushshift_submission_search_body.json").to_string();
        let page = read_page(body.as_bytes(), "pics", Escaping::Entities).unwrap();
        assert_eq!(page.submissions[0].post.created_utc, 1_325_437_430);
        let photo = photos(&page.submissions[0], false, GalleryMode::First).remove(0);
        assert_eq!(photo.url.as_deref(), Ok("http://i.imgur.com/MwIvz.jpg"));
    }
}
