//! The cluster's network: its address plan, the links inside the sandbox, and connections forwarded from the host.

pub mod forward;
pub mod netlink;
pub mod plan;

pub use plan::{AddressError, AddressPlan};
