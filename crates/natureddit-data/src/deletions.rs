//! `collect sync-deletions`: posts that are gone are forgotten.
//!
//! A post is gone when the answer says so: it is removed, its author is deleted, or a source that knows every post does
//! not know it although it was asked twice. An answer that is empty, short or no list says nothing. When more than a fifth vanish at once, nothing is done without a word from the user.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use natureddit_core::{Clock, PostId, Progress};
use natureddit_net::Client;
use serde::Serialize;

use crate::collect::{CollectError, hold};
use crate::dataset::{DatasetError, DatasetStore};
use crate::forget::{Forgotten, forget};
use crate::images::on_a_thread;
use crate::journal;
use crate::source::SourceConfig;
use crate::source::lookup::{Found, LookUp};

/// Of the posts that were looked up, the share that may vanish at once.
const SHARE_GONE_MAX: (u64, u64) = (1, 5);

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deletions {
    /// Posts that were looked up.
    pub checked: u64,
    /// Posts that are there as before.
    pub present: u64,
    /// Posts of which the answers said nothing that counts; they are kept.
    pub unsure: u64,
    /// Posts that are gone, by id, with the reason.
    pub gone: BTreeMap<PostId, &'static str>,
    /// What was forgotten; `None` when nothing was done.
    pub forgotten: Option<Forgotten>,
}

impl Deletions {
    /// Whether so many posts vanished at once that the source may be wrong rather than the posts gone.
    #[must_use]
    pub fn are_too_many(&self) -> bool {
        let (share, of) = SHARE_GONE_MAX;
        self.gone.len() as u64 * of > self.checked * share
    }
}

/// Looks up every post of a dataset and forgets those that are gone. Where too many are, and `take_many` is not set,
/// nothing is changed.
///
/// # Errors
/// [`CollectError`] when a look-up fails; then nothing is changed.
pub async fn sync_deletions(
    source: &SourceConfig,
    (data_dir, labels_dir): (&Path, &Path),
    take_many: bool,
    client: &Client,
    clock: &Clock,
    progress: &Progress,
) -> Result<Deletions, CollectError> {
    let _lock = hold(data_dir)?;
    let ids = on_a_thread({
        let data_dir = data_dir.to_owned();
        move || ids(&data_dir)
    });
    let ids = ids.await?;
    let mut look_up = LookUp::new(source, client).map_err(|source| CollectError::LookUp { source })?;
    let mut found = Deletions { checked: ids.len() as u64, ..Deletions::default() };
    progress.start("looking up posts", Some(ids.len() as u64));
    for batch in ids.chunks(look_up.ids_max()) {
        let looked = look_up.look(batch).await;
        found.take(looked.map_err(|source| CollectError::LookUp { source })?);
        progress.advance(batch.len() as u64);
    }
    progress.finish();
    if found.gone.is_empty() || (found.are_too_many() && !take_many) {
        return Ok(found);
    }
    let gone: BTreeSet<PostId> = found.gone.keys().cloned().collect();
    let (data_dir, labels_dir, clock) = (data_dir.to_owned(), labels_dir.to_owned(), clock.clone());
    found.forgotten = Some(on_a_thread(move || forget(&data_dir, &labels_dir, &gone, &clock)).await?);
    Ok(found)
}

/// The posts of a dataset, in order.
fn ids(data_dir: &Path) -> Result<Vec<PostId>, DatasetError> {
    let mut dataset = DatasetStore::open(data_dir)?;
    journal::take_up(&mut dataset, data_dir)?;
    let ids: Result<BTreeSet<PostId>, _> = dataset.rows()?.map(|row| row.map(|row| row.post.id)).collect();
    Ok(ids?.into_iter().collect())
}

impl Deletions {
    fn take(&mut self, found: Found) {
        self.unsure += found.unsure.len() as u64;
        self.gone.extend(found.absent.into_iter().map(|id| (id, "absent")));
        for (id, post) in found.posts {
            if post.is_removed {
                self.gone.insert(id, "removed");
            } else {
                self.present += 1;
            }
        }
    }
}
