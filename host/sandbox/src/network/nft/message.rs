//! The messages of nftables: linux/netfilter/nf_tables.h.

use super::{Chain, Expr, Hook};

/// NFNL_SUBSYS_NFTABLES.
pub(super) const SUBSYSTEM: u16 = 10;
/// Messages of that subsystem: NFT_MSG_*.
pub(super) const NEW_TABLE: u16 = 0;
pub(super) const NEW_CHAIN: u16 = 3;
pub(super) const GET_CHAIN: u16 = 4;
pub(super) const NEW_RULE: u16 = 6;
/// NLM_F_REQUEST; with NLM_F_ACK and NLM_F_CREATE; with NLM_F_DUMP.
pub(super) const REQUEST: u16 = 1;
pub(super) const CREATE: u16 = REQUEST | 0x4 | 0x400;
pub(super) const DUMP: u16 = REQUEST | 0x300;
/// NLM_F_EXCL: fails if it exists.
pub(super) const NEW_ONLY: u16 = 0x200;
/// NFPROTO_INET, NFPROTO_IPV4.
pub(super) const INET: u8 = 1;
pub(super) const IPV4: u8 = 2;
/// NLA_F_NESTED: the attribute contains attributes.
const NESTED: u16 = 0x8000;
/// The sizes of a message's header, and of the subsystem's header after it, in bytes.
pub(super) const HEADER: usize = 16;
pub(super) const FAMILY_HEADER: usize = 4;
/// NFT_REG_1, and the register of the verdict.
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;

/// Messages that the kernel applies as one transaction.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    count: u32,
}

impl Batch {
    /// Adds a message.
    pub(super) fn message(&mut self, kind: u16, flags: u16, fill: impl FnOnce(&mut Message)) {
        self.count += 1;
        let mut message = Message::new(kind | SUBSYSTEM << 8, flags, IPV4, self.count);
        fill(&mut message);
        message.finish();
        self.bytes.extend(message.0);
    }

    /// The bytes, and the number of replies to expect.
    pub(super) fn finish(self) -> (Vec<u8>, u32) {
        // NFNL_MSG_BATCH_BEGIN and _END. They carry the subsystem in the resource ID.
        let [begin, end] = [0x10, 0x11].map(|kind| {
            let mut message = Message::new(kind, REQUEST, 0, 0);
            message.0[HEADER + 2..].copy_from_slice(&SUBSYSTEM.to_be_bytes());
            message.finish();
            message.0
        });
        ([begin, self.bytes, end].concat(), self.count)
    }
}

/// A message under construction.
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    pub(super) fn new(kind: u16, flags: u16, family: u8, sequence: u32) -> Self {
        let (kind, flags) = (kind.to_ne_bytes(), flags.to_ne_bytes());
        let header = [&[0; 4][..], &kind, &flags, &sequence.to_ne_bytes(), &[0; 4], &[family, 0, 0, 0]].concat();
        Self(header)
    }

    pub(super) fn finish(&mut self) {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
    }

    fn bytes(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend([length.to_ne_bytes(), kind.to_ne_bytes()].concat());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    pub(super) fn text(&mut self, kind: u16, value: &str) {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat());
    }

    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let at = self.0.len();
        self.bytes(kind | NESTED, &[]);
        fill(self);
        let length = u16::try_from(self.0.len() - at).unwrap_or(u16::MAX);
        self.0[at..at + 2].copy_from_slice(&length.to_ne_bytes());
    }

    pub(super) fn chain(&mut self, table: &str, chain: &Chain) {
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

    pub(super) fn rule(&mut self, table: &str, chain: &str, exprs: &[Expr]) {
        self.text(1, table);
        self.text(2, chain);
        self.nested(4, |m| exprs.iter().for_each(|expr| m.expr(expr)));
    }

    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.nested(1, |m| {
            m.text(1, name);
            m.nested(2, fill);
        });
    }

    /// Sets the verdict on the packet.
    fn verdict(&mut self, code: u32) {
        self.expression("immediate", |m| {
            m.number(1, VERDICT_REGISTER);
            m.nested(2, |m| m.nested(2, |m| m.number(1, code)));
        });
    }

    /// Loads a property of the packet into the register.
    fn load(&mut self, from: &str, key: u32) {
        self.expression(from, |m| {
            m.number(1, REGISTER);
            m.number(2, key);
        });
    }

    /// Compares the register with a value. The rule ends unless they are equal.
    fn compare(&mut self, value: &[u8]) {
        /// NFT_CMP_EQ.
        const EQUAL: u32 = 0;
        self.expression("cmp", |m| {
            m.number(1, REGISTER);
            m.number(2, EQUAL);
            m.nested(3, |m| m.bytes(1, value));
        });
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            // NFT_META_IIFNAME and NFT_META_OIFNAME.
            Expr::From(link) | Expr::To(link) => {
                self.load("meta", if matches!(expr, Expr::From(_)) { 6 } else { 7 });
                self.compare(&link_name(link));
            }
            Expr::New => {
                // The bits of `established` and `related`, in host byte order.
                let (wanted, none) = (6_u32.to_ne_bytes(), [0; 4]);
                self.load("ct", 0);
                self.expression("bitwise", |m| {
                    m.number(1, REGISTER);
                    m.number(2, REGISTER);
                    m.number(3, 4);
                    m.nested(4, |m| m.bytes(1, &wanted));
                    m.nested(5, |m| m.bytes(1, &none));
                });
                self.compare(&none);
            }
            Expr::Masquerade => self.expression("masq", |_| {}),
            Expr::Accept => self.verdict(1),
            Expr::Drop => self.verdict(0),
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

/// The value of an attribute.
pub(super) fn attribute(mut all: &[u8], kind: u16) -> Option<&[u8]> {
    while let [a, b, c, d, ..] = *all {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        if u16::from_ne_bytes([c, d]) & 0x3fff == kind {
            return all.get(4..length);
        }
        all = all.get(length.next_multiple_of(4).max(4)..)?;
    }
    None
}
