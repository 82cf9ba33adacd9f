//! Servers that do and servers that do not: small programs, where a Python is there to run them.

use std::io::Write as _;
use std::process::Command;

use natureddit_core::ClassNames;

use super::exam::{Exam, Verdict};
use super::*;

/// A server as it should be: what it makes of a request it says by its form alone.
pub(super) const GOOD: &str = r#"
import http.server, json, os, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, kind, body):
        self.send_response(status); self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_GET(self): self.answer(PING, "application/json", b'{"status": "Healthy"}')
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        empty = b'name="text"\r\n\r\n\r\n' in body and b'name="image"' not in body
        broken = b'name="image"' in body and b"\xff\xd9\r\n" not in body
        if empty or broken: return self.answer(400, "application/json", b"{}")
        if self.headers["accept"] == "text/plain": return self.answer(200, "text/plain", b"flora")
        self.answer(200, "application/json", ANSWER)
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"url": "http://127.0.0.1:%d" % server.server_port, "models": ["m"]}, indent=2), flush=True)
"#;

pub(super) const STOPS: &str = "sys.stdin.read()\n";

/// Whether a Python is there; else the test is skipped aloud.
pub(super) fn python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        // Past the capture of a passing test's output.
        let _ = writeln!(std::io::stderr(), "skipped: there is no python3 on this machine");
    }
    found
}

/// Runs a script as the server; it leaves its number in the file `pid` of its scratch folder.
pub(super) fn server(script: &str) -> ServerProgram {
    let script = format!("import os, sys\nopen(sys.argv[1] + '/pid', 'w').write(str(os.getpid()))\n{script}");
    let script = script.replace("PING", "200");
    let answer = r#"b'{"label": "flora", "probabilities": {"fauna": 0.25, "flora": 0.75}}'"#;
    let script = script.replace("ANSWER", answer);
    ServerProgram {
        program: "python3".into(),
        arguments: Arc::new(move |candidate| {
            vec!["-c".into(), script.clone().into(), candidate.scratch.as_os_str().to_owned(), candidate.name.into()]
        }),
        environment: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()), ("LC_ALL".into(), "C.UTF-8".into())],
        settings: Value::Null,
    }
}

pub(super) const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

fn exam(start_timeout: Duration, stop_timeout: Duration) -> Exam {
    let config = InfraValidatorConfig { start_timeout, stop_timeout, response_timeout: LONG, test_posts_max: 1 };
    let post = requests::Request {
        what: "post abc".into(),
        text: Some("A meadow".into()),
        photo: None,
        expected: requests::Expected::Probabilities(vec![0.25, 0.75]),
    };
    let classes = ClassNames::new(["fauna", "flora"].map(str::to_owned).to_vec()).unwrap();
    Exam { classes, config, requests: std::iter::once(post).chain(requests::canned()).collect() }
}

