//! ONNX Runtime, loaded from a shared library the user's machine has pulled. No type of it leaves this crate.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use natureddit_core::fs::{self, FsError};
use natureddit_core::{Asset, AssetSource, WheelTag};
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue, SessionOutputs};
use ort::value::TensorRef;

/// The library for Linux on x86-64, inside the wheel that PyPI serves.
const ONNX_RUNTIME_LINUX_X86_64: Asset = Asset {
    name: "onnxruntime",
    file_name: "libonnxruntime.so.1.32.0",
    bytes: 34_824_680,
    sha256: "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
    licence: "MIT",
    sources: &[AssetSource::Wheel {
        package: "onnxruntime",
        version: "1.32.0",
        tag: Some(WheelTag { python: "3.11", implementation: "cp", platform: "manylinux_2_28_x86_64" }),
        member: "onnxruntime/capi/libonnxruntime.so.1.32.0",
    }],
};

/// The runtime library for this machine, or `None` where no wheel's hash is pinned for its processor and system.
#[must_use]
pub fn onnx_runtime_asset() -> Option<&'static Asset> {
    cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")).then_some(&ONNX_RUNTIME_LINUX_X86_64)
}

/// Why the runtime did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The library would send or store telemetry: the environment does not forbid it.
    #[error("ONNX Runtime is not loaded because ORT_DISABLE_TELEMETRY=1 is not set")]
    Telemetry,
    /// The library could not be loaded.
    #[error("could not load ONNX Runtime from {path}: {reason}", path = path.display())]
    Load {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// A graph was refused.
    #[error("could not open the graph {name}: {reason}")]
    Graph {
        /// Which graph.
        name: String,
        /// What the runtime said.
        reason: String,
    },
    /// A graph file could not be read.
    #[error(transparent)]
    File(#[from] FsError),
    /// A run failed.
    #[error("inference failed: {0}")]
    Run(String),
}

/// The loaded library; cheap to clone. A process loads it once and keeps it.
#[derive(Clone, Debug)]
pub struct Runtime(Environment);

/// ONNX Runtime allows one environment a process; whoever comes second gets the first one's.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// Loads the shared library at `library`, or gives the one this process has loaded already.
    ///
    /// # Errors
    /// [`RuntimeError::Telemetry`] unless `ORT_DISABLE_TELEMETRY=1` is in the environment: the builds on PyPI
    /// otherwise write a device id and event store into the user's cache folder. [`RuntimeError::Load`] when
    /// it is not a usable ONNX Runtime.
    pub fn load(library: &Path) -> Result<Self, RuntimeError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the library itself reads this variable; the check must see what it sees"
        )]
        let disabled = std::env::var("ORT_DISABLE_TELEMETRY").is_ok_and(|value| value == "1");
        if !disabled {
            return Err(RuntimeError::Telemetry);
        }
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return Ok(runtime.clone());
        }
        let failed = |reason: String| RuntimeError::Load { path: library.to_owned(), reason };
        let builder = ort::init_from(library).map_err(|e| failed(e.to_string()))?;
        let environment = builder.with_name("natureddit").with_telemetry(false).build();
        let runtime = environment.map(Self).map_err(|e| failed(e.to_string()))?;
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Opens a graph from its bytes. It runs on the thread that calls it: whoever has more threads opens it for each.
    pub(crate) fn open(&self, name: &str, onnx: &[u8]) -> Result<Graph, RuntimeError> {
        self.session(name, |builder| builder.commit_from_memory(onnx))
    }

    /// Opens a graph file, as [`Runtime::open`].
    pub(crate) fn open_file(&self, path: &Path) -> Result<Graph, RuntimeError> {
        fs::metadata(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.session(&name, |builder| builder.commit_from_file(path))
    }

    fn session(
        &self,
        name: &str,
        commit: impl FnOnce(&mut ort::session::builder::SessionBuilder) -> ort::Result<Session>,
    ) -> Result<Graph, RuntimeError> {
        let failed = |e: ort::Error| RuntimeError::Graph { name: name.to_owned(), reason: e.to_string() };
        let builder = Session::builder(&self.0).map_err(failed)?;
        let builder = builder.with_optimization_level(GraphOptimizationLevel::Level3).map_err(|e| failed(e.into()))?;
        let mut builder = builder.with_intra_threads(1).map_err(|e| failed(e.into()))?;
        commit(&mut builder).map(|session| Graph { session }).map_err(failed)
    }
}

/// A graph ready to run.
#[derive(Debug)]
pub(crate) struct Graph {
    session: Session,
}

/// One input of a graph: its name, shape and values.
pub(crate) enum Feed<'a> {
    F32(&'a str, Vec<usize>, &'a [f32]),
    I64(&'a str, Vec<usize>, &'a [i64]),
}

impl Graph {
    /// Runs the graph and copies the output of that name, row-major.
    pub(crate) fn run(&mut self, feeds: &[Feed<'_>], output: &str) -> Result<Vec<f32>, RuntimeError> {
        let outputs = self.run_with(feeds, |outputs| outputs.get(output).map(copy).transpose())?;
        outputs.ok_or_else(|| RuntimeError::Run(format!("the graph has no output {output}")))
    }

    /// Runs the graph and copies its first output, row-major, with its shape.
    pub(crate) fn run_shaped(&mut self, feeds: &[Feed<'_>]) -> Result<(Vec<usize>, Vec<f32>), RuntimeError> {
        let outputs = self.run_with(feeds, |outputs| {
            let first = outputs.values().next();
            let shaped = first.map(|output| -> ort::Result<_> {
                let (shape, values) = output.try_extract_tensor::<f32>()?;
                Ok((shape.iter().map(|&size| size as usize).collect(), values.to_vec()))
            });
            shaped.transpose()
        })?;
        outputs.ok_or_else(|| RuntimeError::Run("the graph has no output".to_owned()))
    }

    /// Runs the graph and copies all its outputs, which are floats, in the order in which the graph names them.
    pub(crate) fn run_all(&mut self, feeds: &[Feed<'_>]) -> Result<Vec<Vec<f32>>, RuntimeError> {
        self.run_with(feeds, |outputs| outputs.values().map(|output| copy(&output)).collect())
    }

    fn run_with<T>(
        &mut self,
        feeds: &[Feed<'_>],
        take: impl FnOnce(&SessionOutputs<'_>) -> ort::Result<T>,
    ) -> Result<T, RuntimeError> {
        let failed = |e: ort::Error| RuntimeError::Run(e.to_string());
        let mut inputs: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(feeds.len());
        for feed in feeds {
            inputs.push(match feed {
                Feed::F32(name, shape, data) => {
                    (*name, TensorRef::from_array_view((shape.clone(), *data)).map_err(failed)?.into())
                }
                Feed::I64(name, shape, data) => {
                    (*name, TensorRef::from_array_view((shape.clone(), *data)).map_err(failed)?.into())
                }
            });
        }
        let outputs = self.session.run(inputs).map_err(failed)?;
        take(&outputs).map_err(failed)
    }
}

/// The values of an output, row-major.
fn copy(output: &ort::value::DynValue) -> ort::Result<Vec<f32>> {
    let (_shape, values) = output.try_extract_tensor::<f32>()?;
    Ok(values.to_vec())
}
