//! MD5 as DVC uses it: over the bytes of a file, and in repositories of DVC 2 over its lines, whatever ends them.

use std::fmt;
use std::str::FromStr;

use md5::{Digest, Md5 as Md5Core};

/// An MD5, printed and parsed as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Md5([u8; 16]);

/// A text that is no MD5.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an MD5 of 32 hexadecimal digits: {0:?}")]
pub struct ParseMd5Error(String);

impl Md5 {
    /// Of bytes as they are.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Md5Core::digest(bytes).into())
    }

    /// The 16 bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// As text.
    pub(crate) fn hex(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (at, &byte) in self.0.iter().enumerate() {
            text[2 * at] = DIGITS[usize::from(byte >> 4)];
            text[2 * at + 1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }

    /// From its 16 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.hex()).unwrap_or_default())
    }
}

impl fmt::Debug for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Md5 {
    type Err = ParseMd5Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let parse = || {
            let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
            let mut bytes = [0; 16];
            for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
                *byte = digit(*high)? << 4 | digit(*low)?;
            }
            Some(Self(bytes))
        };
        parse().ok_or_else(|| ParseMd5Error(text.to_owned()))
    }
}

/// What the hash of an object is taken over, and with that where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashKind {
    /// DVC 3: the bytes. Objects lie below `files/md5`.
    Md5,
    /// DVC 2: of text, CR LF counts as LF. Objects lie at the top.
    Md5Dos2Unix,
}

/// An object's name: the hash of its content, and whether it lists a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// What its hash is taken over.
    pub kind: HashKind,
    /// Of its content.
    pub md5: Md5,
    /// Whether it is the list of a folder's files, whose name ends in `.dir`.
    pub is_dir: bool,
}

impl ObjectId {
    /// Where the object lies in a cache or a remote, with `/`: `files/md5/5d/41402abc4b2a76b9719d911017c592`.
    #[must_use]
    pub fn path(self) -> String {
        let hex = self.md5.to_string();
        let (folder, name) = hex.split_at(2);
        let top = match self.kind {
            HashKind::Md5 => "files/md5/",
            HashKind::Md5Dos2Unix => "",
        };
        format!("{top}{folder}/{name}{}", if self.is_dir { ".dir" } else { "" })
    }

    /// Whether its hash is over its bytes as they are: of lists it always is.
    pub(crate) fn is_plain(self) -> bool {
        self.is_dir || self.kind == HashKind::Md5
    }

    /// Objects with the same one lie in the same folder.
    pub(crate) fn prefix(self) -> (HashKind, u8) {
        (self.kind, self.md5.0[0])
    }

    /// The last part of [`ObjectId::path`].
    #[must_use]
    pub(crate) fn name(self) -> String {
        let hex = self.md5.hex();
        let name = str::from_utf8(&hex[2..]).unwrap_or_default();
        format!("{name}{}", if self.is_dir { ".dir" } else { "" })
    }

    /// The object that lies at a path as [`ObjectId::path`] makes it; `None` for any other file.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        let (kind, path) = match path.strip_prefix("files/md5/") {
            Some(path) => (HashKind::Md5, path),
            None => (HashKind::Md5Dos2Unix, path),
        };
        let (name, is_dir) = path.strip_suffix(".dir").map_or((path, false), |name| (name, true));
        let (folder, rest) = name.split_once('/')?;
        let md5 = if folder.len() == 2 { format!("{folder}{rest}").parse().ok()? } else { return None };
        Some(Self { kind, md5, is_dir })
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.md5, if self.is_dir { ".dir" } else { "" })
    }
}

/// DVC decides by the beginning of each piece of so many bytes whether that piece is text.
const PIECE_BYTES: usize = 1 << 20;
/// That beginning.
const SAMPLE_BYTES: usize = 512;

/// Hashes a content that comes in parts of any length.
pub struct Hasher {
    md5: Md5Core,
    bytes: u64,
    /// For text: what of the present piece is not hashed yet.
    piece: Option<Vec<u8>>,
}

impl Hasher {
    /// Nothing hashed yet. The list of a folder is hashed as it is in DVC 2 as well.
    #[must_use]
    pub fn new(id: ObjectId) -> Self {
        Self::of_kind(if id.is_plain() { HashKind::Md5 } else { id.kind })
    }

    /// Nothing hashed yet.
    #[must_use]
    pub fn of_kind(kind: HashKind) -> Self {
        Self { md5: Md5Core::new(), bytes: 0, piece: (kind == HashKind::Md5Dos2Unix).then(Vec::new) }
    }

