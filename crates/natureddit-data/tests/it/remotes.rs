//! What every remote does, on each kind: a folder, a web server, a bucket.

mod bucket;
mod cases;
mod kinds;
mod server;
mod web;
