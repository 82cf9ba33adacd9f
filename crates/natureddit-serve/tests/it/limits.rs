//! Bodies, queues and times have limits, and going over one is said.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use natureddit_model::{ModelInput, Prediction, Prepared};
use natureddit_serve::PreparationLimits;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, Gate, error, gated, logged, named, nature, post_form, steady};

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
async fn who_sends_much_more_than_a_small_limit_is_told_too() {
    let fixture =
        Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| config.limits.body_bytes_max = 4).await;
    for client in [&fixture.client, &fixture.trusting().http1_only().build().unwrap()] {
        for bytes in [5, 1 << 20, 20 << 20] {
            let request = client.post(fixture.url("/predictions/nature")).header(CONTENT_TYPE, "image/jpeg");
            let (status, _, message) = error(request.body(vec![0; bytes]).send().await.unwrap()).await;
            assert_eq!((status.as_u16(), message.as_str()), (413, "the body is over the limit of 4 bytes"));
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_amid_its_body_is_logged_as_gone_and_is_no_bad_input() {
    let fixture = Fixture::start_with(vec![named("leaver", [0.0, 1.0, 0.0])], |config| config.tls = None).await;
    let mut stream = TcpStream::connect(fixture.server.address()).await.unwrap();
    let part = "POST /predictions/leaver HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc";
    stream.write_all(part.as_bytes()).await.unwrap();
    drop(stream);
    let line = loop {
        let log = logged();
        if let Some(line) = log.lines().find(|line| line.contains("path=\"/predictions/leaver\"")) {
            break line.to_owned();
        }
        tokio::task::yield_now().await;
    };
    assert!(line.contains(" status=499 ") && !line.contains("response_bytes"), "{line}");
    let text = fixture.metrics().await;
    let failed = "natureddit_requests_failed_total{reason=\"input\",model_name=\"leaver\",model_version=\"1\"} 0\n";
    assert!(text.contains(failed), "{text}");
    assert!(text.lines().any(|line| line.starts_with("Requests4XX{") && line.ends_with(" 0")), "{text}");
}

#[tokio::test]
async fn a_body_that_is_no_http_is_bad_input() {
    let fixture = Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| config.tls = None).await;
    let head = "POST /predictions/nature HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = exchange(&fixture, &format!("{head}no length\r\nabc\r\n0\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("the body could not be read: "), "{answer}");
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
async fn a_body_that_says_it_is_far_too_large_is_not_waited_for() {
    let fixture = Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| config.tls = None).await;
    for length in ["100000000", "9007199254740993"] {
        let head = format!("POST /predictions/nature HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        let answer = exchange(&fixture, &head).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{length}: {answer}");
    }
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

const PING: &str = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn connections_have_a_limit_and_are_taken_again_below_it() {
    let fixture = Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| {
        config.tls = None;
        config.connections_max = 1;
    });
    let fixture = fixture.await;
    let address = fixture.server.address();
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(PING.as_bytes()).await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'H');
    // Nothing is sent, so that it is closed and not reset.
    let mut answer = Vec::new();
    TcpStream::connect(address).await.unwrap().read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"");
    let warning = "too many connections: more are turned away connections_max=1\n";
    assert!(logged().contains(warning), "{}", logged());
    drop(first);
    // When the server notices that it was closed is open; the test waits as long as it takes.
    loop {
        let mut next = TcpStream::connect(address).await.unwrap();
        if next.write_all(PING.as_bytes()).await.is_ok() && next.read_u8().await.is_ok_and(|byte| byte == b'H') {
            break;
        }
    }
}

#[tokio::test]
async fn who_takes_no_answers_is_hung_up_on() {
    let fixture = Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| {
        config.tls = None;
        config.limits.write_timeout = Duration::from_millis(20);
    });
    let fixture = fixture.await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(fixture.server.address()).await.unwrap();
    let requests = "GET /api-description HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    let until_it_is_closed = async { while stream.write_all(requests.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_mins(1), until_it_is_closed).await.unwrap();
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

/// A client that has said what it sends and sends it no further: its body is being read, for the server has asked for it.
async fn stalled(fixture: &Fixture) -> TcpStream {
    let mut stream = TcpStream::connect(fixture.server.address()).await.unwrap();
    let head = "POST /predictions/nature HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 "));
    stream
}

/// A request over plain HTTP with an image of these bytes.
fn image_request(image: &str) -> String {
    let head = "POST /predictions/nature HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: image/png\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{image}", image.len())
}

#[tokio::test]
async fn a_body_that_stalls_keeps_no_other_request_out() {
    let model = nature(1, |_| Ok(Prepared::default()), |_| Ok(vec![Prediction::new(vec![0.0, 1.0, 0.0])]));
    let fixture = Fixture::start_with(vec![model], |config| {
        config.tls = None;
        config.limits.requests_max = 1;
        config.limits.bodies_max = 2;
    });
    let fixture = fixture.await;
    let _first = stalled(&fixture).await;
    let answer = exchange(&fixture, &image_request("a")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("flora"), "{answer}");
    assert_eq!(fixture.server.requests_under_way(), 1);
    // Bodies have a limit of their own.
    let _second = stalled(&fixture).await;
    let answer = exchange(&fixture, &image_request("a")).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"ServiceUnavailableException\""), "{answer}");
}

#[tokio::test]
async fn all_bodies_together_have_a_limit_until_they_are_prepared() {
    let (tell, mut begun) = unbounded_channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let prepare = move |_: &ModelInput<'_>| {
        tell.send(()).unwrap();
        wait.lock().unwrap().recv().unwrap();
        Ok(Prepared::default())
    };
    let model = nature(1, prepare, |_| Ok(vec![Prediction::new(vec![0.0, 1.0, 0.0])]));
    let fixture = Fixture::start_with(vec![model], |config| {
        config.tls = None;
        config.limits.bodies_bytes_max = 10;
    });
    let fixture = fixture.await;
    let request = image_request("8 bytes.");
    let turned_away = async {
        begun.recv().await.unwrap();
        let answer = exchange(&fixture, &request).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(
            exchange(&fixture, "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.contains(" 200 ")
        );
        go_on.send(()).unwrap();
    };
    let (first, ()) = tokio::join!(exchange(&fixture, &request), turned_away);
    assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
    go_on.send(()).unwrap();
    let again = exchange(&fixture, &request).await;
    assert!(again.starts_with("HTTP/1.1 200 "), "{again}");
}

#[tokio::test]
async fn large_photos_are_decoded_one_after_another() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, max) = (Arc::clone(&running), Arc::clone(&most));
    let prepare = move |_: &ModelInput<'_>| {
        max.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Time for others to come in, if they may.
        (0..20).for_each(|_| std::thread::yield_now());
        now.fetch_sub(1, Ordering::SeqCst);
        Ok(Prepared::default())
    };
    let work = |batch: Vec<Prepared>| Ok(vec![Prediction::new(vec![0.0, 1.0, 0.0]); batch.len()]);
    let fixture = Fixture::start_with(vec![nature(1, prepare, work)], |config| {
        // The photo has 64 pixels: two of them are too many.
        config.preparation = PreparationLimits { threads: 4, pixels_max: 100 };
    });
    let fixture = fixture.await;
    let mut requests = JoinSet::new();
    (0..12).for_each(|_| drop(requests.spawn(fixture.post("/predictions/nature").multipart(post_form()).send())));
    while let Some(answer) = requests.join_next().await {
        // The queue has one place, so some may be turned away after they were prepared.
        assert!(matches!(answer.unwrap().unwrap().status(), StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE));
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
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
