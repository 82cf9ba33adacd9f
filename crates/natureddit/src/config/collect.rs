//! `[collect]`: which posts and photos, and from where.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use natureddit_core::{ContentHash, Secret};
use natureddit_data::{AuthorMode, GalleryMode};
use url::Url;

use super::check::{BYTES, Checker, PIXELS, TableChecker};
use super::raw::RawCollect;
use super::{ConfigError, Environment};

/// Where posts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceName {
    /// An API in the shape of Pushshift.
    Pushshift,
    /// An API in the shape of Arctic Shift.
    ArcticShift,
    /// Reddit's own API.
    RedditOauth,
    /// Files on this machine.
    Dump,
}

impl SourceName {
    /// As `collect.source` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        SOURCES.iter().find(|(_, source)| *source == self).map_or("", |(name, _)| name)
    }
}

/// What `collect.source` may be.
const SOURCES: [(&str, SourceName); 4] = [
    ("pushshift", SourceName::Pushshift),
    ("arctic_shift", SourceName::ArcticShift),
    ("reddit_oauth", SourceName::RedditOauth),
    ("dump", SourceName::Dump),
];

/// What `collect.author` may be.
const AUTHORS: [(&str, AuthorMode); 3] =
    [("keep", AuthorMode::Keep), ("hash", AuthorMode::Hash), ("drop", AuthorMode::Drop)];

/// The checked `[collect]`.
#[derive(Clone, Debug)]
pub struct CollectConfig {
    /// Where posts come from.
    pub source: SourceName,
    /// The subreddits' names without `r/`; at least one.
    pub subreddits: Vec<String>,
    /// The first moment to collect.
    pub since: Option<Timestamp>,
    /// The moment to stop before, later than `since`.
    pub until: Option<Timestamp>,
    /// Posts asked for at once, 1 to 100.
    pub page_size: u32,
    /// The largest page, in bytes.
    pub page_bytes_max: u64,
    /// Who asks, as sites see it: printable ASCII.
    pub user_agent: String,
    /// Smaller photos are dropped, in bytes; less than `image_bytes_max`.
    pub image_bytes_min: u64,
    /// Larger photos are dropped, in bytes.
    pub image_bytes_max: u64,
    /// Photos of more pixels are dropped.
    pub image_pixels_max: u64,
    /// The most pixels on the long side of a stored photo.
    pub long_side_max: u32,
    /// The quality of stored JPEG files, 1 to 100.
    pub jpeg_quality: u8,
    /// Whether posts marked as not safe for work are collected.
    pub include_over_18: bool,
    /// Which pictures of a gallery are taken.
    pub gallery: GalleryMode,
    /// Photos fetched from one host at the same time.
    pub downloads_per_host_max: usize,
    /// Files that are shown in place of a photo that is gone, besides those that are known anyway.
    pub placeholders: Vec<ContentHash>,
    /// The address of the Pushshift-shaped API.
    pub pushshift_base_url: Url,
    /// The address of the Arctic-Shift-shaped API.
    pub arctic_shift_base_url: Url,
    /// The address of Reddit's API for apps.
    pub reddit_base_url: Url,
    /// The address where apps get tokens.
    pub reddit_token_base_url: Url,
    /// The id and secret of an app; `None` where the environment names none.
    pub reddit_app: Option<(String, Secret)>,
    /// Whether posts of other sources are looked up on Reddit, where an app is named.
    pub hydrate: bool,
    /// What is kept of authors.
    pub author: AuthorMode,
    /// The files of the dump; at least one where that is the source.
    pub dump_files: Vec<PathBuf>,
    /// The longest line of a dump, in bytes.
    pub dump_line_bytes_max: usize,
}

