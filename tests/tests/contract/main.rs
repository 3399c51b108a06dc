//! Tests the contract between hosts and plugins over time: releases don't change, all ages work
//! together, and no file can crash the host. Needs neither root nor clusters.

mod ages;
mod grow;
mod hostile;
#[path = "../../contract/samples/layouts.rs"]
mod layouts;
mod matrix;
mod released;
mod rogue;
mod workshop;
