//! The simulator as a client meets it: over HTTP.

mod arctic_shift;
mod changes;
mod corpus;
mod dumps;
mod faults;
mod oauth;
mod photos;
mod recorded;
mod schema;
mod search;
mod varied;
mod zoo;

use natureddit_core::ClassNames;
use natureddit_sandbox::{Sandbox, SandboxConfig};
use serde_json::Value;

fn classes(names: &[&str]) -> ClassNames {
    ClassNames::new(names.iter().map(|&name| name.to_owned()).collect()).unwrap()
}

fn config(seed: u64, posts: usize) -> SandboxConfig {
    SandboxConfig::new(seed, posts, classes(&["fauna", "flora", "landscape"]))
}

/// A client of one simulator, which reaches the hosts it stands in for.
struct Client {
    http: reqwest::Client,
    hosts: Vec<(String, String)>,
    base: String,
}

impl Client {
    fn new(sandbox: &Sandbox) -> Self {
        Self::with(sandbox, reqwest::redirect::Policy::default())
    }

    fn without_redirects(sandbox: &Sandbox) -> Self {
        Self::with(sandbox, reqwest::redirect::Policy::none())
    }

    fn with(sandbox: &Sandbox, redirects: reqwest::redirect::Policy) -> Self {
        // The client wants a TLS provider even though it only speaks plain HTTP here; a second test finds it set.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().user_agent("sandbox-test/1 (by /u/nobody)").redirect(redirects);
        Self { http: http.build().unwrap(), hosts: sandbox.host_map(), base: format!("http://{}", sandbox.address()) }
    }

    /// The address that stands in for a real one.
    fn mapped(&self, url: &str) -> String {
        let rest = url.strip_prefix("https://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        let (_, target) = self.hosts.iter().find(|(from, _)| from == host).unwrap_or_else(|| panic!("no host {host}"));
        format!("{target}/{path}")
    }

    async fn get(&self, url: &str) -> reqwest::Result<reqwest::Response> {
        self.http.get(self.mapped(url)).send().await
    }

    async fn bytes(&self, url: &str) -> Vec<u8> {
        self.get(url).await.unwrap().error_for_status().unwrap().bytes().await.unwrap().to_vec()
    }

    async fn search(&self, query: &str) -> Vec<Value> {
        let url = format!("https://api.pullpush.io/reddit/search/submission/?{query}");
        let answer: Value = self.get(&url).await.unwrap().error_for_status().unwrap().json().await.unwrap();
        answer["data"].as_array().unwrap().clone()
    }

    async fn simulator(&self, path: &str) -> Value {
        self.http.get(format!("{}{path}", self.base)).send().await.unwrap().json().await.unwrap()
    }

    /// Every post of a subreddit, oldest first, by tie-safe paging.
    async fn subreddit(&self, name: &str, size: usize) -> Vec<Value> {
        let (mut posts, mut after): (Vec<Value>, i64) = (Vec::new(), 0);
        loop {
            let page = self.search(&format!("subreddit={name}&sort=asc&size={size}&after={after}")).await;
            let known = posts.len();
            for post in page {
                after = post["created_utc"].as_i64().unwrap() - 1;
                if !posts.iter().any(|seen| seen["id"] == post["id"]) {
                    posts.push(post);
                }
            }
            if posts.len() == known {
                return posts;
            }
        }
    }
}
