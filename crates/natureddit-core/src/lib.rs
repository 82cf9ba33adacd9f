//! The vocabulary of NatuReddit: posts, labels, content hashes, clock, secrets and the file system.
//!
//! What is absent: no socket is opened here, no thread is started, and nothing is `async`.

pub mod asset;
pub mod clock;
pub mod fs;
pub mod hash;
pub mod label;
pub mod name;
pub mod post;
pub mod progress;
pub mod secret;
pub mod text;
pub mod weight_index;

pub use asset::{Asset, AssetSource, WheelTag};
pub use clock::Clock;
pub use hash::{ContentHash, ContentHasher};
pub use label::{Class, ClassNames};
pub use name::{PLAIN_NAME, is_plain_name};
pub use post::{Post, PostId};
pub use progress::Progress;
pub use secret::Secret;
pub use weight_index::{WEIGHT_INDEX_BYTES_MAX, WEIGHT_INDEX_FILE, WeightIndex, WeightIndexError};
