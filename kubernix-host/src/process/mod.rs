//! process

pub mod oom_shim;
