//! A Reddit post as every source delivers it, before its photo is fetched.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The base-36 id of a post, without the `t3_` in front.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PostId(String);

/// A text that cannot be a post's id.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a post id (1 to 32 letters, digits, '-' or '_'): {0:?}")]
pub struct ParsePostIdError(String);

impl PostId {
    /// The id as Reddit writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a number as Reddit writes those of its posts: of base 36, with up to ten digits.
    #[must_use]
    pub fn is_reddits(&self) -> bool {
        self.0.len() <= 10 && self.0.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    }
}

impl FromStr for PostId {
    type Err = ParsePostIdError;

    /// Takes what is safe as a part of a file name; `t3_` in front is dropped.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.strip_prefix("t3_").unwrap_or(text);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if id.is_empty() || id.len() > 32 || !id.bytes().all(plain) {
            return Err(ParsePostIdError(text.to_owned()));
        }
        Ok(Self(id.to_owned()))
    }
}

impl TryFrom<String> for PostId {
    type Error = ParsePostIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PostId> for String {
    fn from(id: PostId) -> Self {
        id.0
    }
}

impl fmt::Display for PostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One submission, with the fields the dataset keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// The post's id.
    pub id: PostId,
    /// The author's name as Reddit gives it; `[deleted]` when gone.
    pub author: String,
    /// When it was posted, in seconds since the epoch, UTC.
    pub created_utc: i64,
    /// The address of the post's own page.
    pub full_link: String,
    /// The subreddit's name without `r/`.
    pub subreddit: String,
    /// The title, unescaped.
    pub title: String,
    /// The address of what was posted.
    pub url: String,
    /// The link flair's text; empty when there is none.
    pub flair: String,
    /// Marked as not safe for work.
    pub over_18: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_safe_as_a_file_name() {
        assert_eq!("t3_1ske7bm".parse::<PostId>().unwrap().as_str(), "1ske7bm");
        for bad in ["", "../x", "a/b", "a b", "t3_", &"a".repeat(33)] {
            assert!(bad.parse::<PostId>().is_err(), "{bad:?}");
        }
    }
}
