//! A netlink socket of the netfilter subsystem.

use super::message::{Batch, HEADER};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// How long to wait for the kernel's reply, in seconds. It usually comes at once.
const REPLY_TIMEOUT_S: i64 = 5;

#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    pub(super) fn open() -> io::Result<Self> {
        let protocol = SockProtocol::NetlinkNetFilter;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(REPLY_TIMEOUT_S, 0))?;
        Ok(Self(socket))
    }

    /// Sends a message.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        send(self.0.as_raw_fd(), bytes, MsgFlags::empty())?;
        Ok(())
    }

    /// Sends a batch, which the kernel applies as a whole or not at all.
    pub(super) fn commit(&self, batch: Batch) -> io::Result<()> {
        let (bytes, mut unanswered) = batch.finish();
        self.send(&bytes)?;
        self.receive(|_, _| {
            unanswered -= 1;
            unanswered > 0
        })
    }

    /// Receives replies until `more` returns false or the kernel has sent the last one.
    pub(super) fn receive(&self, mut more: impl FnMut(u16, &[u8]) -> bool) -> io::Result<()> {
        /// NLMSG_ERROR, which also acknowledges success with code 0, and NLMSG_DONE.
        const ERROR: u16 = 2;
        const DONE: u16 = 3;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let mut rest = &buffer[..length];
            while let [a, b, c, d, e, f, ..] = *rest {
                let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                let kind = u16::from_ne_bytes([e, f]);
                let Some(payload) = rest.get(HEADER..length) else { return Err(io::ErrorKind::InvalidData.into()) };
                if kind == ERROR {
                    let code = payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                    if code != 0 {
                        return Err(io::Error::from_raw_os_error(-code));
                    }
                }
                if kind == DONE || !more(kind, payload) {
                    return Ok(());
                }
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
}
