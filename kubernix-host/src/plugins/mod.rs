//! Where components come from: compiled in, shared libraries that anyone can ship, and TOML files.
//!
//! This module must not know what components are for, nor any of them by name.

mod compare;
mod elf;
mod layout;
mod loader;
mod manifest;
mod registry;

pub use compare::{Mismatch, Refusal, Said};
pub use elf::ElfError;
pub use loader::{LoadError, LoadProblem, Loaded, load};
pub use manifest::{Manifest, ManifestError};
pub use registry::{Components, Registered, Source};
