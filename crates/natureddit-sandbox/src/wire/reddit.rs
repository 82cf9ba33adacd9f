//! Posts as Reddit itself writes them in 2026, with every field that a recorded listing has.

use serde_json::{Map, Value, json};

use super::{author_fullname, media, number_of, permalink, subreddit_id};
use crate::corpus::SimPost;

/// Fields that are `null` in every post of the simulator.
const NULL: [&str; 28] = [
    "approved_at_utc",
    "approved_by",
    "author_flair_background_color",
    "author_flair_css_class",
    "author_flair_template_id",
    "author_flair_text",
    "author_flair_text_color",
    "banned_at_utc",
    "banned_by",
    "category",
    "content_categories",
    "discussion_type",
    "distinguished",
    "likes",
    "link_flair_css_class",
    "media",
    "mod_note",
    "mod_reason_by",
    "mod_reason_title",
    "num_reports",
    "removal_reason",
    "removed_by",
    "report_reasons",
    "secure_media",
    "selftext_html",
    "suggested_sort",
    "top_awarded_type",
    "view_count",
];
/// Fields that are `false` in every post of the simulator, but for the one that a post is marked with.
const NO: [&str; 21] = [
    "allow_live_comments",
    "archived",
    "author_is_blocked",
    "can_gild",
    "can_mod_post",
    "clicked",
    "contest_mode",
    "edited",
    "hidden",
    "hide_score",
    "is_created_from_ads_ui",
    "is_meta",
    "locked",
    "media_only",
    "no_follow",
    "pinned",
    "quarantine",
    "saved",
    "spoiler",
    "stickied",
    "visited",
];

/// A listing of posts. `after` is the name that its next page begins after.
pub(crate) fn listing(posts: Vec<Value>, after: Option<String>, before: Option<String>) -> Value {
    let dist = posts.len();
    let children: Vec<Value> = posts.into_iter().map(|data| json!({"kind": "t3", "data": data})).collect();
    json!({"kind": "Listing", "data": {
        "after": after, "dist": dist, "modhash": null, "geo_filter": null, "children": children, "before": before}})
}

/// A post as it is seen at `now`, its texts not escaped.
pub(crate) fn post(post: &SimPost, now: i64) -> Value {
    Value::Object(fields(post, now))
}

/// The fields of a post as it is seen at `now`.
pub(super) fn fields(post: &SimPost, now: i64) -> Map<String, Value> {
    let mut object = steady_fields();
    let mut set = |key: &str, value: Value| {
        object.insert(key.to_owned(), value);
    };
    let number = number_of(post);
    // Votes come in over a day and a half.
    let age = (now - post.created_utc).clamp(0, 36 * 3_600) as u64;
    let score = 1 + (number % 4_000) * age / (36 * 3_600);
    let deleted = post.author == "[deleted]";
    set("id", json!(post.id));
    set("name", json!(format!("t3_{}", post.id)));
    set("title", json!(post.title));
    set("author", json!(post.author));
    if !deleted {
        set("author_fullname", json!(author_fullname(&post.author)));
        set("author_flair_richtext", json!([]));
        set("author_flair_type", json!("text"));
        set("author_patreon_flair", json!(false));
        set("author_premium", json!(false));
    }
    set("subreddit", json!(post.subreddit));
    set("subreddit_id", json!(subreddit_id(&post.subreddit)));
    set("subreddit_name_prefixed", json!(format!("r/{}", post.subreddit)));
    set("created", json!(post.created_utc as f64));
    set("created_utc", json!(post.created_utc as f64));
    set("permalink", json!(permalink(post)));
    set("score", json!(score));
    set("ups", json!(score));
    set("upvote_ratio", json!(0.98));
    set("num_comments", json!(number % 90 * age / (36 * 3_600)));
    set("over_18", json!(post.over_18));
    set("is_original_content", json!(post.title.contains("[OC]")));
    set("link_flair_text", if number.is_multiple_of(4) { json!("Photography") } else { Value::Null });
    set("removed_by_category", json!(post.removed_by));
    set("is_robot_indexable", json!(post.removed_by.is_none()));
    set("is_crosspostable", json!(post.removed_by.is_none()));
    if let Some(at) = post.edited_at {
        set("edited", json!(at as f64));
    }
    if let Some(mark) = post.mark {
        set(mark, json!(true));
    }
    media::add(&mut object, post);
    if post.removed_by == Some("deleted") {
        object.remove("post_hint");
        object.remove("preview");
    }
    if let Some(parent) = &post.crosspost_of {
        object.insert("crosspost_parent".into(), json!(format!("t3_{}", parent.id)));
        object.insert("crosspost_parent_list".into(), json!([fields(parent, now)]));
    }
    object
}

/// The fields that are the same in every post of the simulator.
fn steady_fields() -> Map<String, Value> {
    let empty = ["all_awardings", "awarders", "link_flair_richtext", "mod_reports", "treatment_tags", "user_reports"];
    let nested = ["gildings", "media_embed", "secure_media_embed"];
    let zero = ["downs", "gilded", "num_crossposts", "total_awards_received"];
    let named = [
        ("link_flair_background_color", json!("")),
        ("link_flair_text_color", json!("dark")),
        ("link_flair_type", json!("text")),
        ("pwls", json!(6)),
        ("send_replies", json!(true)),
        ("subreddit_subscribers", json!(1_470_081)),
        ("subreddit_type", json!("public")),
        ("thumbnail_height", json!(140)),
        ("thumbnail_width", json!(140)),
        ("wls", json!(6)),
    ];
    let null = NULL.map(|key| (key, Value::Null));
    let no = NO.map(|key| (key, json!(false)));
    let empty = empty.map(|key| (key, json!([])));
    let nested = nested.map(|key| (key, json!({})));
    let zero = zero.map(|key| (key, json!(0)));
    let all = null.into_iter().chain(no).chain(empty).chain(nested).chain(zero).chain(named);
    all.map(|(key, value)| (key.to_owned(), value)).collect()
}
