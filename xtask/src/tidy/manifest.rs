//! As much of a crate's `Cargo.toml` as the checks need.

/// A crate's manifest.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// `package.name` and its line.
    pub(super) name: Option<(usize, String)>,
    /// Whether `[lints] workspace = true`.
    pub(super) has_workspace_lints: bool,
    pub(super) dependencies: Vec<Dependency>,
}

/// One dependency.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) line: usize,
    pub(super) name: String,
    /// Of the tests, not of the program.
    pub(super) is_dev: bool,
    /// Whether version and features are the workspace's.
    pub(super) is_workspace: bool,
}

/// Where a line stands.
enum Section {
    Package,
    Lints,
    Dependencies {
        is_dev: bool,
    },
    /// `[dependencies.name]`: the last of `dependencies` is being described.
    OneDependency,
    Other,
}

impl Manifest {
    /// Reads a manifest line by line; what the checks do not need is passed over, since cargo reads it too.
    pub(super) fn parse(text: &str) -> Self {
        let mut manifest = Self::default();
        let mut section = Section::Other;
        for (line, content) in (1..).zip(text.lines().map(without_comment)) {
            if let Some(header) = content.strip_prefix('[') {
                section = manifest.enter(line, header.trim_end_matches(']'));
            } else if let Some((key, value)) = content.split_once('=') {
                manifest.take(line, &section, key.trim(), value.trim());
            }
        }
        manifest
    }

    fn enter(&mut self, line: usize, header: &str) -> Section {
        let parts: Vec<&str> = header.trim_matches(['[', ']']).split('.').map(unquoted).collect();
        let is_table = |part: &&str| matches!(*part, "dependencies" | "dev-dependencies" | "build-dependencies");
        match (parts.as_slice(), parts.iter().position(is_table)) {
            (["package"], _) => Section::Package,
            (["lints"], _) => Section::Lints,
            (parts, Some(at)) => {
                let is_dev = parts[at] == "dev-dependencies";
                let Some(name) = parts.get(at + 1) else { return Section::Dependencies { is_dev } };
                let name = (*name).to_owned();
                self.dependencies.push(Dependency { line, name, is_dev, is_workspace: false });
                Section::OneDependency
            }
            _ => Section::Other,
        }
    }

    fn take(&mut self, line: usize, section: &Section, key: &str, value: &str) {
        match section {
            Section::Package if key == "name" => self.name = Some((line, unquoted(value).to_owned())),
            Section::Lints if key == "workspace" => self.has_workspace_lints = value == "true",
            Section::OneDependency if key == "workspace" => {
                if let Some(dependency) = self.dependencies.last_mut() {
                    dependency.is_workspace = value == "true";
                }
            }
            Section::Dependencies { is_dev } => {
                let (name, is_workspace) = match key.split_once('.') {
                    Some((name, field)) => (name, field == "workspace" && value == "true"),
                    None => (key, value.replace(' ', "").contains("workspace=true")),
                };
                let name = unquoted(name).to_owned();
                self.dependencies.push(Dependency { line, name, is_dev: *is_dev, is_workspace });
            }
            _ => {}
        }
    }
}

fn without_comment(line: &str) -> &str {
    let mut is_quoted = false;
    let start = line.find(|c| {
        is_quoted ^= c == '"';
        c == '#' && !is_quoted
    });
    line[..start.unwrap_or(line.len())].trim()
}

fn unquoted(word: &str) -> &str {
    word.trim().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_lints_and_dependencies_are_read() {
        let manifest = Manifest::parse(
            "[package]\nname = \"a\" # the name\n[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\n\
             toml = { workspace = true, features = [\"x\"] }\nurl = \"2\"\n[dev-dependencies]\ninsta.workspace = true\n\
             [target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n[dependencies.ort]\nworkspace = true\n[features]\nfast = []\n",
        );
        assert_eq!(manifest.name, Some((2, "a".to_owned())));
        assert!(manifest.has_workspace_lints);
        let read: Vec<_> =
            manifest.dependencies.iter().map(|d| (d.line, d.name.as_str(), d.is_dev, d.is_workspace)).collect();
        assert_eq!(
            read,
            [
                (6, "serde", false, true),
                (7, "toml", false, true),
                (8, "url", false, false),
                (10, "insta", true, true),
                (12, "libc", false, false),
                (13, "ort", false, true),
            ]
        );
    }

    #[test]
    fn lints_of_ones_own_are_not_the_workspaces() {
        assert!(!Manifest::parse("[lints.rust]\nunsafe_code = \"allow\"\n").has_workspace_lints);
    }
}
