//! The one place that reads the environment.

use std::ffi::OsString;
use std::path::PathBuf;

use natureddit_core::Secret;

use super::{AwsKeys, AwsProfiles, MlflowEnvironment};

/// What the program takes from the environment; a secret belongs here too, as a `natureddit_core::Secret`.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Where programs keep what can be fetched again: `$XDG_CACHE_HOME` or `~/.cache`.
    pub cache_home: Option<PathBuf>,
    /// Where programs keep what is the user's: `$XDG_DATA_HOME` or `~/.local/share`.
    pub data_home: Option<PathBuf>,
    /// Where programs keep the user's settings: `$XDG_CONFIG_HOME` or `~/.config`.
    pub config_home: Option<PathBuf>,
    /// `$NATUREDDIT_LOG`, a filter such as `debug` or `natureddit_net=trace`.
    pub log_filter: Option<String>,
    /// `$NATUREDDIT_LOG_FORMAT`, `text` or `json`.
    pub log_format: Option<String>,
    /// `$NATUREDDIT_REDDIT_CLIENT_ID`, the id of an app that may use Reddit's API.
    pub reddit_client_id: Option<String>,
    /// `$NATUREDDIT_REDDIT_CLIENT_SECRET`; an installed app has none.
    pub reddit_client_secret: Option<Secret>,
    /// `$AWS_ACCESS_KEY_ID` and `$AWS_SECRET_ACCESS_KEY`, with `$AWS_SESSION_TOKEN`.
    pub aws: Option<AwsKeys>,
    /// `$AWS_SHARED_CREDENTIALS_FILE` and `$AWS_CONFIG_FILE`, or those in `~/.aws`, `$AWS_PROFILE`, and `$AWS_REGION` or
    /// `$AWS_DEFAULT_REGION`.
    pub aws_files: AwsProfiles,
    /// `$NATUREDDIT_METADATA_URL`, the address of a PostgreSQL metadata store, in which a password may stand.
    pub metadata_url: Option<Secret>,
    /// `$NATUREDDIT_METADATA_PASSWORD`, for an address without one.
    pub metadata_password: Option<Secret>,
    /// `$NATUREDDIT_DVC_TOKEN`, for remotes of DVC that are web servers.
    pub dvc_token: Option<Secret>,
    /// `$TS_CONFIG_FILE`, which TorchServe reads too: a `config.properties`.
    pub torchserve_config: Option<PathBuf>,
    /// What MLflow's own clients read too: `$MLFLOW_TRACKING_URI` and its companions.
    pub mlflow: MlflowEnvironment,
    /// `$OTEL_EXPORTER_OTLP_TRACES_HEADERS` or `$OTEL_EXPORTER_OTLP_HEADERS`, which OpenTelemetry's own tools read too: what a
    /// collector of traces is to be shown.
    pub otlp_headers: Option<Secret>,
    /// What a server that the pipeline starts is given: where its files are and how it speaks, and no secret.
    pub of_children: Vec<(OsString, OsString)>,
}

/// See [`Environment::of_children`].
const OF_CHILDREN: [&str; 14] = [
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "NATUREDDIT_LOG",
    "NATUREDDIT_LOG_FORMAT",
    "NO_COLOR",
    "ORT_DISABLE_TELEMETRY",
    "PATH",
    "RUST_BACKTRACE",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
];

impl Environment {
    /// A variable that a `config.properties` names, or that stands above a key of it.
    #[must_use]
    pub fn named(variable: &str) -> Option<String> {
        // What no variable can be called, the system would panic over.
        if variable.is_empty() || variable.contains(['=', '\0']) { None } else { text(variable) }
    }

    /// Reads the environment of this process.
    #[must_use]
    pub fn read() -> Self {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let below_home = |path| home.as_ref().map(|home| home.join(path));
        Self {
            cache_home: folder("XDG_CACHE_HOME").or_else(|| below_home(".cache")),
            data_home: folder("XDG_DATA_HOME").or_else(|| below_home(".local/share")),
            config_home: folder("XDG_CONFIG_HOME").or_else(|| below_home(".config")),
            log_filter: text("NATUREDDIT_LOG"),
            log_format: text("NATUREDDIT_LOG_FORMAT"),
            reddit_client_id: text("NATUREDDIT_REDDIT_CLIENT_ID"),
            reddit_client_secret: text("NATUREDDIT_REDDIT_CLIENT_SECRET").map(Secret::new),
            aws: aws(),
            aws_files: AwsProfiles {
                credentials: file("AWS_SHARED_CREDENTIALS_FILE").or_else(|| below_home(".aws/credentials")),
                config: file("AWS_CONFIG_FILE").or_else(|| below_home(".aws/config")),
                profile: text("AWS_PROFILE"),
                region: text("AWS_REGION").or_else(|| text("AWS_DEFAULT_REGION")),
            },
            metadata_url: text("NATUREDDIT_METADATA_URL").map(Secret::new),
            metadata_password: text("NATUREDDIT_METADATA_PASSWORD").map(Secret::new),
            dvc_token: text("NATUREDDIT_DVC_TOKEN").map(Secret::new),
            torchserve_config: file("TS_CONFIG_FILE"),
            mlflow: MlflowEnvironment {
                uri: text("MLFLOW_TRACKING_URI"),
                experiment: text("MLFLOW_EXPERIMENT_NAME"),
                username: text("MLFLOW_TRACKING_USERNAME"),
                password: text("MLFLOW_TRACKING_PASSWORD").map(Secret::new),
                token: text("MLFLOW_TRACKING_TOKEN").map(Secret::new),
            },
            otlp_headers: text("OTEL_EXPORTER_OTLP_TRACES_HEADERS")
                .or_else(|| text("OTEL_EXPORTER_OTLP_HEADERS"))
                .map(Secret::new),
            of_children: OF_CHILDREN.iter().filter_map(|&name| Some((name.into(), value(name)?))).collect(),
        }
    }
}

fn aws() -> Option<AwsKeys> {
    Some(AwsKeys {
        access_key_id: text("AWS_ACCESS_KEY_ID")?,
        secret_access_key: Secret::new(text("AWS_SECRET_ACCESS_KEY")?),
        session_token: text("AWS_SESSION_TOKEN").map(Secret::new),
    })
}

fn file(variable: &str) -> Option<PathBuf> {
    text(variable).map(PathBuf::from)
}

/// A folder named by a variable; the XDG specification says to ignore one that is not absolute.
fn folder(variable: &str) -> Option<PathBuf> {
    file(variable).filter(|path| path.is_absolute())
}

#[expect(clippy::disallowed_methods, reason = "this module is what the rest of the program asks instead")]
fn value(variable: &str) -> Option<OsString> {
    std::env::var_os(variable)
}

#[expect(clippy::disallowed_methods, reason = "this module is what the rest of the program asks instead")]
fn text(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}
