//! How a cluster is reached, as its own kubeconfig says it; and how its entries are told from others' of the same name.

use super::Error;
use super::file;
use super::model::{Config, Fields, Kind};
use crate::digits;
use crate::root::{self, Root};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// How a cluster is reached, and where that was told.
#[derive(Debug, Clone)]
pub struct Access {
    /// The name that all of its entries have: `kubernix-NAME`.
    pub name: String,
    /// The cluster's own kubeconfig.
    pub(super) own: PathBuf,
    /// What that says; nothing before the first boot.
    pub(super) says: Option<Says>,
    record: PathBuf,
    recorded: Record,
    /// The record can't be understood.
    is_damaged: bool,
}

/// What a cluster's own kubeconfig says. Data is base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Says {
    pub server: String,
    pub ca: String,
    pub cert: String,
    pub key: String,
}

/// What was merged where: `kubeconfig/merged.json` of the root directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// The files that have entries.
    files: BTreeSet<PathBuf>,
    /// SHA-256 of the certificates that entries had, for those that were made anew since.
    certificates: BTreeSet<String>,
    /// The name that entries may still have: the cluster is being renamed, or that broke off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier_name: Option<String>,
}

/// A certificate's data, whatever line breaks an editor put into it, by hash.
fn hash(data: &str) -> String {
    let plain: String = data.split_whitespace().collect();
    digits::sha256(plain.as_bytes())
}

impl Access {
    /// That of the cluster of a root directory, which needn't have been booted yet.
    ///
    /// # Errors
    /// Its kubeconfig can't be read.
    pub fn of(root: &Root) -> Result<Self, Error> {
        let (own, record) = (root.kubeconfig("admin"), root.kubeconfigs().join("merged.json"));
        // A damaged one is written anew by the next boot; those that need it before get an error.
        let says = file::read(&own)?.and_then(|text| Says::read(&Config::of(&own, &text).ok()?));
        let (recorded, is_damaged) = match fs::read(&record) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(recorded) => (recorded, false),
                Err(error) => {
                    log::warn!(
                        "`{}` can't be understood, so files that the context was merged into are found only among those \
                         of KUBECONFIG; the next merge begins it anew: {error}",
                        record.display()
                    );
                    (Record::default(), true)
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => (Record::default(), false),
            Err(cause) => return Err(Error::io("read", &record)(cause)),
        };
        Ok(Self { name: Self::name_of(&root.name()), own, says, record, recorded, is_damaged })
    }

    /// The name that all entries of a cluster have.
    pub(super) fn name_of(cluster: &str) -> String {
        format!("kubernix-{cluster}")
    }

    /// The same cluster, with entries of another name.
    pub(super) fn named(&self, name: String) -> Self {
        Self { name, ..self.clone() }
    }

    /// The name that entries may still have.
    pub(super) fn earlier_name(&self) -> Option<&str> {
        self.recorded.earlier_name.as_deref()
    }

    /// Notes that entries may have this name when the cluster has another one.
    pub(super) fn note_name(&self) -> Result<(), Error> {
        self.write(&Record { earlier_name: Some(self.name.clone()), ..self.recorded.clone() })
    }

    /// Notes that no entry has an earlier name any more.
    pub(super) fn forget_earlier_name(&self) -> Result<(), Error> {
        self.write(&Record { earlier_name: None, ..self.recorded.clone() })
    }

    /// What its own kubeconfig says.
    ///
    /// # Errors
    /// It was never booted, or its kubeconfig is damaged.
    pub(super) fn says(&self) -> Result<&Says, Error> {
        self.says.as_ref().ok_or_else(|| match self.own.exists() {
            true => Error::OwnDamaged { path: self.own.clone() },
            false => Error::NeverBooted { path: self.own.clone() },
        })
    }

    /// The files that have entries of it, as far as we put them there.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.recorded.files.iter()
    }

    /// Whether we put entries of it into this file.
    pub(super) fn is_in(&self, file: &Path) -> bool {
        self.recorded.files.contains(file)
    }

    /// Whether an entry holds this cluster's certificates. A context is whose cluster and user are.
    pub(super) fn is_ours(&self, kind: Kind, fields: &Fields) -> bool {
        let known = |data: &Option<String>, now: fn(&Says) -> &str| {
            let Some(data) = data else { return false };
            let hash = hash(data);
            let now = self.says.as_ref().map(|says| self::hash(now(says)));
            now.as_ref() == Some(&hash) || self.recorded.certificates.contains(&hash)
        };
        match kind {
            Kind::Cluster => known(&fields.certificate_authority_data, |says| &says.ca),
            Kind::User => known(&fields.client_certificate_data, |says| &says.cert),
            Kind::Context => [&fields.cluster, &fields.user].iter().all(|name| name.as_ref() == Some(&self.name)),
        }
    }

    /// What an entry of this cluster says.
    pub(super) fn fields(&self, kind: Kind) -> Result<Vec<(&'static str, String)>, Error> {
        let says = self.says()?;
        Ok(match kind {
            Kind::Cluster => vec![("certificate-authority-data", says.ca.clone()), ("server", says.server.clone())],
            Kind::User => vec![("client-certificate-data", says.cert.clone()), ("client-key-data", says.key.clone())],
            Kind::Context => vec![("cluster", self.name.clone()), ("user", self.name.clone())],
        })
    }

    /// Notes where its entries are, before they are there.
    pub(super) fn note(&self, files: impl IntoIterator<Item = PathBuf>) -> Result<(), Error> {
        let says = self.says()?;
        let mut record = self.recorded.clone();
        record.files.extend(files);
        record.certificates.extend([&says.ca, &says.cert].map(|data| hash(data)));
        self.write(&record)
    }

    /// Notes that its entries are nowhere.
    pub(super) fn forget(&self) -> Result<(), Error> {
        let record = Record { files: BTreeSet::new(), ..self.recorded.clone() };
        if record == self.recorded && !self.is_damaged { Ok(()) } else { self.write(&record) }
    }

    /// Notes what was noted in a root directory that was emptied meanwhile, for the cluster that comes next.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn carry_over(&self) -> Result<(), Error> {
        if self.recorded.files.is_empty() {
            return Ok(());
        }
        if let Some(directory) = self.record.parent() {
            let made = DirBuilder::new().mode(0o700).recursive(true).create(directory);
            made.map_err(Error::io("note the place of", &self.own))?;
        }
        self.write(&self.recorded)
    }

    fn write(&self, record: &Record) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(record).unwrap_or_default();
        let written = root::write_durable(&self.record, &text, 0o600);
        written.map(drop).map_err(|error| Error::io("note the place of", &self.own)(std::io::Error::other(error)))
    }
}

impl Says {
    fn read(own: &Config) -> Option<Self> {
        let context = own.current_context.as_ref()?;
        let of_context = own.fields(Kind::Context, context)?;
        let cluster = own.fields(Kind::Cluster, &of_context.cluster?)?;
        let user = own.fields(Kind::User, &of_context.user?)?;
        Some(Self {
            server: cluster.server?,
            ca: cluster.certificate_authority_data?,
            cert: user.client_certificate_data?,
            key: user.client_key_data?,
        })
    }
}