impl CollectConfig {
    pub(super) fn check(raw: RawCollect, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        let at = checker.table("collect");
        let since = at.moment("since", &raw.since)?;
        let until = at.moment("until", &raw.until)?;
        if since.zip(until).is_some_and(|(since, until)| since >= until) {
            return Err(at.bad("until", &raw.until, format!("later than collect.since = {:?}", raw.since)));
        }
        let source = at.one_of("source", &raw.source, &SOURCES)?;
        let (dump, reddit) = (checker.table("collect.dump"), checker.table("collect.reddit_oauth"));
        let image_bytes_max = at.integer("image_bytes_max", raw.image_bytes_max, BYTES)?;
        Ok(Self {
            source,
            user_agent: user_agent(&raw.user_agent, &at)?,
            subreddits: subreddits(raw.subreddits, &at)?,
            since,
            until,
            page_size: at.integer("page_size", raw.page_size, 1..=100)?,
            page_bytes_max: at.integer("page_bytes_max", raw.page_bytes_max, BYTES)?,
            image_bytes_min: at.integer("image_bytes_min", raw.image_bytes_min, 0..=raw.image_bytes_max)?,
            image_bytes_max,
            image_pixels_max: at.integer("image_pixels_max", raw.image_pixels_max, PIXELS)?,
            long_side_max: at.integer("long_side_max", raw.long_side_max, 64..=16_384)?,
            jpeg_quality: at.integer("jpeg_quality", raw.jpeg_quality, 1..=100)?,
            include_over_18: raw.include_over_18,
            gallery: at.one_of("gallery", &raw.gallery, &[("first", GalleryMode::First), ("all", GalleryMode::All)])?,
            downloads_per_host_max: at.integer("downloads_per_host_max", raw.downloads_per_host_max, 1..=64)?,
            placeholders: placeholders(&raw.placeholder_sha256, &at)?,
            pushshift_base_url: checker.table("collect.pushshift").url("base_url", &raw.pushshift.base_url)?,
            arctic_shift_base_url: checker.table("collect.arctic_shift").url("base_url", &raw.arctic_shift.base_url)?,
            reddit_base_url: reddit.url("base_url", &raw.reddit_oauth.base_url)?,
            reddit_token_base_url: reddit.url("token_base_url", &raw.reddit_oauth.token_base_url)?,
            reddit_app: reddit_app(checker.environment),
            hydrate: raw.hydrate,
            author: at.one_of("author", &raw.author, &AUTHORS)?,
            dump_files: dump_files(raw.dump.files, source, &dump)?,
            dump_line_bytes_max: dump.integer("line_bytes_max", raw.dump.line_bytes_max, 1_000..=1 << 30)?,
        })
    }
}

fn reddit_app(environment: &Environment) -> Option<(String, Secret)> {
    let secret = environment.reddit_client_secret.clone();
    Some((environment.reddit_client_id.clone()?, secret.unwrap_or_else(|| Secret::new(String::new()))))
}

fn dump_files(files: Vec<String>, source: SourceName, at: &TableChecker<'_>) -> Result<Vec<PathBuf>, ConfigError> {
    if files.is_empty() && source == SourceName::Dump {
        return Err(at.bad("files", files, "at least one file where collect.source = \"dump\""));
    }
    files.iter().map(|file| at.path("files", file)).collect()
}

fn subreddits(names: Vec<String>, at: &TableChecker<'_>) -> Result<Vec<String>, ConfigError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let good = |name: &String| (2..=21).contains(&name.len()) && name.chars().all(plain);
    if names.is_empty() || names.len() > 100 || !names.iter().all(good) {
        return Err(at.bad("subreddits", names, "1 to 100 names of 2 to 21 letters, digits or '_', without \"r/\""));
    }
    // Reddit does not tell case apart: one name in two spellings would be collected and counted twice.
    let distinct: BTreeSet<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    if distinct.len() != names.len() {
        return Err(at.bad("subreddits", names, "names that differ by more than upper and lower case"));
    }
    Ok(names)
}

fn placeholders(hashes: &[String], at: &TableChecker<'_>) -> Result<Vec<ContentHash>, ConfigError> {
    let must_be = "SHA-256 hashes of files, 64 hexadecimal digits each";
    hashes.iter().map(|hash| hash.parse().map_err(|_| at.bad("placeholder_sha256", hash, must_be))).collect()
}

/// Fills in the program's version; what is left must be fit for an HTTP header.
fn user_agent(text: &str, at: &TableChecker<'_>) -> Result<String, ConfigError> {
    let filled = text.replace("{version}", env!("CARGO_PKG_VERSION"));
    if filled.trim().is_empty() || !filled.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(at.bad("user_agent", text, "printable ASCII, not empty"));
    }
    Ok(filled)
}
