//! Whose midnight a day begins at.

use std::collections::BTreeSet;

use tokio::runtime::Builder;

use super::drawn;
use crate::collecting::{content, write_settings};
use crate::natureddit::Natureddit;
use natureddit_sandbox::Sandbox;

/// A time without a zone, read or written as that of the machine, shifts the window and the column by hours, and twice a
/// year nobody can tell which hour is meant.
#[test]
fn trap_06_the_time_of_the_machine_changes_neither_window_nor_rows() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let sandbox = runtime.block_on(Sandbox::start(drawn(12, 60))).unwrap();
    let day = |second: i64| jiff::Timestamp::from_second(second).unwrap().strftime("%Y-%m-%d").to_string();
    let middle = sandbox.truth().posts[30].created_utc;
    let (since, until) = (day(middle), day(middle + 86_400));
    let mut contents = Vec::new();
    // Rules of POSIX need no database of zones; where there is one, the name is known too.
    for zone in ["UTC", "EST5EDT,M3.2.0,M11.1.0", "<+0530>-5:30", "America/New_York"] {
        let folder = tempfile::tempdir().unwrap();
        write_settings(folder.path(), &sandbox);
        let command = Natureddit::new().in_dir(folder.path()).env("TZ", zone);
        let run = command.args(["collect", "--since", &since, "--until", &until]).run();
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        contents.push(content(folder.path()));
    }
    for other in &contents[1..] {
        assert!(*other == contents[0]);
    }
    let file = |name: &str| contents[0].iter().find(|(other, _)| other == name).unwrap().1.clone();
    let ids = |table: &[u8]| -> BTreeSet<(String, String)> {
        let mut reader = csv::Reader::from_reader(table);
        let at = |name: &str, header: &csv::StringRecord| header.iter().position(|cell| cell == name).unwrap();
        let header = reader.headers().unwrap().clone();
        let (id, time) = (at("id", &header), at("created_utc", &header));
        reader.records().map(Result::unwrap).map(|row| (row[id].to_owned(), row[time].to_owned())).collect()
    };
    let found: BTreeSet<_> = ids(&file("posts.csv")).union(&ids(&file("dropped.csv"))).cloned().collect();
    let begin = middle / 86_400 * 86_400;
    let posts = sandbox.truth().posts.iter().filter(|post| (begin..begin + 86_400).contains(&post.created_utc));
    let utc = |second: i64| jiff::Timestamp::from_second(second).unwrap().strftime("%Y-%m-%dT%H:%M:%S").to_string();
    assert_eq!(found, posts.map(|post| (post.id.to_string(), utc(post.created_utc))).collect());
}
