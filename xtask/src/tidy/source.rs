//! Words that must not stand in Rust source, or only in some of it, where no lint of clippy's refuses them.

use super::Finding;
use super::code::{before_tests, code_only, contains_word};

/// Refused in every Rust file, tests too.
const REFUSED: [(&str, &str); 4] = [
    ("#[allow(", "say what is expected and why: #[expect(.., reason = \"..\")]"),
    ("#![allow(", "say what is expected and why: #![expect(.., reason = \"..\")]"),
    ("#[ignore", "a test that does not run proves nothing"),
    ("unsafe", "unsafe code stands only where xtask/src/tidy/source.rs lists it"),
];

/// The files that may use `unsafe`, each with what for.
const UNSAFE_FILES: [(&str, &str); 1] =
    [("crates/natureddit/src/main.rs", "sets ORT_DISABLE_TELEMETRY while the process has one thread")];

/// Refused below a folder, outside tests: the invariants of docs/ARCHITECTURE.md.
const REFUSED_BELOW: [(&str, &[&str], &str); 4] = [
    (
        "crates/natureddit-core/src/",
        &["std::net", "unix::net", "TcpListener", "TcpStream", "UdpSocket"],
        "core opens no socket",
    ),
    (
        "crates/natureddit-core/src/",
        // The last is an import of several names, one of which may be `spawn`.
        &["thread::spawn", "thread::scope", "thread::Builder", "thread::{"],
        "core starts no thread",
    ),
    ("crates/natureddit-pipeline/src/components/", &["sqlx"], "a component never opens the metadata store"),
    ("crates/natureddit-pipeline/src/components/", &["reqwest"], "a component opens no socket"),
];

/// Only a program or a test talks to its terminal; a library reports through its return value or `Progress`.
const PRINTS: [&str; 4] = ["print!", "println!", "eprint!", "eprintln!"];
const PRINTING: [&str; 3] = ["crates/natureddit/", "crates/natureddit-testkit/", "xtask/"];

/// What is wrong with one Rust file.
pub(super) fn findings(path: &str, text: &str) -> Vec<Finding> {
    let code = code_only(text);
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        for (word, reason) in REFUSED {
            if contains_word(line, word) && !(word == "unsafe" && is_listed_unsafe(path)) {
                findings.push(Finding::new(path, number, format!("`{word}`: {reason}")));
            }
        }
    }
    if !is_test_or_example(path) {
        findings.extend(program_findings(path, before_tests(&code)));
    }
    findings
}

/// What is wrong with the part of a file that ends up in the program.
fn program_findings(path: &str, code: &str) -> Vec<Finding> {
    let is_library = !PRINTING.iter().any(|folder| path.starts_with(folder));
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        for word in PRINTS {
            if is_library && contains_word(line, word) {
                let reason = format!("`{word}`: a library reports through its return value or Progress");
                findings.push(Finding::new(path, number, reason));
            }
        }
        for (_, words, reason) in REFUSED_BELOW.into_iter().filter(|(folder, ..)| path.starts_with(folder)) {
            if let Some(word) = words.iter().find(|word| contains_word(line, word)) {
                findings.push(Finding::new(path, number, format!("`{word}`: {reason}")));
            }
        }
    }
    findings
}

fn is_listed_unsafe(path: &str) -> bool {
    UNSAFE_FILES.iter().any(|(listed, _)| *listed == path)
}

fn is_test_or_example(path: &str) -> bool {
    let is_test = path.ends_with("/tests.rs") || path.ends_with("_test.rs") || path.ends_with("_tests.rs");
    is_test || path.split('/').any(|part| matches!(part, "tests" | "examples" | "benches" | "build.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARY: &str = "crates/natureddit-data/src/lib.rs";

    fn found(path: &str, text: &str) -> Vec<String> {
        findings(path, text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_refused_word_is_found_with_its_line() {
        for (line, word) in [
            ("#[allow(dead_code)]", "#[allow("),
            ("#![allow(dead_code)]", "#![allow("),
            ("#[ignore = \"slow\"]", "#[ignore"),
            ("unsafe { f() }", "unsafe"),
        ] {
            let found = found(LIBRARY, &format!("fn a() {{}}\n{line}\n"));
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert!(found[0].starts_with(&format!("{LIBRARY}:2: `{word}`")), "{found:?}");
        }
    }

    #[test]
    fn a_refused_word_in_a_comment_or_string_is_no_break() {
        assert_eq!(found(LIBRARY, "// unsafe\nconst A: &str = \"unsafe { f() }\";\n"), [""; 0]);
    }

    #[test]
    fn unsafe_is_allowed_only_in_the_listed_file() {
        assert_eq!(found("crates/natureddit/src/main.rs", "unsafe { f() }"), [""; 0]);
        assert_eq!(found("crates/natureddit/src/lib.rs", "unsafe { f() }").len(), 1);
    }

    #[test]
    fn a_library_does_not_print_and_a_program_and_a_test_may() {
        assert_eq!(found(LIBRARY, "fn a() { println!(); }").len(), 1);
        assert_eq!(found(LIBRARY, "fn a() { eprint!(\"\"); }").len(), 1);
        for path in [
            "crates/natureddit/src/cli/run.rs",
            "xtask/src/main.rs",
            "crates/a/tests/it.rs",
            "crates/a/src/scene_test.rs",
        ] {
            assert_eq!(found(path, "fn a() { println!(); }"), [""; 0], "{path}");
        }
        assert_eq!(found(LIBRARY, "#[cfg(test)]\nmod tests {\n fn a() { println!(); }\n}"), [""; 0]);
    }

    #[test]
    fn core_and_components_do_not_touch_what_they_must_not() {
        for line in [
            "use std::net::IpAddr;",
            "use std::{fs, net::TcpStream};",
            "use std::os::unix::net::UnixStream;",
            "std::thread::spawn(f);",
            "thread::scope(|scope| scope.spawn(f));",
            "thread::Builder::new().spawn(f);",
            "use std::thread::{self, spawn};",
        ] {
            assert_eq!(found("crates/natureddit-core/src/fs.rs", line).len(), 1, "{line}");
            assert_eq!(found(LIBRARY, line), [""; 0], "{line}");
        }
        assert_eq!(found("crates/natureddit-core/src/fs.rs", "std::thread::current().id();"), [""; 0]);
        assert_eq!(found("crates/natureddit-pipeline/src/components/trainer.rs", "sqlx::query(a)").len(), 1);
        assert_eq!(found("crates/natureddit-pipeline/src/components/trainer.rs", "reqwest::get(a)").len(), 1);
        assert_eq!(found("crates/natureddit-pipeline/src/metadata.rs", "sqlx::query(a)"), [""; 0]);
    }
}
