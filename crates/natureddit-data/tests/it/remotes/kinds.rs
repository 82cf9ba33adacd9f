//! A remote of each kind.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use natureddit_core::Secret;
use natureddit_core::fs;
use natureddit_data::dvc::hash::{HashKind, Md5, ObjectId};
use natureddit_data::dvc::remote::{self, Access, AwsAccess, AwsFiles, Received, Remote, RemoteConfig, RemoteError};
use natureddit_net::{ClientConfig, HostMap, Pacing, RetryPolicy};
use tempfile::TempDir;

use super::server::{Server, decoded};
use super::{bucket, web};

pub(crate) const PASSWORD: &str = "hunter2";
/// `user:hunter2`.
pub(crate) const BASIC: &str = "Basic dXNlcjpodW50ZXIy";
pub(crate) const TOKEN: &str = "session-token-3";

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Folder,
    Web,
    Bucket,
}

/// A remote and what is behind it.
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) remote: Box<dyn Remote>,
    pub(crate) server: Option<Server>,
    pub(crate) prefix: String,
    /// Where the files of the test lie, and, for a folder, the remote.
    pub(crate) folder: TempDir,
}

pub(crate) fn access() -> Access {
    let client = ClientConfig {
        user_agent: "natureddit-test/1.0".into(),
        connect_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(30),
        read_timeout: Duration::from_secs(30),
        retry: RetryPolicy { retries_max: 2, backoff: Duration::from_millis(1), backoff_max: Duration::from_millis(5) },
        redirects_max: 3,
        requests_per_host_max: 8,
        host_map: HostMap::default(),
    };
    Access { client, pacing: Pacing::none(), aws: None, aws_files: AwsFiles::default(), token: None }
}

pub(crate) fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn open(pairs: &[(&str, &str)], access: &Access) -> Result<Box<dyn Remote>, RemoteError> {
    let config = RemoteConfig::from_options("origin", &options(pairs))?;
    assert!(!format!("{config:?}").contains(PASSWORD));
    remote::from_config(&config, access)
}

impl Place {
    pub(crate) async fn new(kind: Kind, prefix: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut access = access();
        let (remote, server) = match kind {
            Kind::Folder => {
                let url = folder.path().join(prefix);
                (open(&[("url", url.to_str().unwrap())], &access), None)
            }
            Kind::Web => {
                let server = web::start().await;
                server.store().wanted = Some(("authorization", BASIC.to_owned()));
                let url = format!("http://{}/{prefix}", server.address);
                let auth = [("url", url.as_str()), ("auth", "basic"), ("user", "user"), ("password", PASSWORD)];
                (open(&auth, &access), Some(server))
            }
            Kind::Bucket => {
                let server = bucket::start().await;
                server.store().wanted = Some(("authorization", "Credential=key-1/".to_owned()));
                let (url, endpoint) = (format!("s3://bucket/{prefix}"), format!("http://{}", server.address));
                let aws = AwsAccess {
                    access_key_id: "key-1".into(),
                    secret_access_key: Secret::new(PASSWORD.into()),
                    session_token: Some(Secret::new(TOKEN.into())),
                };
                access.aws = Some(aws);
                (open(&[("url", &url), ("endpointurl", &endpoint)], &access), Some(server))
            }
        };
        Self { kind, remote: remote.unwrap(), server, prefix: prefix.to_owned(), folder }
    }

    pub(crate) async fn each() -> Vec<Self> {
        let mut places = Vec::new();
        for kind in [Kind::Folder, Kind::Web, Kind::Bucket] {
            places.push(Self::new(kind, "pre").await);
        }
        places
    }

    pub(crate) async fn servers() -> Vec<Self> {
        vec![Self::new(Kind::Web, "pre").await, Self::new(Kind::Bucket, "pre").await]
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// A file of this content, beside the remote.
    pub(crate) fn file(&self, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join("files").join(Md5::of(content).to_string());
        fs::write_unsynced(&path, content).unwrap();
        path
    }

    /// A path for what is downloaded, in a folder of its own.
    pub(crate) fn to(&self) -> PathBuf {
        let folder = self.folder.path().join("downloads");
        fs::create_dir_all(&folder).unwrap();
        folder.join("object")
    }

    /// Nothing is left of a download, not even half of it.
    pub(crate) fn assert_no_download(&self) {
        assert_eq!(fs::read_dir(self.to().parent().unwrap()).unwrap(), [] as [PathBuf; 0], "{:?}", self.kind);
    }

    /// Puts an object there, without the remote.
    pub(crate) fn plant(&self, content: &[u8]) -> ObjectId {
        let id = object(content);
        match &self.server {
            None => fs::write_unsynced(&self.folder.path().join(&self.prefix).join(id.path()), content).unwrap(),
            Some(server) => {
                let key = self.key(id);
                server.store().objects.insert(key, content.to_vec().into());
            }
        }
        id
    }

    fn key(&self, id: ObjectId) -> String {
        match self.kind {
            Kind::Bucket => format!("bucket/{}/{}", self.prefix, id.path()),
            _ => format!("{}/{}", decoded(&self.prefix), id.path()),
        }
    }

    /// What lies at the place of an object, seen without the remote.
    pub(crate) fn stored(&self, id: ObjectId) -> Option<Vec<u8>> {
        match &self.server {
            None => fs::optional(fs::read(&self.folder.path().join(&self.prefix).join(id.path()))).unwrap(),
            Some(server) => server.store().objects.get(&self.key(id)).map(|object| object.to_vec()),
        }
    }

    pub(crate) async fn get(&self, id: ObjectId) -> Result<Option<Received>, RemoteError> {
        self.remote.get(id, &self.to(), 1 << 30).await
    }

    pub(crate) async fn put(&self, content: &[u8]) -> Result<ObjectId, RemoteError> {
        let id = object(content);
        self.remote.put(id, &self.file(content)).await.map(|()| id)
    }
}

pub(crate) fn object(content: &[u8]) -> ObjectId {
    ObjectId { kind: HashKind::Md5, md5: Md5::of(content), is_dir: false }
}

/// An error and its causes, in every form.
pub(crate) fn told(error: &RemoteError) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(" {error} {error:?}");
        cause = error.source();
    }
    text
}
