//! The kubelet's config file. It must not know how the process is run or probed.

use crate::HEALTH_PORT;
use kubernix_core::{Context, Result, facts, quote, roles};

/// KubeletConfiguration, which users may edit. Missing fields have the kubelet's defaults.
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
# kube-proxy routes Services by nftables, so the legacy chains aren't needed.
makeIPTablesUtilChains: false
",
        cri = quote(&ctx.cri_socket()?.url()),
        max = ctx.parameter("max-pods")?,
        // All kubelets of the host would share the default, /var/log/pods.
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

/// The machine isn't dedicated to the cluster: swap or a full disk must not make the kubelet reject
/// pods or delete images.
const RESOURCES: &str = "\
failSwapOn: false
# The same priority as other programs of this machine. A lower value also needs a capability that not every host grants.
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
