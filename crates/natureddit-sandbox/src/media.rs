//! The picture hosts: drawn files are drawn when they are asked for.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, RawQuery, State as AxumState};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use natureddit_core::fs;

use crate::corpus::Media;
use crate::picture::{Encoding, Picture, Spoilt};
use crate::state::State;
use crate::wire::media::signature;
use crate::zoo;

/// The hosts that serve the corpus's files.
pub(crate) const HOSTS: [&str; 5] = ["i.redd.it", "preview.redd.it", "i.imgur.com", "imgur.com", "m.imgur.com"];
/// A larger file is not read from the folder of photos.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Where imgur sends whoever asks for a picture that is gone.
const REMOVED: &str = "https://i.imgur.com/removed.png";

/// What a host has under a path.
enum Found {
    File(Media),
    /// A web page.
    Page,
    /// Another address.
    Moved(String),
    Refused(StatusCode),
}

/// What a client would rather have than the file as it is.
#[derive(Clone, Copy, PartialEq)]
enum Wish {
    File,
    Page,
    WebP,
}

/// Answers for `/media/{host}/{path}`.
pub(crate) async fn answer(
    AxumState(state): AxumState<Arc<State>>,
    Path((host, path)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let wish = wish(&headers, &host);
    let media = match find(&state, &host, &path, query.as_deref().unwrap_or_default()) {
        Found::File(_) if wish == Wish::Page => return page(),
        Found::File(media) => media,
        Found::Page => return page(),
        Found::Moved(to) => return moved(&to),
        Found::Refused(status) => return status.into_response(),
    };
    let Ok(_permit) = state.drawing.acquire().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let drawn = tokio::task::spawn_blocking(move || serve(&media, &path, wish)).await;
    let answer = drawn.unwrap_or_else(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response());
    match headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
        Some(range) => part(answer, range).await,
        None => answer,
    }
}

/// Browsers ask Reddit's hosts for web pages and WebP, and get them, whatever the address ends with.
fn wish(headers: &HeaderMap, host: &str) -> Wish {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    match host {
        "i.redd.it" if accept.contains("text/html") => Wish::Page,
        "i.redd.it" | "preview.redd.it" if accept.contains("image/webp") => Wish::WebP,
        _ => Wish::File,
    }
}

fn find(state: &State, host: &str, path: &str, query: &str) -> Found {
    // The whole query is signed: one that was escaped, altered or cut is no longer what was signed.
    let is_signed = || query.rsplit_once("&s=").is_some_and(|(rest, given)| given == signature(path, rest));
    match host {
        "preview.redd.it" if !is_signed() => Found::Refused(StatusCode::FORBIDDEN),
        "i.redd.it" | "preview.redd.it" => {
            let now = state.clock.now();
            let owner = state.owners.get(path).map(|&at| &state.posts.all()[at]);
            match state.media.get(path) {
                Some(_) if owner.is_some_and(|post| state.changes.has_no_media(post, now)) => {
                    Found::Refused(StatusCode::NOT_FOUND)
                }
                Some(media) => Found::File(media.clone()),
                None => zoo_file(path).map_or(Found::Refused(StatusCode::NOT_FOUND), Found::File),
            }
        }
        "i.imgur.com" => direct_imgur(state, path),
        "imgur.com" | "m.imgur.com" => match path.rsplit_once('.') {
            Some(_) => Found::Moved(format!("https://i.imgur.com/{path}")),
            None => Found::Page,
        },
        _ => Found::Refused(StatusCode::NOT_FOUND),
    }
}

/// `zoo-{name}`: the zoo is on Reddit's host too, beside the posts' files.
fn zoo_file(path: &str) -> Option<Media> {
    Some(Media::Zoo(zoo::index_of(path.strip_prefix("zoo-")?)?))
}

