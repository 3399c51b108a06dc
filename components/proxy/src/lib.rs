//! The kube-proxy component: fills `proxy` on each node.
//!
//! It knows that program's config file, and must not know which component fills `apiserver-port`.

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Command, Component, Context, Error, ErrorKind, Parameter, Phase, Planner, Probe, Process, Requirement,
    Result, Role, Scope, Signal, quote, roles, shell_quote,
};
use std::fmt::Write;
use std::time::Duration;

/// Health, on the node's address.
const HEALTH_PORT: u16 = 10256;
/// The modes of routing Services.
const MODES: [&str; 3] = ["nftables", "iptables", "ipvs"];

/// kube-proxy.
#[derive(Debug, Clone, Copy, Default)]
pub struct Proxy;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(Proxy)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(Proxy);

impl Component for Proxy {
    fn name(&self) -> &str {
        "proxy"
    }

    fn phase(&self) -> Phase {
        Phase::NODE_AGENT
    }

    fn scope(&self) -> Scope {
        Scope::NODE
    }

    fn provides(&self) -> Vec<Role> {
        vec![roles::PROXY.into()]
    }

    // The API serves everything that it needs before it is ready.
    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::APISERVER_PORT), Requirement::known(roles::NODE)]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["kube-proxy".into(), "nft".into()]
    }

    // No `extra-args`: with a config file, kube-proxy silently ignores its flags.
    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new("mode", MODES[0], "how Services are routed").choice(&MODES),
            Parameter::new("log-level", "1", "verbosity of the log").number(0..=10),
            Parameter::new("feature-gates", "", "feature gates: `NAME=true,OTHER=false`"),
        ]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let config = format!("{}/config.yaml", ctx.dir()?);
        plan.file(&config, config_file(ctx)?)?;
        let mut process = Process::new(roles::PROXY, ctx.executable("kube-proxy")?).flags([("config", config)]);
        if ctx.parameter("mode")? == MODES[0] {
            // If it finds iptables, it first removes rules of other modes, in some 40 runs. There
            // are none, see `before_stop`.
            let (bin, nft) = (format!("{}/bin", ctx.dir()?), shell_quote(&ctx.executable("nft")?));
            plan.script(format!("{bin}/nft"), format!("#!/bin/sh\nexec {nft} \"$@\"\n"))?;
            process = process.env("PATH", bin);
        }
        plan.process(process.stop(Signal::TERM, Duration::from_secs(1)))?;
        let url = format!("http://{}:{HEALTH_PORT}", ctx.node()?.ip);
        plan.provide(roles::PROXY, &url, Probe::http(format!("{url}/healthz")))
    }

    /// Rules of the mode nftables end with the node's network namespace, or the next kube-proxy
    /// reuses them. Rules of the other modes would stay active if the next kube-proxy uses another
    /// mode.
    fn before_stop(&self, ctx: &Context<'_>) -> Result<()> {
        if ctx.parameter("mode")? == MODES[0] {
            return Ok(());
        }
        let output = ctx.run(&Command::new(ctx.executable("kube-proxy")?, ["--cleanup"]))?;
        if output.code == 0 {
            return Ok(());
        }
        let stderr = output.stderr.trim();
        Err(Error::new(ErrorKind::COMMAND, format!("kube-proxy --cleanup exited with {}: {stderr}", output.code)))
    }
}

fn config_file(ctx: &Context<'_>) -> Result<String> {
    let mode = ctx.parameter("mode")?;
    let node = ctx.node()?;
    let mut yaml = format!(
        "\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection:
  kubeconfig: {kubeconfig}
hostnameOverride: {name}
bindAddress: {ip}
healthzBindAddress: \"{ip}:{HEALTH_PORT}\"
metricsBindAddress: \"127.0.0.1:10249\"
mode: {mode}
clusterCIDR: {pods}
# Zero: not written. The limits are read-only in a network namespace, and the timeouts keep the kernel's defaults.
conntrack:
  maxPerCore: 0
  min: 0
  tcpEstablishedTimeout: 0s
  tcpCloseWaitTimeout: 0s
# The same priority as other programs of this machine. A lower value also needs a capability that not every host grants.
oomScoreAdj: 0
logging:
  verbosity: {verbosity}
",
        kubeconfig = quote(&ctx.kubeconfig("proxy")?),
        name = quote(&node.name),
        ip = node.ip,
        pods = quote(&ctx.pods_cidr()?),
        verbosity = ctx.parameter("log-level")?,
    );
    let gates = ctx.parameter("feature-gates")?;
    let gates = feature_gates(&gates)?;
    if !gates.is_empty() {
        yaml.push_str("featureGates:\n");
        for (name, value) in gates {
            writeln!(yaml, "  {}: {value}", quote(name)).expect("writing to a String can't fail");
        }
    }
    Ok(yaml)
}

