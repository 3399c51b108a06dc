//! Parses placeholders. `docs/toml-components.md` lists them.

use kubernix_toolchain::text::nearest;

/// A parsed placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placeholder<'a> {
    /// `{{`.
    Braces,
    Cluster,
    NodeName,
    NodeIndex,
    NodeIp,
    NodePodCidr,
    /// A range or address of the address plan, one of [`ADDRESSES`].
    Address(&'a str),
    Dir,
    VolatileDir,
    NodeDir,
    IdentityCert(&'a str),
    IdentityKey(&'a str),
    IdentityCa(&'a str),
    Kubeconfig(&'a str),
    HostFile(&'a str),
    Executable(&'a str),
    /// The version of a binary.
    Version(&'a str),
    /// The directory of a binary.
    ExecutableDir(&'a str),
    Endpoint(&'a str),
    /// The path of an endpoint that is a unix socket.
    EndpointPath(&'a str),
    /// An endpoint without its scheme.
    EndpointHostPort(&'a str),
    FilledBy(&'a str),
    Parameter(&'a str),
    Fact(&'a str),
    /// The number of the copy, in an entry with `repeat`.
    Index,
    /// The archive that `[import-image]` imports from.
    Archive,
    /// The name that `[import-image]` imports as.
    Name,
}

/// Why a text between braces isn't a placeholder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PlaceholderError {
    /// Its first word isn't known.
    #[error("unknown placeholder `{{{{{text}}}}}`{hint}")]
    Unknown {
        /// The text.
        text: String,
        /// The most similar words, as the end of the message.
        hint: String,
    },
    /// It has a field, and its word has none.
    #[error("`{{{{{text}}}}}` isn't a placeholder: `{head}` has no fields")]
    Trailing {
        /// The text.
        text: String,
        /// Its first word.
        head: String,
    },
    /// It has no field, and its word needs one.
    #[error("`{{{{{text}}}}}` is not complete: write {form}")]
    Incomplete {
        /// The text.
        text: String,
        /// The complete form.
        form: String,
    },
    /// Its field isn't known.
    #[error("`{owner}` has no `{field}`{hint}")]
    UnknownField {
        /// The part before the field.
        owner: String,
        /// The field.
        field: String,
        /// The most similar fields, as the end of the message.
        hint: String,
    },
}

const NODE: &[&str] = &["name", "index", "ip", "pod-cidr"];
const ADDRESSES: &[&str] = &["control-plane", "pods", "services", "node-mask", "dns", "registry", "registry-name"];
const IDENTITY: &[&str] = &["cert", "key", "ca"];
const ENDPOINT: &[&str] = &["path", "host-port"];
/// Placeholders of one word.
const ALONE: &[(&str, Placeholder<'static>)] = &[
    ("braces", Placeholder::Braces),
    ("cluster", Placeholder::Cluster),
    ("dir", Placeholder::Dir),
    ("volatile-dir", Placeholder::VolatileDir),
    ("node-dir", Placeholder::NodeDir),
    ("index", Placeholder::Index),
    ("archive", Placeholder::Archive),
    ("name", Placeholder::Name),
];
/// The first words of the others, each with the form of the rest.
const HEADS: &[(&str, &str)] = &[
    ("node", "FIELD"),
    ("address", "NAME"),
    ("identity", "USER.FIELD"),
    ("kubeconfig", "USER"),
    ("host-file", "NAME"),
    ("executable", "NAME"),
    ("executable-dir", "NAME"),
    ("version", "NAME"),
    ("endpoint", "ROLE"),
    ("filled-by", "ROLE"),
    ("parameter", "NAME"),
    ("fact", "NAME"),
];

/// The first words of all placeholders.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    ALONE.iter().map(|(word, _)| *word).chain(HEADS.iter().map(|(word, _)| *word))
}

impl<'a> Placeholder<'a> {
    /// Parses the text between the braces.
    ///
    /// # Errors
    /// It isn't a placeholder.
    pub fn parse(text: &'a str) -> Result<Self, PlaceholderError> {
        let (head, rest) = match text.split_once('.') {
            Some((head, rest)) => (head, Some(rest)),
            None => (text, None),
        };
        if let Some((_, placeholder)) = ALONE.iter().find(|(word, _)| *word == head) {
            return match rest {
                None => Ok(*placeholder),
                Some(_) => Err(PlaceholderError::Trailing { text: text.into(), head: head.into() }),
            };
        }
        let Some((_, follows)) = HEADS.iter().find(|(word, _)| *word == head) else {
            return Err(PlaceholderError::Unknown { text: text.into(), hint: nearest(head, words()) });
        };
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
            let form = format!("`{{{{{head}.{follows}}}}}`");
            return Err(PlaceholderError::Incomplete { text: text.into(), form });
        };
        match head {
            "node" => match rest {
                "name" => Ok(Self::NodeName),
                "index" => Ok(Self::NodeIndex),
                "ip" => Ok(Self::NodeIp),
                "pod-cidr" => Ok(Self::NodePodCidr),
                other => Err(unknown_field("node", other, NODE)),
            },
            "address" if ADDRESSES.contains(&rest) => Ok(Self::Address(rest)),
            "address" => Err(unknown_field("address", rest, ADDRESSES)),
            "identity" => match rest.rsplit_once('.').filter(|(user, _)| !user.is_empty()) {
                Some((user, "cert")) => Ok(Self::IdentityCert(user)),
                Some((user, "key")) => Ok(Self::IdentityKey(user)),
                Some((user, "ca")) => Ok(Self::IdentityCa(user)),
                Some((user, other)) => Err(unknown_field(&format!("identity.{user}"), other, IDENTITY)),
                None => {
                    let form = format!("`{{{{{text}.cert}}}}`, `.key` or `.ca`");
                    Err(PlaceholderError::Incomplete { text: text.into(), form })
                }
            },
            "endpoint" => match rest.split_once('.') {
                None => Ok(Self::Endpoint(rest)),
                Some((role, "path")) => Ok(Self::EndpointPath(role)),
                Some((role, "host-port")) => Ok(Self::EndpointHostPort(role)),
                Some((role, other)) => Err(unknown_field(&format!("endpoint.{role}"), other, ENDPOINT)),
            },
            "kubeconfig" => Ok(Self::Kubeconfig(rest)),
            "host-file" => Ok(Self::HostFile(rest)),
            "executable" => Ok(Self::Executable(rest)),
            "executable-dir" => Ok(Self::ExecutableDir(rest)),
            "version" => Ok(Self::Version(rest)),
            "filled-by" => Ok(Self::FilledBy(rest)),
            "parameter" => Ok(Self::Parameter(rest)),
            _ => Ok(Self::Fact(rest)),
        }
    }
}

fn unknown_field(owner: &str, field: &str, known: &[&str]) -> PlaceholderError {
    let hint = nearest(field, known.iter().copied());
    PlaceholderError::UnknownField { owner: owner.into(), field: field.into(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_and_facts_may_have_dots() {
        for (text, wanted) in [
            ("host-file.front-proxy-ca.crt", Placeholder::HostFile("front-proxy-ca.crt")),
            ("fact.cgroup.version", Placeholder::Fact("cgroup.version")),
            ("identity.admin.cert", Placeholder::IdentityCert("admin")),
            ("endpoint.cri", Placeholder::Endpoint("cri")),
            ("endpoint.cri.path", Placeholder::EndpointPath("cri")),
            ("node.pod-cidr", Placeholder::NodePodCidr),
            ("braces", Placeholder::Braces),
        ] {
            assert_eq!(Placeholder::parse(text), Ok(wanted));
        }
    }

    #[test]
    fn the_error_about_an_unknown_placeholder_has_similar_ones() {
        for (text, wanted) in [
            ("", "unknown placeholder `{{}}`, there is `address`, `archive`, `braces`,"),
            ("paramter.nodes", "unknown placeholder `{{paramter.nodes}}`, did you mean `parameter`?"),
            ("node.ipp", "`node` has no `ipp`, did you mean `ip`?"),
            ("node", "`{{node}}` is not complete: write `{{node.FIELD}}`"),
            ("parameter.", "`{{parameter.}}` is not complete: write `{{parameter.NAME}}`"),
            ("cluster.name", "`{{cluster.name}}` isn't a placeholder: `cluster` has no fields"),
            ("address.service", "`address` has no `service`, did you mean `services`?"),
            (
                "identity.admin",
                "`{{identity.admin}}` is not complete: write `{{identity.admin.cert}}`, `.key` or `.ca`",
            ),
            ("identity.admin.crt", "`identity.admin` has no `crt`, did you mean `cert`?"),
            ("endpoint.cri.port", "`endpoint.cri` has no `port`, did you mean"),
        ] {
            let error = Placeholder::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