/// imgur serves a picture under every ending, always in its own format.
fn direct_imgur(state: &State, path: &str) -> Found {
    if path == "removed.png" {
        return Found::File(Media::Removed);
    }
    let Some((id, extension)) = path.split_once('.') else {
        return Found::Moved(format!("https://imgur.com/{path}"));
    };
    if extension.eq_ignore_ascii_case("gifv") {
        return Found::Page;
    }
    match state.media.get(&imgur_key(id)) {
        Some(media) => Found::File(media.clone()),
        None => Found::Moved(REMOVED.to_owned()),
    }
}

/// The name of a picture on imgur among the corpus's files.
pub(crate) fn imgur_key(id: &str) -> String {
    format!("imgur/{id}")
}

/// Draws, spoils or reads a file: work for a thread that may block.
fn serve(media: &Media, file: &str, wish: Wish) -> Response {
    let made = match media {
        Media::Drawn(picture) if wish == Wish::WebP => {
            Picture { encoding: Encoding::WebP, ..picture.clone() }.encode().map_err(|error| error.to_string())
        }
        Media::Drawn(picture) => picture.encode().map_err(|error| error.to_string()),
        Media::Spoilt(picture, how) => picture.spoil(*how).map_err(|error| error.to_string()),
        Media::File(path) => fs::read_limited(path, FILE_BYTES_MAX).map_err(|error| error.to_string()),
        Media::Zoo(at) => Ok(zoo::zoo().remove(*at).bytes),
        Media::Removed => Ok(zoo::removed()),
    };
    let kind = match media {
        Media::Spoilt(_, Spoilt::Html { honest: true }) => "text/html; charset=utf-8",
        Media::Drawn(_) if wish == Wish::WebP => "image/webp",
        Media::Drawn(picture) => media_type(picture.encoding.extension()),
        _ => media_type(file.rsplit('.').next().unwrap_or_default()),
    };
    match made {
        Ok(bytes) => ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], bytes).into_response(),
        Err(reason) => (StatusCode::INTERNAL_SERVER_ERROR, reason).into_response(),
    }
}

fn media_type(extension: &str) -> &'static str {
    match extension {
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "bmp" => "image/bmp",
        _ => "image/jpeg",
    }
}

fn page() -> Response {
    let page =
        "<!DOCTYPE html>\n<html><head><title>a picture</title></head><body>A page about a picture.</body></html>\n";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

fn moved(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static(REMOVED));
    (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
}

/// The part of a file that `range` asks for (RFC 9110, 14: one range of bytes).
async fn part(answer: Response, range: &str) -> Response {
    let (mut parts, body) = answer.into_parts();
    let Ok(whole) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let Some((first, last)) = bounds(range, whole.len()) else {
        parts.status = StatusCode::RANGE_NOT_SATISFIABLE;
        return Response::from_parts(parts, Body::empty());
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    if let Ok(value) = format!("bytes {first}-{last}/{}", whole.len()).parse() {
        parts.headers.insert(header::CONTENT_RANGE, value);
    }
    parts.status = StatusCode::PARTIAL_CONTENT;
    Response::from_parts(parts, Body::from(whole.slice(first..=last)))
}

/// The first and the last byte of `bytes=a-b`, `bytes=a-` or `bytes=-n`.
fn bounds(range: &str, size: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = size.checked_sub(1)?;
    let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => (first, last.min(end)),
        (Ok(first), Err(_)) if last.is_empty() => (first, end),
        (Err(_), Ok(count)) if first.is_empty() => (size.saturating_sub(count), end),
        _ => return None,
    };
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_within_the_file() {
        let cases = [
            ("bytes=0-9", Some((0, 9))),
            ("bytes=90-", Some((90, 99))),
            ("bytes=-5", Some((95, 99))),
            ("bytes=90-500", Some((90, 99))),
            ("bytes=100-", None),
            ("bytes=9-3", None),
            ("lines=1-2", None),
        ];
        assert!(cases.iter().all(|(range, expected)| bounds(range, 100) == *expected));
        assert_eq!(bounds("bytes=0-", 0), None);
    }
}
