//! Texts that several crates of the host need: errors with their causes, similar names, places in
//! files, digits, and Kubernetes manifests as values.
//!
//! Must not know what any of these texts is about.

pub mod chain;
pub mod digits;
pub mod located;
pub mod manifest;
pub mod nearest;
pub mod position;

pub use located::Located;
pub use nearest::nearest;
pub use position::position;
