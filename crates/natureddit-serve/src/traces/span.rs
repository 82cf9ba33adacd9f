//! Spans of a request, with the names of OpenTelemetry's semantic conventions for HTTP servers.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::uri::Authority;
use axum::http::{Method, Version, header};
use jiff::Timestamp;

use super::context::SpanContext;
use super::stages::Passed;
use super::wire::{KeyValue, Span, Status};
use crate::access::{Answered, CLIENT_CLOSED_REQUEST};
use crate::metrics::Stage;

/// The longest name of a server, in bytes: what the domain name system allows.
const HOST_BYTES_MAX: usize = 255;

/// What is known of a request when it comes.
pub(super) struct Arrived {
    pub(super) context: SpanContext,
    scheme: &'static str,
    method: Method,
    /// The path with its parameters as they are called; `None` where there is no such path.
    route: Option<MatchedPath>,
    /// As which host it was asked.
    server: Option<Authority>,
    version: Version,
}

/// A request that was answered.
pub(super) struct Finished {
    pub(super) arrived: Arrived,
    pub(super) answered: Answered,
    pub(super) started: Instant,
    pub(super) ended: Instant,
    /// `ended` by the clock.
    pub(super) ended_at: Timestamp,
    pub(super) stages: Vec<Passed>,
}

impl Arrived {
    pub(super) fn new(request: &Request, context: SpanContext, scheme: &'static str) -> Self {
        let by_header = || request.headers().get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok();
        let server = request.uri().authority().cloned().or_else(by_header);
        Self {
            context,
            scheme,
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            server: server.filter(|server| server.host().len() <= HOST_BYTES_MAX),
            version: request.version(),
        }
    }
}

impl Finished {
    /// How many spans it is.
    pub(super) fn len(&self) -> usize {
        1 + self.stages.len() + usize::from(self.reply_begun().is_some())
    }

    /// The request's span, and those of its stages.
    pub(super) fn spans(self) -> Vec<Span> {
        let mut spans = Vec::with_capacity(self.len());
        spans.push(self.server_span());
        let reply =
            self.reply_begun().map(|begun| Passed { stage: "postprocess", begun, ended: self.ended, batch_size: None });
        spans.extend(self.stages.iter().chain(&reply).zip(1..).map(|(passed, number)| self.stage_span(passed, number)));
        spans
    }

    /// When the model's last answer was there, from which the reply is made.
    fn reply_begun(&self) -> Option<Instant> {
        let encoded = self.stages.iter().filter(|passed| passed.stage == Stage::Encode.name());
        encoded.map(|passed| passed.ended).max()
    }

    fn server_span(&self) -> Span {
        let SpanContext { trace_id, span_id, parent, state } = &self.arrived.context;
        let is_failure = self.answered.status >= 500 || self.answered.status == CLIENT_CLOSED_REQUEST;
        Span {
            trace_id: trace_id.into(),
            span_id: span_id.into(),
            trace_state: state.clone(),
            parent_span_id: parent.map(Vec::from).unwrap_or_default(),
            name: self.name(),
            kind: Span::SERVER,
            start_time_unix_nano: self.at(self.started),
            end_time_unix_nano: self.at(self.ended),
            attributes: self.attributes(),
            status: is_failure.then_some(Status { code: Status::ERROR }),
            flags: Span::SAMPLED | Span::HAS_IS_REMOTE | parent.map_or(0, |_| Span::IS_REMOTE),
        }
    }

    fn stage_span(&self, passed: &Passed, number: u64) -> Span {
        let SpanContext { trace_id, span_id, .. } = &self.arrived.context;
        Span {
            trace_id: trace_id.into(),
            span_id: mixed(u64::from_be_bytes(*span_id).wrapping_add(number)).to_be_bytes().into(),
            parent_span_id: span_id.into(),
            name: passed.stage.to_owned(),
            kind: Span::INTERNAL,
            start_time_unix_nano: self.at(passed.begun),
            end_time_unix_nano: self.at(passed.ended),
            attributes: passed
                .batch_size
                .map(|size| KeyValue::integer("natureddit.batch.size", size))
                .into_iter()
                .collect(),
            flags: Span::SAMPLED | Span::HAS_IS_REMOTE,
            ..Span::default()
        }
    }

    /// Of few values, so that spans of a name can be counted.
    fn name(&self) -> String {
        let method = known_method(&self.arrived.method).unwrap_or("HTTP");
        match &self.arrived.route {
            Some(route) => format!("{method} {}", route.as_str()),
            None => method.to_owned(),
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let Self { arrived, answered, .. } = self;
        let mut attributes = vec![
            KeyValue::text("http.request.method", known_method(&arrived.method).unwrap_or("_OTHER")),
            KeyValue::text("url.path", answered.path.as_str()),
            KeyValue::text("url.scheme", arrived.scheme),
            KeyValue::text("network.protocol.version", protocol_version(arrived.version)),
            KeyValue::texts("http.response.header.x-request-id", answered.id.as_str()),
        ];
        if let Some(route) = &arrived.route {
            attributes.push(KeyValue::text("http.route", route.as_str()));
        }
        if let Some(server) = &arrived.server {
            attributes.push(KeyValue::text("server.address", server.host().trim_matches(['[', ']'])));
            attributes.extend(server.port_u16().map(|port| KeyValue::integer("server.port", port)));
        }
        attributes.extend(answered.request_bytes.map(|bytes| KeyValue::integer("http.request.body.size", bytes)));
        attributes.extend(answered.response_bytes.map(|bytes| KeyValue::integer("http.response.body.size", bytes)));
        match answered.status {
            // No status was sent.
            CLIENT_CLOSED_REQUEST => attributes.push(KeyValue::text("error.type", "client_closed_request")),
            status => {
                attributes.push(KeyValue::integer("http.response.status_code", status));
                if status >= 500 {
                    attributes.push(KeyValue::text("error.type", status.to_string()));
                }
            }
        }
        if let Some(origin) = &answered.origin {
            attributes.push(KeyValue::text("natureddit.model.name", &*origin.model));
            attributes.push(KeyValue::text("natureddit.model.version", origin.version.to_string()));
        }
        attributes
    }

    /// A moment in nanoseconds since 1970.
    fn at(&self, moment: Instant) -> u64 {
        let before = i128::try_from(self.ended.saturating_duration_since(moment).as_nanos()).unwrap_or(i128::MAX);
        u64::try_from(self.ended_at.as_nanosecond().saturating_sub(before)).unwrap_or(0)
    }
}

/// The methods that the conventions name: others could be without number.
fn known_method(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// Another number for each: the last step of SplitMix64, which has an inverse.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
