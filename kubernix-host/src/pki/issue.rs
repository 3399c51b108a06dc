//! Creates CAs and the certificates that they sign. Reuses those that still fit, and reports the
//! others.

use super::check::{self, Misfit};
use super::profile::{Authority, Profile};
use super::store::PairPaths;
use super::work::Work;
use super::{Error, Renewal};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType,
};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a new CA is valid.
const AUTHORITY_VALIDITY: Duration = DAY.saturating_mul(3650);
/// How long other new certificates are valid, unless their CA expires sooner.
const LEAF_VALIDITY: Duration = DAY.saturating_mul(365);
/// Certificates are valid from this long before their creation, so that small clock changes don't
/// matter.
const BACKDATE: Duration = Duration::from_secs(60 * 60);

/// A CA that can sign.
pub(super) struct Signer {
    issuer: Issuer<'static, KeyPair>,
    common_name: String,
    public_key: Vec<u8>,
    /// When the CA's certificate expires.
    not_after: SystemTime,
}

impl Signer {
    /// Loads the CA if its files fit. Otherwise creates a new one, if no data depends on the old
    /// one or if that was requested.
    pub fn ensure(work: &mut Work, authority: Authority, cluster: &str) -> Result<Self, Error> {
        let paths = PairPaths::new(work.dir, authority.stem());
        let common_name = authority.common_name(cluster);
        let found = paths.read()?;
        let checked = match &found {
            None => Err(Misfit::Absent),
            Some(pair) => pair.texts().and_then(|(cert, key)| check::authority(cert, key, &common_name, work.now)),
        };
        match checked {
            Ok(found) if !work.is_renewed(Renewal::Ca) => return Self::loaded(found, common_name),
            Ok(_) => work.report(authority.stem(), Renewal::Ca.asked()),
            Err(misfit) => {
                work.replace(Renewal::Ca, paths.file_of(&misfit), authority.stem(), &misfit)?;
            }
        }
        Self::create(work, authority, &paths, common_name)
    }

    fn loaded(found: check::FoundAuthority, common_name: String) -> Result<Self, Error> {
        let public_key = found.key.subject_public_key_info();
        let issuer = Issuer::from_ca_cert_der(&found.der.into(), found.key).map_err(Error::issue(&common_name))?;
        Ok(Self { issuer, common_name, public_key, not_after: found.not_after })
    }

    fn create(work: &mut Work, authority: Authority, paths: &PairPaths, common_name: String) -> Result<Self, Error> {
        let now = work.now;
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
        if authority == Authority::Cluster && work.had(None) {
            // Before the CA itself: after an interrupted commit, the CA may be published once too
            // often, but never too rarely.
            let reason = "Pods have an older CA than ca.crt until the next boot publishes this one.\n";
            work.batch.add(super::unpublished(work.dir), reason, 0o600);
        }
        paths.add(&mut work.batch, &certificate.pem(), &key.serialize_pem());
        let public_key = key.subject_public_key_info();
        Ok(Self { issuer: Issuer::new(params, key), common_name, public_key, not_after })
    }

    /// Its common name.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// Its public key: a SubjectPublicKeyInfo as DER.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Keeps a certificate that fits. Otherwise creates a new one with a new key.
    pub fn ensure_leaf(&self, work: &mut Work, profile: &Profile) -> Result<(), Error> {
        let paths = profile.paths(work.dir);
        let misfit = match paths.read()? {
            None => Some(Misfit::Absent),
            Some(pair) => {
                let texts = pair.texts();
                texts.and_then(|(cert, key)| check::leaf(cert, key, profile, self, work.now)).err()
            }
        };
        let Some(misfit) = misfit else { return Ok(()) };
        work.check_clock(&paths.cert, &misfit, None)?;
        // A new node has no certificate yet, which isn't reported.
        if misfit != Misfit::Absent || work.had(profile.node.as_deref()) {
            work.report(&profile.title(), misfit);
        }
        let (cert, key) = self.sign(profile, work.now).map_err(Error::issue(profile.title()))?;
        paths.add(&mut work.batch, &cert, &key);
        Ok(())
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
