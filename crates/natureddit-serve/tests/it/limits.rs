//! Bodies, queues and times have limits, and going over one is said.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, Gate, error, gated, post_form, steady};

/// Sends a request over plain HTTP, byte for byte, and reads the answer until the server closes.
async fn exchange(fixture: &Fixture, request: &str) -> String {
    let mut stream = TcpStream::connect(fixture.server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_in_json_and_the_connection_lives_on() {
    let fixture = Fixture::start(vec![steady(1, [0.0, 1.0, 0.0])]).await;
    for client in [&fixture.client, &fixture.trusting().http1_only().build().unwrap()] {
        for bytes in [64 * 1024 + 1, 200 * 1024, 20 << 20] {
            let request = client.post(fixture.url("/predictions/nature")).header(CONTENT_TYPE, "image/jpeg");
            let (status, kind, message) = error(request.body(vec![0; bytes]).send().await.unwrap()).await;
            assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(kind, "RequestEntityTooLargeException");
            assert_eq!(message, "the body is over the limit of 65536 bytes");
        }
    }
    assert_eq!(fixture.ask("still there").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_waits_for_a_word_is_not_let_send_a_body_over_the_limit() {
    let fixture = Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| config.tls = None).await;
    let head = "POST /predictions/nature HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n\
        Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n";
    let answer = exchange(&fixture, head).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_chunked_body_is_limited_too() {
    let fixture = Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| {
        config.tls = None;
        config.limits.body_bytes_max = 4;
    });
    let head = "POST /predictions/nature HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: image/jpeg\r\n\
        Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    let answer = exchange(&fixture.await, head).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let fixture = Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| {
        config.tls = None;
        config.limits.body_timeout = Duration::from_millis(20);
    });
    let part = "POST /predictions/nature HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc";
    let answer = exchange(&fixture.await, part).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("the body did not arrive within 0.02 seconds"), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_arrive_is_hung_up_on() {
    let fixture = Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| {
        config.tls = None;
        config.limits.header_timeout = Duration::from_millis(20);
    });
    assert_eq!(exchange(&fixture.await, "POST /predictions/nature HTTP/1.1\r\nHos").await, "");
}

#[tokio::test]
async fn a_busy_server_turns_away_and_says_when_to_come_back() {
    let (model, Gate { mut begun, go_on }) = gated();
    let fixture = Fixture::start_with(vec![model], |config| config.limits.requests_max = 1).await;
    let turned_away = async {
        assert_eq!(begun.recv().await, Some(1));
        let response = fixture.ask("one too many").await;
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        let (status, kind, _) = error(response).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(kind, "ServiceUnavailableException");
        assert_eq!(fixture.ping().await.status(), StatusCode::OK);
        go_on.send(()).unwrap();
    };
    let (admitted, ()) = tokio::join!(fixture.ask("first"), turned_away);
    assert_eq!(admitted.text().await.unwrap(), "flora");
}

#[tokio::test]
async fn a_full_queue_turns_away() {
    let (model, Gate { mut begun, go_on }) = gated();
    let fixture = Fixture::start(vec![model]).await;
    let send = || fixture.post("/predictions/nature").multipart(post_form()).send();
    let first = tokio::spawn(send());
    assert_eq!(begun.recv().await, Some(1));
    // One of these waits in the queue; which, is open. The others are turned away before it is answered.
    let mut others = JoinSet::new();
    (0..3).for_each(|_| drop(others.spawn(send())));
    for _ in 0..2 {
        let turned_away = others.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(turned_away.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    (0..2).for_each(|_| go_on.send(()).unwrap());
    assert_eq!(others.join_next().await.unwrap().unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_model_that_does_not_answer_in_time_is_given_up() {
    let (model, gate) = gated();
    let fixture = Fixture::start_with(vec![model], |config| {
        config.limits.response_timeout = Duration::from_millis(20);
    });
    let fixture = fixture.await;
    let (status, kind, message) = error(fixture.ask("slow").await).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(kind, "ResponseTimeoutException");
    assert_eq!(message, "no answer within 0.02 seconds");
    drop(gate);
}
