//! `natureddit run` where it cannot do what was asked: the cause, and what to do about it.

use crate::natureddit::{Natureddit, Run};

const POSTS: &str = "author,created_utc,full_link,id,subreddit,title,url,img_name,source,flair,over_18,width,height,sha256,phash\n\
    ann,1651363200,l,p1,pics,A fox,u,p1.jpg,s,,false,1,1,\
    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855,00000000ffffffff\n";

fn project() -> Natureddit {
    Natureddit::new().file("natureddit.toml", "").file("data/posts.csv", POSTS)
}

fn failed(mut natureddit: Natureddit, code: i32) -> String {
    let Run { code: found, stderr, .. } = natureddit.run();
    assert_eq!(found, Some(code), "{stderr}");
    stderr
}

#[test]
fn a_project_without_a_label_is_sent_to_the_import_of_labels() {
    let stderr = failed(project().args(["run", "--quiet"]), 1);
    let expected = "\
error: ExampleGen failed
  caused by: no photo of the dataset has a label among fauna, flora, landscape
hint: `natureddit label import FILE` adds the choices of a CSV file with the columns id and choice
";
    assert_eq!(stderr, expected);
}

#[test]
fn a_project_without_posts_is_sent_to_collecting() {
    let stderr = failed(Natureddit::new().file("natureddit.toml", "").args(["run", "--quiet"]), 1);
    let expected = "\
error: ExampleGen failed
  caused by: the dataset has no post
hint: `natureddit collect` fetches posts; `natureddit dataset status` tells what is missing
";
    assert_eq!(stderr, expected);
}

#[test]
fn a_store_that_is_none_is_to_be_moved_away() {
    let broken = project().file("pipeline/metadata.db", "this is no database".repeat(500));
    let path = broken.dir().join("pipeline/metadata.db");
    let stderr = failed(broken.args(["run", "--quiet"]), 1);
    assert!(stderr.contains(&format!("hint: move {} and its -wal", path.display())), "{stderr}");
}

#[test]
fn options_that_make_no_sense_for_the_pipeline_are_usage_errors() {
    let stderr = failed(project().args(["run", "--only", "Trainer", "--force", "Evaluator"]), 2);
    assert_eq!(stderr, "error: Evaluator is to be forced and is not selected; selected are Trainer\n");
    let stderr = failed(project().args(["run", "--only", "trainer"]), 2);
    assert!(stderr.starts_with("error: there is no component \"trainer\"; there are ExampleGen, "), "{stderr}");
    assert!(stderr.ends_with("\nhint: did you mean Trainer?\n"), "{stderr}");
    let stderr = failed(project().args(["run", "--only", "Evaluator"]), 1);
    assert!(stderr.contains("hint: `natureddit run` without --only and --from makes it"), "{stderr}");
}

#[test]
fn a_component_that_is_switched_off_is_told_with_its_setting() {
    let hint = |option: &str, component: &str| {
        let stderr = failed(project().args(["run", option, component]), 2);
        stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap_or_default().to_owned()
    };
    let tuner = "`[tuner] enabled = true` in natureddit.toml takes Tuner into the pipeline";
    assert_eq!(hint("--only", "Tuner"), tuner);
    assert_eq!(hint("--from", "tuner"), tuner);
    let schema = "`[schema] file = \"schema.pbtxt\"` in natureddit.toml takes ImportSchema into the pipeline";
    assert_eq!(hint("--force", "ImportSchemaGen"), schema);
    assert_eq!(hint("--only", "InfraValidater"), "did you mean InfraValidator?");
    assert_eq!(hint("--only", "Colour"), "");
}
