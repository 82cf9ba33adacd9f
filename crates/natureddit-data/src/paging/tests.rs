use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What a server gives when a range holds more posts than a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    OldestAscending,
    OldestDescending,
    OldestShuffled,
    NewestDescending,
    NewestAscending,
}

#[derive(Clone, Debug)]
struct Server {
    /// Sorted by time; posts of one second in any order.
    posts: Vec<(PostId, i64)>,
    after_included: bool,
    before_included: bool,
    delivery: Delivery,
    /// The largest page it gives, whatever it is asked for.
    cap: u32,
    /// The largest page it says it gives.
    size_max: u32,
    repeats_records: bool,
    /// Larger pages take it too long, so that the source asks for fewer.
    slow_above: u32,
    /// Which requests, from 0, are answered with an empty page.
    silent: std::ops::Range<usize>,
    /// The request, from 0, whose answer leaves out some of its records, and which.
    lacking: Option<(usize, Lacking)>,
    /// The request, from 0, whose answer gives each record twice.
    twice: Option<usize>,
}

/// What an answer leaves out without saying so.
#[derive(Clone, Copy, Debug)]
enum Lacking {
    Record(usize),
    AllAfter(usize),
}

impl Server {
    fn page(&self, number: usize, request: PageRequest) -> Vec<(PostId, i64)> {
        if self.silent.contains(&number) {
            return Vec::new();
        }
        let PageRequest { after, before, size } = request;
        let after = if self.after_included { after } else { after + 1 };
        let before = if self.before_included { before } else { before - 1 };
        let range: Vec<_> = self.posts.iter().filter(|(_, t)| (after..=before).contains(t)).cloned().collect();
        let size = size.min(self.cap) as usize;
        let mut page = match self.delivery {
            Delivery::NewestAscending | Delivery::NewestDescending => {
                range[range.len().saturating_sub(size)..].to_vec()
            }
            _ => range[..size.min(range.len())].to_vec(),
        };
        match self.delivery {
            Delivery::OldestDescending | Delivery::NewestDescending => page.reverse(),
            Delivery::OldestShuffled => {
                let middle = page.len() / 3;
                page.rotate_left(middle);
            }
            _ => {}
        }
        if self.repeats_records && page.len() > 1 {
            page.insert(1, page[0].clone());
        }
        if self.twice == Some(number) {
            page.extend(page.clone());
        }
        match self.lacking {
            Some((at, Lacking::Record(record))) if at == number && record < page.len() => _ = page.remove(record),
            Some((at, Lacking::AllAfter(records))) if at == number => page.truncate(records),
            _ => {}
        }
        page
    }
}

/// Pages through the window; the ids in the order they came, and the gaps.
fn collect(server: &Server, window: Window, size: u32) -> (Vec<PostId>, Vec<Window>) {
    let mut pager = Pager::new(window, size, server.size_max);
    let mut ids = Vec::new();
    let mut requests = 0;
    while let Some(request) = pager.next_page() {
        let size = request.size.min(server.slow_above);
        let page = server.page(requests, PageRequest { size, ..request });
        requests += 1;
        assert!(requests < 10 * server.posts.len() + 20, "paging does not end: {request:?}");
        for position in pager.accept(page.len(), size, &page).unwrap() {
            ids.push(page[position].0.clone());
        }
    }
    (ids, windows(pager))
}

fn windows(pager: Pager) -> Vec<Window> {
    pager.into_gaps().into_iter().map(|gap| gap.window).collect()
}

fn posts(seconds: impl IntoIterator<Item = i64>) -> Vec<(PostId, i64)> {
    let mut seconds: Vec<_> = seconds.into_iter().collect();
    seconds.sort_unstable();
    let id = |number: usize| format!("p{number}").parse().unwrap();
    seconds.into_iter().enumerate().map(|(number, second)| (id(number), second)).collect()
}

fn server(posts: Vec<(PostId, i64)>) -> Server {
    Server {
        posts,
        after_included: false,
        before_included: false,
        delivery: Delivery::OldestAscending,
        cap: 100,
        size_max: 100,
        repeats_records: false,
        slow_above: u32::MAX,
        silent: 0..0,
        lacking: None,
        twice: None,
    }
}

