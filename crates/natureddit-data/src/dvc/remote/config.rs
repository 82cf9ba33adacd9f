//! The settings of a remote, checked: what `.dvc/config` and `.dvc/config.local` say of it.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use natureddit_core::Secret;
use natureddit_core::text::percent_decoded;
use natureddit_net::UploadMethod;
use url::Url;

use super::{AwsAccess, RemoteError};

/// A remote as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteConfig {
    /// Its name.
    pub name: String,
    /// Where it is, and who asks there.
    pub place: Place,
    /// Transfers at the same time.
    pub jobs: Option<NonZeroUsize>,
    /// The longest wait for a connection.
    pub connect_timeout: Option<Duration>,
    /// The longest silence.
    pub read_timeout: Option<Duration>,
}

/// Where objects lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a folder.
    Folder(PathBuf),
    /// On a web server.
    Http {
        /// Below this address, in which there is no user and no password.
        url: Url,
        /// Who asks.
        auth: HttpAuth,
        /// How objects are uploaded.
        method: UploadMethod,
    },
    /// On S3, or what speaks like it.
    S3(S3Place),
}

/// Who asks a web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAuth {
    /// Nobody, or whoever the [`Access`](super::Access) has a token of.
    None,
    /// `auth = basic`.
    Basic {
        /// The user's name.
        user: String,
        /// Their password, or a token in its place.
        password: Secret,
    },
    /// `auth = custom`.
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: Secret,
    },
}

/// Where objects lie on S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Place {
    /// In this bucket.
    pub bucket: String,
    /// Below these folders, without `/` at its ends; may be empty.
    pub prefix: String,
    /// On this server, if it is not Amazon's. An address with `http:` is asked without encryption.
    pub endpoint_url: Option<Url>,
    /// In this region.
    pub region: Option<String>,
    /// Whose access is to be looked up in the files of AWS.
    pub profile: Option<String>,
    /// Who asks.
    pub access: Option<AwsAccess>,
    /// Whether Amazon is asked over HTTPS.
    pub use_ssl: bool,
    /// Whether nobody says who asks.
    pub allow_anonymous_login: bool,
}

/// Options that change nothing here, whatever they say.
const HARMLESS: [&str; 8] = [
    "cache_regions",
    "checksum_jobs",
    "listobjects",
    "no_traverse",
    "protected",
    "slow_link_warning",
    "type",
    "ask_password",
];

/// Options that would change what is stored or seen.
const REFUSED: [(&str, &str); 13] = [
    ("worktree", "remotes in the form of a work tree are not supported"),
    ("version_aware", "versions of a bucket are not supported"),
    ("shared", "a folder shared by a group is not supported"),
    ("credentialpath", "a credentials file of its own is not supported: set AWS_SHARED_CREDENTIALS_FILE"),
    ("configpath", "an AWS settings file of its own is not supported: set AWS_CONFIG_FILE"),
    ("sse", "server-side encryption that is asked for is not supported: set it for the bucket"),
    ("sse_kms_key_id", "server-side encryption that is asked for is not supported: set it for the bucket"),
    ("sse_customer_algorithm", "encryption with a key of the customer is not supported"),
    ("sse_customer_key", "encryption with a key of the customer is not supported"),
    ("acl", "access lists of objects are not supported: set them for the bucket"),
    ("grant_read", "access lists of objects are not supported: set them for the bucket"),
    ("grant_write_acp", "access lists of objects are not supported: set them for the bucket"),
    ("grant_full_control", "access lists of objects are not supported: set them for the bucket"),
];

/// Silence without a limit, as 0 means: a day.
const UNLIMITED: Duration = Duration::from_secs(86_400);

