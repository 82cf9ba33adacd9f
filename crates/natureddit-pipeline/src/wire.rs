//! Messages of other tools, as they are written: one module a package of messages, and never the domain type.

pub mod metadata_v0;
