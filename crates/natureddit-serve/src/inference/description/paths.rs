//! The paths and what can be done with each.

use serde_json::{Value, json};

use super::Scope;
use super::operations::{Named, Responses, get, named, operation, operation_with, post_content};
use super::schemas::{json_content, reference};
use crate::compat::Compat;

type Paths = Vec<(String, Value)>;

impl Scope {
    /// Every path with its operations by method, as `routes.rs` serves them.
    pub(super) fn paths(&self) -> Paths {
        let mut paths = self.of_server();
        paths.extend(self.of_predictions());
        match self.compat {
            Compat::Own => {
                paths.extend(self.of_kserve_v1());
                paths.extend(self.of_kserve_v2());
            }
            Compat::Strict => {
                let [model, _] = named("");
                paths.push(("/v1/models/{model}:predict".to_owned(), json!({"post": self.v1_predict(&model)})));
                paths.push(("/v2/models/{model}/infer".to_owned(), json!({"post": self.v2_infer(&model, "Error")})));
            }
        }
        paths
    }

    fn of_server(&self) -> Paths {
        let about = "The description of this API";
        let described = self.described();
        let health = Responses::yes_or_no(self.compat, "Health");
        vec![
            ("/".to_owned(), json!({"options": operation("describe_server", about, &[], &described)})),
            ("/api-description".to_owned(), get("api_description", about, &[], &described)),
            ("/ping".to_owned(), get("ping", "Whether every model can be asked", &[], &health)),
        ]
    }

    fn of_predictions(&self) -> Paths {
        let mut paths = Vec::new();
        for Named { suffix, path, parameters } in named("/{model}/{version}") {
            let id = |name: &str| format!("{name}{suffix}");
            let mut operations = self.asked(&id("predict"), "Classifies a post", &parameters, &self.prediction());
            let about = "The description of one model";
            operations["options"] = operation(&id("describe"), about, &parameters, &self.described().or("404"));
            if self.compat == Compat::Strict {
                let fails = get(&id("predict_nothing"), "Fails", &parameters, &Responses::none(self.compat));
                operations["get"] = fails["get"].clone();
                operations["head"] = fails["head"].clone();
            }
            paths.push((format!("/predictions{path}"), operations));
            let explained = self.asked(&id("explain"), "Says why, too", &parameters, &self.explanation());
            paths.push((format!("/explanations{path}"), explained));
        }
        let model_name = json!({
            "name": "model_name", "in": "query", "required": false, "schema": {"type": "string"},
            "description": "The model that is asked, where several are loaded",
        });
        paths.push((
            "/invocations".to_owned(),
            self.asked("invoke", "Classifies a post", &[model_name], &self.prediction()),
        ));
        paths
    }

    fn of_kserve_v1(&self) -> Paths {
        let [model, _] = named("");
        let models = Responses::json(self.compat, "Their names", "Models");
        let ready = Responses::yes_or_no(self.compat, "Readiness").or("404");
        let is_ready = get("v1_model", "Whether a model can be asked", &model.parameters, &ready);
        vec![
            ("/v1/models".to_owned(), get("v1_models", "The models", &[], &models)),
            ("/v1/models/{model}".to_owned(), is_ready),
            ("/v1/models/{model}:predict".to_owned(), json!({"post": self.v1_predict(&model)})),
        ]
    }

    fn of_kserve_v2(&self) -> Paths {
        let server = Responses::json(self.compat, "Its name and version", "ServerMetadata");
        let live = Responses::json(self.compat, "It does", "Live");
        let ready = Responses::yes_or_no(self.compat, "Ready");
        let mut paths = vec![
            ("/v2".to_owned(), get("v2_server", "What this server is", &[], &server)),
            ("/v2/health/live".to_owned(), get("v2_live", "Whether the server runs", &[], &live)),
            ("/v2/health/ready".to_owned(), get("v2_ready", "Whether every model can be asked", &[], &ready)),
        ];
        let ready = Responses::yes_or_no(self.compat, "Readiness").errors_as("V2Error").or("404");
        let tensors = Responses::json(self.compat, "Its tensors", "ModelMetadata").errors_as("V2Error").or("404");
        for model in named("/{model}/versions/{version}") {
            let Named { suffix, path, parameters } = &model;
            let is_ready = get(&format!("v2_model_ready{suffix}"), "Whether a model can be asked", parameters, &ready);
            let about = get(&format!("v2_model{suffix}"), "What a model takes and gives", parameters, &tensors);
            let infer = json!({"post": self.v2_infer(&model, "V2Error")});
            paths.extend(
                [("", about), ("/ready", is_ready), ("/infer", infer)]
                    .map(|(tail, operations)| (format!("/v2/models{path}{tail}"), operations)),
            );
        }
        paths
    }

    fn v1_predict(&self, model: &Named) -> Value {
        let responses = Responses::json(self.compat, "An answer for each instance", "Predictions").or_of_a_body();
        let body = json_content(&reference("Instances"));
        operation_with(&body, "v1_predict", "Classifies several posts", &model.parameters, &responses)
    }

    fn v2_infer(&self, model: &Named, error: &'static str) -> Value {
        let responses = Responses::json(self.compat, "An element or a row for each post", "InferResponse");
        let responses = responses.errors_as(error).or_of_a_body();
        let (body, id) = (json_content(&reference("InferRequest")), format!("v2_infer{}", model.suffix));
        operation_with(&body, &id, "Classifies several posts", &model.parameters, &responses)
    }

    /// `POST` and `PUT` of a post.
    fn asked(&self, id: &str, summary: &str, parameters: &[Value], responses: &Responses) -> Value {
        let one =
            |method: &str| operation_with(&post_content(), &format!("{id}_{method}"), summary, parameters, responses);
        json!({"post": one("post"), "put": one("put")})
    }

    fn described(&self) -> Responses {
        Responses::of(self.compat, "An OpenAPI document", Some(json_content(&json!({"type": "object"}))))
    }

    fn prediction(&self) -> Responses {
        let forms = json!({
            "text/plain; charset=utf-8": {"schema": reference("Label")},
            "application/json": {"schema": reference("Prediction")},
        });
        let responses = match self.compat {
            Compat::Own => {
                Responses::of(self.compat, "The label, or JSON for who accepts it before plain text", Some(forms))
            }
            Compat::Strict => Responses::of(self.compat, "The label, without a content type", None),
        };
        responses.or_of_a_body()
    }

    fn explanation(&self) -> Responses {
        match self.compat {
            Compat::Own => {
                Responses::json(self.compat, "The answer and what it hangs on", "Explanation").or_of_a_body()
            }
            Compat::Strict => self.prediction(),
        }
    }
}
