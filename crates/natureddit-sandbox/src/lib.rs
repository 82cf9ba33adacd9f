//! A simulated Reddit on loopback: seeded corpus, drawn pictures, truth.
mod scene;
