//! Each post beside the schema of a whole month of posts: 46 million of January 2026, with the types of every field, down to
//! the pictures of a gallery, the words it takes and what was never seen.

use std::collections::BTreeSet;

use natureddit_sandbox::{Sandbox, SandboxConfig};
use serde_json::{Value, json};

use crate::recorded::{kind, recorded};
use crate::{Client, config};

/// What the simulator says and that month does not. Advertisements are in no archive, but are in what Reddit itself gives;
/// pictures that were taken out of a gallery are in recorded ones.
const KNOWN: [&str; 2] =
    ["gallery_data.items[].is_deleted is a field that no post had", "promoted is true, which no post was"];

/// What of a value the schema does not know, each with its path. `kinds` are the types it may have.
fn misfits(value: &Value, kinds: &Value, path: &str) -> BTreeSet<String> {
    let fits = |of: &&Value| of["type"] == kind(value);
    let Some(of) = kinds.as_array().and_then(|kinds| kinds.iter().find(fits)) else {
        return BTreeSet::from([format!("{path} is of the type {}, which no post had", kind(value))]);
    };
    let schema = &of["schema"];
    match value {
        Value::Bool(value) if schema[value.to_string()] == 0 => {
            BTreeSet::from([format!("{path} is {value}, which no post was")])
        }
        Value::String(text) => match schema["values"].as_array() {
            Some(words) if words.iter().all(|word| word["value"] != text.as_str()) => {
                BTreeSet::from([format!("{path} is {text:?}, which no post had")])
            }
            _ => BTreeSet::new(),
        },
        Value::Array(items) => {
            items.iter().flat_map(|item| misfits(item, &schema["schema"], &format!("{path}[]"))).collect()
        }
        // A map by ids that are no field's name.
        Value::Object(fields) if schema["type"] == "key-value" => {
            fields.values().flat_map(|value| misfits(value, &schema["schema"], &format!("{path}{{}}"))).collect()
        }
        Value::Object(fields) => {
            fields.iter().flat_map(|(key, value)| field_misfits(key, value, schema, path)).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn field_misfits(key: &str, value: &Value, schema: &Value, path: &str) -> BTreeSet<String> {
    let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match schema.get(key) {
        Some(kinds) => misfits(value, kinds, &path),
        None => BTreeSet::from([format!("{path} is a field that no post had")]),
    }
}

#[tokio::test]
async fn each_post_fits_the_schema_of_a_month() {
    let Some(schema) = recorded("2026_RS_2026-01.json") else { return };
    let sandbox = Sandbox::start(SandboxConfig { varied: true, ..config(99, 300) }).await.unwrap();
    let client = Client::new(&sandbox);
    let ids: Vec<_> = sandbox.truth().posts.iter().map(|post| post.id.to_string()).collect();
    let url = format!("https://arctic-shift.photon-reddit.com/api/posts/ids?ids={}", ids.join(","));
    let page: Value = client.get(&url).await.unwrap().json().await.unwrap();
    let posts = page["data"].as_array().unwrap();
    assert_eq!(posts.len(), 300);
    let found: BTreeSet<_> = posts.iter().flat_map(|post| misfits(post, &schema, "")).collect();
    assert_eq!(found, KNOWN.map(str::to_owned).into());

    // The schema can refuse.
    for (field, value, misfit) in [
        (
            "gallery_data",
            json!({"items": [{"media_id": 7}]}),
            "gallery_data.items[].media_id is of the type int, which no post had",
        ),
        ("media_metadata", json!({"a": {"status": "done"}}), "media_metadata{}.status is \"done\", which no post had"),
        ("is_gallery", json!(false), "is_gallery is false, which no post was"),
        ("full_link", json!(""), "full_link is a field that no post had"),
    ] {
        let mut post = posts[0].clone();
        post[field] = value;
        assert!(misfits(&post, &schema, "").contains(misfit), "{misfit}: {:?}", misfits(&post, &schema, ""));
    }
}
