//! Each dependency's licence against the list in deny.toml: what cargo-deny would say, without installing it.

use super::Finding;
use super::files::Tree;
use crate::process::{Failure, output};
use crate::workspace::Workspace;

/// A crate that ends up in the program or helps to build it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    /// Name and version.
    name: String,
    /// The SPDX expression in its manifest; empty where there is none.
    licence: String,
}

/// What cargo says is built for this machine with every feature of ours, without what only tests need: that is not shipped.
pub(super) fn dependencies(workspace: &Workspace) -> Result<Vec<Dependency>, Failure> {
    let words = [
        "tree",
        "--locked",
        "--workspace",
        "--all-features",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}|{l}",
    ];
    let listed = output(&mut workspace.cargo(&words))?;
    Ok(listed.lines().filter_map(dependency).collect())
}

/// One line of `cargo tree`: `name v1.2.3 (folder)|MIT OR Apache-2.0 (*)`.
fn dependency(line: &str) -> Option<Dependency> {
    let (package, licence) = line.split_once('|')?;
    let name = package.split(" (").next()?.to_owned();
    let licence = licence.trim_end().trim_end_matches("(*)").trim_end().to_owned();
    Some(Dependency { name, licence })
}

/// The licences that deny.toml allows.
pub(super) struct Policy {
    allowed: Vec<String>,
}

impl Policy {
    pub(super) fn read(tree: &Tree) -> Result<Self, Failure> {
        let text = tree.file("deny.toml").map_or("", |file| file.text.as_str());
        let policy = Self::parse(text);
        if policy.allowed.is_empty() {
            return Err(Failure::new("deny.toml has no `allow = [..]` under `[licenses]`"));
        }
        Ok(policy)
    }

    /// The quoted words of `allow = [..]` under `[licenses]`.
    fn parse(text: &str) -> Self {
        let code: String = text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect();
        let section = code.split("[licenses]").nth(1).unwrap_or_default();
        let list = section.split("allow = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
        Self { allowed: list.split('"').skip(1).step_by(2).map(str::to_owned).collect() }
    }

    /// Whether an SPDX expression can be met with allowed licences alone. `/` is the old way to write `OR`.
    fn meets(&self, expression: &str) -> bool {
        let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut rest = words.as_slice();
        let is_met = self.any(&mut rest);
        is_met && rest.is_empty()
    }

    /// `term OR term ..`.
    fn any(&self, words: &mut &[&str]) -> bool {
        let mut is_met = self.all(words);
        while take(words, "OR") {
            is_met |= self.all(words);
        }
        is_met
    }

    /// `factor AND factor ..`.
    fn all(&self, words: &mut &[&str]) -> bool {
        let mut is_met = self.one(words);
        while take(words, "AND") {
            is_met &= self.one(words);
        }
        is_met
    }

    /// A licence, a licence with an exception, or an expression in parentheses.
    fn one(&self, words: &mut &[&str]) -> bool {
        if take(words, "(") {
            return self.any(words) & take(words, ")");
        }
        let Some((licence, rest)) = words.split_first() else { return false };
        *words = rest;
        let name = match words {
            ["WITH", exception, rest @ ..] => {
                let name = format!("{licence} WITH {exception}");
                *words = rest;
                name
            }
            _ => (*licence).to_owned(),
        };
        self.allowed.contains(&name)
    }
}

fn take(words: &mut &[&str], word: &str) -> bool {
    let is_next = words.first() == Some(&word);
    if is_next {
        *words = &words[1..];
    }
    is_next
}

/// The dependencies whose licence is not allowed, each once.
pub(super) fn findings(policy: &Policy, dependencies: &[Dependency]) -> Vec<Finding> {
    let refused = dependencies.iter().filter(|dependency| !policy.meets(&dependency.licence));
    let mut findings: Vec<_> = refused
        .map(|Dependency { name, licence }| {
            Finding::new("deny.toml", 1, format!("the licence of {name}, `{licence}`, is not allowed"))
        })
        .collect();
    findings.sort();
    findings.dedup();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy::parse(
            "[bans]\n# allow = [\"No\"]\nskip = []\n[licenses]\nunused = \"warn\"\nallow = [\n  \"MIT\", # short\n  \"Apache-2.0\",\n  \
             \"Apache-2.0 WITH LLVM-exception\",\n  \"Unicode-3.0\",\n]\n",
        )
    }

    #[test]
    fn the_list_of_deny_toml_is_read() {
        assert_eq!(policy().allowed, ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"]);
    }

    #[test]
    fn expressions_are_met_by_what_is_allowed_alone() {
        for expression in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "GPL-3.0 / MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception",
            "GPL-3.0 AND GPL-2.0 OR MIT",
        ] {
            assert!(policy().meets(expression), "{expression}");
        }
        for expression in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR GPL-3.0) AND GPL-2.0",
            "MIT WITH Classpath",
            "(MIT",
            "MIT MIT",
            "AND",
        ] {
            assert!(!policy().meets(expression), "{expression}");
        }
    }

    #[test]
    fn a_refused_licence_is_found_once_with_its_crate() {
        let lines = "a v1.0.0|MIT\nb v2.0.0 (folder)|GPL-3.0\nb v2.0.0 (folder)|GPL-3.0 (*)\nc v3.0.0|\n\n";
        let dependencies: Vec<_> = lines.lines().filter_map(dependency).collect();
        let found = findings(&policy(), &dependencies);
        let reasons: Vec<_> = found.iter().map(|finding| finding.reason.as_str()).collect();
        assert_eq!(
            reasons,
            ["the licence of b v2.0.0, `GPL-3.0`, is not allowed", "the licence of c v3.0.0, ``, is not allowed"]
        );
    }
}
