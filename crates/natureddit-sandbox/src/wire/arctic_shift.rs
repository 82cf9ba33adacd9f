//! Posts as Arctic Shift gives them: Reddit's own fields, texts as written, whole seconds, and what its second
//! visit found.

use serde_json::{Map, Value, json};

use super::reddit;
use crate::corpus::SimPost;

/// Scores settle, and posts are visited again, so long after they were made.
const SECOND_VISIT: i64 = 36 * 3_600;
/// Fields that `fields=` does not know, and that are missing when it is sent.
const FIELDS_UNKNOWN: [&str; 5] = ["permalink", "is_gallery", "gallery_data", "media_metadata", "preview"];

/// A post as one object of `data`.
pub(crate) fn post(post: &SimPost, now: i64) -> Value {
    let mut object = reddit::fields(post, now);
    object.insert("created_utc".into(), json!(post.created_utc));
    object.insert("created".into(), json!(post.created_utc));
    object.insert("retrieved_on".into(), json!(post.created_utc + 12));
    if post.removed_by.is_none() {
        object.remove("removed_by_category");
    }
    let mut meta = Map::new();
    if now - post.created_utc > SECOND_VISIT {
        meta.insert("retrieved_2nd_on".into(), json!(post.created_utc + SECOND_VISIT));
    }
    if let Some(by) = post.removed_by {
        meta.insert("removal_type".into(), json!(by));
        meta.insert("was_initially_deleted".into(), json!(true));
    }
    object.insert("_meta".into(), Value::Object(meta));
    Value::Object(object)
}

/// Only the named fields of a post, or the first name that is refused.
pub(crate) fn only(post: Value, fields: &[&str]) -> Result<Value, String> {
    if let Some(refused) = fields.iter().find(|field| FIELDS_UNKNOWN.contains(field)) {
        return Err(format!("Invalid field: {refused}"));
    }
    let Value::Object(object) = post else { return Ok(post) };
    Ok(Value::Object(object.into_iter().filter(|(key, _)| fields.contains(&key.as_str())).collect()))
}
