//! `[tracking]`: what runs of the pipeline are compared by, and the MLflow server they are sent to.

use std::time::Duration;

use natureddit_core::Secret;
use natureddit_core::text::percent_decoded;
use url::Url;

use super::ConfigError;
use super::check::{BYTES, Checker};
use super::raw::RawTracking;

/// Which models are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackedModels {
    /// Those that were pushed.
    Pushed,
    /// Every one that was trained.
    All,
    /// None.
    None,
}

/// What MLflow's own clients read from the environment.
#[derive(Clone, Debug, Default)]
pub struct MlflowEnvironment {
    /// `$MLFLOW_TRACKING_URI`.
    pub uri: Option<String>,
    /// `$MLFLOW_EXPERIMENT_NAME`.
    pub experiment: Option<String>,
    /// `$MLFLOW_TRACKING_USERNAME`.
    pub username: Option<String>,
    /// `$MLFLOW_TRACKING_PASSWORD`.
    pub password: Option<Secret>,
    /// `$MLFLOW_TRACKING_TOKEN`.
    pub token: Option<Secret>,
}

/// Who asks the server.
#[derive(Clone, Debug)]
pub enum TrackingAccess {
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token.
    Token(Secret),
}

/// The checked `[tracking]`.
#[derive(Clone, Debug)]
pub struct TrackingConfig {
    /// Whether runs are tracked at all.
    pub is_enabled: bool,
    /// The MLflow server, without a user in its address.
    pub uri: Option<Url>,
    /// Whether `$MLFLOW_TRACKING_URI` is set to what is no web address, such as a database: then it is not used.
    pub has_unusable_uri: bool,
    /// Who asks it.
    pub access: Option<TrackingAccess>,
    /// The experiment that runs belong to.
    pub experiment: String,
    /// The registered model.
    pub registered_model: String,
    /// What its newest version is called by.
    pub alias: String,
    /// Which models are sent.
    pub models: TrackedModels,
    /// The names of files that are kept and sent.
    pub artifacts: Vec<String>,
    /// Larger files are not.
    pub artifact_bytes_max: u64,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest a request may take.
    pub request_timeout: Duration,
    /// The longest the upload of a file may take.
    pub upload_timeout: Duration,
    /// How often a request is repeated after a failure that may pass.
    pub retries_max: u32,
    /// How long a run waits at its end while runs are sent.
    pub send_time_max: Duration,
}

impl TrackingConfig {
    pub(super) fn check(
        raw: RawTracking,
        (project, model): (&str, &str),
        checker: &Checker<'_>,
    ) -> Result<Self, ConfigError> {
        const MODELS: [(&str, TrackedModels); 3] =
            [("pushed", TrackedModels::Pushed), ("all", TrackedModels::All), ("none", TrackedModels::None)];
        const MILLISECOND: Duration = Duration::from_millis(1);
        const HOUR: Duration = Duration::from_secs(3600);
        let at = checker.table("tracking");
        let environment = &checker.environment.mlflow;
        let (uri, user, has_unusable_uri) = match raw.uri.as_str() {
            "" => server_of(environment),
            text => {
                let uri = at.url("uri", text)?;
                if !uri.username().is_empty() || uri.password().is_some() {
                    let must_be = "without a user or password: these come from MLFLOW_TRACKING_USERNAME and \
                                   MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN";
                    return Err(at.bad("uri", "https://...", must_be));
                }
                (Some(uri), None, false)
            }
        };
        let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
        let experiment = or(raw.experiment, environment.experiment.as_deref().unwrap_or(project));
        if experiment.len() > 500 || experiment.chars().any(char::is_control) {
            return Err(at.bad("experiment", experiment, "a name of at most 500 bytes without control characters"));
        }
        if let Some(bad) = raw.artifacts.iter().find(|name| at.name("artifacts", name).is_err()) {
            return Err(at.bad("artifacts", bad, "names of files, such as \"report.html\""));
        }
        Ok(Self {
            is_enabled: raw.enabled,
            uri,
            has_unusable_uri,
            access: access(environment).or(user),
            experiment,
            registered_model: at.name("registered_model", &or(raw.registered_model, model))?,
            alias: at.name("alias", &raw.alias)?,
            models: at.one_of("models", &raw.models, &MODELS)?,
            artifacts: raw.artifacts,
            artifact_bytes_max: at.integer("artifact_bytes_max", raw.artifact_bytes_max, BYTES)?,
            connect_timeout: at.duration("connect_timeout", &raw.connect_timeout, MILLISECOND..=HOUR)?,
            request_timeout: at.duration("request_timeout", &raw.request_timeout, MILLISECOND..=HOUR)?,
            upload_timeout: at.duration("upload_timeout", &raw.upload_timeout, MILLISECOND..=24 * HOUR)?,
            retries_max: at.integer("retries_max", raw.retries_max, 0..=20)?,
            send_time_max: at.duration("send_time_max", &raw.send_time_max, Duration::ZERO..=HOUR)?,
        })
    }
}

fn access(environment: &MlflowEnvironment) -> Option<TrackingAccess> {
    // As MLflow's own client has it: a name and a password come before a token.
    match (&environment.username, &environment.password) {
        (Some(user), Some(password)) => Some(TrackingAccess::Basic { user: user.clone(), password: password.clone() }),
        _ => environment.token.clone().map(TrackingAccess::Token),
    }
}

/// The server that the environment names, who asks it if its address says so, and whether it names something else.
fn server_of(environment: &MlflowEnvironment) -> (Option<Url>, Option<TrackingAccess>, bool) {
    let Some(text) = &environment.uri else { return (None, None, false) };
    let Some(mut uri) = Url::parse(text).ok().filter(|uri| matches!(uri.scheme(), "http" | "https")) else {
        return (None, None, true);
    };
    // What is no text when it is decoded is sent as it stands.
    let decoded = |text: &str| percent_decoded(text).unwrap_or_else(|| text.to_owned());
    let user = uri.password().map(|password| TrackingAccess::Basic {
        user: decoded(uri.username()),
        password: Secret::new(decoded(password)),
    });
    // Both fail only for addresses that cannot have a user.
    let _ = uri.set_username("");
    let _ = uri.set_password(None);
    uri.set_query(None);
    uri.set_fragment(None);
    (Some(uri), user, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_environment_is_a_web_address_or_left_alone() {
        let of = |uri: &str| server_of(&MlflowEnvironment { uri: Some(uri.into()), ..MlflowEnvironment::default() });
        let (uri, user, unusable) = of("https://ann:p%40ss@dagshub.example/ann/repo.mlflow");
        assert_eq!(uri.unwrap().as_str(), "https://dagshub.example/ann/repo.mlflow");
        assert!(
            matches!(user, Some(TrackingAccess::Basic { user, password }) if user == "ann" && password.expose() == "p@ss")
        );
        assert!(!unusable);
        for other in ["sqlite:///mlflow.db", "./mlruns", "databricks"] {
            assert!(matches!(of(other), (None, None, true)), "{other}");
        }
        assert!(matches!(server_of(&MlflowEnvironment::default()), (None, None, false)));
    }

    #[test]
    fn a_name_and_a_password_come_before_a_token() {
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        let mut environment = MlflowEnvironment { token: secret("t"), ..MlflowEnvironment::default() };
        assert!(matches!(access(&environment), Some(TrackingAccess::Token(_))));
        environment.username = Some("ann".into());
        assert!(matches!(access(&environment), Some(TrackingAccess::Token(_))));
        environment.password = secret("p");
        assert!(matches!(access(&environment), Some(TrackingAccess::Basic { .. })));
    }
}