/// `NAME=true,OTHER=false` as pairs.
fn feature_gates(text: &str) -> Result<Vec<(&str, bool)>> {
    let gates = text.split(',').map(str::trim).filter(|gate| !gate.is_empty());
    gates
        .map(|gate| {
            let pair = gate.split_once('=').and_then(|(name, value)| Some((name, value.parse().ok()?)));
            let wrong = || format!("parameter `feature-gates` has `{gate}`, which is not NAME=true or NAME=false");
            pair.ok_or_else(|| Error::invalid(wrong()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_core::{Node, Output};
    use kubernix_testkit::{FakeContext, assert_pure, before_stop, file, plan};

    #[test]
    fn it_conforms() {
        kubernix_testkit::kit::assert_conforms(component);
    }

    #[test]
    fn the_config_has_the_nodes_values() {
        let node = Node::new("node-3", 3, "10.7.192.5", "10.7.3.0/24");
        let plan = assert_pure(&component(), &FakeContext::new().node(node).address("pods", "10.7.0.0/17"));
        let config = file(&plan, "/nodes/node-3/proxy/config.yaml");
        for wanted in [
            "mode: nftables\n",
            "hostnameOverride: \"node-3\"\n",
            "bindAddress: 10.7.192.5\n",
            "clusterCIDR: \"10.7.0.0/17\"\n",
            "maxPerCore: 0\n",
        ] {
            assert!(config.contains(wanted), "{wanted} is not in {config}");
        }
        assert_eq!(plan.provides[0].probe, Probe::http("http://10.7.192.5:10256/healthz"));
    }

    #[test]
    fn only_modes_that_use_iptables_find_it() {
        let nftables = assert_pure(&component(), &FakeContext::new());
        let process = &nftables.processes[0];
        let script = nftables.files.iter().find(|file| file.path.ends_with("/bin/nft")).unwrap();
        assert_eq!(process.env.get("PATH").map(String::as_str), script.path.strip_suffix("/nft"));
        let wanted = "#!/bin/sh\nexec '/opt/bin/nft' \"$@\"\n";
        assert_eq!((script.mode, &*script.content), (0o700, wanted));
        let iptables = assert_pure(&component(), &FakeContext::new().parameter("mode", "iptables"));
        assert!(iptables.processes[0].env.is_empty(), "{:?}", iptables.processes[0].env);
    }

    #[test]
    fn rules_of_other_modes_are_removed_on_stop() {
        let plain = FakeContext::new();
        before_stop(&component(), &plain).unwrap();
        assert!(plain.commands().is_empty());
        let iptables = FakeContext::new().parameter("mode", "iptables");
        before_stop(&component(), &iptables).unwrap();
        assert_eq!(iptables.commands()[0].args, ["--cleanup"]);
        let failing = FakeContext::new().parameter("mode", "ipvs").output(Output::new(1, "", "no such device\n"));
        let error = before_stop(&component(), &failing).unwrap_err();
        assert!(error.to_string().contains("kube-proxy --cleanup exited with 1: no such device"), "{error}");
    }

    #[test]
    fn feature_gates_become_a_map() {
        let ctx = FakeContext::new().parameter("feature-gates", "A=true, B=false");
        let plan = assert_pure(&component(), &ctx);
        assert!(file(&plan, "config.yaml").ends_with("featureGates:\n  \"A\": true\n  \"B\": false\n"));
    }

    #[test]
    fn invalid_parameters_are_rejected() {
        for (name, value, wanted) in [
            ("mode", "userspace", "`mode` is `userspace`: use one of nftables, iptables, ipvs"),
            ("feature-gates", "A=on", "`feature-gates` has `A=on`"),
            ("log-level", "x", "`log-level` is `x`"),
        ] {
            let error = plan(&component(), &FakeContext::new().parameter(name, value)).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }
}
