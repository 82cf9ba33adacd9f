//! Command-line arguments, taken out one by one; what is left over is an error.

use std::path::PathBuf;

use crate::process::Failure;

/// The arguments that nobody has taken yet.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    pub(crate) fn new(words: impl IntoIterator<Item = String>) -> Self {
        Self(words.into_iter().collect())
    }

    /// Takes the first argument.
    pub(crate) fn word(&mut self) -> Option<String> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }

    /// Takes the first argument, unless it is an option.
    pub(crate) fn word_unless_option(&mut self) -> Option<String> {
        self.0.first().is_some_and(|word| !word.starts_with("--")).then(|| self.0.remove(0))
    }

    /// Takes the switch `name`; whether it was given.
    pub(crate) fn switch(&mut self, name: &str) -> bool {
        let count = self.0.len();
        self.0.retain(|word| word != name);
        self.0.len() < count
    }

    /// Whether a word is among what nobody has taken yet; it stays there.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.0.iter().any(|given| given == word)
    }

    /// Takes `--name PATH` or `--name=PATH`.
    pub(crate) fn path(&mut self, name: &str) -> Result<Option<PathBuf>, Failure> {
        let prefix = format!("{name}=");
        if let Some(at) = self.0.iter().position(|word| word.starts_with(&prefix)) {
            return Ok(Some(PathBuf::from(&self.0.remove(at)[prefix.len()..])));
        }
        let Some(at) = self.0.iter().position(|word| word == name) else {
            return Ok(None);
        };
        if self.0.get(at + 1).is_none_or(|value| value.starts_with("--")) {
            return Err(Failure::usage(format!("`{name}` needs a path after it"), "cargo xtask <command> --help"));
        }
        self.0.remove(at);
        Ok(Some(PathBuf::from(self.0.remove(at))))
    }

    /// Takes `--name NUMBER` or `--name=NUMBER`.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<f64>, Failure> {
        let Some(word) = self.path(name)? else { return Ok(None) };
        let number = word.to_str().and_then(|word| word.parse().ok()).filter(|number| f64::is_finite(*number));
        let bad = || {
            Failure::usage(format!("`{name}` needs a number, not `{}`", word.display()), "cargo xtask <command> --help")
        };
        number.map(Some).ok_or_else(bad)
    }

    /// Prints `help` if it is asked for; whether it was.
    pub(crate) fn help(&mut self, help: &str) -> bool {
        let asked = self.switch("--help") | self.switch("-h");
        if asked {
            println!("{help}");
        }
        asked
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(&self, help_command: &str) -> Result<(), Failure> {
        match self.0.first() {
            None => Ok(()),
            Some(word) => Err(Failure::usage(format!("`{word}` is not understood here"), help_command)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_switches_and_paths_are_taken_in_any_order() {
        let mut given = arguments("loop --light --photos a/b --dir=c");
        assert_eq!(given.path("--dir").ok().flatten(), Some(PathBuf::from("c")));
        assert!(given.switch("--light"));
        assert!(!given.switch("--light"));
        assert_eq!(given.word().as_deref(), Some("loop"));
        assert_eq!(given.path("--photos").ok().flatten(), Some(PathBuf::from("a/b")));
        assert!(given.finish("help").is_ok());
    }

    #[test]
    fn what_is_left_over_is_named() {
        let failure = arguments("--lihgt").finish("cargo xtask interop --help").unwrap_err();
        assert!(failure.to_string().contains("`--lihgt` is not understood"), "{failure}");
        assert!(failure.to_string().contains("hint: see `cargo xtask interop --help`"), "{failure}");
    }

    #[test]
    fn an_option_in_front_is_no_word() {
        assert_eq!(arguments("--photos a").word_unless_option(), None);
        let mut given = arguments("collect --photos a");
        assert_eq!(given.word_unless_option().as_deref(), Some("collect"));
        assert_eq!(given.word_unless_option(), None);
    }

    #[test]
    fn a_number_is_read_and_nothing_else_in_its_place() {
        let mut given = arguments("serve --minutes 0.5");
        assert!(given.has("serve") && !given.has("minutes"));
        assert_eq!(given.number("--minutes").unwrap(), Some(0.5));
        assert_eq!(given.number("--minutes").unwrap(), None);
        assert!(arguments("--minutes long").number("--minutes").is_err());
    }

    #[test]
    fn an_option_without_its_path_is_refused() {
        assert!(arguments("--photos").path("--photos").is_err());
        assert!(arguments("--photos --light").path("--photos").is_err());
    }
}
