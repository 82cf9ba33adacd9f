//! Model archives from elsewhere, for a server: fetched through the one door out.

use std::path::Path;
use std::time::Duration;

use natureddit_core::Progress;
use natureddit_net::{Client, ClientConfig, FileDownload, JudgeAddress};
use natureddit_serve::{AllowedUrls, ArchiveSource};
use tokio::runtime::Handle;
use url::Url;

use super::client_config;
use crate::config::Config;

/// How the archives come that may be registered by their addresses.
pub(crate) fn archive_source(config: &Config) -> anyhow::Result<ArchiveSource> {
    let serve = &config.serve;
    let how = ClientConfig { total_timeout: serve.archive_timeout, ..client_config(config) };
    let fetching = Fetching {
        client: Client::new(how)?,
        allowed: serve.allowed_urls.clone(),
        bytes_max: serve.archive_bytes_max,
        timeout: serve.archive_timeout,
    };
    Ok(ArchiveSource::new(serve.allowed_urls.clone(), move |url, partial| fetching.fetch(url, partial)))
}

struct Fetching {
    client: Client,
    allowed: AllowedUrls,
    bytes_max: u64,
    timeout: Duration,
}

impl Fetching {
    /// Blocks a thread of the runtime's that may be blocked.
    fn fetch(&self, url: &Url, partial: &Path) -> Result<(), String> {
        let allowed = self.allowed.clone();
        let file = FileDownload {
            what: "fetching a model archive",
            partial: partial.to_owned(),
            bytes: None,
            bytes_max: self.bytes_max,
            judge: Some(JudgeAddress::new(move |url| allowed.allows(url))),
        };
        let silent = Progress::silent();
        // However often it is taken up again.
        let fetched = tokio::time::timeout(self.timeout, file.run(&self.client, url.as_str(), &silent));
        match Handle::current().block_on(fetched) {
            Ok(fetched) => fetched.map_err(|error| format!("{:#}", anyhow::Error::new(error))),
            Err(_elapsed) => Err(format!("it did not come within {} s", self.timeout.as_secs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use natureddit_core::fs;

    use super::*;
    use crate::config::Environment;

    /// What a server answers to a path, and from which byte on.
    fn answer(path: &str, range: Option<&str>) -> String {
        let head = |status: &str, more: &str| format!("HTTP/1.1 {status}\r\nconnection: close\r\n{more}\r\n");
        let length = |bytes: usize| format!("content-length: {bytes}\r\n");
        let moved = |to: &str| head("302 Found", &format!("location: {to}\r\ncontent-length: 0\r\n"));
        match (path, range) {
            ("/a/x.mar" | "/a/x.mar?key=hidden", _) => head("200 OK", &length(7)) + "archive",
            ("/a/near.mar", _) => moved("/a/x.mar"),
            ("/a/away.mar", _) => moved("https://elsewhere.example/a/x.mar"),
            ("/a/out.mar", _) => moved("/b/x.mar"),
            ("/a/inside.mar", _) => moved("http://127.0.0.1:9/inside/x.mar"),
            ("/a/large.mar", _) => head("200 OK", &length(1_001)) + &"x".repeat(1_001),
            // It breaks off, and is whole from there on.
            ("/a/broken.mar", None) => head("200 OK", &length(7)) + "arc",
            ("/a/broken.mar", Some("bytes=3-")) => head("206 Partial Content", &length(4)) + "hive",
            _ => head("404 Not Found", &length(0)),
        }
    }

    fn serve(stream: TcpStream) {
        let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else { return };
        let range = head.iter().find_map(|line| line.strip_prefix("range: "));
        // A client that has seen enough may be gone.
        let _ = (&stream).write_all(answer(path, range).as_bytes());
    }

    /// Fetches from a server for which `models.example` stands, below `/a/`.
    fn fetch(path: &str) -> Result<Vec<u8>, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(serve));
        let environment =
            Environment { cache_home: Some("/cache".into()), data_home: Some("/data".into()), ..Environment::read() };
        let mut config = Config::defaults(Path::new("/project"), &environment).unwrap();
        config.net.retries_max = 0;
        config.net.host_map.insert("models.example".to_owned(), base);
        let words = ["https://models.example/a/", r"http://127\.0\.0\.1:9/inside/.*"].map(str::to_owned);
        let fetching = Fetching {
            client: Client::new(client_config(&config)).unwrap(),
            allowed: AllowedUrls::new(words).unwrap(),
            bytes_max: 1_000,
            timeout: Duration::from_mins(1),
        };
        let folder = tempfile::tempdir().unwrap();
        let partial = folder.path().join("partial");
        let url = Url::parse(&format!("https://models.example{path}")).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _entered = runtime.enter();
        fetching.fetch(&url, &partial).map(|()| fs::read(&partial).unwrap())
    }

    #[test]
    fn an_archive_is_fetched_also_where_it_is_redirected_or_breaks_off() {
        for path in ["/a/x.mar", "/a/near.mar", "/a/broken.mar", "/a/x.mar?key=hidden"] {
            assert_eq!(fetch(path).as_deref(), Ok(&b"archive"[..]), "{path}");
        }
    }

    #[test]
    fn what_is_not_allowed_private_too_large_or_not_there_is_refused_with_the_reason() {
        for (path, reason) in [
            ("/a/away.mar", "https://elsewhere.example/a/x.mar is not an address that is allowed here"),
            ("/a/out.mar", "https://models.example/b/x.mar is not an address that is allowed here"),
            ("/a/inside.mar", "http://127.0.0.1:9/inside/x.mar leads to 127.0.0.1, which is not a public address"),
            ("/a/large.mar", "the answer of https://models.example/a/large.mar is over the limit of 1000 bytes"),
            ("/a/none.mar?key=hidden", "the server answered with status 404"),
        ] {
            assert_eq!(fetch(path).unwrap_err(), reason, "{path}");
        }
    }

    #[test]
    fn a_server_allows_no_address_unless_one_is_set() {
        let environment =
            Environment { cache_home: Some("/cache".into()), data_home: Some("/data".into()), ..Environment::read() };
        let config = Config::defaults(Path::new("/project"), &environment).unwrap();
        assert!(config.serve.allowed_urls.is_empty());
        assert!(archive_source(&config).is_ok());
    }
}
