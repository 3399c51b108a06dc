//! The boundary between a host and a component, in `abi_stable` types.
//!
//! Component authors need [`export_component!`](crate::export_component), hosts need [`Handle`].
//! The layout of values is frozen; objects grow at their end. Each module describes how.

mod adapter;
mod convert;
mod guard;
mod handle;
mod host_log;
mod host_side;
mod objects;
mod options;
mod plugin;
mod recorder;
mod values;

pub use handle::{Description, Handle, component};
pub use host_log::{HostLog, HostLogRef, LogRecord, host_log};
pub use objects::{
    AbiComponent, AbiComponent_TO, AbiContext, AbiContext_TO, AbiContextRef, AbiPlanner, AbiPlanner_TO, AbiPlannerMut,
    ComponentBox,
};
pub use plugin::{About, Plugin, PluginRef, export};
pub use values::{
    AbiBinary, AbiCommand, AbiError, AbiFinding, AbiIdentity, AbiLiveness, AbiNode, AbiOutput, AbiPairs, AbiParameter,
    AbiProbe, AbiProcess, AbiRequirement, AbiResult, BinaryKind, ParameterKindNumber,
};
