//! What happens to posts between a source and their photos: those that were deleted are left out, those of archives are
//! looked up on Reddit where that can be asked, and authors are kept, hashed or dropped.

use std::path::Path;

use natureddit_core::{Clock, ContentHasher, Post, PostId};
use natureddit_net::Client;

use super::{Base, CollectConfig, CollectError, Collection};
use crate::dataset::{self, DatasetError, DatasetStore, DroppedPost, PostRow};
use crate::gap::Ledger;
use crate::id_set::IdSet;
use crate::record::Collected;
use crate::source::lookup::LookUp;
use crate::source::{SourceConfig, SourceError};
use crate::submission::Submission;
use crate::table::TableError;

/// Posts of earlier runs that are asked for again in one run.
const WAITING_MAX: usize = 500;

/// Rows whose authors are changed before the table is written: some 20 MB.
const RENAMED_ROWS_MAX: usize = 20_000;

/// The length of the hash that stands for an author.
const AUTHOR_HASH_LEN: usize = 16;

/// What the dataset keeps of authors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorMode {
    /// The name.
    Keep,
    /// A name that is made of the hash of the name, so that posts of one author still belong together. Whoever guesses a
    /// name can tell that it is the right one.
    Hash,
    /// Nothing.
    Drop,
}

impl AuthorMode {
    /// A name as the dataset has it. What stands for no person stays.
    fn applied(self, author: String) -> String {
        match self {
            Self::Keep => author,
            _ if author.is_empty() || author.starts_with('[') => author,
            Self::Hash => {
                let hash = ContentHasher::new().part("author").part(&author).finish().to_string();
                hash[..AUTHOR_HASH_LEN].to_owned()
            }
            Self::Drop => String::new(),
        }
    }

    /// The author of a row that is there as it should be; `None` where it is so already. What looks like a hash is taken
    /// for one.
    fn reapplied(self, author: &str) -> Option<String> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_hash = author.len() == AUTHOR_HASH_LEN && author.bytes().all(is_digit);
        if self == Self::Hash && is_hash {
            return None;
        }
        Some(self.applied(author.to_owned())).filter(|applied| applied != author)
    }
}

/// Brings the authors of the rows that are there in line with the settings, and says how many were not. Of names that shall
/// not be kept none stays behind because it was collected before the settings said so.
pub(super) fn reapply(mode: AuthorMode, dataset: &mut DatasetStore, clock: &Clock) -> Result<u64, DatasetError> {
    // Names are kept already, and what is gone does not come back.
    if mode == AuthorMode::Keep {
        return Ok(0);
    }
    let as_it_should_be = |row: PostRow| {
        let author = mode.reapplied(&row.post.author)?;
        Some(PostRow { post: Post { author, ..row.post }, ..row })
    };
    let mut renamed = 0;
    loop {
        let rows = dataset.rows()?.filter_map(|row| row.map(as_it_should_be).transpose());
        let part: Vec<PostRow> = rows.take(RENAMED_ROWS_MAX).collect::<Result<_, _>>()?;
        if part.is_empty() {
            return Ok(renamed);
        }
        renamed += part.len() as u64;
        part.into_iter().try_for_each(|row| dataset.replace(row))?;
        dataset.write(Collected::nothing(dataset.record.as_ref(), clock))?;
    }
}

/// As [`reapply`], for the dataset in a folder that is not collected into.
pub(crate) fn reapply_authors(data_dir: &Path, mode: AuthorMode, clock: &Clock) -> Result<u64, DatasetError> {
    let _lock = dataset::lock(data_dir)?;
    reapply(mode, &mut DatasetStore::open(data_dir)?, clock)
}

/// What posts can be looked up in: Reddit where it may be asked, else the source itself if it knows posts by their ids.
pub(super) fn look_up(config: &CollectConfig, client: &Client) -> Option<LookUp> {
    match &config.hydrate {
        Some(reddit) => LookUp::new(&SourceConfig::RedditOauth(reddit.clone()), client).ok(),
        None => LookUp::new(&config.source, client).ok(),
    }
}

/// Whether a reason may be another one at another time.
pub(crate) fn may_pass(reason: &str) -> bool {
    matches!(reason, "gallery_pending" | "timeout" | "connection" | "wait_too_long" | "http_408" | "http_429")
        || reason.strip_prefix("http_5").is_some_and(|rest| rest.len() == 2)
}

/// The ledger of a collection: its own, and that of the dataset it adds to.
pub(super) fn ledger(config: &CollectConfig) -> Result<Ledger, DatasetError> {
    let own = Ledger::read(&config.data_dir)?;
    let Some(base_dir) = &config.base_dir else { return Ok(own) };
    let base = Ledger::read(base_dir)?;
    Ok(Ledger::merged(&config.data_dir, own.asks().iter().chain(base.asks()).cloned()))
}

