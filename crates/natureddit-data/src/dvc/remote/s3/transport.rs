//! How `object_store` sends what it has signed: through the one door out.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use natureddit_net::ClientConfig;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use crate::dvc::remote::{Access, RemoteConfig, RemoteError};

/// A slower line than this is taken for a broken one.
const BYTES_PER_SECOND_MIN: u64 = 16_384;

/// Makes [`HttpClient`]s.
#[derive(Debug)]
pub(super) struct Connector {
    client: HttpClient,
}

impl Connector {
    pub(super) fn new(config: &RemoteConfig, access: &Access) -> Result<Self, RemoteError> {
        let client = ClientConfig {
            connect_timeout: config.connect_timeout.unwrap_or(access.client.connect_timeout),
            read_timeout: config.read_timeout.unwrap_or(access.client.read_timeout),
            ..access.client.clone()
        };
        let asking = natureddit_net::transport(&client, true)?;
        let sending = natureddit_net::transport(&client, false)?;
        let door = Door { asking, sending, read_timeout: client.read_timeout };
        Ok(Self { client: HttpClient::new(door) })
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.client.clone())
    }
}

/// Requests without a body are limited in their silence, those with one by the time the body may take.
#[derive(Debug)]
struct Door<S> {
    asking: S,
    sending: S,
    read_timeout: Duration,
}

impl<S: HttpService> HttpService for Door<S> {
    fn call<'a, 'b>(&'a self, request: HttpRequest) -> BoxFuture<'b, Result<HttpResponse, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        let bytes = request.body().content_length() as u64;
        if bytes == 0 {
            return self.asking.call(request);
        }
        let limit = self.read_timeout + Duration::from_secs(bytes / BYTES_PER_SECOND_MIN);
        let sent = tokio::time::timeout(limit, self.sending.call(request));
        sent.map(|sent| sent.unwrap_or_else(|e| Err(HttpError::new(HttpErrorKind::Timeout, e)))).boxed()
    }
}
