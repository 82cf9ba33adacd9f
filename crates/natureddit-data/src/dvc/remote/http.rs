//! A remote on a web server, as DagsHub and plain servers take it: GET asks, POST or PUT uploads.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures_util::future::{self, BoxFuture};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use natureddit_core::Secret;
use natureddit_net::{Client, ClientConfig, NetError, Request, UploadMethod, redacted};
use url::Url;

use super::incoming::Incoming;
use super::{Access, HttpAuth, JOBS, Received, Remote, RemoteConfig, RemoteError};
use crate::dvc::hash::ObjectId;

/// The longest a transfer may take; what ends a broken one is its silence.
const TRANSFER_MAX: Duration = Duration::from_secs(86_400);

/// A body that is not wanted is read up to so many bytes, which is sooner done than to connect anew.
const UNWANTED_BYTES_MAX: u64 = 32_768;

/// See the module.
#[derive(Debug)]
pub(super) struct Http {
    base: Url,
    shown: String,
    client: Client,
    auth: Auth,
    method: UploadMethod,
    jobs: usize,
}

#[derive(Debug)]
enum Auth {
    None,
    Basic(String, Secret),
    Header(String, Secret),
    Bearer(Secret),
}

impl Http {
    pub(super) fn new(
        config: &RemoteConfig,
        url: &Url,
        auth: &HttpAuth,
        method: UploadMethod,
        access: &Access,
    ) -> Result<Self, RemoteError> {
        let jobs = config.jobs.map_or(JOBS, std::num::NonZero::get);
        let client = ClientConfig {
            connect_timeout: config.connect_timeout.unwrap_or(access.client.connect_timeout),
            read_timeout: config.read_timeout.unwrap_or(access.client.read_timeout),
            total_timeout: TRANSFER_MAX,
            requests_per_host_max: jobs,
            ..access.client.clone()
        };
        let auth = match (auth, &access.token) {
            (HttpAuth::Basic { user, password }, _) => Auth::Basic(user.clone(), password.clone()),
            (HttpAuth::Header { name, value }, _) => Auth::Header(name.clone(), value.clone()),
            (HttpAuth::None, Some(token)) => Auth::Bearer(token.clone()),
            (HttpAuth::None, None) => Auth::None,
        };
        let client = Client::for_server(client, access.pacing.clone(), url)?;
        Ok(Self { base: url.clone(), shown: redacted(url), client, auth, method, jobs })
    }

    fn address(&self, id: ObjectId) -> Url {
        let mut url = self.base.clone();
        // It has a host, and with that segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(id.path().split('/'));
        }
        url
    }

    fn get_request(&self, id: ObjectId) -> Request {
        self.signed(self.client.get(self.address(id).as_str())).verbatim()
    }

    fn signed(&self, request: Request) -> Request {
        match &self.auth {
            Auth::None => request,
            Auth::Basic(user, password) => request.basic_auth(user, password),
            Auth::Header(name, value) => request.header_auth(name, value),
            Auth::Bearer(token) => request.bearer_auth(token),
        }
    }

    /// By GET, as the real tool asks: not every server that has an object answers HEAD as it answers GET.
    async fn has(&self, id: ObjectId) -> Result<bool, RemoteError> {
        let mut download = self.get_request(id).bytes_max(u64::MAX).open().await?;
        let status = download.status;
        if download.content_length.is_some_and(|bytes| bytes <= UNWANTED_BYTES_MAX) {
            // Whether it comes whole does not matter.
            while let Ok(Some(_)) = download.chunk().await {}
        }
        self.is_there(id, status)
    }

    fn is_there(&self, id: ObjectId, status: u16) -> Result<bool, RemoteError> {
        let url = || redacted(&self.address(id));
        match status {
            200..300 => Ok(true),
            404 | 410 => Ok(false),
            401 | 403 | 407 => Err(RemoteError::Access { url: url(), status }),
            _ => Err(NetError::Status { url: url(), status, wait: None }.into()),
        }
    }

    async fn upload(&self, id: ObjectId, from: &Path) -> Result<(), RemoteError> {
        let url = self.address(id);
        let status = self.signed(self.client.upload(self.method, url.as_str(), from)).send().await?.status;
        match self.is_there(id, status)? {
            true => Ok(()),
            false => Err(NetError::Status { url: redacted(&url), status, wait: None }.into()),
        }
    }

    async fn download(&self, id: ObjectId, to: &Path, bytes_max: u64) -> Result<Option<Received>, RemoteError> {
        let mut incoming = Incoming::new(id, &self.shown, to, bytes_max);
        match self.get_request(id).bytes_max(bytes_max).read_into(&mut incoming).await {
            Ok(status) if self.is_there(id, status)? => incoming.finish().await.map(Some),
            Ok(_) => Ok(None),
            Err(RemoteError::Net(NetError::TooManyBytes { .. })) => Err(incoming.too_many_bytes()),
            Err(error) => Err(error),
        }
    }

    fn unsupported<'a, T: Send + 'a>(&self, what: &'static str) -> BoxFuture<'a, Result<T, RemoteError>> {
        future::ready(Err(RemoteError::Unsupported { url: self.shown.clone(), what })).boxed()
    }
}

impl Remote for Http {
    fn url(&self) -> &str {
        &self.shown
    }

    fn existing<'a>(&'a self, ids: &'a BTreeSet<ObjectId>) -> BoxFuture<'a, Result<BTreeSet<ObjectId>, RemoteError>> {
        let look = async |id: ObjectId| Ok(self.has(id).await?.then_some(id));
        let looked = stream::iter(ids.iter().copied()).map(look).buffer_unordered(self.jobs);
        looked.try_filter_map(|found| future::ready(Ok(found))).try_collect().boxed()
    }

    fn put<'a>(&'a self, id: ObjectId, from: &'a Path) -> BoxFuture<'a, Result<(), RemoteError>> {
        self.upload(id, from).boxed()
    }

    fn get<'a>(
        &'a self,
        id: ObjectId,
        to: &'a Path,
        bytes_max: u64,
    ) -> BoxFuture<'a, Result<Option<Received>, RemoteError>> {
        self.download(id, to, bytes_max).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<BTreeSet<ObjectId>, RemoteError>> {
        self.unsupported("list what they have")
    }

    fn remove(&self, _: ObjectId) -> BoxFuture<'_, Result<(), RemoteError>> {
        self.unsupported("remove what they have")
    }
}
