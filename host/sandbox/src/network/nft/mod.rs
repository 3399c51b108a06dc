//! Creates nftables tables that the kernel removes when their creator ends, over netlink.
//!
//! A table with an owner (Linux 5.12) is removed when the owner's socket is closed, for any reason.
//! The program `nft` can't be the owner because it exits. The existing crates need a C library, run
//! `nft`, or have an incompatible licence. Only a few messages of the protocol are needed:
//! linux/netfilter/nf_tables.h.

mod message;
mod socket;

use self::message::{
    Batch, CREATE, DUMP, FAMILY_HEADER, GET_CHAIN, INET, IPV4, Message, NEW_CHAIN, NEW_ONLY, NEW_RULE, NEW_TABLE,
    SUBSYSTEM, attribute,
};
use self::socket::Socket;
use std::io;

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
    list_closed().unwrap_or_default()
}

fn list_closed() -> io::Result<Vec<String>> {
    let socket = Socket::open()?;
    let mut message = Message::new(GET_CHAIN | SUBSYSTEM << 8, DUMP, 0, 0);
    message.finish();
    socket.send(&message.0)?;
    let mut found = Vec::new();
    socket.receive(|kind, payload| {
        found.extend((kind == NEW_CHAIN | SUBSYSTEM << 8).then(|| closed(payload)).flatten());
        true
    })?;
    Ok(found)
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
