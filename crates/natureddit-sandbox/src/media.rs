//! The picture hosts: drawn files are drawn when they are asked for.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use natureddit_core::fs;

use crate::corpus::Media;
use crate::picture::Spoilt;
use crate::wire::media::signature;

/// The hosts that serve the corpus's files.
pub(crate) const HOSTS: [&str; 2] = ["i.redd.it", "preview.redd.it"];
/// A larger file is not read from the folder of photos.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// What a host answers before the file itself is made.
pub(crate) fn look_up(
    files: &BTreeMap<String, Media>,
    host: &str,
    file: &str,
    query: &str,
) -> Result<Media, StatusCode> {
    if !HOSTS.contains(&host) {
        return Err(StatusCode::NOT_FOUND);
    }
    // The whole query is signed: one that was escaped, altered or cut is no longer what was signed.
    let is_signed = query.rsplit_once("&s=").is_some_and(|(rest, given)| given == signature(file, rest));
    if host == "preview.redd.it" && !is_signed {
        return Err(StatusCode::FORBIDDEN);
    }
    files.get(file).cloned().ok_or(StatusCode::NOT_FOUND)
}

/// Draws, spoils or reads a file: work for a thread that may block.
pub(crate) fn serve(media: &Media, file: &str) -> Response {
    let bytes = match media {
        Media::Drawn(picture) => picture.encode().map_err(|error| error.to_string()),
        Media::Spoilt(picture, how) => picture.spoil(*how).map_err(|error| error.to_string()),
        Media::File(path) => fs::read_limited(path, FILE_BYTES_MAX).map_err(|error| error.to_string()),
    };
    let kind = match media {
        Media::Spoilt(_, Spoilt::Html { honest: true }) => "text/html; charset=utf-8",
        _ => media_type(file),
    };
    match bytes {
        Ok(bytes) => ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], bytes).into_response(),
        Err(reason) => (StatusCode::INTERNAL_SERVER_ERROR, reason).into_response(),
    }
}

fn media_type(file: &str) -> &'static str {
    match file.rsplit('.').next() {
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("gif") => "image/gif",
        Some("bmp") => "image/bmp",
        _ => "image/jpeg",
    }
}
