//! The one place that reads the environment.

use std::path::PathBuf;

use natureddit_core::Secret;

/// What the program takes from the environment; a secret belongs here too, as a `natureddit_core::Secret`.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Where programs keep what can be fetched again: `$XDG_CACHE_HOME` or `~/.cache`.
    pub cache_home: Option<PathBuf>,
    /// Where programs keep what is the user's: `$XDG_DATA_HOME` or `~/.local/share`.
    pub data_home: Option<PathBuf>,
    /// `$NATUREDDIT_LOG`, a filter such as `debug` or `natureddit_net=trace`.
    pub log_filter: Option<String>,
    /// `$NATUREDDIT_REDDIT_CLIENT_ID`, the id of an app that may use Reddit's API.
    pub reddit_client_id: Option<String>,
    /// `$NATUREDDIT_REDDIT_CLIENT_SECRET`; an installed app has none.
    pub reddit_client_secret: Option<Secret>,
}

impl Environment {
    /// Reads the environment of this process.
    #[must_use]
    pub fn read() -> Self {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let below_home = |path| home.as_ref().map(|home| home.join(path));
        Self {
            cache_home: folder("XDG_CACHE_HOME").or_else(|| below_home(".cache")),
            data_home: folder("XDG_DATA_HOME").or_else(|| below_home(".local/share")),
            log_filter: text("NATUREDDIT_LOG"),
            reddit_client_id: text("NATUREDDIT_REDDIT_CLIENT_ID"),
            reddit_client_secret: text("NATUREDDIT_REDDIT_CLIENT_SECRET").map(Secret::new),
        }
    }
}

/// A folder named by a variable; the XDG specification says to ignore one that is not absolute.
fn folder(variable: &str) -> Option<PathBuf> {
    text(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[expect(clippy::disallowed_methods, reason = "this module is what the rest of the program asks instead")]
fn text(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}
