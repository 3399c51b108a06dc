//! The CNI network of a node's pods: one bridge. It must not know CRI-O.

use crate::layout::Layout;
use kubernix_core::{Context, Result, quote};

/// A bridge that is the pods' gateway and hands out the node's pod CIDR. Pods of other nodes see
/// the pod's own address, as Kubernetes wants it; the outside doesn't: the cluster's uplink
/// masquerades.
///
/// Host ports are CRI-O's own business: no portmap plugin. Leases go with the boot, as CNI's cache
/// of results does: one without the other leaks addresses.
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
