//! The compiled-in components: the one place that lists them, each behind a cargo feature.

use kubernix_core::abi::ComponentBox;

/// The components that this build of `kubernix` brings along.
pub fn components() -> Vec<ComponentBox> {
    vec![
        #[cfg(feature = "etcd")]
        kubernix_etcd::Etcd::component(),
        #[cfg(feature = "apiserver")]
        kubernix_apiserver::ApiServer::component(),
        #[cfg(feature = "controllermanager")]
        kubernix_controllermanager::ControllerManager::component(),
        #[cfg(feature = "scheduler")]
        kubernix_scheduler::Scheduler::component(),
        #[cfg(feature = "crio")]
        kubernix_crio::Crio::component(),
        #[cfg(feature = "kubelet")]
        kubernix_kubelet::Kubelet::component(),
        #[cfg(feature = "proxy")]
        kubernix_proxy::Proxy::component(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let names: Vec<String> = components().iter().map(|component| component.name().into()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}
