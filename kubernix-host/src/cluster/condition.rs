//! What is wrong with a cluster, as far as that shows from outside without asking it.

use super::State;
use crate::root::{ClusterFile, Error as RootError, Root, Standing};
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
}

impl Condition {
    /// That of the cluster of a root directory with these processes.
    pub(super) fn look(root: &Root, carriers: &[Carrier], ids: Option<SandboxIds>) -> Self {
        let processes = || carriers.iter().map(Carrier::to_string).collect::<Vec<_>>().join(", ");
        let is_orphan = carriers.iter().any(|carrier| carrier.is_orphan);
        match root.standing(!carriers.is_empty()) {
            Ok(Standing::Whole(_)) => Self::of_whole(root, carriers, ids),
            Err(RootError::Missing { .. }) if carriers.is_empty() => {
                Self { state: State::Stopped, problems: Vec::new() }
            }
            Err(RootError::Missing { .. }) => Self::orphaned(&processes()),
            _ if is_orphan => Self::orphaned(&processes()),
            Ok(Standing::Damaged(error)) | Err(error) => {
                let runs = (!carriers.is_empty()).then(|| format!("it runs: {}", processes()));
                let problems = [error.to_string()].into_iter().chain(runs).collect();
                Self { state: State::Damaged, problems }
            }
        }
    }

    fn orphaned(processes: &str) -> Self {
        let problem = format!("its root directory was removed while it ran: {processes}");
        Self { state: State::Orphaned, problems: vec![problem] }
    }

    fn of_whole(root: &Root, carriers: &[Carrier], ids: Option<SandboxIds>) -> Self {
        let mut problems: Vec<String> = carriers
            .iter()
            .filter(|carrier| carrier.is_orphan)
            .map(|carrier| format!("{carrier} is of an earlier life, whose root directory was removed"))
            .collect();
        // What runs has the state in memory, and writes it again when it ends; `up` of a stopped one says what it does without.
        problems.extend(ClusterFile::read(root).err().map(|error| error.to_string()));
        let stopped: Vec<&Carrier> =
            carriers.iter().filter(|carrier| !carrier.is_orphan && carrier.is_stopped()).collect();
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
        Self { state, problems }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::carriers::Part;
    use std::fs;

    fn carrier(root: &Root, is_orphan: bool) -> Carrier {
        Carrier { part: Part::Init, pid: i32::MAX, root: root.path().to_owned(), is_orphan }
    }

    #[test]
    fn what_is_wrong_is_told_from_what_is_not() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        let look = |carriers: &[Carrier]| {
            let found = Condition::look(&root, carriers, None);
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
