//! The one door out: an HTTP client with retries, limits and an address guard, and the assets it pulls and verifies.
//!
//! What is absent: no other crate opens an outbound connection, no body is read without a limit, and no address that a
//! post links to is connected to before it was judged public.

pub mod assets;
mod client;
mod download;
mod error;
mod guard;
mod host_map;
mod limiter;
mod masked;
pub mod own_server;
mod pacing;
mod request;
mod response;
mod retry;
mod transfer;

pub use client::{Client, ClientConfig, transport};
pub use download::{DownloadError, FileDownload};
pub use error::{NetError, redacted};
pub use host_map::HostMap;
pub use masked::{base64, basic_credentials, masked};
pub use pacing::Pacing;
pub use request::{JudgeAddress, Request, UploadMethod};
pub use response::{Download, Response};
pub use retry::{RateLimit, RetryPolicy};
pub use transfer::BodySink;
