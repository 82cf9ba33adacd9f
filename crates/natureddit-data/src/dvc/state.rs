//! What the hashes of files were when they were last read, so that a file that did not change is not read again.
//!
//! One file, `.dvc/tmp/natureddit.state`, ours alone: the real tool's databases are neither read nor written. It is only a
//! memory: whatever is wrong with it, it is taken for empty. Entries are sorted by path and are searched where they lie:
//!
//! | bytes | what |
//! |---|---|
//! | 16 | `natureddit sta.2` |
//! | 8 | the number of entries, little-endian as all that follows |
//! | 4 each | where the entry begins, counted from the first one |
//! | 2 + n | an entry: the path |
//! | 8 + 8 + 8 | its size, its time (ns since 1970), its inode |
//! | 1 + 16 | what the hash is over (3 or 2, as the versions of DVC), the hash |
//! | 8 | a checksum of all before |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, Fingerprint, FsError};

use super::hash::{HashKind, Md5};

const MAGIC: &[u8; 16] = b"natureddit sta.2";
const HEAD: usize = 24;
const FIXED: usize = 41;
const SUM: usize = 8;

/// The known hashes, by path as the caller writes it.
#[derive(Debug)]
pub(super) struct State {
    path: PathBuf,
    known: Known,
    /// What was learnt since; `None` for a path that is gone.
    learnt: BTreeMap<String, Option<Entry>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    print: Fingerprint,
    kind: HashKind,
    md5: Md5,
}

impl State {
    /// Reads what is known.
    pub(super) fn read(path: PathBuf) -> Self {
        let known = fs::read(&path).ok().and_then(Known::parse).unwrap_or_default();
        Self { path, known, learnt: BTreeMap::new() }
    }

    /// The hash of a path that looks as it did when it was read.
    pub(super) fn get(&self, path: &str, print: Fingerprint, kind: HashKind) -> Option<Md5> {
        let entry = match self.learnt.get(path) {
            Some(entry) => *entry,
            None => self.known.find(path),
        };
        entry.filter(|entry| entry.print == print && entry.kind == kind).map(|entry| entry.md5)
    }

    /// As [`State::get`] for files below a folder, by their paths below it, which are sorted: both are walked along once.
    pub(super) fn get_below<'a>(
        &self,
        folder: &str,
        files: impl Iterator<Item = (&'a str, Fingerprint)>,
        kind: HashKind,
    ) -> Vec<Option<Md5>> {
        let prefix = format!("{folder}/");
        let mut below = self.known.below(&prefix).peekable();
        let find = |(name, print): (&str, Fingerprint)| {
            if !self.learnt.is_empty() {
                return self.get(&format!("{prefix}{name}"), print, kind);
            }
            let is_before =
                |at: &usize| self.known.path(*at).is_some_and(|(path, _)| &path[prefix.len()..] < name.as_bytes());
            while below.next_if(is_before).is_some() {}
            let (path, entry) = self.known.entry(*below.peek()?)?;
            let is_same = &path[prefix.len()..] == name.as_bytes() && entry.print == print && entry.kind == kind;
            is_same.then_some(entry.md5)
        };
        files.map(find).collect()
    }

    /// Remembers a hash. The caller has seen to it that any change since would show in the fingerprint.
    pub(super) fn set(&mut self, path: String, print: Fingerprint, kind: HashKind, md5: Md5) {
        let entry = Entry { print, kind, md5 };
        if self.known.find(&path) != Some(entry) || self.learnt.contains_key(&path) {
            self.learnt.insert(path, Some(entry));
        }
    }

