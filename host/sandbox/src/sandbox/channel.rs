//! The line between the command that boots a cluster and the cluster's init: text one way, orders
//! the other.
//!
//! It is a socket pair. The keeper holds the far end open until it has cleaned up, so that the
//! command reads its end only when nothing is left. Must not know what the text says.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// What the command can tell a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stop in order and clean up.
    Interrupt,
    /// End everything at once.
    Kill,
}

impl Order {
    /// The byte on the wire.
    pub fn byte(self) -> u8 {
        match self {
            Self::Interrupt => b'i',
            Self::Kill => b'k',
        }
    }

    /// The order of a byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Interrupt, Self::Kill].into_iter().find(|order| order.byte() == byte)
    }
}

/// The far end, handed through the keeper to the init.
pub type ChannelEnd = UnixStream;

/// The command's end.
pub struct BootChannel(UnixStream);

impl BootChannel {
    /// Both ends.
    ///
    /// # Errors
    /// The kernel has no more sockets for us.
    pub fn pair() -> io::Result<(Self, ChannelEnd)> {
        let (near, far) = UnixStream::pair()?;
        Ok((Self(near), far))
    }

    /// A second handle, for giving orders while events are read.
    ///
    /// # Errors
    /// The kernel has no more descriptors for us.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sends an order. It isn't an error if the receiver has exited.
    pub fn order(&self, order: Order) {
        let _ = (&self.0).write_all(&[order.byte()]);
    }

    /// What is said of the boot, until nothing of it is left.
    pub fn reader(&self) -> impl Read + '_ {
        &self.0
    }
}
