//! The kubelet component: fills `kubelet` once it is healthy, and `node` once its node object is
//! Ready.
//!
//! It knows the kubelet's flags and config file, and must not know which component fills `cri`.

mod config;
mod object;

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Component, Context, Parameter, Phase, Planner, Probe, Process, Requirement, Result, Role, Scope, Signal,
    UnixSocket, roles,
};
use std::time::Duration;

/// Health, on the node's address.
const HEALTH_PORT: u16 = 10248;

/// The kubelet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kubelet;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(Kubelet)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(Kubelet);

impl Component for Kubelet {
    fn name(&self) -> &str {
        "kubelet"
    }

    fn phase(&self) -> Phase {
        Phase::NODE_AGENT
    }

    fn scope(&self) -> Scope {
        Scope::NODE
    }

    fn provides(&self) -> Vec<Role> {
        vec![roles::KUBELET.into(), roles::NODE.into()]
    }

    // Without a CRI runtime it exits. It waits for the API itself, and registers as soon as the
    // port opens.
    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::CRI), Requirement::known(roles::APISERVER_PORT)]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["kubelet".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new("log-level", "1", "verbosity of the log").number(0..=10),
            Parameter::new("max-pods", "110", "pods that may run on a node").number(0..=2_147_483_647),
            Parameter::new("labels", "", "labels of the node: `disk=ssd,team=a`"),
            Parameter::new("taints", "", "taints of the node: `dedicated=db:NoSchedule,gpu:NoExecute`"),
            Parameter::new("config-dir", "", "a directory of drop-ins for the kubelet's config file: *.conf").path(),
            Parameter::new("feature-gates", "", "feature gates: `NAME=true,OTHER=false`"),
            Parameter::new("extra-args", "", "further arguments of the kubelet, quoted as in a shell").words(),
        ]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let (dir, node) = (ctx.dir()?, ctx.node()?);
        // It always serves this socket, and exits if the path is too long.
        UnixSocket::new(format!("{dir}/pod-resources/kubelet.sock"))?;
        let config = format!("{dir}/config.yaml");
        plan.file(&config, config::config_file(ctx)?)?;

        let mut flags = vec![
            ("config", config),
            ("kubeconfig", ctx.kubeconfig("kubelet")?),
            ("root-dir", dir),
            ("hostname-override", node.name.clone()),
            // Otherwise it resolves its host name, which takes 10 to 20 s if no resolver responds.
            ("node-ip", node.ip.clone()),
            ("v", ctx.parameter("log-level")?),
        ];
        let gates = ctx.parameter("feature-gates")?;
        if !gates.is_empty() {
            flags.push(("feature-gates", gates));
        }
        let drop_ins = ctx.parameter("config-dir")?;
        if !drop_ins.is_empty() {
            flags.push(("config-dir", drop_ins));
        }
        let process = Process::new("kubelet", ctx.executable("kubelet")?)
            .flags(flags)
            .args(ctx.words("extra-args")?)
            // Pods belong to the runtime, so it has nothing to finish.
            .stop(Signal::TERM, Duration::from_secs(1));
        plan.process(process)?;
        let url = format!("http://{}:{HEALTH_PORT}", node.ip);
        plan.provide(roles::KUBELET, &url, Probe::http(format!("{url}/healthz")))?;
        plan.manifest("node", object::node(ctx)?)?;
        plan.provide(roles::NODE, "", Probe::node(node.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_core::{Node, facts};
    use kubernix_testkit::{FakeContext, assert_pure, file, plan};

    fn config(ctx: &FakeContext) -> String {
        file(&assert_pure(&component(), ctx), "/kubelet/config.yaml").to_owned()
    }

    #[test]
    fn it_conforms() {
        kubernix_testkit::kit::assert_conforms(component);
    }

    #[test]
    fn it_waits_for_the_runtime_but_not_for_the_api_server() {
        let wanted = [Requirement::ready(roles::CRI), Requirement::known(roles::APISERVER_PORT)];
        assert_eq!(Kubelet.requires(), wanted);
    }

    #[test]
    fn the_plan_has_the_contexts_node() {
        let node = Node::new("node-1", 1, "10.7.192.3", "10.7.1.0/24");
        let plan = assert_pure(&component(), &FakeContext::new().root("/r").node(node));
        let args = &plan.processes[0].args;
        for wanted in [
            "--hostname-override=node-1",
            "--node-ip=10.7.192.3",
            "--root-dir=/r/nodes/node-1/kubelet",
            "--kubeconfig=/r/kubeconfig/kubelet.kubeconfig",
        ] {
            assert!(args.iter().any(|arg| arg == wanted), "{wanted} is not in {args:#?}");
        }
        assert_eq!(plan.provides[0].probe, Probe::http("http://10.7.192.3:10248/healthz"));
        assert_eq!(plan.provides[1].probe, Probe::node("node-1"));
        let yaml = &plan.manifests[0].yaml;
        assert!(yaml.contains("name: \"node-1\"") && yaml.contains("podCIDR: \"10.7.1.0/24\""), "{yaml}");
    }

    #[test]
    fn the_config_follows_the_host() {
        let fresh = config(&FakeContext::new());
        for wanted in [
            "containerRuntimeEndpoint: \"unix:///var/lib/kubernix/test/nodes/node-0/crio/crio.sock\"\n",
            "cgroupDriver: \"cgroupfs\"\n",
            "cgroupRoot: \"/kubernix/test\"\n",
            "failCgroupV1: false\n",
            "podLogsDir: \"/var/lib/kubernix/test/nodes/node-0/pod-logs\"\n",
            "tlsCertFile: \"/var/lib/kubernix/test/pki/kubelet-serving.crt\"\n",
        ] {
            assert!(fresh.contains(wanted), "{wanted} is not in {fresh}");
        }
        let systemd = FakeContext::new().fact(facts::CGROUP_DRIVER, "systemd").without_fact(facts::CGROUP_ROOT);
        let systemd = config(&systemd);
        assert!(systemd.contains("cgroupDriver: \"systemd\"\n") && !systemd.contains("cgroupRoot"), "{systemd}");
    }

    #[test]
    fn pods_get_cluster_dns_only_if_its_slot_is_filled() {
        assert!(!config(&FakeContext::new()).contains("clusterDNS"));
        let filled = config(&FakeContext::new().filled_by(roles::DNS, "coredns"));
        assert!(filled.contains("clusterDNS: [\"10.10.128.10\"]\nclusterDomain: cluster.local\n"), "{filled}");
    }

    #[test]
    fn a_socket_path_of_107_bytes_fits_and_one_of_108_does_not() {
        let rest = "/nodes/node-0/kubelet/pod-resources/kubelet.sock".len();
        let root = |bytes: usize| format!("/{}", "r".repeat(bytes - rest - 1));
        assert_pure(&component(), &FakeContext::new().root(&root(107)));
        let error = plan(&component(), &FakeContext::new().root(&root(108))).unwrap_err().to_string();
        assert!(error.contains("kubelet.sock` has 108 bytes, the kernel allows 107"), "{error}");
    }

    #[test]
    fn parameters_reach_the_kubelet_and_wrong_ones_are_named() {
        let ctx = FakeContext::new()
            .parameter("max-pods", "12")
            .parameter("feature-gates", "A=true")
            .parameter("extra-args", "--node-labels=a=b");
        let plan_ = assert_pure(&component(), &ctx);
        assert!(file(&plan_, "config.yaml").contains("maxPods: 12\n"));
        let args = &plan_.processes[0].args;
        assert_eq!(args[args.len() - 2..], ["--feature-gates=A=true", "--node-labels=a=b"]);
        let error = plan(&component(), &FakeContext::new().parameter("max-pods", "many")).unwrap_err();
        assert!(error.to_string().contains("`max-pods` is `many`"), "{error}");
    }
}
