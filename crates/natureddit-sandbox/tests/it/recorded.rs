//! What the simulator says beside what Reddit was recorded to say. The recordings are not part of this repository;
//! without them these tests are skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use natureddit_core::fs;
use natureddit_sandbox::{FaultAction, Sandbox, SandboxConfig, Script};
use reqwest::Response;
use serde_json::Value;

use crate::oauth::{Reddit, children};
use crate::{Client, config};

/// A recorded exchange or another file of the recordings.
pub(crate) fn recorded(name: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reddit").join(name);
    let Ok(bytes) = fs::read(&path) else {
        // Past the capture of a passing test's output.
        let _ = writeln!(std::io::stderr(), "skipped: {} is absent", path.display());
        return None;
    };
    Some(serde_json::from_slice(&bytes).unwrap())
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// An answer with its body.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Self { status: response.status().as_u16(), headers, body: response.text().await.unwrap() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status, the headers that clients act upon and, where it is JSON, the body's shape.
    fn is_like(&self, recorded: &Value, name: &str) {
        let recorded = &recorded["response"];
        assert_eq!(recorded["status"], self.status, "{name}");
        for header in ["content-type", "www-authenticate", "retry-after"] {
            let wanted = recorded["headers"].get(header).and_then(Value::as_str);
            let same = |value: &str| value.to_ascii_lowercase().replace(' ', "");
            let found = self.headers.get(header).map(|value| same(value));
            if header != "content-type" || self.status == 200 {
                let content_type = |value: String| value.split(';').next().map(str::to_owned);
                let cut = |value: Option<String>| {
                    if header == "content-type" { value.and_then(content_type) } else { value }
                };
                assert_eq!(cut(found), cut(wanted.map(same)), "{name}: {header}");
            }
        }
        if let Some(body) = recorded["json"].as_object() {
            let found = self.json();
            for (key, value) in body {
                assert_eq!(found.get(key).map(kind), Some(kind(value)), "{name}: {key}");
            }
        }
    }
}

async fn token(client: &Client, scope: Option<&str>) -> Answer {
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(scope.map(|scope| ("scope", scope)));
    let url = client.mapped("https://www.reddit.com/api/v1/access_token");
    let request =
        client.http.post(url).basic_auth(natureddit_sandbox::CLIENT_ID, Some(natureddit_sandbox::CLIENT_SECRET));
    Answer::of(request.form(&form).send().await.unwrap()).await
}

#[tokio::test]
async fn tokens_and_errors_are_as_recorded() {
    let sandbox = Sandbox::start(config(97, 20)).await.unwrap();
    let client = Client::without_redirects(&sandbox);
    for (name, scope) in [("token_2026", None), ("token_ok_2016", None), ("token_scoped", Some("history read"))] {
        let Some(exchange) = recorded(&format!("http/{name}.json")) else { return };
        token(&client, scope).await.is_like(&exchange, name);
    }
    let reddit = Reddit::new(&sandbox).await;
    let reddit = Reddit { client: Client::without_redirects(&sandbox), ..reddit };
    let status = |code| FaultAction::Status { code, retry_after: None };
    let cases = [
        ("get_429_retry_after_html", FaultAction::TooManyPage { retry_after: 4 }),
        ("get_401_invalid_token", FaultAction::Revoke),
        ("get_500", status(500)),
        ("get_502", status(502)),
        ("get_503_empty", status(503)),
        ("get_504", status(504)),
        ("get_520", status(520)),
        ("get_522", status(522)),
        ("get_451", status(451)),
    ];
    for (name, action) in cases {
        let Some(exchange) = recorded(&format!("http/{name}.json")) else { return };
        let fault = natureddit_sandbox::Fault::new("/new", 1, 1, action);
        sandbox.play(Script { faults: vec![fault], events: Vec::new() });
        let answer = Answer::of(reddit.get("/r/flowers/new").await).await;
        answer.is_like(&exchange, name);
        match exchange["response"]["text"].as_str() {
            Some("") => assert_eq!(answer.body, "", "{name}"),
            Some(_) => {
                assert!(answer.body.contains("whoa there, pardner!") && answer.body.contains("wait 4 second(s)"));
            }
            None => assert_eq!(answer.json(), exchange["response"]["json"], "{name}"),
        }
    }
    let Some(exchange) = recorded("http/token_429_json.json") else { return };
    let fault = natureddit_sandbox::Fault::new("access_token", 1, 1, FaultAction::TooManyJson);
    sandbox.play(Script { faults: vec![fault], events: Vec::new() });
    let answer = token(&client, None).await;
    answer.is_like(&exchange, "token_429_json");
    assert_eq!(answer.json(), exchange["response"]["json"]);
}

