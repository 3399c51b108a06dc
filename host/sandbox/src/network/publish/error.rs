//! Errors about the text of published ports.

/// The syntax of a published port.
pub(super) const SYNTAX: &str = "write HOST:NODEPORT, as in 8080:30080, 0.0.0.0:8080:30080 or [::1]:5353:30053/udp";

/// A text isn't a port, or an address with a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortSyntaxError {
    /// Not a port number.
    #[error("`{0}` is not a port, give a number from 1 to 65535")]
    Port(String),
    /// Not an address with a port.
    #[error("`{0}` is neither PORT, IP:PORT nor [IPv6]:PORT")]
    Address(String),
    /// Not a known protocol.
    #[error("`{text}`: `{protocol}` is neither tcp nor udp")]
    Protocol {
        /// The whole text.
        text: String,
        /// The unknown protocol.
        protocol: String,
    },
    /// Only a host port.
    #[error("the port of the nodes is missing")]
    NodePortMissing,
}

/// Ports can't be published as given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The protocol is unknown.
    #[error(transparent)]
    Protocol(PortSyntaxError),
    /// The text isn't a published port.
    #[error("`{text}` can't be published: {cause}; {SYNTAX}")]
    Syntax {
        /// The text.
        text: String,
        /// The cause.
        cause: PortSyntaxError,
    },
    /// A host port is given twice.
    #[error("{host_port} can't be forwarded to both {} and {}", .node_ports[0], .node_ports[1])]
    Twice {
        /// The host port.
        host_port: super::HostPort,
        /// The two ports of the nodes.
        node_ports: [u16; 2],
    },
}
