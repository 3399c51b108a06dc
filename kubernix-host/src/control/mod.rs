//! The line into a running cluster: a unix socket in its root directory, one JSON line asked, one answered.
//!
//! A stop and a change are the exceptions: they are answered by events until they are over. This module must not know how
//! the cluster does what it is asked for.

mod client;
mod protocol;
mod server;
pub mod wire;

pub use client::{Changing, Client, ControlError};
pub use protocol::{ChangeOutcome, ChangeRequest, Copied, Envelope, NodeImages, OpenPort, PROTOCOL, Reply, Request};
pub use server::{ControlServer, Message};
pub use wire::{ClusterState, InstanceReport, InstanceState, Report};

use crate::root::Root;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// A path of the control socket that fits into an address however long the root directory's is, and the directory that has to
/// stay open while it is used.
fn short_path(root: &Root) -> io::Result<(PathBuf, File)> {
    let directory = File::open(root.run())?;
    let socket = root.control_socket();
    let name = socket.file_name().unwrap_or_default();
    Ok((PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name), directory))
}