/// The posts whose photos may have come by now. What this collection said of one counts, not what was said before.
fn waiting_ids(dataset: &DatasetStore, base: Option<&Base>, waited: &IdSet) -> Result<Vec<PostId>, TableError> {
    let mut ids: Vec<PostId> = Vec::new();
    let mut add = |dropped: DroppedPost| {
        if may_pass(&dropped.reason) && !waited.contains(&dropped.id) && ids.last() != Some(&dropped.id) {
            ids.push(dropped.id);
        }
        ids.len() < WAITING_MAX
    };
    for dropped in dataset.dropped()? {
        if !add(dropped?) {
            return Ok(ids);
        }
    }
    if let Some(base) = base {
        for dropped in base.dataset.dropped()? {
            let dropped = dropped?;
            if !dataset.knows(&dropped.id)? && !add(dropped) {
                break;
            }
        }
    }
    Ok(ids)
}

fn has_post(dataset: &DatasetStore, base: Option<&Base>, id: &PostId) -> Result<bool, TableError> {
    Ok(dataset.has_post(id)? || base.map_or(Ok(false), |base| base.dataset.has_post(id))?)
}

impl Collection<'_> {
    /// Posts as they are judged.
    pub(super) async fn prepare(&mut self, posts: Vec<Submission>) -> Result<Vec<Submission>, CollectError> {
        let before = posts.len();
        let mut posts = posts;
        posts.retain(|post| !self.dataset.tombstones.has(&post.post.id));
        self.report.posts_forgotten += (before - posts.len()) as u64;
        self.hydrate(&mut posts).await?;
        for Submission { post, .. } in &mut posts {
            post.author = self.config.author.applied(std::mem::take(&mut post.author));
        }
        Ok(posts)
    }

    /// Replaces what an archive knows of new posts by what Reddit knows: galleries are processed by now, and what was
    /// deleted is not collected. A post of which Reddit says nothing that counts is used as it is.
    async fn hydrate(&mut self, posts: &mut [Submission]) -> Result<(), CollectError> {
        let (true, Some(look_up)) = (self.config.hydrate.is_some(), &mut self.look_up) else { return Ok(()) };
        let mut new = Vec::new();
        for post in posts {
            if !has_post(&self.dataset, self.base.as_ref(), &post.post.id).map_err(DatasetError::from)? {
                new.push(post);
            }
        }
        for part in new.chunks_mut(look_up.ids_max()) {
            let ids: Vec<PostId> = part.iter().map(|post| post.post.id.clone()).collect();
            let mut found = look_up.look(&ids).await.map_err(|source| CollectError::LookUp { source })?;
            for post in part {
                let Post { id, subreddit, created_utc, .. } = post.post.clone();
                if let Some(fresh) = found.posts.remove(&id) {
                    **post = Submission { post: Post { subreddit, created_utc, ..fresh.post }, ..fresh };
                } else if found.absent.contains(&id) {
                    post.is_removed = true;
                }
            }
        }
        Ok(())
    }

    /// The posts of earlier runs whose photos may have come by now, as they are now.
    pub(super) async fn waiting(&mut self) -> Result<Vec<Submission>, CollectError> {
        let Some(look_up) = &mut self.look_up else { return Ok(Vec::new()) };
        let ids = waiting_ids(&self.dataset, self.base.as_ref(), &self.waited).map_err(DatasetError::from)?;
        let mut posts = Vec::new();
        for part in ids.chunks(look_up.ids_max()) {
            let found = look_up.ask(part).await.map_err(|source: SourceError| CollectError::LookUp { source })?;
            posts.extend(found.into_values());
        }
        for Submission { post, .. } in &mut posts {
            let named = self.config.subreddits.iter().find(|name| name.eq_ignore_ascii_case(&post.subreddit));
            post.subreddit = named.unwrap_or(&post.subreddit).clone();
        }
        Ok(posts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_kept_hashed_or_dropped() {
        let applied = |mode: AuthorMode, name: &str| mode.applied(name.to_owned());
        assert_eq!(applied(AuthorMode::Keep, "ann"), "ann");
        assert_eq!(applied(AuthorMode::Drop, "ann"), "");
        assert_eq!(applied(AuthorMode::Hash, "[deleted]"), "[deleted]");
        assert_eq!(applied(AuthorMode::Hash, ""), "");
        let hash = applied(AuthorMode::Hash, "ann");
        assert!(hash.len() == 16 && hash != applied(AuthorMode::Hash, "bob"), "{hash}");
        assert_eq!(hash, applied(AuthorMode::Hash, "ann"));
        assert_eq!(AuthorMode::Hash.reapplied("ann"), Some(hash.clone()));
        for (mode, author) in [(AuthorMode::Hash, &*hash), (AuthorMode::Drop, ""), (AuthorMode::Drop, "[deleted]")] {
            assert_eq!(mode.reapplied(author), None, "{mode:?} {author:?}");
        }
    }

    #[test]
    fn a_reason_that_may_pass_is_known_by_its_name() {
        assert!(["gallery_pending", "timeout", "wait_too_long", "http_429", "http_503"].into_iter().all(may_pass));
        assert!(!["removed", "http_404", "http_5", "http_5xx9", "html"].into_iter().any(may_pass));
    }
}
