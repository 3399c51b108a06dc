//! A cluster's ways to the world outside: its uplink, the host's resolvers and proxies. None of
//! them is waited for, and none is worth a boot: what can't be had is a warning.

use super::Cluster;
use super::planned::Planned;
use crate::boot::Inside;
use crate::events::{Event, Sink};
use crate::network::{proxy, resolver, uplink};
use kubernix_core::{Process, roles};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a pull ends with that has no way out. An HTTP reason: one line.
const NO_WAY_OUT: &str = "this cluster has no network: load the image with `kubernix image load`";

fn warn(sink: &dyn Sink, message: String) {
    sink.emit(Event::Warning { message });
}

/// Begins to make the uplink, if there is to be one, beside everything else. It lasts as long as
/// the local tasks.
pub(super) fn raise_uplink(inside: &Inside, sink: &Arc<impl Sink + 'static>) {
    let Some(way) = inside.boot.outside.default_route.clone() else { return };
    let (host, lock) = (inside.host.clone(), inside.host_lock.clone());
    let (root, sink) = (inside.root.clone(), sink.clone());
    let (id, addresses) = (inside.boot.environment.id.clone(), inside.boot.environment.addresses.clone());
    let raise = move || uplink::create(&host, &lock, &root, id.as_str(), &way, &addresses);
    // tokio panics where the host gives it no thread, and a panic here would end the cluster.
    let raised = catch_unwind(AssertUnwindSafe(|| tokio::task::spawn_blocking(raise)));
    let Ok(raised) = raised else {
        return warn(&*sink, "image pulls from outside will fail: the host has no thread left for the uplink".into());
    };
    tokio::task::spawn_local(async move {
        match raised.await {
            Ok(Ok(uplink)) => {
                uplink.warnings.iter().for_each(|warning| warn(&*sink, warning.clone()));
                // Its tables go with it.
                std::future::pending::<()>().await;
                drop(uplink);
            }
            Ok(Err(error)) => warn(&*sink, format!("image pulls from outside will fail: {error}")),
            Err(error) => log::error!("the uplink: {error}"),
        }
    });
}

/// Opens what carries names and pulls out where the uplink alone doesn't. Returns the variables
/// that tell programs of it.
pub(super) async fn open(inside: &Inside, sink: &Arc<impl Sink + 'static>) -> BTreeMap<String, String> {
    let (outside, addresses) = (&inside.boot.outside, &inside.boot.environment.addresses);
    let at = addresses.control_plane_ip();
    let carried = &outside.resolver.via_host;
    if !carried.is_empty()
        && let Err(error) = resolver::forward(at, carried.clone(), inside.host.clone()).await
    {
        warn(&**sink, format!("names from outside can't be resolved: port 53 of {at}: {error}"));
    }
    let told = if outside.default_route.is_none() && !outside.proxies.exist() {
        proxy::reject_all(NO_WAY_OUT, at, addresses).await
    } else {
        proxy::forward(&outside.proxies, at, addresses, &inside.host).await
    };
    told.map(proxy::ProxyVars::variables).unwrap_or_else(|error| {
        warn(&**sink, format!("proxies can't be passed on: {error}"));
        BTreeMap::new()
    })
}

impl Cluster {
    /// A process as it is started: one of an instance that pulls images is told of proxies, unless
    /// its plan says otherwise.
    pub(super) fn told_of_proxies(&self, planned: &Planned, process: &Process) -> Process {
        let mut process = process.clone();
        if planned.fills(roles::CRI) {
            for (name, value) in &self.proxies {
                process.env.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        process
    }
}
