//! SchemaGen: what examples should look like, from what the training split looks like.

use serde_json::{Value, json};

use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, Port};
use crate::schema::infer::{InferConfig, infer_schema};
use crate::schema::{SCHEMA_FILE, write_schema};
use crate::split::Split;
use crate::statistics::read_statistics;

/// Infers a schema from the statistics of the training split.
pub struct SchemaGen {
    /// How.
    pub config: InferConfig,
}

impl Component for SchemaGen {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "SchemaGen",
                version: 1,
                inputs: &[Port::new("statistics", ArtifactType::ExampleStatistics)],
                outputs: &[Port::new("schema", ArtifactType::Schema)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        json!({ "infer": self.config })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let statistics = read_statistics(io.input("statistics"), Split::Train)?;
        let schema = infer_schema(&statistics, &self.config);
        cx.set_detail("features", schema.features.len());
        cx.set_detail("domains", schema.text_domains.len());
        Ok(write_schema(&io.output("schema").join(SCHEMA_FILE), &schema)?)
    }
}
