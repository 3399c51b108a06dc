//! A hidden command that waits for one URL, with the same probes as a boot.

use clap::Parser;
use kubernix_core::Probe;
use kubernix_host::probe::{Prober, Question, TlsFiles};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

#[derive(Parser)]
#[command(no_binary_name = true)]
struct Wait {
    url: String,
    /// Seconds.
    #[arg(long)]
    timeout: u64,
    #[arg(long)]
    ca: PathBuf,
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
}

/// Waits until a URL returns 200: `URL --timeout S --ca FILE [--cert FILE --key FILE]`.
pub fn http(args: &[OsString]) -> io::Result<()> {
    const OWN: &str = "own";
    let wait = Wait::try_parse_from(args).map_err(io::Error::other)?;
    let ca = wait.ca.clone();
    let files = wait.cert.zip(wait.key).map(|(cert, key)| TlsFiles { cert, key, ca });
    let probe = Probe::http(wait.url).identity(if files.is_some() { OWN } else { "" });
    let prober = Prober::new(&wait.ca, move |user| files.clone().filter(|_| user == OWN));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(wait.timeout);
        prober.wait(Question::new(&probe, SystemTime::now()), deadline).await.map_err(io::Error::other)
    })
}
