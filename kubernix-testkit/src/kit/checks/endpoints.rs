//! Checks of the roles that the plan fills: their endpoints and probes.

use super::super::bench::{Bench, Planned};
use super::super::context::KitContext;
use super::super::recorder::Filled;
use super::super::report::{Verdict, demand, failed};
use super::super::world::ALPHA;
use super::{paths, processes};
use kubernix_core::{MAX_SOCKET_PATH, ProbeKind, UnixSocket, roles};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) fn filled(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    let mut missing: BTreeSet<String> = description.provides.iter().map(ToString::to_string).collect();
    for filled in bench.alpha()?.plan.filled {
        let role = &filled.role;
        let declared = description.provides.iter().any(|provided| provided.as_str() == role);
        demand(declared, || format!("the plan fills role `{role}`, which it doesn't declare"))?;
        demand(missing.remove(role), || format!("the plan fills role `{role}` twice"))?;
    }
    missing.first().map_or(Ok(()), |role| failed(format!("the plan doesn't fill role `{role}`, which it declares")))
}

/// The valid schemes for the endpoint of a role; empty if any is.
fn schemes(role: &str) -> &'static [&'static str] {
    match role {
        roles::CRI => &["unix://"],
        roles::DATASTORE => &["https://", "unix://"],
        roles::APISERVER | roles::APISERVER_PORT => &["https://"],
        _ => &[],
    }
}

/// The host of a URL `SCHEME://HOST:PORT...`.
fn host(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = authority.rsplit_once(':')?;
    let plain = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'+');
    (plain && port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(host)
}

pub(super) fn valid(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    for planned in [bench.alpha()?, bench.beta()?] {
        let own = paths::own(&planned, &description);
        for Filled { role, url, .. } in &planned.plan.filled {
            let schemes = schemes(role);
            demand(schemes.is_empty() || schemes.iter().any(|scheme| url.starts_with(scheme)), || {
                format!("role `{role}` has the endpoint `{url}`: use {}", schemes.join(" or "))
            })?;
            let fits = match (url.strip_prefix("unix://"), host(url)) {
                (Some(path), _) => paths::within(path, &own),
                (None, Some(host)) => planned.world.owns(host),
                (None, None) => url.is_empty(),
            };
            demand(fits, || {
                format!(
                    "role `{role}` has the endpoint `{url}`, which is neither a socket in its directories nor IP:PORT of the cluster"
                )
            })?;
        }
    }
    Ok(())
}

pub(super) fn sockets(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    bench.alpha()?;
    // Too long for any socket below it, so `plan` has to fail.
    let long = format!("{}/{}", ALPHA.root(), "long/".repeat(MAX_SOCKET_PATH / 5)).trim_end_matches('/').to_owned();
    let ordinary = bench.world(ALPHA)?;
    let unusual = bench.world(ALPHA)?.root(&long);
    for fake in [ordinary, unusual] {
        let Ok(plan) = bench.plan(&Arc::new(KitContext::new(fake, &description)))? else { continue };
        for Filled { role, url, probe } in &plan.filled {
            let by_path = [ProbeKind::UNIX, ProbeKind::CRI].contains(&probe.kind);
            let asked = by_path.then_some(probe.target.as_str());
            for path in url.strip_prefix("unix://").into_iter().chain(asked).filter(|path| path.starts_with('/')) {
                UnixSocket::new(path)
                    .or_else(|error| failed(format!("role `{role}`: {error}, but `plan` succeeds")))?;
            }
        }
    }
    Ok(())
}

pub(super) fn probes(bench: &mut Bench) -> Verdict {
    let plan = bench.alpha()?.plan;
    for Filled { role, probe, .. } in &plan.filled {
        let fits = match probe.kind {
            ProbeKind::STARTED => plan.processes.is_empty(),
            ProbeKind::HTTP => ["http://", "https://"].iter().any(|scheme| probe.target.starts_with(scheme)),
            ProbeKind::TCP => host(&format!("tcp://{}", probe.target)).is_some_and(|host| !host.is_empty()),
            ProbeKind::UNIX | ProbeKind::CRI | ProbeKind::COMMAND => probe.target.starts_with('/'),
            ProbeKind::NODE => !probe.target.is_empty(),
            ProbeKind::MANIFESTS => !plan.manifests.is_empty() && probe.target.is_empty(),
            other => return failed(format!("role `{role}` has the probe {other}, which this contract doesn't know")),
        };
        demand(fits, || match probe.kind {
            ProbeKind::STARTED => {
                format!("role `{role}` is ready as soon as its processes run: use another probe")
            }
            ProbeKind::MANIFESTS if plan.manifests.is_empty() => {
                format!("role `{role}` has the probe `manifests`, but the plan has no manifests")
            }
            kind => format!("the {kind} probe of role `{role}` has an invalid target {:?}", probe.target),
        })?;
    }
    Ok(())
}

pub(super) fn targets(bench: &mut Bench) -> Verdict {
    let description = bench.description()?;
    for planned in [bench.alpha()?, bench.beta()?] {
        let own = paths::own(&planned, &description);
        let Planned { world, context, plan } = &planned;
        for Filled { role, probe, .. } in &plan.filled {
            let target = &probe.target;
            let fits = match probe.kind {
                ProbeKind::HTTP => host(target).or(portless(target)).is_some_and(|host| world.owns(host)),
                ProbeKind::TCP => host(&format!("tcp://{target}")).is_none_or(|host| world.owns(host)),
                ProbeKind::UNIX | ProbeKind::CRI => !target.starts_with('/') || paths::within(target, &own),
                ProbeKind::COMMAND => !target.starts_with('/') || processes::is_known(target, *world, context, plan),
                _ => true,
            };
            demand(fits, || {
                format!("the probe of role `{role}` has the target `{target}`, which isn't in the cluster")
            })?;
        }
    }
    Ok(())
}

/// The host of a URL without a port.
fn portless(url: &str) -> Option<&str> {
    url.split_once("://")?.1.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_host_and_a_port() {
        assert_eq!(host("https://10.1.2.3:6443/readyz"), Some("10.1.2.3"));
        assert_eq!(host("http://[::1]:80"), Some("[::1]"));
        for wrong in ["10.1.2.3:80", "http://10.1.2.3", "http://10.1.2.3:0", "http://a:b:c", "://a:1"] {
            assert_eq!(host(wrong), None, "{wrong}");
        }
        assert_eq!(portless("http://10.1.2.3/x"), Some("10.1.2.3"));
    }
}
