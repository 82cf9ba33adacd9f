//! Reddit's own API for apps: tokens, listings, look-ups and comment pages, as `oauth.reddit.com` and
//! `www.reddit.com` give them.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Query, Request, State as AxumState};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;

use super::rate::Rate;
use super::token::is_known_app;
use super::{Parameters, get, list};
use crate::config::{Anonymous, LostAnchor};
use crate::corpus::SimPost;
use crate::index::End;
use crate::state::State;
use crate::wire::{escaped, reddit};

const LIMIT_DEFAULT: usize = 25;
const LIMIT_MAX: usize = 100;
/// A look-up takes no more names.
const NAMES_MAX: usize = 100;
/// No form is longer.
const FORM_BYTES_MAX: usize = 64 << 10;
/// The grant of an app that runs on its users' devices and can keep no secret.
const INSTALLED_CLIENT: &str = "https://oauth.reddit.com/grants/installed_client";

/// Answers every path that is no other service's.
pub(crate) async fn answer(AxumState(state): AxumState<Arc<State>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if path == "/api/v1/access_token" {
        return token(&state, request).await;
    }
    if is_generic(request.headers()) {
        let body = json!({"message": "Too Many Requests", "error": 429});
        return (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    }
    let anonymous = path.ends_with(".json") && !request.headers().contains_key(header::AUTHORIZATION);
    if anonymous && state.oauth.anonymous == Anonymous::Blocked {
        return blocked();
    }
    if !anonymous && !state.tokens.accept(request.headers(), state.clock.now()) {
        return unauthorized("invalid_token");
    }
    let rate = state.oauth_rate.count(state.clock.now());
    if rate.is_over {
        let body = json!({"message": "Too Many Requests", "error": 429});
        return with_rate((StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response(), rate);
    }
    let answer = match request.method() {
        &Method::GET => page(&state, request.uri()),
        _ => refusal(StatusCode::METHOD_NOT_ALLOWED, None),
    };
    with_rate(answer, rate)
}

/// Whether a client does not say who it is: Reddit hardly lets such ones ask at all.
fn is_generic(headers: &HeaderMap) -> bool {
    const GENERIC: [&str; 7] = ["mozilla/", "python-", "curl/", "wget/", "reqwest/", "java/", "go-http-client/"];
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let agent = agent.to_ascii_lowercase();
    agent.is_empty() || GENERIC.iter().any(|start| agent.starts_with(start))
}

/// `POST /api/v1/access_token`.
async fn token(state: &State, request: Request) -> Response {
    if request.method() != Method::POST {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, None);
    }
    let headers = request.headers().clone();
    let Ok(body) = to_bytes(request.into_body(), FORM_BYTES_MAX).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, None);
    };
    let form = parameters(&String::from_utf8_lossy(&body));
    let installed = get(&form, "grant_type") == Some(INSTALLED_CLIENT);
    if !is_known_app(&headers, &state.oauth, installed) {
        return refusal(StatusCode::UNAUTHORIZED, None);
    }
    let device = get(&form, "device_id").map_or(0, str::len);
    let error = match get(&form, "grant_type") {
        Some("client_credentials") => None,
        Some(INSTALLED_CLIENT) if (20..=30).contains(&device) => None,
        Some(INSTALLED_CLIENT) => Some("invalid_request"),
        // Reddit reports what is wrong with a grant under the status 200.
        _ => Some("unsupported_grant_type"),
    };
    let body = match error {
        Some(error) => json!({ "error": error }),
        None => {
            let seconds = state.oauth.token_seconds;
            let scope = get(&form, "scope").unwrap_or("*");
            let token = state.tokens.give(state.clock.now() + seconds);
            json!({"access_token": token, "token_type": "bearer", "expires_in": seconds, "scope": scope})
        }
    };
    Json(body).into_response()
}

/// What a path shows.
fn page(state: &State, uri: &Uri) -> Response {
    let path = uri.path().replace("%2B", "+").replace("%2b", "+").replace("%2C", ",").replace("%2c", ",");
    let parts: Vec<&str> = path.trim_end_matches(".json").split('/').filter(|part| !part.is_empty()).collect();
    let query = Query::<Parameters>::try_from_uri(uri).map(|query| query.0).unwrap_or_default();
    let found = match parts.as_slice() {
        ["r", subreddits, "new"] => return new_listing(state, subreddits, &query),
        ["api", "info"] => info(state, &list(&query, "id").unwrap_or_default()),
        ["by_id", names] => info(state, &names.split(',').map(str::to_owned).collect::<Vec<_>>()),
        ["comments", id, ..] | ["r", _, "comments", id, ..] => match comments(state, id) {
            Some(page) => page,
            None => return refusal(StatusCode::NOT_FOUND, None),
        },
        _ => return refusal(StatusCode::NOT_FOUND, None),
    };
    shown(found, &query)
}

/// An answer whose texts are escaped unless `raw_json=1` was asked for.
fn shown(value: Value, query: &Parameters) -> Response {
    Json(if get(query, "raw_json") == Some("1") { value } else { escaped(value) }).into_response()
}

