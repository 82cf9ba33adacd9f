//! The one status map: what can go wrong with a request, and which status, type and message the client sees.
//!
//! The body is that of TorchServe, JSON with `code`, `type` and `message`; its exception names are kept where it has
//! one for the case. Unlike TorchServe, which answers 503 "Prediction failed" to whatever a handler cannot read, bad
//! input is the client's error (400) and says what is wrong; what is answered in its place where TorchServe is to be
//! followed to the letter stands in [`ApiError::to_the_letter`].

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use natureddit_model::InputError;
use serde::Serialize;

use crate::batcher::{BatchError, SubmitError};
use crate::compat::Compat;
use crate::loader::LoadError;
use crate::reply::{json, json_text};

/// After how many seconds a client that was turned away may try again. A full queue is worked off within that time.
const RETRY_AFTER_SECONDS: &str = "1";

/// Why a request is not answered with a prediction.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// No such path.
    #[error("Requested resource is not found, please refer to API document.")]
    ResourceNotFound,
    /// The path exists, but not with this method.
    #[error("Requested method is not allowed, please refer to API document.")]
    MethodNotAllowed,
    /// No model of that name is loaded.
    #[error("Model not found: {0}")]
    ModelNotFound(String),
    /// The model is loaded, but not in that version.
    #[error("Model version: {version} does not exist for model: {model}")]
    ModelVersionNotFound {
        /// The model asked for.
        model: String,
        /// The version asked for, as it stood in the path.
        version: String,
    },
    /// A request in plain HTTP where HTTPS is spoken.
    #[error("this port speaks HTTPS: use https:// instead of http://")]
    PlainHttp,
    /// The body is over the limit.
    #[error("the body is over the limit of {bytes_max} bytes")]
    BodyTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive within {} seconds", .0.as_secs_f64())]
    BodyTooSlow(Duration),
    /// The body is not as HTTP has it.
    #[error("the body could not be read: {0}")]
    BodyBroken(String),
    /// The body broke off: there is nobody any more to be told.
    #[error("the body broke off")]
    ClientLeft,
    /// The content type is none that can be read.
    #[error("content type {found:?} is not read here: send {readable}")]
    ContentType {
        /// The one that was sent.
        found: String,
        /// Those that are read.
        readable: &'static str,
    },
    /// Which of several models is asked is not said.
    #[error("Parameter model_name is required: several models are served here ({})", .0.join(", "))]
    ModelNameRequired(Vec<String>),
    /// A multipart body that cannot be taken apart.
    #[error("malformed multipart body: {0}")]
    Multipart(String),
    /// A field that was given twice.
    #[error("field {0:?} is given twice")]
    FieldTwice(&'static str),
    /// More parts than a request needs.
    #[error("the body has more than {parts_max} parts")]
    TooManyParts {
        /// The limit.
        parts_max: usize,
    },
    /// JSON that cannot be read, or not as what was asked for.
    #[error("the body is not the JSON that is read here: {0}")]
    Json(String),
    /// An image that was to be base64 and is not.
    #[error("image is not base64: {0}")]
    NotBase64(String),
    /// More posts than one request may have.
    #[error("the request has more than {instances_max} instances")]
    TooManyInstances {
        /// The limit.
        instances_max: usize,
    },
    /// One post of several cannot be classified.
    #[error("instances[{index}]: {source}")]
    Instance {
        /// Which one, from 0.
        index: usize,
        /// Why.
        source: InputError,
    },
    /// A tensor that cannot be read.
    #[error("input {name:?}: {reason}")]
    Tensor {
        /// What the client calls it.
        name: String,
        /// Why.
        reason: String,
    },
    /// A tensor that there is none of.
    #[error("there is no output {0:?}")]
    Output(String),
    /// The text is not UTF-8.
    #[error("text is not UTF-8: {0}")]
    TextNotUtf8(std::str::Utf8Error),
    /// What was sent cannot be classified.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Too many requests are waiting or being read.
    #[error("the server is busy: too many requests are waiting")]
    Busy,
    /// As many requests wait for this model as may.
    #[error("the queue of model {0} is full: too many requests are waiting")]
    QueueFull(String),
    /// The model is being unloaded.
    #[error("the model is shutting down")]
    ShuttingDown,
    /// No answer in time.
    #[error("no answer within {} seconds", .0.as_secs_f64())]
    ResponseTimeout(Duration),
    /// The model failed or the server has a fault; the log says which.
    #[error("Prediction failed")]
    Internal,
    /// A key is needed and was not given, or is another.
    #[error("Token Authorization failed. Token either incorrect, expired, or not provided correctly")]
    InvalidKey,
    /// A parameter of a request to the management API is missing or wrong.
    #[error("{0}")]
    Parameter(String),
    /// More workers than a model may have.
    #[error("{workers} workers are more than the {workers_max} a model may have")]
    TooManyWorkers {
        /// What was asked for.
        workers: usize,
        /// The limit.
        workers_max: usize,
    },
    /// A model that is registered is not there.
    #[error("Model not found at: {0}")]
    NotFoundAt(String),
    /// A model that is registered is outside of the model store.
    #[error("Relative path is not allowed in url: {0}")]
    RelativePath(String),
    /// A model is registered from where none may be.
    #[error("Given URL {0} does not match any allowed URL(s)")]
    UrlNotAllowed(String),
    /// A model archive could not be fetched.
    #[error("Failed to download archive from: {url}: {reason}")]
    NotFetched {
        /// From where, without what may be secret in it.
        url: String,
        /// Why.
        reason: String,
    },
    /// A model archive of that name is in the model store.
    #[error("Model file already exists {0}: it can be registered by that name")]
    ArchiveExists(String),
    /// The version that a model archive holds is in the model store.
    #[error(
        "Model version {version} of {model} already exists in the model store: it can be registered as {model}/{version}"
    )]
    VersionExists {
        /// The model.
        model: String,
        /// The version.
        version: u64,
    },
    /// A model is not one that can be served.
    #[error("the model was refused: {0}")]
    NotLoaded(String),
    /// A version is registered twice.
    #[error("Model version {version} is already registered for model {model}")]
    AlreadyRegistered {
        /// The model.
        model: String,
        /// The version.
        version: u64,
    },
    /// A version that is to be the default, or to have a share of the requests, is not there.
    #[error("Model version {version} does not exist for model {model}")]
    NoSuchVersion {
        /// The model.
        model: String,
        /// The version.
        version: String,
    },
    /// The default version cannot go while there are others.
    #[error("Cannot remove default version for model {0}")]
    IsDefault(String),
    /// The default answers all requests that no other does.
    #[error("version {version} of model {model} is its default: a share is for another version")]
    DefaultHasAll {
        /// The model.
        model: String,
        /// The version.
        version: u64,
    },
    /// The model was scaled down to nothing.
    #[error("{}", no_worker(.0))]
    NoWorker(String),
}

