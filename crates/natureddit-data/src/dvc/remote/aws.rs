//! Who asks S3: keys, and the files in which AWS's own tools keep them.
//!
//! The order is that of those tools: keys in the settings of the remote, the profile that the remote names, the
//! environment, the profile that the environment names, and `default`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::Secret;
use natureddit_core::fs::{self, FsError};

use super::S3Place;

/// The longest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Who asks S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsAccess {
    /// The name of the key; no secret.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// Of a key that is valid for a time.
    pub session_token: Option<Secret>,
}

/// The files of AWS's own tools. Neither need be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsFiles {
    /// `~/.aws/credentials`: keys by profile.
    pub credentials: Option<PathBuf>,
    /// `~/.aws/config`: regions, and keys too, by profile.
    pub config: Option<PathBuf>,
    /// Which profile is meant where a remote names none; `default` where this is not set either.
    pub profile: Option<String>,
    /// The region of the environment: for remotes that name none, whatever the profile says.
    pub region: Option<String>,
}

/// Settings by profile.
type Profiles = BTreeMap<String, BTreeMap<String, String>>;

/// Who asks for what is at a place, and in which region; `None` where that is not known.
pub(super) fn access(
    place: &S3Place,
    environment: Option<&AwsAccess>,
    files: &AwsFiles,
) -> Result<(Option<AwsAccess>, Option<String>), FsError> {
    let is_told =
        place.access.is_some() || place.allow_anonymous_login || environment.is_some() && place.profile.is_none();
    let mut settings = match files.settings(place.profile.as_deref()) {
        // Who has no need of the files need not be able to read them.
        Err(_) if is_told => BTreeMap::new(),
        settings => settings?,
    };
    let mut take = |key: &str| settings.remove(key).filter(|value| !value.is_empty());
    let region = [place.region.clone(), files.region.clone(), take("region")].into_iter().flatten().next();
    let access = match (&place.access, &place.profile, environment) {
        (Some(own), ..) => Some(own.clone()),
        (None, None, Some(environment)) => Some(environment.clone()),
        (None, ..) => take("aws_access_key_id").zip(take("aws_secret_access_key")).map(|(key, secret)| AwsAccess {
            access_key_id: key,
            secret_access_key: Secret::new(secret),
            session_token: take("aws_session_token").map(Secret::new),
        }),
    };
    Ok((access, region))
}

impl AwsFiles {
    fn settings(&self, profile: Option<&str>) -> Result<BTreeMap<String, String>, FsError> {
        let profile = profile.or(self.profile.as_deref()).unwrap_or("default");
        let mut settings = read(self.config.as_deref(), "profile ")?.remove(profile).unwrap_or_default();
        settings.extend(read(self.credentials.as_deref(), "")?.remove(profile).unwrap_or_default());
        Ok(settings)
    }
}

fn read(path: Option<&Path>, prefix: &str) -> Result<Profiles, FsError> {
    let Some(path) = path else { return Ok(Profiles::new()) };
    let text = fs::optional(fs::read_limited(path, FILE_BYTES_MAX))?.unwrap_or_default();
    Ok(parse(&String::from_utf8_lossy(&text), prefix))
}

/// Sections are called as the profiles are, with a word before the name but in `[default]`. A line that begins with spaces
/// belongs to a setting that is of no interest here.
fn parse(text: &str, prefix: &str) -> Profiles {
    let mut profiles = Profiles::new();
    let mut current = None;
    for line in text.lines().filter(|line| !line.starts_with([' ', '\t', '#', ';'])) {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            let name = name.trim();
            let profile = if name == "default" { Some(name) } else { name.strip_prefix(prefix).map(str::trim) };
            current = profile.map(str::to_owned);
        } else if let (Some(profile), Some((key, value))) = (&current, line.split_once('=')) {
            let settings: &mut BTreeMap<_, _> = profiles.entry(profile.clone()).or_default();
            settings.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    profiles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> AwsAccess {
        AwsAccess { access_key_id: id.into(), secret_access_key: Secret::new("s".into()), session_token: None }
    }

    fn place(access: Option<AwsAccess>, profile: Option<&str>) -> S3Place {
        S3Place {
            bucket: "bucket".into(),
            prefix: String::new(),
            endpoint_url: None,
            region: None,
            profile: profile.map(str::to_owned),
            access,
            use_ssl: true,
            allow_anonymous_login: false,
        }
    }

    #[test]
    fn keys_are_looked_for_where_the_tools_of_aws_look() {
        let folder = tempfile::tempdir().unwrap();
        let (credentials, config) = (folder.path().join("credentials"), folder.path().join("config"));
        fs::write_atomic(
            &credentials,
            "# keys\n[default]\naws_access_key_id = AD\naws_secret_access_key=s\n\n[ team ]\r\n\
             AWS_ACCESS_KEY_ID = AT\r\naws_secret_access_key = a=b/c+d==\naws_session_token = t\n[half]\n\
             aws_access_key_id = AH\n",
        )
        .unwrap();
        fs::write_atomic(
            &config,
            "[default]\nregion = eu-west-1\ns3 =\n  region = no\n[profile team]\nregion = eu-central-1\n\
             [sso-session team]\nregion = no\n[profile own]\naws_access_key_id = AO\naws_secret_access_key = s\n",
        )
        .unwrap();
        let files = |profile: Option<&str>| AwsFiles {
            credentials: Some(credentials.clone()),
            config: Some(config.clone()),
            profile: profile.map(str::to_owned),
            region: None,
        };
        let found = |place: &S3Place, environment: Option<&AwsAccess>, files: &AwsFiles| {
            access(place, environment, files).unwrap().0.map(|access| access.access_key_id)
        };
        let (plain, named, environment) = (place(None, None), place(None, Some("team")), key("AE"));
        assert_eq!(found(&place(Some(key("AR")), Some("team")), Some(&environment), &files(None)).unwrap(), "AR");
        assert_eq!(found(&named, Some(&environment), &files(None)).unwrap(), "AT");
        assert_eq!(found(&plain, Some(&environment), &files(Some("team"))).unwrap(), "AE");
        assert_eq!(found(&plain, None, &files(Some("own"))).unwrap(), "AO");
        assert_eq!(found(&plain, None, &files(None)).unwrap(), "AD");
        assert_eq!(found(&plain, None, &files(Some("half"))), None);
        assert_eq!(found(&plain, None, &files(Some("absent"))), None);
        assert_eq!(found(&plain, None, &AwsFiles::default()), None);

        let region = |place: &S3Place, files: &AwsFiles| access(place, Some(&environment), files).unwrap().1;
        // Of the profile also with other keys than its own.
        assert_eq!(region(&plain, &files(None)).as_deref(), Some("eu-west-1"));
        let of_environment = AwsFiles { region: Some("ap-1".into()), ..files(None) };
        assert_eq!(region(&plain, &of_environment).as_deref(), Some("ap-1"));
        let in_region = S3Place { region: Some("us-2".into()), ..place(None, None) };
        assert_eq!(region(&in_region, &of_environment).as_deref(), Some("us-2"));
        assert_eq!(region(&plain, &AwsFiles::default()), None);

        let (team, region) = access(&named, None, &files(None)).unwrap();
        let team = team.unwrap();
        assert_eq!(team.secret_access_key.expose(), "a=b/c+d==");
        assert_eq!(team.session_token.as_ref().map(Secret::expose), Some("t"));
        assert_eq!(region.as_deref(), Some("eu-central-1"));
    }
}
