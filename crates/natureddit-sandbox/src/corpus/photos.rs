//! A corpus of photos that lie in folders by class.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};

use natureddit_core::{PostId, fs};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::authors::Authors;
use super::{Content, Corpus, CorpusError, Media, SimPost, Stream, post_id, stream, times};
use crate::caption::{Captions, vague_subject};
use crate::config::SandboxConfig;
use crate::scene::Kind;
use crate::truth::{Outcome, Truth, TruthPost};

/// The endings of files that are served; everything else in the folders is left alone.
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", "bmp"];

/// One photo, with what is known of it.
struct Photo {
    path: PathBuf,
    id: Option<PostId>,
    title: Option<String>,
    class: usize,
}

/// A row of `posts.csv`; other columns are passed over.
#[derive(Deserialize)]
struct Row {
    id: String,
    title: String,
    img_name: String,
    #[serde(default)]
    choice: String,
}

pub(super) fn corpus(config: &SandboxConfig, folder: &Path) -> Result<Corpus, CorpusError> {
    let photos = photos(config, folder)?;
    let mut plan = stream(config.seed, Stream::Plan);
    let subreddits: Vec<usize> =
        photos.iter().map(|photo| super::subreddit(&mut plan, &config.subreddits, photo.class)).collect();
    let times = times::times(&mut stream(config.seed, Stream::Times), &subreddits);
    let window = times::window(times.iter().copied());
    let mut authors = Authors::new(stream(config.seed, Stream::Authors));
    let mut titles = stream(config.seed, Stream::Titles);
    let mut captions = Captions::default();
    let mut ids = Ids::new(&photos, stream(config.seed, Stream::Ids));
    let names: Vec<&str> = config.classes.names().collect();
    let (mut media, mut all) = (BTreeMap::new(), Vec::new());
    for (at, photo) in photos.into_iter().enumerate() {
        let class = names[photo.class];
        let title = photo.title.unwrap_or_else(|| {
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == class);
            let subject = vague_subject(&mut titles, class);
            captions.title(&mut titles, kind, subject)
        });
        let id = ids.take(photo.id);
        let file = format!("{id}.{}", extension(&photo.path));
        media.insert(file.clone(), Media::File(photo.path));
        let subreddit = config.subreddits[subreddits[at]].clone();
        let content = Content::Photo { file, size: None };
        let post = SimPost { title, content, ..SimPost::new(id, subreddit, authors.next(), times[at]) };
        all.push((truth(&post, class), post));
    }
    // Ids come from the photos and do not rise with time: posts of one second are put in order.
    all.sort_by(|(_, a), (_, b)| (a.created_utc, &a.id).cmp(&(b.created_utc, &b.id)));
    let (truths, posts) = all.into_iter().unzip();
    Ok(Corpus { posts, media, truth: Truth::new(config.seed, window, truths) })
}

fn truth(post: &SimPost, class: &str) -> TruthPost {
    TruthPost {
        id: post.id.clone(),
        subreddit: post.subreddit.clone(),
        created_utc: post.created_utc,
        title: post.title.clone(),
        subject: String::new(),
        choice: Some(class.to_owned()),
        outcome: Outcome::Row { photos: 1 },
        same_picture_as: None,
        gone_at: None,
        is_listed: true,
    }
}

/// Every photo of the class folders: those of `posts.csv` in its order, then the others by name.
fn photos(config: &SandboxConfig, folder: &Path) -> Result<Vec<Photo>, CorpusError> {
    let mut files: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (class, name) in config.classes.names().enumerate() {
        let own = folder.join(name);
        let found = fs::optional(fs::walk(&own))?.unwrap_or_default();
        let before = files.len();
        files.extend(found.into_iter().filter(|path| is_photo(path)).map(|path| (path, class)));
        if files.len() == before {
            let class = name.to_owned();
            let has_links =
                fs::optional(fs::read_dir(&own))?.is_some_and(|found| found.iter().any(|path| is_link(path)));
            return Err(if has_links {
                CorpusError::OnlyLinks { class, folder: own }
            } else {
                CorpusError::NoPhotos { class, folder: own }
            });
        }
    }
    let mut photos = titled(config, folder, &mut files)?;
    photos.extend(files.into_iter().map(|(path, class)| {
        let id = path.file_stem().and_then(|stem| reddit_id(&stem.to_string_lossy()));
        Photo { path, id, title: None, class }
    }));
    Ok(photos)
}

/// The photos of `posts.csv`, which are taken out of `files`.
fn titled(
    config: &SandboxConfig,
    folder: &Path,
    files: &mut BTreeMap<PathBuf, usize>,
) -> Result<Vec<Photo>, CorpusError> {
    let path = folder.join("posts.csv");
    let Some(bytes) = fs::optional(fs::read(&path))? else { return Ok(Vec::new()) };
    let mut photos = Vec::new();
    for (at, row) in csv::Reader::from_reader(bytes.as_slice()).deserialize::<Row>().enumerate() {
        let row = row.map_err(|source| CorpusError::Table { path: path.clone(), source })?;
        let wrong = |reason: String| CorpusError::Row { path: path.clone(), row: at + 1, reason };
        let relative = Path::new(&row.img_name);
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(wrong(format!("{:?} does not lie in the folder", row.img_name)));
        }
        let file = folder.join(relative);
        let Some(in_folder) = files.remove(&file) else {
            let why = if is_link(&file) {
                "is a symbolic link, which is not followed"
            } else {
                "is not a photo in a class folder, or is named twice"
            };
            return Err(wrong(format!("{:?} {why}", row.img_name)));
        };
        let class = match row.choice.as_str() {
            "" => in_folder,
            name => config.classes.class(name).ok_or_else(|| wrong(format!("{name:?} is not a class")))?.0,
        };
        let title = (!row.title.is_empty()).then_some(row.title);
        photos.push(Photo { path: file, id: reddit_id(&row.id), title, class });
    }
    Ok(photos)
}

fn is_photo(path: &Path) -> bool {
    EXTENSIONS.contains(&extension(path).as_str())
}

/// A link with the name of a photo, or a class folder that is one.
fn is_link(path: &Path) -> bool {
    path.is_symlink() && (is_photo(path) || path.is_dir())
}

fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// A text that could be the id of a post on Reddit.
fn reddit_id(text: &str) -> Option<PostId> {
    let base36 = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    if (1..=10).contains(&text.len()) && text.bytes().all(base36) { text.parse().ok() } else { None }
}

/// Ids of the photos' own where they have one, so that people find their photos again; others are made up.
struct Ids {
    wanted: HashSet<PostId>,
    given: HashSet<PostId>,
    rng: ChaCha8Rng,
}

impl Ids {
    fn new(photos: &[Photo], rng: ChaCha8Rng) -> Self {
        let wanted = photos.iter().filter_map(|photo| photo.id.clone()).collect();
        Self { wanted, given: HashSet::new(), rng }
    }

    /// The first photo that wants an id gets it.
    fn take(&mut self, wanted: Option<PostId>) -> PostId {
        if let Some(id) = wanted
            && self.given.insert(id.clone())
        {
            return id;
        }
        loop {
            let id = post_id(self.rng.random_range(36u64.pow(6)..36u64.pow(7)));
            if !self.wanted.contains(&id) && self.given.insert(id.clone()) {
                return id;
            }
        }
    }
}
