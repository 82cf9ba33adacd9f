//! Asking a server of our own: one address, and one certificate that is trusted for it and for nothing else.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Certificate;
use reqwest::header::ACCEPT;
use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use url::Url;

use crate::error::{NetError, redacted};

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What is posted: a field of a multipart form.
#[derive(Clone, Debug)]
pub struct FormField {
    /// The field's name.
    pub name: &'static str,
    /// Its content.
    pub value: Bytes,
    /// The name of the file it is, for a field that is one.
    pub file_name: Option<String>,
}

/// Posts a form to a server whose certificate is known, and gives the status and the body as text.
///
/// # Errors
/// [`NetError::Setup`] when the certificate is none; the connection's errors; [`NetError::TooManyBytes`].
pub async fn post_form(
    url: &Url,
    certificate_pem: &[u8],
    fields: Vec<FormField>,
    timeout: Duration,
) -> Result<(u16, String), NetError> {
    // Fails when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = Certificate::from_pem(certificate_pem).map_err(NetError::Setup)?;
    let builder = reqwest::Client::builder().tls_certs_only([certificate]).redirect(Policy::none()).no_proxy();
    let client = builder.build().map_err(NetError::Setup)?;
    let mut form = Form::new();
    for FormField { name, value, file_name } in fields {
        let part = Part::stream(value);
        form = form.part(
            name,
            match file_name {
                Some(file_name) => part.file_name(file_name),
                None => part,
            },
        );
    }
    let failed = |source| NetError::Connection { url: redacted(url), source };
    let request = client.post(url.clone()).header(ACCEPT, "application/json").multipart(form).timeout(timeout);
    let mut response = request.send().await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(NetError::TooManyBytes { url: redacted(url), bytes_max: ANSWER_BYTES_MAX as u64 });
        }
    }
    Ok((response.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
}