    /// Takes the next part.
    pub fn update(&mut self, mut part: &[u8]) {
        self.bytes += part.len() as u64;
        let Some(piece) = &mut self.piece else { return self.md5.update(part) };
        while !part.is_empty() {
            let (taken, rest) = part.split_at(part.len().min(PIECE_BYTES - piece.len()));
            piece.extend_from_slice(taken);
            part = rest;
            if piece.len() == PIECE_BYTES {
                update_piece(&mut self.md5, piece);
                piece.clear();
            }
        }
    }

    /// The hash of all that came, and its length in bytes as it came.
    #[must_use]
    pub fn finish(mut self) -> (Md5, u64) {
        if let Some(piece) = &self.piece {
            update_piece(&mut self.md5, piece);
        }
        (Md5(self.md5.finalize().into()), self.bytes)
    }
}

fn update_piece(md5: &mut Md5Core, mut piece: &[u8]) {
    if !is_text(&piece[..piece.len().min(SAMPLE_BYTES)]) {
        return md5.update(piece);
    }
    while let Some(at) = memchr::memmem::find(piece, b"\r\n") {
        md5.update(&piece[..at]);
        md5.update(b"\n");
        piece = &piece[at + 2..];
    }
    md5.update(piece);
}

/// Without NUL, and at most 30 % of it outside printable ASCII and white space; as DVC 2 decides.
fn is_text(sample: &[u8]) -> bool {
    let is_plain = |byte: &u8| matches!(byte, 0x20..=0x7E | b'\n' | b'\r' | b'\t' | 0x0C | 0x08);
    let others = sample.iter().filter(|byte| !is_plain(byte)).count();
    !sample.contains(&0) && others * 10 <= sample.len() * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(kind: HashKind, parts: &[&[u8]]) -> String {
        let mut hasher = Hasher::of_kind(kind);
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finish().0.to_string()
    }

    #[test]
    fn lines_end_alike_in_dvc_2_only() {
        let lf = "e5ebd4c02cefbe7955977c67ada242b7";
        assert_eq!(hash(HashKind::Md5, &[b"a,b\n1,2\n"]), lf);
        assert_eq!(hash(HashKind::Md5Dos2Unix, &[b"a,b\r", b"\n1,2\r\n"]), lf);
        assert_ne!(hash(HashKind::Md5, &[b"a,b\r\n1,2\r\n"]), lf);
        // A NUL makes it binary, and so do many other bytes.
        let binary = b"a\r\n\0";
        assert_eq!(hash(HashKind::Md5Dos2Unix, &[binary]), hash(HashKind::Md5, &[binary]));
        let accents = "ää\r\n".as_bytes();
        assert_eq!(hash(HashKind::Md5Dos2Unix, &[accents]), hash(HashKind::Md5, &[accents]));
    }

    #[test]
    fn each_piece_is_text_or_not_for_itself() {
        // The line end across the edge of two pieces stays, as in the real tool.
        let mut text = vec![b'x'; PIECE_BYTES - 1];
        text.extend_from_slice(b"\r\ny\r\n");
        let mut expected = vec![b'x'; PIECE_BYTES - 1];
        expected.extend_from_slice(b"\r\ny\n");
        assert_eq!(hash(HashKind::Md5Dos2Unix, &[&text[..7], &text[7..]]), Md5::of(&expected).to_string());
        let mut binary = vec![0; PIECE_BYTES];
        binary.extend_from_slice(b"text\r\n");
        let mut expected = vec![0; PIECE_BYTES];
        expected.extend_from_slice(b"text\n");
        assert_eq!(hash(HashKind::Md5Dos2Unix, &[&binary]), Md5::of(&expected).to_string());
    }

    #[test]
    fn objects_lie_where_each_version_puts_them() {
        let md5 = "5d41402abc4b2a76b9719d911017c592".parse().unwrap();
        for (kind, is_dir, path) in [
            (HashKind::Md5, false, "files/md5/5d/41402abc4b2a76b9719d911017c592"),
            (HashKind::Md5, true, "files/md5/5d/41402abc4b2a76b9719d911017c592.dir"),
            (HashKind::Md5Dos2Unix, true, "5d/41402abc4b2a76b9719d911017c592.dir"),
        ] {
            let id = ObjectId { kind, md5, is_dir };
            assert_eq!(id.path(), path);
            assert_eq!(ObjectId::from_path(path), Some(id));
        }
        for path in [
            "",
            "5d",
            "files/md5/5d4/1402abc4b2a76b9719d911017c592",
            "5d/xyz",
            "runs/5d/41402abc",
            "5d/41402abc4b2a76b9719d911017c59é",
        ] {
            assert_eq!(ObjectId::from_path(path), None, "{path}");
        }
        assert!("5D41402ABC4B2A76B9719D911017C592".parse::<Md5>().is_err());
    }
}
