//! What lies where in the pipeline's folder: TFX's `<Component>/<output key>/<execution id>`, the store, the lock.

use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError, Lock};

use super::RunError;
use crate::artifact::ExecutionId;
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

    /// The first number that no output folder has, nor any after it.
    pub(super) fn first_free_id(&self, graph: &Graph) -> Result<ExecutionId, FsError> {
        let numbers = self.output_folders(graph)?.into_iter().filter_map(|path| number(&path));
        Ok(ExecutionId(numbers.max().unwrap_or(0) + 1))
    }

    /// The folders of outputs, whoever made them.
    pub(super) fn numbered_outputs(&self, graph: &Graph) -> Result<Vec<PathBuf>, FsError> {
        let mut folders = self.output_folders(graph)?;
        folders.retain(|path| number(path).is_some() && path.is_dir());
        Ok(folders)
    }

    /// What lies beside each other as outputs of components, temporary folders and strange files among it.
    fn output_folders(&self, graph: &Graph) -> Result<Vec<PathBuf>, FsError> {
        let mut found = Vec::new();
        for spec in graph.specs() {
            for port in spec.outputs {
                let folder = self.root.join(spec.id).join(port.key);
                found.extend(fs::optional(fs::read_dir(&folder))?.unwrap_or_default());
            }
        }
        Ok(found)
    }

    /// Takes the lock of the pipeline, without waiting.
    pub(super) fn lock(&self) -> Result<Lock, RunError> {
        fs::try_lock(&self.root.join(".lock"))?.ok_or_else(|| RunError::Locked(self.root.clone()))
    }

    /// Removes the temporary folders and files of runs that were killed. Only to be called under the lock.
    pub(super) fn sweep(&self, graph: &Graph) -> Result<(), FsError> {
        fs::remove_partials(&self.root)?;
        for path in self.output_folders(graph)?.into_iter().filter(|path| is_partial(path)) {
            tracing::info!(path = %path.display(), "removing what a killed run left");
            fs::remove_dir_all(&path)?;
        }
        Ok(())
    }
}

const PARTIAL: &str = ".partial";

/// The execution that a folder is named after.
fn number(path: &Path) -> Option<i64> {
    path.file_name()?.to_str()?.parse().ok()
}

fn is_partial(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let id = name.and_then(|name| name.strip_prefix('.')?.strip_suffix(PARTIAL));
    id.is_some_and(|id| id.parse::<i64>().is_ok())
}
