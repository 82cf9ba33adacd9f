//! Repositories of a hub on loopback that nobody pinned beforehand.

use natureddit_core::{Progress, fs};
use natureddit_net::assets::{AssetError, HubFile, HubRepo, SourceError};

use super::fixture::{Fixture, content};
use super::site::Site;

const FILES: [HubFile; 3] = [
    HubFile { names: &["config.json"], is_optional: false },
    HubFile { names: &["model.safetensors", "pytorch_model.bin"], is_optional: false },
    HubFile { names: &["tokenizer_config.json"], is_optional: true },
];
const REPO: HubRepo<'static> = HubRepo { repo: "owner/model", revision: "main", files: &FILES };

/// A hub whose repository has a config and old weights.
fn site(weights: Vec<u8>) -> Site {
    let mut site = Site::new("/owner/model/resolve/main/pytorch_model.bin", weights, &[]);
    let config = ("application/json", "{\"model_type\":\"bert\"}".to_owned());
    site.pages.insert("/owner/model/resolve/main/config.json".to_owned(), config);
    site
}

async fn serve(site: &Site, fixture: &mut Fixture) {
    fixture.config.hub_url = format!("http://127.0.0.1:{}", site.serve().await).parse().unwrap();
}

#[tokio::test]
async fn a_repository_is_pulled_once_and_pinned() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.store().cached_repo(&REPO).await.unwrap(), None);
    let site = site(content(5000));
    serve(&site, &mut fixture).await;
    let folder = fixture.store().pull_repo(&REPO, &Progress::silent()).await.unwrap();
    assert_eq!(fs::read(&folder.join("pytorch_model.bin")).unwrap(), content(5000));
    assert_eq!(fixture.cached_names(), ["config.json", "pins.json", "pytorch_model.bin"]);
    let pins = fs::read_to_string(&folder.join("pins.json")).unwrap();
    assert!(pins.contains("\"model.safetensors\": null") && pins.contains("\"tokenizer_config.json\": null"), "{pins}");

    // Nothing is asked for again.
    let away = Fixture::new().config.hub_url;
    fixture.config.hub_url = away;
    assert_eq!(fixture.store().pull_repo(&REPO, &Progress::silent()).await.unwrap(), folder);
    assert_eq!(fixture.store().cached_repo(&REPO).await.unwrap(), Some(folder));
    assert_eq!(site.asked().len(), 1);
}

const SHARDED: [HubFile; 1] =
    [HubFile { names: &["model.safetensors", "model.safetensors.index.json"], is_optional: false }];

/// A hub whose repository has its weights in two files.
fn sharded(index: &str) -> Site {
    let mut site = Site::new("/owner/model/resolve/main/m-1.safetensors", content(5000), &[]);
    let mut page = |name: &str, text: &str| {
        site.pages.insert(format!("/owner/model/resolve/main/{name}"), ("application/json", text.to_owned()));
    };
    page("model.safetensors.index.json", index);
    page("m-2.safetensors", "the second");
    site
}

#[tokio::test]
async fn weights_in_several_files_come_with_their_index() {
    let repo = HubRepo { files: &SHARDED, ..REPO };
    let mut fixture = Fixture::new();
    let index = r#"{"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}}"#;
    serve(&sharded(index), &mut fixture).await;
    let folder = fixture.store().pull_repo(&repo, &Progress::silent()).await.unwrap();
    assert_eq!(fs::read(&folder.join("m-1.safetensors")).unwrap(), content(5000));
    let names = ["m-1.safetensors", "m-2.safetensors", "model.safetensors.index.json", "pins.json"];
    assert_eq!(fixture.cached_names(), names);
    assert_eq!(fixture.store().cached_repo(&repo).await.unwrap(), Some(folder.clone()));
    // Each of them is pinned, and pulled again where it is gone.
    fs::remove_file(&folder.join("m-2.safetensors")).unwrap();
    assert_eq!(fixture.store().cached_repo(&repo).await.unwrap(), None);
    fixture.store().pull_repo(&repo, &Progress::silent()).await.unwrap();
    assert_eq!(fs::read_to_string(&folder.join("m-2.safetensors")).unwrap(), "the second");

    for (index, told) in [
        (r#"{"weight_map":{"a":"m-3.safetensors"}}"#, "could not pull http://"),
        (r#"{"weight_map":{"a":"../m.safetensors"}}"#, "model.safetensors.index.json cannot be followed"),
    ] {
        let mut fixture = Fixture::new();
        serve(&sharded(index), &mut fixture).await;
        let refused = fixture.store().pull_repo(&repo, &Progress::silent()).await.unwrap_err();
        assert!(refused.to_string().contains(told) && refused.hint().is_some(), "{refused}");
    }
}

#[tokio::test]
async fn another_content_than_at_first_is_refused() {
    let mut fixture = Fixture::new();
    serve(&site(content(5000)), &mut fixture).await;
    let folder = fixture.store().pull_repo(&REPO, &Progress::silent()).await.unwrap();
    fs::remove_file(&folder.join("pytorch_model.bin")).unwrap();
    assert_eq!(fixture.store().cached_repo(&REPO).await.unwrap(), None);

    serve(&site(content(6000)), &mut fixture).await;
    let refused = fixture.store().pull_repo(&REPO, &Progress::silent()).await.unwrap_err();
    assert!(refused.hint().unwrap().contains("remove"), "{refused}");
    match refused {
        AssetError::Repo { url, source } => {
            assert!(url.ends_with("/owner/model/resolve/main/pytorch_model.bin"), "{url}");
            assert!(matches!(*source, SourceError::WrongContent { .. }), "{source}");
        }
        other => panic!("{other}"),
    }

    serve(&site(content(5000)), &mut fixture).await;
    assert_eq!(fixture.store().pull_repo(&REPO, &Progress::silent()).await.unwrap(), folder);
}

#[tokio::test]
async fn a_changed_file_is_pulled_again() {
    let mut fixture = Fixture::new();
    serve(&site(content(5000)), &mut fixture).await;
    let folder = fixture.store().pull_repo(&REPO, &Progress::silent()).await.unwrap();
    fs::write_atomic(&folder.join("config.json"), "{}").unwrap();
    assert_eq!(fixture.store().pull_repo(&REPO, &Progress::silent()).await.unwrap(), folder);
    assert!(fs::read_to_string(&folder.join("config.json")).unwrap().contains("bert"));
}

#[tokio::test]
async fn a_repository_without_what_is_needed_is_told_with_its_address() {
    let mut fixture = Fixture::new();
    serve(&Site::new("/elsewhere", Vec::new(), &[]), &mut fixture).await;
    let refused = fixture.store().pull_repo(&REPO, &Progress::silent()).await.unwrap_err();
    let AssetError::Repo { url, source } = refused else { panic!("{refused}") };
    assert!(url.ends_with("/owner/model/resolve/main/config.json"), "{url}");
    assert!(matches!(*source, SourceError::Status { status: 404 }), "{source}");
}

#[tokio::test]
async fn a_hub_that_cannot_be_reached_is_told() {
    let fixture = Fixture::new();
    let refused = fixture.store().pull_repo(&REPO, &Progress::silent()).await.unwrap_err();
    let hint = refused.hint().unwrap().to_owned();
    assert!(matches!(refused, AssetError::Repo { .. }), "{refused}");
    assert!(hint.contains("a folder that begins with"), "{hint}");
}
