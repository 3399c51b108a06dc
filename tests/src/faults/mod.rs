//! What the fault suite decides without a cluster: the plan of a seed, the shortest list of faults
//! that still fails, damage to files, rules of the preloaded library, and the report. It must not
//! start anything, so that unit tests reach all of it.

pub mod damage;
pub mod plan;
pub mod report;
pub mod rules;
mod shrink;

pub use shrink::shrink;
