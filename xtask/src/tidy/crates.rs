//! The arrows between the crates, and who may name the heavy dependencies.

use super::Finding;
use super::files::Tree;
use super::manifest::Manifest;

/// Each crate with the crates of ours that it uses outside its tests; the arrows of docs/ARCHITECTURE.md.
const ARROWS: [(&str, &[&str]); 11] = [
    ("natureddit-core", &[]),
    ("natureddit-image", &["natureddit-core"]),
    ("natureddit-net", &["natureddit-core"]),
    ("natureddit-data", &["natureddit-core", "natureddit-image", "natureddit-net"]),
    ("natureddit-model", &["natureddit-core", "natureddit-image"]),
    (
        "natureddit-pipeline",
        &["natureddit-core", "natureddit-data", "natureddit-image", "natureddit-model", "natureddit-net"],
    ),
    ("natureddit-serve", &["natureddit-core", "natureddit-model"]),
    ("natureddit-sandbox", &["natureddit-core"]),
    (
        "natureddit",
        &[
            "natureddit-core",
            "natureddit-data",
            "natureddit-image",
            "natureddit-model",
            "natureddit-net",
            "natureddit-pipeline",
            "natureddit-sandbox",
            "natureddit-serve",
        ],
    ),
    ("natureddit-testkit", &["natureddit-core", "natureddit-image", "natureddit-model", "natureddit-net"]),
    ("xtask", &[]),
];

/// Where people read the arrows.
const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";

/// Dependencies that only one crate may name outside its tests, and why.
const OWNED: [(&str, &str, &str); 5] = [
    ("reqwest", "natureddit-net", "only net opens outbound connections"),
    ("ort", "natureddit-model", "only model names the ML runtimes"),
    ("burn", "natureddit-model", "only model names the ML runtimes"),
    ("tokenizers", "natureddit-model", "only model names the ML runtimes"),
    ("safetensors", "natureddit-model", "only model names the ML runtimes"),
];

/// Dependencies that a crate must not have, in its tests neither.
const REFUSED: [(&str, &str, &str); 7] = [
    ("natureddit-core", "tokio", "core is not async"),
    ("natureddit-core", "reqwest", "core opens no socket"),
    ("natureddit-core", "rayon", "core starts no thread"),
    ("natureddit-image", "tokio", "compute is synchronous"),
    ("natureddit-model", "tokio", "compute is synchronous"),
    ("natureddit-sandbox", "natureddit-data", "the simulator shares no code with the sources it tests"),
    ("natureddit-serve", "natureddit-pipeline", "serve is given a bundle folder and knows no pipeline"),
];

/// Folders below `crates/` without a manifest.
pub(super) fn folder_findings(tree: &Tree) -> Vec<Finding> {
    let mut folders: Vec<&str> = tree
        .files()
        .iter()
        .filter_map(|file| file.path.strip_prefix("crates/")?.split_once('/'))
        .map(|(name, _)| name)
        .collect();
    folders.dedup();
    let manifests = folders.iter().map(|name| format!("crates/{name}/Cargo.toml"));
    manifests
        .filter(|path| !tree.contains(path))
        .map(|path| Finding::new(&path, 1, "a crate without a manifest"))
        .collect()
}

