//! Reads a cluster's own kubeconfig, and decides which entries of other kubeconfigs belong to the
//! cluster.

use super::Error;
use super::file;
use super::model::{Config, Fields, Kind};
use crate::digits;
use crate::root_dir::{self, Root};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A cluster's server and credentials, and the record of the files that they were merged into.
#[derive(Debug, Clone)]
pub struct Access {
    /// The name of all its entries: `kubernix-NAME`.
    pub name: String,
    /// The cluster's own kubeconfig.
    pub(super) own: PathBuf,
    /// The content of that file. `None` before the first boot, and if the file is damaged.
    pub(super) credentials: Option<Credentials>,
    record: PathBuf,
    recorded: Record,
    /// The record can't be parsed.
    is_damaged: bool,
}

/// The content of a cluster's own kubeconfig. CA, certificate and key are base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub server: String,
    pub ca: String,
    pub cert: String,
    pub key: String,
}

/// Where entries were merged: `kubeconfig/merged.json` of the root directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// The files that have entries.
    files: BTreeSet<PathBuf>,
    /// SHA-256 of all certificates that entries had, including those that were replaced since.
    certificates: BTreeSet<String>,
    /// The name that entries may still have: a rename of the cluster is in progress, or was
    /// interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier_name: Option<String>,
}

/// The SHA-256 of a certificate's base64 data, without line breaks that an editor may have added.
fn hash(data: &str) -> String {
    let plain: String = data.split_whitespace().collect();
    digits::sha256(plain.as_bytes())
}

impl Access {
    /// Reads the kubeconfig and the record of a root directory. The cluster may not have been
    /// booted yet.
    ///
    /// # Errors
    /// Its kubeconfig can't be read.
    pub fn of(root: &Root) -> Result<Self, Error> {
        let (own, record) = (root.kubeconfig("admin"), root.kubeconfigs().join("merged.json"));
        // The next boot rewrites a damaged file. Until then, `credentials` returns an error.
        let credentials = file::read(&own)?.and_then(|text| Credentials::read(&Config::of(&own, &text).ok()?));
        let (recorded, is_damaged) = match fs::read(&record) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(recorded) => (recorded, false),
                Err(error) => {
                    log::warn!(
                        "can't parse `{}`: {error}; until the next merge replaces this record, merged contexts are \
                         found only in the files of KUBECONFIG",
                        record.display()
                    );
                    (Record::default(), true)
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => (Record::default(), false),
            Err(cause) => return Err(Error::io("read", &record)(cause)),
        };
        Ok(Self { name: Self::name_of(&root.name()), own, credentials, record, recorded, is_damaged })
    }

    /// The name of all entries of a cluster.
    pub(super) fn name_of(cluster: &str) -> String {
        format!("kubernix-{cluster}")
    }

    /// The same cluster with another name of its entries.
    pub(super) fn with_name(&self, name: String) -> Self {
        Self { name, ..self.clone() }
    }

    /// The name that entries may still have.
    pub(super) fn earlier_name(&self) -> Option<&str> {
        self.recorded.earlier_name.as_deref()
    }

    /// Records that entries may keep the present name after the cluster was renamed.
    pub(super) fn record_earlier_name(&self) -> Result<(), Error> {
        self.write(&Record { earlier_name: Some(self.name.clone()), ..self.recorded.clone() })
    }

    /// Records that no entry has an earlier name any more.
    pub(super) fn forget_earlier_name(&self) -> Result<(), Error> {
        self.write(&Record { earlier_name: None, ..self.recorded.clone() })
    }

    /// The content of the cluster's own kubeconfig.
    ///
    /// # Errors
    /// The cluster was never booted, or its kubeconfig is damaged.
    pub(super) fn credentials(&self) -> Result<&Credentials, Error> {
        self.credentials.as_ref().ok_or_else(|| {
            let path = self.own.clone();
            if path.exists() { Error::OwnDamaged { path } } else { Error::NeverBooted { path } }
        })
    }

    /// The files that entries of the cluster were merged into.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.recorded.files.iter()
    }

    /// Whether entries of the cluster were merged into this file.
    pub(super) fn is_in(&self, file: &Path) -> bool {
        self.recorded.files.contains(file)
    }

    /// Whether an entry holds a present or an earlier certificate of this cluster. A context holds
    /// none: it belongs to the cluster if its cluster and its user have the cluster's name.
    pub(super) fn is_ours(&self, kind: Kind, fields: &Fields) -> bool {
        match kind {
            Kind::Cluster => {
                self.is_known(fields.certificate_authority_data.as_deref(), self.credentials.as_ref().map(|it| &*it.ca))
            }
            Kind::User => {
                self.is_known(fields.client_certificate_data.as_deref(), self.credentials.as_ref().map(|it| &*it.cert))
            }
            Kind::Context => [&fields.cluster, &fields.user].iter().all(|name| name.as_ref() == Some(&self.name)),
        }
    }

    /// Whether a certificate is the present one of the cluster, or an earlier one.
    fn is_known(&self, data: Option<&str>, present: Option<&str>) -> bool {
        let Some(hash) = data.map(hash) else { return false };
        present.map(self::hash).as_ref() == Some(&hash) || self.recorded.certificates.contains(&hash)
    }

    /// The fields of an entry of this cluster.
    pub(super) fn fields(&self, kind: Kind) -> Result<Vec<(&'static str, String)>, Error> {
        let Credentials { server, ca, cert, key } = self.credentials()?;
        Ok(match kind {
            Kind::Cluster => vec![("certificate-authority-data", ca.clone()), ("server", server.clone())],
            Kind::User => vec![("client-certificate-data", cert.clone()), ("client-key-data", key.clone())],
            Kind::Context => vec![("cluster", self.name.clone()), ("user", self.name.clone())],
        })
    }

    /// Records the files that entries are merged into. Called before the files are written.
    pub(super) fn record_files(&self, files: impl IntoIterator<Item = PathBuf>) -> Result<(), Error> {
        let credentials = self.credentials()?;
        let mut record = self.recorded.clone();
        record.files.extend(files);
        record.certificates.extend([&credentials.ca, &credentials.cert].map(|data| hash(data)));
        self.write(&record)
    }

    /// Records that no file has entries of the cluster.
    pub(super) fn forget_files(&self) -> Result<(), Error> {
        let record = Record { files: BTreeSet::new(), ..self.recorded.clone() };
        if record == self.recorded && !self.is_damaged { Ok(()) } else { self.write(&record) }
    }

    /// Writes the record again after its root directory was emptied, for the next cluster there.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn carry_over(&self) -> Result<(), Error> {
        if self.recorded.files.is_empty() {
            return Ok(());
        }
        if let Some(directory) = self.record.parent() {
            let created = DirBuilder::new().mode(0o700).recursive(true).create(directory);
            created.map_err(Error::io("record the files of", &self.own))?;
        }
        self.write(&self.recorded)
    }

    fn write(&self, record: &Record) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(record).unwrap_or_default();
        let written = root_dir::write_durable(&self.record, &text, 0o600);
        written.map(drop).map_err(|error| Error::io("record the files of", &self.own)(std::io::Error::other(error)))
    }
}

impl Credentials {
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
