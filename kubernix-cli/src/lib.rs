//! The `kubernix` command: flags in, host calls, text or JSON out.
//!
//! Thin on purpose: it parses flags and shows results, and `kubernix-host` implements clusters.
//! Only [`registry`] lists the compiled-in components.

mod check;
pub mod cli;
mod commands;
mod cri_client;
pub mod exit;
mod hidden;
mod logging;
mod output;
mod program;
mod progress;
mod reference;
pub mod registry;
mod scaffold;
mod settings;
mod wait;

use clap::Parser;
use cli::Cli;
use exit::Exit;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

/// Runs the command of these arguments, the program's own name first.
pub fn main(args: Vec<OsString>) -> ExitCode {
    if let Some(code) = hidden::run(&args) {
        return code;
    }
    let cli = match Cli::try_parse_from(cli::name_the_image(args.clone())) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    if let Err(error) = logging::set_up(&cli.global) {
        eprintln!("error: {error:#}");
        return Exit::Failure.into();
    }
    let program = program::name(args.first());
    match commands::run(cli, program) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            log::error!("{}", message(&error));
            Exit::of(&error).into()
        }
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // If this fails, the failure can't be reported either.
    let _ = error.print();
    // Requested help and version aren't errors.
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() }
}

/// An error with its causes, outermost first. A cause that already ends the message isn't repeated.
fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |message, cause| match message.as_str() {
        "" => cause,
        text if text.ends_with(&cause) => message,
        text => format!("{text}: {cause}"),
    })
}

/// Whether the reader has closed the pipe, as in `kubernix list | head -1`.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_not_repeated() {
        let cause = || anyhow::Error::new(io::Error::other("no space left"));
        assert_eq!(message(&cause().context("can't write /x")), "can't write /x: no space left");
        assert_eq!(message(&cause().context("can't write /x: no space left")), "can't write /x: no space left");
    }
}
