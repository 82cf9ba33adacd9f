//! What goes wrong in a simulator, as data: faults of answers, and what becomes of posts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that is planned to go wrong. As JSON:
///
/// ```json
/// {"faults": [{"host": "oauth.reddit.com", "path_contains": "/r/*/new", "nth": 3, "times": 2,
///              "do": {"status": {"code": 503}}},
///             {"path_contains": "/media/", "do": "reset"}],
///  "events": [{"post": "k1x2y3", "at": 1650000000, "do": "delete"}]}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Faults of answers; every one counts its own requests.
    pub faults: Vec<Fault>,
    /// What becomes of posts.
    pub events: Vec<PostEvent>,
}

/// A script that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the script of faults cannot be read")]
pub struct ScriptError(#[from] serde_json::Error);

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// Text that is no JSON, or a name that is not known.
    pub fn from_json(text: &str) -> Result<Self, ScriptError> {
        Ok(serde_json::from_str(text)?)
    }
}

/// A planned fault.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only requests with this method; empty: any.
    #[serde(default)]
    pub method: String,
    /// Only requests to this host, by its real name; empty: any.
    #[serde(default)]
    pub host: String,
    /// Only requests whose path with query contains this; `*` in it stands for anything.
    #[serde(default)]
    pub path_contains: String,
    /// The first of them that fails, counted from 1.
    #[serde(default = "one")]
    pub nth: u64,
    /// How many in a row fail.
    #[serde(default = "one")]
    pub times: u64,
    /// What is answered instead.
    #[serde(rename = "do")]
    pub action: FaultAction,
}

fn one() -> u64 {
    1
}

impl Fault {
    /// A fault at any host and with any method.
    #[must_use]
    pub fn new(path_contains: &str, nth: u64, times: u64, action: FaultAction) -> Self {
        let (method, host) = (String::new(), String::new());
        Self { method, host, path_contains: path_contains.to_owned(), nth, times, action }
    }
}

/// What a client gets instead of its answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultAction {
    /// This status and no body, with a `retry-after` header in seconds when given.
    Status {
        /// The HTTP status.
        code: u16,
        /// Seconds for the `retry-after` header.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// This answer.
    Answer {
        /// The HTTP status.
        code: u16,
        /// Its headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Its body.
        #[serde(default)]
        body: String,
    },
    /// 429 as a web page that greets a pardner, with a `retry-after` header.
    TooManyPage {
        /// Seconds for the `retry-after` header.
        retry_after: u32,
    },
    /// 429 as JSON that does not say when to come again.
    TooManyJson,
    /// 429 as JSON, with nothing but `x-ratelimit-reset` to say when to come again.
    TooManyHeaders {
        /// Seconds for that header.
        reset: u32,
    },
    /// 401, and every token that was given is worthless from now on.
    Revoke,
    /// The connection is closed without an answer.
    Reset,
    /// The answer stops in the middle of its body and the connection is closed.
    Truncated,
    /// Status 200 and no body.
    Empty,
    /// The answer without its last byte, under the length that it then has.
    MalformedJson,
    /// Status 200 and a web page.
    Html,
    /// Half the answer, and then nothing for so long before the connection is closed.
    Stall {
        /// How long.
        milliseconds: u64,
    },
    /// The whole answer, in eight pieces with so long between them.
    Drip {
        /// How long.
        milliseconds: u64,
    },
    /// The whole answer, compressed, for a client that takes that and for one that does not.
    Gzip,
    /// The whole answer, without saying how long it is.
    Chunked,
    /// Only the first records of the page, which says nothing of it.
    ShortPage {
        /// How many.
        keep: usize,
    },
    /// A page without one of its records.
    MissingRecord {
        /// Which, counted from 0.
        at: usize,
    },
    /// A page whose records are in another order.
    Shuffled,
    /// A page that gives each record twice.
    Twice,
}

/// Something that becomes of a post.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostEvent {
    /// The post's id.
    pub post: String,
    /// When, in seconds since the epoch, by the simulator's time.
    pub at: i64,
    /// What.
    #[serde(rename = "do")]
    pub change: Change,
}

/// What can become of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It comes to be seen only now, though it was made earlier.
    Appear,
    /// Its author deletes it: no listing has it, a look-up gives it without its author and text, and its media are
    /// gone.
    Delete,
    /// A moderator removes it: as when deleted, but its author and media stay.
    Remove,
    /// No look-up knows it any more.
    Vanish,
    /// Its author edits its text.
    Edit,
}

impl Change {
    /// Whether the post is gone after it.
    pub(crate) fn is_an_end(self) -> bool {
        matches!(self, Self::Delete | Self::Remove | Self::Vanish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_and_a_wrong_one_is_not() {
        let text = r#"{"faults": [{"path_contains": "/new", "do": {"status": {"code": 503}}},
            {"host": "i.redd.it", "method": "GET", "nth": 2, "times": 3, "do": "reset"}],
            "events": [{"post": "abc", "at": 17, "do": "delete"}]}"#;
        let script = Script::from_json(text).unwrap();
        let status = FaultAction::Status { code: 503, retry_after: None };
        assert_eq!(script.faults[0], Fault::new("/new", 1, 1, status));
        assert_eq!((script.faults[1].times, &script.faults[1].action), (3, &FaultAction::Reset));
        assert_eq!(script.events, [PostEvent { post: "abc".into(), at: 17, change: Change::Delete }]);
        for wrong in ["", "7", r#"{"faults": [{"do": "explode"}]}"#, r#"{"fault": []}"#] {
            assert!(Script::from_json(wrong).is_err(), "{wrong}");
        }
    }
}
