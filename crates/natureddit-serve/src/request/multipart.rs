//! `multipart/form-data`: what `curl -F` sends.

use axum::body::Body;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderValue, header};
use bytes::Bytes;

use super::PARTS_MAX;
use super::fields::{self, Fields};
use crate::error::ApiError;

/// Reads `text` and `image`; `data` is the image too, as TorchServe's image handlers call it. Others are skipped.
pub(super) async fn read(content_type: Option<HeaderValue>, body: Bytes) -> Result<Fields, ApiError> {
    let mut request = Request::new(Body::from(body));
    request.headers_mut().extend(content_type.map(|value| (header::CONTENT_TYPE, value)));
    let multipart = Multipart::from_request(request, &()).await;
    let mut multipart = multipart.map_err(|e| ApiError::Multipart(e.body_text()))?;
    let mut found = Fields::default();
    let mut parts = 0;
    while let Some(field) = multipart.next_field().await.map_err(|e| ApiError::Multipart(e.body_text()))? {
        parts += 1;
        if parts > PARTS_MAX {
            return Err(ApiError::TooManyParts { parts_max: PARTS_MAX });
        }
        match field.name() {
            Some("text") => found.set_text(fields::text(&bytes_of(field).await?)?)?,
            Some("image" | "data") => found.set_image(bytes_of(field).await?)?,
            // Skipped by asking for the next field.
            _ => {}
        }
    }
    Ok(found)
}

async fn bytes_of(field: Field<'_>) -> Result<Bytes, ApiError> {
    field.bytes().await.map_err(|e| ApiError::Multipart(e.body_text()))
}