fn window(since: i64, until: i64) -> Window {
    Window::new(since, until).unwrap()
}

#[test]
fn a_tie_across_the_edge_of_a_page_loses_nothing() {
    for after_included in [false, true] {
        let server = Server { after_included, ..server(posts((0..99).chain([99; 5]).chain([100, 101]))) };
        let (ids, gaps) = collect(&server, window(0, 1000), 100);
        assert_eq!((ids.len(), gaps.len()), (106, 0));
    }
}

#[test]
fn the_window_is_half_open_whatever_the_server_includes() {
    for (after_included, before_included) in [(false, false), (true, true)] {
        let server = Server { after_included, before_included, ..server(posts([9, 10, 19, 20])) };
        let (ids, _) = collect(&server, window(10, 20), 100);
        assert_eq!(ids, ["p1".parse().unwrap(), "p2".parse().unwrap()]);
    }
}

#[test]
fn a_second_that_fills_a_page_asks_for_a_larger_one() {
    let server = server(posts([5; 60].into_iter().chain([6; 3])));
    let (ids, gaps) = collect(&server, window(0, 100), 25);
    assert_eq!((ids.len(), gaps.len()), (63, 0));
}

#[test]
fn a_second_over_the_largest_page_is_a_gap_and_is_walked_past() {
    for after_included in [false, true] {
        let server = Server { after_included, ..server(posts([1, 2].into_iter().chain([5; 250]).chain([6, 7]))) };
        let (ids, gaps) = collect(&server, window(0, 100), 100);
        assert_eq!(gaps, [Window::of_second(5)]);
        for end in ["p0", "p1", "p252", "p253"] {
            assert!(ids.contains(&end.parse().unwrap()), "{end} is missing, after included: {after_included}");
        }
    }
}

#[test]
fn posts_beside_the_window_that_fill_pages_hide_nothing() {
    let crowd = || [9; 150].into_iter().chain([10, 15, 19]).chain([20; 150]);
    for delivery in [Delivery::OldestAscending, Delivery::NewestDescending] {
        let server = Server { after_included: true, before_included: true, delivery, ..server(posts(crowd())) };
        let (ids, gaps) = collect(&server, window(10, 20), 100);
        assert_eq!((ids.len(), gaps.len()), (3, 0), "{delivery:?}");
    }
}

#[test]
fn an_empty_window_is_asked_for_twice() {
    let mut pager = Pager::new(window(0, 10), 100, 100);
    for _ in 0..2 {
        assert!(pager.next_page().is_some());
        assert_eq!(pager.accept(0, 100, &[]), Ok(Vec::new()));
    }
    assert_eq!(pager.next_page(), None);
}

#[test]
fn a_server_that_ignores_the_window_is_an_error() {
    let mut pager = Pager::new(window(1000, 2000), 100, 100);
    let page = posts([50_000, 50_001]);
    let error = pager.accept(2, 100, &page).unwrap_err();
    assert_eq!(error, PagingError::WindowIgnored { after: 999, before: 2000, second: 50_000 });
}

#[test]
fn a_tie_over_the_page_that_the_server_really_gives_is_a_gap_and_is_walked_past() {
    for after_included in [false, true] {
        let all = posts((0..40).chain([40; 60]).chain(41..240));
        let server = Server { after_included, cap: 50, ..server(all) };
        let (ids, gaps) = collect(&server, window(0, 1000), 100);
        assert_eq!((ids.len(), gaps), (289, vec![Window::of_second(40)]), "after included: {after_included}");
    }
    let lone = Server { cap: 50, ..server(posts([7; 60])) };
    assert_eq!(collect(&lone, window(0, 1000), 100).1, [window(0, 1000)]);
}

