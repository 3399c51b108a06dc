//! The kine component: fills the role `datastore` with etcd's API in front of a SQLite file.
//!
//! It knows kine's flags, and must not know the store's clients.

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Component, Context, Error, Parameter, Phase, Planner, Probe, Process, Requirement, Result, Role, Scope,
    Signal, UnixSocket, roles,
};
use std::time::Duration;

/// The options of kine's default database: shared by one process, with a write-ahead log against
/// crashes, and with writers that wait for each other.
const OPTIONS: &str = "_journal=WAL&cache=shared&_busy_timeout=30000&_txlock=immediate";

/// kine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kine;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(Kine)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(Kine);

impl Component for Kine {
    fn name(&self) -> &str {
        "kine"
    }

    fn phase(&self) -> Phase {
        Phase::INFRASTRUCTURE
    }

    // One process owns the file, so several members of a control plane can't share it.
    fn scope(&self) -> Scope {
        Scope::CLUSTER
    }

    fn provides(&self) -> Vec<Role> {
        vec![roles::DATASTORE.into()]
    }

    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::SANDBOX)]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["kine".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new("compact-interval", "5m", "how often old revisions are removed, such as 30s or 5m"),
            Parameter::new("extra-args", "", "further arguments of kine, quoted as in a shell").words(),
        ]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        if ctx.members()?.len() > 1 {
            let why =
                "kine keeps its data in SQLite, which only one member can write: use etcd with several control planes";
            return Err(Error::invalid(why));
        }
        let data = format!("{}/data", ctx.dir()?);
        // SQLite reads the text after it as options.
        if let Some(c) = data.chars().find(|c| "?%#".contains(*c)) {
            return Err(Error::invalid(format!(
                "`{data}` has a `{c}`, which the path of a database can't have: use another --root"
            )));
        }
        // kine doesn't check client certificates. Over TCP, with or without TLS, any process that
        // reaches it could read and change all data; only kine's own user can open its socket.
        let volatile = ctx.volatile_dir()?;
        let socket = UnixSocket::new(format!("{volatile}/kine.sock"))?;

        plan.directory(&data)?;
        plan.directory(&volatile)?;
        let process = Process::new("kine", ctx.executable("kine")?)
            .flags([
                ("endpoint", &*format!("sqlite://{data}/state.db?{OPTIONS}")),
                ("listen-address", &socket.url()),
                // Nothing reads the metrics, and any process could connect to their port.
                ("metrics-bind-address", "0"),
                ("compact-interval", &ctx.parameter("compact-interval")?),
            ])
            .args(ctx.words("extra-args")?)
            // It finishes its calls and closes its database.
            .stop(Signal::TERM, Duration::from_secs(10));
        plan.process(process)?;
        plan.provide(roles::DATASTORE, socket.url(), Probe::unix(socket.path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_testkit::{FakeContext, assert_pure, plan};

    fn args(ctx: &FakeContext) -> Vec<String> {
        assert_pure(&component(), ctx).processes[0].args.clone()
    }

    #[test]
    fn it_conforms() {
        kubernix_testkit::kit::assert_conforms(component);
    }

    #[test]
    fn data_is_kept_and_the_socket_is_volatile() {
        let ctx = FakeContext::new().root("/r");
        let plan = assert_pure(&component(), &ctx);
        let endpoint = "--endpoint=sqlite:///r/control/kine/data/state.db?_journal=WAL&cache=shared\
            &_busy_timeout=30000&_txlock=immediate";
        for wanted in [endpoint, "--listen-address=unix:///run/kubernix/kine/kine.sock", "--metrics-bind-address=0"] {
            assert!(args(&ctx).iter().any(|arg| arg == wanted), "{wanted} is not in {:#?}", args(&ctx));
        }
        assert_eq!(plan.provides[0].url, "unix:///run/kubernix/kine/kine.sock");
        assert_eq!(plan.provides[0].probe, Probe::unix("/run/kubernix/kine/kine.sock"));
        assert_eq!(plan.processes[0].stop_grace, Duration::from_secs(10));
    }

    #[test]
    fn a_root_that_cannot_be_the_path_of_a_database_is_rejected() {
        let error = plan(&component(), &FakeContext::new().root("/srv/a?b")).unwrap_err().to_string();
        assert_eq!(
            error,
            "`/srv/a?b/control/kine/data` has a `?`, which the path of a database can't have: use another --root"
        );
    }

    #[test]
    fn extra_arguments_come_last_and_override() {
        let args = args(&FakeContext::new().parameter("extra-args", " --debug  --compact-interval=1m "));
        assert_eq!(args[args.len() - 2..], ["--debug", "--compact-interval=1m"]);
    }
}
