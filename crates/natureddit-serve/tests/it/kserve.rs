//! The two protocols of KServe.

use natureddit_model::Prepared;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::fixture::{Fixture, Gate, base64, error, gated, jpeg, named, nature, post_form, steady, told};

async fn get(fixture: &Fixture, path: &str) -> (u16, Value) {
    let response = fixture.client.get(fixture.url(path)).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn post(fixture: &Fixture, path: &str, body: &Value) -> (u16, Value) {
    let response = fixture.post(path).json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn the_first_protocol_lists_models_and_tells_whether_they_are_ready() {
    let fixture = Fixture::start(vec![steady(1, [0.0, 1.0, 0.0]), named("other", [1.0, 0.0, 0.0])]).await;
    assert_eq!(get(&fixture, "/v1/models").await, (200, json!({"models": ["nature", "other"]})));
    assert_eq!(get(&fixture, "/v1/models/nature").await, (200, json!({"name": "nature", "ready": true})));
    assert_eq!(get(&fixture, "/v1/models/nope").await.0, 404);
    let cases = [
        (Method::POST, "nature", "GET,HEAD"),
        (Method::DELETE, "nature", "GET,HEAD"),
        (Method::GET, "nature:predict", "POST"),
        (Method::DELETE, "nature:predict", "POST"),
    ];
    for (method, path, allowed) in cases {
        let request = fixture.client.request(method, fixture.url(&format!("/v1/models/{path}"))).json(&json!({}));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["allow"], allowed, "{path}");
        assert_eq!(error(response).await.0, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn the_first_protocol_answers_every_instance_in_order() {
    let fixture = Fixture::start(vec![told(1)]).await;
    let image = base64(&jpeg());
    // As many as the batcher and its queue of one hold together, and more.
    let instances = json!({"instances": [
        {"text": "a fox"},
        {"image": {"b64": image}},
        {"text": "a fox", "image": image},
        {"data": image},
    ]});
    let (status, body) = post(&fixture, "/v1/models/nature:predict", &instances).await;
    assert_eq!(status, 200, "{body}");
    let labels: Vec<&Value> = body["predictions"].as_array().unwrap().iter().map(|answer| &answer["label"]).collect();
    assert_eq!(labels, ["fauna", "flora", "landscape", "flora"]);
    let probabilities = json!({"fauna": 0.0, "flora": 0.25, "landscape": 0.75});
    assert_eq!(body["predictions"][2]["probabilities"], probabilities);
    assert_eq!(body.as_object().unwrap().len(), 1);
    let (status, body) = post(&fixture, "/v1/models/nature:predict", &json!({"instances": []})).await;
    assert_eq!((status, body), (200, json!({"predictions": []})));
}

#[tokio::test]
async fn bad_instances_are_told_with_their_number() {
    let fixture = Fixture::start(vec![told(1)]).await;
    let url = "/v1/models/nature:predict";
    let cases = [
        (fixture.post(url).json(&json!({"instances": [{"text": "a"}, {}]})), 400, "instances[1]: neither text nor"),
        (fixture.post(url).json(&json!({"instances": [{"image": "AAAA"}]})), 400, "instances[0]: image: "),
        (fixture.post(url).json(&json!({"instances": [1]})), 400, "instances[0]: invalid type: integer `1`"),
        (fixture.post(url).json(&json!({"instances": vec![json!({}); 5]})), 400, "more than 4 instances"),
        (fixture.post(url).body("not json"), 400, "the body is not the JSON that is read here: "),
        (fixture.post(url).multipart(post_form()), 415, "send application/json"),
        (fixture.post("/v1/models/nope:predict").json(&json!({"instances": []})), 404, "Model not found: nope"),
    ];
    for (request, expected, reason) in cases {
        let (status, _, message) = error(request.send().await.unwrap()).await;
        assert_eq!(status.as_u16(), expected, "{message}");
        assert!(message.contains(reason), "{message:?} lacks {reason:?}");
    }
}

#[tokio::test]
async fn a_failing_model_fails_all_instances_and_a_full_queue_turns_them_away() {
    let failing = nature(2, |_| Ok(Prepared::default()), |_| Err("out of memory".to_owned()));
    let fixture = Fixture::start(vec![failing]).await;
    let instances = json!({"instances": [{"text": "a"}, {"text": "b"}]});
    assert_eq!(post(&fixture, "/v1/models/nature:predict", &instances).await.0, 500);

    let (model, Gate { mut begun, go_on }) = gated();
    let fixture = Fixture::start(vec![model]).await;
    let predict = || fixture.post("/predictions/nature").multipart(post_form()).send();
    let running = tokio::spawn(predict());
    assert_eq!(begun.recv().await, Some(1));
    // One of the two fits into the queue, and the other waits for that, not for its own turn.
    let instances = tokio::spawn(fixture.post("/v1/models/nature:predict").json(&instances).send());
    (0..3).for_each(|_| go_on.send(()).unwrap());
    assert_eq!(instances.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(running.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn the_second_protocol_tells_what_there_is() {
    let fixture = Fixture::start(vec![steady(1, [0.0, 1.0, 0.0]), steady(3, [1.0, 0.0, 0.0])]).await;
    let (status, server) = get(&fixture, "/v2").await;
    assert_eq!((status, &server["name"], &server["extensions"]), (200, &json!("natureddit"), &json!([])));
    assert_eq!(get(&fixture, "/v2/health/live").await, (200, json!({"live": true})));
    assert_eq!(get(&fixture, "/v2/health/ready").await, (200, json!({"ready": true})));
    let metadata = json!({
        "name": "nature",
        "versions": ["1", "3"],
        "platform": "natureddit",
        "inputs": [
            {"name": "text", "datatype": "BYTES", "shape": [-1]},
            {"name": "image", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        ],
        "classes": ["fauna", "flora", "landscape"],
    });
    for path in ["/v2/models/nature", "/v2/models/nature/versions/1"] {
        assert_eq!(get(&fixture, path).await, (200, metadata.clone()));
        let ready = get(&fixture, &format!("{path}/ready")).await;
        assert_eq!(ready, (200, json!({"name": "nature", "ready": true})));
    }
    let missing = (404, json!({"error": "Model not found: nope"}));
    assert_eq!(get(&fixture, "/v2/models/nope").await, missing);
    assert_eq!(get(&fixture, "/v2/models/nope/ready").await, missing);
}

#[tokio::test]
async fn the_second_protocol_answers_tensors() {
    let fixture = Fixture::start(vec![told(3)]).await;
    let image = base64(&jpeg());
    let inputs = json!([
        {"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": [["a fox"], [null]]},
        {"name": "image", "shape": [2], "datatype": "BYTES", "data": [image, image]},
    ]);
    let label = json!({"name": "label", "datatype": "BYTES", "shape": [2], "data": ["landscape", "flora"]});
    let probabilities = json!({
        "name": "probabilities", "datatype": "FP32", "shape": [2, 3], "data": [0.0, 0.25, 0.75, 0.0, 1.0, 0.0],
    });
    let expected = |outputs: Value| {
        (200, json!({"model_name": "nature", "model_version": "3", "id": "seven", "outputs": outputs}))
    };
    for path in ["/v2/models/nature/infer", "/v2/models/nature/versions/3/infer"] {
        let answer = post(&fixture, path, &json!({"id": "seven", "inputs": inputs})).await;
        assert_eq!(answer, expected(json!([label, probabilities])));
    }
    let only = json!({"id": "seven", "inputs": inputs, "outputs": [{"name": "probabilities"}]});
    assert_eq!(post(&fixture, "/v2/models/nature/infer", &only).await, expected(json!([probabilities])));
    // Without an id of the client's it is that of the request.
    let response = fixture.post("/v2/models/nature/infer").json(&json!({"inputs": inputs})).send().await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(response.json::<Value>().await.unwrap()["id"], id);
}

#[tokio::test]
async fn errors_of_the_second_protocol_are_one_text() {
    let fixture = Fixture::start(vec![told(3)]).await;
    let text = |count: usize| json!({"name": "text", "shape": [count], "datatype": "BYTES", "data": vec!["a"; count]});
    let url = "/v2/models/nature/infer";
    let nothing = json!({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [null]}]});
    let unknown_output = json!({"inputs": [text(1)], "outputs": [{"name": "logits"}]});
    let cases = [
        (url, nothing, 400, "instances[0]: neither text nor image was given"),
        (url, json!({"inputs": [text(5)]}), 400, "the request has more than 4 instances"),
        (url, unknown_output, 400, "there is no output \"logits\""),
        ("/v2/models/nope/infer", json!({"inputs": []}), 404, "Model not found: nope"),
        ("/v2/models/nature/versions/9/infer", json!({}), 404, "Model version: 9 does not exist for model: nature"),
    ];
    for (path, body, status, message) in cases {
        assert_eq!(post(&fixture, path, &body).await, (status, json!({"error": message})), "{path}");
    }
    let response = fixture.post(url).header(CONTENT_TYPE, "application/octet-stream").body("x").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_model_that_panicked_is_not_ready() {
    let (model, gate) = gated();
    let fixture = Fixture::start(vec![model]).await;
    drop(gate);
    assert_eq!(fixture.ask("unlucky").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(get(&fixture, "/v1/models/nature").await, (503, json!({"name": "nature", "ready": false})));
    assert_eq!(get(&fixture, "/v2/models/nature/ready").await, (503, json!({"name": "nature", "ready": false})));
    assert_eq!(get(&fixture, "/v2/health/ready").await, (503, json!({"ready": false})));
    let head = fixture.client.request(Method::HEAD, fixture.url("/v2/health/live")).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
}
