//! The bodies.

use serde_json::{Map, Value, json};

use super::Scope;
use crate::compat::Compat;

/// `{"application/json": ...}`
pub(super) fn json_content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

impl Scope {
    pub(super) fn schemas(&self) -> Value {
        let own = self.compat == Compat::Own;
        let mut schemas = Map::new();
        let mut add = |name: &str, schema: Value| drop(schemas.insert(name.to_owned(), schema));
        add("Error", object(&json!({"code": {"type": "integer"}, "type": text(), "message": text()})));
        add("Health", object(&json!({"status": {"type": "string", "enum": ["Healthy", "Unhealthy"]}})));
        add("Label", self.label());
        add("Post", post());
        add("Instances", object(&json!({"instances": list(&reference("Post"), self.instances_max)})));
        let answer = if own { answer() } else { reference("Label") };
        add("Predictions", object(&json!({"predictions": list(&answer, self.instances_max)})));
        add("InferRequest", self.infer_request());
        add("InferResponse", infer_response());
        if own {
            add("V2Error", object(&json!({"error": text()})));
            add("Prediction", prediction());
            add("Explanation", explanation());
            add("Models", object(&json!({"models": {"type": "array", "items": text()}})));
            add("Readiness", object(&json!({"name": text(), "ready": {"type": "boolean"}})));
            add("Ready", object(&json!({"ready": {"type": "boolean"}})));
            add("Live", object(&json!({"live": {"type": "boolean"}})));
            let extensions = json!({"type": "array", "items": text()});
            add("ServerMetadata", object(&json!({"name": text(), "version": text(), "extensions": extensions})));
            add("ModelMetadata", model_metadata());
        }
        Value::Object(schemas)
    }

    fn label(&self) -> Value {
        match &self.model {
            Some(model) => json!({"type": "string", "enum": model.classes}),
            None => text(),
        }
    }

    fn infer_request(&self) -> Value {
        let element = json!({"type": "string", "nullable": true});
        let tensor = object(&json!({
            "name": {"type": "string", "enum": ["text", "image"]},
            "datatype": {"type": "string", "enum": ["BYTES"]},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "description": "[n] or [n, 1]"},
            "data": list(&element, self.instances_max),
        }));
        let output = object(&json!({"name": {"type": "string", "enum": ["label", "probabilities"]}}));
        json!({
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string", "nullable": true},
                "inputs": {"type": "array", "items": tensor, "description": "Texts, images in base64, or both"},
                "outputs": {"type": "array", "nullable": true, "items": output},
            },
        })
    }
}

fn text() -> Value {
    json!({"type": "string"})
}

fn number() -> Value {
    json!({"type": "number"})
}

fn list(items: &Value, items_max: usize) -> Value {
    json!({"type": "array", "items": items, "maxItems": items_max})
}

/// An object that always has all of these.
fn object(properties: &Value) -> Value {
    let names: Vec<&String> = properties.as_object().map(|properties| properties.keys().collect()).unwrap_or_default();
    json!({"type": "object", "required": names, "properties": properties})
}

/// One of the two at least.
pub(super) fn text_or_image(text: &Value, image: &Value) -> Value {
    let has = |name: &str, schema: &Value| json!({"required": [name], "properties": {name: schema}});
    json!([has("text", text), has("image", image)])
}

/// A title that says something.
pub(super) fn title() -> Value {
    json!({"type": "string", "minLength": 1, "pattern": "\\S", "description": "The title"})
}

fn post() -> Value {
    let base64 = json!({"type": "string", "description": "Base64, also as a data: URL"});
    let wrapped = json!({"type": "object", "required": ["b64"], "properties": {"b64": base64}});
    let image = json!({"oneOf": [base64, wrapped]});
    json!({
        "type": "object",
        "anyOf": text_or_image(&title(), &image),
        "description": "One of the two at least. An object or an image may also stand at `data` or `body`, an image at `b64`",
        "properties": {
            "text": {"type": "string", "nullable": true, "description": "The title; blank is none"},
            "image": {"nullable": true, "oneOf": [base64, wrapped], "description": "The photo"},
        },
    })
}

fn answer_properties() -> Value {
    let probabilities = json!({"type": "object", "additionalProperties": number(), "description": "By class"});
    json!({"label": reference("Label"), "probabilities": probabilities})
}

fn answer() -> Value {
    object(&answer_properties())
}

fn prediction() -> Value {
    let mut properties = answer_properties();
    for name in ["model", "version", "prediction_id"] {
        properties[name] = text();
    }
    object(&properties)
}

fn explanation() -> Value {
    let at = json!({"type": "integer", "description": "In bytes of the title"});
    let word = object(&json!({"word": text(), "start": at, "end": at, "weight": number()}));
    let row = json!({"type": "array", "items": number()});
    let middle = json!({
        "type": "number",
        "nullable": true,
        "description": "The grid covers the square in the middle whose side is this share of the short side; null: all",
    });
    let mut map = object(&json!({
        "cells_a_side": {"type": "integer"},
        "weights": {"type": "array", "items": row, "description": "Row by row from the top"},
        "middle": middle,
    }));
    map["nullable"] = json!(true);
    let mut properties = prediction()["properties"].clone();
    properties["words"] = json!({"type": "array", "nullable": true, "items": word});
    properties["photo"] = map;
    object(&properties)
}

fn infer_response() -> Value {
    let element = json!({"oneOf": [text(), number()]});
    let output = object(&json!({
        "name": text(),
        "datatype": text(),
        "shape": {"type": "array", "items": {"type": "integer"}},
        "data": {"type": "array", "items": element},
    }));
    object(&json!({
        "model_name": text(),
        "model_version": text(),
        "id": text(),
        "outputs": {"type": "array", "items": output},
    }))
}

fn model_metadata() -> Value {
    let tensor = object(&json!({
        "name": text(),
        "datatype": text(),
        "shape": {"type": "array", "items": {"type": "integer"}},
    }));
    let texts = json!({"type": "array", "items": text()});
    object(&json!({
        "name": text(),
        "versions": texts,
        "platform": text(),
        "inputs": {"type": "array", "items": tensor},
        "outputs": {"type": "array", "items": tensor},
        "classes": {"type": "array", "items": text(), "description": "In the order of the probabilities"},
    }))
}
