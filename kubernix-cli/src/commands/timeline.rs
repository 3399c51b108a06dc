//! `timeline`: the time that each step of the last boot took.

use super::App;
use crate::cli::TimelineArgs;
use crate::exit::{Exit, Refusal};
use crate::output;
use anyhow::{Context, Result};
use kubernix_host::events::Timeline;
use std::io::ErrorKind;

impl App {
    pub(super) fn timeline(&self, args: &TimelineArgs) -> Result<()> {
        let (place, cluster) = self.cluster()?;
        let events = cluster.root().events();
        let timeline = match Timeline::read(&events) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("can't read {}", events.display()));
            }
            found => found.ok().flatten(),
        };
        let timeline = timeline.ok_or_else(|| {
            let up = self.call("up", &place);
            Refusal::error(Exit::Failure, format!("cluster `{}` was never booted: `{up}` boots it", place.name))
        })?;
        if let Some(file) = &args.svg {
            let title = args.title.clone().unwrap_or_else(|| format!("Boot of cluster {}", timeline.cluster));
            std::fs::write(file, timeline.svg(&title)).with_context(|| format!("can't write {}", file.display()))?;
            log::info!("timeline written to {}", file.display());
        }
        output::show(self.output(), &timeline, Timeline::to_string)
    }
}
