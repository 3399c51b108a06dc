//! The context for components under test. It records their calls, also answers calls about
//! undeclared names, and can fail a call.

use super::fault::CallFault;
use crate::FakeContext;
use crate::scoped::Scoped;
use kubernix_core::Binary;
use kubernix_core::abi::{AbiBinary, AbiCommand, AbiContext, AbiIdentity, AbiNode, AbiOutput, AbiResult, Description};
use kubernix_core::abi_stable::std_types::{ROption, RResult, RStr, RString};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How long threads wait for each other to be inside a component at once.
const RENDEZVOUS_TIMEOUT: Duration = Duration::from_secs(1);

/// A barrier with a timeout, at which threads meet inside a component.
pub(super) struct Rendezvous {
    /// How many are missing.
    missing: Mutex<usize>,
    all: Condvar,
}

impl Rendezvous {
    pub(super) fn of(threads: usize) -> Arc<Self> {
        Arc::new(Self { missing: Mutex::new(threads), all: Condvar::new() })
    }

    fn arrive(&self) {
        let mut missing = self.missing.lock().expect("no thread panics while it holds the lock");
        *missing = missing.saturating_sub(1);
        self.all.notify_all();
        // A component may run one thread at a time: after a timeout, no thread waits any longer.
        let met = self.all.wait_timeout_while(missing, RENDEZVOUS_TIMEOUT, |missing| *missing > 0);
        *met.expect("no thread panics while it holds the lock").0 = 0;
    }
}

/// The context of one call.
pub(super) struct KitContext {
    fake: FakeContext,
    description: Description,
    pub(super) fault: Arc<CallFault>,
    rendezvous: Option<Arc<Rendezvous>>,
    met: AtomicBool,
    asked: Mutex<BTreeSet<String>>,
    undeclared: Mutex<BTreeSet<String>>,
}

impl KitContext {
    pub(super) fn new(fake: FakeContext, description: &Description) -> Self {
        Self {
            fake,
            description: description.clone(),
            fault: Arc::default(),
            rendezvous: None,
            met: AtomicBool::new(false),
            asked: Mutex::default(),
            undeclared: Mutex::default(),
        }
    }

    /// Fails the call of this number.
    pub(super) fn refusing(mut self, call: usize) -> Self {
        self.fault = Arc::new(CallFault::refusing(call));
        self
    }

    /// Makes the first call wait for other threads.
    pub(super) fn rendezvous(mut self, rendezvous: Arc<Rendezvous>) -> Self {
        self.rendezvous = Some(rendezvous);
        self
    }

    /// The commands that were run.
    pub(super) fn commands(&self) -> Vec<kubernix_core::Command> {
        self.fake.commands()
    }

    /// The binaries that the component looked up.
    pub(super) fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().expect("no thread panics while it holds the lock").clone()
    }

    /// The undeclared names that the component looked up.
    pub(super) fn undeclared(&self) -> BTreeSet<String> {
        self.undeclared.lock().expect("no thread panics while it holds the lock").clone()
    }

    fn scoped(&self) -> Scoped<'_> {
        Scoped::new(self.description.clone(), &self.fake)
    }

    /// A call that returns nothing if it is to fail.
    fn optional(&self, what: &str, answer: impl FnOnce(Scoped<'_>) -> ROption<RString>) -> ROption<RString> {
        self.meet();
        match self.fault.check(what, false) {
            Ok(()) => answer(self.scoped()),
            Err(_) => ROption::RNone,
        }
    }

    /// A call that returns an error if it is to fail.
    fn fallible<T>(&self, what: &str, name: &str, answer: impl FnOnce(Scoped<'_>) -> AbiResult<T>) -> AbiResult<T> {
        self.meet();
        match self.fault.check(&format!("{what} `{name}`"), true) {
            Ok(()) => answer(self.scoped()),
            Err(refused) => RResult::RErr(refused.into()),
        }
    }

    /// Like [`KitContext::fallible`], with a fallback for an undeclared name.
    fn declared(
        &self,
        what: &str,
        name: &str,
        has: bool,
        fallback: String,
        f: impl FnOnce(Scoped<'_>) -> AbiResult<RString>,
    ) -> AbiResult<RString> {
        self.fallible(what, name, |scoped| {
            if has {
                return f(scoped);
            }
            let mut undeclared = self.undeclared.lock().expect("no thread panics while it holds the lock");
            undeclared.insert(format!("{what} `{name}`"));
            RResult::ROk(fallback.into())
        })
    }

    fn declares(&self, binary: &AbiBinary) -> bool {
        Binary::try_from(binary.clone()).is_ok_and(|binary| self.description.binaries.contains(&binary))
    }

    fn meet(&self) {
        if let Some(rendezvous) = self.rendezvous.as_ref().filter(|_| !self.met.swap(true, Ordering::Relaxed)) {
            rendezvous.arrive();
        }
    }
}

impl AbiContext for KitContext {
    fn cluster(&self) -> AbiResult<RString> {
        self.fallible("value", "cluster", |scoped| scoped.cluster())
    }

    fn node(&self) -> AbiResult<AbiNode> {
        self.fallible("value", "node", |scoped| scoped.node())
    }

    fn address(&self, name: RStr<'_>) -> AbiResult<RString> {
        self.fallible("address", name.as_str(), |scoped| scoped.address(name))
    }

    fn directory(&self, name: RStr<'_>) -> AbiResult<RString> {
        self.fallible("directory", name.as_str(), |scoped| scoped.directory(name))
    }

    fn identity(&self, user: RStr<'_>) -> AbiResult<AbiIdentity> {
        self.fallible("identity", user.as_str(), |scoped| scoped.identity(user))
    }

    fn kubeconfig(&self, user: RStr<'_>) -> AbiResult<RString> {
        self.fallible("kubeconfig", user.as_str(), |scoped| scoped.kubeconfig(user))
    }

    fn host_file(&self, name: RStr<'_>) -> AbiResult<RString> {
        self.fallible("host file", name.as_str(), |scoped| scoped.host_file(name))
    }

    fn executable(&self, binary: AbiBinary) -> AbiResult<RString> {
        let path = format!("{}/{}", self.fake.binaries, binary.name);
        let has = self.declares(&binary);
        let name = binary.name.to_string();
        let answer = match name.as_str() {
            // A host always provides its own binary.
            "kubernix" => self.fallible("executable", "kubernix", |_| RResult::ROk(path.into())),
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
        let has = self.description.requires.iter().any(|required| required.role.as_str() == role.as_str());
        let somewhere = format!("http://{}:8080", self.fake.node.ip);
        self.declared("endpoint", role.as_str(), has, somewhere, |scoped| scoped.endpoint(role))
    }

    fn filled_by(&self, role: RStr<'_>) -> ROption<RString> {
        self.optional("filled_by", |scoped| scoped.filled_by(role))
    }

    fn parameter(&self, name: RStr<'_>) -> AbiResult<RString> {
        let has = self.description.parameters.iter().any(|parameter| parameter.name == name.as_str());
        self.declared("parameter", name.as_str(), has, String::new(), |scoped| scoped.parameter(name))
    }

    fn fact(&self, name: RStr<'_>) -> ROption<RString> {
        self.optional("fact", |scoped| scoped.fact(name))
    }

    fn run(&self, command: AbiCommand) -> AbiResult<AbiOutput> {
        let program = command.program.to_string();
        self.fallible("command", &program, |scoped| scoped.run(command))
    }
}