#[tokio::test]
async fn refusals_are_as_recorded() {
    let sandbox = Sandbox::start(config(97, 20)).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let reddit = Reddit { client: Client::without_redirects(&sandbox), ..reddit };
    let cases = [
        ("get_302", "/r/nosuchsubreddit/new"),
        ("get_404", "/r/banned_club/new"),
        ("get_403_forbidden", "/r/private_x/new"),
    ];
    for (name, path) in cases {
        let Some(exchange) = recorded(&format!("http/{name}.json")) else { return };
        let answer = Answer::of(reddit.get(path).await).await;
        assert_eq!(exchange["response"]["status"], answer.status);
        assert_eq!(exchange["response"]["headers"].get("location").is_some(), answer.headers.contains_key("location"));
        if exchange["response"]["json"].is_object() {
            assert!(answer.json().is_object(), "{name}");
        }
    }
}

/// The types that each field has among objects, and in how many of them it is.
fn fields(posts: &[Value]) -> BTreeMap<String, (usize, BTreeSet<&'static str>)> {
    let mut fields: BTreeMap<String, (usize, BTreeSet<&'static str>)> = BTreeMap::new();
    for (key, value) in posts.iter().flat_map(|post| post.as_object().unwrap()) {
        let (count, kinds) = fields.entry(key.clone()).or_default();
        *count += 1;
        kinds.insert(kind(value));
    }
    fields
}

/// The types that a field has in the schema of a whole month's posts.
fn schema() -> Option<BTreeMap<String, BTreeSet<String>>> {
    let schema = recorded("2026_RS_2026-01.json")?;
    let kinds = |kinds: &Value| -> BTreeSet<String> {
        kinds.as_array().unwrap().iter().map(|kind| kind["type"].as_str().unwrap().to_owned()).collect()
    };
    Some(schema[0]["schema"].as_object().unwrap().iter().map(|(key, value)| (key.clone(), kinds(value))).collect())
}

#[tokio::test]
async fn posts_of_a_listing_have_the_recorded_fields_and_types() {
    let Some(exchange) = recorded("http/oauth_2026_listing.json") else { return };
    let Some(schema) = schema() else { return };
    let sandbox = Sandbox::start(SandboxConfig { varied: true, ..config(98, 300) }).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let path = "/r/wildlifephotography+flowers+EarthPorn+NatureIsFuckingLit/new?limit=100&raw_json=1";
    let answer = Answer::of(reddit.get(path).await).await;
    answer.is_like(&exchange, "oauth_2026_listing");
    let theirs = &exchange["response"]["headers"];
    for header in ["x-ratelimit-used", "x-ratelimit-remaining", "x-ratelimit-reset"] {
        let (ours, theirs) = (&answer.headers[header], theirs[header].as_str().unwrap());
        assert_eq!(ours.contains('.'), theirs.contains('.'), "{header}: {ours}");
        assert!(ours.parse::<f64>().is_ok());
    }
    let (ours, theirs) = (answer.json(), &exchange["response"]["json"]);
    assert_eq!((keys(&ours), keys(&ours["data"])), (keys(theirs), keys(&theirs["data"])));
    assert_eq!(keys(&ours["data"]["children"][0]), keys(&theirs["data"]["children"][0]));
    let (ours, theirs) = (children(&ours), children(theirs));
    let known = fields(&theirs);
    for post in ours.iter().filter(|post| post["is_self"] == false && post["author"] != "[deleted]") {
        for (key, _) in known.iter().filter(|(_, (count, _))| *count == theirs.len()) {
            assert!(post.get(key).is_some(), "{}: no {key}", post["id"]);
        }
    }
    for (key, (_, kinds)) in fields(&ours) {
        let recorded = known.get(&key).map(|(_, kinds)| kinds.clone()).unwrap_or_default();
        for kind in kinds {
            let in_month = schema.get(&key).is_some_and(|kinds| kinds.contains(kind));
            assert!(recorded.contains(kind) || in_month, "{key} is {kind}");
        }
    }
}

#[tokio::test]
async fn galleries_have_the_recorded_shape() {
    let names = ["gallery_3__1sk9dgm", "gallery_all_unprocessed__1khu9tf", "gallery_3of4_failed__hzobai"];
    let posts: Option<Vec<Value>> = names.iter().map(|name| recorded(&format!("posts/{name}.json"))).collect();
    let Some(posts) = posts else { return };
    fn post(value: &Value) -> &Value {
        if value.get("permalink").is_some() {
            value
        } else {
            post(value.as_object().unwrap().values().find(|v| v.is_object()).unwrap())
        }
    }
    let all = |posts: &[&Value], part: &str| -> Vec<Value> {
        let of = |post: &&Value| match &post[part] {
            Value::Object(map) if part == "media_metadata" => map.values().cloned().collect(),
            value => value["items"].as_array().cloned().unwrap_or_default(),
        };
        posts.iter().flat_map(of).collect()
    };
    let theirs: Vec<&Value> = posts.iter().map(post).collect();
    let sandbox = Sandbox::start(config(100, 300)).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let mut ours = Vec::new();
    for some in sandbox.truth().posts.chunks(100) {
        let names: Vec<_> = some.iter().map(|post| format!("t3_{}", post.id)).collect();
        ours.extend(children(&reddit.json(&format!("/api/info?raw_json=1&id={}", names.join(","))).await));
    }
    ours.retain(|post| post["is_gallery"] == true);
    let ours: Vec<&Value> = ours.iter().collect();
    for part in ["gallery_data", "media_metadata"] {
        let known = fields(&all(&theirs, part));
        for (key, (_, kinds)) in fields(&all(&ours, part)) {
            let (_, recorded) = known.get(&key).unwrap_or_else(|| panic!("{part}: no {key} was recorded"));
            assert!(kinds.is_subset(recorded), "{part}: {key} is {kinds:?}");
        }
    }
    let sources = |posts: &[&Value]| -> Vec<Value> {
        all(posts, "media_metadata").into_iter().filter_map(|media| media.get("s").cloned()).collect()
    };
    let (ours, theirs) = (fields(&sources(&ours)), fields(&sources(&theirs)));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn look_ups_and_comment_pages_have_the_recorded_shape() {
    let (Some(info), Some(page)) = (recorded("http/api_info.json"), recorded("http/get_raw_json_1.json")) else {
        return;
    };
    let Some(today) = recorded("http/oauth_2026_listing.json") else { return };
    let today = fields(&children(&today["response"]["json"]));
    let sandbox = Sandbox::start(config(101, 30)).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let post = sandbox.truth().posts.iter().find(|post| post.is_listed).unwrap();
    let ours = children(&reddit.json(&format!("/api/info?raw_json=1&id=t3_{}", post.id)).await);
    let theirs: Vec<_> = info["response"]["json"]["data"]["children"].as_array().unwrap().iter().collect();
    let theirs: Vec<_> = theirs.iter().filter(|child| child["kind"] == "t3").map(|child| &child["data"]).collect();
    // A field of 2016 that the posts of 2026 have no more is not missed.
    for key in keys(theirs[0]).into_iter().filter(|key| today.contains_key(*key)) {
        assert!(ours[0].get(key).is_some(), "no {key}");
    }
    let answer = Answer::of(reddit.get(&format!("/comments/{}?raw_json=1", post.id)).await).await;
    let (ours, theirs) = (answer.json(), &page["response"]["json"]);
    assert_eq!(ours.as_array().unwrap().len(), theirs.as_array().unwrap().len());
    assert!((0..2).all(|at| keys(&theirs[at]["data"]).is_subset(&keys(&ours[at]["data"]))));
    assert_eq!(ours[0]["data"]["children"][0]["kind"], theirs[0]["data"]["children"][0]["kind"]);
}
