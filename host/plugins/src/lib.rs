//! Plugins: components in shared libraries, TOML files and manifests, beside the compiled-in ones.
//!
//! This crate must not know what components are for, nor any of them by name.

mod archive;
mod compare;
pub mod declared;
mod discover;
mod elf;
mod fetch;
mod gather;
mod generate;
mod install;
mod layout;
mod loader;
mod lock;
mod manifest;
mod manifests;
mod permissions;
mod registry;
mod scan;
pub mod snapshot;
mod transaction;

pub use archive::ArchiveError;
pub use compare::{Incompatible, LibraryInfo, Mismatch};
pub use discover::{DIRECTORY, DiscoverError, Discovery, Found, Problem, Search, SearchPlace, VARIABLE};
pub use elf::ElfError;
pub use fetch::FetchError;
pub use gather::{Plugin, PluginError, PluginState, Registry};
pub use generate::{GenerateError, Generated, generate};
pub use install::{Check, InstallError, Installed, check_headers, install, remove};
pub use loader::{LoadError, LoadProblem, Loaded, load};
pub use lock::{Entry, LOCK_FILE, Lock, LockError};
pub use manifest::{Manifest, ManifestError};
pub use manifests::ManifestsError;
pub use permissions::{Trust, Untrusted};
pub use registry::{Components, Registered, Source};
pub use scan::{Kind, ScanError};
pub use snapshot::Snapshot;
pub use transaction::TransactionError;
