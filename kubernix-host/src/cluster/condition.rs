//! What is wrong with a cluster, as far as that shows from outside without asking it.

use super::State;
use super::port::api_url;
use crate::boot::{Boot, BootFile};
use crate::root::{self, ClusterFile, Error as RootError, Root, Standing};
use crate::sandbox::carriers::Carrier;
use crate::sandbox::{Ending, SandboxIds, lock};
use std::time::Duration;

/// A cluster's init makes its control socket in its first second.
const SOCKET_BY: Duration = Duration::from_secs(10);

/// How a cluster looks from outside.
pub(super) struct Condition {
    /// A cluster that is whole and runs has to answer, or is on its way up or down.
    pub(super) state: State,
    /// What is wrong, a sentence each.
    pub(super) problems: Vec<String>,
    /// The two processes that carry it, if they run.
    pub(super) ids: Option<SandboxIds>,
    /// What its directory says of itself, where that can be read.
    pub(super) known: Option<root::State>,
    /// What it was booted with last, where that can be read: also of one whose directory is damaged otherwise.
    pub(super) boot: Option<Boot>,
}

impl Condition {
    /// That of the cluster of a root directory with these processes.
    pub(super) fn look(root: &Root, carriers: &[Carrier]) -> Self {
        let ids = SandboxIds::read(root).or_else(|| SandboxIds::among(carriers));
        let file = ClusterFile::read(root);
        let boot = file.as_ref().ok().and_then(Option::as_ref).and_then(|file| BootFile::parse(file).ok());
        let processes = || carriers.iter().map(Carrier::to_string).collect::<Vec<_>>().join(", ");
        let is_orphan = carriers.iter().any(|carrier| carrier.is_orphan);
        let standing = root.standing(!carriers.is_empty());
        let (state, problems) = match &standing {
            Ok(Standing::Whole(_)) => of_whole(root, carriers, ids, file.err()),
            Err(RootError::Missing { .. }) if carriers.is_empty() => (State::Stopped, Vec::new()),
            Err(RootError::Missing { .. }) => orphaned(&processes()),
            _ if is_orphan => orphaned(&processes()),
            Ok(Standing::Damaged(error)) | Err(error) => {
                let runs = (!carriers.is_empty()).then(|| format!("it runs: {}", processes()));
                (State::Damaged, [error.to_string()].into_iter().chain(runs).collect())
            }
        };
        let known = match standing {
            Ok(Standing::Whole(known)) => Some(known),
            _ => None,
        };
        Self { state, problems, ids, known, boot }
    }

    /// The cluster's ID; empty where it has none, or that can't be read.
    pub(super) fn id(&self) -> String {
        self.known.as_ref().and_then(|known| known.id.as_ref()).map(ToString::to_string).unwrap_or_default()
    }

    /// The API server's URL on this host; empty before the first boot.
    pub(super) fn api(&self) -> String {
        self.boot.as_ref().map(|boot| api_url(boot.api_port)).unwrap_or_default()
    }
}

fn orphaned(processes: &str) -> (State, Vec<String>) {
    (State::Orphaned, vec![format!("its root directory was removed while it ran: {processes}")])
}

/// Of a cluster whose directory can be worked with. `damage` is why its state in force can't be read.
fn of_whole(
    root: &Root,
    carriers: &[Carrier],
    ids: Option<SandboxIds>,
    damage: Option<RootError>,
) -> (State, Vec<String>) {
    let mut problems: Vec<String> = carriers
        .iter()
        .filter(|carrier| carrier.is_orphan)
        .map(|carrier| format!("{carrier} is of an earlier life, whose root directory was removed"))
        .collect();
    // What runs has the state in memory, and writes it again when it ends; `up` of a stopped one says what it does without.
    problems.extend(damage.map(|error| error.to_string()));
    let stopped: Vec<&Carrier> = carriers.iter().filter(|carrier| !carrier.is_orphan && carrier.is_stopped()).collect();
    problems.extend(stopped.iter().map(|one| format!("{one}: `kill -CONT {}` lets it go on", one.pid)));
    let has_socket = root.control_socket().exists();
    let is_late = || ids.and_then(|ids| ids.init.age()).is_some_and(|age| age > SOCKET_BY);
    let state = match (lock::is_taken(root), Ending::read(root), ids) {
        (false, ..) => State::Stopped,
        (true, Some(_), _) => State::Stopping,
        (true, None, Some(_)) if has_socket => State::Broken,
        (true, None, Some(_)) if is_late() => {
            problems.push(format!("`{}` is gone, by which commands reach it", root.control_socket().display()));
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
    fn what_is_wrong_is_told_from_what_is_not() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        let look = |carriers: &[Carrier]| {
            let found = Condition::look(&root, carriers);
            (found.state, found.problems.join("; "))
        };
        assert_eq!(look(&[]), (State::Stopped, String::new()));
        let (state, problem) = look(&[carrier(&root, true)]);
        assert!(state == State::Orphaned && problem.contains("was removed while it ran: init process"), "{problem}");

        root.create().unwrap();
        assert_eq!(look(&[]), (State::Stopped, String::new()));
        let (state, problem) = look(&[carrier(&root, true)]);
        assert!(state == State::Stopped && problem.contains("of an earlier life"), "{problem}");
        let _lock = lock::take(&root).unwrap().unwrap();
        assert_eq!(look(&[carrier(&root, false)]), (State::Starting, String::new()));

        fs::write(root.path().join("state.json"), "").unwrap();
        let (state, problem) = look(&[]);
        assert!(state == State::Damaged && problem.contains("state.json` can't be understood"), "{problem}");
        let (state, problem) = look(&[carrier(&root, false)]);
        assert!(state == State::Damaged && problem.contains("; it runs: init process"), "{problem}");

        // What runs makes its directories again.
        fs::remove_file(root.path().join("state.json")).unwrap();
        fs::create_dir(root.path().join("nodes")).unwrap();
        assert_eq!(look(&[carrier(&root, true)]).0, State::Orphaned);
    }
}
