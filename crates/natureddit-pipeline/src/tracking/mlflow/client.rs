//! One request and its answer.

use std::path::Path;

use natureddit_net::{NetError, Request, Response, UploadMethod, masked, redacted};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::Mlflow;
use super::wire::Refusal;
use crate::tracking::Credentials;
use crate::tracking::local::LocalError;

/// The longest answer: a page of runs has less.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// What of a server's words is kept.
const MESSAGE_CHARS_MAX: usize = 300;

/// Why a run is not on the server.
#[derive(Debug, thiserror::Error)]
pub enum MlflowError {
    /// The server was not reached, or did not answer.
    #[error(transparent)]
    Net(#[from] NetError),
    /// It said no.
    #[error("{url} answered {status} {code}: {message}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// MLflow's name of the reason, or nothing.
        code: String,
        /// Its words, or nothing.
        message: String,
    },
    /// Its answer is not MLflow's.
    #[error("{url} does not answer as an MLflow server does: {reason}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The experiment was deleted there.
    #[error("the experiment {name:?} is deleted on the server: restore it there, or name another")]
    ExperimentDeleted {
        /// Its name.
        name: String,
    },
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] LocalError),
}

impl MlflowError {
    /// Whether the server will say the same of this run the next time.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 409 | 413 | 422, .. })
    }

    /// Whether it is about who asks.
    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, .. })
    }

    pub(super) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

/// Whether a request may be repeated when its answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice is as once.
    May,
    /// Twice makes two.
    MustNot,
}

impl Mlflow {
    /// The address of a method of the API: `runs/create`.
    fn api(&self, service: &str, path: &str) -> Url {
        let mut url = self.server.uri.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "2.0", service]).extend(path.split('/'));
        }
        url
    }

    fn authorized(&self, request: Request) -> Request {
        let request = request.accept("application/json").bytes_max(ANSWER_BYTES_MAX);
        match &self.server.credentials {
            Some(Credentials::Basic { user, password }) => request.basic_auth(user, password),
            Some(Credentials::Token(token)) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, MlflowError> {
        let mut url = self.api("mlflow", path);
        url.query_pairs_mut().extend_pairs(query);
        let response = self.authorized(self.client.get(url.as_str())).send().await?;
        self.answer(&url, &self.accepted(&url, response)?)
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        repeat: Repeat,
    ) -> Result<T, MlflowError> {
        let url = self.api("mlflow", path);
        let request = self.authorized(self.client.post_json(url.as_str(), document(&url, body)?));
        let request = if repeat == Repeat::May { request } else { request.without_retries() };
        self.answer(&url, &self.accepted(&url, request.send().await?)?)
    }

    pub(super) async fn delete(&self, path: &str, body: &impl Serialize) -> Result<(), MlflowError> {
        let url = self.api("mlflow", path);
        let request = self.authorized(self.client.delete_json(url.as_str(), document(&url, body)?));
        self.accepted(&url, request.send().await?).map(|_| ())
    }

    /// Uploads a file to `path` below the artifact proxy's root.
    pub(super) async fn upload(&self, path: &str, file: &Path) -> Result<(), MlflowError> {
        let url = self.api("mlflow-artifacts", &format!("artifacts/{path}"));
        let request = self.client.upload(UploadMethod::Put, url.as_str(), file);
        // A proxy that copies the file on to another place answers when that is done.
        let timeout = self.server.upload_timeout;
        let request = self.authorized(request).total_timeout(timeout).upload_silence_max(timeout);
        self.accepted(&url, request.send().await?).map(|_| ())
    }

    /// An answer that is a success.
    fn accepted(&self, url: &Url, response: Response) -> Result<Response, MlflowError> {
        if (200..300).contains(&response.status) {
            return Ok(response);
        }
        // Pages of proxies, and MLflow's own for a wrong password, are no JSON.
        let refusal = serde_json::from_slice(&response.body).unwrap_or_else(|_| Refusal {
            error_code: String::new(),
            message: String::from_utf8_lossy(&response.body).into(),
        });
        Err(MlflowError::Refused {
            url: redacted(url),
            status: response.status,
            code: self.quoted(&refusal.error_code),
            message: self.quoted(&refusal.message),
        })
    }

    fn answer<T: DeserializeOwned>(&self, url: &Url, response: &Response) -> Result<T, MlflowError> {
        serde_json::from_slice(&response.body)
            .map_err(|e| MlflowError::Answer { url: redacted(url), reason: self.quoted(&e.to_string()) })
    }

    /// What is kept of the server's words: on one line, not too long, and without our credentials.
    fn quoted(&self, text: &str) -> String {
        // Before anything is cut: the half of a token would not be known again.
        let text = masked(text, &self.secrets);
        let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join(" ").chars().take(MESSAGE_CHARS_MAX).collect()
    }
}

fn document(url: &Url, body: &impl Serialize) -> Result<String, MlflowError> {
    serde_json::to_string(body).map_err(|e| MlflowError::Answer { url: redacted(url), reason: e.to_string() })
}
