//! What browsers are told about pages of other origins, as TorchServe tells it: in every answer, whoever asked.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

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

/// Why browsers cannot be told so.
#[derive(Debug, thiserror::Error)]
pub enum CorsError {
    /// A word that no header can hold.
    #[error("{0:?} cannot stand in a header")]
    Word(String),
    /// What is no origin.
    #[error(transparent)]
    Origin(#[from] OriginError),
}

/// What is no origin.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an origin: it must be {}", must_be(.meant.as_deref()))]
pub struct OriginError {
    text: String,
    /// The origin that it begins with.
    meant: Option<String>,
}

impl OriginError {
    /// What it must be.
    #[must_use]
    pub fn must_be(&self) -> String {
        must_be(self.meant.as_deref())
    }
}

fn must_be(meant: Option<&str>) -> String {
    let form = "\"*\" or scheme://host[:port], spelled as browsers do";
    meant.map_or_else(|| form.to_owned(), |meant| format!("{form}: {meant:?}"))
}

impl CorsConfig {
    /// Sees to it that a text is an origin, or `*`. Browsers compare it letter by letter: one with a slash at its end, in
    /// capitals or with the port that its scheme has anyway would allow no page.
    ///
    /// # Errors
    /// For any other text.
    pub fn check_origin(text: &str) -> Result<(), OriginError> {
        let origin = |url: Url| {
            let host = url.host_str().filter(|host| !host.is_empty())?;
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Some(format!("{}://{host}{port}", url.scheme()))
        };
        let meant = Url::parse(text).ok().and_then(origin);
        if text == "*" || meant.as_deref() == Some(text) {
            return Ok(());
        }
        Err(OriginError { text: text.to_owned(), meant })
    }
}

/// The headers of every answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct CorsHeaders(Vec<(HeaderName, HeaderValue)>);

impl CorsHeaders {
    /// None where no origin is allowed.
    ///
    /// # Errors
    /// For what is no origin, and a word that no header can hold.
    pub(crate) fn new(config: Option<&CorsConfig>) -> Result<Self, CorsError> {
        let Some(CorsConfig { allowed_origin, allowed_methods, allowed_headers }) = config else {
            return Ok(Self::default());
        };
        CorsConfig::check_origin(allowed_origin)?;
        let headers = [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed_origin.clone()),
            (header::ACCESS_CONTROL_ALLOW_METHODS, allowed_methods.join(",")),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers.join(",")),
        ];
        let given = headers.into_iter().filter(|(_, text)| !text.is_empty());
        let made = given.map(|(name, text)| match HeaderValue::from_str(&text) {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(CorsError::Word(text)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for good in [
            "*",
            "https://example.org",
            "http://localhost:8080",
            "https://[::1]:8443",
            "http://127.0.0.1:1",
            "moz-extension://0b1c",
        ] {
            assert_eq!(CorsConfig::check_origin(good), Ok(()), "{good}");
        }
        for bad in
            ["", "example.org", "null", "https://", "https://a.example,https://b.example", "a\nb", "*.example.org"]
        {
            let error = CorsConfig::check_origin(bad).unwrap_err();
            assert!(error.must_be().starts_with("\"*\" or scheme://host[:port]"), "{bad}");
        }
        for (bad, meant) in [
            ("https://example.org/", "https://example.org"),
            ("https://Example.org", "https://example.org"),
            ("https://example.org:443", "https://example.org"),
            ("https://user@example.org:8443/app?x#y", "https://example.org:8443"),
            (" https://example.org", "https://example.org"),
        ] {
            let error = CorsConfig::check_origin(bad).unwrap_err();
            assert_eq!(
                error.must_be(),
                format!("\"*\" or scheme://host[:port], spelled as browsers do: {meant:?}"),
                "{bad}"
            );
        }
    }
}
