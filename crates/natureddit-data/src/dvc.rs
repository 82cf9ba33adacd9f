//! DVC's files, natively: pointers (`.dvc`), object cache, remotes and the work tree of any DVC 3 repository, and those of
//! DVC 2 as DVC 3 reads them. What the real tool wrote this reads, and the other way round; see `docs/interop/dvc.md`.

mod add;
mod cache;
mod checkout;
pub mod config;
mod error;
mod gc;
mod git;
pub mod hash;
mod ignored;
mod init;
mod lanes;
mod link;
pub mod pointer;
mod presence;
pub mod remote;
mod repo;
mod scan;
mod state;
mod status;
mod transfer;
pub mod tree;
mod unfinished;
mod verify;
mod yaml;

pub use add::Added;
pub use checkout::CheckedOut;
pub use error::DvcError;
pub use gc::{Collected, Keep};
pub use init::init;
pub use repo::{DvcOptions, DvcRepo};
pub use status::{Change, OutStatus};
pub use transfer::{CloudStatus, Pulled, Transferred};
