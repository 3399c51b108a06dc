//! Creates nftables tables that the kernel removes when their creator ends, over netlink.
//!
//! A table with an owner (Linux 5.12) is removed when the owner's socket is closed, for any reason.
//! The program `nft` can't be the owner because it exits. The existing crates need a C library, run
//! `nft`, or have an incompatible licence. Only a few messages of the protocol are needed:
//! linux/netfilter/nf_tables.h.

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// How long to wait for the kernel's reply, in seconds. It usually comes at once.
const REPLY_TIMEOUT_S: i64 = 5;
/// NFNL_SUBSYS_NFTABLES.
const SUBSYSTEM: u16 = 10;
/// Messages of that subsystem: NFT_MSG_*.
const NEW_TABLE: u16 = 0;
const NEW_CHAIN: u16 = 3;
const GET_CHAIN: u16 = 4;
const NEW_RULE: u16 = 6;
/// NLM_F_REQUEST; with NLM_F_ACK and NLM_F_CREATE; with NLM_F_DUMP.
const REQUEST: u16 = 1;
const CREATE: u16 = REQUEST | 0x4 | 0x400;
const DUMP: u16 = REQUEST | 0x300;
/// NLM_F_EXCL: fails if it exists.
const NEW_ONLY: u16 = 0x200;
/// NFPROTO_INET, NFPROTO_IPV4.
const INET: u8 = 1;
const IPV4: u8 = 2;
/// NLA_F_NESTED: the attribute contains attributes.
const NESTED: u16 = 0x8000;
/// The sizes of a message's header, and of the subsystem's header after it, in bytes.
const HEADER: usize = 16;
const FAMILY_HEADER: usize = 4;

/// The point at which the kernel evaluates a chain: NF_INET_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// When a packet is forwarded.
    Forward,
    /// Just before a packet leaves.
    PostRouting,
}

impl Hook {
    fn number(self) -> u32 {
        match self {
            Self::Forward => 2,
            Self::PostRouting => 4,
        }
    }
}

/// An expression of a rule: a match or an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// The packet came in through this link. A trailing `*` is a wildcard.
    From(String),
    /// The packet leaves through this link. A trailing `*` is a wildcard.
    To(String),
    /// The packet doesn't belong to an existing connection.
    New,
    /// The source address becomes the address of the outgoing link.
    Masquerade,
    /// The packet is accepted.
    Accept,
    /// The packet is dropped.
    Drop,
}

/// A base chain with its rules in order. The default policy is to accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: &'static str,
    /// Where it is evaluated.
    pub hook: Hook,
    /// Its rules.
    pub rules: Vec<Vec<Expr>>,
}

/// An IPv4 table that exists as long as this value.
#[derive(Debug)]
pub struct Table {
    _owner: Socket,
}

impl Table {
    /// Creates a table in the calling thread's network namespace.
    ///
    /// # Errors
    /// The name exists, the kernel is older than 5.12 or has no nftables, or privileges are
    /// missing.
    pub fn new(name: &str, chains: &[Chain]) -> io::Result<Self> {
        let socket = Socket::open()?;
        let mut batch = Batch::default();
        batch.message(NEW_TABLE, CREATE | NEW_ONLY, |m| {
            m.text(1, name);
            // NFT_TABLE_F_OWNER.
            m.number(2, 2);
        });
        for chain in chains {
            batch.message(NEW_CHAIN, CREATE, |m| m.chain(name, chain));
            for rule in &chain.rules {
                // NLM_F_APPEND.
                batch.message(NEW_RULE, CREATE | 0x800, |m| m.rule(name, chain.name, rule));
            }
        }
        socket.commit(batch)?;
        Ok(Self { _owner: socket })
    }
}

/// The chains that drop forwarded packets by default, as `FORWARD of table filter`. Looks in the
/// calling thread's network namespace. Empty if the kernel can't be asked.
pub fn closed_to_forwarding() -> Vec<String> {
    let ask = || {
        let socket = Socket::open()?;
        let mut message = Message::new(GET_CHAIN | SUBSYSTEM << 8, DUMP, 0, 0);
        message.finish();
        send(socket.0.as_raw_fd(), &message.0, MsgFlags::empty())?;
        let mut found = Vec::new();
        socket.receive(|kind, payload| {
            found.extend((kind == NEW_CHAIN | SUBSYSTEM << 8).then(|| closed(payload)).flatten());
            true
        })?;
        io::Result::Ok(found)
    };
    ask().unwrap_or_default()
}

/// The name of a chain if it is a forwarding chain whose policy is to drop.
fn closed(payload: &[u8]) -> Option<String> {
    let (header, attributes) = payload.split_at_checked(FAMILY_HEADER)?;
    if ![INET, IPV4].contains(&header[0]) {
        return None;
    }
    let number = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.try_into().ok()?));
    let text = |kind| Some(String::from_utf8_lossy(attribute(attributes, kind)?).trim_end_matches('\0').to_owned());
    let hook = attribute(attributes, 4).and_then(|hook| number(attribute(hook, 1)?))?;
    let policy = attribute(attributes, 5).and_then(number)?;
    (hook == Hook::Forward.number() && policy == 0).then(|| Some(format!("{} of table {}", text(3)?, text(1)?)))?
}

fn attribute(mut all: &[u8], kind: u16) -> Option<&[u8]> {
    while let [a, b, c, d, ..] = *all {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        if u16::from_ne_bytes([c, d]) & 0x3fff == kind {
            return all.get(4..length);
        }
        all = all.get(length.next_multiple_of(4).max(4)..)?;
    }
    None
}

