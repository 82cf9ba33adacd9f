//! What browsers are told about pages of other origins, as TorchServe tells it: in every answer, whoever asked.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// Which pages of other origins may read answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsConfig {
    /// `Access-Control-Allow-Origin`: an origin, or `*`.
    pub allowed_origin: String,
    /// `Access-Control-Allow-Methods`; none leaves the header out.
    pub allowed_methods: Vec<String>,
    /// `Access-Control-Allow-Headers`; none leaves the header out.
    pub allowed_headers: Vec<String>,
}

/// A word that no header can hold.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} cannot stand in a header")]
pub struct CorsError(String);

/// The headers of every answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct CorsHeaders(Vec<(HeaderName, HeaderValue)>);

impl CorsHeaders {
    /// None where no origin is allowed.
    ///
    /// # Errors
    /// For a word that no header can hold.
    pub(crate) fn new(config: Option<&CorsConfig>) -> Result<Self, CorsError> {
        let Some(CorsConfig { allowed_origin, allowed_methods, allowed_headers }) = config else {
            return Ok(Self::default());
        };
        let headers = [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed_origin.clone()),
            (header::ACCESS_CONTROL_ALLOW_METHODS, allowed_methods.join(",")),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers.join(",")),
        ];
        let given = headers.into_iter().filter(|(_, text)| !text.is_empty());
        let made = given.map(|(name, text)| match HeaderValue::from_str(&text) {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(CorsError(text)),
        });
        made.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a browser asks if a page of another origin may ask something. It does so without a key, and on any path.
    pub(crate) fn is_asked_beforehand(&self, method: &Method, headers: &HeaderMap) -> bool {
        let asks = method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        asks && !self.0.is_empty()
    }

    pub(crate) fn set(&self, headers: &mut HeaderMap) {
        headers.extend(self.0.iter().cloned());
    }
}