#[test]
fn a_second_with_many_posts_is_whole_where_a_longer_page_came() {
    // No page is longer than those twelve posts; the window has more posts, or what is before it has.
    let within = server(posts((0..8).map(|second| 2 * second).chain([20; 12])));
    assert_eq!(collect(&within, window(0, 1000), 12), (ids(&within, 0), vec![]));
    let alone = server(posts((0..40).chain([1000; 12])));
    assert_eq!(collect(&alone, window(1000, 2000), 12), (ids(&alone, 1000), vec![]));
    // A server that gives no more than twelve may hide others, and says it twice does not help.
    let capped = Server { cap: 12, repeats_records: true, ..server(posts((0..8).chain([20; 13]))) };
    assert_eq!(collect(&capped, window(0, 1000), 12).1, [window(20, 1000)]);
    // No page of any subreddit shows that more would come.
    let lone = server(posts([7; 12]));
    assert_eq!(collect(&lone, window(0, 1000), 12).1, [window(0, 1000)]);
}

/// The ids of a server's posts from a second on.
fn ids(server: &Server, since: i64) -> Vec<PostId> {
    server.posts.iter().filter(|(_, second)| *second >= since).map(|(id, _)| id.clone()).collect()
}

#[test]
fn one_empty_page_in_the_middle_costs_nothing() {
    let all = posts(0..300);
    for at in 0..12 {
        let server = Server { silent: at..at + 1, ..server(all.clone()) };
        let (ids, gaps) = collect(&server, window(0, 1000), 100);
        assert_eq!((ids.len(), gaps.len()), (300, 0), "page {at} is empty");
    }
}

#[test]
fn a_page_of_the_newest_posts_is_not_taken_for_the_oldest() {
    let server = Server { delivery: Delivery::NewestDescending, ..server(posts([14, 14, 14, 14, 43])) };
    for at in 0..12 {
        let server = Server { lacking: Some((at, Lacking::AllAfter(1))), ..server.clone() };
        assert_eq!(collect(&server, window(0, 45), 3).0.len(), 5, "page {at} ends after a record");
    }
}

#[test]
fn a_server_that_falls_silent_leaves_a_gap_and_no_clean_end() {
    let server = Server { silent: 2..usize::MAX, ..server(posts(0..300)) };
    let (ids, gaps) = collect(&server, window(0, 1000), 100);
    // Two pages came, one of them again from second 99; the walk backwards is answered by nothing too.
    assert_eq!((ids.len(), gaps), (199, vec![window(0, 1), window(198, 1000)]));
}

#[test]
fn an_anchor_that_is_deleted_meanwhile_is_stepped_over() {
    let mut pager = Pager::new(window(0, 10), 1, 100);
    let all = posts([3, 5]);
    assert_eq!(pager.accept(1, 100, &all[..1]), Ok(vec![0]));
    for _ in 0..=EMPTY_REPEATS {
        assert_eq!(pager.next_page(), Some(PageRequest { after: 2, before: 10, size: 1 }));
        pager.accept(0, 100, &[]).unwrap();
    }
    assert_eq!(pager.next_page(), Some(PageRequest { after: 3, before: 10, size: 1 }));
    assert_eq!(pager.accept(1, 100, &all[1..]), Ok(vec![0]));
    assert_eq!(windows(pager), [Window::of_second(3)]);
}

fn deliveries() -> impl Strategy<Value = Delivery> {
    use Delivery::*;
    prop_oneof![
        Just(OldestAscending),
        Just(OldestDescending),
        Just(OldestShuffled),
        Just(NewestDescending),
        Just(NewestAscending)
    ]
}

/// Up to 40 seconds near each other, each with up to `ties_max` posts.
fn corpora(ties_max: usize) -> impl Strategy<Value = Vec<(PostId, i64)>> {
    proptest::collection::btree_map(0_i64..60, 1..=ties_max, 0..40)
        .prop_map(|seconds| posts(seconds.into_iter().flat_map(|(second, ties)| vec![second; ties])))
}

