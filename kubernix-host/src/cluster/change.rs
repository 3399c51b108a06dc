//! A change of a running cluster: other components in its slots, other binaries, other parameters.

use super::{Cluster, Host, HostError, prepare, up};
use crate::control::{Client, Request};
use crate::events::{Event, Sink};
use crate::root::Allotment;
use crate::sandbox::BootFile;
use crate::spec::{self, Resolved, Settings};
use std::time::Duration;

/// How long the cluster may take to accept a change.
const ANSWER: Duration = Duration::from_secs(5);
/// How much longer than its boot a change may take: what ran before is stopped, and may have to come back.
const EXTRA: Duration = Duration::from_secs(300);

/// What a change does beside going from plan to plan.
#[derive(Default)]
pub(super) struct Order {
    /// A component whose instances are started anew in any case.
    pub component: Option<String>,
    /// Nodes whose pods move elsewhere before they go.
    pub removed: Vec<String>,
}

impl Host {
    /// Brings a running cluster to what the settings say, without a restart: only instances whose plans differ are stopped
    /// and started, and those of `component` in any case. Where the new ones don't become ready, the old ones come back.
    /// Returns what was started anew, by instance.
    ///
    /// # Errors
    /// See [`HostError`]. Before [`HostError::Change`] nothing was stopped.
    pub fn change(
        &self,
        resolved: &Resolved,
        component: Option<&str>,
        sink: &dyn Sink,
    ) -> Result<Vec<String>, HostError> {
        let _turn = self.turn(resolved)?;
        let order = Order { component: component.map(str::to_owned), removed: Vec::new() };
        self.change_to(resolved, &self.allot(&resolved.settings)?, order, sink)
    }

    /// The same, with these nodes.
    pub(super) fn change_to(
        &self,
        resolved: &Resolved,
        allotment: &Allotment,
        order: Order,
        sink: &dyn Sink,
    ) -> Result<Vec<String>, HostError> {
        self.check(resolved, allotment, &order.removed, sink)?;
        self.carry_out(resolved, allotment, order, sink)
    }

    /// The same, with settings that were held against the components before.
    pub(super) fn carry_out(
        &self,
        resolved: &Resolved,
        allotment: &Allotment,
        order: Order,
        sink: &dyn Sink,
    ) -> Result<Vec<String>, HostError> {
        let settings = &resolved.settings;
        let cluster = Cluster::find(self.call(settings))?;
        let root = cluster.root();
        if !cluster.is_running() {
            return Err(HostError::Stopped(self.call(settings)));
        }
        let tools = self.tools_of(settings, allotment, &[], sink)?;
        let running = BootFile::read(root).map_err(HostError::io("what the cluster was booted with can't be read"))?;
        let port = running.environment.registry_port;
        if port == 0 && prepare::has_registry(self, settings)? {
            let changes = vec!["the registry's port of the host can't be opened".to_owned()];
            return Err(HostError::OfBoot { call: self.call(settings), changes });
        }
        let (environment, reissued) = prepare::real(self, settings, root, allotment, &tools, &running.outside, port)?;
        for reason in reissued {
            sink.emit(Event::Note { message: format!("made anew: {reason}") });
        }
        let held = up::Held { api_port: running.api_port, publish: running.publish, outside: running.outside };
        let (next, instances) = self.prepare_boot(settings, root, environment, held, sink)?;
        prepare::write_kubeconfigs(root, &next.environment, &instances, next.api_port)?;
        BootFile::write_change(root, &next)?;
        let client = Client::connect(root, ANSWER)?;
        let order = Request::Change { component: order.component, removed: order.removed };
        let limit = Duration::from_secs(settings.boot_timeout_s) + EXTRA;
        let mut started = Vec::new();
        for record in client.order(&order, limit)? {
            match &record.event {
                Event::Started { instance } => {
                    // The host's own steps are nothing that runs.
                    let is_planned = instances.iter().any(|planned| planned.instance == *instance);
                    started.extend(is_planned.then(|| instance.clone()));
                    sink.emit(record.event);
                }
                Event::Changed => {
                    // Ports come and go by `port` alone while the cluster runs, also while it changes.
                    let publish = spec::saved(root)?.publish;
                    root.save_spec(&Settings { publish, ..settings.clone() })?;
                    allotment.write(root)?;
                    root.save_environment(&up::shell(root, &next.environment))?;
                    sink.emit(record.event);
                    return Ok(started);
                }
                Event::ChangeFailed { error, restored } => {
                    let (why, restored) = (error.clone(), *restored);
                    sink.emit(record.event);
                    return Err(HostError::Change { call: self.call(settings), why, restored });
                }
                _ => sink.emit(record.event),
            }
        }
        Err(HostError::StillEnding(self.call(settings)))
    }
}
