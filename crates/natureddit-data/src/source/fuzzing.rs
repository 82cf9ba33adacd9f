//! Where bytes of strangers come in: what fuzz targets and the test of mutated recordings call. No part of the crate's
//! interface. Each function takes any bytes, and what it promises of them is asserted.

use std::io::Cursor;

use serde_json::Value;

use super::answer::{read_json, read_page};
use super::dump::read_all;
use super::reddit_json::{Escaping, Record};
use super::reddit_oauth::read_listing;
use crate::images::img_stem;
use crate::media::{GalleryMode, addresses, photos};
use crate::submission::Submission;

/// A longer line of a dump is passed over.
const LINE_BYTES_MAX: usize = 4_096;

/// A record of a listing, from any source.
pub fn post_json(bytes: &[u8]) {
    let Ok(record) = read_json::<Value>(bytes) else { return };
    for escaping in [Escaping::Entities, Escaping::Plain, Escaping::EntitiesUnlessSeen, Escaping::PlainUnlessSeen] {
        if let Some(post) = Record::of(&record).into_submission("flowers", escaping) {
            look_at(&post, bytes.len());
        }
    }
}

/// An answer of an archive, and the same bytes as an answer of Reddit's own API.
pub fn listing(bytes: &[u8]) {
    if let Ok(page) = read_page(bytes, "flowers", Escaping::EntitiesUnlessSeen) {
        assert!(!page.submissions.is_empty() || page.records() == 0, "an answer without a post is an error");
        page.submissions.iter().for_each(|post| look_at(post, bytes.len()));
    }
    if let Ok(page) = read_listing(bytes) {
        assert_eq!(page.names.len(), page.submissions.len());
        page.submissions.iter().for_each(|post| look_at(post, bytes.len()));
    }
}

/// The lines of an unpacked dump, read in pieces of as many bytes as the first one says.
pub fn dump_lines(bytes: &[u8]) {
    let Some((&piece, lines)) = bytes.split_first() else { return };
    let names = ["flowers".to_owned(), "EarthPorn".to_owned()];
    let read = |piece| {
        let pieces = Pieces(Cursor::new(lines.to_vec()), piece);
        read_all(pieces, LINE_BYTES_MAX, &names).expect("memory can be read")
    };
    let (posts, unreadable) = read(usize::MAX);
    assert!(read(usize::from(piece) + 1) == (posts.clone(), unreadable), "what is read depends on how it came");
    assert!(posts.iter().all(|(at, _)| *at < names.len()));
    posts.iter().for_each(|(_, post)| look_at(post, bytes.len()));
}

/// Gives at most so many bytes at once.
struct Pieces(Cursor<Vec<u8>>, usize);

impl std::io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(self.1);
        self.0.read(&mut buffer[..count])
    }
}

/// What is decided of a post before anything of it is fetched.
fn look_at(post: &Submission, bytes: usize) {
    assert!(post.post.created_utc >= 0);
    assert!(post.post.title.len() <= bytes, "undoing entities lengthens nothing");
    for mode in [GalleryMode::First, GalleryMode::All] {
        let photos = photos(post, true, mode);
        assert!(!photos.is_empty() && (mode == GalleryMode::All || photos.len() == 1));
        for photo in photos {
            let stem = img_stem(&post.post.id, &photo.media_id);
            let is_plain = stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
            assert!(is_plain && stem.len() < 200, "{stem:?} is no name of a file");
            if let Ok(url) = photo.url {
                assert_eq!(addresses(&url).last(), Some(&url), "a signed address is not altered");
            }
        }
    }
}
