//! Text that several crates of the host make alike: errors with their causes, names that were
//! probably meant, places in files, digits, and manifests as values.
//!
//! Must not know what any of it is about.

pub mod chain;
pub mod digits;
pub mod manifest;
pub mod nearest;
pub mod position;

pub use nearest::nearest;
pub use position::position;
