//! A bundle as MLflow keeps models: a folder with `MLmodel`, which `mlflow.pyfunc` and `mlflow.onnx` load.

use std::path::Path;

use natureddit_core::ContentHash;
use natureddit_core::fs::{self, FsError};
use natureddit_model::{BundleError, ComposeError, ModelBundle};

use crate::tracking::run::TrackedRun;

/// Where the model lies among the files of its run.
pub(super) const FOLDER: &str = "model";

const ONNX: &str = "model.onnx";
const MLMODEL: &str = "MLmodel";
/// What of the bundle goes along: how to make the graph's inputs, and what its outputs mean.
const OF_BUNDLE: [&str; 3] = ["labels.json", "preprocess.json", "tokenizer.json"];

/// The graph has operators of set 20, which these are the first to know.
const REQUIREMENTS: &str = "mlflow\nonnx>=1.15\nonnxruntime>=1.17\n";
const CONDA: &str = "\
channels:
- conda-forge
dependencies:
- python>=3.10
- pip
- pip:
  - mlflow
  - onnx>=1.15
  - onnxruntime>=1.17
name: mlflow-env
";
const PYTHON_ENV: &str = "\
python: 3.11.7
build_dependencies:
- pip
- setuptools
- wheel
dependencies:
- -r requirements.txt
";

/// Why a model is not sent with its run.
#[derive(Debug, thiserror::Error)]
pub(super) enum MlmodelError {
    /// Its files are no bundle any more.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It makes no single file.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// Another model lies where it was.
    #[error("another model is there now")]
    Another,
    /// A file could not be written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl MlmodelError {
    /// The failure of the disk that may pass, such as that it is full.
    pub(super) fn of_disk(self) -> Result<FsError, Self> {
        match self {
            Self::Fs(error) | Self::Bundle(BundleError::File(error)) if !error.is_not_found() => Ok(error),
            other => Err(other),
        }
    }
}

/// Writes the folder, and gives the names of its files in the order in which they are to be sent: what names the others
/// comes last, so that whoever sees it sees a whole model.
pub(super) fn write(
    dir: &Path,
    bundle: &Path,
    manifest_sha256: ContentHash,
    run: &TrackedRun,
    run_id: &str,
) -> Result<Vec<&'static str>, MlmodelError> {
    let manifest = fs::read(&bundle.join(ModelBundle::MANIFEST))?;
    if ContentHash::of(&manifest) != manifest_sha256 {
        return Err(MlmodelError::Another);
    }
    let read = ModelBundle::read(bundle)?;
    // It takes a second, and is whole if it is there, also after a power cut.
    if fs::optional(fs::metadata(&dir.join(ONNX)))?.is_none() {
        fs::write_atomic(&dir.join(ONNX), read.compose()?)?;
    }
    for name in OF_BUNDLE {
        fs::write_unsynced(&dir.join(name), fs::read(&bundle.join(name))?)?;
    }
    fs::write_unsynced(&dir.join("requirements.txt"), REQUIREMENTS)?;
    fs::write_unsynced(&dir.join("conda.yaml"), CONDA)?;
    fs::write_unsynced(&dir.join("python_env.yaml"), PYTHON_ENV)?;
    fs::write_unsynced(&dir.join(MLMODEL), mlmodel(&read, run, run_id))?;
    let first = [ONNX, "conda.yaml", "python_env.yaml", "requirements.txt"];
    Ok(first.into_iter().chain(OF_BUNDLE).chain([MLMODEL]).collect())
}

/// The text of `MLmodel`. Without `python_function.data` MLflow looks for the graph beside the folder.
fn mlmodel(bundle: &ModelBundle, run: &TrackedRun, run_id: &str) -> String {
    let size = bundle.preprocess().image.size;
    let classes = bundle.manifest.classes.len();
    let created = jiff::Timestamp::from_millisecond(run.ended_ms).unwrap_or_default();
    let created = created.strftime("%Y-%m-%d %H:%M:%S.%6f");
    let id = &run.id;
    let tensor = |name: &str, kind: &str, shape: String| {
        format!(r#"{{"name": "{name}", "type": "tensor", "tensor-spec": {{"dtype": "{kind}", "shape": {shape}}}}}"#)
    };
    let inputs = [
        tensor("pixels", "float32", format!("[-1, 3, {size}, {size}]")),
        tensor("input_ids", "int64", "[-1, -1]".to_owned()),
        tensor("attention_mask", "int64", "[-1, -1]".to_owned()),
    ]
    .join(", ");
    let outputs =
        [tensor("probabilities", "float32", format!("[-1, {classes}]")), tensor("class", "int64", "[-1]".to_owned())]
            .join(", ");
    format!(
        "\
artifact_path: {FOLDER}
flavors:
  onnx:
    code: null
    data: {ONNX}
    onnx_session_options: null
    onnx_version: 1.15.0
    providers:
    - CPUExecutionProvider
  python_function:
    data: {ONNX}
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.onnx
model_uuid: {id}
run_id: {run_id}
signature:
  inputs: '[{inputs}]'
  outputs: '[{outputs}]'
  params: null
utc_time_created: '{created}'
"
    )
}
