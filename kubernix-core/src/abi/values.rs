//! Types that cross the boundary by value. Their layout is frozen: adding or removing a field
//! requires a new major version of the contract. Types that may grow have `options`, pairs of a
//! name and a text, see `options.rs`.

use crate::types::open_set;
use crate::{ErrorKind, Limit, ProbeKind, Restart, Signal, Wait};
use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RResult, RString, RVec, Tuple2};

/// The result of a call across the boundary.
pub type AbiResult<T> = RResult<T, AbiError>;

/// Names, each with a text.
pub type AbiPairs = RVec<Tuple2<RString, RString>>;

/// An [`Error`], flattened: frame 0 is the outermost message.
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiError {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// The messages.
    pub frames: RVec<RString>,
}

/// A [`crate::Requirement`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiRequirement {
    /// The role.
    pub role: RString,
    /// The condition to wait for.
    pub wait: Wait,
}

/// A [`crate::Parameter`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiParameter {
    /// The name.
    pub name: RString,
    /// Its help.
    pub help: RString,
    /// The default value.
    pub default: RString,
    /// The kind of its values.
    pub kind: ParameterKindNumber,
    /// The words of a choice.
    pub words: RVec<RString>,
    /// The lowest number.
    pub min: i64,
    /// The highest number.
    pub max: i64,
    /// Options of later minor versions.
    pub options: AbiPairs,
}

open_set! {
    /// A [`ParameterKind`], by number.
    ParameterKindNumber {
        /// Any text.
        TEXT = 0, "text";
        /// One of `words`.
        CHOICE = 1, "choice";
        /// From `min` to `max`.
        NUMBER = 2, "number";
        /// True or false.
        FLAG = 3, "flag";
        /// An absolute path.
        PATH = 4, "path";
        /// Words of a shell.
        WORDS = 5, "words";
    }
}

/// A [`Binary`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiBinary {
    /// The source of the name.
    pub kind: BinaryKind,
    /// The name.
    pub name: RString,
}

open_set! {
    /// The source of a [`Binary`]'s name.
    BinaryKind {
        /// The toolchain.
        TOOL = 0, "tool";
        /// The value of a parameter.
        FROM_PARAMETER = 1, "from-parameter";
    }
}

/// A [`crate::Finding`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiFinding {
    /// The boot can't succeed.
    pub fatal: bool,
    /// The problem, and how to solve it.
    pub message: RString,
}

/// A [`crate::Node`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Default)]
pub struct AbiNode {
    /// The Kubernetes node's name.
    pub name: RString,
    /// 0 for the first.
    pub index: u32,
    /// Its address.
    pub ip: RString,
    /// The range of its pods.
    pub pod_cidr: RString,
}

/// A [`crate::Identity`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiIdentity {
    /// Path of the certificate.
    pub cert: RString,
    /// Path of the key.
    pub key: RString,
    /// Path of the CA.
    pub ca: RString,
}

/// A [`Probe`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiProbe {
    /// The kind of check.
    pub kind: ProbeKind,
    /// The target of the check.
    pub target: RString,
    /// The identity whose client certificate is used.
    pub identity: RString,
    /// A command's arguments.
    pub arguments: RVec<RString>,
    /// A command's environment.
    pub env: AbiPairs,
    /// Options of later minor versions.
    pub options: AbiPairs,
}

/// A [`Liveness`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiLiveness {
    /// The check.
    pub probe: AbiProbe,
    /// Milliseconds between two checks.
    pub interval_ms: u64,
    /// Failed checks in a row that stop the process.
    pub failures: u32,
}

/// A [`Process`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiProcess {
    /// Its name.
    pub name: RString,
    /// Its program.
    pub program: RString,
    /// Its arguments.
    pub args: RVec<RString>,
    /// Its environment.
    pub env: AbiPairs,
    /// Its working directory; empty for the host's.
    pub directory: RString,
    /// Its user and group; empty for root.
    pub user: RString,
    /// Its limits.
    pub limits: RVec<Tuple2<Limit, u64>>,
    /// It runs once.
    pub one_shot: bool,
    /// What to do when it ends.
    pub restart: Restart,
    /// The signal that asks it to end.
    pub stop_signal: Signal,
    /// Milliseconds before SIGKILL.
    pub stop_grace_ms: u64,
    /// The check that restarts it.
    pub liveness: ROption<AbiLiveness>,
    /// Options of later minor versions.
    pub options: AbiPairs,
}

/// A [`Command`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiCommand {
    /// Its program.
    pub program: RString,
    /// Its arguments.
    pub args: RVec<RString>,
    /// Its environment.
    pub env: AbiPairs,
}

/// A [`crate::Output`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiOutput {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: RString,
    /// Standard error.
    pub stderr: RString,
}
