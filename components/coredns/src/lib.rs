//! The CoreDNS component: fills `dns` with a Deployment, on the address of the address plan.
//!
//! It knows CoreDNS' Corefile. The host builds its image, which has only the program.

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Component, Context, Error, Parameter, Phase, Planner, Probe, Requirement, Result, Role, facts, quote, roles,
};
use std::net::{IpAddr, SocketAddr};

/// Built here, never pulled.
const IMAGE: &str = "kubernix.local/coredns:local";
/// Its port in the pod, which needs no privilege; the Service has port 53.
const PORT: u16 = 1053;
const MANIFEST: &str = include_str!("coredns.yaml");

/// CoreDNS.
#[derive(Debug, Clone, Copy, Default)]
pub struct CoreDns;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(CoreDns)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(CoreDns);

impl Component for CoreDns {
    fn name(&self) -> &str {
        "coredns"
    }

    fn title(&self) -> &str {
        "CoreDNS"
    }

    fn phase(&self) -> Phase {
        Phase::ADDON
    }

    fn provides(&self) -> Vec<Role> {
        vec![roles::DNS.into()]
    }

    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::APISERVER)]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["coredns".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new("replicas", "1", "number of pods").number(0..=65_535),
            Parameter::new("cache", "30", "seconds that answers are cached").number(0..=4_294_967_295),
            Parameter::new(
                "upstream",
                "auto",
                "resolvers for other names: addresses, `none`, or auto: the host's resolvers",
            ),
        ]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let binary = ctx.executable("coredns")?;
        plan.build(IMAGE, [("program /coredns", &*binary), ("entrypoint", "/coredns"), ("user", "65532:65532")])?;
        let replicas = ctx.parameter("replicas")?;
        let api = ctx.endpoint(roles::APISERVER)?;
        let (host, port) = server(&api).ok_or_else(|| Error::invalid(format!("`{api}` is not https://IP:PORT")))?;
        let corefile = corefile(ctx)?.lines().map(|line| format!("    {line}\n")).collect::<String>();
        let yaml = MANIFEST
            .replace("$COREFILE", corefile.trim())
            .replace("$IMAGE", IMAGE)
            .replace("$BINARY", &quote(&binary))
            .replace("$REPLICAS", &replicas)
            .replace("$API_HOST", &quote(&host))
            .replace("$API_PORT", &quote(&port))
            .replace("$DNS_IP", &quote(&ctx.dns_ip()?));
        plan.manifest("coredns", yaml)?;
        plan.provide(roles::DNS, "", Probe::manifests())
    }
}

/// Resolves names of the cluster itself, and forwards other names to the host's resolvers. Without
/// resolvers it answers at once that other names don't exist.
fn corefile(ctx: &Context<'_>) -> Result<String> {
    let cache = ctx.parameter("cache")?;
    let upstream = ctx.parameter("upstream")?;
    let forward = match upstream.as_str() {
        // The pod has the node's resolv.conf, which names no server inside the cluster, so there is
        // no loop.
        "auto" if ctx.is(facts::DNS_RESOLVER) => Some("/etc/resolv.conf".into()),
        "auto" | "none" => None,
        given => Some(servers(given)?),
    };
    let common = format!("errors\n    prometheus :9153\n    cache {cache}\n    loadbalance");
    let own = format!("{common}\n    health :8080 {{\n        lameduck 1s\n    }}\n    ready :8181\n    reload");
    let zones = ["cluster.local", "in-addr.arpa", "ip6.arpa"];
    let cluster = format!("kubernetes {} {{\n        pods insecure\n        ttl 30", zones.join(" "));
    Ok(match forward {
        Some(servers) => format!(
            ".:{PORT} {{\n    {own}\n    {cluster}\n        fallthrough in-addr.arpa ip6.arpa\n    }}\n    \
             forward . {servers}\n}}\n"
        ),
        // Two servers, because in a single one the plugin for all names would precede the one for
        // the cluster's names.
        None => format!(
            "{names} {{\n    {own}\n    {cluster}\n    }}\n}}\n.:{PORT} {{\n    {common}\n    template ANY ANY {{\n        \
             rcode NXDOMAIN\n    }}\n}}\n",
            names = zones.map(|zone| format!("{zone}:{PORT}")).join(" ")
        ),
    })
}

/// The address and the port of a server's URL.
fn server(url: &str) -> Option<(String, String)> {
    let server: SocketAddr = url.strip_prefix("https://")?.parse().ok()?;
    Some((server.ip().to_string(), server.port().to_string()))
}

/// Addresses, each with or without a port.
fn servers(text: &str) -> Result<String> {
    let servers: Vec<&str> = text.split([' ', ',']).filter(|server| !server.is_empty()).collect();
    let is_address = |server: &&str| server.parse::<IpAddr>().is_ok() || server.parse::<SocketAddr>().is_ok();
    match servers.iter().find(|server| !is_address(server)) {
        Some(wrong) => Err(Error::invalid(format!("parameter `upstream`: `{wrong}` is neither IP nor IP:PORT"))),
        None => Ok(servers.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_testkit::{FakeContext, assert_pure, plan};

    #[test]
    fn it_conforms() {
        kubernix_testkit::kit::assert_conforms(component);
    }

    fn corefile_of(ctx: &FakeContext) -> String {
        let yaml = &assert_pure(&component(), ctx).manifests[0].yaml;
        yaml.split("Corefile: |").nth(1).unwrap().split("\n---").next().unwrap().to_owned()
    }

    #[test]
    fn its_service_has_the_planned_address() {
        let planned = assert_pure(&component(), &FakeContext::new().parameter("replicas", "2"));
        let yaml = &planned.manifests[0].yaml;
        assert!(yaml.contains("clusterIP: \"10.10.128.10\"") && yaml.contains("replicas: 2"), "{yaml}");
        assert!(!yaml.contains('$'), "{yaml}");
        assert_eq!(planned.builds[0].parts[0].1, "/opt/bin/coredns");
    }

    #[test]
    fn other_names_are_forwarded_or_do_not_exist() {
        let none = corefile_of(&FakeContext::new().fact(facts::DNS_RESOLVER, "false"));
        assert!(none.contains("rcode NXDOMAIN") && !none.contains("forward"), "{none}");
        let host = corefile_of(&FakeContext::new().fact(facts::DNS_RESOLVER, "true"));
        assert!(host.contains("forward . /etc/resolv.conf") && !host.contains("NXDOMAIN"), "{host}");
        let given = corefile_of(&FakeContext::new().parameter("upstream", "10.0.0.1 10.0.0.2:5353"));
        assert!(given.contains("forward . 10.0.0.1 10.0.0.2:5353"), "{given}");
        let wrong = plan(&component(), &FakeContext::new().parameter("upstream", "resolver")).unwrap_err();
        assert!(wrong.to_string().contains("`resolver`"), "{wrong}");
    }
}
