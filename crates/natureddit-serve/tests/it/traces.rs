//! OpenTelemetry's traces, as a collector gets them: the messages are read with the numbers that are published.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use natureddit_core::Clock;
use natureddit_serve::{LoadedModel, SendSpans, ServeConfig, TracesConfig};
use prost::Message;
use prost::bytes::Bytes;
use reqwest::StatusCode;
use reqwest::multipart::Form;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::fixture::{Fixture, Gate, gated, logged, named, post_form, steady};

#[derive(Clone, PartialEq, Message)]
struct Exported {
    #[prost(message, repeated, tag = "1")]
    of_resources: Vec<OfResource>,
}

#[derive(Clone, PartialEq, Message)]
struct OfResource {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    of_scopes: Vec<OfScope>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct OfScope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start: u64,
    #[prost(fixed64, tag = "8")]
    end: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<Attribute>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(int64, optional, tag = "3")]
    integer: Option<i64>,
    #[prost(message, optional, tag = "5")]
    list: Option<List>,
}

#[derive(Clone, PartialEq, Message)]
struct List {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Any>,
}

/// Attributes as text, by key.
fn told(attributes: &[Attribute]) -> BTreeMap<&str, String> {
    let text = |any: &Any| any.text.clone().or(any.integer.map(|number| number.to_string()));
    let value = |value: &Any| match &value.list {
        Some(list) => list.values.iter().filter_map(text).collect::<Vec<_>>().join(","),
        None => text(value).unwrap(),
    };
    attributes.iter().map(|it| (it.key.as_str(), value(it.value.as_ref().unwrap()))).collect()
}

/// What a collector gets.
struct Collector {
    messages: UnboundedReceiver<Bytes>,
    /// Whether it can be reached.
    is_up: Arc<AtomicBool>,
    /// One permit a message that it takes.
    takes: Arc<Semaphore>,
}

const PLENTY: usize = 1 << 20;

impl Collector {
    /// One that takes everything, and the settings of who sends to it.
    fn new() -> (Self, TracesConfig) {
        let (tell, messages) = unbounded_channel();
        let (is_up, takes) = (Arc::new(AtomicBool::new(true)), Arc::new(Semaphore::new(PLENTY)));
        let (reached, taking) = (Arc::clone(&is_up), Arc::clone(&takes));
        let send = SendSpans::new(move |message: Bytes| {
            let (tell, is_reached, taking) = (tell.clone(), reached.load(Ordering::SeqCst), Arc::clone(&taking));
            async move {
                if !is_reached {
                    return Err("nobody listens there".to_owned());
                }
                taking.acquire().await.unwrap().forget();
                tell.send(message).unwrap();
                Ok(Bytes::new())
            }
        });
        let config = TracesConfig {
            sample: 1.0,
            service_name: "a service".to_owned(),
            queue_len_max: 64,
            batch_len_max: 64,
            delay_max: Duration::ZERO,
            flush_timeout: Duration::from_mins(1),
            send,
        };
        (Self { messages, is_up, takes }, config)
    }

    /// The next message.
    async fn next(&mut self) -> Vec<Span> {
        let message = self.messages.recv().await.unwrap();
        spans(&message)
    }

    /// What has come so far.
    fn rest(&mut self) -> Vec<Span> {
        let mut found = Vec::new();
        while let Ok(message) = self.messages.try_recv() {
            found.extend(spans(&message));
        }
        found
    }
}

fn spans(message: &Bytes) -> Vec<Span> {
    let exported = Exported::decode(message.clone()).unwrap();
    let [of_resource] = <[OfResource; 1]>::try_from(exported.of_resources).unwrap();
    let resource = of_resource.resource.unwrap();
    assert_eq!(told(&resource.attributes)["service.name"], "a service");
    of_resource.of_scopes.into_iter().flat_map(|scope| scope.spans).collect()
}

