//! Assets from the user's folder, from a hub and a package index on loopback, and from a pip that is a shell script.

mod cache;
mod fixture;
mod hub;
#[cfg(unix)]
mod index;
mod repo;
pub(crate) mod site;
#[cfg(unix)]
mod wheel;
