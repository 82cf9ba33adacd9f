//! Where posts come from.

pub mod pushshift;
mod reddit_json;

use natureddit_core::ContentHash;
use natureddit_net::{Client, NetError};
use url::Url;

use crate::paging::PageRequest;
use crate::submission::Submission;
use crate::window::shown;

use pushshift::Pushshift;

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
}

/// A place posts come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An API in the shape of Pushshift.
    Pushshift(Pushshift),
}

/// One page of posts.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The records that could be read, in the order they came.
    pub submissions: Vec<Submission>,
    /// The hashes of those that could not.
    pub unreadable: Vec<ContentHash>,
}

impl Page {
    /// How many records came.
    #[must_use]
    pub fn records(&self) -> usize {
        self.submissions.len() + self.unreadable.len()
    }
}

/// A page that could not be had. It never means that there are no posts.
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
}

/// The source of a config.
#[must_use]
pub fn from_config(config: &SourceConfig, client: &Client) -> Source {
    match config {
        SourceConfig::Pushshift { base_url, page_bytes_max } => {
            Source::Pushshift(Pushshift::new(base_url, *page_bytes_max, client.clone()))
        }
    }
}

impl Source {
    /// Its name, as the dataset records it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pushshift(_) => pushshift::NAME,
        }
    }

    /// The largest page it gives.
    #[must_use]
    pub fn page_size_max(&self) -> u32 {
        match self {
            Self::Pushshift(_) => pushshift::PAGE_SIZE_MAX,
        }
    }

    /// One page of the posts of a subreddit.
    ///
    /// # Errors
    /// [`SourceError`]; nothing that is not a list of posts is taken as an empty one.
    pub async fn page(&self, subreddit: &str, request: PageRequest) -> Result<Page, SourceError> {
        match self {
            Self::Pushshift(pushshift) => pushshift.page(subreddit, request).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use natureddit_core::fs;
    use serde_json::{Value, json};

    use super::pushshift::read_page;
    use crate::media::{SkipReason, photo_url};

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
            let page = read_page(page.to_string().as_bytes(), "any").unwrap();
            let found = photo_url(&page.submissions[0], true);
            match (&found, expected["first_image"].as_str()) {
                (Ok(found), Some(image)) => assert_eq!(found, image, "{name}"),
                // The reference leaves imgur's pages unresolved.
                (Ok(found), None) => assert!(found.starts_with("https://i.imgur.com/"), "{name}: {found}"),
                // Nor does it tell videos on other sites from other links.
                (Err(SkipReason::Video), _) if expected["class"] == "link_unresolved" => {}
                (Err(reason), _) => assert_eq!(class(*reason), expected["class"], "{name}"),
            }
        }
        let page =
            read_page(json("http/pushshift_submission_search_body.json").to_string().as_bytes(), "pics").unwrap();
        assert_eq!(page.submissions[0].post.created_utc, 1_325_437_430);
        assert_eq!(photo_url(&page.submissions[0], false).as_deref(), Ok("http://i.imgur.com/MwIvz.jpg"));
    }
}
