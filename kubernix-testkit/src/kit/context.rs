//! The context that components under test get: it notes what they ask for, answers also what they
//! didn't declare, and can refuse a call.

use super::turn::Turn;
use crate::FakeContext;
use crate::scoped::Scoped;
use kubernix_core::Binary;
use kubernix_core::abi::{AbiBinary, AbiCommand, AbiContext, AbiIdentity, AbiNode, AbiOutput, AbiResult, Description};
use kubernix_core::abi_stable::std_types::{ROption, RResult, RStr, RString};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How long threads wait for each other to be inside of a component at once.
const MEETING: Duration = Duration::from_secs(1);

/// Where threads meet inside of a component.
pub(super) struct Meeting {
    /// How many are missing.
    missing: Mutex<usize>,
    all: Condvar,
}

impl Meeting {
    pub(super) fn of(threads: usize) -> Arc<Self> {
        Arc::new(Self { missing: Mutex::new(threads), all: Condvar::new() })
    }

    fn arrive(&self) {
        let mut missing = self.missing.lock().expect("no thread panics while it holds the lock");
        *missing = missing.saturating_sub(1);
        self.all.notify_all();
        // A component may allow one call at a time: a call that timed out then holds no lock.
        let met = self.all.wait_timeout_while(missing, MEETING, |missing| *missing > 0);
        *met.expect("no thread panics while it holds the lock").0 = 0;
    }
}

/// The context of one call.
pub(super) struct KitContext {
    fake: FakeContext,
    said: Description,
    pub(super) turn: Arc<Turn>,
    meeting: Option<Arc<Meeting>>,
    met: AtomicBool,
    asked: Mutex<BTreeSet<String>>,
    undeclared: Mutex<BTreeSet<String>>,
}

impl KitContext {
    pub(super) fn new(fake: FakeContext, said: &Description) -> Self {
        Self {
            fake,
            said: said.clone(),
            turn: Arc::default(),
            meeting: None,
            met: AtomicBool::new(false),
            asked: Mutex::default(),
            undeclared: Mutex::default(),
        }
    }

    /// Refuses the call of this number.
    pub(super) fn refusing(mut self, call: usize) -> Self {
        self.turn = Arc::new(Turn::refusing(call));
        self
    }

    /// Has the first call wait for others.
    pub(super) fn meeting(mut self, meeting: Arc<Meeting>) -> Self {
        self.meeting = Some(meeting);
        self
    }

    /// The commands that were run.
    pub(super) fn commands(&self) -> Vec<kubernix_core::Command> {
        self.fake.commands()
    }

