//! A cluster's egress: its uplink, and the forwarding to the host's resolvers and proxies. The boot
//! doesn't wait for it. Failures are warnings.

use super::Cluster;
use super::planned::Planned;
use crate::boot::Inside;
use crate::events::{Event, Sink};
use crate::network::{proxy, resolver, uplink};
use kubernix_core::{Process, roles};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The error of an image pull in a cluster without egress. It is an HTTP reason, and so has to be
/// one line.
const NO_EGRESS: &str = "this cluster has no network: load the image with `kubernix image load`";

fn warn(sink: &dyn Sink, message: String) {
    sink.emit(Event::Warning { message });
}

/// Starts to create the uplink in the background, if the cluster has one. It exists as long as the
/// local tasks.
pub(super) fn set_up_uplink(inside: &Inside, sink: &Arc<impl Sink + 'static>) {
    let Some(way) = inside.boot.outside.default_route.clone() else { return };
    let (host, lock) = (inside.host.clone(), inside.host_lock.clone());
    let (root, sink) = (inside.root.clone(), sink.clone());
    let (id, addresses) = (inside.boot.environment.id.clone(), inside.boot.environment.addresses.clone());
    let raise = move || uplink::create(&host, &lock, &root, id.as_str(), &way, &addresses);
    // tokio panics if the host has no thread left. Unwinding from here would end the cluster.
    let task = catch_unwind(AssertUnwindSafe(|| tokio::task::spawn_blocking(raise)));
    let Ok(task) = task else {
        return warn(&*sink, "image pulls will fail: the host has no thread left for the uplink".into());
    };
    tokio::task::spawn_local(async move {
        match task.await {
            Ok(Ok(uplink)) => {
                uplink.warnings.iter().for_each(|warning| warn(&*sink, warning.clone()));
                // Its netfilter tables are removed when it is dropped.
                std::future::pending::<()>().await;
                drop(uplink);
            }
            Ok(Err(error)) => warn(&*sink, format!("image pulls will fail: {error}")),
            Err(error) => log::error!("the uplink: {error}"),
        }
    });
}

/// Starts the forwarding to the host's resolvers and proxies that can't be reached through the
/// uplink. Returns the proxy variables for programs.
pub(super) async fn forward(inside: &Inside, sink: &Arc<impl Sink + 'static>) -> BTreeMap<String, String> {
    let (outside, addresses) = (&inside.boot.outside, &inside.boot.environment.addresses);
    let at = addresses.control_plane_ip();
    let carried = &outside.resolver.via_host;
    if !carried.is_empty()
        && let Err(error) = resolver::forward(at, carried.clone(), inside.host.clone()).await
    {
        warn(&**sink, format!("external names can't be resolved: port 53 of {at}: {error}"));
    }
    let variables = if outside.default_route.is_none() && !outside.proxies.exist() {
        proxy::reject_all(NO_EGRESS, at, addresses).await
    } else {
        proxy::forward(&outside.proxies, at, addresses, &inside.host).await
    };
    variables.map(proxy::ProxyVars::variables).unwrap_or_else(|error| {
        warn(&**sink, format!("the host's proxies can't be forwarded: {error}"));
        BTreeMap::new()
    })
}

impl Cluster {
    /// Adds the proxy variables to a process of an instance that pulls images. Variables of its
    /// plan have precedence.
    pub(super) fn with_proxies(&self, planned: &Planned, process: &Process) -> Process {
        let mut process = process.clone();
        if planned.fills(roles::CRI) {
            for (name, value) in &self.proxies {
                process.env.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        process
    }
}
