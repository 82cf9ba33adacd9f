//! Models that are registered by an address: which addresses are allowed, and the way of an archive into the model store.
//!
//! This crate opens no connection: who fetches is given by the program.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use natureddit_core::fs;
use natureddit_core::{PLAIN_NAME, is_plain_name};
use regex::{Regex, RegexBuilder};
use url::Url;

use crate::error::ApiError;
use crate::loader::LoadError;
use crate::store::{BundleFolder, ModelChoice, default_bundles, find_bundle};

/// What a compiled expression may take, in bytes.
const EXPRESSION_BYTES_MAX: usize = 1 << 20;

/// Which addresses models may be registered from. None, where there is no word.
#[derive(Clone, Debug, Default)]
pub struct AllowedUrls {
    words: Vec<String>,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
enum Rule {
    /// Everything that begins so; it ends with a slash.
    Below(String),
    /// The whole address.
    Matches(Regex),
}

/// A word that says of no address whether it is allowed.
#[derive(Debug, thiserror::Error)]
#[error("{word:?} is neither an http or https address that ends in \"/\" nor a regular expression: {reason}")]
pub struct AllowedUrlError {
    /// The word.
    pub word: String,
    /// What is wrong with it.
    pub reason: String,
}

impl AllowedUrls {
    /// A word that ends with `/` allows what is below that address. Any other is a regular expression that the whole address
    /// must match in either case, as TorchServe has it: linear in time, without look-around and back-references.
    ///
    /// # Errors
    /// For a word that is neither.
    pub fn new(words: impl IntoIterator<Item = String>) -> Result<Self, AllowedUrlError> {
        let words: Vec<String> = words.into_iter().collect();
        let rules = words.iter().map(|word| rule(word)).collect::<Result<_, _>>()?;
        Ok(Self { words, rules })
    }

    /// Whether an archive may be fetched from there: over http or https alone. The name and password in an address, and
    /// what is behind `#`, are not looked at.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        if !matches!(url.scheme(), "http" | "https") {
            return false;
        }
        let mut plain = url.clone();
        // Both fail only for addresses that cannot have a user.
        let _ = plain.set_username("");
        let _ = plain.set_password(None);
        plain.set_fragment(None);
        self.rules.iter().any(|rule| match rule {
            Rule::Below(start) => plain.as_str().starts_with(start),
            Rule::Matches(expression) => expression.is_match(plain.as_str()),
        })
    }

    /// Whether it allows nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// As they were written.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

impl PartialEq for AllowedUrls {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for AllowedUrls {}

fn rule(word: &str) -> Result<Rule, AllowedUrlError> {
    let bad = |reason: String| AllowedUrlError { word: word.to_owned(), reason };
    if word.ends_with('/') {
        // As addresses are written when they are compared: host in lower case, no usual port.
        let url = Url::parse(word).map_err(|e| bad(e.to_string()))?;
        let is_plain =
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
        return if is_plain && url.query().is_none() && url.fragment().is_none() {
            Ok(Rule::Below(url.into()))
        } else {
            Err(bad("it has another scheme, a user or a query".to_owned()))
        };
    }
    // The line end `$` of Java's `matches` is the end of all.
    let whole = RegexBuilder::new(&format!(r"\A(?:{word})\z"))
        .case_insensitive(true)
        .size_limit(EXPRESSION_BYTES_MAX)
        .dfa_size_limit(EXPRESSION_BYTES_MAX)
        .build();
    let lines = |error: regex::Error| error.to_string().lines().last().unwrap_or_default().trim().to_owned();
    whole.map(Rule::Matches).map_err(|error| bad(lines(error)))
}

/// Fetches what is at an address into a file, or says why it could not. That the address is allowed was seen to; of those it
/// redirects to, [`AllowedUrls::allows`] is to be asked. Blocks.
pub type FetchArchive = dyn Fn(&Url, &Path) -> Result<(), String> + Send + Sync;

/// Where archives come from that are registered by an address.
#[derive(Clone)]
pub struct ArchiveSource {
    allowed: AllowedUrls,
    fetch: Arc<FetchArchive>,
    /// One archive comes at a time.
    turn: Arc<Mutex<()>>,
}

impl ArchiveSource {
    /// Those of `allowed`, fetched by `fetch`.
    #[must_use]
    pub fn new(
        allowed: AllowedUrls,
        fetch: impl Fn(&Url, &Path) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { allowed, fetch: Arc::new(fetch), turn: Arc::default() }
    }

