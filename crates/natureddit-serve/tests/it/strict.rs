//! What a client gets that depends on TorchServe to the letter; the captured requests are in `torchserve`.

use std::time::Duration;

use natureddit_serve::{Compat, LoadedModel, ServeConfig};
use reqwest::header::{ACCEPT, CONNECTION};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, Gate, base64, gated, jpeg, post_form, steady, told};

async fn start(models: Vec<LoadedModel>, change: impl FnOnce(&mut ServeConfig)) -> Fixture {
    let mut fixture = Fixture::start_with(models, |config| {
        config.compat = Compat::Strict;
        change(config);
    })
    .await;
    // TorchServe speaks no HTTP/2.
    fixture.client = fixture.trusting().http1_only().build().unwrap();
    fixture
}

/// Sends a request over plain HTTP and reads the answer until the server closes.
async fn exchange(fixture: &Fixture, request: &str) -> String {
    let mut stream = TcpStream::connect(fixture.server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn refused(request: reqwest::RequestBuilder) -> (u16, String, String) {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()[CONNECTION], "close");
    assert_eq!(response.headers()["content-type"], "application/json");
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["code"], status);
    let text = |key: &str| body[key].as_str().unwrap().to_owned();
    (status, text("type"), text("message"))
}

#[tokio::test]
async fn a_prediction_has_an_empty_reason_phrase_and_no_content_type() {
    let fixture = start(vec![steady(1, [0.0, 1.0, 0.0])], |config| config.tls = None).await;
    let head = "POST /predictions/nature HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\n";
    let answer = exchange(&fixture, &format!("{head}Content-Length: 5\r\n\r\na fox")).await;
    assert!(answer.starts_with("HTTP/1.1 200 \r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nflora"), "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("content-type"), "{answer}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_told_nothing() {
    let fixture = start(vec![steady(1, [0.0, 1.0, 0.0])], |config| config.tls = None).await;
    let head =
        "POST /predictions/nature HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n";
    let answer = exchange(&fixture, head).await;
    assert!(answer.starts_with("HTTP/1.1 413 Request Entity Too Large\r\n"), "{answer}");
    assert!(answer.contains("content-length: 0\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(!answer.contains("content-type"), "{answer}");
}

#[tokio::test]
async fn what_a_handler_cannot_read_is_a_failed_prediction() {
    let fixture = start(vec![steady(1, [0.0, 1.0, 0.0])], |_| {}).await;
    let url = fixture.url("/predictions/nature");
    let failed = || (503, "InternalServerException".to_owned(), "Prediction failed".to_owned());
    for request in [
        fixture.client.get(&url),
        fixture.client.post(&url),
        fixture.client.post(&url).header("content-type", "image/jpeg").body("no image"),
        fixture.client.post(&url).header("content-type", "application/xml").body("<text/>"),
        fixture.client.post(&url).header("content-type", "multipart/form-data; boundary=zz").body("garbage"),
        fixture.client.post(&url).json(&json!({"image": "?"})),
        fixture.post("/v1/models/nature:predict").json(&json!({"instances": [1]})),
        fixture.post("/v2/models/nature/infer").json(&json!({"inputs": 1})),
    ] {
        assert_eq!(refused(request).await, failed());
    }
}

#[tokio::test]
async fn a_label_is_all_there_is_to_say() {
    let fixture = start(vec![told(1)], |_| {}).await;
    for path in ["/predictions/nature", "/explanations/nature/1.0", "/invocations"] {
        // Some clients accept JSON whatever they want.
        let request = fixture.post(path).header(ACCEPT, "application/json, text/plain, */*").multipart(post_form());
        let response = request.send().await.unwrap();
        assert!(!response.headers().contains_key("content-type"));
        assert_eq!(response.text().await.unwrap(), "landscape", "{path}");
    }
    let instances = json!({"instances": [{"text": "a"}, {"image": base64(&jpeg())}]});
    let response = fixture.post("/v1/models/nature:predict").json(&instances).send().await.unwrap();
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"predictions": ["fauna", "flora"]}));
}

#[tokio::test]
async fn a_full_queue_has_no_worker() {
    let (model, Gate { mut begun, go_on }) = gated();
    let fixture = start(vec![model], |_| {}).await;
    let ask = || fixture.post("/predictions/nature").multipart(post_form());
    let running = tokio::spawn(ask().send());
    assert_eq!(begun.recv().await, Some(1));
    // One of these waits in the queue; which, is open. The other is turned away before that is answered.
    let mut others = JoinSet::new();
    (0..2).for_each(|_| drop(others.spawn(ask().send())));
    let turned_away = others.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(turned_away.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = turned_away.json().await.unwrap();
    assert_eq!(body["type"], "ServiceUnavailableException");
    let message = "Model \"nature\" has no worker to serve inference request. Please use scale workers API to add workers. \
        If this is a sequence inference, please check if it is closed, or expired; or exceeds maxSequenceJobQueueSize";
    assert_eq!(body["message"], message);
    (0..2).for_each(|_| go_on.send(()).unwrap());
    assert_eq!(others.join_next().await.unwrap().unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(running.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_model_that_is_slow_is_a_dead_worker() {
    let (model, gate) = gated();
    let fixture = start(vec![model], |config| config.limits.response_timeout = Duration::from_millis(20)).await;
    let (status, kind, message) = refused(fixture.post("/predictions/nature").multipart(post_form())).await;
    assert_eq!((status, kind.as_str(), message.as_str()), (500, "InternalServerException", "Worker died."));
    drop(gate);
}

#[tokio::test]
async fn plain_http_on_the_https_port_is_forbidden() {
    let fixture = start(vec![steady(1, [0.0, 1.0, 0.0])], |_| {}).await;
    let url = format!("http://127.0.0.1:{}/ping", fixture.server.address().port());
    let response = fixture.client.get(url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let body = "{\n  \"status\": \"This TorchServe instance only accepts HTTPS requests\"\n}\n";
    assert_eq!(response.text().await.unwrap(), body);
}

#[tokio::test]
async fn http_2_has_no_connection_header() {
    let fixture = start(vec![steady(1, [0.0, 1.0, 0.0])], |_| {}).await;
    let client = fixture.trusting().build().unwrap();
    let response = client.request(Method::POST, fixture.url("/predictions/nope")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(!response.headers().contains_key(CONNECTION));
}
