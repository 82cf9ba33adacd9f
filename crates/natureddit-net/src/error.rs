//! What can go wrong between this machine and another.

use std::net::IpAddr;
use std::time::Duration;

use natureddit_core::fs::FsError;
use url::Url;

/// A failed request. Addresses are shown without credentials and without the values in their query.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The client itself cannot be built: a user agent that is no header, or no certificates on this machine.
    #[error("could not set up the HTTP client")]
    Setup(#[source] reqwest::Error),
    /// A text that is no `http` or `https` address.
    #[error("not an http or https address: {url}")]
    BadUrl {
        /// The text, or what of it may be shown.
        url: String,
    },
    /// The address is none that the caller allows.
    #[error("{url} is not an address that is allowed here")]
    NotAllowed {
        /// What was asked for, or where that redirects to.
        url: String,
    },
    /// The address leads to this machine, a private network or nowhere.
    #[error("{url} leads to {address}, which is not a public address")]
    AddressRefused {
        /// What was asked for.
        url: String,
        /// Where it leads.
        address: IpAddr,
    },
    /// No connection, or one that broke.
    #[error("the connection for {url} failed")]
    Connection {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// No whole answer in time.
    #[error("{url} did not answer within {} s", after.as_secs_f32())]
    Timeout {
        /// What was asked for.
        url: String,
        /// The limit of the whole request or of a silence in it; connecting has a shorter one.
        after: Duration,
    },
    /// The body is longer than the caller takes; its rest was not read.
    #[error("the answer of {url} is over the limit of {bytes_max} bytes")]
    TooManyBytes {
        /// What was asked for.
        url: String,
        /// The limit, after decompression.
        bytes_max: u64,
    },
    /// One redirect after another.
    #[error("{url} redirects more than {redirects_max} times")]
    TooManyRedirects {
        /// What was asked for first.
        url: String,
        /// The limit.
        redirects_max: usize,
    },
    /// A redirect that does not say where to, or to what is no address.
    #[error("{url} redirects to no usable address")]
    BadRedirect {
        /// Where the redirect came from.
        url: String,
    },
    /// The host has had enough for longer than a request may wait.
    #[error("{url} may not be asked for another {} s", wait.as_secs_f64().ceil())]
    WaitTooLong {
        /// What was to be asked for.
        url: String,
        /// How long the host wants to be left alone.
        wait: Duration,
    },
    /// What a server is to be told cannot be a header.
    #[error("the header {name:?} for {url} is no HTTP header, or its value is none")]
    BadHeader {
        /// What was to be asked for.
        url: String,
        /// The header's name.
        name: String,
    },
    /// A file that was to be uploaded.
    #[error(transparent)]
    File(#[from] FsError),
    /// An answer, and not the one that was needed.
    #[error("{url} answered with status {status}{}", wait.map_or(String::new(), asked_for))]
    Status {
        /// What answered.
        url: String,
        /// Its HTTP status.
        status: u16,
        /// How long the host wants to be left alone, where it says so.
        wait: Option<Duration>,
    },
}

impl NetError {
    /// A stable name of the kind of failure, for counting: `timeout`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setup(_) => "setup",
            Self::BadUrl { .. } => "bad_url",
            Self::NotAllowed { .. } => "not_allowed",
            Self::AddressRefused { .. } => "address_refused",
            Self::Connection { .. } => "connection",
            Self::Timeout { .. } => "timeout",
            Self::TooManyBytes { .. } => "too_many_bytes",
            Self::TooManyRedirects { .. } => "too_many_redirects",
            Self::BadRedirect { .. } => "bad_redirect",
            Self::WaitTooLong { .. } => "wait_too_long",
            Self::BadHeader { .. } => "bad_header",
            Self::File(_) => "file",
            Self::Status { .. } => "status",
        }
    }

    /// Whether the same request may succeed a moment later.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Connection { .. } | Self::Timeout { .. })
    }
}

fn asked_for(wait: Duration) -> String {
    format!(" and asks to be left alone for {} s", wait.as_secs_f64().ceil())
}

/// An address as messages and logs may show it: no user, no password, no fragment, and of a query only that it was
/// there, for signatures and tokens travel in queries.
#[must_use]
pub fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for addresses that cannot have a user.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    shown.set_query(None);
    let query = if url.query().is_some() { "?..." } else { "" };
    format!("{shown}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let url = Url::parse("https://user:hunter2@host.example/a/b.jpg?s=signature#part").unwrap();
        assert_eq!(redacted(&url), "https://host.example/a/b.jpg?...");
        assert_eq!(redacted(&Url::parse("https://host.example/").unwrap()), "https://host.example/");
    }
}
