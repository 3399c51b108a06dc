//! The state of a cluster as seen from outside, from its files and processes alone: it isn't asked.

use super::State;
use super::port::api_url;
use crate::boot::{Boot, BootFile};
use crate::root_dir::{self, ClusterFile, Error as RootError, Integrity, Root};
use crate::sandbox::carriers::Carrier;
use crate::sandbox::{Ending, SandboxIds, lock};
use std::time::Duration;

/// The age of the init from which its control socket must exist. It is created in the first second.
const SOCKET_DEADLINE: Duration = Duration::from_secs(10);

/// The state of a cluster as seen from outside.
pub(super) struct Condition {
    /// The state without asking the cluster. `Broken` for every intact cluster with a control
    /// socket, unless it ends: a caller that gets an answer from it replaces this.
    pub(super) state: State,
    /// The problems found, a sentence each.
    pub(super) problems: Vec<String>,
    /// Keeper and init, if they run.
    pub(super) ids: Option<SandboxIds>,
    /// The content of `state.json`, if it can be read.
    pub(super) known: Option<root_dir::State>,
    /// The last boot's input, if it can be read. It may be readable although the directory is
    /// damaged otherwise.
    pub(super) boot: Option<Boot>,
}

impl Condition {
    /// Inspects the cluster with this root directory and these processes.
    pub(super) fn inspect(root: &Root, carriers: &[Carrier]) -> Self {
        let ids = SandboxIds::read(root).or_else(|| SandboxIds::among(carriers));
        let file = ClusterFile::read(root);
        let boot = file.as_ref().ok().and_then(Option::as_ref).and_then(|file| BootFile::parse(file).ok());
        let processes = || carriers.iter().map(Carrier::to_string).collect::<Vec<_>>().join(", ");
        let is_orphan = carriers.iter().any(|carrier| carrier.is_orphan);
        let integrity = root.integrity(!carriers.is_empty());
        let (state, problems) = match &integrity {
            Ok(Integrity::Intact(_)) => inspect_intact(root, carriers, ids, file.err()),
            Err(RootError::Missing { .. }) if carriers.is_empty() => (State::Stopped, Vec::new()),
            Err(RootError::Missing { .. }) => orphaned(&processes()),
            _ if is_orphan => orphaned(&processes()),
            Ok(Integrity::Damaged(error)) | Err(error) => {
                let runs = (!carriers.is_empty()).then(|| format!("it runs: {}", processes()));
                (State::Damaged, [error.to_string()].into_iter().chain(runs).collect())
            }
        };
        let known = match integrity {
            Ok(Integrity::Intact(known)) => Some(known),
            _ => None,
        };
        Self { state, problems, ids, known, boot }
    }

    /// The cluster's ID. Empty if it has none, or if it can't be read.
    pub(super) fn id(&self) -> String {
        self.known.as_ref().and_then(|known| known.id.as_ref()).map(ToString::to_string).unwrap_or_default()
    }

    /// The API server's URL on this host. Empty before the first boot.
    pub(super) fn api(&self) -> String {
        self.boot.as_ref().map(|boot| api_url(boot.api_port)).unwrap_or_default()
    }
}

fn orphaned(processes: &str) -> (State, Vec<String>) {
    (State::Orphaned, vec![format!("its root directory was removed while it ran: {processes}")])
}

/// Inspects a cluster with an intact root directory. `damage`: why `cluster.json` can't be read.
fn inspect_intact(
    root: &Root,
    carriers: &[Carrier],
    ids: Option<SandboxIds>,
    damage: Option<RootError>,
) -> (State, Vec<String>) {
    let mut problems: Vec<String> = carriers
        .iter()
        .filter(|carrier| carrier.is_orphan)
        .map(|carrier| format!("{carrier} is of an earlier boot, whose root directory was removed"))
        .collect();
    // A running cluster has its state in memory, and writes it again when it ends. A stopped
    // cluster boots without it: `up` reports what it lacks.
    problems.extend(damage.map(|error| error.to_string()));
    let stopped: Vec<&Carrier> = carriers.iter().filter(|carrier| !carrier.is_orphan && carrier.is_stopped()).collect();
    problems.extend(stopped.iter().map(|one| format!("{one}: `kill -CONT {}` resumes it", one.pid)));
    let has_socket = root.control_socket().exists();
    let is_late = || ids.and_then(|ids| ids.init.age()).is_some_and(|age| age > SOCKET_DEADLINE);
    let state = match (lock::is_taken(root), Ending::read(root), ids) {
        (false, ..) => State::Stopped,
        (true, Some(_), _) => State::Stopping,
        (true, None, Some(_)) if has_socket => State::Broken,
        (true, None, Some(_)) if is_late() => {
            problems.push(format!("its control socket `{}` is missing", root.control_socket().display()));
            State::Broken
        }
        (true, None, _) => State::Starting,
    };
    (state, problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::carriers::Part;
    use std::fs;

    fn carrier(root: &Root, is_orphan: bool) -> Carrier {
        Carrier {
            part: Part::Init,
            pid: i32::MAX,
            id: "0123456789abcdef".into(),
            root: root.path().to_owned(),
            is_orphan,
        }
    }

    #[test]
    fn inspection_finds_orphaned_and_damaged_clusters() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        let look = |carriers: &[Carrier]| {
            let found = Condition::inspect(&root, carriers);
            (found.state, found.problems.join("; "))
        };
        assert_eq!(look(&[]), (State::Stopped, String::new()));
        let (state, problem) = look(&[carrier(&root, true)]);
        assert!(state == State::Orphaned && problem.contains("was removed while it ran: init process"), "{problem}");

        root.create().unwrap();
        assert_eq!(look(&[]), (State::Stopped, String::new()));
        let (state, problem) = look(&[carrier(&root, true)]);
        assert!(state == State::Stopped && problem.contains("of an earlier boot"), "{problem}");
        let _lock = lock::take(&root).unwrap().unwrap();
        assert_eq!(look(&[carrier(&root, false)]), (State::Starting, String::new()));

        fs::write(root.path().join("state.json"), "").unwrap();
        let (state, problem) = look(&[]);
        assert!(state == State::Damaged && problem.contains("state.json` can't be understood"), "{problem}");
        let (state, problem) = look(&[carrier(&root, false)]);
        assert!(state == State::Damaged && problem.contains("; it runs: init process"), "{problem}");

        // A running cluster creates its directories again.
        fs::remove_file(root.path().join("state.json")).unwrap();
        fs::create_dir(root.path().join("nodes")).unwrap();
        assert_eq!(look(&[carrier(&root, true)]).0, State::Orphaned);
    }
}