    /// Forgets what lies below a folder and is not among `names`, paths below it, which are sorted.
    pub(super) fn keep_below<'a>(&mut self, folder: &str, names: impl Iterator<Item = &'a str>) {
        let prefix = format!("{folder}/");
        let mut kept = names.peekable();
        for path in self.known.below(&prefix).filter_map(|at| self.known.path(at).map(|(path, _)| path)) {
            let name = &path[prefix.len()..];
            while kept.next_if(|kept| kept.as_bytes() < name).is_some() {}
            if kept.peek().map(|kept| kept.as_bytes()) != Some(name)
                && let Ok(path) = std::str::from_utf8(path)
            {
                self.learnt.insert(path.to_owned(), None);
            }
        }
    }

    /// Forgets a path.
    pub(super) fn remove(&mut self, path: &str) {
        self.learnt.insert(path.to_owned(), None);
    }

    /// Writes what was learnt. It is not synced: what a power cut leaves of it is either whole or seen not to be.
    pub(super) fn write(&mut self) -> Result<(), FsError> {
        if self.learnt.is_empty() {
            return Ok(());
        }
        let mut entries: BTreeMap<&[u8], Entry> =
            (0..self.known.count()).filter_map(|at| self.known.entry(at)).collect();
        for (path, entry) in &self.learnt {
            match entry {
                Some(entry) => entries.insert(path.as_bytes(), *entry),
                None => entries.remove(path.as_bytes()),
            };
        }
        let bytes = to_bytes(&entries);
        fs::write_unsynced(&self.path, &bytes)?;
        self.known = Known::parse(bytes).unwrap_or_default();
        self.learnt.clear();
        Ok(())
    }
}

fn to_bytes(entries: &BTreeMap<&[u8], Entry>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    // A path longer than two bytes can count is longer than any system allows.
    let fits = |(path, _): &(&&[u8], &Entry)| u16::try_from(path.len()).is_ok();
    let count = entries.iter().filter(fits).count();
    bytes.extend((count as u64).to_le_bytes());
    let mut offset = 0_u32;
    for (path, _) in entries.iter().filter(fits) {
        bytes.extend(offset.to_le_bytes());
        offset = offset.saturating_add((2 + path.len() + FIXED) as u32);
    }
    for (path, entry) in entries.iter().filter(fits) {
        bytes.extend((path.len() as u16).to_le_bytes());
        bytes.extend(*path);
        bytes.extend(entry.print.bytes.to_le_bytes());
        bytes.extend(entry.print.modified_ns.to_le_bytes());
        bytes.extend(entry.print.inode.to_le_bytes());
        bytes.push(if entry.kind == HashKind::Md5 { 3 } else { 2 });
        bytes.extend(entry.md5.bytes());
    }
    let sum = checksum(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// Finds what a power cut tears, and is fast; nobody needs to be kept from making one. Each step can be undone, so that a
/// change in one place never goes unseen.
fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().chain([&last]).fold(bytes.len() as u64, |sum, word| {
        (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    })
}

/// A whole state file.
#[derive(Debug, Default)]
struct Known(Vec<u8>);

impl Known {
    /// `None` where a byte is not as it was written.
    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM)?)?;
        (body.starts_with(MAGIC) && body.len() >= HEAD && checksum(body).to_le_bytes() == sum).then_some(Self(bytes))
    }

    fn count(&self) -> usize {
        let count = self.0.get(MAGIC.len()..HEAD).and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        count.map_or(0, |count| count as usize)
    }

    fn slice<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at + N)?.try_into().ok()
    }

    /// Its path, and where the rest of it begins.
    fn path(&self, at: usize) -> Option<(&[u8], usize)> {
        let start = HEAD + 4 * self.count() + u32::from_le_bytes(self.slice(HEAD + 4 * at)?) as usize;
        let end = start + 2 + usize::from(u16::from_le_bytes(self.slice(start)?));
        Some((self.0.get(start + 2..end)?, end))
    }

    fn entry(&self, at: usize) -> Option<(&[u8], Entry)> {
        let (path, start) = self.path(at)?;
        let print = Fingerprint {
            bytes: u64::from_le_bytes(self.slice(start)?),
            modified_ns: i64::from_le_bytes(self.slice(start + 8)?),
            inode: u64::from_le_bytes(self.slice(start + 16)?),
        };
        let kind = if self.slice::<1>(start + 24)? == [3] { HashKind::Md5 } else { HashKind::Md5Dos2Unix };
        Some((path, Entry { print, kind, md5: Md5::from_bytes(self.slice(start + 25)?) }))
    }

    /// The first entry whose path is not below `path`.
    fn position(&self, path: &str) -> usize {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.path(middle).is_some_and(|(found, _)| found < path.as_bytes()) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn find(&self, path: &str) -> Option<Entry> {
        let (found, entry) = self.entry(self.position(path)).filter(|_| self.count() > 0)?;
        (found == path.as_bytes()).then_some(entry)
    }

    /// The entries whose paths have a beginning.
    fn below(&self, prefix: &str) -> impl Iterator<Item = usize> {
        let has_prefix = move |at: &usize| self.path(*at).is_some_and(|(path, _)| path.starts_with(prefix.as_bytes()));
        (self.position(prefix)..self.count()).take_while(has_prefix)
    }
}

