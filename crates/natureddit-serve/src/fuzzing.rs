//! Where bytes of strangers come in: what fuzz targets and the test of mutated bodies call. No part of the crate's interface.
//! Each function takes any bytes, and what it promises of them is asserted.

use std::path::Path;

use crate::config_properties::ConfigProperties;

pub use crate::request::fuzzing::post_body;

/// A `config.properties`, in whose values one variable of the environment may be named.
pub fn config_properties(bytes: &[u8]) {
    let variable = |name: &str| (name == "PORT").then(|| "8080".to_owned());
    match ConfigProperties::parse(bytes, Path::new("/srv/config.properties"), &variable) {
        Ok(properties) => {
            let is_a_line = |note: &String| !note.contains(char::is_control);
            assert!(properties.notes.iter().all(is_a_line), "{:?}", properties.notes);
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error:?}"),
    }
}
