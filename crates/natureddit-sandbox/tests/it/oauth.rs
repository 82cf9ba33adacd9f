//! Reddit's own API.

use natureddit_core::Clock;
use natureddit_sandbox::{Anonymous, CLIENT_ID, CLIENT_SECRET, LostAnchor, OauthConfig, Sandbox, SandboxConfig};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::{Client, config};

const TOKEN: &str = "https://www.reddit.com/api/v1/access_token";

/// A client with a token.
pub(crate) struct Reddit {
    pub(crate) client: Client,
    pub(crate) token: String,
}

impl Reddit {
    pub(crate) async fn new(sandbox: &Sandbox) -> Self {
        let client = Client::new(sandbox);
        let token = token(&client).await;
        Self { client, token }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        let url = self.client.mapped(&format!("https://oauth.reddit.com{path}"));
        self.client.http.get(url).bearer_auth(&self.token).send().await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.get(path).await.error_for_status().unwrap().json().await.unwrap()
    }

    /// Every name of a listing, page by page.
    pub(crate) async fn names(&self, path: &str) -> Vec<String> {
        let (mut names, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.json(&format!("{path}?raw_json=1&limit=100&after={after}")).await;
            names.extend(children(&page).iter().map(|post| post["name"].as_str().unwrap().to_owned()));
            match page["data"]["after"].as_str() {
                Some(next) => after = next.to_owned(),
                None => return names,
            }
        }
    }
}

async fn ask_for_token(client: &Client, secret: &str, form: &[(&str, &str)]) -> Response {
    client.http.post(client.mapped(TOKEN)).basic_auth(CLIENT_ID, Some(secret)).form(form).send().await.unwrap()
}

async fn token(client: &Client) -> String {
    let answer = ask_for_token(client, CLIENT_SECRET, &[("grant_type", "client_credentials")]).await;
    answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
}

pub(crate) fn children(listing: &Value) -> Vec<Value> {
    assert_eq!(listing["kind"], "Listing");
    listing["data"]["children"].as_array().unwrap().iter().map(|child| child["data"].clone()).collect()
}

#[tokio::test]
async fn tokens_are_given_for_the_right_secret_and_the_right_grant() {
    let sandbox = Sandbox::start(config(51, 5)).await.unwrap();
    let client = Client::new(&sandbox);
    let device = [("grant_type", "https://oauth.reddit.com/grants/installed_client"), ("device_id", &"d".repeat(24))];
    type Form<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Form<'_>, u16, &str); 5] = [
        (CLIENT_SECRET, &[("grant_type", "client_credentials")], 200, "token_type"),
        ("", &device, 200, "token_type"),
        ("", &device[..1], 200, "error"),
        (CLIENT_SECRET, &[("grant_type", "password")], 200, "error"),
        ("wrong", &[("grant_type", "client_credentials")], 401, "error"),
    ];
    for (secret, form, status, field) in cases {
        let answer = ask_for_token(&client, secret, form).await;
        assert_eq!(answer.status(), status, "{form:?}");
        let body: Value = answer.json().await.unwrap();
        assert!(body.get(field).is_some(), "{form:?}: {body}");
    }
    let answer =
        ask_for_token(&client, CLIENT_SECRET, &[("grant_type", "client_credentials"), ("scope", "read")]).await;
    let body: Value = answer.json().await.unwrap();
    assert_eq!((&body["expires_in"], &body["scope"]), (&json!(86_400), &json!("read")));
}