    /// The binaries that were asked for.
    pub(super) fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().expect("no thread panics while it holds the lock").clone()
    }

    /// What was asked for and not declared.
    pub(super) fn undeclared(&self) -> BTreeSet<String> {
        self.undeclared.lock().expect("no thread panics while it holds the lock").clone()
    }

    fn scoped(&self) -> Scoped<'_> {
        Scoped::new(self.said.clone(), &self.fake)
    }

    /// A call that gets nothing where it is refused.
    fn maybe(&self, what: &str, answer: impl FnOnce(Scoped<'_>) -> ROption<RString>) -> ROption<RString> {
        self.meet();
        match self.turn.ask(what, false) {
            Ok(()) => answer(self.scoped()),
            Err(_) => ROption::RNone,
        }
    }

    /// A call that gets an error where it is refused.
    fn surely<T>(&self, what: &str, name: &str, answer: impl FnOnce(Scoped<'_>) -> AbiResult<T>) -> AbiResult<T> {
        self.meet();
        match self.turn.ask(&format!("{what} `{name}`"), true) {
            Ok(()) => answer(self.scoped()),
            Err(refused) => RResult::RErr(refused.into()),
        }
    }

    /// As [`KitContext::surely`], with something to say where it wasn't declared.
    fn declared(
        &self,
        what: &str,
        name: &str,
        has: bool,
        else_: String,
        f: impl FnOnce(Scoped<'_>) -> AbiResult<RString>,
    ) -> AbiResult<RString> {
        self.surely(what, name, |scoped| {
            if has {
                return f(scoped);
            }
            let mut undeclared = self.undeclared.lock().expect("no thread panics while it holds the lock");
            undeclared.insert(format!("{what} `{name}`"));
            RResult::ROk(else_.into())
        })
    }

    fn declares(&self, binary: &AbiBinary) -> bool {
        Binary::try_from(binary.clone()).is_ok_and(|binary| self.said.binaries.contains(&binary))
    }

    fn meet(&self) {
        if let Some(meeting) = self.meeting.as_ref().filter(|_| !self.met.swap(true, Ordering::Relaxed)) {
            meeting.arrive();
        }
    }
}

impl AbiContext for KitContext {
    fn cluster(&self) -> AbiResult<RString> {
        self.surely("value", "cluster", |scoped| scoped.cluster())
    }

    fn node(&self) -> AbiResult<AbiNode> {
        self.surely("value", "node", |scoped| scoped.node())
    }

    fn address(&self, name: RStr<'_>) -> AbiResult<RString> {
        self.surely("address", name.as_str(), |scoped| scoped.address(name))
    }

    fn directory(&self, name: RStr<'_>) -> AbiResult<RString> {
        self.surely("directory", name.as_str(), |scoped| scoped.directory(name))
    }

    fn identity(&self, user: RStr<'_>) -> AbiResult<AbiIdentity> {
        self.surely("identity", user.as_str(), |scoped| scoped.identity(user))
    }

    fn kubeconfig(&self, user: RStr<'_>) -> AbiResult<RString> {
        self.surely("kubeconfig", user.as_str(), |scoped| scoped.kubeconfig(user))
    }

    fn host_file(&self, name: RStr<'_>) -> AbiResult<RString> {
        self.surely("host file", name.as_str(), |scoped| scoped.host_file(name))
    }

    fn executable(&self, binary: AbiBinary) -> AbiResult<RString> {
        let path = format!("{}/{}", self.fake.binaries, binary.name);
        let has = self.declares(&binary);
        let name = binary.name.to_string();
        let answer = match name.as_str() {
            // A host always has itself.
            "kubernix" => self.surely("executable", "kubernix", |_| RResult::ROk(path.into())),
            other => self.declared("executable", other, has, path, |scoped| scoped.executable(binary)),
        };
        if let RResult::ROk(path) = &answer {
            let program = path.rsplit('/').next().unwrap_or_default().to_owned();
            self.asked.lock().expect("no thread panics while it holds the lock").insert(program);
        }
        answer
    }

    fn version(&self, binary: AbiBinary) -> AbiResult<RString> {
        let (has, name) = (self.declares(&binary), binary.name.to_string());
        self.declared("version of", &name, has, "1.0.0".into(), |scoped| scoped.version(binary))
    }

    fn endpoint(&self, role: RStr<'_>) -> AbiResult<RString> {
        let has = self.said.requires.iter().any(|required| required.role.as_str() == role.as_str());
        let somewhere = format!("http://{}:8080", self.fake.node.ip);
        self.declared("endpoint", role.as_str(), has, somewhere, |scoped| scoped.endpoint(role))
    }

    fn filled_by(&self, role: RStr<'_>) -> ROption<RString> {
        self.maybe("filled_by", |scoped| scoped.filled_by(role))
    }

    fn parameter(&self, name: RStr<'_>) -> AbiResult<RString> {
        let has = self.said.parameters.iter().any(|parameter| parameter.name == name.as_str());
        self.declared("parameter", name.as_str(), has, String::new(), |scoped| scoped.parameter(name))
    }

    fn fact(&self, name: RStr<'_>) -> ROption<RString> {
        self.maybe("fact", |scoped| scoped.fact(name))
    }

    fn run(&self, command: AbiCommand) -> AbiResult<AbiOutput> {
        let program = command.program.to_string();
        self.surely("command", &program, |scoped| scoped.run(command))
    }
}
