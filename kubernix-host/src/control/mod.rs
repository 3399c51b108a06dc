//! The control socket of a running cluster: a unix socket in its root directory. A request is one
//! line of JSON, and so is a reply.
//!
//! A stop or a change is followed by events until it ends. This module must not know how the
//! cluster handles a request.

mod client;
mod protocol;
mod server;
pub mod wire;

pub use client::{Client, ControlError, PendingChange};
pub use protocol::{ChangeOutcome, ChangeRequest, Copied, Envelope, PROTOCOL, Reply, Request};
pub use server::{ControlServer, Message};
pub use wire::{ClusterState, InstanceReport, InstanceState, Report};

use crate::root_dir::Root;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// A path of the control socket that fits into a socket address even if the path of the root
/// directory is long. The returned directory must stay open while the path is used.
fn short_path(root: &Root) -> io::Result<(PathBuf, File)> {
    let directory = File::open(root.run())?;
    let socket = root.control_socket();
    let name = socket.file_name().unwrap_or_default();
    Ok((PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name), directory))
}
