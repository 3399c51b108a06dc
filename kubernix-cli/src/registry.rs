//! The compiled-in components: the one place that lists them, each behind a cargo feature.

use kubernix_core::abi::Handle;
use kubernix_host::plugins::Registered;
use std::sync::Arc;

/// The components that this build of `kubernix` brings along.
///
/// # Errors
/// One of them says of itself what can't be.
pub fn components() -> kubernix_core::Result<Vec<Arc<Registered>>> {
    handles().into_iter().map(Registered::built_in).collect()
}

fn handles() -> Vec<Handle> {
    vec![
        #[cfg(feature = "etcd")]
        kubernix_etcd::Etcd::component(),
        #[cfg(feature = "kine")]
        kubernix_kine::Kine::component(),
        #[cfg(feature = "apiserver")]
        kubernix_apiserver::ApiServer::component(),
        #[cfg(feature = "controller-manager")]
        kubernix_controller_manager::ControllerManager::component(),
        #[cfg(feature = "scheduler")]
        kubernix_scheduler::Scheduler::component(),
        #[cfg(feature = "crio")]
        kubernix_crio::Crio::component(),
        #[cfg(feature = "containerd")]
        kubernix_containerd::Containerd::component(),
        #[cfg(feature = "kubelet")]
        kubernix_kubelet::Kubelet::component(),
        #[cfg(feature = "proxy")]
        kubernix_proxy::Proxy::component(),
        #[cfg(feature = "coredns")]
        kubernix_coredns::CoreDns::component(),
        #[cfg(feature = "metrics-server")]
        kubernix_metrics_server::MetricsServer::component(),
        #[cfg(feature = "local-path")]
        kubernix_local_path::LocalPath::component(),
        #[cfg(feature = "registry")]
        kubernix_registry::Registry::component(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let names: Vec<String> = components().unwrap().iter().map(|component| component.name().to_owned()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}