/// `/r/{a+b}/new`: newest first, and no further back than the cap.
fn new_listing(state: &State, subreddits: &str, query: &Parameters) -> Response {
    let names: Vec<String> = subreddits.split('+').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let known: Vec<String> = names.iter().filter(|name| state.posts.has_subreddit(name)).cloned().collect();
    if known.is_empty() {
        return match names.first().map_or("", |name| name.split('_').next().unwrap_or_default()) {
            "private" => refusal(StatusCode::FORBIDDEN, Some("private")),
            "banned" => refusal(StatusCode::NOT_FOUND, Some("banned")),
            _ => to_search(subreddits),
        };
    }
    let now = state.clock.now();
    // Gone posts are in no listing.
    let wanted = |_: usize, post: &SimPost| state.changes.seen(post, now).is_some_and(|post| post.removed_by.is_none());
    let listed = state.posts.select(Some(&known), 0..now + 1, End::Newest, state.oauth.listing_max, wanted);
    let limit = get(query, "limit").and_then(|limit| limit.parse::<i64>().ok());
    let limit = limit.map_or(LIMIT_DEFAULT, |limit| limit.clamp(1, LIMIT_MAX as i64) as usize);
    let name = |at: usize| format!("t3_{}", state.posts.all()[at].id);
    let (first, last) = match (get(query, "after"), get(query, "before")) {
        (Some(after), _) => {
            let first = following(state, &listed, after);
            (first, (first + limit).min(listed.len()))
        }
        (None, Some(before)) => {
            let last = state.posts.by_id(before).and_then(|(anchor, _)| listed.iter().position(|&at| at == anchor));
            let last = last.unwrap_or(0);
            (last.saturating_sub(limit), last)
        }
        (None, None) => (0, limit.min(listed.len())),
    };
    let page = &listed[first..last];
    let after = page.last().filter(|_| last < listed.len()).map(|&at| name(at));
    let before = page.first().filter(|_| first > 0 && get(query, "count").is_some()).map(|&at| name(at));
    let posts = page.iter().filter_map(|&at| state.changes.seen(&state.posts.all()[at], now));
    let posts = posts.map(|post| reddit::post(&post, now)).collect();
    shown(reddit::listing(posts, after, before), query)
}

/// Where a page that follows `after` begins.
fn following(state: &State, listed: &[usize], after: &str) -> usize {
    let anchor = state.posts.by_id(after).map(|(at, _)| at);
    if let Some(at) = anchor.and_then(|anchor| listed.iter().position(|&at| at == anchor)) {
        return at + 1;
    }
    match (state.oauth.lost_anchor, anchor) {
        (LostAnchor::Continues, Some(anchor)) => listed.partition_point(|&at| at > anchor),
        (LostAnchor::Restarts, _) => 0,
        (LostAnchor::Ends, _) | (LostAnchor::Continues, None) => listed.len(),
    }
}

/// Posts by name in the order asked for; names that are not known are passed over.
fn info(state: &State, names: &[String]) -> Value {
    let now = state.clock.now();
    let known = names.iter().take(NAMES_MAX).filter(|name| name.starts_with("t3_"));
    let posts = known.filter_map(|name| state.posts.by_id(name));
    let seen = posts.filter_map(|(_, post)| state.changes.seen(post, now));
    reddit::listing(seen.map(|post| reddit::post(&post, now)).collect(), None, None)
}

/// A post and the comments below it, of which there are none.
fn comments(state: &State, id: &str) -> Option<Value> {
    let (_, post) = state.posts.by_id(id)?;
    let now = state.clock.now();
    let post = reddit::post(&*state.changes.seen(post, now)?, now);
    Some(json!([reddit::listing(vec![post], None, None), reddit::listing(Vec::new(), None, None)]))
}

fn parameters(query: &str) -> Parameters {
    let uri = format!("/?{query}").parse::<Uri>().unwrap_or_default();
    Query::<Parameters>::try_from_uri(&uri).map(|query| query.0).unwrap_or_default()
}

/// `{"message": ..., "error": ...}` as Reddit words it.
fn refusal(status: StatusCode, reason: Option<&str>) -> Response {
    let mut body = json!({"message": status.canonical_reason().unwrap_or_default(), "error": status.as_u16()});
    if let Some(reason) = reason {
        body["reason"] = json!(reason);
    }
    (status, Json(body)).into_response()
}

/// 401 or 403 for what a token does not open.
fn unauthorized(error: &str) -> Response {
    let (status, challenge) = (StatusCode::UNAUTHORIZED, format!("Bearer realm=\"reddit\", error=\"{error}\""));
    let mut answer = (status, Json(json!({"error": status.as_u16()}))).into_response();
    set(answer.headers_mut(), "www-authenticate", &challenge);
    answer
}

/// What a browser's address gets without a token.
fn blocked() -> Response {
    let page = "<!doctype html>\n<html><head><title>Blocked</title></head><body><h1>whoa there, pardner!</h1>\
                <p>Your request has been blocked by network security. To continue, log in to your Reddit account or \
                use your developer token.</p></body></html>\n";
    (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "text/html; charset=UTF-8")], page).into_response()
}

/// A subreddit that does not exist sends one to the search.
fn to_search(subreddits: &str) -> Response {
    let to = format!("/subreddits/search?q={subreddits}");
    let page = format!("<html><head><title>302 Found</title></head><body>The resource was found at {to}</body></html>");
    let mut answer = (StatusCode::FOUND, [(header::CONTENT_TYPE, "text/html; charset=UTF-8")], page).into_response();
    set(answer.headers_mut(), "location", &to);
    answer
}

fn with_rate(mut answer: Response, rate: Rate) -> Response {
    let headers = answer.headers_mut();
    set(headers, "x-ratelimit-used", &rate.used.to_string());
    set(headers, "x-ratelimit-remaining", &format!("{}.0", rate.remaining));
    set(headers, "x-ratelimit-reset", &rate.reset.to_string());
    answer
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
