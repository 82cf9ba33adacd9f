//! The classes a post can belong to. Their names are configuration; code sees indices.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The index of a class in [`ClassNames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Class(pub usize);

/// The names of the classes, in the order of the model's outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct ClassNames(Vec<String>);

/// A list of names that cannot be the classes of a model.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClassNamesError {
    /// Fewer than two classes leave nothing to tell apart.
    #[error("a model needs at least two classes, got {0}")]
    TooFew(usize),
    /// A name that is empty or holds something other than letters, digits, `-` and `_`.
    #[error("class name {0:?} must be letters, digits, '-' or '_'")]
    BadName(String),
    /// A name given twice.
    #[error("class name {0:?} is given twice")]
    Twice(String),
}

impl ClassNames {
    /// Checks the names and keeps their order.
    ///
    /// # Errors
    /// Fewer than two names, a name given twice, or one that could not be a column or folder name.
    pub fn new(names: Vec<String>) -> Result<Self, ClassNamesError> {
        if names.len() < 2 {
            return Err(ClassNamesError::TooFew(names.len()));
        }
        for (at, name) in names.iter().enumerate() {
            let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || !name.chars().all(plain) {
                return Err(ClassNamesError::BadName(name.clone()));
            }
            if names[..at].contains(name) {
                return Err(ClassNamesError::Twice(name.clone()));
            }
        }
        Ok(Self(names))
    }

    /// How many classes there are; never zero.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there are always at least two")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The name of a class.
    ///
    /// # Panics
    /// When `class` is not one of these.
    #[must_use]
    pub fn name(&self, class: Class) -> &str {
        &self.0[class.0]
    }

    /// The class of that name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<Class> {
        self.0.iter().position(|n| n == name).map(Class)
    }

    /// Every class in order.
    pub fn classes(&self) -> impl Iterator<Item = Class> + use<> {
        (0..self.0.len()).map(Class)
    }

    /// Every name in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for ClassNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl TryFrom<Vec<String>> for ClassNames {
    type Error = ClassNamesError;

    fn try_from(names: Vec<String>) -> Result<Self, Self::Error> {
        Self::new(names)
    }
}

impl From<ClassNames> for Vec<String> {
    fn from(names: ClassNames) -> Self {
        names.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Result<ClassNames, ClassNamesError> {
        ClassNames::new(list.iter().map(|&n| n.to_owned()).collect())
    }

    #[test]
    fn order_is_kept_and_names_are_found() {
        let classes = names(&["fauna", "flora", "landscape"]).unwrap();
        assert_eq!(classes.class("flora"), Some(Class(1)));
        assert_eq!(classes.name(Class(2)), "landscape");
        assert_eq!(classes.class("Flora"), None);
    }

    #[test]
    fn bad_lists_are_refused() {
        assert_eq!(names(&["one"]), Err(ClassNamesError::TooFew(1)));
        assert_eq!(names(&["a", "a"]), Err(ClassNamesError::Twice("a".into())));
        assert_eq!(names(&["a", "b/c"]), Err(ClassNamesError::BadName("b/c".into())));
    }
}
