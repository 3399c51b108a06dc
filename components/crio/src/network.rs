//! The CNI network of a node's pods: one bridge. It must not know CRI-O.

use crate::layout::Layout;
use kubernix_core::{Context, Result, quote};

/// The CNI configuration: a bridge as the pods' gateway, and addresses from the node's pod CIDR.
/// Pods of other nodes see the pod's own address, as Kubernetes requires. For other networks, the
/// cluster's uplink masquerades it.
///
/// CRI-O itself implements host ports, so there is no portmap plugin. Leases are volatile like
/// CNI's cache of results: keeping only one of the two leaks addresses.
pub(crate) fn conflist(ctx: &Context<'_>, layout: &Layout) -> Result<String> {
    Ok(format!(
        r#"{{
  "cniVersion": "1.0.0",
  "name": "kubernix",
  "plugins": [
    {{
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "ipMasq": false,
      "hairpinMode": true,
      "ipam": {{
        "type": "host-local",
        "dataDir": {data_dir},
        "ranges": [[{{ "subnet": {subnet} }}]],
        "routes": [{{ "dst": "0.0.0.0/0" }}]
      }}
    }}
  ]
}}
"#,
        data_dir = quote(&layout.volatile("ipam")),
        subnet = quote(&ctx.node()?.pod_cidr),
    ))
}
