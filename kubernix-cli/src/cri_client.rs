//! A client of the container runtime for components' scripts, used when images are imported and
//! when a cluster stops. Must not know which runtime it is.

use clap::{Parser, Subcommand};
use kubernix_host::cri_client::Client;
use std::ffi::OsString;
use std::io;
use std::time::Duration;

/// `cri-client SOCKET COMMAND`: one request to the runtime that listens at SOCKET.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Request {
    /// Path of the runtime's socket, or `unix://PATH`.
    socket: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Succeeds if the runtime has this image.
    HasImage { name: String },
    /// Stops all running containers, and kills each after this many seconds.
    StopContainers { seconds: u32 },
    /// Stops and removes all pods; each call to the runtime may take this many seconds.
    RemovePods { seconds: u32 },
}

/// Runs the request of these arguments.
pub fn run(args: &[OsString]) -> io::Result<()> {
    let request = Request::try_parse_from(args).map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(answer(&request)).map_err(io::Error::other)
}

async fn answer(request: &Request) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let socket = &request.socket;
    match &request.command {
        Command::HasImage { name } => {
            if Client::connect(socket).await?.has_image(name).await? {
                Ok(())
            } else {
                Err(format!("the container runtime at {socket} has no image `{name}`").into())
            }
        }
        Command::StopContainers { seconds } => {
            // The runtime responds when the last process has exited, a moment after the timeout.
            let limit = Duration::from_secs(u64::from(*seconds) + 5);
            Ok(Client::connect_for(socket, limit).await?.stop_containers(*seconds).await?)
        }
        Command::RemovePods { seconds } => {
            let client = Client::connect_for(socket, Duration::from_secs((*seconds).into())).await?;
            // A pod that needs its whole timeout fails the first call, and has exited by the
            // second.
            match client.remove_pods().await {
                Ok(()) => Ok(()),
                Err(_) => Ok(client.remove_pods().await?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_socket_is_an_error_that_names_it() {
        let args = ["/nowhere/cri.sock", "remove-pods", "3"].map(OsString::from);
        let error = run(&args).unwrap_err().to_string();
        assert!(error.starts_with("no container runtime responds at /nowhere/cri.sock: "), "{error}");
        assert!(run(&args[..1]).is_err());
    }
}
