//! The server as a whole: health, HTTPS, faults of a model, shutting down.

use natureddit_model::Prepared;
use natureddit_serve::{CorsConfig, ServeConfig, ServeError, Server};
use reqwest::multipart::Form;
use reqwest::{Client, Method, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixture::{Fixture, Gate, config, error, gated, logged, nature, post_form, steady};

#[tokio::test]
async fn ping_answers_byte_for_byte_as_torchserve() {
    let fixture = Fixture::start(vec![steady(1, [0.0, 1.0, 0.0])]).await;
    let response = fixture.client.get(fixture.url("/ping")).header("x-request-id", "abc").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let headers = response.headers();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["pragma"], "no-cache");
    assert_eq!(headers["cache-control"], "no-cache; no-store, must-revalidate, private");
    assert_eq!(headers["expires"], "Thu, 01 Jan 1970 00:00:00 UTC");
    assert_ne!(headers["x-request-id"], "abc");
    assert_eq!(response.text().await.unwrap(), "{\n  \"status\": \"Healthy\"\n}\n");
}

#[tokio::test]
async fn http_2_and_http_1_are_served_under_a_certificate_for_every_loopback_name() {
    let fixture = Fixture::start(vec![steady(1, [0.0, 1.0, 0.0])]).await;
    assert_eq!(fixture.ping().await.version(), Version::HTTP_2);
    let http_1 = fixture.trusting().http1_only().build().unwrap();
    let by_number = format!("https://127.0.0.1:{}/ping", fixture.server.address().port());
    assert_eq!(http_1.get(by_number).send().await.unwrap().version(), Version::HTTP_11);
    let distrustful = Client::builder().no_proxy().build().unwrap();
    assert!(distrustful.get(fixture.url("/ping")).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn plain_http_on_the_https_port_is_told_what_to_do() {
    let fixture = Fixture::start(vec![steady(1, [0.0, 1.0, 0.0])]).await;
    let url = format!("http://127.0.0.1:{}/ping", fixture.server.address().port());
    let response = fixture.client.get(url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: serde_json::Value = response.json().await.unwrap();
    let message = "this port speaks HTTPS: use https:// instead of http://";
    assert_eq!(body, serde_json::json!({"code": 400, "type": "BadRequestException", "message": message}));
    // What is neither is no reason to answer, and none to fall over.
    let mut stream = TcpStream::connect(fixture.server.address()).await.unwrap();
    stream.write_all(&[0x80; 64]).await.unwrap();
    let mut answer = Vec::new();
    // Closed or reset: both are the end of it.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(fixture.ping().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_panicking_model_fails_its_request_and_turns_the_ping_unhealthy() {
    let (model, gate) = gated();
    let fixture = Fixture::start(vec![model]).await;
    drop(gate);
    let (status, kind, message) = error(fixture.ask("unlucky").await).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!((kind.as_str(), message.as_str()), ("InternalServerException", "Prediction failed"));
    let ping = fixture.ping().await;
    assert_eq!(ping.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ping.text().await.unwrap(), "{\n  \"status\": \"Unhealthy\"\n}\n");
}

#[tokio::test]
async fn a_failing_model_or_a_panic_in_preparing_fails_only_the_request() {
    let failing = nature(2, |_| Ok(Prepared::default()), |_| Err("out of memory".to_owned()));
    let panicking = nature(1, |_| panic!("a bug in a decoder"), |_| Ok(Vec::new()));
    let fixture = Fixture::start(vec![failing, panicking]).await;
    for version in [1, 2] {
        let request = fixture.post(&format!("/predictions/nature/{version}")).multipart(post_form());
        let (status, _, message) = error(request.send().await.unwrap()).await;
        assert_eq!((status.as_u16(), message.as_str()), (500, "Prediction failed"));
    }
    assert_eq!(fixture.ping().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn shutting_down_answers_what_is_under_way_and_accepts_no_more() {
    let (model, Gate { mut begun, go_on }) = gated();
    let fixture = Fixture::start(vec![model]).await;
    let address = fixture.server.address();
    let request = tokio::spawn(fixture.post("/predictions/nature").multipart(post_form()).send());
    assert_eq!(begun.recv().await, Some(1));
    let shutdown = tokio::spawn(fixture.server.shutdown());
    // The listener closes first: from then on new clients are refused, while the old one still waits.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go_on.send(()).unwrap();
    assert_eq!(request.await.unwrap().unwrap().text().await.unwrap(), "flora");
    shutdown.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let fixture = Fixture::start(Vec::new()).await;
    let taken = fixture.server.address();
    let folder = tempfile::tempdir().unwrap();
    let config = ServeConfig { address: taken, ..config(folder.path()) };
    let Err(error) = Server::start(config, Vec::new()).await else { panic!("the address was taken") };
    assert!(matches!(error, ServeError::Listen { address, .. } if address == taken));
    assert_eq!(error.to_string(), format!("could not listen on {taken}"));
}

#[tokio::test]
async fn every_answer_tells_browsers_whose_pages_may_read_it_as_torchserve_does() {
    let fixture = Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| {
        config.cors = Some(CorsConfig {
            allowed_origin: "*".to_owned(),
            allowed_methods: ["GET", "POST", "OPTIONS"].map(str::to_owned).into(),
            allowed_headers: Vec::new(),
        });
    });
    let fixture = fixture.await;
    let asked = fixture.client.get(fixture.url("/nothing")).send().await.unwrap();
    let preflight = fixture.client.request(Method::OPTIONS, fixture.url("/predictions/nature"));
    let preflight = preflight.header("origin", "http://x").header("access-control-request-method", "POST");
    let before = |url: String| {
        let asked = fixture.client.request(Method::OPTIONS, url).header("origin", "http://x");
        async { asked.header("access-control-request-method", "POST").send().await.unwrap() }
    };
    let answers = [
        asked,
        fixture.ask("a").await,
        preflight.send().await.unwrap(),
        // Browsers ask before they show a key, and on any path.
        before(fixture.url("/v1/models/nature:predict")).await,
        fixture.get_metrics("/metrics").send().await.unwrap(),
    ];
    for (answer, status) in answers.iter().zip([404, 200, 200, 200, 200]) {
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert_eq!(answer.headers()["access-control-allow-methods"], "GET,POST,OPTIONS");
        assert!(!answer.headers().contains_key("access-control-allow-headers"));
    }
    let silent = Fixture::start(Vec::new()).await;
    assert!(!silent.ping().await.headers().contains_key("access-control-allow-origin"));
    let mut bad = config(tempfile::tempdir().unwrap().path());
    bad.cors = Some(CorsConfig { allowed_origin: "a\nb".to_owned(), ..CorsConfig::default() });
    assert!(matches!(Server::start(bad, Vec::new()).await, Err(ServeError::Cors(_))));
}

#[tokio::test]
async fn the_log_has_one_line_a_request_and_nothing_of_its_content() {
    let fixture = Fixture::start(vec![steady(1, [0.0, 1.0, 0.0])]).await;
    let form = Form::new().text("text", "a purple quagga");
    let response = fixture.post("/predictions/nature?token=hidden").multipart(form).send().await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap();
    let log = logged();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(id)).collect();
    let [line] = lines[..] else { panic!("{lines:?}") };
    for part in [" INFO ", "method=POST", "path=\"/predictions/nature\"", "status=200", "milliseconds="]
        .into_iter()
        .chain(["request_bytes=", "response_bytes=5", "model=\"nature\"", "version=1"])
    {
        assert!(line.contains(part), "{line}");
    }
    assert!(!log.contains("quagga") && !log.contains("hidden"), "{log}");
}