#[derive(Debug)]
struct Socket(OwnedFd);

impl Socket {
    fn open() -> io::Result<Self> {
        let protocol = SockProtocol::NetlinkNetFilter;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(REPLY_TIMEOUT_S, 0))?;
        Ok(Self(socket))
    }

    /// Sends a batch, which the kernel applies as a whole or not at all.
    fn commit(&self, batch: Batch) -> io::Result<()> {
        let (bytes, mut unanswered) = batch.finish();
        send(self.0.as_raw_fd(), &bytes, MsgFlags::empty())?;
        self.receive(|_, _| {
            unanswered -= 1;
            unanswered > 0
        })
    }

    /// Receives replies until `more` returns false or the kernel has sent the last one.
    fn receive(&self, mut more: impl FnMut(u16, &[u8]) -> bool) -> io::Result<()> {
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

/// Messages that the kernel applies as one transaction.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    asked: u32,
}

impl Batch {
    fn message(&mut self, kind: u16, flags: u16, fill: impl FnOnce(&mut Message)) {
        self.asked += 1;
        let mut message = Message::new(kind | SUBSYSTEM << 8, flags, IPV4, self.asked);
        fill(&mut message);
        message.finish();
        self.bytes.extend(message.0);
    }

    /// The bytes, and the number of replies to expect.
    fn finish(self) -> (Vec<u8>, u32) {
        // NFNL_MSG_BATCH_BEGIN and _END. They carry the subsystem in the resource ID.
        let [begin, end] = [0x10, 0x11].map(|kind| {
            let mut message = Message::new(kind, REQUEST, 0, 0);
            message.0[HEADER + 2..].copy_from_slice(&SUBSYSTEM.to_be_bytes());
            message.finish();
            message.0
        });
        ([begin, self.bytes, end].concat(), self.asked)
    }
}

struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16, family: u8, sequence: u32) -> Self {
        let (kind, flags) = (kind.to_ne_bytes(), flags.to_ne_bytes());
        let header = [&[0; 4][..], &kind, &flags, &sequence.to_ne_bytes(), &[0; 4], &[family, 0, 0, 0]].concat();
        Self(header)
    }

    fn finish(&mut self) {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
    }

    fn bytes(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend([length.to_ne_bytes(), kind.to_ne_bytes()].concat());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn text(&mut self, kind: u16, value: &str) {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat());
    }

    fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let at = self.0.len();
        self.bytes(kind | NESTED, &[]);
        fill(self);
        let length = u16::try_from(self.0.len() - at).unwrap_or(u16::MAX);
        self.0[at..at + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn chain(&mut self, table: &str, chain: &Chain) {
        // The kernel's standard priorities: srcnat, and filter.
        let (kind, priority) = match chain.hook {
            Hook::PostRouting => ("nat", 100),
            Hook::Forward => ("filter", 0),
        };
        self.text(1, table);
        self.text(3, chain.name);
        self.nested(4, |m| {
            m.number(1, chain.hook.number());
            m.number(2, priority);
        });
        self.text(7, kind);
    }

    fn rule(&mut self, table: &str, chain: &str, parts: &[Expr]) {
        self.text(1, table);
        self.text(2, chain);
        self.nested(4, |m| parts.iter().for_each(|part| m.part(part)));
    }

    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.nested(1, |m| {
            m.text(1, name);
            m.nested(2, fill);
        });
    }

    fn part(&mut self, part: &Expr) {
        /// NFT_REG_1, and the register of the verdict.
        const REGISTER: u32 = 1;
        const VERDICT: u32 = 0;
        /// NFT_CMP_EQ.
        const EQUAL: u32 = 0;
        let verdict = |m: &mut Self, code| {
            m.expression("immediate", |m| {
                m.number(1, VERDICT);
                m.nested(2, |m| m.nested(2, |m| m.number(1, code)));
            });
        };
        let load = |m: &mut Self, from: &str, key| {
            m.expression(from, |m| {
                m.number(1, REGISTER);
                m.number(2, key);
            });
        };
        let compare = |m: &mut Self, operator, value: &[u8]| {
            m.expression("cmp", |m| {
                m.number(1, REGISTER);
                m.number(2, operator);
                m.nested(3, |m| m.bytes(1, value));
            });
        };
        match part {
            // NFT_META_IIFNAME and NFT_META_OIFNAME.
            Expr::From(link) | Expr::To(link) => {
                load(self, "meta", if matches!(part, Expr::From(_)) { 6 } else { 7 });
                compare(self, EQUAL, &link_name(link));
            }
            Expr::New => {
                // The bits of `established` and `related`, in host byte order.
                let (wanted, none) = (6_u32.to_ne_bytes(), [0; 4]);
                load(self, "ct", 0);
                self.expression("bitwise", |m| {
                    m.number(1, REGISTER);
                    m.number(2, REGISTER);
                    m.number(3, 4);
                    m.nested(4, |m| m.bytes(1, &wanted));
                    m.nested(5, |m| m.bytes(1, &none));
                });
                compare(self, EQUAL, &none);
            }
            Expr::Masquerade => self.expression("masq", |_| {}),
            Expr::Accept => verdict(self, 1),
            Expr::Drop => verdict(self, 0),
        }
    }
}

/// The bytes to compare with a link's name: padded to IFNAMSIZ, or the prefix before the `*`.
fn link_name(name: &str) -> Vec<u8> {
    match name.strip_suffix('*') {
        Some(beginning) => beginning.as_bytes().to_vec(),
        None => {
            let mut whole = name.as_bytes().to_vec();
            whole.resize(16, 0);
            whole
        }
    }
}
