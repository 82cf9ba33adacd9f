//! `.dvc` files: what stands in git for the data.

use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::hash::{HashKind, ObjectId};
use super::yaml;

/// The ending of pointers.
pub const SUFFIX: &str = ".dvc";

/// A file or folder that is versioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Out {
    /// Where it lies in the work tree.
    pub path: PathBuf,
    /// What it holds, if it was ever added.
    pub content: Option<Content>,
    /// Whether it is kept in the cache.
    pub is_cached: bool,
    /// Whether it is pushed.
    pub is_pushed: bool,
    /// The remote it goes to, if not the default one.
    pub remote: Option<String>,
}

/// The content of an out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its object: the file's, or the list of the folder's.
    pub id: ObjectId,
    /// The bytes of all its files, where the pointer tells.
    pub bytes: Option<u64>,
    /// How many files the folder has, where the pointer tells.
    pub files: Option<u64>,
    /// Whether the file may be run.
    pub is_executable: bool,
}

/// A `.dvc` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Where it lies.
    pub path: PathBuf,
    /// What it points to.
    pub outs: Vec<Out>,
    /// Whether it was imported from another repository or address, and is no data of this one's own.
    pub is_import: bool,
    text: String,
}

/// A pointer that cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum PointerError {
    /// It is not the YAML that it must be.
    #[error("{path} is broken: {why}", path = path.display())]
    Yaml {
        /// Which pointer.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Git could not merge two versions of it.
    #[error("{path} has two versions, which git could not merge", path = path.display())]
    Conflict {
        /// Which pointer.
        path: PathBuf,
    },
    /// It says something that is not spoken here.
    #[error("{path}: {what} is not supported", path = path.display())]
    Unsupported {
        /// Which pointer.
        path: PathBuf,
        /// What it says.
        what: String,
    },
    /// It is written so that it cannot be changed line by line.
    #[error("{path} is not written as DVC writes it, and was left as it is", path = path.display())]
    Style {
        /// Which pointer.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

#[derive(Deserialize)]
struct RawPointer {
    #[serde(default)]
    outs: Vec<RawOut>,
    deps: Option<Vec<IgnoredAny>>,
    cmd: Option<IgnoredAny>,
    wdir: Option<String>,
}

#[derive(Deserialize)]
struct RawOut {
    path: String,
    md5: Option<String>,
    hash: Option<String>,
    size: Option<u64>,
    nfiles: Option<u64>,
    #[serde(default)]
    isexec: bool,
    #[serde(default = "yes")]
    cache: bool,
    #[serde(default = "yes")]
    push: bool,
    remote: Option<String>,
    /// Of remotes that keep versions by themselves.
    files: Option<IgnoredAny>,
}

fn yes() -> bool {
    true
}

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    /// [`PointerError`].
    pub fn read(path: &Path) -> Result<Self, PointerError> {
        Self::parse(path, fs::read_to_string(path)?)
    }

    /// Reads the text of a pointer at `path`, as git keeps it.
    ///
    /// # Errors
    /// [`PointerError`].
    pub fn parse(path: &Path, text: String) -> Result<Self, PointerError> {
        if text.lines().any(|line| line.starts_with("<<<<<<< ")) {
            return Err(PointerError::Conflict { path: path.to_owned() });
        }
        let raw: RawPointer = serde_saphyr::from_str(&text).map_err(|error| PointerError::Yaml {
            path: path.to_owned(),
            why: error.to_string().lines().next().unwrap_or_default().to_owned(),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let folder = raw.wdir.as_ref().map_or(folder.to_owned(), |wdir| super::config::normal(&folder.join(wdir)));
        let outs = raw.outs.into_iter().map(|out| Self::out(path, &folder, out)).collect::<Result<_, _>>()?;
        Ok(Self { path: path.to_owned(), outs, is_import: raw.deps.is_some() || raw.cmd.is_some(), text })
    }

    fn out(path: &Path, folder: &Path, raw: RawOut) -> Result<Out, PointerError> {
        let unsupported = |what: String| PointerError::Unsupported { path: path.to_owned(), what };
        if raw.files.is_some() {
            return Err(unsupported("an out of a remote that keeps versions by itself".into()));
        }
        if raw.path.contains("://") {
            return Err(unsupported(format!("the out {:?}, which is no file of this machine,", raw.path)));
        }
        let kind = match raw.hash.as_deref() {
            None => HashKind::Md5Dos2Unix,
            Some("md5") => HashKind::Md5,
            Some(other) => return Err(unsupported(format!("hash: {other}"))),
        };
        let content = match raw.md5 {
            None => None,
            Some(md5) => {
                let (hex, is_dir) = md5.strip_suffix(".dir").map_or((md5.as_str(), false), |hex| (hex, true));
                let md5 = hex
                    .parse()
                    .map_err(|error| PointerError::Yaml { path: path.to_owned(), why: format!("{error}") })?;
                let id = ObjectId { kind, md5, is_dir };
                Some(Content { id, bytes: raw.size, files: raw.nfiles, is_executable: raw.isexec })
            }
        };
        Ok(Out {
            path: super::config::normal(&folder.join(raw.path)),
            content,
            is_cached: raw.cache,
            is_pushed: raw.push,
            remote: raw.remote,
        })
    }

    /// The pointer beside a file or folder.
    #[must_use]
    pub fn path_of(target: &Path) -> PathBuf {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(SUFFIX);
        target.with_file_name(name)
    }

    /// The text of a new pointer to `name`, which lies beside it.
    #[must_use]
    pub fn text_of(name: &str, content: &Content) -> String {
        let mut text = String::from("outs:\n");
        let mut start = "- ";
        for (key, value) in values(content) {
            if let Some(value) = value {
                text.push_str(&format!("{start}{key}: {value}\n"));
                start = "  ";
            }
        }
        text + start + &yaml::line("path", name) + "\n"
    }

    /// The text of this pointer when one of its outs holds something else; what it does not know stays.
    ///
    /// # Errors
    /// [`PointerError::Style`].
    pub fn text_with(&self, out: usize, content: &Content) -> Result<String, PointerError> {
        let refused = || PointerError::Style { path: self.path.clone() };
        let text = yaml::set_item(&self.text, "outs", out, &values(content)).ok_or_else(refused)?;
        // What is written must be what was meant, whatever the file looked like.
        let read = Self::parse(&self.path, text.clone()).ok();
        let is_right = read.is_some_and(|read| {
            let mut outs = self.outs.clone();
            outs.iter_mut().skip(out).take(1).for_each(|out| out.content = Some(content.clone()));
            read.outs == outs
        });
        is_right.then_some(text).ok_or_else(refused)
    }

    /// The text as it was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The keys of an out in the order of the real tool.
fn values(content: &Content) -> [(&'static str, Option<String>); 5] {
    [
        ("md5", Some(content.id.to_string())),
        ("size", content.bytes.map(|bytes| bytes.to_string())),
        ("nfiles", content.files.map(|files| files.to_string())),
        ("isexec", content.is_executable.then(|| "true".to_owned())),
        ("hash", (content.id.kind == HashKind::Md5).then(|| "md5".to_owned())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGACY: &str = "outs:\n- md5: 8008342073a9d4724b3ecac99c9ab78f.dir\n  size: 5\n  nfiles: 1\n  path: ds\n";

    fn content(md5: &str, kind: HashKind, is_dir: bool) -> Content {
        let id = ObjectId { kind, md5: md5.parse().unwrap(), is_dir };
        Content { id, bytes: Some(9), files: is_dir.then_some(2), is_executable: false }
    }

    #[test]
    fn a_pointer_of_dvc_2_is_upgraded_in_its_place() {
        let pointer = Pointer::parse(Path::new("/r/data/ds.dvc"), LEGACY.into()).unwrap();
        let out = &pointer.outs[0];
        assert_eq!(out.path, Path::new("/r/data/ds"));
        assert_eq!(out.content.as_ref().unwrap().id.kind, HashKind::Md5Dos2Unix);
        let text = pointer.text_with(0, &content("11f13eff838ed022a2e938c7aa363191", HashKind::Md5, true)).unwrap();
        let expected =
            "outs:\n- md5: 11f13eff838ed022a2e938c7aa363191.dir\n  size: 9\n  nfiles: 2\n  path: ds\n  hash: md5\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_new_pointer_is_that_of_the_real_tool() {
        let mut content = content("e5ebd4c02cefbe7955977c67ada242b7", HashKind::Md5, false);
        (content.bytes, content.is_executable) = (Some(8), true);
        let expected =
            "outs:\n- md5: e5ebd4c02cefbe7955977c67ada242b7\n  size: 8\n  isexec: true\n  hash: md5\n  path: x.csv\n";
        assert_eq!(Pointer::text_of("x.csv", &content), expected);
        let read = Pointer::parse(Path::new("x.csv.dvc"), expected.into()).unwrap();
        assert_eq!(read.outs[0].content.as_ref(), Some(&content));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        let parse = |text: &str| Pointer::parse(Path::new("x.dvc"), text.into()).map(|_| ()).unwrap_err().to_string();
        assert!(parse("outs:\n- md5: 5d41\n  path: x\n").contains("x.dvc is broken"));
        assert!(parse("outs: 7\n").contains("x.dvc is broken"));
        assert!(
            parse("outs:\n- md5: 5d41402abc4b2a76b9719d911017c592\n  hash: blake3\n  path: x\n").contains("blake3")
        );
        assert!(parse("outs:\n- etag: a\n  path: s3://b/x\n").contains("s3://b/x"));
    }
}