#[tokio::test]
async fn a_listing_goes_through_all_subreddits_newest_first() {
    let sandbox = Sandbox::start(config(52, 450)).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let names = reddit.names("/r/wildlifephotography+flowers+EarthPorn+NatureIsFuckingLit/new").await;
    let posts = sandbox.truth().posts.iter().rev().filter(|post| post.is_listed);
    assert_eq!(names, posts.map(|post| format!("t3_{}", post.id)).collect::<Vec<_>>());
    let one = reddit.names("/r/earthporn/new.json").await;
    let posts = sandbox.truth().posts.iter().rev();
    let posts = posts.filter(|post| post.is_listed && post.subreddit == "EarthPorn");
    assert_eq!(one, posts.map(|post| format!("t3_{}", post.id)).collect::<Vec<_>>());
    for (limit, expected) in [("", 25), ("&limit=0", 1), ("&limit=1024", 100), ("&limit=many", 25)] {
        let page = reddit.json(&format!("/r/flowers+EarthPorn/new?raw_json=1{limit}")).await;
        assert_eq!((children(&page).len(), &page["data"]["dist"]), (expected, &json!(expected)), "{limit}");
    }
    let back = reddit.json(&format!("/r/earthporn/new?limit=5&before={}", one[20])).await;
    let back: Vec<_> = children(&back).iter().map(|post| post["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(back, one[15..20]);
}

#[tokio::test]
async fn a_listing_ends_at_its_cap_and_shows_no_later_post() {
    let oauth = OauthConfig { listing_max: 120, ..OauthConfig::default() };
    let sandbox = Sandbox::start(SandboxConfig { oauth, ..config(53, 400) }).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let all = "/r/wildlifephotography+flowers+EarthPorn+NatureIsFuckingLit/new";
    assert_eq!(reddit.names(all).await.len(), 120);

    let middle = sandbox.truth().posts[200].created_utc;
    let config = SandboxConfig { starts_at: Some(middle), clock: Clock::fixed(0), ..config(53, 400) };
    let sandbox = Sandbox::start(config).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let before = reddit.names(all).await.len();
    let expected = |now| {
        let posts = sandbox.truth().posts.iter().filter(|post| post.created_utc <= now);
        posts.filter(|post| post.is_listed).count()
    };
    assert_eq!(before, expected(middle));
    reddit.client.simulator("/_sim/clock?advance=3600").await;
    assert_eq!((sandbox.now(), reddit.names(all).await.len()), (middle + 3_600, expected(middle + 3_600)));
}

#[tokio::test]
async fn an_anchor_that_is_gone_is_met_in_each_way() {
    for (lost_anchor, first) in [(LostAnchor::Continues, 1), (LostAnchor::Ends, 3), (LostAnchor::Restarts, 0)] {
        let oauth = OauthConfig { lost_anchor, ..OauthConfig::default() };
        let sandbox = Sandbox::start(SandboxConfig { oauth, ..config(54, 300) }).await.unwrap();
        let reddit = Reddit::new(&sandbox).await;
        let gone = sandbox.truth().posts.iter().find(|post| !post.is_listed).unwrap();
        let listed = reddit.names(&format!("/r/{}/new", gone.subreddit)).await;
        let page = reddit.json(&format!("/r/{}/new?limit=100&after=t3_{}", gone.subreddit, gone.id)).await;
        let found = children(&page);
        match first {
            0 => assert_eq!(found[0]["name"], listed[0].as_str()),
            1 => assert!(found[0]["id"].as_str().unwrap() < gone.id.as_str(), "{}", found[0]["id"]),
            _ => assert!(found.is_empty() && page["data"]["after"].is_null()),
        }
    }
}

#[tokio::test]
async fn look_ups_keep_the_order_and_pass_over_what_is_unknown() {
    let sandbox = Sandbox::start(config(55, 130)).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let mut names: Vec<_> = sandbox.truth().posts.iter().map(|post| format!("t3_{}", post.id)).collect();
    names.reverse();
    let asked = format!("t3_zzzzzz,t1_{},{}", &names[0][3..], names[..60].join(","));
    let found = children(&reddit.json(&format!("/api/info/?raw_json=1&id={asked}")).await);
    let found: Vec<_> = found.iter().map(|post| post["name"].as_str().unwrap()).collect();
    assert_eq!(found, names[..60]);
    let many = reddit.json(&format!("/api/info?id={}", names.join("%2C"))).await;
    assert_eq!(children(&many).len(), 100);
    assert!(children(&reddit.json("/api/info").await).is_empty());
    assert_eq!(children(&reddit.json(&format!("/by_id/{},{}", names[3], names[1])).await).len(), 2);
    let page = reddit.json(&format!("/comments/{}/?limit=2048&sort=confidence", &names[7][3..])).await;
    assert_eq!(children(&page[0])[0]["name"], names[7].as_str());
    assert!(children(&page[1]).is_empty());
    assert_eq!(reddit.get("/comments/zzzzzz").await.status(), 404);
}

#[tokio::test]
async fn texts_are_escaped_unless_raw_json_is_asked_for() {
    let sandbox = Sandbox::start(config(56, 200)).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let post = sandbox.truth().posts.iter().find(|post| post.title.contains('&')).unwrap();
    let ask = async |query: &str| {
        children(&reddit.json(&format!("/api/info?id=t3_{}{query}", post.id)).await)[0]["title"].clone()
    };
    assert_eq!(ask("&raw_json=1").await, post.title.as_str());
    assert_eq!(ask("").await, post.title.replace('&', "&amp;").replace('<', "&lt;").as_str());
}

#[tokio::test]
async fn requests_are_counted_and_tokens_end() {
    let clock = Clock::fixed(1_700_000_000);
    let oauth = OauthConfig { token_seconds: 3_600, requests_max: 3, ..OauthConfig::default() };
    let sandbox = Sandbox::start(SandboxConfig { oauth, clock: clock.clone(), ..config(57, 5) }).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let header = |answer: &Response, name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let rate = |answer: &Response| ["used", "remaining", "reset"].map(|n| header(answer, &format!("x-ratelimit-{n}")));
    let mut reset = 0;
    for (used, remaining, status) in [("1", "2.0", 200), ("2", "1.0", 200), ("3", "0.0", 200), ("3", "0.0", 429)] {
        let answer = reddit.get("/api/info?id=t3_a").await;
        let [found_used, found_remaining, found_reset] = rate(&answer);
        assert_eq!((answer.status().as_u16(), &*found_used, &*found_remaining), (status, used, remaining));
        assert!(answer.headers().get("retry-after").is_none());
        reset = found_reset.parse::<i64>().unwrap();
    }
    clock.advance(reset);
    assert_eq!(reddit.get("/api/info?id=t3_a").await.status(), 200);
    clock.advance(3_600);
    let answer = reddit.get("/api/info?id=t3_a").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(header(&answer, "www-authenticate"), "Bearer realm=\"reddit\", error=\"invalid_token\"");
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({"error": 401}));
    let reddit = Reddit::new(&sandbox).await;
    assert_eq!(reddit.get("/api/info?id=t3_a").await.status(), 200);
    sandbox.revoke_tokens();
    assert_eq!(reddit.get("/api/info?id=t3_a").await.status(), 401);
}

#[tokio::test]
async fn what_is_not_open_is_refused_as_reddit_does() {
    let sandbox = Sandbox::start(config(58, 5)).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    for (path, status, reason) in
        [("/r/private_club/new", 403, "private"), ("/r/banned_club/new", 404, "banned"), ("/r/a/b/c", 404, "")]
    {
        let answer = reddit.get(path).await;
        assert_eq!(answer.status(), status, "{path}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["reason"].as_str().unwrap_or_default(), reason, "{path}");
    }
    let url = "https://www.reddit.com/r/flowers/new.json";
    let blocked = reddit.client.get(url).await.unwrap();
    assert_eq!(blocked.status(), 403);
    assert!(blocked.headers()["content-type"].to_str().unwrap().starts_with("text/html"));

    let oauth = OauthConfig { anonymous: Anonymous::Allowed, ..OauthConfig::default() };
    let sandbox = Sandbox::start(SandboxConfig { oauth, ..config(58, 5) }).await.unwrap();
    assert_eq!(Client::new(&sandbox).get(url).await.unwrap().status(), 200);
    let none = Client::without_redirects(&sandbox).http;
    let token = token(&Client::new(&sandbox)).await;
    let url = format!("http://{}/r/nosuchsubreddit/new", sandbox.address());
    let answer = none.get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (302, &"/subreddits/search?q=nosuchsubreddit".parse().unwrap())
    );
}

#[tokio::test]
async fn a_subreddit_without_posts_is_empty_and_not_unknown() {
    let subreddits: Vec<String> = (0..9).map(|at| format!("club{at}")).collect();
    let sandbox = Sandbox::start(SandboxConfig { subreddits: subreddits.clone(), ..config(57, 4) }).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let mut empty = 0;
    for subreddit in subreddits {
        let listed = children(&reddit.json(&format!("/r/{subreddit}/new")).await);
        empty += usize::from(listed.is_empty());
    }
    assert!((5..9).contains(&empty), "{empty}");
}

#[tokio::test]
async fn a_client_that_does_not_say_who_it_is_is_told_to_slow_down() {
    let sandbox = Sandbox::start(config(59, 5)).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let url = reddit.client.mapped("https://oauth.reddit.com/api/info?id=t3_a");
    for (agent, status) in [("python-requests/2.34", 429), ("Mozilla/5.0 (X11)", 429), ("linux:app:v1 (by /u/me)", 200)]
    {
        let answer = reddit.client.http.get(&url).bearer_auth(&reddit.token).header("user-agent", agent).send().await;
        assert_eq!(answer.unwrap().status(), status, "{agent}");
    }
}
