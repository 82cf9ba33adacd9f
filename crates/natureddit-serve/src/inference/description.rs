//! What can be asked and what is answered, as an OpenAPI 3.0 document: `OPTIONS /` and `GET /api-description` for the whole
//! server, `OPTIONS /predictions/{model}` for one model.

mod operations;
mod paths;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use self::schemas::{json_content, reference};
use super::{Inference, Target};
use crate::access::RequestId;
use crate::compat::Compat;
use crate::error::ApiError;
use crate::loaded::LoadedModel;
use crate::reply;

/// The whole server.
pub(super) async fn of_server(State(inference): State<Arc<Inference>>) -> Response {
    reply::json(StatusCode::OK, &Scope::new(&inference, None).document())
}

/// What concerns one model, under its name.
pub(super) async fn of_model(
    State(inference): State<Arc<Inference>>,
    Extension(id): Extension<RequestId>,
    target: Result<Path<Target>, PathRejection>,
) -> Result<Response, ApiError> {
    let model = inference.model(target, &id)?.model;
    let model = Some(Model { name: model.name().to_owned(), classes: classes(&model) });
    Ok(reply::json(StatusCode::OK, &Scope::new(&inference, model).document()))
}

fn classes(model: &LoadedModel) -> Vec<String> {
    model.classes.names().map(str::to_owned).collect()
}

/// What a document is about.
struct Scope {
    compat: Compat,
    instances_max: usize,
    /// Whether clients must show a key.
    needs_key: bool,
    /// Of only this model; `None`: of all of them.
    model: Option<Model>,
}

struct Model {
    name: String,
    classes: Vec<String>,
}

impl Scope {
    fn new(inference: &Inference, model: Option<Model>) -> Self {
        let instances_max = inference.limits.instances_max;
        Self { compat: inference.compat, instances_max, needs_key: inference.keys.is_some(), model }
    }

    fn document(&self) -> Value {
        let title = match &self.model {
            Some(model) => format!("RESTful API for: {}", model.name),
            None => "NatuReddit inference API".to_owned(),
        };
        let mut paths = Map::new();
        for (path, operations) in self.paths() {
            if let Some((path, operations)) = self.narrowed(&path, operations) {
                paths.insert(path, operations);
            }
        }
        let mut components = json!({"schemas": self.schemas()});
        if self.needs_key {
            paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut).for_each(|it| self.lock(it));
            components["securitySchemes"] = json!({"key": {"type": "http", "scheme": "bearer"}});
        }
        json!({
            "openapi": "3.0.3",
            "info": {
                "title": title,
                "description": "Classifies posts of a title and a photo. Paths, bodies and errors are those of TorchServe.",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "paths": paths,
            "components": components,
        })
    }

    /// What an operation asks for and answers where clients must show a key.
    fn lock(&self, operation: &mut Value) {
        operation["security"] = json!([{"key": []}]);
        let status = if self.compat == Compat::Own { "401" } else { "400" };
        if operation["responses"].get(status).is_none() {
            operation["responses"][status] = json!({
                "description": "No key was shown, or another",
                "content": json_content(&reference("Error")),
            });
        }
    }

    /// A path as it stands in a document of one model; `None` where it concerns no model.
    fn narrowed(&self, path: &str, mut operations: Value) -> Option<(String, Value)> {
        let Some(model) = &self.model else { return Some((path.to_owned(), operations)) };
        let narrowed = path.replace("{model}", &model.name);
        if narrowed == path {
            return None;
        }
        for operation in operations.as_object_mut()?.values_mut() {
            if let Some(parameters) = operation["parameters"].as_array_mut() {
                parameters.retain(|parameter| parameter["name"] != "model");
            }
        }
        Some((narrowed, operations))
    }
}
