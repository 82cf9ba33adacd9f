//! The archive in the shape of Arctic Shift: searches in one subreddit, look-ups by id, counts over time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State as AxumState};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::date::{date, day_and_month, iso};
use super::rate::Rate;
use super::{Parameters, get, list};
use crate::config::AfterMode;
use crate::corpus::SimPost;
use crate::index::End;
use crate::state::State;
use crate::wire::arctic_shift;

const LIMIT_DEFAULT: usize = 25;
const LIMIT_MAX: usize = 100;
/// A look-up takes no more ids.
const IDS_MAX: usize = 500;

/// An answer that is no list: a status and the text of its `error`.
type Refused = (StatusCode, String);

/// `GET /api/posts/search`.
pub(crate) async fn search(AxumState(state): AxumState<Arc<State>>, Query(query): Query<Parameters>) -> Response {
    answer(&state, |now| {
        let wanted = Wanted::new(&state, &query, now)?;
        let (limit, is_ascending) = (limit(&state, &query)?, is_ascending(&query, false)?);
        if state.arctic_shift.timeout_above.is_some_and(|most| limit > most) {
            return Err((StatusCode::UNPROCESSABLE_ENTITY, "Timeout. Maybe slow down a bit".into()));
        }
        let end = if is_ascending { End::Oldest } else { End::Newest };
        let places = wanted.select(&state, end, limit);
        posts(&state, places.into_iter().map(|at| &state.posts.all()[at]), &query, now)
    })
}

/// `GET /api/posts/ids`.
pub(crate) async fn ids(AxumState(state): AxumState<Arc<State>>, Query(query): Query<Parameters>) -> Response {
    answer(&state, |now| {
        let ids = list(&query, "ids").ok_or_else(|| bad("ids is required"))?;
        if ids.len() > IDS_MAX {
            return Err(bad(&format!("ids must have at most {IDS_MAX} items")));
        }
        posts(&state, ids.iter().filter_map(|id| state.posts.by_id(id)).map(|(_, post)| post), &query, now)
    })
}

/// `GET /api/posts/search/aggregate`.
pub(crate) async fn aggregate(AxumState(state): AxumState<Arc<State>>, Query(query): Query<Parameters>) -> Response {
    answer(&state, |now| {
        let wanted = Wanted::new(&state, &query, now)?;
        let by = get(&query, "aggregate").ok_or_else(|| bad("aggregate is required"))?;
        let frequency = get(&query, "frequency");
        let key = |post: &SimPost| -> Result<String, Refused> {
            match (by, frequency) {
                ("author", _) => Ok(post.author.clone()),
                ("subreddit", _) => Ok(post.subreddit.clone()),
                ("created_utc", Some(frequency)) => bucket(post.created_utc, frequency).map(iso),
                ("created_utc", None) => Err(bad("frequency is required")),
                _ => Err(bad("aggregate must be created_utc, author or subreddit")),
            }
        };
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for at in wanted.select(&state, End::Oldest, usize::MAX) {
            *counts.entry(key(&state.posts.all()[at])?).or_default() += 1;
        }
        let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
        if by != "created_utc" {
            counts.sort_by_key(|(_, count)| *count);
        }
        if !is_ascending(&query, by == "created_utc")? {
            counts.reverse();
        }
        counts.truncate(get(&query, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX));
        Ok(counts.into_iter().map(|(value, count)| json!({by: value, "count": count})).collect())
    })
}

/// Which posts are asked for.
struct Wanted {
    subreddit: Option<Vec<String>>,
    author: Option<String>,
    over_18: Option<bool>,
    title: Option<String>,
    times: Range<i64>,
    now: i64,
}

