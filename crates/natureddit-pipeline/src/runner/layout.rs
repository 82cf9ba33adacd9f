//! What lies where in the pipeline's folder: TFX's `<Component>/<output key>/<execution id>`, the store, the lock.

use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError, Lock};

use super::RunError;
use crate::artifact::ExecutionId;
use crate::component::ComponentSpec;
use crate::graph::Graph;

/// The pipeline's folder within the project folder.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) project_dir: PathBuf,
    pub(super) root: PathBuf,
}

impl Layout {
    pub(super) fn metadata(&self) -> PathBuf {
        self.root.join("metadata.db")
    }

    pub(super) fn file_states(&self) -> PathBuf {
        self.root.join("file_states.json")
    }

    /// Where an output of an execution lies in the end.
    pub(super) fn output(&self, component: &str, key: &str, execution: ExecutionId) -> PathBuf {
        self.root.join(component).join(key).join(execution.to_string())
    }

    /// Where an output is made, beside its final place so that the move is a rename.
    pub(super) fn partial(&self, component: &str, key: &str, execution: ExecutionId) -> PathBuf {
        self.root.join(component).join(key).join(format!(".{execution}{PARTIAL}"))
    }

    /// The path as it is written down: relative to the project folder, with `/`, where it lies within.
    pub(super) fn uri(&self, path: &Path) -> String {
        match path.strip_prefix(&self.project_dir) {
            Ok(within) => {
                let names: Vec<_> = within.iter().map(|name| name.to_string_lossy()).collect();
                names.join("/")
            }
            Err(_) => path.to_string_lossy().into_owned(),
        }
    }

    pub(super) fn path(&self, uri: &str) -> PathBuf {
        self.project_dir.join(uri)
    }

    /// Whether an output folder has this id already, left by a run that was killed before it could write it down.
    pub(super) fn is_taken(&self, spec: &ComponentSpec, execution: ExecutionId) -> bool {
        spec.outputs.iter().any(|port| self.output(spec.id, port.key, execution).exists())
    }

    /// Takes the lock of the pipeline, without waiting.
    pub(super) fn lock(&self) -> Result<Lock, RunError> {
        fs::try_lock(&self.root.join(".lock"))?.ok_or_else(|| RunError::Locked(self.root.clone()))
    }

    /// Removes the temporary folders of runs that were killed. Only to be called under the lock.
    pub(super) fn sweep(&self, graph: &Graph) -> Result<(), FsError> {
        for spec in graph.specs() {
            for port in spec.outputs {
                let folder = self.root.join(spec.id).join(port.key);
                for path in fs::optional(fs::read_dir(&folder))?.unwrap_or_default() {
                    if is_partial(&path) {
                        tracing::info!(path = %path.display(), "removing what a killed run left");
                        fs::remove_dir_all(&path)?;
                    }
                }
            }
        }
        Ok(())
    }
}

const PARTIAL: &str = ".partial";

fn is_partial(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let id = name.and_then(|name| name.strip_prefix('.')?.strip_suffix(PARTIAL));
    id.is_some_and(|id| id.parse::<i64>().is_ok())
}