fn hold_within(server: &ServerProgram, start: Duration, stop: Duration) -> Verdict {
    let scratch = tempfile::tempdir().unwrap();
    let candidate = Candidate { name: "m", bundle: Path::new("/bundle"), scratch: scratch.path() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let verdict = runtime.block_on(exam(start, stop).hold(server, &candidate)).unwrap();
    if let Ok(pid) = fs::read_to_string(&scratch.path().join("pid")) {
        let alive = Command::new("kill").args(["-0", &pid]).output().unwrap().status.success();
        assert!(!alive, "the server {pid} is left");
    }
    verdict
}

fn hold(server: &ServerProgram) -> Verdict {
    hold_within(server, LONG, LONG)
}

/// The rules that are not met.
fn faults(verdict: &Verdict) -> Vec<String> {
    let reasons = verdict.reasons();
    reasons.iter().filter_map(|reason| reason.strip_prefix("not met: ")).map(str::to_owned).collect()
}

#[test]
fn a_good_server_passes_and_is_gone_afterwards() {
    if !python() {
        return;
    }
    let verdict = hold(&server(&format!("{GOOD}{STOPS}")));
    assert_eq!(faults(&verdict), Vec::<String>::new());
    assert!(verdict.is_passed());
    assert_eq!(
        verdict.reasons(),
        [
            "met: the server was ready within 30 s",
            r#"met: /ping answers 200: {"status": "Healthy"}"#,
            "met: 3 requests were answered with one of fauna, flora and the probability of each",
            "met: 2 requests that make no sense were refused",
            "met: 1 test posts were answered as the model does, within 0.001",
            "met: who asks for text is answered the label alone",
            "met: it stopped when told, within 30 s",
        ]
    );
    let measured: Vec<&str> = verdict.measured().into_iter().map(|(name, _)| name).collect();
    assert!(measured.starts_with(&["start_ms", "latency_ms_median", "latency_ms_max"]), "{measured:?}");
}

#[test]
fn a_server_that_answers_nonsense_does_not_pass() {
    if !python() {
        return;
    }
    let faults_of = |from: &str, to: &str| faults(&hold(&server(&format!("{}{STOPS}", GOOD.replace(from, to)))));
    assert_eq!(faults_of("PING", "503"), [r#"/ping answers 503: {"status": "Healthy"}"#]);
    let no_json = faults_of("ANSWER", r#"b"flora""#);
    let why = "the answer is no JSON: flora";
    assert_eq!(no_json, [format!("a title alone: {why}"), format!("post abc: {why}")]);
    let other = faults_of("ANSWER", r#"b'{"label": "fauna", "probabilities": {"fauna": 0.75, "flora": 0.25}}'"#);
    assert_eq!(other, ["post abc: a probability is 0.5000 from the model's own"]);
    let all = faults_of("if empty or broken", "if False");
    assert!(all[0].starts_with("an empty title: it was answered 200: "), "{all:?}");
    let label = faults_of(r#"b"flora""#, r#"b"fungi""#);
    assert_eq!(label, ["who asks for text is answered 200: fungi"]);
}

#[test]
fn a_server_that_is_never_ready_is_given_up_and_ended() {
    if !python() {
        return;
    }
    let silent = hold_within(&server("import time\ntime.sleep(600)"), SHORT, LONG);
    assert_eq!(faults(&silent), ["the server was not ready within 0.3 s"]);
    let ended = hold(&server("sys.stderr.write('first\\nno such \\x1b[31moption\\n')\nsys.exit(2)"));
    let why = "the server ended with exit code 2 before it was ready; it said: first | no such [31moption";
    assert_eq!(faults(&ended), [why]);
    let babble = hold(&server("print('hello', flush=True)\nsys.stdin.read()"));
    assert_eq!(faults(&babble), ["the server does not say where it listens; it wrote: hello"]);
    let nowhere = hold(&server("print('{\"url\": \"http://127.0.0.1:9\"}', flush=True)\nsys.stdin.read()"));
    assert!(faults(&nowhere)[0].starts_with("there is no answer: the connection for http://127.0.0.1:9/ping failed"));
}

#[test]
fn a_server_that_does_not_stop_when_told_is_ended_and_does_not_pass() {
    if !python() {
        return;
    }
    let ready = "print('{\"url\": \"http://127.0.0.1:9\"}', flush=True)\n";
    let deaf = hold_within(&server(&format!("{ready}import time\ntime.sleep(600)")), LONG, SHORT);
    assert_eq!(faults(&deaf).last().unwrap(), "the server did not stop within 0.3 s");
    let fails = hold(&server(&format!("{ready}sys.stdin.read()\nsys.exit('I fall')")));
    assert_eq!(faults(&fails).last().unwrap(), "the server ended with exit code 1; it said: I fall");
}

#[test]
fn a_server_gets_the_environment_it_is_given_and_no_other() {
    if !python() {
        return;
    }
    let told = hold(&server("sys.exit(' '.join(sorted(os.environ)))"));
    assert!(faults(&told)[0].ends_with("; it said: LC_ALL PATH"), "{:?}", told.reasons());
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let program = ServerProgram { program: "/nowhere/natureddit".into(), ..server("") };
    let candidate = Candidate { name: "m", bundle: Path::new("/bundle"), scratch: Path::new("/nowhere") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(exam(LONG, LONG).hold(&program, &candidate)).unwrap_err();
    assert_eq!(error.to_string(), "could not start the server /nowhere/natureddit");
}

#[test]
fn a_verdict_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read_infra_blessing(folder.path()).unwrap(), None);
    fs::write_atomic(&folder.path().join(NOT_BLESSED), "met: a\nnot met: b\n").unwrap();
    let read = read_infra_blessing(folder.path()).unwrap().unwrap();
    assert_eq!((read.blessed, read.reasons), (false, vec!["met: a".to_owned(), "not met: b".to_owned()]));
}