impl Wanted {
    fn new(state: &State, query: &Parameters, now: i64) -> Result<Self, Refused> {
        let title = get(query, "title").map(str::to_lowercase);
        let (subreddit, author) = (get(query, "subreddit"), get(query, "author"));
        if title.is_some() && subreddit.is_none() && author.is_none() {
            return Err(bad("title needs author or subreddit"));
        }
        let time = |name: &str| -> Result<Option<i64>, Refused> {
            let parse = |text: &str| date(text, now).ok_or_else(|| bad(&format!("{name} is no date")));
            get(query, name).map(parse).transpose()
        };
        let edge = i64::from(state.arctic_shift.after == AfterMode::Exclusive);
        let since = time("after")?.map_or(0, |after| after.saturating_add(edge));
        let until = time("before")?.map_or(i64::MAX, |before| before.saturating_sub(edge).saturating_add(1));
        // One name only: `a,b` is the name of a subreddit that does not exist.
        let subreddit = subreddit.map(|name| vec![name.to_owned()]);
        let over_18 = get(query, "over_18").map(|value| value == "true");
        let times = since..until.min(now + 1).max(since);
        Ok(Self { subreddit, author: author.map(str::to_owned), over_18, title, times, now })
    }

    fn select(&self, state: &State, end: End, limit: usize) -> Vec<usize> {
        let wanted = |_: usize, post: &SimPost| {
            state.changes.is_public(post, self.now)
                && self.author.as_ref().is_none_or(|author| author.eq_ignore_ascii_case(&post.author))
                && self.over_18.is_none_or(|over_18| over_18 == post.over_18)
                && self.title.as_ref().is_none_or(|title| post.title.to_lowercase().contains(title))
        };
        state.posts.select(self.subreddit.as_deref(), self.times.clone(), end, limit, wanted)
    }
}

fn limit(state: &State, query: &Parameters) -> Result<usize, Refused> {
    match get(query, "limit") {
        None => Ok(LIMIT_DEFAULT),
        Some("auto") => Ok(state.arctic_shift.auto_limit),
        Some(limit) => limit
            .parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| bad("limit must be between 1 and 100 or auto")),
    }
}

fn is_ascending(query: &Parameters, default: bool) -> Result<bool, Refused> {
    match get(query, "sort") {
        None => Ok(default),
        Some("asc") => Ok(true),
        Some("desc") => Ok(false),
        Some(_) => Err(bad("sort must be asc or desc")),
    }
}

/// The first second of the hour, day, month or year.
fn bucket(second: i64, frequency: &str) -> Result<i64, Refused> {
    const DAY: i64 = 86_400;
    let (day, month) = day_and_month(second);
    let start = second.div_euclid(DAY) * DAY;
    match frequency {
        "hour" => Ok(second.div_euclid(3_600) * 3_600),
        "day" => Ok(start),
        // The first day of the epoch was a Thursday.
        "week" => Ok(start - (start / DAY + 3).rem_euclid(7) * DAY),
        "month" => Ok(start - day * DAY),
        "year" => Ok(start - (day + month) * DAY),
        _ => Err(bad("frequency is not known")),
    }
}

fn posts<'a>(
    state: &State,
    posts: impl Iterator<Item = &'a SimPost>,
    query: &Parameters,
    now: i64,
) -> Result<Vec<Value>, Refused> {
    let fields = list(query, "fields");
    posts
        .filter_map(|post| state.changes.archived(post, now))
        .map(|archived| {
            let post = arctic_shift::post(&archived, now);
            let Some(fields) = &fields else { return Ok(post) };
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            arctic_shift::only(post, &fields).map_err(|reason| bad(&reason))
        })
        .collect()
}

fn bad(reason: &str) -> Refused {
    (StatusCode::BAD_REQUEST, reason.to_owned())
}

/// Counts the request, and answers with `data`, or with `error` beside an empty one.
fn answer(state: &State, give: impl FnOnce(i64) -> Result<Vec<Value>, Refused>) -> Response {
    let now = state.clock.now();
    let rate = state.arctic_rate.count(now);
    let given =
        if rate.is_over { Err((StatusCode::TOO_MANY_REQUESTS, "Slow down a little".to_owned())) } else { give(now) };
    let answer = match given {
        Ok(data) => Json(json!({ "data": data })).into_response(),
        Err((status, error)) => (status, Json(json!({"data": null, "error": error}))).into_response(),
    };
    with_rate(answer, rate)
}

fn with_rate(mut answer: Response, rate: Rate) -> Response {
    for (name, value) in [("x-ratelimit-remaining", rate.remaining as i64), ("x-ratelimit-reset", rate.reset)] {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
    answer
}
