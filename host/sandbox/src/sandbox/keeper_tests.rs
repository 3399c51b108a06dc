//! Tests the keeper with a fake host that only records calls: no root, no namespaces, no cgroups.

use super::*;
use crate::cluster_dir::STATE_FILE;
use std::cell::RefCell;
use std::fs::{self, File};

const ID: &str = "0123456789abcdef";

/// Records the calls, and fails at one of the steps.
#[derive(Default)]
struct RecordingHost {
    calls: RefCell<Vec<&'static str>>,
    fails_at: Option<&'static str>,
    /// The number of descriptors passed to the init.
    fds: RefCell<usize>,
}

impl RecordingHost {
    fn record(&self, step: &'static str) -> io::Result<()> {
        self.calls.borrow_mut().push(step);
        if self.fails_at == Some(step) { Err(io::Error::other(format!("no {step}"))) } else { Ok(()) }
    }
}

impl Privileged for RecordingHost {
    fn create_cgroups(&self, id: &str) -> io::Result<()> {
        assert_eq!(id, ID);
        self.record("cgroups")
    }

    fn host_handles(&self) -> io::Result<[OwnedFd; 2]> {
        self.record("handles")?;
        Ok([File::open("/")?.into(), File::open("/")?.into()])
    }

    fn start_init(&self, _cluster: [&OsStr; 2], fds: &[BorrowedFd<'_>]) -> io::Result<Pid> {
        self.record("init")?;
        *self.fds.borrow_mut() = fds.len();
        Ok(Pid::this())
    }

    fn clean_up(&self, _root: &ClusterDir, id: &str) {
        assert_eq!(id, ID);
        self.calls.borrow_mut().push("clean up");
    }
}

/// Runs a keeper whose init exits like this. Returns the result, the reported errors, and the
/// recorded ending.
fn supervised(host: &RecordingHost, end: Option<InitExit>) -> (io::Result<()>, Vec<String>, Option<Ending>) {
    let base = tempfile::tempdir().unwrap();
    let root = ClusterDir::at(base.path().join("one"));
    fs::create_dir_all(root.run()).unwrap();
    fs::write(root.path().join(STATE_FILE), "").unwrap();
    let (_near, channel) = UnixStream::pair().unwrap();
    let lock = File::open(root.path()).unwrap().into();
    let listeners = vec![TcpListener::bind("127.0.0.1:0").unwrap().into()];
    let cluster = [base.path().as_os_str(), OsStr::new(ID)];
    let reported = RefCell::new(Vec::new());
    let parts = ClusterParts { root: &root, cluster, id: ID, lock, channel, listeners };
    let wait = |init: Pid, _life| {
        assert_eq!(SandboxIds::read(&root).map(|ids| ids.init.pid), Some(init.as_raw()), "the IDs are written");
        end.ok_or_else(|| io::Error::other("no end"))
    };
    let result = supervise(host, parts, wait, |_, error| reported.borrow_mut().push(error));
    assert_eq!(SandboxIds::read(&root), None, "the IDs are removed");
    (result, reported.into_inner(), Ending::read(&root))
}

#[test]
fn a_graceful_exit_of_the_init_is_cleaned_up_and_not_reported() {
    let host = RecordingHost::default();
    let (result, reported, ending) = supervised(&host, Some(InitExit { exit: Exit::Code(0), was_ordered: false }));
    assert!(result.is_ok() && reported.is_empty(), "{reported:?}");
    assert_eq!(*host.calls.borrow(), ["cgroups", "handles", "init", "clean up"]);
    assert_eq!(*host.fds.borrow(), 6, "connection, channel, lock, two handles of the host, a listener");
    assert_eq!(ending, Some(Ending::Stop));
}

#[test]
fn a_failed_init_is_reported_unless_its_exit_was_ordered() {
    let host = RecordingHost::default();
    let (result, reported, _) = supervised(&host, Some(InitExit { exit: Exit::Code(3), was_ordered: false }));
    assert!(result.is_ok() && reported[0].contains("ended unexpectedly"), "{reported:?}");
    let (_, reported, _) = supervised(&host, Some(InitExit { exit: Exit::Code(3), was_ordered: true }));
    assert!(reported.is_empty(), "{reported:?}");
}

#[test]
fn a_failed_step_is_reported_and_cleaned_up() {
    for (step, calls) in [
        ("cgroups", &["cgroups", "clean up"][..]),
        ("handles", &["cgroups", "handles", "clean up"]),
        ("init", &["cgroups", "handles", "init", "clean up"]),
    ] {
        let host = RecordingHost { fails_at: Some(step), ..RecordingHost::default() };
        let (result, reported, _) = supervised(&host, None);
        assert_eq!(result.unwrap_err().to_string(), format!("no {step}"));
        assert_eq!(reported, [format!("the sandbox can't be created: no {step}")]);
        assert_eq!(*host.calls.borrow(), calls);
    }
}
