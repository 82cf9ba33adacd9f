//! Reddit's own API on daily runs of the simulator's clock, and outages that the next run makes up for.

use natureddit_data::Window;
use natureddit_data::gap::{GapReason, Ledger};
use natureddit_sandbox::{Change, Fault, FaultAction, LaterConfig, LostAnchor, PostEvent, SandboxConfig, Script};
use rand::Rng;

use super::draw::{Case, From, rng};
use super::oracle;
use super::world::{World, content, sandbox_config};

const DAY: i64 = 86_400;

/// Posts of some five days, fewer a day than a listing has.
const POSTS: usize = 1_400;

/// Runs at the end of each day for its day, while posts come to be seen, are deleted, and tokens end. A run asks once a
/// second, so that the clock moves under it.
pub(super) async fn run_daily(seed: u64) {
    let mut rng = rng(seed);
    let mut case = Case::new(&mut rng, seed, From::RedditOauth);
    case.posts = POSTS;
    case.page_size = rng.random_range(20..=100);
    case.lost_anchor = [LostAnchor::Continues, LostAnchor::Ends, LostAnchor::Restarts][seed as usize % 3];
    case.token_seconds = rng.random_range(3..20);
    let world = World::new(case.clone()).await;
    let window = world.sandbox.window();
    let posts: Vec<_> =
        world.sandbox.truth().posts.iter().map(|post| (post.id.to_string(), post.created_utc)).collect();
    drop(world);

    // The first run is at the end of the first day.
    let end_of = |second: i64| window.since + ((second - window.since) / DAY + 1) * DAY;
    let mut events = Vec::new();
    for (id, created) in &posts {
        let mut plan = |at, change| events.push(PostEvent { post: id.clone(), at, change });
        match rng.random_range(0..10) {
            // While the run of its day is under way, a request a second.
            0..3 => plan(end_of(*created) + rng.random_range(0..20), Change::Delete),
            3..5 => plan(created + rng.random_range(1..600), Change::Appear),
            _ => {}
        }
    }
    let gone: std::collections::BTreeSet<_> =
        events.iter().filter(|event| event.change == Change::Delete).map(|event| event.post.clone()).collect();
    let later = LaterConfig { unseen_seconds: rng.random_range(0..60), ..LaterConfig::default() };
    let config = SandboxConfig { later, events, starts_at: Some(window.since), ..sandbox_config(&case) };
    let world = World::with(case, config).await;
    let folder = tempfile::tempdir().unwrap();
    let mut since = window.since;
    while since < window.until + DAY {
        let until = since + DAY;
        world.clock.advance(until - world.clock.now().as_second());
        let day = Window::new(since, until).unwrap();
        let page_size = world.case.page_size;
        let report = world.collect_window(folder.path(), page_size, day).await.unwrap();
        let told: Vec<_> = report.gaps.iter().filter(|gap| gap.reason != GapReason::Silent).collect();
        assert!(told.is_empty(), "{told:?} {:?}", world.case);
        since = until;
    }
    // What was deleted while it was listed is there or not; all else is there, and no gap excuses it.
    let open = Ledger::read(folder.path()).unwrap().open_gaps();
    assert!(open.iter().all(|open| open.gap.window.since() > window.until), "{open:?} {:?}", world.case);
    oracle::check_posts(folder.path(), &world, |post| !gone.contains(post.id.as_str()));
}

/// More posts than listings have: what does not come lies in a gap, and that gap is told.
pub(super) async fn run_over_the_cap(seed: u64) {
    let mut case = Case::new(&mut rng(seed), seed, From::RedditOauth);
    (case.posts, case.page_size) = (9_000, 100);
    let world = World::new(case).await;
    let folder = tempfile::tempdir().unwrap();
    let report = world.collect(folder.path(), world.case.page_size).await.unwrap();
    oracle::check(folder.path(), &world);
    assert!(report.gaps.iter().all(|gap| gap.reason == GapReason::ListingCap), "{:?}", report.gaps);
    let came = report.posts_seen as usize;
    let all = oracle::truth(&world).count();
    assert!(report.gaps.len() >= 2 && came < all, "{came} of {all}, {:?}", report.gaps);
}

/// The source is down for the whole of one run; the next one brings what that run was for.
pub(super) async fn run_with_an_outage(seed: u64, from: From) {
    let mut rng = rng(seed);
    let mut case = Case::new(&mut rng, seed, from);
    case.posts = 200;
    let world = World::new(case).await;
    let expected = world.reference().await;
    let window = world.sandbox.window();
    let third = (window.until - window.since) / 3;
    let bounds = [window.since, window.since + third, window.since + 2 * third, window.until];
    let folder = tempfile::tempdir().unwrap();
    let page_size = world.case.page_size;
    let asked = async |at: usize| {
        let window = Window::new(bounds[at], bounds[at + 1]).unwrap();
        let end = world.collect_window(folder.path(), page_size, window).await;
        oracle::check_times(folder.path(), &world, |second| second < bounds[at + 1]);
        end
    };
    asked(0).await.unwrap();
    let down = FaultAction::Status { code: 503, retry_after: None };
    world.sandbox.play(Script { faults: vec![Fault::new("", rng.random_range(1..4), 1_000, down)], events: vec![] });
    let end = asked(1).await;
    assert!(end.is_err(), "{end:?} {:?}", world.case);
    let open = oracle::gaps(folder.path(), &world);
    let stopped = |open: &natureddit_data::gap::OpenGap| open.gap.reason == GapReason::Stopped;
    assert!(!open.is_empty() && open.iter().all(stopped), "{open:?} {:?}", world.case);
    world.sandbox.mend();
    asked(2).await.unwrap();
    assert!(oracle::gaps(folder.path(), &world).is_empty(), "{:?}", world.case);
    assert!(content(folder.path()) == expected, "{:?}", world.case);
}
