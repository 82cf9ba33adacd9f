//! The requests that were captured in front of a real TorchServe 0.12, sent to this server.
//!
//! Where the answers differ, the difference is in the one table below and in `docs/interop/torchserve.md`; a difference that
//! is not, or one that is no more, fails the test.

mod capture;

use std::path::Path;

use natureddit_core::fs;
use natureddit_serve::{Compat, LoadedModel, ServeConfig};
use natureddit_testkit::shared;
use reqwest::header::CONTENT_TYPE;

use crate::fixture::{Fixture, named};
use capture::{Answer, Exchange};

/// A request that is answered otherwise.
struct Difference {
    /// What the capture is called.
    request: &'static str,
    /// What TorchServe answers, and what this server does in either mode.
    answers: [&'static str; 3],
    why: &'static str,
}

const READS_MORE: &str = "the original's handler wants both fields of a form; ours reads more";
const OUR_DOCUMENT: &str = "the document is that of this server";

const DIFFERENCES: [Difference; 15] = [
    Difference {
        request: "predict GET",
        answers: ["503 InternalServerException", "405 MethodNotAllowedException", "503 InternalServerException"],
        why: "a method that never works is not allowed",
    },
    Difference {
        request: "raw jpeg body (handler KeyError)",
        answers: ["503 InternalServerException", "200 text", "200 text"],
        why: READS_MORE,
    },
    Difference {
        request: "JSON body",
        answers: ["503 InternalServerException", "200 text", "200 text"],
        why: READS_MORE,
    },
    Difference {
        request: "multipart missing image",
        answers: ["503 InternalServerException", "200 text", "200 text"],
        why: READS_MORE,
    },
    Difference {
        request: "bad image",
        answers: ["503 InternalServerException", "400 BadRequestException", "503 InternalServerException"],
        why: "the client's error, with the reason",
    },
    Difference {
        request: "malformed multipart",
        answers: ["503 InternalServerException", "400 BadRequestException", "503 InternalServerException"],
        why: "the client's error, with the reason",
    },
    Difference {
        request: "malformed multipart no boundary",
        answers: ["503 InternalServerException", "400 BadRequestException", "503 InternalServerException"],
        why: "the client's error, with the reason",
    },
    Difference {
        request: "too large (7MB > max_request_size 6553500)",
        answers: ["413 empty", "413 RequestEntityTooLargeException", "413 empty"],
        why: "the limit is told",
    },
    Difference {
        request: "too large no expect",
        answers: ["413 empty", "413 RequestEntityTooLargeException", "413 empty"],
        why: "the limit is told",
    },
    Difference {
        request: "explanations",
        answers: ["200 text", "200 {label, model, photo, prediction_id, probabilities, version, words}", "200 text"],
        why: "the answer is explained, which the original's handler does not do",
    },
    Difference {
        request: "wfpredict",
        answers: ["404 WorkflowNotFoundException", "404 ResourceNotFoundException", "404 ResourceNotFoundException"],
        why: "there are no workflows",
    },
    Difference {
        request: "kserve v1",
        answers: ["503 InternalServerException", "400 BadRequestException", "503 InternalServerException"],
        why: "the client's error, with the reason",
    },
    Difference {
        request: "model ready v1",
        answers: ["404 ResourceNotFoundException", "200 {name, ready}", "404 ResourceNotFoundException"],
        why: "KServe's protocol has this path",
    },
    Difference {
        request: "OPTIONS / inference (OpenAPI)",
        answers: [
            "200 {info, openapi, paths}",
            "200 {components, info, openapi, paths}",
            "200 {components, info, openapi, paths}",
        ],
        why: OUR_DOCUMENT,
    },
    Difference {
        request: "api-description",
        answers: [
            "200 {info, openapi, paths}",
            "200 {components, info, openapi, paths}",
            "200 {components, info, openapi, paths}",
        ],
        why: OUR_DOCUMENT,
    },
];

/// Those of the requests over HTTPS.
const DIFFERENCES_OVER_HTTPS: [Difference; 3] = [
    Difference {
        request: "plain http to https port",
        answers: ["403 {status}", "400 BadRequestException", "403 {status}"],
        why: "the client is told what to do",
    },
    Difference {
        request: "CORS preflight",
        answers: [
            "200 {info, openapi, paths}",
            "200 {components, info, openapi, paths}",
            "200 {components, info, openapi, paths}",
        ],
        why: OUR_DOCUMENT,
    },
    Difference {
        request: "too large",
        answers: ["413 empty", "413 RequestEntityTooLargeException", "413 empty"],
        why: "the limit is told",
    },
];

/// As TorchServe was configured.
fn torchserve(config: &mut ServeConfig, compat: Compat, tls: bool) {
    config.compat = compat;
    config.limits.body_bytes_max = 6_553_500;
    config.limits.bodies_bytes_max = 16 << 20;
    if !tls {
        config.tls = None;
    }
}

/// What differs of the captured requests, in the form of the table.
async fn replay(exchanges: &[Exchange], models: &[&str], tls: bool) -> Vec<String> {
    let mut answers: Vec<Vec<Answer>> = Vec::new();
    for compat in [Compat::Own, Compat::Strict] {
        let loaded: Vec<LoadedModel> = models.iter().map(|name| named(name, [0.0, 1.0, 0.0])).collect();
        let fixture = Fixture::start_with(loaded, |config| torchserve(config, compat, tls)).await;
        let client = fixture.trusting().http1_only().build().unwrap();
        let mut answered = Vec::new();
        for exchange in exchanges {
            let response = exchange.request(&client, fixture.server.address()).send().await.unwrap();
            answered.push(Answer {
                status: response.status().as_u16(),
                content_type: response.headers().get(CONTENT_TYPE).map(|it| it.to_str().unwrap().to_owned()),
                body: response.text().await.unwrap(),
            });
        }
        answers.push(answered);
    }
    let [own, strict] = <[_; 2]>::try_from(answers).unwrap();
    let mut differences = Vec::new();
    for ((exchange, own), strict) in exchanges.iter().zip(&own).zip(&strict) {
        let told = [&exchange.answer, own, strict].map(|answer| answer.told(exchange.is_head()));
        if told[0] == told[2] {
            let title = &exchange.title;
            assert_eq!(strict.content_type, exchange.answer.content_type, "{title}");
            assert_eq!(strict.message(), exchange.answer.message(), "{title}");
        }
        if told[0] != told[1] || told[0] != told[2] {
            differences.push(format!("| {} | {} |", exchange.title, told.join(" | ")));
        }
    }
    differences
}

/// Compares what was found with the table and with the page that users read.
fn compare(mut found: Vec<String>, table: &[Difference]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interop/torchserve.md");
    let page = fs::read_to_string(&page).unwrap();
    let row = |difference: &Difference| format!("| {} | {} |", difference.request, difference.answers.join(" | "));
    for difference in table {
        let line = format!("{} {} |", row(difference), difference.why);
        assert!(page.contains(&line), "the page lacks:\n{line}");
    }
    let mut expected: Vec<String> = table.iter().map(row).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn captured_requests_are_answered_alike_but_for_what_is_listed() {
    let Some(shared) = shared("requests captured in front of TorchServe") else { return };
    let captures = shared.join("captures/torchserve");
    let wire = fs::read_to_string(&captures.join("wire.txt")).unwrap();
    let (inference, _) = wire.split_once("############ MANAGEMENT").unwrap();
    let document = fs::read_to_string(&captures.join("openapi_inference.json")).unwrap();
    let exchanges = capture::exchanges(inference, &document);
    assert!(exchanges.len() >= 25, "{} requests", exchanges.len());
    let found = replay(&exchanges, &["naturedditTI"], false).await;
    compare(found, &DIFFERENCES);
}

#[tokio::test]
async fn captured_requests_over_https_are_answered_alike_but_for_what_is_listed() {
    let Some(shared) = shared("requests captured in front of TorchServe") else { return };
    let capture = fs::read_to_string(&shared.join("captures/torchserve/https_metrics.txt")).unwrap();
    let exchanges = capture::exchanges(&capture, "");
    assert!(exchanges.len() >= 7, "{} requests", exchanges.len());
    let found = replay(&exchanges, &["naturedditTI", "slow"], true).await;
    compare(found, &DIFFERENCES_OVER_HTTPS);
}
