//! What a client is answered.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::ext::ReasonPhrase;
use natureddit_core::ClassNames;
use natureddit_model::Prediction;
use serde::ser::{Serialize, Serializer};

use crate::access::{Origin, RequestId};
use crate::compat::Compat;
use crate::loaded::LoadedModel;

/// The forms of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyForm {
    /// The label alone, without a newline: what the original service answered.
    Label,
    /// The same as TorchServe sends it: without a type and with an empty reason phrase.
    Bare,
    /// JSON with probabilities, version and prediction id.
    Json,
}

impl ReplyForm {
    /// JSON when `Accept` names it before plain text; weights (`q=`) are not looked at. TorchServe looks at nothing.
    pub(crate) fn of(headers: &HeaderMap, compat: Compat) -> Self {
        if compat == Compat::Strict {
            return Self::Bare;
        }
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut media_types = accepted.flat_map(|list| list.split(',')).map(|range| {
            let media_type = range.split(';').next().unwrap_or_default();
            media_type.trim().to_ascii_lowercase()
        });
        match media_types.find(|media_type| matches!(media_type.as_str(), "application/json" | "text/plain")) {
            Some(first) if first == "application/json" => Self::Json,
            _ => Self::Label,
        }
    }
}

/// The body of a prediction in JSON.
#[derive(serde::Serialize)]
pub(crate) struct PredictionBody<'a> {
    #[serde(flatten)]
    answer: AnswerBody<'a>,
    model: &'a str,
    version: String,
    prediction_id: &'a RequestId,
}

impl<'a> PredictionBody<'a> {
    pub(crate) fn new(model: &'a LoadedModel, prediction: &'a Prediction, id: &'a RequestId) -> Self {
        let version = model.version().to_string();
        Self { answer: AnswerBody::new(model, prediction), model: model.name(), version, prediction_id: id }
    }
}

/// What the model says of one post.
#[derive(serde::Serialize)]
pub(crate) struct AnswerBody<'a> {
    label: &'a str,
    probabilities: Probabilities<'a>,
}

impl<'a> AnswerBody<'a> {
    pub(crate) fn new(model: &'a LoadedModel, prediction: &'a Prediction) -> Self {
        let probabilities = Probabilities(&model.classes, &prediction.probabilities);
        Self { label: model.classes.name(prediction.class), probabilities }
    }
}

/// A map of class name to probability in the order of the model's classes.
struct Probabilities<'a>(&'a ClassNames, &'a [f32]);

impl Serialize for Probabilities<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.names().zip(self.1))
    }
}

/// What ties an answer to the version that gave it, in either form: `naturedditTI/3/<prediction id>`, of which
/// `natureddit lineage` tells the origin.
const X_NATUREDDIT_PREDICTION: HeaderName = HeaderName::from_static("x-natureddit-prediction");

/// The answer to a request that was classified.
pub(crate) fn prediction(form: ReplyForm, model: &LoadedModel, prediction: &Prediction, id: &RequestId) -> Response {
    let label = model.classes.name(prediction.class).to_owned();
    let response = match form {
        ReplyForm::Label => label.into_response(),
        ReplyForm::Bare => {
            let mut response = Response::new(Body::from(label));
            response.extensions_mut().insert(ReasonPhrase::from_static(b""));
            response
        }
        ReplyForm::Json => json(StatusCode::OK, &PredictionBody::new(model, prediction, id)),
    };
    with_origin(response, model, id)
}

/// The answer with the header that tells where it comes from.
pub(crate) fn with_origin(mut response: Response, model: &LoadedModel, id: &RequestId) -> Response {
    let origin = format!("{}/{}/{}", model.name(), model.version(), id.as_str());
    // A model's name is a plain one, which every header can hold.
    if let Ok(origin) = HeaderValue::from_str(&origin) {
        response.headers_mut().insert(X_NATUREDDIT_PREDICTION, origin);
    }
    response.extensions_mut().insert(Origin { model: model.shared_name(), version: model.version() });
    response
}

/// JSON as TorchServe writes it: indented by two, with a newline at the end.
pub(crate) fn json_text(body: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(body).map(|text| text + "\n")
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match json_text(body) {
        Ok(text) => {
            let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            (status, [content_type], text).into_response()
        }
        Err(error) => {
            tracing::error!("a reply could not be written as JSON: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &[&'static str]) -> ReplyForm {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        ReplyForm::of(&headers, Compat::Own)
    }

    #[test]
    fn json_is_answered_only_to_who_asks_for_it() {
        assert_eq!(form(&[]), ReplyForm::Label);
        assert_eq!(form(&["*/*"]), ReplyForm::Label);
        assert_eq!(form(&["text/plain, application/json"]), ReplyForm::Label);
        assert_eq!(form(&["application/json"]), ReplyForm::Json);
        assert_eq!(form(&["Application/JSON; q=0.9, text/plain"]), ReplyForm::Json);
        assert_eq!(form(&["text/html", "application/json"]), ReplyForm::Json);
    }

    #[test]
    fn probabilities_keep_the_order_of_the_classes() {
        let classes = ClassNames::new(vec!["landscape".into(), "fauna".into()]).unwrap();
        let text = serde_json::to_string(&Probabilities(&classes, &[0.25, 0.75])).unwrap();
        assert_eq!(text, r#"{"landscape":0.25,"fauna":0.75}"#);
    }
}
