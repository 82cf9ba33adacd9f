//! The submission search: which posts a query gets.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::config::AfterMode;
use crate::corpus::SimPost;
use crate::wire::submission;

const SIZE_DEFAULT: usize = 25;
/// A larger `size` is taken as this one.
const SIZE_MAX: usize = 100;

/// A query as the search understands it; parameters it does not know are passed over, as Pushshift did.
#[derive(Debug, PartialEq)]
struct Query {
    subreddits: Option<Vec<String>>,
    ids: Option<Vec<String>>,
    after: Option<i64>,
    before: Option<i64>,
    size: usize,
    ascending: bool,
    sort_by: SortBy,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum SortBy {
    CreatedUtc,
    /// Nobody voted yet, so that a search by score gives posts by id.
    Score,
}

/// Answers a search over `posts`, which are sorted by time and id.
pub(crate) fn answer(posts: &[SimPost], mode: AfterMode, parameters: &BTreeMap<String, String>) -> Response {
    match Query::new(parameters) {
        Ok(query) => {
            let data: Vec<Value> = query.select(posts, mode).into_iter().map(submission).collect();
            Json(json!({ "data": data })).into_response()
        }
        Err(reason) => (StatusCode::BAD_REQUEST, Json(json!({ "error": reason }))).into_response(),
    }
}

impl Query {
    fn new(parameters: &BTreeMap<String, String>) -> Result<Self, String> {
        let get = |name: &str| parameters.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let number = |name: &str| -> Result<Option<i64>, String> {
            let parse = |value: &str| value.parse().map_err(|_| format!("{name} must be whole seconds, not {value:?}"));
            get(name).map(parse).transpose()
        };
        let list = |name: &str| get(name).map(|value| value.split(',').map(str::to_owned).collect::<Vec<_>>());
        let size = number("size")?.map_or(SIZE_DEFAULT, |size| usize::try_from(size).unwrap_or(0).clamp(1, SIZE_MAX));
        let ascending = match get("sort") {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(other) => return Err(format!("sort must be asc or desc, not {other:?}")),
        };
        let sort_by = match get("sort_type") {
            None | Some("created_utc") => SortBy::CreatedUtc,
            Some("score" | "num_comments") => SortBy::Score,
            Some(other) => return Err(format!("sort_type {other:?} is not known")),
        };
        let ids = list("ids").map(|ids| ids.iter().map(|id| id.trim_start_matches("t3_").to_owned()).collect());
        let (after, before) = (number("after")?, number("before")?);
        Ok(Self { subreddits: list("subreddit"), ids, after, before, size, ascending, sort_by })
    }

    fn select<'a>(&self, posts: &'a [SimPost], mode: AfterMode) -> Vec<&'a SimPost> {
        let edge = i64::from(mode == AfterMode::Exclusive);
        let wanted = |post: &&SimPost| {
            let named = |list: &Option<Vec<String>>, value: &str| {
                list.as_ref().is_none_or(|list| list.iter().any(|item| item.eq_ignore_ascii_case(value)))
            };
            self.after.is_none_or(|after| post.created_utc >= after.saturating_add(edge))
                && self.before.is_none_or(|before| post.created_utc <= before.saturating_sub(edge))
                && named(&self.subreddits, &post.subreddit)
                && named(&self.ids, post.id.as_str())
        };
        let mut found: Vec<_> = posts.iter().filter(wanted).collect();
        if self.sort_by == SortBy::Score {
            found.sort_by(|a, b| a.id.cmp(&b.id));
        }
        if !self.ascending {
            found.reverse();
        }
        found.truncate(self.size);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Content;
    use proptest::prelude::*;

    fn post(at: usize, created_utc: i64) -> SimPost {
        SimPost {
            id: format!("a{at:04}").parse().unwrap(),
            subreddit: ["flowers", "EarthPorn"][at % 2].into(),
            author: "someone".into(),
            created_utc,
            title: String::new(),
            over_18: false,
            removed_by: None,
            content: Content::Text(String::new()),
        }
    }

    fn query(pairs: &[(&str, &str)]) -> Result<Query, String> {
        Query::new(&pairs.iter().map(|(k, v)| (String::from(*k), String::from(*v))).collect())
    }

    #[test]
    fn sizes_are_clamped_and_the_newest_come_first() {
        let posts: Vec<_> = (0..300).map(|at| post(at, 1000 + at as i64)).collect();
        let found = |pairs: &[(&str, &str)]| query(pairs).unwrap().select(&posts, AfterMode::Exclusive);
        assert_eq!(found(&[]).len(), SIZE_DEFAULT);
        assert_eq!(found(&[])[0].created_utc, 1299);
        assert_eq!(found(&[("size", "5000")]).len(), SIZE_MAX);
        assert_eq!(found(&[("size", "0")]).len(), 1);
        assert_eq!(found(&[("sort", "asc"), ("subreddit", "earthporn")])[0].created_utc, 1001);
        assert_eq!(found(&[("ids", "t3_a0007,a0009,nosuch")]).len(), 2);
        assert!(query(&[("after", "yesterday")]).is_err() && query(&[("sort", "up")]).is_err());
    }

    #[test]
    fn the_modes_differ_in_the_second_itself() {
        let posts: Vec<_> = (0..6).map(|at| post(at, 1000 + at as i64 / 2)).collect();
        let query = query(&[("after", "1000"), ("before", "1002")]).unwrap();
        assert_eq!(query.select(&posts, AfterMode::Exclusive).len(), 2);
        assert_eq!(query.select(&posts, AfterMode::Inclusive).len(), 6);
    }

    proptest! {
        /// The rule for clients: ask from one second before the last post, and drop what is known.
        #[test]
        fn careful_paging_finds_every_post(gaps in prop::collection::vec(0i64..3, 1..200), inclusive: bool) {
            let mut now = 1000;
            let posts: Vec<_> = gaps.iter().enumerate().map(|(at, gap)| { now += gap * gap; post(at, now) }).collect();
            let longest = posts.chunk_by(|a, b| a.created_utc == b.created_utc).map(<[_]>::len).max().unwrap_or(0);
            prop_assume!(longest < 40);
            let mode = if inclusive { AfterMode::Inclusive } else { AfterMode::Exclusive };
            let (mut seen, mut after) = (std::collections::BTreeSet::new(), 0i64);
            loop {
                let after_text = after.to_string();
                let query = query(&[("after", &after_text), ("size", "80"), ("sort", "asc")]).unwrap();
                let page = query.select(&posts, mode);
                let before = seen.len();
                seen.extend(page.iter().map(|post| post.id.clone()));
                if seen.len() == before { break; }
                after = page[page.len() - 1].created_utc - 1;
            }
            prop_assert_eq!(seen.len(), posts.len());
        }
    }
}