impl ApiError {
    /// The status and TorchServe's name for the case.
    pub(crate) fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::ResourceNotFound => (StatusCode::NOT_FOUND, "ResourceNotFoundException"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowedException"),
            Self::ModelNotFound(_) => (StatusCode::NOT_FOUND, "ModelNotFoundException"),
            Self::ModelVersionNotFound { .. } => (StatusCode::NOT_FOUND, "ModelVersionNotFoundException"),
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException"),
            Self::BodyTooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException"),
            Self::ContentType { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaTypeException"),
            Self::PlainHttp
            | Self::BodyBroken(_)
            | Self::ClientLeft
            | Self::Multipart(_)
            | Self::FieldTwice(_)
            | Self::TooManyParts { .. }
            | Self::ModelNameRequired(_)
            | Self::Json(_)
            | Self::NotBase64(_)
            | Self::TooManyInstances { .. }
            | Self::Instance { .. }
            | Self::Tensor { .. }
            | Self::Output(_)
            | Self::TextNotUtf8(_)
            | Self::Input(_)
            | Self::Parameter(_)
            | Self::TooManyWorkers { .. }
            | Self::DefaultHasAll { .. } => (StatusCode::BAD_REQUEST, "BadRequestException"),
            Self::NotLoaded(_) => (StatusCode::BAD_REQUEST, "InvalidModelException"),
            Self::UrlNotAllowed(_) => (StatusCode::BAD_REQUEST, "InvalidArchiveURLException"),
            Self::NotFetched { .. } => (StatusCode::BAD_REQUEST, "DownloadArchiveException"),
            Self::InvalidKey => (StatusCode::UNAUTHORIZED, "InvalidKeyException"),
            Self::NotFoundAt(_) | Self::RelativePath(_) => (StatusCode::NOT_FOUND, "ModelNotFoundException"),
            Self::NoSuchVersion { .. } => (StatusCode::NOT_FOUND, "ModelVersionNotFoundException"),
            Self::AlreadyRegistered { .. } | Self::ArchiveExists(_) | Self::VersionExists { .. } => {
                (StatusCode::CONFLICT, "ConflictStatusException")
            }
            Self::IsDefault(_) => (StatusCode::FORBIDDEN, "InvalidModelVersionException"),
            Self::Busy | Self::QueueFull(_) | Self::ShuttingDown | Self::NoWorker(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException")
            }
            Self::ResponseTimeout(_) => (StatusCode::GATEWAY_TIMEOUT, "ResponseTimeoutException"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException"),
        }
    }

    /// What TorchServe 0.12 answers in this case: its status and its body, or none.
    pub(crate) fn to_the_letter(&self) -> (StatusCode, Option<ErrorBody>) {
        let error = |status: StatusCode, kind, message| {
            (status, Some(ErrorBody { code: status.as_u16(), kind, message: cut(message) }))
        };
        let (status, kind) = self.status();
        match self {
            Self::BodyTooLarge { .. } => (status, None),
            Self::ModelNameRequired(_) => error(status, kind, "Parameter model_name is required.".to_owned()),
            Self::QueueFull(model) => error(status, kind, no_worker(model)),
            Self::ResponseTimeout(_) => {
                error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException", "Worker died.".to_owned())
            }
            // Whatever happens inside a handler, which is also where the body is read.
            Self::ContentType { .. }
            | Self::Multipart(_)
            | Self::FieldTwice(_)
            | Self::TooManyParts { .. }
            | Self::Json(_)
            | Self::NotBase64(_)
            | Self::TooManyInstances { .. }
            | Self::Instance { .. }
            | Self::Tensor { .. }
            | Self::Output(_)
            | Self::TextNotUtf8(_)
            | Self::Input(_)
            | Self::Internal => {
                error(StatusCode::SERVICE_UNAVAILABLE, "InternalServerException", "Prediction failed".to_owned())
            }
            // It has no other status than this for what a client sent.
            Self::InvalidKey => error(StatusCode::BAD_REQUEST, kind, self.to_string()),
            // It has the same words for these, or no case of the kind.
            Self::ResourceNotFound
            | Self::MethodNotAllowed
            | Self::ModelNotFound(_)
            | Self::ModelVersionNotFound { .. }
            | Self::PlainHttp
            | Self::BodyTooSlow(_)
            | Self::BodyBroken(_)
            | Self::ClientLeft
            | Self::Busy
            | Self::ShuttingDown
            | Self::NoWorker(_)
            | Self::Parameter(_)
            | Self::TooManyWorkers { .. }
            | Self::NotFoundAt(_)
            | Self::RelativePath(_)
            | Self::UrlNotAllowed(_)
            | Self::NotFetched { .. }
            | Self::ArchiveExists(_)
            | Self::VersionExists { .. }
            | Self::NotLoaded(_)
            | Self::AlreadyRegistered { .. }
            | Self::NoSuchVersion { .. }
            | Self::IsDefault(_)
            | Self::DefaultHasAll { .. } => error(status, kind, self.to_string()),
        }
    }

    fn error_body(&self) -> ErrorBody {
        let (status, kind) = self.status();
        ErrorBody { code: status.as_u16(), kind, message: cut(self.to_string()) }
    }

    /// This error as an answer whose body is another than that of TorchServe.
    pub(crate) fn with_body(self, body: &impl Serialize) -> Response {
        let mut response = json(self.status().0, body);
        let headers = response.headers_mut();
        match self {
            Self::Busy | Self::QueueFull(_) | Self::ShuttingDown => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            Self::InvalidKey => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response.extensions_mut().insert(Refusal(Arc::new(self)));
        response
    }

    /// Why a request was not queued for a model.
    pub(crate) fn not_queued(error: SubmitError, model: &str) -> Self {
        match error {
            SubmitError::Full => Self::QueueFull(model.to_owned()),
            SubmitError::NoWorker => Self::NoWorker(model.to_owned()),
            SubmitError::Closed => Self::ShuttingDown,
        }
    }
}

impl From<LoadError> for ApiError {
    /// With all that led to it, on one line: the one who registers a model has no other way to learn why.
    fn from(error: LoadError) -> Self {
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        Self::NotLoaded(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }
}

/// The longest message, in bytes: what is repeated of a file or a request may be of any length.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// As much of a message as is told and logged.
pub(crate) fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message.push('…');
    }
    message
}

/// What TorchServe says of a full queue, which it does not tell from a model without workers.
fn no_worker(model: &str) -> String {
    format!(
        "Model \"{model}\" has no worker to serve inference request. Please use scale workers API to add workers. If this is \
         a sequence inference, please check if it is closed, or expired; or exceeds maxSequenceJobQueueSize"
    )
}

/// The status line and the body that a client gets that speaks plain HTTP to the HTTPS port, where there is no HTTP yet
/// to send it with.
pub(crate) fn plain_http(compat: Compat) -> (StatusCode, String) {
    /// What TorchServe answers, and to nothing else.
    #[derive(Serialize)]
    struct OnlyHttps {
        status: &'static str,
    }
    match compat {
        Compat::Own => {
            let error = ApiError::PlainHttp;
            (error.status().0, json_text(&error.error_body()).unwrap_or_default())
        }
        Compat::Strict => {
            let body = OnlyHttps { status: "This TorchServe instance only accepts HTTPS requests" };
            (StatusCode::FORBIDDEN, json_text(&body).unwrap_or_default())
        }
    }
}

/// What an answer was made of, for who has other words for it.
#[derive(Clone)]
pub(crate) struct Refusal(pub(crate) Arc<ApiError>);

/// Whether a client left before its request was there.
pub(crate) fn is_of_client_that_left(response: &Response) -> bool {
    let refusal = response.extensions().get::<Refusal>();
    refusal.is_some_and(|Refusal(error)| matches!(**error, ApiError::ClientLeft))
}

impl From<BatchError> for ApiError {
    /// The batcher has logged what it was; to the client it is all the same.
    fn from(_: BatchError) -> Self {
        Self::Internal
    }
}

/// The body of an error.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorBody {
    code: u16,
    #[serde(rename = "type")]
    kind: &'static str,
    message: String,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = self.error_body();
        self.with_body(&body)
    }
}
