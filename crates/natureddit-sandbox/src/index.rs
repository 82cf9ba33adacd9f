//! Posts by subreddit and time and by id, so that a search among a hundred thousand takes no longer than its answer.

use std::collections::HashMap;
use std::ops::Range;

use crate::corpus::SimPost;

/// The posts of a corpus, oldest first, with the ways to find them.
pub(crate) struct Posts {
    posts: Vec<SimPost>,
    /// Positions of each subreddit's posts by its name in lower case, rising and so by time.
    by_subreddit: HashMap<String, Vec<usize>>,
    by_id: HashMap<String, usize>,
}

/// Which end of a stretch of time is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Oldest,
    Newest,
}

impl Posts {
    /// Takes posts that are sorted by time and id.
    pub(crate) fn new(posts: Vec<SimPost>) -> Self {
        let mut by_subreddit: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_id = HashMap::new();
        for (at, post) in posts.iter().enumerate() {
            by_subreddit.entry(post.subreddit.to_ascii_lowercase()).or_default().push(at);
            by_id.insert(post.id.to_string(), at);
        }
        Self { posts, by_subreddit, by_id }
    }

    pub(crate) fn all(&self) -> &[SimPost] {
        &self.posts
    }

    /// The post of an id, with or without `t3_`, and its place.
    pub(crate) fn by_id(&self, id: &str) -> Option<(usize, &SimPost)> {
        let at = *self.by_id.get(id.strip_prefix("t3_").unwrap_or(id))?;
        Some((at, &self.posts[at]))
    }

    /// Makes subreddits known that need not have a post.
    pub(crate) fn with_subreddits(mut self, names: &[String]) -> Self {
        for name in names {
            self.by_subreddit.entry(name.to_ascii_lowercase()).or_default();
        }
        self
    }

    /// Whether there is such a subreddit, with or without posts.
    pub(crate) fn has_subreddit(&self, name: &str) -> bool {
        self.by_subreddit.contains_key(&name.to_ascii_lowercase())
    }

    /// The places of up to `limit` posts that `wanted` accepts, made in `times`, from one end on; `None` for all
    /// subreddits.
    pub(crate) fn select(
        &self,
        subreddits: Option<&[String]>,
        times: Range<i64>,
        end: End,
        limit: usize,
        wanted: impl Fn(usize, &SimPost) -> bool,
    ) -> Vec<usize> {
        let accepted = |at: &usize| wanted(*at, &self.posts[*at]);
        let mut found: Vec<usize> = Vec::new();
        let Some(names) = subreddits else {
            let stretch = self.posts.partition_point(|post| post.created_utc < times.start)
                ..self.posts.partition_point(|post| post.created_utc < times.end);
            return match end {
                End::Oldest => stretch.filter(accepted).take(limit).collect(),
                End::Newest => stretch.rev().filter(accepted).take(limit).collect(),
            };
        };
        let mut names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        names.sort();
        names.dedup();
        for places in names.iter().filter_map(|name| self.by_subreddit.get(name)) {
            let first = places.partition_point(|&at| self.posts[at].created_utc < times.start);
            let last = places.partition_point(|&at| self.posts[at].created_utc < times.end);
            let stretch = places[first..last.max(first)].iter().copied();
            match end {
                End::Oldest => found.extend(stretch.filter(accepted).take(limit)),
                End::Newest => found.extend(stretch.rev().filter(accepted).take(limit)),
            }
        }
        found.sort_unstable();
        if end == End::Newest {
            found.reverse();
        }
        found.truncate(limit);
        found
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 3] = ["flowers", "EarthPorn", "pics"];

    fn posts(gaps: &[i64]) -> Posts {
        let mut now = 1_000;
        let post = |(at, gap): (usize, &i64)| {
            now += gap;
            let (id, subreddit) = (format!("a{at:06}").parse().unwrap(), NAMES[(at * 7 + at / 3) % 3].to_owned());
            SimPost::new(id, subreddit, "someone".into(), now)
        };
        Posts::new(gaps.iter().enumerate().map(post).collect())
    }

    #[test]
    fn a_search_among_a_hundred_thousand_looks_at_its_answer_only() {
        let posts = posts(&(0..100_000).map(|at| i64::from(at % 5 == 0)).collect::<Vec<_>>());
        let looked = Cell::new(0);
        let wanted = |_: usize, _: &SimPost| {
            looked.set(looked.get() + 1);
            true
        };
        let names = NAMES.map(str::to_owned);
        for end in [End::Oldest, End::Newest] {
            assert_eq!(posts.select(Some(&names), 5_000..15_000, end, 100, wanted).len(), 100);
            assert_eq!(posts.select(None, 5_000..15_000, end, 100, wanted).len(), 100);
        }
        assert_eq!(looked.get(), 2 * (300 + 100));
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_look_at_every_post_finds(
            gaps in prop::collection::vec(0i64..3, 0..200),
            (start, length, limit) in (990i64..1_200, 0i64..200, 0usize..60),
            (names, is_newest) in (0usize..4, any::<bool>()),
        ) {
            let posts = posts(&gaps);
            let names: Option<Vec<String>> = (names < 3).then(|| NAMES[..names].iter().map(|n| n.to_uppercase()).collect());
            let named = |post: &SimPost| names.as_ref().is_none_or(|n| n.contains(&post.subreddit.to_uppercase()));
            let times = start..start + length;
            let wanted = |at: usize, _: &SimPost| at % 4 != 1;
            let all = posts.all().iter().enumerate();
            let found = all.filter(|(at, post)| wanted(*at, post) && named(post) && times.contains(&post.created_utc));
            let mut expected: Vec<usize> = found.map(|(at, _)| at).collect();
            let end = if is_newest { End::Newest } else { End::Oldest };
            if is_newest {
                expected.reverse();
            }
            expected.truncate(limit);
            prop_assert_eq!(posts.select(names.as_deref(), times, end, limit, wanted), expected);
        }
    }
}