impl RemoteConfig {
    /// Reads the options of a remote, of which a relative path was made absolute before. Only those of the remote that is
    /// used should be read, for the others may be of any kind.
    ///
    /// # Errors
    /// [`RemoteError::Scheme`], and [`RemoteError::Option`] for a value that cannot be honoured, an option that is not known,
    /// and one that is missing.
    pub fn from_options(name: &str, options: &BTreeMap<String, String>) -> Result<Self, RemoteError> {
        let mut options =
            Options { remote: name, left: options.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect() };
        let url = options.required("url")?;
        let place = options.place(url)?;
        // What is pulled is always hashed.
        options.flag("verify", true)?;
        let config = Self {
            name: name.to_owned(),
            place,
            jobs: options.parsed("jobs", "is no number of transfers from 1 up")?,
            connect_timeout: options.seconds("connect_timeout")?,
            read_timeout: options.seconds("read_timeout")?,
        };
        options.finish()?;
        Ok(config)
    }
}

/// The options that nobody asked for yet.
struct Options<'a> {
    remote: &'a str,
    left: BTreeMap<&'a str, &'a str>,
}

impl<'a> Options<'a> {
    fn error(&self, option: &str, why: impl Into<String>) -> RemoteError {
        RemoteError::Option { remote: self.remote.to_owned(), option: option.to_owned(), why: why.into() }
    }

