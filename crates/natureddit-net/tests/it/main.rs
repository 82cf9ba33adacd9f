//! The client against real servers on loopback.

mod assets;
mod client;
mod server;
