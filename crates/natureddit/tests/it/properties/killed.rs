//! The whole program, killed in the middle of a request as often as the case asks for, and run again until it ends.

#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use natureddit_sandbox::{CLIENT_ID, CLIENT_SECRET};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::draw::{Case, From, rng};
use super::oracle;
use super::world::{World, content};
use crate::natureddit::Natureddit;

/// Zones whose day begins early, late, at a half hour, and in which an hour is left out or comes twice.
const ZONES: [&str; 6] = ["UTC", "America/New_York", "Pacific/Auckland", "Asia/Kolkata", "Europe/London", "<-12>12"];

/// When a process is killed, and where it thinks that it is.
#[derive(Clone, Debug)]
struct Deaths {
    /// Each process is killed when the simulator has seen so many requests of it.
    after: Vec<u64>,
    zone: &'static str,
}

/// A case for the whole program. Every second one has photos.
pub(super) fn case(seed: u64) -> Case {
    let mut rng = rng(seed);
    let mut case = Case::new(&mut rng, seed, From::ALL[seed as usize % 4]);
    case.posts_only = (seed / 4) % 2 == 1;
    if !case.posts_only {
        case.posts = rng.random_range(16..28);
        case.draw_photo_faults(&mut rng);
    }
    case.draw_faults(&mut rng);
    case
}

pub(super) async fn run(seed: u64) {
    let case = case(seed);
    let mut rng = rng(seed ^ 0xdead);
    let deaths = Deaths {
        after: (0..rng.random_range(1..5)).map(|_| rng.random_range(1..40)).collect(),
        zone: ZONES.choose(&mut rng).unwrap(),
    };
    let world = World::new(case).await;
    let expected = world.reference().await;
    let folder = tempfile::tempdir().unwrap();
    write_settings(folder.path(), &world);
    let data = folder.path().join("data");
    world.break_it();
    for &requests in &deaths.after {
        let mut count = world.sandbox.requests();
        let last = *count.borrow_and_update() + requests;
        let (mut child, _home) = program(folder.path(), deaths.zone).spawn_unheard();
        tokio::select! {
            seen = count.wait_for(|count| *count >= last) => assert!(seen.is_ok()),
            end = child.wait() => assert!(end.is_ok()),
        }
        // On Unix this is SIGKILL; one that has ended already is not there to be killed.
        let _ = child.start_kill();
        child.wait().await.unwrap();
        if data.join("gaps.jsonl").is_file() {
            // What is in the journal only is a gap for now.
            oracle::check(&data, &world);
        }
    }
    end(&world, folder.path(), &deaths).await;
    let found = content(&data);
    let names: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let differ: Vec<_> = names.into_iter().filter(|&name| found.get(name) != expected.get(name)).collect();
    assert!(differ.is_empty(), "{differ:?} {deaths:?} {:?}", world.case);
}

/// Runs the program until it ends well and leaves nothing to come back for, then once more without faults, which brings
/// the photos that a fault spoilt.
async fn end(world: &World, dir: &Path, deaths: &Deaths) {
    let (data, mut last) = (dir.join("data"), String::new());
    for _ in 0..40 {
        let run = program(dir, deaths.zone).run();
        oracle::check(&data, world);
        let is_whole = run.code == Some(0) && oracle::gaps(&data, world).is_empty();
        if is_whole && !world.case.posts_only {
            world.sandbox.mend();
            let run = program(dir, deaths.zone).run();
            assert_eq!(run.code, Some(0), "{}\n{deaths:?} {:?}", run.stderr, world.case);
        }
        if is_whole {
            return;
        }
        last = format!("{}{:?}", run.stderr, oracle::gaps(&data, world));
    }
    panic!("40 runs and still not whole: {last}\n{deaths:?} {:?}", world.case);
}

fn program(dir: &Path, zone: &str) -> Natureddit {
    let named = Natureddit::new().env("NATUREDDIT_REDDIT_CLIENT_ID", CLIENT_ID);
    named.env("NATUREDDIT_REDDIT_CLIENT_SECRET", CLIENT_SECRET).env("TZ", zone).in_dir(dir).args(["collect"])
}

fn write_settings(dir: &Path, world: &World) {
    let window = world.sandbox.window();
    let moment = |second| jiff::Timestamp::from_second(second).unwrap();
    let source = match world.case.from {
        From::Pushshift => "pushshift",
        From::ArcticShift => "arctic_shift",
        From::RedditOauth => "reddit_oauth",
        From::Dump => "dump",
    };
    let dumps = if world.case.from == From::Dump { world.dumps() } else { Vec::new() };
    let hosts = world.sandbox.host_map().into_iter().map(|(host, target)| format!("\"{host}\" = \"{target}\"\n"));
    let text = format!(
        "[collect]\nsource = \"{source}\"\nsince = \"{}\"\nuntil = \"{}\"\npage_size = {}\nhydrate = false\n\
         [collect.dump]\nfiles = {dumps:?}\n[net]\nretries_max = 2\nbackoff = \"1ms\"\nbackoff_max = \"2ms\"\n\
         [net.host_map]\n{}",
        moment(window.since),
        moment(window.until),
        world.case.page_size,
        hosts.collect::<String>()
    );
    fs::write(dir.join("natureddit.toml"), text).unwrap();
}
