//! The traps of collecting posts, each a test of that number; `docs/traps.md` lists all of them, also those whose test
//! stands beside the code it is about. Where it is cheap, a test first shows that the trap is set: that a careless client
//! of the same simulator falls into it.

mod dataset;
mod manners;
mod media;
mod paging;
mod photos;
mod time;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use natureddit_core::{ClassNames, Clock, PostId, Progress, fs};
use natureddit_data::{
    CollectConfig, CollectError, CollectReport, Dataset, GalleryMode, PostRow, SourceConfig, Window, collect,
};
use natureddit_image::Photo;
use natureddit_sandbox::{LogEntry, Sandbox, SandboxConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::truth::{client, config};

/// 2022-05-01T00:00:00Z.
const MAY: i64 = 1_651_363_200;

/// A simulator and a folder that is collected into.
struct Trial {
    sandbox: Arc<Sandbox>,
    config: CollectConfig,
    folder: TempDir,
}

impl Trial {
    async fn new(of: SandboxConfig, source: SourceConfig) -> Self {
        let (sandbox, folder) = (Sandbox::start(of).await.unwrap(), tempfile::tempdir().unwrap());
        let config = config(&folder.path().join("data"), &sandbox, source);
        Self { sandbox: Arc::new(sandbox), config, folder }
    }

    /// Posts as an archive's file has them, one a second from the beginning of May, and the simulator for their photos.
    async fn of_posts(posts: &[(&str, &str)]) -> Self {
        let record = |(second, (id, url)): (usize, &(&str, &str))| {
            let permalink = format!("/r/flowers/comments/{id}/");
            json!({"id": id, "author": "someone", "created_utc": MAY + second as i64, "subreddit": "flowers",
                   "title": format!("A photo {id}"), "url": url, "permalink": permalink, "is_self": false})
        };
        Self::of_records(&posts.iter().enumerate().map(record).collect::<Vec<_>>()).await
    }

    /// As [`Trial::of_posts`], of whole records.
    async fn of_records(records: &[Value]) -> Self {
        let source = SourceConfig::Dump { files: Vec::new(), line_bytes_max: 1_000_000 };
        let mut trial = Self::new(drawn(1, 1), source).await;
        let file = trial.folder.path().join("RS_2022-05.ndjson");
        let lines: Vec<_> = records.iter().map(ToString::to_string).collect();
        fs::write_atomic(&file, lines.join("\n")).unwrap();
        trial.config.source = SourceConfig::Dump { files: vec![file], line_bytes_max: 1_000_000 };
        trial.config.subreddits = vec!["flowers".into()];
        trial.config.window = Window::new(MAY, MAY + 86_400).unwrap();
        trial.config.photos.bytes_min = 100;
        trial
    }

    async fn collect(&self) -> Result<CollectReport, CollectError> {
        self.collect_watched(&Progress::silent()).await
    }

    async fn collect_watched(&self, progress: &Progress) -> Result<CollectReport, CollectError> {
        collect(&self.config, &client(&self.sandbox), &Clock::fixed(1_700_000_000), progress).await
    }

    /// Collects into an empty folder, from `source`.
    async fn collect_anew(&mut self, source: SourceConfig) -> Result<CollectReport, CollectError> {
        self.config.data_dir = self.folder.path().join(source.name());
        self.config.source = source;
        self.collect().await
    }

    fn dir(&self) -> &Path {
        &self.config.data_dir
    }

    fn dataset(&self) -> Dataset {
        Dataset::read(self.dir()).unwrap()
    }

    /// The posts that have a row or a reason.
    fn known(&self) -> BTreeSet<PostId> {
        let dataset = self.dataset();
        let rows = dataset.posts.into_keys().map(|key| key.id);
        rows.chain(dataset.dropped.into_values().map(|post| post.id)).collect()
    }

    /// The posts that there are.
    fn all(&self) -> BTreeSet<PostId> {
        self.sandbox.truth().posts.iter().map(|post| post.id.clone()).collect()
    }

    /// The only row of a post.
    fn row(&self, id: &str) -> PostRow {
        let dataset = self.dataset();
        let id = id.parse().unwrap();
        let reason = || dataset.dropped.values().find(|post| post.id == id).map(|post| post.reason.clone());
        dataset.photos_of(&id).next().unwrap_or_else(|| panic!("{id} has no row: {:?}", reason())).clone()
    }

    /// The file of the only row of a post.
    fn file(&self, id: &str) -> Vec<u8> {
        fs::read(&Dataset::image_path(self.dir(), &self.row(id))).unwrap()
    }

    /// Why a post has no row.
    fn reason(&self, id: &str) -> String {
        let dropped = self.dataset().dropped;
        let dropped = dropped.get(&(id.parse().unwrap(), String::new())).unwrap_or_else(|| panic!("{id} was kept"));
        dropped.reason.clone()
    }

    /// The requests whose path holds this.
    fn requests(&self, part: &str) -> Vec<LogEntry> {
        self.sandbox.log().into_iter().filter(|entry| entry.path.contains(part)).collect()
    }

    /// What an address answers with, as JSON.
    async fn json(&self, url: &str) -> Value {
        let answer = client(&self.sandbox).get(url).accept("application/json").bytes_max(16_000_000).send().await;
        serde_json::from_slice(&answer.unwrap().body).unwrap()
    }

    /// The posts as Arctic Shift gives them, which escapes nothing.
    async fn records(&self) -> Vec<Value> {
        let ids: Vec<_> = self.all().iter().map(ToString::to_string).collect();
        let url = format!("https://arctic-shift.photon-reddit.com/api/posts/ids?ids={}", ids.join(","));
        self.json(&url).await["data"].as_array().unwrap().clone()
    }
}

fn classes() -> ClassNames {
    ClassNames::new(["fauna", "flora", "landscape"].map(str::to_owned).to_vec()).unwrap()
}

/// A corpus of drawn pictures.
fn drawn(seed: u64, posts: usize) -> SandboxConfig {
    SandboxConfig::new(seed, posts, classes())
}

/// A corpus of posts of every kind.
fn varied(seed: u64) -> SandboxConfig {
    SandboxConfig { varied: true, ..drawn(seed, 150) }
}

/// A folder of small photos, one a title. It costs little to serve, for where posts count more than what they show.
fn small_photos(titles: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["id", "title", "img_name", "choice"]).unwrap();
    for (number, title) in titles.iter().enumerate() {
        let class = ["fauna", "flora", "landscape"][number % 3];
        let rgb = (0..80 * 60 * 3).map(|at: usize| (at * (number + 3) / 7 % 251) as u8).collect();
        let name = format!("{class}/{number:04}.jpg");
        fs::write_atomic(&folder.path().join(&name), Photo { width: 80, height: 60, rgb }.to_jpeg(95)).unwrap();
        table.write_record(["", title, &name, ""]).unwrap();
    }
    fs::write_atomic(&folder.path().join("posts.csv"), table.into_inner().unwrap()).unwrap();
    folder
}

/// A corpus of so many small photos in one subreddit: every page of it is one of `flowers`.
fn small(count: usize) -> (TempDir, SandboxConfig) {
    let photos = small_photos(&vec![""; count]);
    let subreddits = vec!["flowers".to_owned()];
    let config = SandboxConfig { photos: Some(photos.path().to_owned()), subreddits, ..drawn(7, 1) };
    (photos, config)
}

/// A trial of [`small`], which takes any photo and every picture of a gallery.
async fn trial_of_small(of: SandboxConfig, source: SourceConfig) -> Trial {
    let subreddits = of.subreddits.clone();
    let mut trial = Trial::new(of, source).await;
    (trial.config.subreddits, trial.config.gallery) = (subreddits, GalleryMode::All);
    trial.config.photos.bytes_min = 100;
    trial
}

/// A number in the query of a path.
fn number(path: &str, name: &str) -> i64 {
    let (_, query) = path.split_once('?').unwrap();
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap();
    value.parse().unwrap()
}
