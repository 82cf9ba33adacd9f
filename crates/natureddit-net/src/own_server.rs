//! Asking a server of our own: one address, and one certificate that is trusted for it and for nothing else.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::ACCEPT;
use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder};
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

impl FormField {
    /// A field of text.
    #[must_use]
    pub fn text(name: &'static str, text: &str) -> Self {
        Self { name, value: Bytes::copy_from_slice(text.as_bytes()), file_name: None }
    }

    /// A field that is a file.
    #[must_use]
    pub fn file(name: &'static str, file_name: &str, content: impl Into<Bytes>) -> Self {
        Self { name, value: content.into(), file_name: Some(file_name.to_owned()) }
    }
}

/// The form of a prediction that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerForm {
    /// With probabilities.
    Json,
    /// The label alone.
    Text,
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status: 200.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// A server whose certificate is known, over connections that are kept. No proxy stands between, and no redirect is
/// followed.
#[derive(Clone, Debug)]
pub struct OwnServer {
    client: Client,
    timeout: Duration,
}

impl OwnServer {
    /// Whoever answers with that certificate (PEM), nobody over HTTPS where it is `None`; no answer may take longer than
    /// `timeout`.
    ///
    /// # Errors
    /// [`NetError::Setup`] when the certificate is none.
    pub fn new(certificate_pem: Option<&[u8]>, timeout: Duration) -> Result<Self, NetError> {
        // Fails when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = certificate_pem.map(Certificate::from_pem).transpose().map_err(NetError::Setup)?;
        let builder = Client::builder().tls_certs_only(certificate).redirect(Policy::none()).no_proxy();
        Ok(Self { client: builder.build().map_err(NetError::Setup)?, timeout })
    }

    /// Gets a page.
    ///
    /// # Errors
    /// The connection's errors; [`NetError::TooManyBytes`].
    pub async fn get(&self, url: &Url) -> Result<Answer, NetError> {
        self.send(url, self.client.get(url.clone())).await
    }

    /// Posts a multipart form.
    ///
    /// # Errors
    /// As [`OwnServer::get`].
    pub async fn post_form(&self, url: &Url, form: AnswerForm, fields: Vec<FormField>) -> Result<Answer, NetError> {
        let accept = match form {
            AnswerForm::Json => "application/json",
            AnswerForm::Text => "text/plain",
        };
        let parts = fields.into_iter().fold(Form::new(), |parts, FormField { name, value, file_name }| {
            let part = Part::stream(value);
            parts.part(
                name,
                match file_name {
                    Some(file_name) => part.file_name(file_name),
                    None => part,
                },
            )
        });
        self.send(url, self.client.post(url.clone()).header(ACCEPT, accept).multipart(parts)).await
    }

    async fn send(&self, url: &Url, request: RequestBuilder) -> Result<Answer, NetError> {
        let failed = |source| NetError::Connection { url: redacted(url), source };
        let mut response = request.timeout(self.timeout).send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(NetError::TooManyBytes { url: redacted(url), bytes_max: ANSWER_BYTES_MAX as u64 });
            }
        }
        Ok(Answer { status: response.status().as_u16(), body: String::from_utf8_lossy(&body).into_owned() })
    }
}
