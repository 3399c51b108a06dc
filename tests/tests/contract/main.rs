//! The contract between hosts and plugins over time: what was released holds, all ages work
//! together, and no file can hurt the host that loads it. Needs no root, and no clusters.

mod ages;
mod grow;
mod hostile;
#[path = "../../contract/samples/layouts.rs"]
mod layouts;
mod matrix;
mod released;
mod rogue;
mod workshop;
