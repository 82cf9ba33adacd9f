//! The paths and their operations.

use serde_json::{Map, Value, json};

use super::Scope;
use super::schemas::{json_content, reference};
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

/// What can be answered to a body that is classified.
const OF_A_BODY: &[&str] = &["400", "404", "408", "413", "415", "500", "503", "504"];

/// The same where TorchServe is followed to the letter: it calls what it cannot read a failure (503), and dead a worker that
/// is slow (500).
const OF_A_BODY_STRICT: &[&str] = &["400", "404", "408", "413", "500", "503"];

type Paths = Vec<(&'static str, Value)>;

impl Scope {
    /// Every path with its operations by method.
    pub(super) fn paths(&self) -> Paths {
        let mut paths = self.of_torchserve();
        paths.extend(match self.compat {
            Compat::Own => [self.of_kserve_v1(), self.of_kserve_v2()].concat(),
            Compat::Strict => self.of_kserve_in_torchserve(),
        });
        paths
    }

    fn of_torchserve(&self) -> Paths {
        let document =
            || self.get(&json!({"description": "This document", "content": json_content(&json!({"type": "object"}))}));
        let health = json_content(&reference("Health"));
        let ping = json!({
            "200": {"description": "Every model can be asked", "content": health},
            "503": {"description": "A model has failed so badly that it must be loaded anew", "content": health},
        });
        let mut paths = vec![
            (
                "/",
                json!({"options": operation("describe_server", "The description of this API", [], &document()["responses"])}),
            ),
            (
                "/api-description",
                with_head(operation("api_description", "The description of this API", [], &document()["responses"])),
            ),
            ("/ping", with_head(operation("ping", "Whether the server can answer", [], &ping))),
        ];
        let described = self.responses(json!({"description": "The description of this model", "content": json_content(&json!({"type": "object"}))}), &["404"]);
        let with_version = [path_parameter("model"), path_parameter("version")];
        for (path, parameters, suffix) in [
            ("/predictions/{model}", &with_version[..1], ""),
            ("/predictions/{model}/{version}", &with_version[..], "_version"),
        ] {
            let mut operations =
                self.asked(&format!("predict{suffix}"), "Classifies a post", parameters, &self.prediction());
            let describe = operation(
                &format!("describe{suffix}"),
                "The description of one model",
                parameters.to_vec(),
                &described,
            );
            operations["options"] = describe;
            if self.compat == Compat::Strict {
                let nothing = json!({"404": self.refusal("Error", "404"), "503": self.refusal("Error", "503")});
                for method in ["get", "head"] {
                    operations[method] =
                        operation(&format!("predict{suffix}_{method}"), "Fails", parameters.to_vec(), &nothing);
                }
            }
            paths.push((path, operations));
        }
        let explanation = match self.compat {
            Compat::Own => {
                json!({"description": "The answer and what it hangs on", "content": json_content(&reference("Explanation"))})
            }
            Compat::Strict => self.prediction(),
        };
        for (path, parameters, suffix) in [
            ("/explanations/{model}", &with_version[..1], ""),
            ("/explanations/{model}/{version}", &with_version[..], "_version"),
        ] {
            paths.push((
                path,
                self.asked(&format!("explain{suffix}"), "Classifies a post and says why", parameters, &explanation),
            ));
        }
        let model_name = json!({
            "name": "model_name", "in": "query", "required": false, "schema": {"type": "string"},
            "description": "The model that is asked, where several are loaded",
        });
        paths.push(("/invocations", self.asked("invoke", "Classifies a post", &[model_name], &self.prediction())));
        paths
    }

    fn of_kserve_v1(&self) -> Paths {
        let model = [path_parameter("model")];
        let models = json!({"description": "The names of the models", "content": json_content(&reference("Models"))});
        vec![
            ("/v1/models", with_head(operation("v1_models", "The models", [], &self.responses(models, &[])))),
            (
                "/v1/models/{model}",
                with_head(operation("v1_model", "Whether a model can be asked", model, &self.readiness("Error"))),
            ),
            ("/v1/models/{model}:predict", json!({"post": self.v1_predict()})),
        ]
    }

    fn of_kserve_v2(&self) -> Paths {
        let ok = |description: &str, schema: &str| {
            self.responses(json!({"description": description, "content": json_content(&reference(schema))}), &[])
        };
        let ready = both_ways("Ready");
        let mut paths = vec![
            (
                "/v2",
                with_head(operation(
                    "v2_server",
                    "What this server is",
                    [],
                    &ok("Its name and version", "ServerMetadata"),
                )),
            ),
            ("/v2/health/live", with_head(operation("v2_live", "Whether the server runs", [], &ok("It does", "Live")))),
            ("/v2/health/ready", with_head(operation("v2_ready", "Whether every model can be asked", [], &ready))),
        ];
        let with_version = [path_parameter("model"), path_parameter("version")];
        for (paths_of, parameters, suffix) in [
            (["/v2/models/{model}", "/v2/models/{model}/ready", "/v2/models/{model}/infer"], &with_version[..1], ""),
            (
                [
                    "/v2/models/{model}/versions/{version}",
                    "/v2/models/{model}/versions/{version}/ready",
                    "/v2/models/{model}/versions/{version}/infer",
                ],
                &with_version[..],
                "_version",
            ),
        ] {
            let metadata = json!({"description": "Its tensors", "content": json_content(&reference("ModelMetadata"))});
            let metadata = self.responses_as("V2Error", metadata, &["404"]);
            let [about, ready, infer] = paths_of;
            let id = |name: &str| format!("v2_{name}{suffix}");
            paths.push((
                about,
                with_head(operation(&id("model"), "What a model takes and gives", parameters.to_vec(), &metadata)),
            ));
            let readiness = self.readiness("V2Error");
            paths.push((
                ready,
                with_head(operation(
                    &id("model_ready"),
                    "Whether a model can be asked",
                    parameters.to_vec(),
                    &readiness,
                )),
            ));
            paths.push((infer, json!({"post": self.v2_infer(&id("infer"), parameters, "V2Error")})));
        }
        paths
    }

    fn of_kserve_in_torchserve(&self) -> Paths {
        vec![
            ("/v1/models/{model}:predict", json!({"post": self.v1_predict()})),
            (
                "/v2/models/{model}/infer",
                json!({"post": self.v2_infer("v2_infer", &[path_parameter("model")], "Error")}),
            ),
        ]
    }

    fn v1_predict(&self) -> Value {
        let answer =
            json!({"description": "An answer for each instance", "content": json_content(&reference("Predictions"))});
        let responses = self.responses(answer, self.of_a_body());
        let mut operation = operation("v1_predict", "Classifies several posts", [path_parameter("model")], &responses);
        operation["requestBody"] = json!({"required": true, "content": json_content(&reference("Instances"))});
        operation
    }

    fn v2_infer(&self, id: &str, parameters: &[Value], error: &str) -> Value {
        let answer =
            json!({"description": "An element for each post", "content": json_content(&reference("InferResponse"))});
        let responses = self.responses_as(error, answer, self.of_a_body());
        let mut operation = operation(id, "Classifies several posts", parameters.to_vec(), &responses);
        operation["requestBody"] = json!({"required": true, "content": json_content(&reference("InferRequest"))});
        operation
    }

    /// `POST` and `PUT` of a post.
    fn asked(&self, id: &str, summary: &str, parameters: &[Value], answer: &Value) -> Value {
        let responses = self.responses(answer.clone(), self.of_a_body());
        let mut operations = Map::new();
        for method in ["post", "put"] {
            let mut operation = operation(&format!("{id}_{method}"), summary, parameters.to_vec(), &responses);
            operation["requestBody"] = post_body();
            operations.insert(method.to_owned(), operation);
        }
        Value::Object(operations)
    }

    fn prediction(&self) -> Value {
        match self.compat {
            Compat::Own => {
                let content = json!({
                    "text/plain; charset=utf-8": {"schema": reference("Label")},
                    "application/json": {"schema": reference("Prediction")},
                });
                json!({"description": "The label, or JSON for who accepts it before plain text", "content": content})
            }
            Compat::Strict => json!({"description": "The label; no content type is named"}),
        }
    }

    fn of_a_body(&self) -> &'static [&'static str] {
        match self.compat {
            Compat::Own => OF_A_BODY,
            Compat::Strict => OF_A_BODY_STRICT,
        }
    }

    fn get(&self, ok: &Value) -> Value {
        json!({"responses": self.responses(ok.clone(), &[])})
    }

    fn readiness(&self, error: &str) -> Value {
        let mut responses = both_ways("Readiness");
        responses["404"] = self.refusal(error, "404");
        responses
    }

    fn responses(&self, ok: Value, statuses: &[&str]) -> Value {
        self.responses_as("Error", ok, statuses)
    }

    fn responses_as(&self, error: &str, ok: Value, statuses: &[&str]) -> Value {
        let refusals = statuses.iter().map(|status| ((*status).to_owned(), self.refusal(error, status)));
        let mut responses: Map<String, Value> = refusals.collect();
        responses.insert("200".to_owned(), ok);
        Value::Object(responses)
    }

    fn refusal(&self, error: &str, status: &str) -> Value {
        let reason = REASONS.iter().find(|(of, _)| *of == status).map_or("", |(_, reason)| reason);
        if self.compat == Compat::Strict && status == "413" {
            return json!({"description": reason});
        }
        json!({"description": reason, "content": json_content(&reference(error))})
    }
}

