//! Where components come from: compiled in, shared libraries that anyone can ship, and TOML files.
//!
//! This module must not know what components are for, nor any of them by name.

pub mod declared;
mod elf;
mod layout;
mod loader;
mod registry;

pub use elf::ElfError;
pub use loader::{LoadError, LoadProblem, Loaded, load};
pub use registry::{Components, Registered, Source};
