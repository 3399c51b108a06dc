//! The cluster's network: which addresses it has and how it reaches the host. Must not know components.

pub mod plan;

pub use plan::{AddressError, AddressPlan};
