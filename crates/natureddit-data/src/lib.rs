//! Posts and photos on disk: sources, collecting, dataset, labels.
//!
//! What is absent: no source's wire format leaves its module, nothing here trains or serves, and no failed answer is
//! ever taken for "no posts".

mod again;
pub mod collect;
pub mod daily;
pub mod dataset;
mod deletions;
pub mod dvc;
mod forget;
pub mod gap;
pub mod git;
mod id_set;
mod images;
mod journal;
pub mod labels;
mod media;
mod merge;
pub mod original;
pub mod paging;
mod pending_deletion;
mod placeholder;
mod record;
pub mod source;
mod submission;
mod table;
pub mod titles;
pub mod tombstones;
mod validate;
mod version;
mod window;

pub use collect::{AuthorMode, CollectConfig, CollectError, CollectReport, SubredditGap, SubredditReport, collect};
pub use dataset::{DROPPED_FILE, Dataset, DatasetError, DroppedPost, POSTS_FILE, PhotoKey, PostRow};
pub use deletions::{Deletions, sync_deletions};
pub use forget::{Forgotten, forget_posts, sweep_half_written};
pub use images::{PhotoConfig, Shrink};
pub use journal::is_unfinished;
pub use labels::{Choices, LABELS_FILE, Label, LabelImport, Labels};
pub use media::GalleryMode;
pub use merge::{Merged, merge};
pub use pending_deletion::PendingDeletion;
pub use record::DatasetRecord;
pub use source::SourceConfig;
pub use table::TableError;
pub use titles::{LabelledTitle, TITLES_FILE, TitleImport, Titles};
pub use validate::{Problem, Validation, validate};
pub use version::{DatasetVersion, git_revision};
pub use window::{Window, WindowError};
