//! DVC's files, natively: pointers (`.dvc`), object cache, remotes and the work tree of any DVC 3 repository, and those of
//! DVC 2 as DVC 3 reads them. What the real tool wrote this reads, and the other way round; see `docs/interop/dvc.md`.

pub mod hash;
pub mod remote;
pub mod tree;
