//! Converts the data that crosses the control socket to the data that commands work with.

use super::{NodeImages, PublishedPort};
use crate::control::{ControlError, wire};
use crate::network::publish::Protocol;
use crate::plugins::Source;
use crate::{api_client, cri_client};

impl From<wire::Source> for Source {
    fn from(source: wire::Source) -> Self {
        match source {
            wire::Source::BuiltIn => Self::BuiltIn,
            wire::Source::SharedLibrary { path } => Self::SharedLibrary { path },
            wire::Source::Toml { path } => Self::Toml { path },
            wire::Source::Manifests { path } => Self::Manifests { path },
        }
    }
}

impl From<wire::Summary> for api_client::Summary {
    fn from(summary: wire::Summary) -> Self {
        Self { nodes: summary.nodes.into_iter().map(Into::into).collect(), pods: summary.pods }
    }
}

impl From<wire::NodeSummary> for api_client::NodeSummary {
    fn from(node: wire::NodeSummary) -> Self {
        let wire::NodeSummary { name, ready, reason, version, runtime } = node;
        Self { name, ready, reason, version, runtime }
    }
}

impl From<wire::NodeImages> for NodeImages {
    fn from(node: wire::NodeImages) -> Self {
        let image = |wire::Image { id, names, size }| cri_client::Image { id, names, size };
        Self { node: node.node, images: node.images.into_iter().map(image).collect() }
    }
}

impl TryFrom<wire::OpenPort> for PublishedPort {
    type Error = ControlError;

    fn try_from(port: wire::OpenPort) -> Result<Self, ControlError> {
        let spec = port.spec.parse().map_err(|error| ControlError::Unexpected(format!("{error}")))?;
        let protocol = match port.protocol {
            wire::Protocol::Tcp => Protocol::Tcp,
            wire::Protocol::Udp => Protocol::Udp,
        };
        Ok(Self { host: port.host, target: port.target, protocol, spec })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_the_same_after_the_way_over_the_socket() {
        let node = api_client::NodeSummary {
            name: "node-0".into(),
            ready: false,
            reason: "no network".into(),
            version: "v1".into(),
            runtime: "cri-o://1".into(),
        };
        let summary = api_client::Summary { nodes: vec![node], pods: [("Running".to_owned(), 2)].into() };
        assert_eq!(api_client::Summary::from(wire::Summary::from(summary.clone())), summary);
        for source in [Source::BuiltIn, Source::SharedLibrary { path: "/a".into() }, Source::Toml { path: "/b".into() }]
        {
            assert_eq!(Source::from(wire::Source::from(source.clone())), source);
        }
    }

    #[test]
    fn a_port_that_cannot_be_parsed_is_an_unexpected_reply() {
        let address = "127.0.0.1:8080".parse().unwrap();
        let port = |spec: &str| {
            let (spec, protocol) = (spec.to_owned(), wire::Protocol::Udp);
            PublishedPort::try_from(wire::OpenPort { host: address, target: address, protocol, spec })
        };
        assert_eq!(port("8080:30080/udp").unwrap().spec, "8080:30080/udp".parse().unwrap());
        assert!(matches!(port("8080"), Err(ControlError::Unexpected(_))));
    }
}