    /// Nothing from anywhere.
    pub(crate) fn none() -> Self {
        Self::new(AllowedUrls::default(), |_, _| Err("no address is allowed".to_owned()))
    }

    /// Fetches an archive beside the place that it is to have in the store. Blocks.
    ///
    /// # Errors
    /// When it is not allowed, has no name, is there already or does not come.
    pub(crate) fn fetch(&self, text: &str, store: &Path) -> Result<FetchedArchive, ApiError> {
        // What cannot be read is not repeated: nobody knows what in it is secret.
        let url = Url::parse(text).map_err(|error| ApiError::Parameter(format!("url is no address: {error}")))?;
        let shown = shown(&url);
        if !self.allowed.allows(&url) {
            return Err(ApiError::UrlNotAllowed(shown));
        }
        let name = file_name(&url).ok_or_else(|| {
            ApiError::Parameter(format!("url must end in the name of an archive, NAME.mar, which is {PLAIN_NAME}"))
        })?;
        let place = store.join(&name);
        let fetched = FetchedArchive { partial: fs::beside(&place), place, name };
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.check_place()?;
        fs::create_dir_all(store).map_err(|error| not_kept(&error))?;
        (self.fetch)(&url, &fetched.partial).map_err(|reason| {
            tracing::warn!(url = shown, "a model archive was not fetched: {reason}");
            ApiError::NotFetched { url: shown.clone(), reason }
        })?;
        tracing::info!(url = shown, archive = fetched.name, "a model archive was fetched");
        Ok(fetched)
    }
}

/// Whether what is to be registered is an address and not of the model store.
pub(crate) fn is_address(text: &str) -> bool {
    text.contains("://")
}

/// An address without what may be secret in it: user, password and query.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// The name of the file that an address ends in: one that leads nowhere, spelled as it is.
fn file_name(url: &Url) -> Option<String> {
    let name = url.path_segments()?.next_back()?;
    let is_archive = name.strip_suffix(".mar").is_some_and(|stem| !stem.is_empty());
    (is_archive && is_plain_name(name)).then(|| name.to_owned())
}

fn not_kept(error: &fs::FsError) -> ApiError {
    tracing::error!("a model archive cannot be kept: {error}");
    ApiError::Internal
}

/// An archive that has come and is not in the store yet. It goes if it is not kept.
pub(crate) struct FetchedArchive {
    partial: PathBuf,
    place: PathBuf,
    name: String,
}

impl FetchedArchive {
    /// It as a model, under its own name.
    ///
    /// # Errors
    /// When it is no archive with a bundle, or the store has its version already.
    pub(crate) fn bundle(&self, store: &Path) -> Result<BundleFolder, ApiError> {
        self.check_place()?;
        let found = BundleFolder::archived(self.partial.clone(), None, false).map_err(LoadError::from)?;
        // A second one of the same version would be passed over at the next start.
        let (model, version) = (found.name.clone(), found.version);
        let is_same = |other: &BundleFolder| (&other.name, other.version) == (&model, version);
        let is_archived = default_bundles(store).is_ok_and(|there| there.found.iter().any(is_same));
        if is_archived || find_bundle(store, &ModelChoice::Version(model.clone(), version)).is_ok() {
            return Err(ApiError::VersionExists { model, version });
        }
        Ok(BundleFolder { url: self.name.clone(), ..found })
    }

