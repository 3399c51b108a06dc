//! Tests of the reducer. [`world::World`] executes its actions by script. `simulation` runs random
//! histories against a model of processes, nodes, time and the disk.

mod boot;
mod change;
mod liveness;
mod one_shot;
mod requests;
mod simulation;
mod spec;
mod states;
mod stop;
mod supervise;
mod world;
