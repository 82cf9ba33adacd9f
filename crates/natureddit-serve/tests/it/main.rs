//! The server from outside: requests over real HTTPS, to models whose answers and moments the tests decide.

mod fixture;
mod limits;
mod predictions;
mod service;
