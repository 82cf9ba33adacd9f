//! A simulator and the collections from it, in this process and on a clock that both share, so that no wait takes time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use natureddit_core::{ClassNames, Clock, Progress, Secret};
use natureddit_data::source::RedditOauthConfig;
use natureddit_data::{CollectConfig, CollectError, CollectReport, SourceConfig, Window, collect};
use natureddit_net::{Client, Pacing, RetryPolicy};
use natureddit_sandbox::{
    ArcticShiftConfig, CLIENT_ID, CLIENT_SECRET, DumpConfig, DumpFormat, OauthConfig, SUBREDDITS, Sandbox,
    SandboxConfig, Script,
};
use rand::Rng;
use url::Url;

use super::draw::{Case, From, rng};
use super::oracle;
use crate::truth::{self, client_config, files};

/// Runs after which a collection must be through: each fault stops a few, and two more look at what is left.
const RUNS_MAX: usize = 40;

pub(super) struct World {
    pub(super) case: Case,
    pub(super) sandbox: Sandbox,
    pub(super) clock: Clock,
    client: Client,
    /// The files of a dump.
    dumps: tempfile::TempDir,
}

/// The simulator that a case asks for.
pub(super) fn sandbox_config(case: &Case) -> SandboxConfig {
    let classes = ["fauna", "flora", "landscape"].map(str::to_owned).to_vec();
    SandboxConfig {
        posts_only: case.posts_only,
        after: case.after,
        oauth: OauthConfig {
            lost_anchor: case.lost_anchor,
            token_seconds: case.token_seconds,
            ..OauthConfig::default()
        },
        arctic_shift: ArcticShiftConfig {
            after: case.after,
            auto_limit: case.auto_limit,
            timeout_above: case.timeout_above,
            ..ArcticShiftConfig::default()
        },
        ..SandboxConfig::new(case.seed, case.posts, ClassNames::new(classes).unwrap())
    }
}

fn client(sandbox: &Sandbox, clock: &Clock) -> Client {
    let retry = RetryPolicy { retries_max: 2, backoff: Duration::from_secs(1), backoff_max: Duration::from_secs(4) };
    let apis = ["api.pullpush.io", "arctic-shift.photon-reddit.com", "oauth.reddit.com", "www.reddit.com"];
    let paced = |pacing: Pacing, host| pacing.api_host(host, Duration::from_secs(1));
    let pacing = apis.into_iter().fold(Pacing::none(), paced);
    Client::with_pacing(client_config(sandbox, retry), Pacing { clock: clock.clone(), ..pacing }).unwrap()
}

impl World {
    pub(super) async fn new(case: Case) -> Self {
        let config = sandbox_config(&case);
        Self::with(case, config).await
    }

    pub(super) async fn with(case: Case, config: SandboxConfig) -> Self {
        let clock = Clock::fixed(1_000_000_000);
        let sandbox = Sandbox::start(SandboxConfig { clock: clock.clone(), ..config }).await.unwrap();
        // The simulator says when it begins; from now on both go the same way.
        let ahead = sandbox.now() - clock.now().as_second();
        sandbox.advance(-ahead);
        clock.advance(ahead);
        let client = client(&sandbox, &clock);
        Self { case, sandbox, clock, client, dumps: tempfile::tempdir().unwrap() }
    }

    fn source(&self) -> SourceConfig {
        let url = |text: &str| Url::parse(text).unwrap();
        let page_bytes_max = 64_000_000;
        match self.case.from {
            From::Pushshift => SourceConfig::Pushshift { base_url: url("https://api.pullpush.io"), page_bytes_max },
            From::ArcticShift => {
                SourceConfig::ArcticShift { base_url: url("https://arctic-shift.photon-reddit.com"), page_bytes_max }
            }
            From::RedditOauth => SourceConfig::RedditOauth(RedditOauthConfig {
                token_base_url: url("https://www.reddit.com"),
                base_url: url("https://oauth.reddit.com"),
                client_id: CLIENT_ID.into(),
                client_secret: Secret::new(CLIENT_SECRET.into()),
                page_bytes_max,
            }),
            From::Dump => SourceConfig::Dump { files: self.dumps(), line_bytes_max: 10_000_000 },
        }
    }

    /// Writes the dump that the case asks for, if it is not there yet.
    pub(super) fn dumps(&self) -> Vec<PathBuf> {
        let mut rng = rng(self.case.seed);
        let format = if rng.random() { DumpFormat::Zstandard } else { DumpFormat::Lines };
        let (with_flaws, is_split) = (rng.random(), rng.random());
        let write = |name: String, subreddit: Option<&str>| {
            let path = self.dumps.path().join(name);
            let subreddit = subreddit.map(str::to_owned);
            if !path.exists() {
                let config = DumpConfig { format, subreddit, with_flaws, ..DumpConfig::default() };
                self.sandbox.write_dump(&path, &config).unwrap();
            }
            path
        };
        match is_split {
            true => SUBREDDITS.map(|name| write(format!("{name}_submissions.zst"), Some(name))).to_vec(),
            false => vec![write("posts.zst".into(), None)],
        }
    }

    pub(super) async fn collect(&self, dir: &Path, page_size: u32) -> Result<CollectReport, CollectError> {
        let window = self.sandbox.window();
        self.collect_window(dir, page_size, Window::new(window.since, window.until).unwrap()).await
    }

    pub(super) async fn collect_window(
        &self,
        dir: &Path,
        page_size: u32,
        window: Window,
    ) -> Result<CollectReport, CollectError> {
        let config = CollectConfig { window, page_size, ..truth::config(dir, &self.sandbox, self.source()) };
        collect(&config, &self.client, &self.clock, &Progress::silent()).await
    }

    /// The tables and photos that a collection without a fault makes of the corpus.
    pub(super) async fn reference(&self) -> BTreeMap<String, Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        self.sandbox.mend();
        self.collect(folder.path(), self.case.page_size_of_reference).await.unwrap();
        oracle::check(folder.path(), self);
        oracle::check_reasons(folder.path(), self);
        content(folder.path())
    }

    /// Lets the faults of the case loose.
    pub(super) fn break_it(&self) {
        self.sandbox.play(Script { faults: self.case.faults.clone(), events: Vec::new() });
    }

    /// Runs until one ends well and leaves nothing to come back for. After each, every post is there or in a gap.
    pub(super) async fn collect_until_whole(&self, dir: &Path) {
        let mut ends = Vec::new();
        for _ in 0..RUNS_MAX {
            let end = self.collect(dir, self.case.page_size).await;
            oracle::check(dir, self);
            if end.is_ok() && oracle::gaps(dir, self).is_empty() {
                return;
            }
            ends.push(end.map(|report| report.gaps));
        }
        panic!("{RUNS_MAX} runs and still not whole: {:?}\n{:?}", &ends[..2], self.case);
    }
}

/// The tables and photos of a dataset.
pub(super) fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut content = files(dir);
    content.retain(|name, _| name.ends_with(".csv") || name.starts_with("images"));
    content
}
