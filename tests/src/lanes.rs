//! Which end-to-end tests run at the same time.
//!
//! Clusters share the host's inotify instances: a test is admitted when there is room for the
//! clusters that it boots.

use crate::parts::Parts;
use crate::trials::Test;
use std::collections::VecDeque;
use std::fs;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// inotify instances of a member of the control plane.
const PER_MEMBER: usize = 18;
/// inotify instances of a node: of its kubelet, runtime and proxy.
const PER_NODE: usize = 10;
/// The maximum number of parallel tests: with more of them, a test would exceed its time limits.
const MOST_SLOTS: usize = 6;

/// Which tests may run at the same time as a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// It only reads the fixture: a cluster that all tests of the same parts share.
    Fixture,
    /// It boots its own clusters, in parallel with other tests.
    Shared {
        /// inotify instances of these clusters.
        instances: usize,
    },
    /// As `Shared`, in its own network and mount namespaces in place of the host's: it compares
    /// these before and after, or needs ports that no other test uses.
    Isolated {
        /// inotify instances of these clusters.
        instances: usize,
    },
    /// It compares the whole host before and after: no other test runs at the same time.
    Exclusive,
}

impl Lane {
    /// [`Lane::Shared`]. Its clusters have at most so many control-plane members and nodes in
    /// total.
    pub const fn shared(members: usize, nodes: usize) -> Self {
        Self::Shared { instances: members * PER_MEMBER + nodes * PER_NODE }
    }

    /// [`Lane::Isolated`], likewise.
    pub const fn isolated(members: usize, nodes: usize) -> Self {
        Self::Isolated { instances: members * PER_MEMBER + nodes * PER_NODE }
    }
}

/// inotify instances of a cluster with one node.
const SMALL: usize = PER_MEMBER + PER_NODE;

/// [`Lane::Fixture`].
pub const FIXTURE: Lane = Lane::Fixture;
/// [`Lane::Shared`] of one small cluster.
pub const SHARED: Lane = Lane::shared(1, 1);
/// [`Lane::Isolated`] of one small cluster.
pub const ISOLATED: Lane = Lane::isolated(1, 1);
/// [`Lane::Exclusive`].
pub const EXCLUSIVE: Lane = Lane::Exclusive;

/// Admits tests.
pub struct Lanes {
    /// inotify instances that tests may use.
    room: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Number of running tests.
    running: usize,
    /// Whether the running test is exclusive.
    exclusive: bool,
    /// inotify instances of the running tests and the fixtures.
    instances: usize,
    /// Running fixtures.
    fixtures: Vec<Parts>,
    /// The fixture of each test that hasn't finished reading it.
    readers: Vec<Parts>,
    /// Waiting tests, in the order in which they came.
    waiting: VecDeque<usize>,
    next: usize,
}

impl Lanes {
    /// The lanes of these tests, on this machine.
    pub fn new(tests: &[&Test]) -> Self {
        Self::with_room(tests, free_instances())
    }

    fn with_room(tests: &[&Test], room: usize) -> Self {
        let readers = tests.iter().filter(|test| test.lane == Lane::Fixture).map(|test| test.parts).collect();
        let state = Mutex::new(State { readers, ..State::default() });
        Self { room: room.max(SMALL), state, changed: Condvar::new() }
    }

    /// The number of parallel tests on this machine: one more than there are cores, because tests
    /// mostly wait.
    pub fn slots(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (cores + 1).min(MOST_SLOTS).min(self.room / SMALL)
    }

    /// inotify instances that tests may use.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Waits until a test may run. Waiting tests are admitted in the order in which they came.
    /// Tests that read a running fixture come first, because an exclusive test waits for them.
    pub fn enter(&self, test: &Test) -> Pass<'_> {
        let mut state = self.lock();
        let ticket = state.next;
        state.next += 1;
        state.waiting.push_back(ticket);
        while !self.admits(&state, test, ticket) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.retain(|waiting| *waiting != ticket);
        state.instances += self.needed(&state, test);
        state.running += 1;
        state.exclusive = test.lane == Lane::Exclusive;
        if test.lane == Lane::Fixture && !state.fixtures.contains(&test.parts) {
            state.fixtures.push(test.parts);
        }
        drop(state);
        // There may be room for the next test as well.
        self.changed.notify_all();
        Pass { lanes: self, lane: test.lane, parts: test.parts, ends_fixture: false }
    }

    fn admits(&self, state: &State, test: &Test, ticket: usize) -> bool {
        let reads = test.lane == Lane::Fixture && state.fixtures.contains(&test.parts);
        let is_next = reads || state.waiting.front() == Some(&ticket);
        let fits = match test.lane {
            Lane::Exclusive => state.running == 0 && state.fixtures.is_empty(),
            _ => !state.exclusive && state.instances + self.needed(state, test) <= self.room,
        };
        is_next && fits
    }

    /// The number of inotify instances that a test adds.
    fn needed(&self, state: &State, test: &Test) -> usize {
        match test.lane {
            Lane::Exclusive => 0,
            Lane::Fixture if state.fixtures.contains(&test.parts) => 0,
            Lane::Fixture => SMALL,
            Lane::Shared { instances } | Lane::Isolated { instances } => instances.min(self.room),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The admission of a test, given back on drop.
pub struct Pass<'a> {
    lanes: &'a Lanes,
    lane: Lane,
    parts: Parts,
    ends_fixture: bool,
}

impl Pass<'_> {
    /// Records that the test is done. Returns whether it was the last reader of its fixture.
    pub fn is_last_reader(&mut self) -> bool {
        if self.lane == Lane::Fixture {
            let mut state = self.lanes.lock();
            if let Some(at) = state.readers.iter().position(|parts| *parts == self.parts) {
                state.readers.swap_remove(at);
            }
            self.ends_fixture = !state.readers.contains(&self.parts);
        }
        self.ends_fixture
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.lanes.lock();
        state.running -= 1;
        state.exclusive = false;
        if let Lane::Shared { instances } | Lane::Isolated { instances } = self.lane {
            state.instances -= instances.min(self.lanes.room);
        }
        if self.ends_fixture {
            state.fixtures.retain(|parts| *parts != self.parts);
            state.instances -= SMALL;
        }
        drop(state);
        self.lanes.changed.notify_all();
    }
}

