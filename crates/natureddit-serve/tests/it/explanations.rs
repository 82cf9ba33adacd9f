//! `/explanations`; what the weights are worth is tested with a real model in `bundles`.

use reqwest::multipart::Form;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::fixture::{Fixture, Gate, error, gated, post_form, steady};

#[tokio::test]
async fn an_explanation_has_the_answer_and_what_it_hangs_on() {
    let fixture = Fixture::start(vec![steady(2, [0.25, 0.5, 0.25]), steady(1, [0.75, 0.25, 0.0])]).await;
    for (path, method, label) in
        [("nature", Method::POST, "flora"), ("nature", Method::PUT, "flora"), ("nature/1.0", Method::POST, "fauna")]
    {
        let request = fixture.client.request(method, fixture.url(&format!("/explanations/{path}")));
        let response = request.multipart(post_form()).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/json");
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let origin = response.headers()["x-natureddit-prediction"].to_str().unwrap().to_owned();
        let body: Value = response.json().await.unwrap();
        assert_eq!((&body["label"], &body["prediction_id"]), (&json!(label), &json!(id)));
        assert_eq!(origin, format!("nature/{}/{id}", body["version"].as_str().unwrap()));
        // The made-up model keeps nothing of a post.
        assert_eq!((&body["words"], &body["photo"]), (&Value::Null, &Value::Null));
    }
}

#[tokio::test]
async fn what_cannot_be_explained_is_answered_as_what_cannot_be_classified() {
    let fixture = Fixture::start(vec![steady(1, [0.0, 1.0, 0.0])]).await;
    let post = |path: &str| fixture.post(&format!("/explanations/{path}"));
    let cases = [
        (post("nature"), 400, "neither text nor image"),
        (post("nature").multipart(Form::new().text("image", "<html>")), 400, "image: "),
        (post("nope").multipart(post_form()), 404, "Model not found: nope"),
        (post("nature/9").multipart(post_form()), 404, "Model version: 9 does not exist"),
        (fixture.client.get(fixture.url("/explanations/nature")), 405, "method is not allowed"),
    ];
    for (request, expected, reason) in cases {
        let (status, _, message) = error(request.send().await.unwrap()).await;
        assert!(status.as_u16() == expected && message.contains(reason), "{status} {message}");
    }
}

#[tokio::test]
async fn explanations_have_a_limit_of_their_own() {
    let (model, Gate { mut begun, go_on }) = gated();
    let fixture = Fixture::start(vec![model]).await;
    let explain = || fixture.post("/explanations/nature").multipart(post_form()).send();
    let first = tokio::spawn(explain());
    assert_eq!(begun.recv().await, Some(1));
    let response = explain().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(error(response).await.0, StatusCode::SERVICE_UNAVAILABLE);
    // A prediction is taken all the same.
    let prediction = tokio::spawn(fixture.post("/predictions/nature").multipart(post_form()).send());
    (0..2).for_each(|_| go_on.send(()).unwrap());
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(prediction.await.unwrap().unwrap().text().await.unwrap(), "flora");
}