/// What is wrong with one crate's manifest.
pub(super) fn manifest_findings(path: &str, text: &str) -> Vec<Finding> {
    let folder = path.trim_end_matches("/Cargo.toml").rsplit('/').next().unwrap_or_default();
    // The fuzz targets are a workspace of their own: cargo-fuzz needs another profile and nightly.
    if folder == "fuzz" {
        return Vec::new();
    }
    let manifest = Manifest::parse(text);
    let mut findings = Vec::new();
    match &manifest.name {
        Some((_, name)) if name == folder => {}
        Some((line, name)) => {
            findings.push(Finding::new(path, *line, format!("package `{name}` in the folder `{folder}`")));
        }
        None => findings.push(Finding::new(path, 1, "no package name")),
    }
    if !manifest.has_workspace_lints {
        findings.push(Finding::new(path, 1, "no `[lints] workspace = true`"));
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == folder) else {
        findings.push(Finding::new(path, 1, "a crate that the arrows in xtask/src/tidy/crates.rs do not name"));
        return findings;
    };
    for dependency in &manifest.dependencies {
        let name = dependency.name.as_str();
        let mut refuse = |reason: String| findings.push(Finding::new(path, dependency.line, reason));
        if !dependency.is_workspace {
            refuse(format!("`{name}`: version and features stand in the workspace (`{name}.workspace = true`)"));
        }
        if let Some((_, _, reason)) = REFUSED.iter().find(|(krate, refused, _)| *krate == folder && *refused == name) {
            refuse(format!("`{name}`: {reason}"));
        }
        if dependency.is_dev {
            continue;
        }
        if name.starts_with("natureddit") && !allowed.contains(&name) {
            refuse(format!("no arrow leads from `{folder}` to `{name}`"));
        }
        if folder == "xtask" {
            refuse(format!("`{name}`: xtask is std only"));
        }
        if let Some((_, owner, reason)) = OWNED.iter().find(|(owned, owner, _)| *owned == name && *owner != folder) {
            refuse(format!("`{name}`: {reason} (`{owner}`)"));
        }
    }
    findings
}

/// Arrows that no manifest needs any more: a crate could come to lean on another without anybody deciding it.
pub(super) fn unused_arrow_findings(path: &str, text: &str) -> Vec<Finding> {
    let folder = path.trim_end_matches("/Cargo.toml").rsplit('/').next().unwrap_or_default();
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == folder) else { return Vec::new() };
    let manifest = Manifest::parse(text);
    let is_used = |arrow: &str| manifest.dependencies.iter().any(|used| used.name == arrow && !used.is_dev);
    let unused = allowed.iter().filter(|arrow| !is_used(arrow));
    unused
        .map(|arrow| {
            Finding::new(path, 1, format!("`{arrow}` is not used: take the arrow out of xtask/src/tidy/crates.rs"))
        })
        .collect()
}

