//! The names of hidden commands of the `kubernix` binary.

/// Runs a cluster's keeper: ROOT-BASE ID LOCK-FD CHANNEL-FD LISTENER-FD...
pub const KEEPER: &str = "__keeper";
/// Runs a cluster's init: ROOT-BASE ID LIFE-FD CHANNEL-FD LOCK-FD HOST-NETWORK-FD HOST-LOCK-FD
/// LISTENER-FD...
pub const INIT: &str = "__init";
/// Runs a node's first process: SETUP.
pub const NODE: &str = "__node";
