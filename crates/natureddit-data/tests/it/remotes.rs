//! What every remote does, on each kind: a folder, a web server, a bucket.

pub(crate) mod bucket;
mod cases;
mod kinds;
mod server;
mod web;
