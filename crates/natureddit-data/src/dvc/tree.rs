//! The list of a folder's files: the `.dir` object.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use super::hash::{HashKind, Md5, ObjectId};

/// The files of a folder by their paths below it, with `/`. Sorted by code point, as DVC sorts them: in UTF-8 the order of
/// the bytes is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The hash of each file.
    pub files: BTreeMap<String, Md5>,
}

/// A `.dir` object that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// It is not the JSON that it must be.
    #[error("the list of a folder is broken")]
    Json(#[source] serde_json::Error),
    /// A path that would lead out of the folder, or is no path.
    #[error("the list of a folder names the path {0:?}")]
    Path(String),
    /// An MD5 that is none.
    #[error("the list of a folder names the MD5 {0:?}")]
    Md5(String),
}

#[derive(Deserialize)]
struct Entry<'a> {
    // DVC 2 wrote `md5` here too, though over lines.
    #[serde(borrow)]
    md5: Cow<'a, str>,
    relpath: String,
}

impl Tree {
    /// Reads a `.dir` object. A path that leads out of the folder is refused: it may come from anybody.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TreeError> {
        let entries: Vec<Entry> = serde_json::from_slice(bytes).map_err(TreeError::Json)?;
        let files = entries.into_iter().map(|Entry { md5, relpath }| {
            if !is_below(&relpath) {
                return Err(TreeError::Path(relpath));
            }
            let hash = md5.parse().map_err(|_| TreeError::Md5(md5.into_owned()))?;
            Ok((relpath, hash))
        });
        Ok(Self { files: files.collect::<Result<_, _>>()? })
    }

    /// The bytes of the object, as Python's `json.dumps` writes them, on which its hash depends.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut json = String::with_capacity(2 + self.files.len() * 100);
        json.push('[');
        for (at, (path, md5)) in self.files.iter().enumerate() {
            json.push_str(if at == 0 { "" } else { ", " });
            json.push_str("{\"md5\": \"");
            json.push_str(str::from_utf8(&md5.hex()).unwrap_or_default());
            json.push_str("\", \"relpath\": ");
            write_string(&mut json, path);
            json.push('}');
        }
        json.push(']');
        json.into_bytes()
    }

    /// The name of the object.
    #[must_use]
    pub fn id(&self, kind: HashKind) -> ObjectId {
        ObjectId { kind, md5: Md5::of(&self.to_bytes()), is_dir: true }
    }

    /// The objects of its files.
    pub fn objects(&self, kind: HashKind) -> impl Iterator<Item = ObjectId> + '_ {
        self.files.values().map(move |&md5| ObjectId { kind, md5, is_dir: false })
    }
}

/// Whether a path stays below the folder it starts at.
fn is_below(path: &str) -> bool {
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
    // A backslash parts names on Windows.
    path.split('/').all(is_name) && !(cfg!(windows) && path.contains(['\\', ':']))
}

/// A JSON string in ASCII, as Python escapes it.
fn write_string(json: &mut String, text: &str) {
    json.push('"');
    // Nearly all are as they are.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        json.push_str(text);
        json.push('"');
        return;
    }
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            ' '..='~' => json.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        Tree { files: files.iter().map(|(path, text)| ((*path).to_owned(), Md5::of(text.as_bytes()))).collect() }
    }

    #[test]
    fn the_bytes_are_those_of_the_real_tool() {
        // Added and hashed by dvc 3.67.1.
        let tree = tree(&[
            ("a.jpg", "world"),
            ("a-b.jpg", "dash"),
            ("Z.jpg", "Z"),
            (".hid", "up"),
            ("b.jpg", "hello"),
            ("empty", ""),
            ("crlf.txt", "l1\r\nl2\r\n"),
            ("sub/c.jpg", "hello"),
            ("sub-x", "s"),
            ("Ünï/é \"q\".jpg", "s"),
        ]);
        let json = String::from_utf8(tree.to_bytes()).unwrap();
        assert!(json.starts_with("[{\"md5\": \""), "{json}");
        assert!(json.ends_with("\"relpath\": \"\\u00dcn\\u00ef/\\u00e9 \\\"q\\\".jpg\"}]"), "{json}");
        let order: Vec<_> = tree.files.keys().take(4).map(String::as_str).collect();
        assert_eq!(order, [".hid", "Z.jpg", "a-b.jpg", "a.jpg"]);
        assert!(json.find("sub-x") < json.find("sub/c.jpg"));
    }

    #[test]
    fn a_path_out_of_the_folder_is_refused() {
        for path in ["../x", "/etc/passwd", "a/../../x", "", "a//b", "./a", "a/", "a\0b"] {
            let json = serde_json::json!([{"md5": "5d41402abc4b2a76b9719d911017c592", "relpath": path}]);
            let error = Tree::parse(json.to_string().as_bytes()).unwrap_err();
            assert!(matches!(error, TreeError::Path(_)), "{path:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(names in prop::collection::btree_map("[^/\\x00.]{1,9}", any::<[u8; 16]>(), 0..9)) {
            let tree = Tree { files: names.into_iter().map(|(path, md5)| (path, Md5::from_bytes(md5))).collect() };
            let bytes = tree.to_bytes();
            prop_assert!(bytes.is_ascii());
            prop_assert_eq!(Tree::parse(&bytes).unwrap(), tree);
        }
    }
}