fn operation(id: &str, summary: &str, parameters: impl Into<Vec<Value>>, responses: &Value) -> Value {
    json!({"operationId": id, "summary": summary, "parameters": parameters.into(), "responses": responses})
}

/// A `GET`, and the `HEAD` that goes with it.
fn with_head(get: Value) -> Value {
    let mut head = get.clone();
    head["operationId"] = json!(format!("{}_head", get["operationId"].as_str().unwrap_or_default()));
    for response in head["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        response.as_object_mut().map(|response| response.remove("content"));
    }
    json!({"get": get, "head": head})
}

fn both_ways(schema: &str) -> Value {
    let content = json_content(&reference(schema));
    json!({"200": {"description": "Yes", "content": content}, "503": {"description": "No", "content": content}})
}

fn path_parameter(name: &str) -> Value {
    let description = match name {
        "version" => "A whole number; 3.0 is 3",
        _ => "The name of a model",
    };
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": {"type": "string"}})
}

/// The forms of a post.
fn post_body() -> Value {
    let image = json!({"type": "string", "format": "binary"});
    let form = |image: &Value| json!({"schema": {"type": "object", "properties": {"text": {"type": "string"}, "image": image}}});
    let base64 = json!({"type": "string", "description": "Base64"});
    json!({
        "required": true,
        "description": "A title, a photo, or both",
        "content": {
            "multipart/form-data": form(&image),
            "application/x-www-form-urlencoded": form(&base64),
            "application/json": {"schema": reference("Post")},
            "text/plain": {"schema": {"type": "string", "description": "The title"}},
            "image/*": {"schema": image},
            "application/octet-stream": {"schema": image},
        },
    })
}
