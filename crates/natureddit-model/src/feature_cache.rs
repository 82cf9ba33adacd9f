//! Features of photos and titles that were asked about lately: one that is asked about again is neither decoded nor encoded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;
use natureddit_core::ContentHash;

/// What an entry takes beside its features, in bytes: its key, its links and its place in the table.
const ENTRY_BYTES: usize = 128;

/// The features of one model; cheap to clone. What was not asked about for longest makes room. An entry is found by the
/// content, so that an answer is the same with it and without.
#[derive(Clone, Debug)]
pub struct FeatureCache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    kept: Mutex<Kept>,
    bytes_max: usize,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    features: LruCache<ContentHash, Arc<[f32]>>,
    bytes: usize,
}

impl FeatureCache {
    /// A cache that takes so many bytes at most; with 0 it keeps nothing.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let kept = Mutex::new(Kept { features: LruCache::new_unbounded(), bytes: 0 });
        Self(Arc::new(Shared { kept, bytes_max, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }))
    }

    /// Whether it keeps anything.
    pub(crate) fn is_on(&self) -> bool {
        self.0.bytes_max > 0
    }

    pub(crate) fn get(&self, key: &ContentHash) -> Option<Arc<[f32]>> {
        let found = self.kept().features.get(key).cloned();
        let count = if found.is_some() { &self.0.hits } else { &self.0.misses };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(crate) fn insert(&self, key: ContentHash, features: &[f32]) {
        let mut kept = self.kept();
        if let Some(before) = kept.features.insert(key, features.into()) {
            kept.bytes -= bytes(&before);
        }
        kept.bytes += bytes(features);
        while kept.bytes > self.0.bytes_max
            && let Some((_, oldest)) = kept.features.remove_lru()
        {
            kept.bytes -= bytes(&oldest);
        }
    }

    /// How many photos and titles were found in it.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::Relaxed)
    }

    /// How many were not.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.0.misses.load(Ordering::Relaxed)
    }

    /// Every change of what is kept is complete before anything can panic.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes(features: &[f32]) -> usize {
    ENTRY_BYTES + size_of_val(features)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> ContentHash {
        ContentHash::of(&[number])
    }

    #[test]
    fn what_was_asked_about_lately_stays() {
        let cache = FeatureCache::new(2 * bytes(&[0.0; 4]));
        cache.insert(key(1), &[1.0; 4]);
        cache.insert(key(2), &[2.0; 4]);
        assert_eq!(cache.get(&key(1)).as_deref(), Some(&[1.0; 4][..]));
        cache.insert(key(3), &[3.0; 4]);
        assert_eq!(cache.get(&key(2)), None);
        assert!(cache.get(&key(1)).is_some() && cache.get(&key(3)).is_some());
        assert_eq!((cache.hits(), cache.misses()), (3, 1));
    }

    #[test]
    fn the_bytes_are_those_of_what_is_kept() {
        let cache = FeatureCache::new(1_000);
        for number in 0..100 {
            cache.insert(key(number % 7), &vec![0.5; usize::from(number)]);
            let kept = cache.kept();
            let held: usize = kept.features.iter().map(|(_, features)| bytes(features)).sum();
            assert_eq!(kept.bytes, held);
            assert!(held <= 1_000);
        }
    }

    #[test]
    fn nothing_is_kept_where_there_is_no_room() {
        let cache = FeatureCache::new(0);
        assert!(!cache.is_on());
        cache.insert(key(1), &[1.0]);
        assert_eq!(cache.get(&key(1)), None);
    }
}