/// Servers whose page holds at most `cap` posts and which claim to give more.
fn servers(ties_max: usize, cap: u32) -> impl Strategy<Value = Server> {
    (corpora(ties_max), any::<[bool; 3]>(), deliveries(), 0..=cap).prop_map(move |(posts, flags, delivery, more)| {
        Server {
            posts,
            after_included: flags[0],
            before_included: flags[1],
            repeats_records: flags[2],
            delivery,
            cap,
            size_max: cap + more,
            slow_above: u32::MAX,
            silent: 0..0,
            lacking: None,
            twice: None,
        }
    })
}

fn truth(server: &Server, window: Window) -> BTreeSet<PostId> {
    server.posts.iter().filter(|(_, second)| window.contains(*second)).map(|(id, _)| id.clone()).collect()
}

/// Every post is collected or in a gap.
fn check_nothing_is_lost(server: &Server, window: Window, size: u32) -> Result<(), TestCaseError> {
    let (ids, gaps) = collect(server, window, size);
    for (id, second) in server.posts.iter().filter(|(_, second)| window.contains(*second)) {
        let known = ids.contains(id) || gaps.iter().any(|gap| gap.contains(*second));
        prop_assert!(known, "{} of {} is neither collected nor in {:?}", id, second, gaps);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    // Eight posts and a repeated record leave room in a page of ten: a page that is full might hide more.
    #[test]
    fn every_post_of_the_window_is_collected_once(
        server in servers(8, PAGE_CAP_MIN as u32), size in 1_u32..=20, since in 0_i64..30, length in 1_i64..60, silent in 0_usize..40,
    ) {
        let window = window(since, since + length);
        let server = Server { silent: silent..silent + 1, ..server };
        let (ids, gaps) = collect(&server, window, size);
        let unique: BTreeSet<_> = ids.iter().cloned().collect();
        prop_assert_eq!(unique.len(), ids.len());
        prop_assert_eq!(unique, truth(&server, window));
        prop_assert!(gaps.is_empty(), "{:?}", gaps);
    }

    #[test]
    fn what_one_answer_leaves_out_another_brings(
        server in servers(8, PAGE_CAP_MIN as u32), size in 1_u32..=20, since in 0_i64..30, length in 1_i64..60,
        at in 0_usize..40, record in 0_usize..12, all_after: bool,
    ) {
        let window = window(since, since + length);
        let lacking = if all_after { Lacking::AllAfter(record) } else { Lacking::Record(record) };
        let server = Server { lacking: Some((at, lacking)), ..server };
        // A second that was doubtful for a page may stay a gap.
        let (ids, _) = collect(&server, window, size);
        prop_assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), truth(&server, window));
    }

    #[test]
    fn seconds_with_many_posts_leave_no_gap_where_the_server_gives_longer_pages(
        server in servers(25, 60), size in 1_u32..=40, since in 0_i64..30, length in 1_i64..60,
    ) {
        let before = (0..70).map(|number| (format!("q{number}").parse().unwrap(), number - 100));
        let server = Server { posts: before.chain(server.posts).collect(), ..server };
        let window = window(since, since + length);
        let (ids, gaps) = collect(&server, window, size);
        prop_assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), truth(&server, window));
        prop_assert!(gaps.is_empty(), "{:?}", gaps);
    }

    #[test]
    fn a_post_that_is_not_collected_lies_in_a_gap(
        server in servers(25, PAGE_CAP_MIN as u32), size in 1_u32..=20, since in 0_i64..30, length in 1_i64..60,
        slow_above in prop_oneof![Just(u32::MAX), 1_u32..20], twice in proptest::option::of(0_usize..30),
    ) {
        let server = Server { slow_above, twice, ..server };
        check_nothing_is_lost(&server, window(since, since + length), size)?;
    }

    #[test]
    fn a_server_that_is_silent_for_a_while_loses_nothing_unsaid(
        server in servers(25, PAGE_CAP_MIN as u32), size in 1_u32..=20, since in 0_i64..30, length in 1_i64..60,
        silent in 1_usize..30, pages in prop_oneof![1_usize..8, Just(10_000)],
    ) {
        let server = Server { silent: silent..silent + pages, ..server };
        check_nothing_is_lost(&server, window(since, since + length), size)?;
    }
}
