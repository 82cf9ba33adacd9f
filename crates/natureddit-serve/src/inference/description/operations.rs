//! What operations are made of.

use serde_json::{Map, Value, json};

use super::schemas::{json_content, reference, text_or_image, title};
use crate::compat::Compat;

/// Why an answer is none: the statuses that `error.rs` gives.
const REASONS: [(&str, &str); 8] = [
    ("400", "What was sent cannot be classified; the message says why and names the field"),
    ("404", "No such model or version is loaded"),
    ("408", "The body did not arrive in time"),
    ("413", "The body is over the limit"),
    ("415", "The content type is none that is read"),
    ("500", "The model failed"),
    ("503", "Too many requests are waiting, or the server is stopping"),
    ("504", "No answer in time"),
];

/// What can be answered to a body in place of a prediction.
const OF_A_BODY: &[&str] = &["400", "404", "408", "413", "415", "500", "503", "504"];

/// The same where TorchServe is followed to the letter: it calls what it cannot read a failure (503), and dead a worker that
/// is slow (500).
const OF_A_BODY_STRICT: &[&str] = &["400", "404", "408", "413", "500", "503"];

/// The answers to an operation by status.
#[derive(Clone)]
pub(super) struct Responses {
    compat: Compat,
    /// The schema of errors.
    error: &'static str,
    by_status: Map<String, Value>,
}

impl Responses {
    /// 200 with `content`, which may be none.
    pub(super) fn of(compat: Compat, description: &str, content: Option<Value>) -> Self {
        let none = Self { compat, error: "Error", by_status: Map::new() };
        none.and("200", description, content)
    }

    /// 200 with JSON of this schema.
    pub(super) fn json(compat: Compat, description: &str, schema: &str) -> Self {
        Self::of(compat, description, Some(json_content(&reference(schema))))
    }

    /// 200 or 503 with the same schema: whether something is so.
    pub(super) fn yes_or_no(compat: Compat, schema: &str) -> Self {
        Self::json(compat, "Yes", schema).and("503", "No", Some(json_content(&reference(schema))))
    }

    /// What a body is refused with, and nothing else: there is none.
    pub(super) fn none(compat: Compat) -> Self {
        Self { compat, error: "Error", by_status: Map::new() }.or("404").or("503")
    }

    /// Errors from here on have another schema.
    pub(super) fn errors_as(self, error: &'static str) -> Self {
        Self { error, ..self }
    }

    /// Or this error.
    pub(super) fn or(self, status: &str) -> Self {
        let reason = REASONS.iter().find(|(of, _)| *of == status).map_or("", |(_, reason)| reason);
        let told_nothing = self.compat == Compat::Strict && status == "413";
        let content = (!told_nothing).then(|| json_content(&reference(self.error)));
        self.and(status, reason, content)
    }

    /// Or what can be wrong with a body.
    pub(super) fn or_of_a_body(self) -> Self {
        let statuses = if self.compat == Compat::Own { OF_A_BODY } else { OF_A_BODY_STRICT };
        statuses.iter().fold(self, |responses, status| responses.or(status))
    }

    fn and(mut self, status: &str, description: &str, content: Option<Value>) -> Self {
        let mut response = json!({"description": description});
        if let Some(content) = content {
            response["content"] = content;
        }
        self.by_status.insert(status.to_owned(), response);
        self
    }
}

/// A request and its answers.
pub(super) fn operation(id: &str, summary: &str, parameters: &[Value], responses: &Responses) -> Value {
    json!({"operationId": id, "summary": summary, "parameters": parameters, "responses": responses.by_status})
}

/// The same with a body, which is required.
pub(super) fn operation_with(
    body: &Value,
    id: &str,
    summary: &str,
    parameters: &[Value],
    responses: &Responses,
) -> Value {
    let mut operation = operation(id, summary, parameters, responses);
    operation["requestBody"] = json!({"required": true, "content": body});
    operation
}

/// A `GET`, and the `HEAD` that goes with it.
pub(super) fn get(id: &str, summary: &str, parameters: &[Value], responses: &Responses) -> Value {
    let mut without_content = responses.clone();
    for response in without_content.by_status.values_mut().filter_map(Value::as_object_mut) {
        response.remove("content");
    }
    json!({
        "get": operation(id, summary, parameters, responses),
        "head": operation(&format!("{id}_head"), summary, parameters, &without_content),
    })
}

/// How a model is named in a path: alone, and with its version.
pub(super) struct Named {
    /// What is put behind the name of an operation.
    pub(super) suffix: &'static str,
    /// What is put behind the beginning of a path.
    pub(super) path: &'static str,
    pub(super) parameters: Vec<Value>,
}

/// As TorchServe has it, and as KServe has it.
pub(super) fn named(with_version: &'static str) -> [Named; 2] {
    let parameter = |name: &str, description: &str| {
        let schema = json!({"type": "string"});
        json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema})
    };
    let model = parameter("model", "The name of a model");
    let version = parameter("version", "A whole number; 3.0 is 3");
    [
        Named { suffix: "", path: "/{model}", parameters: vec![model.clone()] },
        Named { suffix: "_version", path: with_version, parameters: vec![model, version] },
    ]
}

/// The forms of a post.
pub(super) fn post_content() -> Value {
    let image = json!({"type": "string", "format": "binary"});
    let base64 = json!({"type": "string", "description": "Base64"});
    let form = |image: &Value| {
        let (text, either) = (json!({"type": "string", "description": "The title"}), text_or_image(&title(), image));
        json!({"schema": {"type": "object", "properties": {"text": text, "image": image}, "anyOf": either}})
    };
    json!({
        "multipart/form-data": form(&image),
        "application/x-www-form-urlencoded": form(&base64),
        "application/json": {"schema": reference("Post")},
        "text/plain": {"schema": title()},
        "image/*": {"schema": image},
        "application/octet-stream": {"schema": image},
    })
}
