//! Gets every tool of the table, or those named, into a cache directory, and shows where each came
//! from and how long it took.
//!
//! `cargo run -p kubernix-host --example toolchain -- CACHE_DIR [--no-install] [--manifest=FILE...]
//! [NAME...]`

use kubernix_host::plugins::Manifest;
use kubernix_host::toolchain::{self, Options, Reporter, Request, Table, ToolState};
use std::path::Path;
use std::time::Instant;

struct Print(Instant);

impl Reporter for Print {
    fn tool(&self, name: &str, state: ToolState) {
        self.note(format!("{name}: {state:?}"));
    }

    fn note(&self, message: String) {
        println!("{:9.1} ms {message}", self.0.elapsed().as_secs_f64() * 1000.0);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let mut arguments = std::env::args().skip(1);
    let cache_dir = arguments.next().ok_or("which cache directory?")?.into();
    let (switches, mut names): (Vec<String>, Vec<String>) = arguments.partition(|argument| argument.starts_with("--"));
    let mut table = Table::embedded().clone();
    for file in switches.iter().filter_map(|switch| switch.strip_prefix("--manifest=")) {
        table.extend(&Manifest::read(Path::new(file))?.tools, Path::new(file))?;
    }
    if names.is_empty() {
        names = toolchain::known(&table).into_iter().map(|tool| tool.name).collect();
    }
    let options = Options { cache_dir, install: !switches.iter().any(|switch| switch == "--no-install") };
    let resolution = toolchain::resolve(&table, &Request { names, ..Request::default() }, &options, &Print(begun));
    let took = begun.elapsed();
    match resolution {
        Ok(resolution) => println!("{}", serde_json::to_string_pretty(&resolution)?),
        Err(error) => println!("{error}"),
    }
    println!("resolved in {:.2} ms", took.as_secs_f64() * 1000.0);
    Ok(())
}
