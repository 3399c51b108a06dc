//! Measures the loading of an image, beside a plain copy of its archive, and unpacking it by the
//! runtime's own tool.

use super::cluster::Cluster;
use crate::run;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The image's name.
const IMAGE: &str = "kubernix.local/bench/random:1";

/// Creates the docker archive $1, with one incompressible layer of 100 MB, in the empty directory
/// $2.
const CREATE_ARCHIVE: &str = r#"set -e
cd "$2"
mkdir data
for n in 0 1 2 3 4 5 6 7 8 9; do head -c 10000000 /dev/urandom >data/$n; done
tar --owner=0 --group=0 -cf layer.tar data
sum=$(sha256sum layer.tar | cut -d' ' -f1)
arch=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
printf '{"architecture":"%s","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$arch" "$sum" >config.json
printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$3" >manifest.json
tar -cf "$1" manifest.json config.json layer.tar
"#;

/// Unpacks the archive $1 into a separate store below the directory $2: by `ctr` if the runtime is
/// containerd, otherwise by skopeo into a containers-storage(5). The store is removed with the
/// cluster.
const UNPACK: &str = r#"
if [ -n "$CONTAINERD_ADDRESS" ]; then
    ctr --namespace bench images import "$1" >/dev/null
else
    store="overlay@$2/store+/run/bench:overlay.skip_mount_home=true"
    skopeo --insecure-policy --tmpdir "$2" copy --quiet "docker-archive:$1" "containers-storage:[$store]$3"
fi
"#;

/// The durations.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// `cp` of the archive.
    pub copy: Duration,
    /// Unpacking by the runtime's own tool.
    pub own: Duration,
    /// `image load`.
    pub load: Duration,
    /// A second `image load` of the same archive.
    pub again: Duration,
}

/// Writes the archive into this directory.
pub fn archive(directory: &Path) -> Result<PathBuf> {
    let path = directory.join("random.tar");
    let work = tempfile::tempdir_in(directory)?;
    run::output(run::command("sh").args(["-c", CREATE_ARCHIVE, "sh"]).arg(&path).arg(work.path()).arg(IMAGE))?;
    Ok(path)
}

/// Measures in a running cluster.
pub fn measure(cluster: &Cluster, archive: &Path) -> Result<Load> {
    let file = archive.to_string_lossy().into_owned();
    let work = tempfile::tempdir_in(cluster.root())?;
    let place = work.path().to_string_lossy().into_owned();
    let copied = work.path().join("copy.tar");
    let started = Instant::now();
    run::output(run::command("cp").arg(archive).arg(&copied))?;
    let copy = started.elapsed();
    let own = cluster.timed(&["enter", "--", "sh", "-c", UNPACK, "sh", &file, &place, IMAGE])?;
    let load = cluster.timed(&["image", "load", &file])?;
    let again = cluster.timed(&["image", "load", &file])?;
    // Kept, because it has mounts and ownership of the cluster. `down` removes it.
    let _ = work.keep();
    Ok(Load { copy, own, load, again })
}
