//! Makes certificates: the CAs and what they sign. Reuses what still fits, and says what doesn't.

use super::check;
use super::profile::{Authority, Profile};
use super::store::PairPaths;
use super::{Error, Reissued};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType,
};
use std::path::Path;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a new CA is valid.
const AUTHORITY_VALIDITY: Duration = DAY.saturating_mul(3650);
/// How long other new certificates are valid, unless their CA ends sooner.
const LEAF_VALIDITY: Duration = DAY.saturating_mul(365);
/// Certificates begin to be valid a little earlier, for clocks that are set back.
const BACKDATE: Duration = Duration::from_secs(60 * 60);

/// A CA that can sign.
pub(super) struct Signer {
    issuer: Issuer<'static, KeyPair>,
    common_name: String,
    public_key: Vec<u8>,
    /// The same as the certificate says.
    not_after: SystemTime,
}

impl Signer {
    /// The CA's files if they fit, else a new CA.
    pub fn ensure(
        dir: &Path,
        authority: Authority,
        cluster: &str,
        now: SystemTime,
        reissued: &mut Reissued,
    ) -> Result<Self, Error> {
        let paths = PairPaths::new(dir, authority.stem());
        let common_name = authority.common_name(cluster);
        if let Some((cert, key)) = paths.read()? {
            match check::authority(&cert, &key, &common_name, now) {
                Ok(found) => return Self::loaded(found, common_name),
                Err(misfit) => reissued.add(authority.stem(), misfit),
            }
        }
        Self::create(&paths, common_name, now)
    }

    fn loaded(found: check::FoundAuthority, common_name: String) -> Result<Self, Error> {
        let public_key = found.key.subject_public_key_info();
        let issuer = Issuer::from_ca_cert_der(&found.der.into(), found.key).map_err(Error::issue(&common_name))?;
        Ok(Self { issuer, common_name, public_key, not_after: found.not_after })
    }

    fn create(paths: &PairPaths, common_name: String, now: SystemTime) -> Result<Self, Error> {
        let key = KeyPair::generate().map_err(Error::issue(&common_name))?;
        let not_after = now + AUTHORITY_VALIDITY;
        let mut params = CertificateParams::default();
        params.not_before = (now - BACKDATE).into();
        params.not_after = not_after.into();
        params.distinguished_name = subject(&common_name, None);
        // No intermediate CAs below it.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key).map_err(Error::issue(&common_name))?;
        paths.write(&certificate.pem(), &key.serialize_pem())?;
        let public_key = key.subject_public_key_info();
        Ok(Self { issuer: Issuer::new(params, key), common_name, public_key, not_after })
    }

    /// Its name.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// Its public key: a SubjectPublicKeyInfo in DER.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Leaves a certificate alone that fits, else makes a new one, with a new key.
    pub fn ensure_leaf(
        &self,
        dir: &Path,
        profile: &Profile,
        now: SystemTime,
        reissued: &mut Reissued,
    ) -> Result<(), Error> {
        let paths = profile.paths(dir);
        if let Some((cert, key)) = paths.read()? {
            match check::leaf(&cert, &key, profile, self, now) {
                Ok(()) => return Ok(()),
                Err(misfit) => reissued.add(&profile.title(), misfit),
            }
        }
        let (cert, key) = self.sign(profile, now).map_err(Error::issue(profile.title()))?;
        paths.write(&cert, &key)
    }

    fn sign(&self, profile: &Profile, now: SystemTime) -> Result<(String, String), rcgen::Error> {
        let mut params = CertificateParams::default();
        params.not_before = (now - BACKDATE).into();
        params.not_after = (now + LEAF_VALIDITY).min(self.not_after).into();
        params.distinguished_name = subject(&profile.common_name, profile.organization);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if profile.server {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if profile.client {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        for name in &profile.dns_names {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        params.subject_alt_names.extend(profile.addresses.iter().copied().map(SanType::IpAddress));
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }
}

fn subject(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}
