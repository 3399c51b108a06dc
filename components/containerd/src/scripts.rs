//! Scripts for tasks of several commands, written beside the configuration and run by KuberNix.

use crate::config::{NAMESPACE, snapshotter};
use crate::layout::Layout;
use kubernix_core::{Context, Result, shell_quote};

/// Images come from local archives, so no signature is required.
pub(crate) const POLICY: &str = "{ \"default\": [{ \"type\": \"insecureAcceptAnything\" }] }\n";

/// `import-image ARCHIVE NAME`.
pub(crate) fn import(ctx: &Context<'_>, layout: &Layout) -> Result<String> {
    let tool = |name: &str| ctx.executable(name).map(|path| shell_quote(&path));
    Ok(format!(
        "\
#!/bin/sh
# Imports an image: import-image oci-archive:PATH[:REFERENCE]|docker-archive:PATH[:REFERENCE]|oci:PATH[:REFERENCE] NAME
set -eu
ctr() {{ {ctr} --address={socket} --namespace={namespace} images \"$@\"; }}
import() {{ ctr import --local --snapshotter={snapshotter} \"$1\" >/dev/null; }}
# A complete archive is read directly. ctr takes the images' names from it.
case \"$1\" in
    *:*:*) ;;
    oci:*) if command -v tar >/dev/null; then tar -C \"${{1#*:}}\" -cf - . | import -; fi ;;
    *) import \"${{1#*:}}\" ;;
esac
if [ -z \"$(ctr list --quiet \"name==$2\")\" ]; then
    # skopeo reads all formats, and writes an archive with only this image and this name.
    work={work}.$$
    trap 'rm -rf \"$work\"' EXIT
    mkdir -p \"$work\"
    {skopeo} --policy={policy} --tmpdir=\"$work\" copy --quiet \"$1\" \"oci-archive:$work/image.tar:$2\"
    import \"$work/image.tar\"
fi
# The CRI lists the image a moment later.
tries=50
until {kubernix} cri-client {socket} has-image \"$2\" >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ $tries -eq 0 ]; then echo \"containerd has $2, but its CRI doesn't\" >&2; exit 1; fi
    sleep 0.1
done
",
        work = shell_quote(&layout.volatile("import")),
        skopeo = tool("skopeo")?,
        policy = shell_quote(&layout.policy()),
        ctr = tool("ctr")?,
        socket = shell_quote(layout.socket.path()),
        snapshotter = snapshotter(ctx),
        namespace = NAMESPACE,
        kubernix = tool("kubernix")?,
    ))
}

/// `stop-pods`: removes all pods, so that their mounts and addresses are released. containerd kills
/// the containers of a removed pod at once, so the script first stops all containers with their
/// signal and grace.
pub(crate) fn stop(ctx: &Context<'_>, layout: &Layout) -> Result<String> {
    let timeout = ctx.parameter("stop-timeout")?;
    Ok(format!(
        "\
#!/bin/sh
cri() {{ {kubernix} cri-client {socket} \"$@\"; }}
cri stop-containers {timeout}
cri remove-pods 10
",
        kubernix = shell_quote(&ctx.executable("kubernix")?),
        socket = shell_quote(layout.socket.path()),
    ))
}
