//! The API server's flags, by topic. It must not know how the process is run or probed.

use crate::PORT;
use kubernix_core::{Context, Result, roles};

/// Flags without dashes, with their values.
type Flags = Vec<(&'static str, String)>;

/// All flags but those of the parameter `extra-args`.
pub(crate) fn flags(ctx: &Context<'_>) -> Result<Flags> {
    let mut flags = serving(ctx)?;
    flags.extend(storage(ctx)?);
    flags.extend(authentication(ctx)?);
    flags.extend(kubelet_access(ctx)?);
    flags.push(("v", ctx.parameter("log-level")?));
    for name in ["feature-gates", "runtime-config"] {
        let value = ctx.parameter(name)?;
        if !value.is_empty() {
            flags.push((name, value));
        }
    }
    Ok(flags)
}

fn serving(ctx: &Context<'_>) -> Result<Flags> {
    let tls = ctx.identity("apiserver")?;
    Ok(vec![
        // Its network namespace belongs to the cluster. The host connects through a listener of its
        // own.
        ("bind-address", "0.0.0.0".into()),
        ("advertise-address", ctx.control_plane_ip()?),
        ("secure-port", PORT.to_string()),
        ("tls-cert-file", tls.cert),
        ("tls-private-key-file", tls.key),
        ("service-cluster-ip-range", ctx.service_cidr()?),
        ("allow-privileged", "true".into()),
        ("enable-admission-plugins", "NodeRestriction".into()),
        // The control plane has no kube-proxy, so the API server connects to the endpoints of
        // webhooks and aggregated APIs.
        ("enable-aggregator-routing", "true".into()),
        ("profiling", "false".into()),
        ("shutdown-delay-duration", "0s".into()),
    ])
}

fn storage(ctx: &Context<'_>) -> Result<Flags> {
    let url = ctx.endpoint(roles::DATASTORE)?;
    let mut flags = vec![("encryption-provider-config", ctx.host_file("encryption.yaml")?)];
    if url.starts_with("https://") {
        let tls = ctx.identity("apiserver-etcd-client")?;
        flags.extend([("etcd-cafile", tls.ca), ("etcd-certfile", tls.cert), ("etcd-keyfile", tls.key)]);
    }
    flags.push(("etcd-servers", url));
    Ok(flags)
}

fn authentication(ctx: &Context<'_>) -> Result<Flags> {
    let front_proxy = ctx.identity("front-proxy-client")?;
    Ok(vec![
        ("authorization-mode", "Node,RBAC".into()),
        ("client-ca-file", ctx.host_file("ca.crt")?),
        ("service-account-issuer", "https://kubernetes.default.svc.cluster.local".into()),
        ("service-account-key-file", ctx.host_file("service-account.pub")?),
        ("service-account-signing-key-file", ctx.host_file("service-account.key")?),
        // Aggregated APIs trust the user names that the API server sends, because this CA signs
        // only for that.
        ("requestheader-client-ca-file", ctx.host_file("front-proxy-ca.crt")?),
        ("requestheader-allowed-names", "front-proxy-client".into()),
        ("requestheader-username-headers", "X-Remote-User".into()),
        ("requestheader-group-headers", "X-Remote-Group".into()),
        ("requestheader-extra-headers-prefix", "X-Remote-Extra-".into()),
        ("proxy-client-cert-file", front_proxy.cert),
        ("proxy-client-key-file", front_proxy.key),
    ])
}

fn kubelet_access(ctx: &Context<'_>) -> Result<Flags> {
    let client = ctx.identity("apiserver-kubelet-client")?;
    Ok(vec![
        ("kubelet-certificate-authority", ctx.host_file("ca.crt")?),
        ("kubelet-client-certificate", client.cert),
        ("kubelet-client-key", client.key),
        // The default is to look up the node's name first, which no resolver knows.
        ("kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname".into()),
    ])
}
