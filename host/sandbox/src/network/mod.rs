//! The cluster's network: its address plan, the links in the sandbox and to the host, and forwarded
//! connections in both directions.

pub mod balance;
mod datagrams;
pub mod egress;
pub mod forward;
pub mod holder;
pub mod host_net;
pub mod netlink;
mod nft;
pub mod node;
pub mod plan;
pub mod proxy;
pub mod publish;
pub mod resolver;
pub mod uplink;

pub use egress::{Egress, UplinkMode};
pub use host_net::HostNet;
pub use plan::{AddressError, AddressPlan};
pub use publish::Published;
