//! What is sent: photos with titles, ready to be written to a connection.

use std::path::Path;

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
    pub(crate) fn read(photos: &Path, target: &Target) -> Outcome<Self> {
        let mut files = Vec::new();
        for folder in fs::read_dir(photos)?.into_iter().filter(|path| path.is_dir()) {
            files.extend(fs::read_dir(&folder)?);
        }
        files.sort();
        let request = |(number, file)| -> Outcome<Vec<u8>> { Ok(form(target, &title(number), &fs::read(file)?)) };
        let requests = files.iter().map(std::path::PathBuf::as_path).enumerate().map(request);
        let requests = requests.collect::<Outcome<Vec<_>>>()?;
        if requests.is_empty() { Err("there are no photos".into()) } else { Ok(Self(requests)) }
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

/// A title that no other number has.
fn title(number: usize) -> String {
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
