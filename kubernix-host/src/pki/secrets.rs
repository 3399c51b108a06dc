//! Creates and checks the configuration of encryption at rest, and the key pair that signs service
//! account tokens. Both must be kept as long as the cluster's data. Must not know of certificates.

use super::check::Misfit;
use super::work::Work;
use super::{Error, Renewal, store};
use crate::digits;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::KeyPair;
use serde::Deserialize;

const API_VERSION: &str = "apiserver.config.k8s.io/v1";
const KIND: &str = "EncryptionConfiguration";
/// The length of a secretbox key (XSalsa20 and Poly1305), in bytes.
const KEY_LENGTH: usize = 32;

/// The fields of the Kubernetes type that the API server needs to read stored objects.
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

/// One of the providers. Providers that KuberNix doesn't write are left for the API server to
/// check.
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

/// Why the API server can't use an existing configuration of encryption at rest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// The file is empty, or contains only spaces, line ends and zero bytes.
    #[error("the configuration is an empty file")]
    Empty,
    /// The text isn't YAML, or lacks fields. The message has only the parser's first line: the
    /// further lines quote the text, and so the key.
    #[error("{0}")]
    Malformed(String),
    /// The file has another type of object.
    #[error("it is a {api_version} {kind} instead of a {API_VERSION} {KIND}")]
    Type {
        /// `apiVersion` of the object.
        api_version: String,
        /// `kind` of the object.
        kind: String,
    },
    /// Nothing is encrypted.
    #[error("it names no resources, or no providers for them")]
    NoResources,
    /// A key has the wrong length.
    #[error("its key `{0}` is not {KEY_LENGTH} bytes in base64")]
    KeyLength(String),
}

/// Creates the configuration if the file doesn't exist. An existing file isn't changed, unless a
/// new key was requested. A configuration that the API server can't use is an error: a new key
/// can't read objects that the old one encrypted.
pub(super) fn ensure_encryption(work: &mut Work) -> Result<(), Error> {
    const NAME: &str = "encryption";
    let path = work.dir.join("encryption.yaml");
    let renewed = work.is_renewed(Renewal::Encryption);
    let mut keys = Vec::new();
    match store::read(&path)? {
        None => work.replace(Renewal::Encryption, &path, NAME, &Misfit::Absent)?,
        Some(text) => match check(&text) {
            Ok(_) if !renewed => return Ok(()),
            Ok(found) => {
                keys = found;
                // `render` would lose everything that the user added.
                if render(&keys) != text {
                    return Err(Error::Edited { path });
                }
                work.report(NAME, "`--renew encryption` was given; the older keys still decrypt existing Secrets");
            }
            Err(reason) if !renewed => return Err(Error::Encryption { path, reason }),
            Err(reason) => work.report(NAME, format!("{reason}, and {}", Renewal::Encryption.asked())),
        },
    }
    let key = digits::random::<KEY_LENGTH>().map_err(|_| Error::Random)?;
    // The API server finds the key of a Secret by name, so names must be unique.
    let free = (1..).map(|number| format!("key-{number}")).find(|name| keys.iter().all(|key| key.name != *name));
    keys.insert(0, Key { name: free.unwrap_or_default(), secret: BASE64_STANDARD.encode(key) });
    store::add(&mut work.batch, &path, &render(&keys));
    Ok(())
}

/// The configuration with these keys: the first encrypts, all of them decrypt.
fn render(keys: &[Key]) -> String {
    let mut text = format!(
        "# Made once: without this key the Secrets in etcd can't be read.\n\
         apiVersion: {API_VERSION}\n\
         kind: {KIND}\n\
         resources:\n\
         \x20 - resources:\n\
         \x20     - secrets\n\
         \x20   providers:\n\
         \x20     - secretbox:\n\
         \x20         keys:\n"
    );
    for Key { name, secret } in keys {
        text += &format!("            - name: {name}\n              secret: {secret}\n");
    }
    text + "      - identity: {}\n"
}

/// Checks that the API server can use a configuration; returns its keys.
fn check(text: &str) -> Result<Vec<Key>, Unusable> {
    store::text(Some(text), "configuration").map_err(|_| Unusable::Empty)?;
    let configuration: Configuration = serde_saphyr::from_str(text)
        .map_err(|error| Unusable::Malformed(error.to_string().lines().next().unwrap_or_default().to_owned()))?;
    let Configuration { api_version, kind, resources } = configuration;
    if (api_version.as_str(), kind.as_str()) != (API_VERSION, KIND) {
        return Err(Unusable::Type { api_version, kind });
    }
    if resources.is_empty() || resources.iter().any(|entry| entry.resources.is_empty() || entry.providers.is_empty()) {
        return Err(Unusable::NoResources);
    }
    let providers = resources.into_iter().flat_map(|entry| entry.providers);
    let keys: Vec<Key> =
        providers.filter_map(|provider| provider.secretbox).flat_map(|secretbox| secretbox.keys).collect();
    for key in &keys {
        let length = BASE64_STANDARD.decode(&key.secret).map_or(0, |bytes| bytes.len());
        if length != KEY_LENGTH {
            return Err(Unusable::KeyLength(key.name.clone()));
        }
    }
    Ok(keys)
}

/// Keeps the private key if it can be read, because a new one invalidates all issued tokens.
/// Derives the public key from it.
pub(super) fn ensure_service_account(work: &mut Work) -> Result<(), Error> {
    const NAME: &str = "service-account";
    let [private, public] = ["service-account.key", "service-account.pub"].map(|name| work.dir.join(name));
    let found = store::read(&private)?;
    let found = found
        .as_deref()
        .ok_or(Misfit::Absent)
        .and_then(|text| KeyPair::from_pem(store::text(Some(text), "key")?).map_err(|_| Misfit::Key));
    let renewed = work.is_renewed(Renewal::ServiceAccount);
    let key = match found {
        Ok(key) if !renewed => key,
        unfit => {
            match unfit {
                Ok(_) => work.report(NAME, Renewal::ServiceAccount.asked()),
                Err(misfit) => work.replace(Renewal::ServiceAccount, &private, NAME, &misfit)?,
            }
            let key = KeyPair::generate().map_err(Error::issue(NAME))?;
            store::add(&mut work.batch, &private, &key.serialize_pem());
            key
        }
    };
    store::add(&mut work.batch, &public, &key.public_key_pem());
    Ok(())
}
