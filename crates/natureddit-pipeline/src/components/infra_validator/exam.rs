//! One server asked all that it is asked, and what came of it.

use std::time::{Duration, Instant};

use natureddit_core::{ClassNames, fs};
use natureddit_net::NetError;
use natureddit_net::own_server::{Answer, AnswerForm, OwnServer};
use url::Url;

use super::requests::{Expected, Request, TOLERANCE, brief};
use super::server::{Ready, Server, StartError};
use super::{Candidate, InfraValidatorConfig, ServerProgram};

/// What a server is asked.
pub(super) struct Exam {
    pub(super) classes: ClassNames,
    pub(super) config: InfraValidatorConfig,
    pub(super) requests: Vec<Request>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    rules: Vec<(bool, String)>,
    start: Option<Duration>,
    latencies: Vec<Duration>,
    memory_peak: Option<u64>,
}

impl Verdict {
    fn rule(&mut self, met: bool, why: impl Into<String>) {
        self.rules.push((met, why.into()));
    }

    /// Whether every rule is met.
    pub(super) fn is_passed(&self) -> bool {
        self.rules.iter().all(|(met, _)| *met)
    }

    /// A sentence for each rule; none with a time, so that the same model gives the same file.
    pub(super) fn reasons(&self) -> Vec<String> {
        self.rules.iter().map(|(met, why)| format!("{}: {why}", if *met { "met" } else { "not met" })).collect()
    }

    /// What was measured, by name.
    pub(super) fn measured(&self) -> Vec<(&'static str, f64)> {
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let middle = latencies.get(latencies.len() / 2).copied();
        [
            ("start_ms", self.start.map(milliseconds)),
            ("latency_ms_median", middle.map(milliseconds)),
            ("latency_ms_max", latencies.last().copied().map(milliseconds)),
            ("memory_bytes_peak", self.memory_peak.map(|bytes| bytes as f64)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

impl Exam {
    /// Starts a server with the candidate, asks it and stops it.
    pub(super) async fn hold(&self, program: &ServerProgram, candidate: &Candidate<'_>) -> Result<Verdict, StartError> {
        let mut verdict = Verdict::default();
        let began = Instant::now();
        let (mut server, stdout) = Server::start(program, candidate)?;
        let limit = self.config.start_timeout;
        let ready = match server.ready(stdout, limit).await {
            Ok(ready) => ready,
            Err(why) => {
                verdict.rule(false, why);
                return Ok(verdict);
            }
        };
        verdict.start = Some(began.elapsed());
        verdict.rule(true, format!("the server was ready within {} s", limit.as_secs_f64()));
        if let Err(why) = self.ask(&ready, candidate.name, &mut verdict).await {
            verdict.rule(false, why);
        }
        verdict.memory_peak = server.memory_peak();
        let limit = self.config.stop_timeout;
        match server.stop(limit).await {
            Ok(()) => verdict.rule(true, format!("it stopped when told, within {} s", limit.as_secs_f64())),
            Err(why) => verdict.rule(false, why),
        }
        Ok(verdict)
    }

    async fn ask(&self, ready: &Ready, name: &str, verdict: &mut Verdict) -> Result<(), String> {
        let certificate = ready.certificate.as_deref().map(fs::read).transpose().map_err(|e| told(&e))?;
        let client = OwnServer::new(certificate.as_deref(), self.config.response_timeout).map_err(|e| told(&e))?;
        let url = |path: &str| ready.url.join(path).map_err(|e| told(&e));
        let ping = answered(client.get(&url("ping")?).await)?;
        verdict.rule(ping.status == 200, format!("/ping answers {}: {}", ping.status, brief(&ping.body)));

        let predictions = url(&format!("predictions/{name}"))?;
        let mut faults = Vec::new();
        for request in &self.requests {
            let began = Instant::now();
            let answer = client.post_form(&predictions, AnswerForm::Json, request.fields()).await;
            let fault = match answered(answer) {
                Ok(answer) => {
                    verdict.latencies.push(began.elapsed());
                    request.fault(&answer, &self.classes)
                }
                Err(why) => Some(why),
            };
            faults.push(fault);
        }
        self.judge(&faults, verdict);
        self.ask_for_label(&client, &predictions, verdict).await
    }

    /// A rule for each kind of request; of those that failed the first is told.
    fn judge(&self, faults: &[Option<String>], verdict: &mut Verdict) {
        let of_kind = |wanted: fn(&Expected) -> bool| -> (usize, Option<String>) {
            let asked = self.requests.iter().zip(faults).filter(|(request, _)| wanted(&request.expected));
            let wrong =
                asked.clone().find_map(|(request, fault)| Some(format!("{}: {}", request.what, fault.as_ref()?)));
            (asked.count(), wrong)
        };
        let mut rule = |(count, wrong): (usize, Option<String>), right: &str| match wrong {
            None if count == 0 => verdict.rule(true, format!("nothing was asked of what should show: {right}")),
            None => verdict.rule(true, format!("{count} {right}")),
            Some(wrong) => verdict.rule(false, wrong),
        };
        let classes = &self.classes;
        rule(
            of_kind(|expected| *expected == Expected::Prediction),
            &format!("requests were answered with one of {classes} and the probability of each"),
        );
        rule(of_kind(|expected| *expected == Expected::Refusal), "requests that make no sense were refused");
        rule(
            of_kind(|expected| matches!(expected, Expected::Probabilities(_))),
            &format!("test posts were answered as the model does, within {TOLERANCE}"),
        );
    }

    /// The original's clients read the label and nothing else.
    async fn ask_for_label(&self, client: &OwnServer, predictions: &Url, verdict: &mut Verdict) -> Result<(), String> {
        let Some(request) = self.requests.iter().find(|request| request.expected == Expected::Prediction) else {
            return Ok(());
        };
        let Answer { status, body } =
            answered(client.post_form(predictions, AnswerForm::Text, request.fields()).await)?;
        let is_label = status == 200 && self.classes.class(&body).is_some();
        let what = if is_label { "the label alone".to_owned() } else { format!("{status}: {}", brief(&body)) };
        verdict.rule(is_label, format!("who asks for text is answered {what}"));
        Ok(())
    }
}

/// An answer, or why there is none.
fn answered(answer: Result<Answer, NetError>) -> Result<Answer, String> {
    answer.map_err(|error| format!("there is no answer: {}", told(&error)))
}

/// An error with its causes, on one line.
pub(super) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    brief(&causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}
