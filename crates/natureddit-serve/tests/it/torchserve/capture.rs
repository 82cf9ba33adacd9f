//! Reading the captures: a title, a `curl` command, and what it printed.

use std::net::SocketAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::fixture::jpeg;

/// A pixel with transparency.
const RGBA_PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// A request and its answer.
pub(super) struct Exchange {
    pub(super) title: String,
    words: Vec<String>,
    pub(super) answer: Answer,
}

/// An answer, of TorchServe or of this server.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) body: String,
}

impl Answer {
    /// Its status and its shape: of an error the type, of another object the keys.
    pub(super) fn told(&self, is_head: bool) -> String {
        let json = serde_json::from_str::<Value>(&self.body).ok();
        let shape = match json.as_ref().and_then(Value::as_object) {
            _ if is_head => "headers".to_owned(),
            _ if self.body.is_empty() => "empty".to_owned(),
            Some(error) if error.contains_key("code") => error["type"].as_str().unwrap().to_owned(),
            Some(object) => {
                let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
                keys.sort_unstable();
                format!("{{{}}}", keys.join(", "))
            }
            None => "text".to_owned(),
        };
        format!("{} {shape}", self.status)
    }

    /// What an error says.
    pub(super) fn message(&self) -> Option<String> {
        let json: Value = serde_json::from_str(&self.body).ok()?;
        Some(json.get("message")?.as_str()?.to_owned())
    }
}

/// The captured requests to the inference port that one `curl` sent. `document` stands for bodies that were cut off. What
/// another handler than the original's answered is left out: there is none here.
pub(super) fn exchanges(capture: &str, document: &str) -> Vec<Exchange> {
    let capture = capture.replace("\r\n", "\n");
    let blocks = capture.split("##### ").skip(1);
    let read = |block: &str| {
        let (title, rest) = block.split_once('\n')?;
        let (command, printed) = rest.strip_prefix("$ ")?.split_once('\n')?;
        let (command, is_cut) = match command.split_once(" | head") {
            Some((command, _)) => (command, true),
            None => (command.split("; echo ").next()?, false),
        };
        let words = words(command);
        let is_ours = words[0] == "curl" && words.iter().any(|word| word.contains(":8080/"));
        let is_of_another_handler = words.iter().any(|word| word.starts_with("ms=5") || word.ends_with("/echo"));
        if !is_ours || is_of_another_handler || title == "after timeout" {
            return None;
        }
        let mut answer = answer(printed);
        if is_cut {
            answer.body = document.to_owned();
        }
        Some(Exchange { title: title.to_owned(), words, answer })
    };
    blocks.filter_map(read).collect()
}

/// The last answer that was printed.
fn answer(printed: &str) -> Answer {
    let start = printed.rmatch_indices("HTTP/1.1 ").find(|(at, _)| *at == 0 || printed[..*at].ends_with('\n'));
    let answer = &printed[start.unwrap().0..];
    let (head, body) = answer.split_once("\n\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).unwrap().trim().parse().unwrap();
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).map(str::to_owned);
    // One of the commands also told how `curl` ended.
    let body = body.trim_end().trim_end_matches("rc=0").trim_end();
    Answer { status, content_type, body: body.to_owned() }
}

/// The words of a command, as a shell splits it.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ') => words.push(String::new()),
            _ => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// The files that the commands name.
fn file(name: &str) -> Vec<u8> {
    match name.rsplit('/').next().unwrap() {
        "photo.jpg" => jpeg(),
        "rgba.png" => BASE64_STANDARD.decode(RGBA_PNG).unwrap(),
        "handler.py" => b"import torch".to_vec(),
        "big7.bin" => vec![0; 7 << 20],
        other => panic!("a file {other}"),
    }
}

impl Exchange {
    pub(super) fn is_head(&self) -> bool {
        self.words.iter().any(|word| word == "-sI")
    }

    /// The request that `curl` would send to `address`.
    pub(super) fn request(&self, client: &Client, address: SocketAddr) -> RequestBuilder {
        let mut method = if self.is_head() { Method::HEAD } else { Method::GET };
        let (mut url, mut form, mut body, mut headers) = (None, None, None, Vec::new());
        let mut words = self.words.iter().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap().as_str();
            match word.as_str() {
                "-X" => method = value().parse().unwrap(),
                "-H" => headers.extend(value().split_once(": ")),
                "-F" => {
                    let (name, value) = value().split_once('=').unwrap();
                    let part = match value.strip_prefix('@') {
                        Some(path) => Part::bytes(file(path)).file_name(path.to_owned()),
                        None => Part::text(value.to_owned()),
                    };
                    form = Some(form.unwrap_or_else(Form::new).part(name.to_owned(), part));
                }
                "-d" => body = Some(value().as_bytes().to_vec()),
                "--data-binary" => body = Some(file(value().trim_start_matches('@'))),
                "--cacert" => drop(value()),
                address if address.starts_with("http") => url = Some(address),
                option => {
                    assert!(matches!(option, "-si" | "-sI" | "-k" | "-sS" | "-i" | "-iv" | "--http2"), "{option}");
                }
            }
        }
        if method == Method::GET && (form.is_some() || body.is_some()) {
            method = Method::POST;
        }
        // The certificate is for this name, too.
        let host = if url.unwrap().starts_with("https") { "localhost" } else { "127.0.0.1" };
        let url = url.unwrap().replace("127.0.0.1:8080", &format!("{host}:{}", address.port()));
        let request = headers.into_iter().fold(client.request(method, url), |it, (name, value)| it.header(name, value));
        let request = form.into_iter().fold(request, RequestBuilder::multipart);
        body.into_iter().fold(request, RequestBuilder::body)
    }
}
