//! The parts of the fault suite that need no cluster: the plan of a seed, the search for the
//! shortest list of faults that still fails, damage to files, rules of the preloaded library, and
//! the report. Must not start processes, so that unit tests cover all of it.

pub mod damage;
pub mod plan;
pub mod report;
pub mod rules;
mod shrink;

pub use shrink::shrink;
