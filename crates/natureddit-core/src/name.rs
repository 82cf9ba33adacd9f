//! Names that are folders and parts of addresses at once: of projects, of models.

/// What [`is_plain_name`] asks for, as an error says it.
pub const PLAIN_NAME: &str = "1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit";

/// Whether a name is safe as one folder and as one part of an address: no name leads out of a folder, hides in it or
/// looks like an option.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_one_visible_folder() {
        for name in ["naturedditTI", "a", "7", "a.b-c_d", &"x".repeat(64)] {
            assert!(is_plain_name(name), "{name}");
        }
        for name in ["", ".", "..", ".a", "-a", "_a", "a/b", "a\\b", "a b", "é", "a\n", &"x".repeat(65)] {
            assert!(!is_plain_name(name), "{name:?}");
        }
    }
}
