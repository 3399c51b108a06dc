//! The contract between KuberNix and the components of a cluster.
//!
//! A [`Component`] is one part of a cluster: etcd, the API server, a CRI runtime. Given a
//! [`Context`] it returns a [`Plan`] (files, processes, probes, endpoints) and never starts
//! anything itself: it is a pure function of its context. The host orders components by the
//! [`Requirement`]s they name and runs their plans.
//!
//! Component authors use the plain Rust types of this crate. Everything that crosses the boundary
//! between a host and a component is in [`abi`] and uses `abi_stable` types. So the same component
//! value works compiled in ([`abi::component`]) and loaded from a shared library.
//!
//! This crate consists of data and traits. It must not know files, processes, the network,
//! certificates, or any component by name.
//!
//! # Example
//! ```
//! use kubernix_core::{Component, Context, Phase, Planner, Probe, Process, Requirement, Result, Role, roles};
//!
//! struct Etcd;
//!
//! impl Component for Etcd {
//!     fn name(&self) -> &str { "etcd" }
//!     fn phase(&self) -> Phase { Phase::INFRASTRUCTURE }
//!     fn provides(&self) -> Vec<Role> { vec![Role::new(roles::DATASTORE)] }
//!     fn requires(&self) -> Vec<Requirement> { vec![Requirement::ready(roles::SANDBOX)] }
//!     fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
//!         let url = format!("http://{}:2379", ctx.control_plane_ip()?);
//!         plan.process(Process::new("etcd", ctx.executable("etcd")?).arg(format!("--data-dir={}/data", ctx.dir()?)))?;
//!         plan.provide(roles::DATASTORE, &url, Probe::http(format!("{url}/readyz")))
//!     }
//! }
//! ```

// abi_stable_derive 0.11.3 expands to impls inside constants.
#![allow(non_local_definitions)]

pub mod abi;
mod component;
mod context;
mod endpoint;
mod error;
mod parameter;
mod plan;
mod planner;
mod probe;
mod process;
mod text;
mod types;

pub use abi_stable;
pub use component::{Component, Finding};
pub use context::{Context, Identity, Node, Output};
pub use endpoint::{MAX_SOCKET_PATH, UnixSocket};
pub use error::{Error, ErrorKind, Result};
pub use parameter::{Binary, Parameter, ParameterKind};
pub use plan::{Directory, Endpoint, File, ImageBuild, Manifest, Plan};
pub use planner::Planner;
pub use probe::{Probe, ProbeKind};
pub use process::{Command, Limit, Liveness, Process, Restart, Signal, UNLIMITED};
pub use text::{is_name, quote, shell_quote};
pub use types::{Phase, Requirement, Role, Scope, Wait, facts, roles};

/// The version of this contract, `MAJOR.MINOR.PATCH`. A plugin records the version that it was
/// built for.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
