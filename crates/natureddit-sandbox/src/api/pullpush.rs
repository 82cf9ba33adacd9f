//! The submission search in the shape of Pushshift: which posts a query gets.

use std::ops::Range;
use std::sync::Arc;

use axum::Json;
use axum::extract::{self, State as AxumState};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Parameters, get, list};
use crate::config::AfterMode;
use crate::corpus::SimPost;
use crate::index::{End, Posts};
use crate::state::State;
use crate::wire::pullpush::submission;

const SIZE_DEFAULT: usize = 25;
/// Posts are taken so many seconds after they were made, and never looked at again.
const TAKEN_AFTER: i64 = 40;

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

/// `GET /reddit/search/submission/`.
pub(crate) async fn search(
    AxumState(state): AxumState<Arc<State>>,
    extract::Query(parameters): extract::Query<Parameters>,
) -> Response {
    match Query::new(&parameters, state.size_max) {
        Ok(query) => {
            let now = state.clock.now();
            let is_public = |post: &SimPost| state.changes.is_public(post, now);
            let found = query.select(&state.posts, state.after, now, is_public);
            let taken = found.into_iter().filter_map(|post| state.changes.taken(post, TAKEN_AFTER, now));
            let data: Vec<Value> = taken.map(|post| submission(&post)).collect();
            Json(json!({ "data": data })).into_response()
        }
        Err(reason) => (StatusCode::BAD_REQUEST, Json(json!({ "error": reason }))).into_response(),
    }
}

impl Query {
    fn new(parameters: &Parameters, size_max: usize) -> Result<Self, String> {
        let number = |name: &str| -> Result<Option<i64>, String> {
            let parse = |value: &str| value.parse().map_err(|_| format!("{name} must be whole seconds, not {value:?}"));
            get(parameters, name).map(parse).transpose()
        };
        let size = number("size")?.map_or(SIZE_DEFAULT, |size| usize::try_from(size).unwrap_or(0).clamp(1, size_max));
        let ascending = match get(parameters, "sort") {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(other) => return Err(format!("sort must be asc or desc, not {other:?}")),
        };
        let sort_by = match get(parameters, "sort_type") {
            None | Some("created_utc") => SortBy::CreatedUtc,
            Some("score" | "num_comments") => SortBy::Score,
            Some(other) => return Err(format!("sort_type {other:?} is not known")),
        };
        let (subreddits, ids) = (list(parameters, "subreddit"), list(parameters, "ids"));
        let (after, before) = (number("after")?, number("before")?);
        Ok(Self { subreddits, ids, after, before, size, ascending, sort_by })
    }

    fn times(&self, mode: AfterMode, now: i64) -> Range<i64> {
        let edge = i64::from(mode == AfterMode::Exclusive);
        let since = self.after.map_or(0, |after| after.saturating_add(edge));
        let until = self.before.map_or(i64::MAX, |before| before.saturating_sub(edge).saturating_add(1));
        since..until.min(now + 1).max(since)
    }

    fn select<'a>(
        &self,
        posts: &'a Posts,
        mode: AfterMode,
        now: i64,
        is_public: impl Fn(&SimPost) -> bool,
    ) -> Vec<&'a SimPost> {
        let end = if self.ascending { End::Oldest } else { End::Newest };
        let times = self.times(mode, now);
        let mut found: Vec<usize> = match &self.ids {
            Some(ids) => {
                let mut found: Vec<usize> = ids.iter().filter_map(|id| posts.by_id(id)).map(|(at, _)| at).collect();
                found.sort_unstable();
                found.dedup();
                found.retain(|&at| self.accepts(&posts.all()[at], &times) && is_public(&posts.all()[at]));
                if end == End::Newest {
                    found.reverse();
                }
                found
            }
            // Nobody voted yet, so that all are alike and all must be looked at.
            None if self.sort_by == SortBy::Score => {
                posts.select(self.subreddits.as_deref(), times, end, usize::MAX, |_, post| is_public(post))
            }
            None => posts.select(self.subreddits.as_deref(), times, end, self.size, |_, post| is_public(post)),
        };
        if self.sort_by == SortBy::Score {
            found.sort_by(|a, b| posts.all()[*a].id.cmp(&posts.all()[*b].id));
            if !self.ascending {
                found.reverse();
            }
        }
        found.truncate(self.size);
        found.into_iter().map(|at| &posts.all()[at]).collect()
    }

    /// Whether a post that was named fits the rest of the query.
    fn accepts(&self, post: &SimPost, times: &Range<i64>) -> bool {
        let named = |names: &Vec<String>| names.iter().any(|name| name.eq_ignore_ascii_case(&post.subreddit));
        times.contains(&post.created_utc) && self.subreddits.as_ref().is_none_or(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 2_000_000_000;
    const SIZE_MAX: usize = 100;

    fn post(at: usize, created_utc: i64) -> SimPost {
        let subreddit = ["flowers", "EarthPorn"][at % 2].into();
        SimPost::new(format!("a{at:04}").parse().unwrap(), subreddit, "someone".into(), created_utc)
    }

    fn query(pairs: &[(&str, &str)]) -> Result<Query, String> {
        Query::new(&pairs.iter().map(|(k, v)| (String::from(*k), String::from(*v))).collect(), SIZE_MAX)
    }

    #[test]
    fn sizes_are_clamped_and_the_newest_come_first() {
        let posts = Posts::new((0..300).map(|at| post(at, 1000 + at as i64)).collect());
        let found = |pairs: &[(&str, &str)]| query(pairs).unwrap().select(&posts, AfterMode::Exclusive, NOW, |_| true);
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
        let posts = Posts::new((0..6).map(|at| post(at, 1000 + at as i64 / 2)).collect());
        let query = query(&[("after", "1000"), ("before", "1002")]).unwrap();
        assert_eq!(query.select(&posts, AfterMode::Exclusive, NOW, |_| true).len(), 2);
        assert_eq!(query.select(&posts, AfterMode::Inclusive, NOW, |_| true).len(), 6);
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
            let posts = Posts::new(posts);
            let (mut seen, mut after) = (std::collections::BTreeSet::new(), 0i64);
            loop {
                let after_text = after.to_string();
                let query = query(&[("after", &after_text), ("size", "80"), ("sort", "asc")]).unwrap();
                let page = query.select(&posts, mode, NOW, |_| true);
                let before = seen.len();
                seen.extend(page.iter().map(|post| post.id.clone()));
                if seen.len() == before { break; }
                after = page[page.len() - 1].created_utc - 1;
            }
            prop_assert_eq!(seen.len(), posts.all().len());
        }
    }
}