async fn start(models: Vec<LoadedModel>, config: &TracesConfig, change: impl FnOnce(&mut ServeConfig)) -> Fixture {
    Fixture::start_with(models, |all| {
        all.traces = Some(config.clone());
        change(all);
    })
    .await
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn nanoseconds() -> u64 {
    u64::try_from(Clock::System.now().as_nanosecond()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_request_is_a_span_that_continues_its_callers_and_one_of_each_stage() {
    let (mut collector, config) = Collector::new();
    let before = nanoseconds();
    let fixture = start(vec![steady(3, [0.0, 1.0, 0.0])], &config, |_| {}).await;
    let form = post_form().text("what_else", "a purple quagga");
    let asked = fixture.post("/predictions/nature?token=hidden-1").multipart(form).bearer_auth("hidden-2");
    let asked = asked.header("traceparent", format!("00-{TRACE}-{SPAN}-01")).header("tracestate", "a=1");
    let response = asked.header("cookie", "hidden-3").send().await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();

    let message = collector.messages.recv().await.unwrap();
    let raw = String::from_utf8_lossy(&message).into_owned();
    assert!(!raw.contains("hidden") && !raw.contains("quagga") && !raw.contains("red fox"), "{raw}");
    let spans = spans(&message);
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    let stages = ["read_body", "await_thread", "prepare", "queue", "encode", "postprocess"];
    assert_eq!(names[0], "POST /predictions/{model}");
    assert_eq!(names[1..], stages);
    let server = &spans[0];
    assert_eq!((hex(&server.trace_id), hex(&server.parent_span_id)), (TRACE.to_owned(), SPAN.to_owned()));
    assert_eq!((server.kind, server.trace_state.as_str(), &server.status), (2, "a=1", &None));
    assert!(before <= server.start && server.end <= nanoseconds(), "{server:?}");
    let mut end_before = server.start;
    for span in &spans[1..] {
        assert_eq!((&span.trace_id, &span.parent_span_id), (&server.trace_id, &server.span_id), "{}", span.name);
        assert_eq!(span.kind, 1);
        assert!(end_before <= span.start && span.start <= span.end && span.end <= server.end, "{spans:?}");
        end_before = span.end;
    }
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), spans.len());
    assert_eq!(told(&spans[5].attributes)["natureddit.batch.size"], "1");
    let told = told(&server.attributes);
    let port = fixture.server.address().port().to_string();
    let expected = [
        ("http.request.method", "POST"),
        ("http.route", "/predictions/{model}"),
        ("http.response.status_code", "200"),
        ("http.response.header.x-request-id", &id),
        ("http.response.body.size", "5"),
        ("url.path", "/predictions/nature"),
        ("url.scheme", "https"),
        ("server.address", "localhost"),
        ("server.port", &port),
        ("network.protocol.version", "2"),
        ("natureddit.model.name", "nature"),
        ("natureddit.model.version", "3"),
    ];
    for (key, value) in expected {
        assert_eq!(told.get(key).map(String::as_str), Some(value), "{key} of {told:?}");
    }
    assert!(told.keys().all(|key| expected.iter().any(|(it, _)| it == key) || *key == "http.request.body.size"));
}

#[tokio::test]
async fn a_caller_that_says_so_decides_and_of_others_it_is_a_share() {
    let ask = async |fixture: &Fixture, flags: Option<&str>| {
        let asked = fixture.post("/predictions/nature").multipart(Form::new().text("text", "a"));
        let asked = match flags {
            Some(flags) => asked.header("traceparent", format!("00-{TRACE}-{SPAN}-{flags}")),
            None => asked,
        };
        assert_eq!(asked.send().await.unwrap().status(), StatusCode::OK);
    };
    for (sample, traced) in [(0.0, vec![TRACE]), (1.0, vec!["", TRACE])] {
        let (mut collector, mut config) = Collector::new();
        config.sample = sample;
        let fixture = start(vec![steady(1, [0.0, 1.0, 0.0])], &config, |_| {}).await;
        for flags in [None, Some("00"), Some("01")] {
            ask(&fixture, flags).await;
        }
        fixture.server.shutdown().await.unwrap();
        let servers = collector.rest().into_iter().filter(|span| span.kind == 2);
        let traces: Vec<String> = servers
            .map(|span| if span.parent_span_id.is_empty() { String::new() } else { hex(&span.trace_id) })
            .collect();
        assert_eq!(traces, traced, "{sample}");
    }
}

#[tokio::test]
async fn posts_of_one_request_have_stages_of_their_own_and_failures_are_told() {
    let (mut collector, config) = Collector::new();
    let fixture = start(vec![named("of-many", [1.0, 0.0, 0.0])], &config, |_| {}).await;
    let two = json!({"instances": [{"text": "a"}, {"text": "b"}]});
    assert_eq!(fixture.post("/v1/models/of-many:predict").json(&two).send().await.unwrap().status(), StatusCode::OK);
    let spans = collector.next().await;
    let count = |name: &str| spans.iter().filter(|span| span.name == name).count();
    assert_eq!(["read_body", "prepare", "queue", "encode", "postprocess"].map(count), [1, 2, 2, 2, 1]);

    // Bad input is the client's error, and no failure of the server.
    for (path, name, status) in [("/predictions/none", "POST /predictions/{model}", "404"), ("/no/such", "POST", "404")]
    {
        fixture.post(path).body("x").send().await.unwrap();
        let spans = collector.next().await;
        let told = told(&spans[0].attributes);
        assert_eq!((spans[0].name.as_str(), told["http.response.status_code"].as_str()), (name, status));
        assert_eq!((spans[0].status.clone(), told.get("error.type")), (None, None));
    }
    let odd = reqwest::Method::from_bytes(b"BREW").unwrap();
    fixture.client.request(odd, fixture.url("/ping")).send().await.unwrap();
    let spans = collector.next().await;
    assert_eq!((spans[0].name.as_str(), spans.len()), ("HTTP /ping", 1));
    assert_eq!(told(&spans[0].attributes)["http.request.method"], "_OTHER");

    let (model, gate) = gated();
    drop(gate);
    let fixture = start(vec![model], &config, |_| {}).await;
    assert_eq!(fixture.ask("unlucky").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let spans = collector.next().await;
    assert_eq!(spans[0].status, Some(Status { code: 2 }));
    assert_eq!(told(&spans[0].attributes)["error.type"], "500");
}

#[tokio::test]
async fn a_client_that_leaves_has_a_span_too() {
    let (mut collector, config) = Collector::new();
    let (model, Gate { mut begun, go_on }) = gated();
    let fixture = start(vec![model], &config, |all| all.tls = None).await;
    let mut stream = TcpStream::connect(fixture.server.address()).await.unwrap();
    let request =
        "POST /predictions/nature HTTP/1.1\r\nHost: [::1]:80\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\na";
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(begun.recv().await, Some(1));
    drop(stream);
    let spans = collector.next().await;
    go_on.send(()).unwrap();
    let told = told(&spans[0].attributes);
    assert_eq!(told["error.type"], "client_closed_request");
    assert_eq!([&told["url.scheme"], &told["server.address"], &told["server.port"]], ["http", "::1", "80"]);
    assert_eq!((told.get("http.response.status_code"), spans[0].status.clone()), (None, Some(Status { code: 2 })));
    // Its batch is not over: no encode.
    assert_eq!(spans.last().unwrap().name, "queue");
}

#[tokio::test]
async fn a_collector_that_is_down_is_warned_of_once_and_costs_no_request() {
    let (mut collector, config) = Collector::new();
    let reason = "nobody listens there";
    let fixture = start(vec![steady(1, [0.0, 1.0, 0.0])], &config, |_| {}).await;
    collector.is_up.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(fixture.ping().await.status(), StatusCode::OK);
    }
    let dropped = "natureddit_trace_spans_dropped_total{reason=\"not_sent\"} 3\n";
    while !fixture.metrics().await.contains(dropped) {
        tokio::task::yield_now().await;
    }
    let warned = logged().matches(&format!("traces are not sent until this is over: {reason}\n")).count();
    assert_eq!(warned, 1);
    collector.is_up.store(true, Ordering::SeqCst);
    assert_eq!(fixture.ping().await.status(), StatusCode::OK);
    assert_eq!(collector.next().await[0].name, "GET /ping");
    while !fixture.metrics().await.contains("natureddit_trace_spans_sent_total 1\n") {
        tokio::task::yield_now().await;
    }
    assert!(logged().contains("traces are sent again"));
}

#[tokio::test]
async fn a_collector_that_is_slow_holds_up_nobody() {
    let (mut collector, mut config) = Collector::new();
    config.queue_len_max = 1;
    collector.takes.forget_permits(PLENTY);
    let fixture = start(vec![steady(1, [0.0, 1.0, 0.0])], &config, |_| {}).await;
    for _ in 0..8 {
        assert_eq!(fixture.ping().await.status(), StatusCode::OK);
    }
    let text = fixture.metrics().await;
    let full = "natureddit_trace_spans_dropped_total{reason=\"queue_full\"} ";
    let dropped: u32 = text.lines().find_map(|line| line.strip_prefix(full)).unwrap().parse().unwrap();
    // One or two are being sent, and one waits.
    assert!((5..=7).contains(&dropped), "{dropped}");
    collector.takes.add_permits(PLENTY);
    fixture.server.shutdown().await.unwrap();
    assert_eq!(collector.rest().len(), 8 - dropped as usize);
}

#[tokio::test]
async fn what_is_finished_is_sent_before_the_end_and_not_waited_for_for_ever() {
    let (mut collector, mut config) = Collector::new();
    config.delay_max = Duration::from_hours(1);
    let fixture = start(vec![steady(1, [0.0, 1.0, 0.0])], &config, |_| {}).await;
    for _ in 0..3 {
        assert_eq!(fixture.ping().await.status(), StatusCode::OK);
    }
    assert!(collector.rest().is_empty(), "they wait for more");
    fixture.server.shutdown().await.unwrap();
    assert_eq!(collector.next().await.len(), 3, "in one message");

    config.flush_timeout = Duration::from_millis(20);
    collector.takes.forget_permits(PLENTY);
    let fixture = start(vec![steady(1, [0.0, 1.0, 0.0])], &config, |_| {}).await;
    assert_eq!(fixture.ping().await.status(), StatusCode::OK);
    fixture.server.shutdown().await.unwrap();
    assert!(logged().contains("some traces were not sent before the end"));
}

#[tokio::test]
async fn spans_that_the_collector_refuses_are_counted() {
    let (_, mut config) = Collector::new();
    // `partial_success` with one of `rejected_spans`.
    config.send = SendSpans::new(|_| async { Ok(Bytes::from_static(&[0x0a, 0x02, 0x08, 0x01])) });
    let fixture = start(vec![steady(1, [0.0, 1.0, 0.0])], &config, |_| {}).await;
    fixture.ask("a").await;
    let counted =
        ["natureddit_trace_spans_dropped_total{reason=\"rejected\"} 1\n", "natureddit_trace_spans_sent_total 6\n"];
    loop {
        let text = fixture.metrics().await;
        if counted.iter().all(|series| text.contains(series)) {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn without_a_collector_nothing_is_traced_or_told_of_it() {
    let fixture = Fixture::start(vec![steady(1, [0.0, 1.0, 0.0])]).await;
    fixture.ask("a").await;
    assert!(!fixture.metrics().await.contains("natureddit_trace"));
}
