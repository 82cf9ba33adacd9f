//! The model: preprocessing, encoders, ONNX graphs, training, metrics, bundle, predictor.
//!
//! What is absent: no type of ONNX Runtime, burn or the tokenizer stands in a public signature; nothing here knows a
//! dataset file, a tracker or HTTP; nothing is fetched: files of assets are handed in.

mod archive;
mod bundle;
mod composed;
mod embedder;
mod encoder;
mod error;
mod explain;
mod feature_cache;
mod feature_table;
mod head;
mod input;
pub mod metrics;
mod onnx;
mod parallel;
mod predictor;
mod preprocess;
mod quantization;
mod runtime;
pub mod search;
mod store;
pub mod train;
mod weights;

pub use archive::{ArchiveError, ArchivedModel, is_archive, version_number};
pub use bundle::{BundleError, BundleParts, EncoderPrecision, EncoderRecord, Manifest, ModelBundle};
pub use composed::{ComposeError, ComposedInputs, ComposedModel, composed_difference};
pub use embedder::Embedder;
pub use encoder::{
    EncoderError, EncoderFiles, EncoderPair, EncoderSource, EncoderSpec, Encoders, Features, ImageEncoder, NotFinite,
    OnnxImageEncoder, OnnxTextEncoder, Ports, TextEncoder, TextPooling, image_encoder_from_config,
    text_encoder_from_config,
};
pub use error::ModelError;
pub use explain::{ExplainError, ExplainOptions, Explanation, OcclusionMap, Variants, WordWeight};
pub use feature_cache::FeatureCache;
pub use feature_table::{read_features, write_features};
pub use head::Head;
pub use input::{InputError, ModelInput};
pub use predictor::{Prediction, Predictor, PredictorOptions};
pub use preprocess::{
    Channels, ImagePreprocess, InputLimits, Prepared, PreprocessConfig, Preprocessor, ResizeFilter, TextPreprocess,
};
pub use quantization::{ActivationRanges, Precision, QUANTIZE_VERSION, QuantizeError, calibrate_image, calibrate_text};
pub use runtime::{Runtime, RuntimeError, onnx_runtime_asset};
pub use store::{
    ChangeError, ChangeKind, DefaultChange, HISTORY_FILE, HistoryError, LockedModel, ModelVersions, VersionChange,
    manifest_hash, next_version, sweep_partial_pushes, version_of, versions,
};
pub use weights::WeightsError;