/// The number of inotify instances that this user may still create, see inotify(7).
fn free_instances() -> usize {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").unwrap_or_default();
    let limit: usize = limit.trim().parse().unwrap_or(128);
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let files = processes.flat_map(|process| fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten());
    let used = files.filter(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == "anon_inode:inotify"));
    limit.saturating_sub(used.count())
}

/// The number of single-node clusters that the host has inotify instances for.
pub fn room_for_clusters() -> usize {
    free_instances() / SMALL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::{each, once};
    use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
    use std::time::Duration;

    fn nothing(_: Parts) {}

    fn test(lane: Lane) -> Test {
        once(lane, &[("e2e::test", nothing)]).remove(0)
    }

    /// Enters on a new thread; sends the admission when there is one.
    fn enter<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        lanes: &'scope Lanes,
        test: Test,
    ) -> Receiver<Pass<'scope>> {
        let (admitted, receiver): (Sender<Pass<'scope>>, _) = mpsc::channel();
        let before = lanes.lock().next;
        scope.spawn(move || admitted.send(lanes.enter(&test)));
        while lanes.lock().next == before {
            std::thread::yield_now();
        }
        receiver
    }

    fn admitted<'a>(receiver: &Receiver<Pass<'a>>) -> Pass<'a> {
        receiver.recv_timeout(Duration::from_secs(10)).expect("it is admitted")
    }

    fn is_waiting(receiver: &Receiver<Pass<'_>>) -> bool {
        std::thread::sleep(Duration::from_millis(20));
        matches!(receiver.try_recv(), Err(TryRecvError::Empty))
    }

    #[test]
    fn shared_tests_run_together_as_far_as_there_is_room() {
        let lanes = Lanes::with_room(&[], 3 * SMALL);
        std::thread::scope(|scope| {
            let (one, two) = (lanes.enter(&test(SHARED)), lanes.enter(&test(ISOLATED)));
            let large = enter(scope, &lanes, test(Lane::shared(9, 9)));
            let small = enter(scope, &lanes, test(SHARED));
            assert!(is_waiting(&large) && is_waiting(&small), "a large test isn't overtaken");
            drop((one, two));
            drop(admitted(&large));
            drop(admitted(&small));
        });
    }

    #[test]
    fn an_exclusive_test_runs_alone() {
        let lanes = Lanes::with_room(&[], 3 * SMALL);
        std::thread::scope(|scope| {
            let one = lanes.enter(&test(SHARED));
            let exclusive = enter(scope, &lanes, test(EXCLUSIVE));
            let other = enter(scope, &lanes, test(SHARED));
            assert!(is_waiting(&exclusive) && is_waiting(&other));
            drop(one);
            let exclusive = admitted(&exclusive);
            assert!(is_waiting(&other));
            drop(exclusive);
            drop(admitted(&other));
        });
    }

    #[test]
    fn a_fixture_is_removed_after_its_last_reader_and_before_an_exclusive_test() {
        let readers = each(FIXTURE, &[Parts::default()], &[("e2e::one", nothing), ("e2e::two", nothing)]);
        let lanes = Lanes::with_room(&readers.iter().collect::<Vec<_>>(), SMALL);
        std::thread::scope(|scope| {
            let mut one = lanes.enter(&readers[0]);
            assert!(!one.is_last_reader());
            drop(one);
            // The fixture holds the only room.
            let exclusive = enter(scope, &lanes, test(EXCLUSIVE));
            let shared = enter(scope, &lanes, test(SHARED));
            assert!(is_waiting(&exclusive) && is_waiting(&shared));
            let mut two = lanes.enter(&readers[1]);
            assert!(two.is_last_reader());
            drop(two);
            drop(admitted(&exclusive));
            drop(admitted(&shared));
        });
    }
}
