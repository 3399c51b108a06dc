//! Tests the keeper with a fake host that only records calls: no root, no namespaces, no cgroups.

use super::*;
use crate::cluster_dir::STATE_FILE;
use std::cell::RefCell;
use std::fs::{self, File};

const ID: &str = "0123456789abcdef";

/// Records the calls, and fails at one of the steps.
#[derive(Default)]
struct RecordingHost {
    asked: RefCell<Vec<&'static str>>,
    fails_at: Option<&'static str>,
    /// The number of descriptors passed to the init.
    fds: RefCell<usize>,
}

impl RecordingHost {
    fn record(&self, step: &'static str) -> io::Result<()> {
        self.asked.borrow_mut().push(step);
        if self.fails_at == Some(step) { Err(io::Error::other(format!("no {step}"))) } else { Ok(()) }
    }
}

impl Privileged for RecordingHost {
    fn create_cgroups(&self, id: &str) -> io::Result<()> {
        assert_eq!(id, ID);
        self.record("cgroups")
    }

    fn host_handles(&self) -> io::Result<[OwnedFd; 2]> {
        self.record("ways")?;
        Ok([File::open("/")?.into(), File::open("/")?.into()])
    }

    fn start_init(&self, _cluster: [&OsStr; 2], fds: &[BorrowedFd<'_>]) -> io::Result<Pid> {
        self.record("init")?;
        *self.fds.borrow_mut() = fds.len();
        Ok(Pid::this())
    }

    fn clean_up(&self, _root: &ClusterDir, id: &str) {
        assert_eq!(id, ID);
        self.asked.borrow_mut().push("give back");
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
    let kept = ClusterParts { root: &root, cluster, id: ID, lock, channel, listeners };
    let wait = |init: Pid, _life| {
        assert_eq!(SandboxIds::read(&root).map(|ids| ids.init.pid), Some(init.as_raw()), "it is written down");
        end.ok_or_else(|| io::Error::other("no end"))
    };
    let result = supervise(host, kept, wait, |_, error| reported.borrow_mut().push(error));
    assert_eq!(SandboxIds::read(&root), None, "nothing says that it runs");
    (result, reported.into_inner(), Ending::read(&root))
}

#[test]
fn an_init_that_ends_in_order_is_cleaned_up_after_and_not_reported() {
    let host = RecordingHost::default();
    let (result, reported, ending) = supervised(&host, Some(InitExit { exit: Exit::Code(0), was_ordered: false }));
    assert!(result.is_ok() && reported.is_empty(), "{reported:?}");
    assert_eq!(*host.asked.borrow(), ["cgroups", "ways", "init", "give back"]);
    assert_eq!(*host.fds.borrow(), 6, "life line, channel, lock, two ways to the host, a listener");
    assert_eq!(ending, Some(Ending::Stop));
}

#[test]
fn an_init_that_dies_is_reported_unless_it_was_ordered_to() {
    let host = RecordingHost::default();
    let (result, reported, _) = supervised(&host, Some(InitExit { exit: Exit::Code(3), was_ordered: false }));
    assert!(result.is_ok() && reported[0].contains("ended unexpectedly"), "{reported:?}");
    let (_, reported, _) = supervised(&host, Some(InitExit { exit: Exit::Code(3), was_ordered: true }));
    assert!(reported.is_empty(), "{reported:?}");
}

#[test]
fn a_step_that_fails_is_reported_and_what_was_taken_is_given_back() {
    for (step, asked) in [
        ("cgroups", &["cgroups", "give back"][..]),
        ("ways", &["cgroups", "ways", "give back"]),
        ("init", &["cgroups", "ways", "init", "give back"]),
    ] {
        let host = RecordingHost { fails_at: Some(step), ..RecordingHost::default() };
        let (result, reported, _) = supervised(&host, None);
        assert_eq!(result.unwrap_err().to_string(), format!("no {step}"));
        assert_eq!(reported, [format!("the sandbox can't be made: no {step}")]);
        assert_eq!(*host.asked.borrow(), asked);
    }
}
