//! The files that must exist, the links between them, and what no text of the repository may hold.

use super::Finding;
use super::files::Tree;

/// What a reader of the repository counts on.
const REQUIRED: [&str; 7] =
    ["README.md", "CHANGELOG.md", "LICENSE", "deny.toml", "docs/ARCHITECTURE.md", "natureddit.example.toml", ".ci/run"];

/// Folders of one machine. Put together here, so that this file does not hold what it looks for.
const MACHINE_FOLDERS: [&str; 5] = [
    concat!("/", "home/"),
    concat!("/", "root/"),
    concat!("/", "work/"),
    concat!("/", "Users/"),
    concat!("C:", "\\Users"),
];

/// Hosts of package registries: which one is used is a matter of the machine's own settings.
const REGISTRY_HOSTS: [&str; 7] = [
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("registry.", "npmjs.org"),
    concat!("proxy.", "golang.org"),
    concat!("deb.", "debian.org"),
];

/// The required files that are not there.
pub(super) fn missing(tree: &Tree) -> Vec<Finding> {
    let absent = REQUIRED.iter().filter(|path| tree.file(path).is_none());
    absent.map(|path| Finding::new(path, 1, "must exist")).collect()
}

/// What no text may hold. `Cargo.lock` is cargo's own and not looked at.
pub(super) fn text_findings(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if path.ends_with("Cargo.lock") {
        return findings;
    }
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(folder) = MACHINE_FOLDERS.iter().find(|folder| holds_absolute(line, folder)) {
            findings.push(Finding::new(path, number, format!("`{folder}`: a path of one machine")));
        }
        if let Some(host) = REGISTRY_HOSTS.iter().find(|host| line.contains(**host)) {
            findings.push(Finding::new(path, number, format!("`{host}`: the machine's settings choose the registry")));
        }
    }
    findings
}

/// Whether `folder` starts a path in `line`: the middle of a URL or of a relative path is no path of a machine.
fn holds_absolute(line: &str, folder: &str) -> bool {
    let continues_a_path = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | ')' | ']' | '*' | '~');
    line.match_indices(folder).any(|(at, _)| !line[..at].ends_with(continues_a_path))
}

/// Relative links of a Markdown file that lead nowhere; `exists` is asked with paths from the repository's folder.
pub(super) fn link_findings(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        is_fenced ^= line.trim_start().starts_with("```");
        if is_fenced {
            continue;
        }
        for target in links(line).filter(|target| is_relative(target)) {
            let file = target.split('#').next().unwrap_or_default();
            if !resolve(path, file).is_some_and(|resolved| exists(&resolved)) {
                findings.push(Finding::new(path, number, format!("the link `{target}` leads nowhere")));
            }
        }
    }
    findings
}

/// The targets of `[text](target)` and `[text](target "title")`; what stands in backticks is no link.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let outside_code = line.split('`').step_by(2);
    let targets = outside_code.flat_map(|part| part.split("](").skip(1));
    targets.filter_map(|rest| rest[..rest.find(')')?].split_whitespace().next())
}

fn is_relative(target: &str) -> bool {
    !target.starts_with('#') && !target.contains("://") && !target.starts_with("mailto:")
}

/// `target` as seen from the folder of `from`, without `.` and `..`; `None` where it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::files::File;

    #[test]
    fn a_required_file_that_is_missing_is_found() {
        let files = REQUIRED.map(|path| File { path: path.to_owned(), ..File::default() });
        assert_eq!(missing(&Tree::new(files.to_vec())), []);
        assert_eq!(missing(&Tree::new(files[1..].to_vec())), [Finding::new(REQUIRED[0], 1, "must exist")]);
    }

    #[test]
    fn each_path_of_a_machine_and_each_registry_is_found() {
        for word in MACHINE_FOLDERS.iter().chain(&REGISTRY_HOSTS) {
            let found = text_findings("docs/a.md", &format!("first\nsee \"{word}x\"\n"));
            assert_eq!(found.len(), 1, "{word}");
            assert_eq!(found[0].line, 2);
            assert_eq!(text_findings("Cargo.lock", word), []);
        }
    }

    #[test]
    fn the_middle_of_a_url_or_relative_path_is_no_path_of_a_machine() {
        for folder in &MACHINE_FOLDERS[..3] {
            for line in [format!("https://example.com{folder}"), format!("target{folder}"), format!("{{root}}{folder}")]
            {
                assert_eq!(text_findings("docs/a.md", &line), [], "{line}");
            }
        }
    }

    #[test]
    fn this_file_does_not_find_itself() {
        assert_eq!(text_findings("xtask/src/tidy/documents.rs", include_str!("documents.rs")), []);
    }

    #[test]
    fn links_are_followed_from_the_folder_of_their_file() {
        let exists = |path: &str| ["docs/ARCHITECTURE.md", "README.md", "docs/adr"].contains(&path);
        let good = "[a](ARCHITECTURE.md#words) [b](../README.md \"title\") [c](adr/) [d](#here) [e](https://example.com/x)\n\
                    ```\n[f](in-a-fence.md)\n```\n`[g](in-code.md)`\n";
        assert_eq!(link_findings("docs/README.md", good, exists), []);
        for bad in ["[a](MISSING.md)", "![a](../picture.png)", "[a](../../outside.md)", "[ok](../README.md) [a](x#y)"] {
            assert_eq!(link_findings("docs/README.md", &format!("\n{bad}\n"), exists).len(), 1, "{bad}");
        }
    }
}
