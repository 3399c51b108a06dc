//! Where components come from: compiled in, shared libraries that anyone can ship, and TOML files.
//!
//! This module must not know what components are for, nor any of them by name.

mod compare;
mod manifest;

pub use compare::{Mismatch, Refusal, Said};
pub use manifest::{Manifest, ManifestError};