    /// Puts it into the store.
    ///
    /// # Errors
    /// When its place is taken, or cannot be written.
    pub(crate) fn keep(self) -> Result<(), ApiError> {
        self.check_place()?;
        fs::sync_files(std::slice::from_ref(&self.partial)).map_err(|error| not_kept(&error))?;
        fs::rename(&self.partial, &self.place).map_err(|error| not_kept(&error))
    }

    fn check_place(&self) -> Result<(), ApiError> {
        // Whatever it is, also a link that leads nowhere.
        let is_free = self.place.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        if is_free { Ok(()) } else { Err(ApiError::ArchiveExists(self.name.clone())) }
    }
}

impl Drop for FetchedArchive {
    fn drop(&mut self) {
        if let Err(error) = fs::optional(fs::remove_file(&self.partial)) {
            tracing::warn!("half a model archive is left: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(words: &[&str]) -> AllowedUrls {
        AllowedUrls::new(words.iter().map(|&word| word.to_owned())).unwrap()
    }

    fn allows(words: &[&str], url: &str) -> bool {
        allowed(words).allows(&Url::parse(url).unwrap())
    }

    #[test]
    fn an_address_is_allowed_below_a_start_or_by_an_expression_that_matches_it_whole() {
        let below = ["https://Models.example:443/stable/"];
        assert!(allows(&below, "https://models.example/stable/x.mar"));
        assert!(allows(&below, "https://user:pw@models.example/stable/a/x.mar?key=1#part"));
        for other in [
            "http://models.example/stable/x.mar",
            "https://models.example/stable.evil/x.mar",
            "https://models.example/stable/../x.mar",
            "https://models.example/stable/%2e%2e/x.mar",
            "https://models.example.evil.example/stable/x.mar",
            "https://models.example:8443/stable/x.mar",
        ] {
            assert!(!allows(&below, other), "{other}");
        }
        let expression = [r"https?://(a|b)\.example/.*\.mar"];
        assert!(allows(&expression, "http://A.example/x.MAR") && allows(&expression, "https://b.example/y/x.mar"));
        for other in ["https://c.example/x.mar", "https://a.example/x.mar?key=1", "ftp://a.example/x.mar"] {
            assert!(!allows(&expression, other), "{other}");
        }
        // A part that matches is not enough, and a user's name is no host.
        assert!(!allows(&[r"https://a\.example|x"], "https://a.example/x.mar"));
        assert!(!allows(&[r"https://a\.example.*"], "https://a.example@evil.example/x.mar"));
        assert!(!allows(&[], "https://a.example/x.mar") && AllowedUrls::default().is_empty());
        assert!(!allows(&[".*"], "file:///etc/x.mar"), "only what is fetched over the network is");
    }

    #[test]
    fn a_word_that_is_neither_is_refused() {
        for word in
            ["https://a.example/(", "(", "https?://a.example/", "file:///models/", "https://u:p@a.example/", "a/"]
        {
            let error = AllowedUrls::new([word.to_owned()]).unwrap_err();
            assert_eq!(error.word, word);
            assert!(!error.reason.is_empty());
        }
    }

    #[test]
    fn a_name_has_no_parts_and_is_that_of_an_archive() {
        let name = |url: &str| file_name(&Url::parse(url).unwrap());
        assert_eq!(name("https://a.example/b/x-1.2.mar?key=secret").as_deref(), Some("x-1.2.mar"));
        for bad in ["", "x.zip", "x.mar/", ".mar", ".x.mar", "..%2Fx.mar", "x%00.mar", "a:x.mar", "x.MAR", "-x.mar"] {
            assert_eq!(name(&format!("https://a.example/{bad}")), None, "{bad}");
        }
        assert_eq!(name("mailto:x.mar"), None);
    }

    #[test]
    fn what_is_secret_in_an_address_is_not_shown() {
        let url = Url::parse("https://user:hunter2@host.example:8443/a/x.mar?signature=1#part").unwrap();
        assert_eq!(shown(&url), "https://host.example:8443/a/x.mar");
        assert_eq!(shown(&Url::parse("file:///etc/x.mar").unwrap()), "file:///etc/x.mar");
    }
}
