//! Bodies of any bytes, for [`crate::fuzzing`].

use axum::http::HeaderValue;
use bytes::Bytes;

use super::{Fields, InferRequest, form, json, multipart, read_instances};
use crate::error::ApiError;

/// The boundary that a multipart body is taken to have.
const BOUNDARY: &str = "X";

const INSTANCES_MAX: usize = 8;

/// A body whose first byte chooses how it is read: as `multipart/form-data`, a form, JSON, or one of KServe's protocols.
pub fn post_body(bytes: &[u8]) {
    let Some((&how, body)) = bytes.split_first() else { return };
    let one = |fields: Result<Fields, ApiError>| fields.map(|fields| vec![fields]);
    let read = match how % 5 {
        0 => one(multipart_form(body)),
        1 => one(form::read(body)),
        2 => one(json::read_post(body)),
        3 => read_instances(body, INSTANCES_MAX),
        _ => InferRequest::read(body).and_then(|request| {
            request.outputs()?;
            request.into_posts(INSTANCES_MAX)
        }),
    };
    match read {
        Ok(posts) => {
            assert!(posts.len() <= INSTANCES_MAX);
            let text = |post: &Fields| post.text.as_ref().map_or(0, String::len);
            let image = |post: &Fields| post.image.as_ref().map_or(0, Bytes::len);
            let bytes: usize = posts.iter().map(|post| text(post) + image(post)).sum();
            assert!(bytes <= body.len(), "a body is never unpacked to more than it is");
        }
        Err(error) => assert!(error.status().0.is_client_error(), "the server is not at fault: {error}"),
    }
}

fn multipart_form(body: &[u8]) -> Result<Fields, ApiError> {
    let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={BOUNDARY}"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a thread can wait");
    runtime.block_on(multipart::read(content_type.ok(), Bytes::copy_from_slice(body)))
}
