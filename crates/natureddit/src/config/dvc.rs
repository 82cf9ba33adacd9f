//! `[dvc]`: how data is versioned. What DVC itself has settings for (remotes, cache, links) stands in `.dvc/config`.

use std::path::PathBuf;
use std::time::Duration;

use natureddit_core::Secret;

use super::ConfigError;
use super::check::Checker;
use super::raw::RawDvc;

/// The checked `[dvc]`.
#[derive(Clone, Debug)]
pub struct DvcConfig {
    /// Whether what a pointer points to must outlive a power cut before the pointer is written.
    pub fsync: bool,
    /// The most objects under way to or from a remote; 0: what `.dvc/config` says.
    pub jobs: usize,
    /// How long another process is waited for that works on the repository.
    pub lock_wait: Duration,
    /// Larger objects are not received.
    pub object_bytes_max: u64,
    /// Settings files of DVC outside of repositories, the weakest first.
    pub config_files: Vec<PathBuf>,
    /// Keys for S3, from the environment.
    pub aws: Option<AwsKeys>,
    /// Where else keys for S3 are looked for.
    pub aws_files: AwsProfiles,
    /// A token for web servers, from the environment.
    pub token: Option<Secret>,
}

/// Who asks S3: `AWS_ACCESS_KEY_ID` and its companions.
#[derive(Clone, Debug)]
pub struct AwsKeys {
    /// The key's name.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// Of a key that is valid for a time.
    pub session_token: Option<Secret>,
}

/// The files in which AWS's own tools keep keys by profile.
#[derive(Clone, Debug, Default)]
pub struct AwsProfiles {
    /// Of keys.
    pub credentials: Option<PathBuf>,
    /// Of settings.
    pub config: Option<PathBuf>,
    /// Which profile is meant where a remote names none.
    pub profile: Option<String>,
    /// The region where a remote names none.
    pub region: Option<String>,
}

impl DvcConfig {
    pub(super) fn check(raw: &RawDvc, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        const HOUR: Duration = Duration::from_secs(3600);
        let at = checker.table("dvc");
        let environment = checker.environment;
        let of_user = environment.config_home.as_ref().map(|home| home.join("dvc/config"));
        Ok(Self {
            fsync: raw.fsync,
            jobs: at.integer("jobs", raw.jobs, 0..=256)?,
            lock_wait: at.duration("lock_wait", &raw.lock_wait, Duration::ZERO..=HOUR)?,
            object_bytes_max: at.integer("object_bytes_max", raw.object_bytes_max, 1..=i64::MAX)?,
            config_files: [PathBuf::from("/etc/xdg/dvc/config")].into_iter().chain(of_user).collect(),
            aws: environment.aws.clone(),
            aws_files: environment.aws_files.clone(),
            token: environment.dvc_token.clone(),
        })
    }
}
