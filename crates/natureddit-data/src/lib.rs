//! Posts and photos on disk: sources, collecting, dataset, labels.
//!
//! What is absent: no source's wire format leaves its module, nothing here trains or serves, and no failed answer is
//! ever taken for "no posts".

pub mod collect;
pub mod dataset;
mod images;
pub mod labels;
mod media;
pub mod paging;
mod record;
pub mod source;
mod submission;
mod table;
pub mod titles;
mod window;

pub use collect::{CollectConfig, CollectError, CollectReport, SubredditGap, collect};
pub use dataset::{Dataset, DatasetError, DroppedPost, PostRow};
pub use images::PhotoConfig;
pub use labels::{Label, LabelImport, Labels};
pub use record::DatasetRecord;
pub use source::SourceConfig;
pub use table::TableError;
pub use titles::{LabelledTitle, TitleImport, Titles};
pub use window::{Window, WindowError};
