//! What is sent: photos with titles, ready to be written to a connection.

use std::path::{Path, PathBuf};

use natureddit_core::fs;

use crate::Outcome;
use crate::connection::Target;

/// Of which titles are made.
const WHAT: [&str; 8] = [
    "Red fox",
    "A heron",
    "First orchid of the year",
    "Sunrise over the Dolomites",
    "An oak",
    "Some kind of spider",
    "The lake behind our house",
    "Wild garlic",
];
const WHERE: [&str; 6] = [
    "in the snow this morning",
    "[OC] [4000x3000]",
    "in the north of Norway, after three days of rain",
    "at dusk",
    "near the old mill, taken with my phone",
    "from our tent, and nobody else for miles",
];

/// Bodies that hold a title and a photo each.
const BOUNDARY: &str = "----natureddit-load-7d1c";

/// Requests for predictions, each of another post.
pub(crate) struct Posts(Vec<Vec<u8>>);

impl Posts {
    /// One of each photo, two folders deep.
    pub(crate) fn read(photos_folder: &Path, target: &Target) -> Outcome<Self> {
        let files = photos(photos_folder)?;
        let request = |(number, file)| -> Outcome<Vec<u8>> { Ok(form(target, &title(number), &fs::read(file)?)) };
        let requests = files.iter().map(PathBuf::as_path).enumerate().map(request);
        requests.collect::<Outcome<Vec<_>>>().map(Self)
    }

    /// The request of that number; after the last photo comes the first again.
    pub(crate) fn request(&self, number: usize) -> &[u8] {
        &self.0[number % self.0.len()]
    }

    /// How many posts differ.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The files two folders deep.
pub(crate) fn photos(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for kind in fs::read_dir(folder)?.into_iter().filter(|path| path.is_dir()) {
        files.extend(fs::read_dir(&kind)?);
    }
    files.sort();
    if files.is_empty() { Err("there are no photos".into()) } else { Ok(files) }
}

/// A title that no other number has.
pub(crate) fn title(number: usize) -> String {
    format!("{} {}, {number}", WHAT[number % WHAT.len()], WHERE[number / WHAT.len() % WHERE.len()])
}

/// A request with a title and a photo in a form, as `curl -F "text=..." -F "image=@..."` sends it.
pub(crate) fn form(target: &Target, title: &str, photo: &[u8]) -> Vec<u8> {
    let text = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"text\"\r\n\r\n{title}\r\n");
    let image = "content-disposition: form-data; name=\"image\"; filename=\"photo.jpg\"\r\ncontent-type: image/jpeg";
    let before = format!("{text}--{BOUNDARY}\r\n{image}\r\n\r\n");
    let after = format!("\r\n--{BOUNDARY}--\r\n");
    let body = [before.as_bytes(), photo, after.as_bytes()].concat();
    let headers = format!("content-type: multipart/form-data; boundary={BOUNDARY}\r\n");
    target.request("POST", &headers, &body)
}
