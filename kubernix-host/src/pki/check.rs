//! Checks whether an existing certificate still fits. Must not write files.

use super::issue::Signer;
use super::profile::Profile;
use jiff::Timestamp;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{
    ASN1Time, FromDer, GeneralName, Pem, SubjectPublicKeyInfo, X509Certificate, X509Name, parse_x509_pem,
};

/// A certificate that expires sooner than this is replaced, because the time between two boots can
/// be long.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Why a certificate must be replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misfit {
    /// Neither the certificate nor the key exists.
    #[error("it is missing")]
    Absent,
    #[error("the {0} is missing")]
    Missing(&'static str),
    #[error("the {0} is an empty file")]
    Empty(&'static str),
    #[error("the certificate can't be read")]
    Certificate,
    #[error("the key can't be read")]
    Key,
    #[error("the key is not the certificate's")]
    Mismatch,
    #[error("it is not signed by the cluster's CA")]
    Signer,
    #[error("it was valid until {0}")]
    Expired(String),
    #[error("it is valid until {0} only")]
    Expires(String),
    #[error("it is not valid before {0}")]
    NotYet(Timestamp),
    #[error("it is for `{found}` instead of `{wanted}`")]
    Subject { found: String, wanted: String },
    #[error("it is for {found} instead of {wanted}")]
    AlternativeNames { found: String, wanted: String },
    #[error("it is for other purposes")]
    Purpose,
}

/// An existing CA that fits.
pub(super) struct FoundAuthority {
    pub key: KeyPair,
    /// The certificate as DER.
    pub der: Vec<u8>,
    /// When the certificate expires.
    pub not_after: SystemTime,
}

/// Checks that this is a CA of this name that can sign, with its key.
pub(super) fn authority(cert: &str, key: &str, common_name: &str, now: SystemTime) -> Result<FoundAuthority, Misfit> {
    let pem = pem(cert)?;
    let certificate = parse(&pem)?;
    let key = matching_key(&certificate, key)?;
    certificate.verify_signature(None).map_err(|_| Misfit::Signer)?;
    validity(&certificate, now)?;
    subject(&certificate, common_name, None)?;
    let signs = certificate.key_usage().is_ok_and(|usage| usage.is_some_and(|usage| usage.value.key_cert_sign()));
    if !certificate.is_ca() || !signs {
        return Err(Misfit::Purpose);
    }
    let not_after = UNIX_EPOCH + Duration::from_secs(certificate.validity().not_after.timestamp().unsigned_abs());
    Ok(FoundAuthority { key, not_after, der: pem.contents })
}

/// Checks that a certificate has the content of its profile, is signed by this CA, and belongs to
/// this key.
pub(super) fn leaf(cert: &str, key: &str, profile: &Profile, signer: &Signer, now: SystemTime) -> Result<(), Misfit> {
    let pem = pem(cert)?;
    let certificate = parse(&pem)?;
    matching_key(&certificate, key)?;
    let ca_key = SubjectPublicKeyInfo::from_der(signer.public_key()).map_err(|_| Misfit::Signer)?.1;
    certificate.verify_signature(Some(&ca_key)).map_err(|_| Misfit::Signer)?;
    if common_name(certificate.issuer()) != signer.common_name() {
        return Err(Misfit::Signer);
    }
    validity(&certificate, now)?;
    subject(&certificate, &profile.common_name, profile.organization)?;
    alternative_names(&certificate, profile)?;
    let purposes = certificate.extended_key_usage().ok().flatten().map(|usage| usage.value);
    if purposes.is_none_or(|usage| usage.server_auth != profile.server || usage.client_auth != profile.client) {
        return Err(Misfit::Purpose);
    }
    Ok(())
}

fn pem(text: &str) -> Result<Pem, Misfit> {
    parse_x509_pem(text.as_bytes()).map(|(_, pem)| pem).map_err(|_| Misfit::Certificate)
}

fn parse(pem: &Pem) -> Result<X509Certificate<'_>, Misfit> {
    if pem.label != "CERTIFICATE" {
        return Err(Misfit::Certificate);
    }
    pem.parse_x509().map_err(|_| Misfit::Certificate)
}

/// Parses a private key, and checks that it belongs to the certificate.
fn matching_key(certificate: &X509Certificate<'_>, key: &str) -> Result<KeyPair, Misfit> {
    let key = KeyPair::from_pkcs8_pem_and_sign_algo(key, &PKCS_ECDSA_P256_SHA256).map_err(|_| Misfit::Key)?;
    if key.subject_public_key_info() != certificate.public_key().raw {
        return Err(Misfit::Mismatch);
    }
    Ok(key)
}

fn validity(certificate: &X509Certificate<'_>, now: SystemTime) -> Result<(), Misfit> {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    let validity = certificate.validity();
    if validity.not_before.timestamp() > seconds(now) {
        let start = Timestamp::from_second(validity.not_before.timestamp()).unwrap_or(Timestamp::MAX);
        return Err(Misfit::NotYet(start));
    }
    if validity.not_after.timestamp() <= seconds(now) {
        return Err(Misfit::Expired(date(validity.not_after)));
    }
    if validity.not_after.timestamp() <= seconds(now + RENEW_BEFORE) {
        return Err(Misfit::Expires(date(validity.not_after)));
    }
    Ok(())
}

fn date(time: ASN1Time) -> String {
    time.to_datetime().date().to_string()
}

fn common_name<'a>(name: &'a X509Name<'_>) -> &'a str {
    name.iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or_default()
}

fn subject(certificate: &X509Certificate<'_>, common_name: &str, organization: Option<&str>) -> Result<(), Misfit> {
    let found: BTreeSet<_> = certificate.subject().iter_attributes().map(|part| part.as_str().ok()).collect();
    let wanted: BTreeSet<_> = [Some(common_name), organization].into_iter().flatten().map(Some).collect();
    if self::common_name(certificate.subject()) == common_name && found == wanted {
        return Ok(());
    }
    let organization = organization.map(|group| format!("O={group}, ")).unwrap_or_default();
    Err(Misfit::Subject { found: certificate.subject().to_string(), wanted: format!("{organization}CN={common_name}") })
}

fn alternative_names(certificate: &X509Certificate<'_>, profile: &Profile) -> Result<(), Misfit> {
    let extension = certificate.subject_alternative_name().map_err(|_| Misfit::Certificate)?;
    let names = extension.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let found: BTreeSet<String> = names.iter().map(name).collect();
    let addresses = profile.addresses.iter().map(IpAddr::to_string);
    let wanted: BTreeSet<String> = profile.dns_names.iter().cloned().chain(addresses).collect();
    if found == wanted {
        return Ok(());
    }
    let list = |names: BTreeSet<String>| match names.len() {
        0 => "no names".to_owned(),
        _ => names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    };
    Err(Misfit::AlternativeNames { found: list(found), wanted: list(wanted) })
}

fn name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(v4), _) => IpAddr::from(v4).to_string(),
            (_, Ok(v6)) => IpAddr::from(v6).to_string(),
            _ => format!("{bytes:?}"),
        },
        other => other.to_string(),
    }
}