    fn text(&mut self, option: &str) -> Option<&'a str> {
        self.left.remove(option)
    }

    fn required(&mut self, option: &str) -> Result<&'a str, RemoteError> {
        self.text(option).ok_or_else(|| self.error(option, "is missing"))
    }

    fn secret(&mut self, option: &str) -> Option<Secret> {
        self.text(option).map(|text| Secret::new(text.to_owned()))
    }

    fn parsed<T: std::str::FromStr>(&mut self, option: &str, why: &str) -> Result<Option<T>, RemoteError> {
        let parse = |text: &str| text.trim().parse().map_err(|_| self.error(option, format!("{text:?} {why}")));
        self.left.get(option).copied().map(parse).transpose().inspect(|_| {
            self.left.remove(option);
        })
    }

    fn flag(&mut self, option: &str, default: bool) -> Result<bool, RemoteError> {
        match self.text(option).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(self.error(option, format!("{other:?} is neither true nor false"))),
        }
    }

    fn seconds(&mut self, option: &str) -> Result<Option<Duration>, RemoteError> {
        let why = "is no number of seconds";
        let Some(seconds) = self.parsed::<f64>(option, why)? else { return Ok(None) };
        let length =
            Duration::try_from_secs_f64(seconds).map_err(|_| self.error(option, format!("{seconds} {why}")))?;
        Ok(Some(if length.is_zero() { UNLIMITED } else { length.min(UNLIMITED) }))
    }

    fn place(&mut self, url: &'a str) -> Result<Place, RemoteError> {
        match url.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest)) {
            None => Ok(Place::Folder(url.into())),
            Some((scheme, rest)) => match scheme.as_str() {
                "file" => {
                    let path = Url::parse(url).ok().and_then(|url| url.to_file_path().ok());
                    Ok(Place::Folder(path.ok_or_else(|| self.error("url", format!("{url:?} names no folder")))?))
                }
                "http" | "https" => self.http(url),
                "s3" => self.s3(rest),
                // What stands before an @ may be a password.
                _ => Err(RemoteError::Scheme {
                    url: format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host)),
                }),
            },
        }
    }

    fn http(&mut self, url: &str) -> Result<Place, RemoteError> {
        // It is not shown: it may contain a password.
        let no_address = || self.error("url", "is no address of a web server");
        let mut url = Url::parse(url).map_err(|_| no_address())?;
        if !url.has_host() {
            return Err(no_address());
        }
        self.require_tls_check()?;
        let method = match self.text("method").map(str::to_ascii_uppercase).as_deref() {
            None | Some("POST") => UploadMethod::Post,
            Some("PUT") => UploadMethod::Put,
            Some(other) => return Err(self.error("method", format!("{other:?} is neither POST nor PUT"))),
        };
        let auth = self.http_auth(&url)?;
        // Neither fails for an address that has a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Ok(Place::Http { url, auth, method })
    }

    fn http_auth(&mut self, url: &Url) -> Result<HttpAuth, RemoteError> {
        let (auth, user, password) = (self.text("auth"), self.text("user"), self.secret("password"));
        let header = self.text("custom_auth_header");
        let needs = |options: &str| self.error("auth", format!("needs the settings {options}"));
        match auth.map(str::to_ascii_lowercase).as_deref() {
            None if url.username().is_empty() => Ok(HttpAuth::None),
            None => {
                let decoded =
                    |text: &str| percent_decoded(text).ok_or_else(|| self.error("url", "names no usable user"));
                let (user, password) = (decoded(url.username())?, decoded(url.password().unwrap_or_default())?);
                Ok(HttpAuth::Basic { user, password: Secret::new(password) })
            }
            Some("basic") => match (user, password) {
                (Some(user), Some(password)) => Ok(HttpAuth::Basic { user: user.to_owned(), password }),
                _ => Err(needs("user and password")),
            },
            Some("custom") => match (header, password) {
                (Some(name), Some(value)) => Ok(HttpAuth::Header { name: name.to_owned(), value }),
                _ => Err(needs("custom_auth_header and password")),
            },
            Some(other) => Err(self.error("auth", format!("{other:?} is not supported: only basic and custom are"))),
        }
    }

    fn s3(&mut self, rest: &str) -> Result<Place, RemoteError> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(self.error("url", "names no bucket"));
        }
        self.require_tls_check()?;
        let endpoint_url = self.parsed::<Url>("endpointurl", "is no address")?;
        if endpoint_url.as_ref().is_some_and(|url| !matches!(url.scheme(), "http" | "https") || !url.has_host()) {
            return Err(self.error("endpointurl", "is no address of a web server"));
        }
        let (key, secret) = (self.text("access_key_id"), self.secret("secret_access_key"));
        let session_token = self.secret("session_token");
        let access = match (key, secret) {
            (Some(key), Some(secret_access_key)) => {
                Some(AwsAccess { access_key_id: key.to_owned(), secret_access_key, session_token })
            }
            (None, None) => None,
            (Some(_), None) => return Err(self.error("access_key_id", "needs the setting secret_access_key")),
            (None, Some(_)) => return Err(self.error("secret_access_key", "needs the setting access_key_id")),
        };
        Ok(Place::S3(S3Place {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            endpoint_url,
            region: self.text("region").map(str::to_owned),
            profile: self.text("profile").map(str::to_owned),
            access,
            use_ssl: self.flag("use_ssl", true)?,
            allow_anonymous_login: self.flag("allow_anonymous_login", false)?,
        }))
    }

    fn require_tls_check(&mut self) -> Result<(), RemoteError> {
        match self.text("ssl_verify").map(str::to_ascii_lowercase).as_deref() {
            None | Some("true") => Ok(()),
            Some("false") => Err(self.error("ssl_verify", "not to check certificates is not supported")),
            Some(_) => Err(self.error("ssl_verify", "certificates of its own are not supported: install them")),
        }
    }

    fn finish(mut self) -> Result<(), RemoteError> {
        for option in HARMLESS {
            self.left.remove(option);
        }
        for (option, why) in REFUSED {
            if self.text(option).is_some_and(|value| !value.eq_ignore_ascii_case("false")) {
                return Err(self.error(option, why));
            }
        }
        match self.left.first_key_value() {
            None => Ok(()),
            Some((option, _)) => Err(self.error(option, "is not known for a remote of this kind")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<RemoteConfig, RemoteError> {
        let options = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        RemoteConfig::from_options("origin", &options)
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        read(pairs).unwrap_err().to_string()
    }

    #[test]
    fn a_folder_is_a_path_or_an_address_of_a_file() {
        for (url, path) in [("/mnt/remote", "/mnt/remote"), ("file:///mnt/a%20b", "/mnt/a b"), ("/mnt/Ü b", "/mnt/Ü b")]
        {
            let config = read(&[("url", url), ("jobs", "4"), ("type", "hardlink"), ("verify", "true")]).unwrap();
            assert_eq!(config.place, Place::Folder(path.into()));
            assert_eq!(config.jobs, NonZeroUsize::new(4));
        }
    }

    #[test]
    fn the_settings_of_a_bucket_are_read() {
        let config = read(&[
            ("url", "s3://bucket/Daten über/pre/"),
            ("endpointurl", "http://127.0.0.1:5000"),
            ("access_key_id", "key-1"),
            ("secret_access_key", "hunter2"),
            ("session_token", "hunter3"),
            ("region", "eu-central-1"),
            ("read_timeout", "90"),
            ("use_ssl", "False"),
        ])
        .unwrap();
        assert_eq!(config.read_timeout, Some(Duration::from_secs(90)));
        assert!(!format!("{config:?}").contains("hunter"));
        let Place::S3(place) = config.place else { panic!("{:?}", config.place) };
        assert_eq!((&*place.bucket, &*place.prefix), ("bucket", "Daten über/pre"));
        let access = place.access.unwrap();
        assert_eq!((&*access.access_key_id, access.secret_access_key.expose()), ("key-1", "hunter2"));
        assert!(!place.use_ssl && !place.allow_anonymous_login);
    }

    #[test]
    fn the_user_of_an_address_is_who_asks_and_is_not_shown() {
        let config = read(&[("url", "https://us%40er:hunt%C3%BCr@host.example/repo.dvc")]).unwrap();
        let Place::Http { url, auth, method } = config.place else { panic!("{:?}", config.place) };
        assert_eq!((url.as_str(), method), ("https://host.example/repo.dvc", UploadMethod::Post));
        assert_eq!(auth, HttpAuth::Basic { user: "us@er".into(), password: Secret::new("huntür".into()) });
    }

    #[test]
    fn other_kinds_are_refused_without_their_password() {
        for url in ["gs://bucket/a", "azure://c/a", "ssh://user:hunter2@host/a", "webdavs://host/a", "gdrive://a"] {
            let told = refused(&[("url", url), ("projectname", "x")]);
            assert!(told.contains("s3://") && told.contains("https://") && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_and_what_changes_nothing_is_not() {
        const WEB: (&str, &str) = ("url", "https://user:hunter2@host.example/a");
        const S3: (&str, &str) = ("url", "s3://bucket/a");
        for (url, option, value) in [
            (WEB, "auth", "digest"),
            (WEB, "auth", "custom"),
            (WEB, "method", "PATCH"),
            (WEB, "ssl_verify", "false"),
            (WEB, "ssl_verify", "/etc/own.pem"),
            (WEB, "read_timeout", "-1"),
            (WEB, "pasword", "x"),
            (WEB, "jobs", "0"),
            (S3, "endpointurl", "127.0.0.1:5000"),
            (S3, "endpointurl", "file:///x"),
            (S3, "secret_access_key", "hunter2"),
            (S3, "access_key_id", "x"),
            (S3, "sse", "AES256"),
            (S3, "version_aware", "true"),
            (S3, "use_ssl", "perhaps"),
            (S3, "acl", "public-read"),
            (("url", "/mnt/remote"), "shared", "group"),
            (("url", "/mnt/remote"), "password", "x"),
        ] {
            let told = refused(&[url, (option, value)]);
            assert!(told.contains(option) && told.contains("origin") && !told.contains("hunter2"), "{told}");
        }
        for url in ["s3://", "s3:///a", "http://", "https://user:hunter2@"] {
            let told = refused(&[("url", url)]);
            assert!(told.contains("url") && !told.contains("hunter2"), "{told}");
        }
        assert!(refused(&[]).contains("url"));
        for (url, option, value) in [
            (WEB, "checksum_jobs", "4"),
            (WEB, "ssl_verify", "True"),
            (S3, "version_aware", "false"),
            (S3, "no_traverse", "x"),
        ] {
            read(&[url, (option, value)]).unwrap();
        }
        // No limit is a very long one.
        assert_eq!(read(&[WEB, ("connect_timeout", "0")]).unwrap().connect_timeout, Some(UNLIMITED));
        assert_eq!(read(&[WEB, ("connect_timeout", "0.5")]).unwrap().connect_timeout, Some(Duration::from_millis(500)));
    }
}
