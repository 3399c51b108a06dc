//! The configuration of encryption at rest, and the key pair that signs service account tokens: secrets that live as long
//! as the cluster's data, and must not know of certificates.

use super::check::Misfit;
use super::{Error, Reissued, store};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::KeyPair;
use serde::Deserialize;
use std::fs::File;
use std::path::Path;

const API_VERSION: &str = "apiserver.config.k8s.io/v1";
const KIND: &str = "EncryptionConfiguration";
/// The length of a secretbox key (XSalsa20 and Poly1305), in bytes.
const KEY_LENGTH: usize = 32;

/// As much of the Kubernetes type as has to be right for the API server to read what it stored.
#[derive(Deserialize)]
struct Configuration {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    resources: Vec<String>,
    providers: Vec<Provider>,
}

/// One of the providers; those that KuberNix doesn't write itself are the API server's to check.
#[derive(Deserialize)]
struct Provider {
    secretbox: Option<Secretbox>,
}

#[derive(Deserialize)]
struct Secretbox {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    name: String,
    secret: String,
}

/// Makes the configuration once. A file that is there stays as it is, whoever wrote it; only one that the API server
/// couldn't use is an error, as a new key can't read what the old one wrote.
pub(super) fn ensure(path: &Path) -> Result<(), Error> {
    if let Some(text) = store::read(path)? {
        return check(&text).map_err(|reason| Error::Encryption { path: path.to_owned(), reason });
    }
    let mut key = [0; KEY_LENGTH];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut key).map_err(|_| Error::Random)?;
    let secret = BASE64_STANDARD.encode(key);
    store::write(
        path,
        &format!(
            "# Made once: without this key the Secrets in etcd can't be read.\n\
             apiVersion: {API_VERSION}\n\
             kind: {KIND}\n\
             resources:\n\
             \x20 - resources:\n\
             \x20     - secrets\n\
             \x20   providers:\n\
             \x20     - secretbox:\n\
             \x20         keys:\n\
             \x20           - name: key-1\n\
             \x20             secret: {secret}\n\
             \x20     - identity: {{}}\n"
        ),
    )?;
    // etcd syncs what it writes with this key; the key must not be lost where that survives.
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("sync", path))
}

fn check(text: &str) -> Result<(), String> {
    let configuration: Configuration = serde_saphyr::from_str(text).map_err(|error| {
        // The parser's further lines show the text, which holds the key.
        error.to_string().lines().next().unwrap_or_default().to_owned()
    })?;
    let Configuration { api_version, kind, resources } = configuration;
    if (api_version.as_str(), kind.as_str()) != (API_VERSION, KIND) {
        return Err(format!("it is a {api_version} {kind} instead of a {API_VERSION} {KIND}"));
    }
    if resources.is_empty() || resources.iter().any(|entry| entry.resources.is_empty() || entry.providers.is_empty()) {
        return Err("it names no resources, or no providers for them".to_owned());
    }
    let providers = resources.into_iter().flat_map(|entry| entry.providers);
    for key in providers.filter_map(|provider| provider.secretbox).flat_map(|secretbox| secretbox.keys) {
        let length = BASE64_STANDARD.decode(&key.secret).map_or(0, |bytes| bytes.len());
        if length != KEY_LENGTH {
            return Err(format!("its key `{}` is not {KEY_LENGTH} bytes in base64", key.name));
        }
    }
    Ok(())
}

/// Keeps the private key while it can be read (a new one makes all issued tokens void), and the public one in step.
pub(super) fn ensure_service_account(private: &Path, public: &Path, reissued: &mut Reissued) -> Result<(), Error> {
    let found = store::read(private)?;
    let key = match found.as_deref().map(KeyPair::from_pem) {
        Some(Ok(key)) => key,
        unusable => {
            if unusable.is_some() {
                reissued.add("service-account", Misfit::Key);
            }
            let key = KeyPair::generate().map_err(Error::issue("service-account"))?;
            store::write(private, &key.serialize_pem())?;
            key
        }
    };
    store::write(public, &key.public_key_pem()).map(|_| ())
}
