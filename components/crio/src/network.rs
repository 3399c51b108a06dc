//! The CNI network of a node's pods: one bridge. It must not know CRI-O.

use crate::layout::Layout;
use kubernix_core::{Context, quote};

/// A bridge that is the pods' gateway, hands out the node's pod CIDR and hides pods behind the node's address.
///
/// Host ports are CRI-O's own business: no portmap plugin. Masquerading uses nftables, since kernels without the legacy
/// xt targets are in use. Leases go with the boot, as CNI's cache of results does: one without the other leaks addresses.
pub(crate) fn conflist(ctx: &Context<'_>, layout: &Layout) -> String {
    format!(
        r#"{{
  "cniVersion": "1.0.0",
  "name": "kubernix",
  "plugins": [
    {{
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "ipMasq": true,
      "ipMasqBackend": "nftables",
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
        subnet = quote(&ctx.node().pod_cidr),
    )
}
