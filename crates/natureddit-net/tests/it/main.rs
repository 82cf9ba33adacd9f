//! The client against real servers on loopback.

mod api;
mod assets;
mod client;
mod download;
mod server;
mod upload;
