//! Assets from the user's folder, from a hub on loopback and from a pip that is a shell script.

mod cache;
mod fixture;
mod hub;
#[cfg(unix)]
mod wheel;
