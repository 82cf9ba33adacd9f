//! A varied corpus, and the hosts that its media are on.

use natureddit_image::{ImageLimits, decode};
use natureddit_sandbox::{DropReason, Outcome, Sandbox, SandboxConfig};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION, RANGE};
use serde_json::Value;

use crate::{Client, config};

const LIMITS: ImageLimits = ImageLimits { bytes_max: 50_000_000, pixels_max: 100_000_000 };

async fn all(client: &Client, sandbox: &Sandbox) -> Vec<Value> {
    let ids: Vec<_> = sandbox.truth().posts.iter().map(|post| post.id.to_string()).collect();
    let mut posts = Vec::new();
    for some in ids.chunks(400) {
        let url = format!("https://arctic-shift.photon-reddit.com/api/posts/ids?ids={}", some.join(","));
        let page: Value = client.get(&url).await.unwrap().json().await.unwrap();
        posts.extend(page["data"].as_array().unwrap().clone());
    }
    posts
}

#[tokio::test]
async fn every_kind_of_post_is_there_and_the_plain_corpus_is_as_before() {
    let varied = Sandbox::start(SandboxConfig { varied: true, ..config(81, 200) }).await.unwrap();
    let client = Client::new(&varied);
    let posts = all(&client, &varied).await;
    let with = |field: &str| posts.iter().filter(|post| post.get(field).is_some_and(|value| *value == true)).count();
    assert!(with("promoted") > 0 && with("quarantine") > 0);
    let parents: Vec<_> = posts.iter().filter_map(|post| post["crosspost_parent_list"].get(0)).collect();
    assert!(parents.iter().any(|parent| parent["removed_by_category"] == "moderator"));
    assert!(parents.iter().any(|parent| parent["removed_by_category"].is_null() && parent["subreddit"] == "pics"));
    assert!(posts.iter().any(|post| post["title"].as_str().unwrap().starts_with("=HYPERLINK(\"")));
    assert!(posts.iter().any(|post| post["removed_by_category"] == "automod_filtered"));
    for reason in DropReason::ALL.into_iter().chain(DropReason::VARIED) {
        assert!(varied.truth().drops.contains_key(&reason), "{reason:?}");
    }
    let plain = Sandbox::start(config(81, 200)).await.unwrap();
    assert!(DropReason::VARIED.iter().all(|reason| !plain.truth().drops.contains_key(reason)));
    let time = |sandbox: &Sandbox| sandbox.truth().posts.iter().map(|post| post.created_utc).collect::<Vec<_>>();
    assert_eq!(time(&plain), time(&varied));
}

#[tokio::test]
async fn imgur_serves_pictures_pages_and_a_notice_for_what_is_gone() {
    let sandbox = Sandbox::start(SandboxConfig { varied: true, ..config(82, 200) }).await.unwrap();
    let client = Client::without_redirects(&sandbox);
    let posts = all(&client, &sandbox).await;
    let of = |part: &str, outcome: Outcome| {
        let fits = |post: &&Value| post["url"].as_str().unwrap().contains(part);
        let is =
            |post: &&Value| sandbox.truth().posts.iter().any(|t| post["id"] == t.id.as_str() && t.outcome == outcome);
        posts.iter().filter(fits).find(is).unwrap()["url"].as_str().unwrap().replace("http://", "https://")
    };
    let photo = Outcome::Row { photos: 1 };
    let direct = client.get(&of("i.imgur.com", photo)).await.unwrap();
    assert!(decode(&direct.bytes().await.unwrap(), &LIMITS).is_ok());
    let page = of("//imgur.com/", photo);
    let answer = client.get(&page).await.unwrap();
    assert!(answer.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    let behind = format!("{}.jpg", page.replace("//imgur", "//i.imgur"));
    let answer = client.get(&behind).await.unwrap();
    let declared = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(natureddit_image::inspect(&bytes, &LIMITS).unwrap().format.media_type(), declared);
    let moved = client.get(&format!("{page}.png")).await.unwrap();
    assert_eq!(
        (moved.status().as_u16(), &moved.headers()[LOCATION]),
        (302, &behind.replace(".jpg", ".png").parse().unwrap())
    );
    let gone = client.get(&of("i.imgur.com", Outcome::Drop { reason: DropReason::Placeholder })).await.unwrap();
    assert_eq!(gone.headers()[LOCATION], "https://i.imgur.com/removed.png");
    let notice = client.bytes("https://i.imgur.com/removed.png").await;
    assert_eq!(notice.len(), 503);
    assert!(decode(&notice, &LIMITS).is_ok());
}

#[tokio::test]
async fn who_asks_as_a_browser_does_gets_what_a_browser_shows() {
    let sandbox = Sandbox::start(config(83, 40)).await.unwrap();
    let client = Client::new(&sandbox);
    let posts = all(&client, &sandbox).await;
    let is_jpeg = |post: &&Value| post["preview"].is_object() && post["url"].as_str().unwrap().ends_with(".jpg");
    let kept = |post: &&Value| {
        let truth = sandbox.truth().posts.iter().find(|truth| post["id"] == truth.id.as_str()).unwrap();
        matches!(truth.outcome, Outcome::Row { .. })
    };
    let post = posts.iter().filter(is_jpeg).find(kept).unwrap();
    let url = post["url"].as_str().unwrap();
    let ask = async |accept: &str| {
        let answer = client.http.get(client.mapped(url)).header(ACCEPT, accept).send().await.unwrap();
        answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned()
    };
    assert_eq!(ask("image/jpeg,image/png;q=0.9,*/*;q=0.1").await, "image/jpeg");
    assert_eq!(ask("image/avif,image/webp,*/*").await, "image/webp");
    assert!(ask("text/html,application/xhtml+xml,image/webp,*/*").await.starts_with("text/html"));

    let whole = client.bytes(url).await;
    let part = client.http.get(client.mapped(url)).header(RANGE, "bytes=100-199").send().await.unwrap();
    assert_eq!((part.status().as_u16(), &part.bytes().await.unwrap()[..]), (206, &whole[100..200]));

    let preview = post["preview"]["images"][0]["resolutions"][0]["url"].as_str().unwrap();
    assert_eq!(client.get(preview).await.unwrap().status(), 200);
    for wrong in [preview.replace('&', "&amp;"), preview.replace("crop=smart&", ""), preview.replace("s=", "s=0")] {
        assert_eq!(client.get(&wrong).await.unwrap().status(), 403, "{wrong}");
    }
}
