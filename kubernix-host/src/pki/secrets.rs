//! The configuration of encryption at rest, and the key pair that signs service account tokens: secrets that live as long
//! as the cluster's data, and must not know of certificates.

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

/// Makes the configuration if there is none. A file that exists isn't changed. If the API server
/// couldn't use it, that is an error, because a new key can't read what the old one wrote.
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
                // Only what this function wrote is known to be kept whole by the text below.
                if render(&keys) != text {
                    return Err(Error::Edited { path });
                }
                work.report(NAME, "`--renew encryption` was given; the older keys still read what they wrote");
            }
            Err(reason) if !renewed => return Err(Error::Encryption { path, reason }),
            Err(reason) => work.report(NAME, format!("{reason}, and {}", Renewal::Encryption.asked())),
        },
    }
    let key = digits::random::<KEY_LENGTH>().map_err(|_| Error::Random)?;
    // The API server looks for the key of a Secret by name, so each has a name of its own.
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

/// The keys of a configuration that the API server can use.
fn check(text: &str) -> Result<Vec<Key>, String> {
    store::text(Some(text), "configuration").map_err(|misfit| misfit.to_string())?;
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
    let keys: Vec<Key> =
        providers.filter_map(|provider| provider.secretbox).flat_map(|secretbox| secretbox.keys).collect();
    for key in &keys {
        let length = BASE64_STANDARD.decode(&key.secret).map_or(0, |bytes| bytes.len());
        if length != KEY_LENGTH {
            return Err(format!("its key `{}` is not {KEY_LENGTH} bytes in base64", key.name));
        }
    }
    Ok(keys)
}

/// Keeps the private key while it can be read (a new one makes all issued tokens void), and the public
/// one in step.
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
