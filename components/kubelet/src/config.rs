//! The kubelet's config file. It must not know how the process is run or probed.

use crate::HEALTH_PORT;
use kubernix_core::{Context, Result, facts, quote, roles};

/// KubeletConfiguration, for people to edit: what is not here has the kubelet's own default.
pub(crate) fn config_file(ctx: &Context<'_>) -> Result<String> {
    let mut yaml = String::from("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n");
    yaml.push_str(&serving(ctx)?);
    yaml.push_str(&pods(ctx)?);
    yaml.push_str(&cgroups(ctx));
    yaml.push_str(RESOURCES);
    Ok(yaml)
}

fn serving(ctx: &Context<'_>) -> Result<String> {
    let tls = ctx.identity("kubelet-serving")?;
    Ok(format!(
        "\
port: 10250
readOnlyPort: 0
healthzBindAddress: {ip}
healthzPort: {HEALTH_PORT}
tlsCertFile: {cert}
tlsPrivateKeyFile: {key}
authentication:
  anonymous:
    enabled: false
  webhook:
    enabled: true
  x509:
    clientCAFile: {ca}
authorization:
  mode: Webhook
",
        ip = ctx.node()?.ip,
        cert = quote(&tls.cert),
        key = quote(&tls.key),
        ca = quote(&ctx.host_file("ca.crt")?),
    ))
}

fn pods(ctx: &Context<'_>) -> Result<String> {
    let mut yaml = format!(
        "\
containerRuntimeEndpoint: {cri}
maxPods: {max}
podLogsDir: {logs}
volumePluginDir: {plugins}
resolvConf: {resolv}
serializeImagePulls: false
# Services are routed by nftables or not at all: no legacy chains.
makeIPTablesUtilChains: false
",
        cri = quote(&ctx.cri_socket()?.url()),
        max = ctx.parameter("max-pods")?,
        // The default, /var/log/pods, is every kubelet's.
        logs = quote(&format!("{}/pod-logs", ctx.node_dir()?)),
        plugins = quote(&format!("{}/volume-plugins", ctx.dir()?)),
        resolv = quote(&ctx.host_file("resolv.conf")?),
    );
    if ctx.filled_by(&roles::DNS.into()).is_some() {
        yaml.push_str(&format!("clusterDNS: [{}]\nclusterDomain: cluster.local\n", quote(&ctx.dns_ip()?)));
    }
    Ok(yaml)
}

fn cgroups(ctx: &Context<'_>) -> String {
    let driver = ctx.fact(facts::CGROUP_DRIVER).unwrap_or_else(|| "cgroupfs".into());
    let mut yaml = format!("cgroupDriver: {}\nfailCgroupV1: false\n", quote(&driver));
    if let Some(root) = ctx.fact(facts::CGROUP_ROOT) {
        yaml.push_str(&format!("cgroupRoot: {}\n", quote(&root)));
    }
    yaml
}

/// The machine isn't dedicated to the cluster. Its swap and its full disk are no reason to reject
/// pods or to delete images.
const RESOURCES: &str = "\
failSwapOn: false
# No more precious than what else runs on this machine; lowering it also needs a capability that not every host grants.
oomScoreAdj: 0
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
# Thresholds have to be positive.
evictionHard:
  memory.available: 16Mi
  nodefs.available: 16Mi
  nodefs.inodesFree: \"100\"
  imagefs.available: 16Mi
  imagefs.inodesFree: \"100\"
";