/// A path as the state knows it: below the root as seen from there, others whole.
pub(super) fn key(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn print(at: u64) -> Fingerprint {
        Fingerprint { bytes: at, modified_ns: at as i64 * 7 - 3, inode: at + 1 }
    }

    #[test]
    fn only_what_looks_the_same_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut state = State::read(path.clone());
        let md5 = Md5::of(b"x");
        state.set("a/x".into(), print(1), HashKind::Md5, md5);
        state.set("a-".into(), print(2), HashKind::Md5, md5);
        state.set("b".into(), print(3), HashKind::Md5Dos2Unix, md5);
        state.write().unwrap();
        let mut state = State::read(path.clone());
        assert_eq!(state.get("a/x", print(1), HashKind::Md5), Some(md5));
        assert_eq!(state.get("a/x", print(9), HashKind::Md5), None);
        assert_eq!(state.get("a/x", print(1), HashKind::Md5Dos2Unix), None);
        assert_eq!(state.get("b", print(3), HashKind::Md5Dos2Unix), Some(md5));
        assert_eq!(state.get("c", print(3), HashKind::Md5), None);
        state.keep_below("a", std::iter::empty());
        assert_eq!(state.get("a/x", print(1), HashKind::Md5), None);
        state.write().unwrap();
        let state = State::read(path.clone());
        assert_eq!(state.get("a/x", print(1), HashKind::Md5), None);
        assert_eq!(state.get("a-", print(2), HashKind::Md5), Some(md5));
    }

    #[test]
    fn a_torn_state_is_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut state = State::read(path.clone());
        (0..9).for_each(|at| state.set(format!("p{at}"), print(at), HashKind::Md5, Md5::of(&[at as u8])));
        state.write().unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            assert!(Known::parse(whole[..at].to_vec()).is_none(), "cut at {at}");
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(Known::parse(flipped).is_none(), "flipped at {at}");
        }
        assert_eq!(Known::parse(whole).unwrap().count(), 9);
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_found(paths in prop::collection::btree_set("[a-c/é]{1,4}", 0..40), absent in "[a-c/é]{1,4}") {
            let entries: BTreeMap<&[u8], Entry> = paths.iter().enumerate()
                .map(|(at, path)| (path.as_bytes(), Entry { print: print(at as u64), kind: HashKind::Md5, md5: Md5::of(path.as_bytes()) }))
                .collect();
            let known = Known::parse(to_bytes(&entries)).unwrap();
            for path in &paths {
                prop_assert_eq!(known.find(path), entries.get(path.as_bytes()).copied());
            }
            prop_assert_eq!(known.find(&absent).is_some(), paths.contains(&absent));
            let below: Vec<_> = paths.iter().map(String::as_bytes).filter(|path| path.starts_with(absent.as_bytes())).collect();
            prop_assert_eq!(known.below(&absent).map(|at| known.path(at).unwrap().0).collect::<Vec<_>>(), below);
        }

        #[test]
        fn all_below_a_folder_are_found_as_one_by_one(
            known in prop::collection::btree_map("[a-c/]{1,4}", 0..3_u64, 0..40),
            asked in prop::collection::btree_map("[a-c/]{1,3}", 0..3_u64, 0..40),
            learnt in prop::option::of("a/[a-c/]{1,3}"),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut state = State::read(folder.path().join("state"));
            for (path, at) in &known {
                state.set(path.clone(), print(*at), HashKind::Md5, Md5::of(path.as_bytes()));
            }
            state.write().unwrap();
            if let Some(learnt) = learnt {
                state.remove(&learnt);
            }
            let together = state.get_below("a", asked.iter().map(|(name, at)| (name.as_str(), print(*at))), HashKind::Md5);
            let alone = |(name, at): (&String, &u64)| state.get(&format!("a/{name}"), print(*at), HashKind::Md5);
            prop_assert_eq!(together, asked.iter().map(alone).collect::<Vec<_>>());
        }
    }
}
