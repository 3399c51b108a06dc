//! The local-path component: fills `storage` with a default StorageClass whose volumes are
//! directories of the nodes.
//!
//! It knows local-path-provisioner's configuration. The host builds its images, which have only
//! programs.

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Component, Context, Parameter, Phase, Planner, Probe, Requirement, Result, Role, quote, roles,
};

/// Built here, never pulled.
const IMAGE: &str = "kubernix.local/local-path-provisioner:local";
/// The image of the pods that create and remove volumes' directories on their node.
const HELPER: &str = "kubernix.local/local-path-helper:local";
/// The directory of volumes on a node, below a directory that each node has for itself and keeps.
const VOLUMES: &str = "/var/lib/kubelet/local-path";
const MANIFEST: &str = include_str!("local-path.yaml");

/// local-path.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalPath;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(LocalPath)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(LocalPath);

impl Component for LocalPath {
    fn name(&self) -> &str {
        "local-path"
    }

    fn phase(&self) -> Phase {
        Phase::ADDON
    }

    fn provides(&self) -> Vec<Role> {
        vec![roles::STORAGE.into()]
    }

    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::APISERVER)]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["local-path-provisioner".into(), "busybox".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("default", "true", "whether claims without a class get this one").flag()]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let binary = ctx.executable("local-path-provisioner")?;
        let program = [("program /local-path-provisioner", &*binary), ("entrypoint", "/local-path-provisioner")];
        plan.build(IMAGE, program.into_iter().chain([("user", "65532:65532")]))?;
        let busybox = ctx.executable("busybox")?;
        let applets = ["link /bin/sh", "link /bin/mkdir", "link /bin/rm"].map(|link| (link, "busybox"));
        plan.build(HELPER, [("program /bin/busybox", &*busybox)].into_iter().chain(applets))?;
        let default = ctx.flag("default")?;
        let yaml = MANIFEST
            .replace("$IMAGE", IMAGE)
            .replace("$HELPER", HELPER)
            .replace("$BINARY", &quote(&binary))
            .replace("$VOLUMES", VOLUMES)
            .replace("$DEFAULT", &default.to_string());
        plan.manifest("local-path", yaml)?;
        plan.provide(roles::STORAGE, "", Probe::manifests())
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

    #[test]
    fn the_class_is_the_default_unless_the_parameter_is_false() {
        let yaml = |ctx: &FakeContext| assert_pure(&component(), ctx).manifests[0].yaml.clone();
        let of_default = yaml(&FakeContext::new());
        assert!(of_default.contains("is-default-class: \"true\""), "{of_default}");
        assert!(yaml(&FakeContext::new().parameter("default", "false")).contains("is-default-class: \"false\""));
        let wrong = plan(&component(), &FakeContext::new().parameter("default", "maybe")).unwrap_err();
        assert!(wrong.to_string().contains("`maybe`"), "{wrong}");
    }
}
