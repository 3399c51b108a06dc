//! The etcd component: one member that fills the role `datastore`, behind TLS with client
//! certificates.
//!
//! It knows etcd's flags, and must not know the store's clients.

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Component, Context, Parameter, Phase, Planner, Probe, Process, Requirement, Result, Role, Scope, Signal,
    roles,
};
use std::time::Duration;

/// The levels of etcd's log.
const LOG_LEVELS: [&str; 6] = ["debug", "info", "warn", "error", "panic", "fatal"];

/// Clients, over TLS.
const CLIENT_PORT: u16 = 2379;
/// Other members, over TLS.
const PEER_PORT: u16 = 2380;
/// Health and metrics over HTTP, only inside the sandbox.
const METRICS_PORT: u16 = 2381;

/// etcd.
#[derive(Debug, Clone, Copy, Default)]
pub struct Etcd;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(Etcd)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(Etcd);

impl Component for Etcd {
    fn name(&self) -> &str {
        "etcd"
    }

    fn phase(&self) -> Phase {
        Phase::INFRASTRUCTURE
    }

    fn scope(&self) -> Scope {
        Scope::CONTROL_PLANE
    }

    fn provides(&self) -> Vec<Role> {
        vec![roles::DATASTORE.into()]
    }

    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::SANDBOX)]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["etcd".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new("log-level", "info", "verbosity of the log").choice(&LOG_LEVELS),
            Parameter::new("extra-args", "", "further arguments of etcd, quoted as in a shell").words(),
        ]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let (ip, dir) = (ctx.control_plane_ip()?, ctx.dir()?);
        let tls = ctx.identity("etcd")?;
        let client_url = format!("https://{ip}:{CLIENT_PORT}");
        let peer_url = format!("https://{ip}:{PEER_PORT}");
        let metrics_url = format!("http://127.0.0.1:{METRICS_PORT}");
        let members = ctx.members()?;
        let name = members.iter().find(|(_, address)| *address == ip).map_or("etcd", |(name, _)| name);
        let mut peers: Vec<String> =
            members.iter().map(|(name, ip)| format!("{name}=https://{ip}:{PEER_PORT}")).collect();
        if peers.is_empty() {
            peers.push(format!("{name}={peer_url}"));
        }
        // A single member elects itself after an election timeout, which needs no allowance for
        // delays of peers. It is ready 0.3 s after its start, and with the default of 1000 after
        // 0.6 to 1.1 s.
        let [heartbeat, election] = if members.len() < 2 { ["50", "250"] } else { ["100", "1000"] };

        let process = Process::new("etcd", ctx.executable("etcd")?)
            .flags([
                ("name", name),
                ("data-dir", &format!("{dir}/data")),
                ("log-level", &ctx.parameter("log-level")?),
                ("listen-client-urls", &format!("{client_url},https://127.0.0.1:{CLIENT_PORT}")),
                ("advertise-client-urls", &client_url),
                ("listen-peer-urls", &peer_url),
                ("initial-advertise-peer-urls", &peer_url),
                ("initial-cluster", &peers.join(",")),
                ("initial-cluster-token", &format!("kubernix-{}", ctx.cluster_id()?)),
                ("listen-metrics-urls", &metrics_url),
                ("client-cert-auth", "true"),
                ("trusted-ca-file", &tls.ca),
                ("cert-file", &tls.cert),
                ("key-file", &tls.key),
                ("peer-client-cert-auth", "true"),
                ("peer-trusted-ca-file", &tls.ca),
                ("peer-cert-file", &tls.cert),
                ("peer-key-file", &tls.key),
                ("heartbeat-interval", heartbeat),
                ("election-timeout", election),
            ])
            .args(ctx.words("extra-args")?)
            // Data is at stake: it flushes and closes its database.
            .stop(Signal::TERM, Duration::from_secs(10));
        plan.process(process)?;
        plan.provide(roles::DATASTORE, client_url, Probe::http(format!("{metrics_url}/readyz")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_testkit::{FakeContext, assert_pure};

    #[test]
    fn it_conforms() {
        kubernix_testkit::kit::assert_conforms(component);
    }

    #[test]
    fn addresses_directory_and_certificates_come_from_the_context() {
        let ctx = FakeContext::new()
            .address("control-plane", "10.7.0.1")
            .root("/r")
            .fact(kubernix_core::facts::CLUSTER_ID, "one");
        let plan = assert_pure(&component(), &ctx);
        let args = &plan.processes[0].args;
        for wanted in [
            "--data-dir=/r/control/etcd/data",
            "--listen-client-urls=https://10.7.0.1:2379,https://127.0.0.1:2379",
            "--advertise-client-urls=https://10.7.0.1:2379",
            "--initial-cluster=etcd=https://10.7.0.1:2380",
            "--initial-cluster-token=kubernix-one",
            "--client-cert-auth=true",
            "--trusted-ca-file=/r/pki/etcd-ca.crt",
            "--cert-file=/r/pki/etcd.crt",
        ] {
            assert!(args.iter().any(|arg| arg == wanted), "{wanted} is not in {args:#?}");
        }
        assert_eq!(plan.provides[0].url, "https://10.7.0.1:2379");
        assert_eq!(plan.provides[0].probe, Probe::http("http://127.0.0.1:2381/readyz"));
    }

    #[test]
    fn several_members_know_each_other() {
        let ctx = FakeContext::new()
            .address("control-plane", "10.7.0.3")
            .address("members", "node-0 10.7.0.2\nnode-1 10.7.0.3");
        let args = &assert_pure(&component(), &ctx).processes[0].args;
        for wanted in [
            "--name=node-1",
            "--initial-cluster=node-0=https://10.7.0.2:2380,node-1=https://10.7.0.3:2380",
            "--listen-peer-urls=https://10.7.0.3:2380",
            "--election-timeout=1000",
        ] {
            assert!(args.iter().any(|arg| arg == wanted), "{wanted} is not in {args:#?}");
        }
    }

    #[test]
    fn it_starts_with_the_sandbox_and_gets_time_to_flush() {
        assert_eq!(Etcd.requires(), [Requirement::ready(roles::SANDBOX)]);
        let plan = assert_pure(&component(), &FakeContext::new());
        assert_eq!(plan.processes[0].stop_grace, Duration::from_secs(10));
    }

    #[test]
    fn extra_arguments_come_last_and_override() {
        let ctx = FakeContext::new().parameter("extra-args", " --unsafe-no-fsync=true  --election-timeout=1000 ");
        let plan = assert_pure(&component(), &ctx);
        let args = &plan.processes[0].args;
        assert_eq!(args[args.len() - 2..], ["--unsafe-no-fsync=true", "--election-timeout=1000"]);
    }
}