/// Where docs/ARCHITECTURE.md tells other arrows than are checked: its lines such as `name  what it is  (core, net)`.
pub(super) fn told_arrow_findings(path: &str, text: &str) -> Vec<Finding> {
    if path != ARCHITECTURE {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (name, allowed) in ARROWS {
        let told = (1..).zip(text.lines()).find(|(_, line)| line.split(' ').next() == Some(name));
        let Some((number, line)) = told else { continue };
        let Some((_, arrows)) = line.strip_suffix(')').and_then(|line| line.rsplit_once(" (")) else { continue };
        let mut told: Vec<String> = arrows.split(", ").map(|short| format!("natureddit-{short}")).collect();
        told.sort();
        if arrows != "all" && told != allowed {
            let wanted: Vec<&str> = allowed.iter().map(|name| name.trim_start_matches("natureddit-")).collect();
            findings.push(Finding::new(path, number, format!("the arrows of `{name}` are ({})", wanted.join(", "))));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::files::File;

    fn found(name: &str, rest: &str) -> Vec<String> {
        let text = format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n{rest}");
        manifest_findings(&format!("crates/{name}/Cargo.toml"), &text)
            .into_iter()
            .map(|finding| finding.reason)
            .collect()
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_found() {
        assert_eq!(found("natureddit-data", "[dependencies]\nnatureddit-net.workspace = true\n"), [""; 0]);
        for (from, to) in [
            ("natureddit-core", "natureddit-image"),
            ("natureddit-model", "natureddit-net"),
            ("natureddit-data", "natureddit-model"),
            ("natureddit-net", "natureddit"),
        ] {
            let found = found(from, &format!("[dependencies]\n{to}.workspace = true\n"));
            assert_eq!(found, [format!("no arrow leads from `{from}` to `{to}`")]);
        }
    }

    #[test]
    fn an_arrow_that_nobody_needs_is_found() {
        let serve =
            "[dependencies]\nnatureddit-core.workspace = true\n[dev-dependencies]\nnatureddit-model.workspace = true\n";
        let unused = unused_arrow_findings("crates/natureddit-serve/Cargo.toml", serve);
        assert_eq!(unused.len(), 1, "{unused:?}");
        assert!(unused[0].reason.starts_with("`natureddit-model` is not used"), "{unused:?}");
        let used = serve.replace("[dev-dependencies]\n", "");
        assert_eq!(unused_arrow_findings("crates/natureddit-serve/Cargo.toml", &used), []);
    }

    #[test]
    fn an_arrow_that_is_told_otherwise_is_found() {
        let told = |arrows: &str| {
            let text = format!("# Architecture\n```\nnatureddit-serve      batching   ({arrows})\n```\n");
            told_arrow_findings(ARCHITECTURE, &text)
        };
        assert_eq!(told("core, model"), []);
        assert_eq!(told("model, core"), []);
        let wrong = [Finding::new(ARCHITECTURE, 3, "the arrows of `natureddit-serve` are (core, model)")];
        assert_eq!(told("core, model, net"), wrong);
        assert_eq!(told("core"), wrong);
    }

    #[test]
    fn tests_may_use_what_the_program_may_not() {
        let rest = "[dev-dependencies]\nnatureddit-image.workspace = true\nreqwest.workspace = true\n";
        assert_eq!(found("natureddit-serve", rest), [""; 0]);
    }

    #[test]
    fn a_heavy_dependency_is_found_outside_its_crate() {
        for (dependency, owner, _) in OWNED {
            let rest = format!("[dependencies]\n{dependency}.workspace = true\n");
            assert_eq!(found(owner, &rest), [""; 0], "{dependency}");
            assert_eq!(found("natureddit-pipeline", &rest).len(), 1, "{dependency}");
        }
    }

    #[test]
    fn what_a_crate_must_not_have_is_found_in_its_tests_too() {
        for (krate, dependency, reason) in REFUSED {
            let found = found(krate, &format!("[dev-dependencies]\n{dependency}.workspace = true\n"));
            assert_eq!(found, [format!("`{dependency}`: {reason}")]);
        }
    }

    #[test]
    fn a_version_of_ones_own_and_missing_lints_are_found() {
        assert_eq!(found("natureddit-core", "[dependencies]\nserde = \"1\"\n").len(), 1);
        let bare = manifest_findings("crates/natureddit-core/Cargo.toml", "[package]\nname = \"natureddit-core\"\n");
        assert_eq!(bare.len(), 1, "{bare:?}");
    }

    #[test]
    fn a_folder_that_is_not_named_like_its_package_is_found() {
        let text = "[package]\nname = \"core\"\n[lints]\nworkspace = true\n";
        let found = manifest_findings("crates/natureddit-core/Cargo.toml", text);
        assert_eq!(
            found,
            [Finding::new("crates/natureddit-core/Cargo.toml", 2, "package `core` in the folder `natureddit-core`")]
        );
    }

    #[test]
    fn an_unknown_crate_and_a_folder_without_manifest_are_found() {
        assert_eq!(found("natureddit-extra", "").len(), 1);
        let tree = Tree::new(vec![File { path: "crates/lost/src/lib.rs".to_owned(), ..File::default() }]);
        assert_eq!(folder_findings(&tree), [Finding::new("crates/lost/Cargo.toml", 1, "a crate without a manifest")]);
    }

    #[test]
    fn xtask_stays_with_the_standard_library() {
        let text = "[package]\nname = \"xtask\"\n[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\n";
        assert_eq!(manifest_findings("xtask/Cargo.toml", text).len(), 1);
    }
}
