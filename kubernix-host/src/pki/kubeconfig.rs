//! Writes self-contained kubeconfigs, which can be copied to other places.

use super::{Error, Identity, store};
use crate::root_dir::Batch;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fs;
use std::path::{Path, PathBuf};

/// Adds `DIR/USER.kubeconfig` (mode 0600) for an API server at `server_url`
/// (`https://127.0.0.1:6443`) to the batch, and returns its path. CA, certificate and key are
/// embedded as base64. Its only context and cluster are named `kubernix-CLUSTER`, and so is the
/// user of the admin's kubeconfig.
///
/// # Errors
/// One of the identity's files can't be read, or the directory can't be created.
pub fn kubeconfig(
    batch: &mut Batch,
    dir: &Path,
    user: &str,
    identity: &Identity,
    server_url: &str,
    cluster_name: &str,
) -> Result<PathBuf, Error> {
    let data = |path: &Path| fs::read(path).map(|bytes| BASE64_STANDARD.encode(bytes)).map_err(Error::io("read", path));
    let (ca, cert, key) = (data(&identity.ca)?, data(&identity.cert)?, data(&identity.key)?);
    let name = format!("kubernix-{cluster_name}");
    // The admin's kubeconfigs of several clusters may be merged, so names must differ by cluster.
    let user_name = if user == "admin" { name.clone() } else { format!("{name}-{user}") };
    let text = format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         \x20 - name: {name}\n\
         \x20   cluster:\n\
         \x20     server: {server_url}\n\
         \x20     certificate-authority-data: {ca}\n\
         users:\n\
         \x20 - name: {user_name}\n\
         \x20   user:\n\
         \x20     client-certificate-data: {cert}\n\
         \x20     client-key-data: {key}\n\
         contexts:\n\
         \x20 - name: {name}\n\
         \x20   context:\n\
         \x20     cluster: {name}\n\
         \x20     user: {user_name}\n\
         current-context: {name}\n"
    );
    store::directory(batch, dir)?;
    let path = dir.join(format!("{user}.kubeconfig"));
    store::add(batch, &path, &text);
    Ok(path)
}
