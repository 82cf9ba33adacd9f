//! The API description is true.

use natureddit_serve::Compat;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::fixture::{Fixture, error, post_form, steady};
use crate::management::{Managed, store};

async fn start(compat: Compat) -> Fixture {
    Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| config.compat = compat).await
}

async fn options(fixture: &Fixture, path: &str) -> Value {
    let response = fixture.client.request(Method::OPTIONS, fixture.url(path)).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    response.json().await.unwrap()
}

/// The path with a model in it.
fn filled(path: &str) -> String {
    path.replace("{model}", "nature").replace("{version}", "1")
}

#[tokio::test]
async fn every_path_answers_the_methods_that_are_described_and_no_others() {
    for compat in [Compat::Own, Compat::Strict] {
        let fixture = start(compat).await;
        let document = options(&fixture, "/").await;
        assert_eq!(document["openapi"], "3.0.3");
        for (path, operations) in document["paths"].as_object().unwrap() {
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
                let request = fixture.client.request(method.parse().unwrap(), fixture.url(&filled(path)));
                let response = request.send().await.unwrap();
                let status = response.status();
                let operation = &operations[method.to_ascii_lowercase()];
                if operation.is_object() {
                    let described = operation["responses"].get(status.as_str());
                    assert!(described.is_some(), "{compat:?} {method} {path}: {status}");
                } else {
                    // What TorchServe does not serve at all it does not find.
                    let is_hidden = compat == Compat::Strict && path == "/v1/models/{model}:predict";
                    let expected = if is_hidden && matches!(method, "GET" | "HEAD") { 404 } else { 405 };
                    assert_eq!(status, expected, "{compat:?} {method} {path}");
                    assert_eq!(response.headers().contains_key("allow"), expected == 405, "{compat:?} {method} {path}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_description_is_there_under_both_its_paths_and_for_each_model() {
    let fixture = start(Compat::Own).await;
    let document = options(&fixture, "/").await;
    let response = fixture.client.get(fixture.url("/api-description")).send().await.unwrap();
    assert_eq!(response.json::<Value>().await.unwrap(), document);
    assert_eq!(document["components"]["schemas"]["Instances"]["properties"]["instances"]["maxItems"], 4);

    for path in ["/predictions/nature", "/predictions/nature/1.0"] {
        let document = options(&fixture, path).await;
        assert_eq!(document["info"]["title"], "RESTful API for: nature");
        assert_eq!(document["components"]["schemas"]["Label"]["enum"], json!(["fauna", "flora", "landscape"]));
        let described = &document["paths"]["/predictions/nature"]["post"]["requestBody"]["content"];
        assert!(described["multipart/form-data"].is_object());
    }
    let response = fixture.client.request(Method::OPTIONS, fixture.url("/predictions/nope")).send().await.unwrap();
    assert_eq!(error(response).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_prediction_is_as_its_schema_says() {
    let fixture = start(Compat::Own).await;
    let document = options(&fixture, "/").await;
    let request = |path: &str| fixture.post(path).header("accept", "application/json").multipart(post_form());
    for (path, schema) in [("/predictions/nature", "Prediction"), ("/explanations/nature", "Explanation")] {
        let body: Value = request(path).send().await.unwrap().json().await.unwrap();
        let mut required: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        let schema = &document["components"]["schemas"][schema];
        let mut described: Vec<&str> = schema["required"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
        required.sort_unstable();
        described.sort_unstable();
        assert_eq!(required, described, "{path}");
    }
}

#[tokio::test]
async fn the_management_api_is_described_at_its_own_port() {
    let managed = Managed::start(store(&[1, 2])).await;
    let document: Value = managed.send(Method::OPTIONS, "/").await.json().await.unwrap();
    let again: Value = managed.send(Method::GET, "/api-description").await.json().await.unwrap();
    assert_eq!(document, again);
    for (path, operations) in document["paths"].as_object().unwrap() {
        // The last of them takes the model away.
        for method in ["OPTIONS", "HEAD", "GET", "PATCH", "POST", "PUT", "DELETE"] {
            let response = managed.send(method.parse().unwrap(), &filled(path)).await;
            let status = response.status();
            let operation = &operations[method.to_ascii_lowercase()];
            if operation.is_object() {
                assert!(operation["responses"].get(status.as_str()).is_some(), "{method} {path}: {status}");
                assert_eq!(operation["security"], json!([{"key": []}]));
            } else {
                assert_eq!(status, 405, "{method} {path}");
                assert!(response.headers().contains_key("allow"), "{method} {path}");
            }
        }
    }
    let described = managed.send(Method::GET, "/models/nature?customized=true").await;
    assert_eq!(described.status(), StatusCode::NOT_FOUND, "it was unregistered");
}

#[tokio::test]
async fn a_model_is_described_as_the_description_says() {
    let managed = Managed::start(store(&[1])).await;
    let document: Value = managed.send(Method::OPTIONS, "/").await.json().await.unwrap();
    let schema = &document["components"]["schemas"]["Descriptions"]["items"];
    let described: Value = managed.send(Method::GET, "/models/nature?customized=true").await.json().await.unwrap();
    for name in schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
        let kind = match &described[0][name] {
            Value::String(_) => "string",
            Value::Number(_) => "integer",
            Value::Bool(_) => "boolean",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::Null => "null",
        };
        assert_eq!(schema["properties"][name]["type"], kind, "{name}");
    }
    assert!(described[0]["metadata"].is_object());
}
