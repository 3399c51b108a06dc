//! Tests of the rules. [`world::World`] answers a reducer's actions by script; `simulation` plays
//! random histories against a model of processes, nodes, time and the disk.

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
