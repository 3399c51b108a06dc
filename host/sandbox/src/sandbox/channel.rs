//! The connection between the command that boots a cluster and the cluster's init: events in one
//! direction, orders in the other.
//!
//! It is a socket pair. The keeper keeps the far end open until it has cleaned up, so the command
//! reads end-of-file only then. Must not know the format of the events.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// An order of the booting command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stop gracefully and clean up.
    Interrupt,
    /// Kill everything at once.
    Kill,
}

impl Order {
    /// The byte that encodes the order.
    pub fn byte(self) -> u8 {
        match self {
            Self::Interrupt => b'i',
            Self::Kill => b'k',
        }
    }

    /// Decodes an order.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Interrupt, Self::Kill].into_iter().find(|order| order.byte() == byte)
    }
}

/// The far end, which the keeper passes to the init.
pub type ChannelEnd = UnixStream;

/// The command's end.
pub struct BootChannel(UnixStream);

impl BootChannel {
    /// Creates both ends.
    ///
    /// # Errors
    /// No socket can be created.
    pub fn pair() -> io::Result<(Self, ChannelEnd)> {
        let (near, far) = UnixStream::pair()?;
        Ok((Self(near), far))
    }

    /// A second handle, to send orders while another thread reads events.
    ///
    /// # Errors
    /// No descriptor can be created.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sends an order. Does nothing if the far end is closed.
    pub fn order(&self, order: Order) {
        let _ = (&self.0).write_all(&[order.byte()]);
    }

    /// Reads the events until the far end is closed.
    pub fn reader(&self) -> impl Read + '_ {
        &self.0
    }
}
