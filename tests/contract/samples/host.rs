//! A sample host, built for every age of the contract, with the loader of the host itself. It loads
//! the given files in their order and prints a line for each; with `--layouts` it prints its
//! contract. Additions of grown ages are named `extra_N`, behind the feature `grownN`. It must not
//! know the ages of plugins.

use crate::layouts;
use crate::loader::{Loaded, load};
use kubernix_core::abi::{AbiBinary, AbiCommand, AbiContext, AbiIdentity, AbiNode, AbiOutput, AbiResult};
use kubernix_core::abi_stable::std_types::{RErr, RNone, ROk, ROption, RStr, RString};
use kubernix_core::{Error, Plan, Result};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

struct Host;

struct Messages(Mutex<Vec<String>>);

static MESSAGES: Messages = Messages(Mutex::new(Vec::new()));

/// Loads the plugins, or prints the layouts.
pub fn main() {
    log::set_logger(&MESSAGES).expect("the only logger");
    log::set_max_level(log::LevelFilter::Info);
    for argument in std::env::args().skip(1) {
        if argument == "--layouts" {
            print!("{}", layouts::dump());
            continue;
        }
        match load(Path::new(&argument)) {
            Ok(loaded) => println!("{}", used(&loaded).unwrap_or_else(|error| error.frames().join(": "))),
            Err(error) => println!("{error}"),
        }
    }
}

/// Calls everything that a plugin has, and returns the results as text.
fn used(loaded: &Loaded) -> Result<String> {
    let component = &loaded.handle;
    let description = component.describe()?;
    let mut plan = Plan::default();
    component.plan(&Host, &mut plan)?;
    let messages = std::mem::take(&mut *MESSAGES.0.lock().unwrap_or_else(PoisonError::into_inner));
    let process = &plan.processes[0];
    #[cfg_attr(not(feature = "grown1"), expect(unused_mut, reason = "the first age has no additions to call"))]
    let mut answers: Vec<String> = Vec::new();
    #[cfg(feature = "grown1")]
    answers.push(component.extra_1()?);
    #[cfg(feature = "grown2")]
    answers.push(component.extra_2()?);
    Ok(format!(
        "{} {} for {}, {}: {} {} takes {:?} answers {answers:?} logs {messages:?}",
        description.name,
        loaded.version,
        loaded.contract,
        description.phase,
        process.program,
        process.args.join(" "),
        plan.images
    ))
}

fn none<T>() -> AbiResult<T> {
    RErr(Error::not_found("the sample host has none").into())
}

impl AbiContext for Host {
    fn cluster(&self) -> AbiResult<RString> {
        ROk("sample".into())
    }

    fn node(&self) -> AbiResult<AbiNode> {
        ROk(AbiNode { name: "node-0".into(), ..AbiNode::default() })
    }

    fn address(&self, _: RStr<'_>) -> AbiResult<RString> {
        none()
    }

    fn directory(&self, _: RStr<'_>) -> AbiResult<RString> {
        none()
    }

    fn identity(&self, _: RStr<'_>) -> AbiResult<AbiIdentity> {
        none()
    }

    fn kubeconfig(&self, _: RStr<'_>) -> AbiResult<RString> {
        none()
    }

    fn host_file(&self, _: RStr<'_>) -> AbiResult<RString> {
        none()
    }

    fn executable(&self, binary: AbiBinary) -> AbiResult<RString> {
        ROk(format!("/bin/{}", binary.name).into())
    }

    fn version(&self, _: AbiBinary) -> AbiResult<RString> {
        none()
    }

    fn endpoint(&self, _: RStr<'_>) -> AbiResult<RString> {
        none()
    }

    fn filled_by(&self, _: RStr<'_>) -> ROption<RString> {
        RNone
    }

    fn parameter(&self, _: RStr<'_>) -> AbiResult<RString> {
        none()
    }

    fn fact(&self, _: RStr<'_>) -> ROption<RString> {
        RNone
    }

    fn run(&self, _: AbiCommand) -> AbiResult<AbiOutput> {
        none()
    }

    #[cfg(feature = "grown1")]
    fn extra_1(&self) -> RString {
        "host".into()
    }

    #[cfg(feature = "grown2")]
    fn extra_2(&self) -> RString {
        "host".into()
    }
}

impl log::Log for Messages {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = format!("{} {}: {}", record.level(), record.target(), record.args());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    fn flush(&self) {}
}
