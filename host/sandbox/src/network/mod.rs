//! The cluster's network: its address plan, the links inside the sandbox and out of it, and
//! connections forwarded either way.

pub mod balance;
mod datagrams;
pub mod forward;
pub mod holder;
pub mod host_net;
pub mod netlink;
mod nft;
pub mod node;
pub mod egress;
pub mod plan;
pub mod proxy;
pub mod publish;
pub mod resolver;
pub mod uplink;

pub use host_net::HostNet;
pub use egress::{Egress, UplinkMode};
pub use plan::{AddressError, AddressPlan};
pub use publish::Published;
