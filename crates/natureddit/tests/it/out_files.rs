//! Files that commands write: none takes the place of what is read, nor of what a project keeps.

use crate::natureddit::Natureddit;

const TABLE: &str = "id,n\na,1\n";

/// A project, and a table and a photo in its folder.
fn project() -> Natureddit {
    let tables = Natureddit::new().file("data/posts.csv", TABLE).file("labels/labels.csv", TABLE).file("t.csv", TABLE);
    tables.file("natureddit.toml", "").file("models/m/1/x", "").file("pipeline/x", "").file("x.jpg", "a photo")
}

/// Refused is a usage error that says why, and the file stays as it was.
fn refused(args: &[&str], out: &str, why: &str) {
    let mut natureddit = project().arguments(args).args([out]);
    let file = natureddit.dir().join(out);
    let before = natureddit_core::fs::read(&file).ok();
    let run = natureddit.run();
    assert_eq!(run.code, Some(2), "{args:?} {out}: {}", run.stderr);
    assert!(run.stderr.starts_with("error: --") && run.stderr.contains(why), "{args:?} {out}: {}", run.stderr);
    assert!(run.stderr.contains("\nhint: name "), "{args:?} {out}: {}", run.stderr);
    assert_eq!(natureddit_core::fs::read(&file).ok(), before, "{args:?} {out}");
}

#[test]
fn no_command_writes_over_what_it_reads() {
    refused(&["dataset", "stats", "--table", "t.csv", "--out"], "t.csv", "would replace what is read");
    refused(&["dataset", "stats", "--table", "t.csv", "--out"], "./data/../t.csv", "would replace what is read");
    refused(&["predict", "--image", "x.jpg", "--dump-inputs"], "x.jpg", "would replace what is read");
    let score = ["score", "t.csv", "--images", ".", "--out"];
    refused(&score, "t.csv", "would replace what is read");
    refused(&score, "data/scores.csv", "lies in a folder that the project keeps for itself");
}

#[test]
fn no_command_writes_over_what_the_project_keeps() {
    let commands: [&[&str]; 6] = [
        &["dataset", "stats", "--out"],
        &["dataset", "stats", "--table", "t.csv", "--out"],
        &["model", "export", "--out"],
        &["model", "archive", "--out"],
        &["predict", "--text", "A fox", "--dump-inputs"],
        &["label", "queue", "--out"],
    ];
    for command in commands {
        for file in ["data/posts.csv", "labels/labels.csv", "natureddit.toml"] {
            refused(command, file, "would replace what the project keeps");
        }
        for file in ["models/m/1/x", "models/new.pb", "pipeline/new/x.pb"] {
            refused(command, file, "lies in a folder that the project keeps for itself");
        }
    }
}

#[test]
fn no_command_writes_over_choices_that_are_not_imported() {
    let labels = "id,img_name,choice,labelled_by,labelled_at\na,a_0.jpg,fauna,ann,2026-11-30T18:09:38\n";
    let run = |out: &str, choices: &str| {
        let natureddit = project().file("labels/labels.csv", labels).file(out, choices);
        let mut natureddit = natureddit.args(["dataset", "stats", "--table", "t.csv", "--out", out]);
        let file = natureddit.dir().join(out);
        let run = natureddit.run();
        (run.code, run.stderr, natureddit_core::fs::read(&file).unwrap() == choices.as_bytes())
    };
    let filled = "id,img_name,choice\na,a_0.jpg,flora\nb,b_0.jpg, \nc,c_0.jpg,fauna\n";
    let told = "error: --out q.csv would replace 2 choices that nobody has imported\n\
                hint: `natureddit label import q.csv` takes them; or name another file\n";
    assert_eq!(run("q.csv", filled), (Some(2), told.to_owned(), true));
    // Of the post as it is labelled, empty, or no table of choices.
    for other in ["id,img_name,choice\na,a_0.jpg,fauna\nb,b_0.jpg,\n", "id,choice\na,fauna\n", "id,p\na,flora\n", "\n"]
    {
        let (code, stderr, is_kept) = run("q.csv", other);
        assert_eq!((code, is_kept), (Some(0), false), "{other}: {stderr}");
    }
}

#[test]
fn elsewhere_statistics_are_written() {
    for out in ["stats.pb", "data/stats.pb"] {
        let mut natureddit = project().args(["dataset", "stats", "--out", out]);
        let file = natureddit.dir().join(out);
        let run = natureddit.run();
        assert_eq!((run.code, file.is_file()), (Some(0), true), "{out}: {}", run.stderr);
    }
    let stats = ["dataset", "stats", "--table", "t.csv", "--out", "models/stats.pb"];
    let alone = Natureddit::new().file("t.csv", TABLE).file("models/x", "").args(stats).run();
    assert_eq!(alone.code, Some(0), "outside of a project: {}", alone.stderr);
}

#[test]
fn no_command_makes_the_folder_of_its_file() {
    let commands: [(&[&str], &str); 8] = [
        (&["dataset", "stats", "--out"], "new/stats.pb"),
        (&["predict", "--text", "A fox", "--dump-inputs"], "new/x.npz"),
        (&["predict", "--image", "x.jpg", "--explain", "--heat-map"], "new/x.png"),
        (&["score", "t.csv", "--images", ".", "--out"], "new/x.csv"),
        (&["label", "check", "--out"], "new/x.csv"),
        (&["label", "queue", "--out"], "new/x.csv"),
        (&["model", "export", "--out"], "new/x.onnx"),
        (&["model", "archive", "--out"], "new/x.mar"),
    ];
    for (command, out) in commands {
        let mut natureddit = project().arguments(command).args([out]);
        let run = natureddit.run();
        assert_eq!(run.code, Some(1), "{command:?}: {}", run.stderr);
        let told = format!("{out}: its folder is not there\nhint: make the folder first, or check the path\n");
        assert!(run.stderr.starts_with("error: --") && run.stderr.ends_with(&told), "{command:?}: {}", run.stderr);
        assert!(!natureddit.dir().join("new").exists(), "{command:?}");
    }
}
