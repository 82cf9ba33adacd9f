//! ImportSchema: a schema that a person curated and keeps in git, in place of SchemaGen's.

use natureddit_core::fs;
use serde_json::{Value, json};

use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, Port};
use crate::schema::{SCHEMA_FILE, read_schema};

/// Takes over a schema file as it is, once it is known to be one.
pub struct ImportSchema;

impl Component for ImportSchema {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "ImportSchema",
                version: 2,
                inputs: &[Port::new("schema_file", ArtifactType::Schema)],
                outputs: &[Port::new("schema", ArtifactType::Schema)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        json!({})
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let path = io.input("schema_file");
        let schema = read_schema(path)?;
        cx.set_detail("features", schema.features.len());
        // The bytes themselves, so that comments stay.
        Ok(fs::write_atomic(&io.output("schema").join(SCHEMA_FILE), fs::read(path)?)?)
    }
}
