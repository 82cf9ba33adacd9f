//! Runs on an MLflow server, through its REST API (<https://mlflow.org/docs/latest/rest-api.html>) and its artifact proxy.

mod batch;
mod client;
mod mlmodel;
mod send;
mod wire;

use natureddit_core::Secret;
use natureddit_net::{Client, NetError, Pacing, basic_credentials, redacted};

pub use client::MlflowError;

use super::{Credentials, ServerConfig};

/// A server, and how it is talked to.
#[derive(Debug)]
pub(crate) struct Mlflow {
    client: Client,
    server: ServerConfig,
    /// What must not be told where the server repeats who asked.
    secrets: Vec<Secret>,
}

impl Mlflow {
    /// Opens no connection yet. The server may be on this machine or in a private network: the user named it.
    pub(crate) fn new(server: &ServerConfig) -> Result<Self, NetError> {
        let client = Client::for_server(server.client.clone(), Pacing::none(), &server.uri)?;
        let secrets = match &server.credentials {
            Some(Credentials::Basic { user, password }) => vec![basic_credentials(user, password), password.clone()],
            Some(Credentials::Token(token)) => vec![token.clone()],
            None => Vec::new(),
        };
        Ok(Self { client, server: server.clone(), secrets })
    }

    /// Its address as it may be shown.
    pub(crate) fn address(&self) -> String {
        redacted(&self.server.uri).trim_end_matches('/').to_owned()
    }
}
