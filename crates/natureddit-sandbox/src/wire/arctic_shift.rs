//! Posts as Arctic Shift gives them: Reddit's own fields, texts as written, whole seconds, and what its second
//! visit found.

use serde_json::{Map, Value, json};

use super::reddit;
use crate::changes::Archived;

/// Fields that `fields=` does not know, and that are missing when it is sent.
const FIELDS_UNKNOWN: [&str; 5] = ["permalink", "is_gallery", "gallery_data", "media_metadata", "preview"];

/// A post as one object of `data`, and as one line of a dump.
pub(crate) fn post(archived: &Archived<'_>, now: i64) -> Value {
    let (post, visit) = (&archived.post, archived.second_visit);
    let mut object = reddit::fields(post, visit.unwrap_or(post.created_utc + 12).min(now));
    // It is made from the text, and only for those who ask.
    object.remove("selftext_html");
    whole_seconds(&mut object);
    for parent in object.get_mut("crosspost_parent_list").and_then(Value::as_array_mut).into_iter().flatten() {
        parent.as_object_mut().into_iter().for_each(whole_seconds);
    }
    object.insert("retrieved_on".into(), json!(post.created_utc + 12));
    let mut meta = Map::new();
    if let Some(at) = visit {
        meta.insert("retrieved_2nd_on".into(), json!(at));
    }
    if let Some(gone) = &archived.gone {
        object.insert("removed_by_category".into(), json!(gone.by));
        meta.insert("removal_type".into(), json!(gone.by));
        meta.insert(if gone.at_first { "was_initially_deleted" } else { "was_deleted_later" }.into(), json!(true));
    }
    object.insert("_meta".into(), Value::Object(meta));
    Value::Object(object)
}

/// Reddit writes its times with a point, the archive without.
fn whole_seconds(post: &mut Map<String, Value>) {
    for key in ["created", "created_utc"] {
        if let Some(second) = post.get(key).and_then(Value::as_f64) {
            post.insert(key.into(), json!(second as i64));
        }
    }
}

/// Only the named fields of a post, or the first name that is refused.
pub(crate) fn only(post: Value, fields: &[&str]) -> Result<Value, String> {
    if let Some(refused) = fields.iter().find(|field| FIELDS_UNKNOWN.contains(field)) {
        return Err(format!("Invalid field: {refused}"));
    }
    let Value::Object(object) = post else { return Ok(post) };
    Ok(Value::Object(object.into_iter().filter(|(key, _)| fields.contains(&key.as_str())).collect()))
}
