//! What a placeholder stands for: the words of a component file, as `docs/toml-components.md` lists
//! them.

use kubernix_toolchain::text::nearest;

/// What a placeholder stands for.
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
    /// The directory that a binary lies in.
    ExecutableDir(&'a str),
    Endpoint(&'a str),
    /// The path of an endpoint that is a unix socket.
    EndpointPath(&'a str),
    /// An endpoint without its scheme.
    EndpointHostPort(&'a str),
    FilledBy(&'a str),
    Parameter(&'a str),
    Fact(&'a str),
    /// The number of the copy, of an entry that has `repeat`.
    Index,
    /// The archive that `[import-image]` imports from.
    Archive,
    /// The name that `[import-image]` imports as.
    Name,
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
/// First words of the others, each with what follows.
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
    /// Reads what stands between the braces.
    ///
    /// # Errors
    /// It is no placeholder, with the nearest that is one.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let (head, rest) = match text.split_once('.') {
            Some((head, rest)) => (head, Some(rest)),
            None => (text, None),
        };
        if let Some((_, placeholder)) = ALONE.iter().find(|(word, _)| *word == head) {
            return match rest {
                None => Ok(*placeholder),
                Some(_) => Err(format!("`{{{{{text}}}}}` is no placeholder: nothing follows `{head}`")),
            };
        }
        let Some((_, follows)) = HEADS.iter().find(|(word, _)| *word == head) else {
            return Err(format!("unknown placeholder `{{{{{text}}}}}`{}", nearest(head, words())));
        };
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
            return Err(format!("`{{{{{text}}}}}` is not complete: write `{{{{{head}.{follows}}}}}`"));
        };
        let of = |what: &str, field: &str, known: &[&str]| {
            format!("`{what}` has no `{field}`{}", nearest(field, known.iter().copied()))
        };
        match head {
            "node" => match rest {
                "name" => Ok(Self::NodeName),
                "index" => Ok(Self::NodeIndex),
                "ip" => Ok(Self::NodeIp),
                "pod-cidr" => Ok(Self::NodePodCidr),
                other => Err(of("node", other, NODE)),
            },
            "address" if ADDRESSES.contains(&rest) => Ok(Self::Address(rest)),
            "address" => Err(of("address", rest, ADDRESSES)),
            "identity" => match rest.rsplit_once('.').filter(|(user, _)| !user.is_empty()) {
                Some((user, "cert")) => Ok(Self::IdentityCert(user)),
                Some((user, "key")) => Ok(Self::IdentityKey(user)),
                Some((user, "ca")) => Ok(Self::IdentityCa(user)),
                Some((user, other)) => Err(of(&format!("identity.{user}"), other, IDENTITY)),
                None => Err(format!("`{{{{{text}}}}}` is not complete: write `{{{{{text}.cert}}}}`, `.key` or `.ca`")),
            },
            "endpoint" => match rest.split_once('.') {
                None => Ok(Self::Endpoint(rest)),
                Some((role, "path")) => Ok(Self::EndpointPath(role)),
                Some((role, "host-port")) => Ok(Self::EndpointHostPort(role)),
                Some((role, other)) => Err(of(&format!("endpoint.{role}"), other, ENDPOINT)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_dots_where_what_they_name_has() {
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
    fn what_is_none_is_told_with_what_is_near() {
        for (text, wanted) in [
            ("", "unknown placeholder `{{}}`, there is `address`, `archive`, `braces`,"),
            ("paramter.nodes", "unknown placeholder `{{paramter.nodes}}`, did you mean `parameter`?"),
            ("node.ipp", "`node` has no `ipp`, did you mean `ip`?"),
            ("node", "`{{node}}` is not complete: write `{{node.FIELD}}`"),
            ("parameter.", "`{{parameter.}}` is not complete: write `{{parameter.NAME}}`"),
            ("cluster.name", "`{{cluster.name}}` is no placeholder: nothing follows `cluster`"),
            ("address.service", "`address` has no `service`, did you mean `services`?"),
            (
                "identity.admin",
                "`{{identity.admin}}` is not complete: write `{{identity.admin.cert}}`, `.key` or `.ca`",
            ),
            ("identity.admin.crt", "`identity.admin` has no `crt`, did you mean `cert`?"),
            ("endpoint.cri.port", "`endpoint.cri` has no `port`, did you mean"),
        ] {
            let error = Placeholder::parse(text).unwrap_err();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
