//! Spans of a server's requests, for a collector: sent through the one door out.

use std::sync::Arc;

use natureddit_net::{Client, ClientConfig, Pacing, Response};
use natureddit_serve::{SendSpans, TracesConfig};

use super::client_config;
use crate::config::Config;

/// The longest answer of a collector that is read, in bytes: it says how many spans it did not take, and why.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Which requests of a server are traced, and who is told; `None` is none, and no client is made.
pub(crate) fn traces(config: &Config) -> anyhow::Result<Option<TracesConfig>> {
    let Some(traces) = &config.serve.traces else { return Ok(None) };
    let timeout = traces.timeout;
    let how = ClientConfig { total_timeout: timeout, read_timeout: timeout, ..client_config(config) };
    let client = Client::for_server(how, Pacing::none(), &traces.endpoint)?;
    let (endpoint, headers) = (Arc::<str>::from(traces.endpoint.as_str()), Arc::<[_]>::from(traces.headers.as_slice()));
    let send = SendSpans::new(move |message| {
        let (client, endpoint, headers) = (client.clone(), Arc::clone(&endpoint), Arc::clone(&headers));
        async move {
            let request = client.post_bytes(&endpoint, "application/x-protobuf", message).bytes_max(ANSWER_BYTES_MAX);
            let request = headers.iter().fold(request, |request, (name, value)| request.header_auth(name, value));
            // However often it is repeated.
            match tokio::time::timeout(timeout, request.send()).await {
                Ok(answer) => answer.and_then(Response::require_success).map(|answer| answer.body),
                Err(_elapsed) => {
                    return Err(format!("{endpoint} did not take them within {} s", timeout.as_secs_f64()));
                }
            }
            .map_err(|error| format!("{:#}", anyhow::Error::new(error)))
        }
    });
    Ok(Some(TracesConfig {
        sample: traces.sample,
        service_name: traces.service_name.clone(),
        queue_len_max: traces.queue_len_max,
        batch_len_max: traces.batch_len_max,
        delay_max: traces.delay_max,
        flush_timeout: timeout,
        send,
    }))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::path::Path;
    use std::thread;
    use std::time::Duration;

    use natureddit_core::Secret;
    use url::Url;

    use super::*;
    use crate::config::{self, Environment};

    fn settings(endpoint: &str) -> Config {
        let environment =
            Environment { cache_home: Some("/cache".into()), data_home: Some("/data".into()), ..Environment::read() };
        let mut config = Config::defaults(Path::new("/project"), &environment).unwrap();
        config.net.retries_max = 0;
        config.serve.traces = Some(config::TracesConfig {
            endpoint: Url::parse(endpoint).unwrap(),
            headers: [("authorization", "Bearer hidden"), ("x-team", "a")]
                .map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
                .into(),
            sample: 1.0,
            service_name: "a".to_owned(),
            queue_len_max: 1,
            batch_len_max: 1,
            delay_max: Duration::ZERO,
            timeout: Duration::from_mins(1),
        });
        config
    }

    /// Sends `spans` to a collector on this machine that answers so, and gives what it was sent and what came of it.
    fn sent(answer: &'static str) -> (String, Result<String, String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = settings(&format!("http://{}/v1/traces", listener.local_addr().unwrap()));
        let collector = thread::spawn(move || {
            let mut reader = BufReader::new(listener.accept().unwrap().0);
            let lines = reader.by_ref().lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let mut body = [0; "spans".len()];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            format!("{}\n\n{}", head.join("\n"), String::from_utf8_lossy(&body))
        });
        let traces = traces(&config).unwrap().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let outcome = runtime.block_on(traces.send.call("spans".into()));
        (collector.join().unwrap(), outcome.map(|body| String::from_utf8_lossy(&body).into_owned()))
    }

    #[test]
    fn a_collector_on_this_machine_is_sent_to_with_what_it_wants_to_be_shown() {
        let (request, outcome) = sent("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!(outcome.as_deref(), Ok("ok"));
        for part in ["POST /v1/traces HTTP/1.1\n", "\ncontent-type: application/x-protobuf\n", "\n\nspans"] {
            assert!(request.contains(part), "{request}");
        }
        assert!(request.contains("\nauthorization: Bearer hidden\n") && request.contains("\nx-team: a\n"), "{request}");
    }

    #[test]
    fn what_it_does_not_take_is_told_without_what_is_secret() {
        let (_, outcome) = sent("HTTP/1.1 403 Forbidden\r\ncontent-length: 13\r\n\r\nBearer hidden");
        let reason = outcome.unwrap_err();
        assert!(reason.contains("status 403") && !reason.contains("hidden"), "{reason}");
    }

    #[test]
    fn nothing_is_traced_unless_a_collector_is_named() {
        let mut config = settings("http://127.0.0.1:4318");
        config.serve.traces = None;
        assert!(traces(&config).unwrap().is_none());
    }
}
