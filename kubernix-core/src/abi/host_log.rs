//! Forwards a plugin's messages and panics to the host's log, since a plugin has its own copies of
//! `log` and std.

use abi_stable::StableAbi;
use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::RStr;
use std::sync::OnceLock;

/// A message for the host.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct LogRecord<'a> {
    /// 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub level: u32,
    /// Line of the source, 0 if it isn't known.
    pub line: u32,
    /// The target, as in `log`.
    pub target: RStr<'a>,
    /// The source file, empty if it isn't known.
    pub file: RStr<'a>,
    /// The message.
    pub message: RStr<'a>,
}

/// The host's log, as plugins use it. Grows at its end.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostLogRef)))]
#[sabi(missing_field(panic))]
pub struct HostLog {
    /// Whether the host logs messages of this level and target. Called for each message, because
    /// the host's level may change.
    pub enabled: extern "C" fn(level: u32, target: RStr<'_>) -> bool,
    /// Takes a message.
    #[sabi(last_prefix_field)]
    pub log: extern "C" fn(record: &LogRecord<'_>),
}

fn level(number: u32) -> log::Level {
    match number {
        0 | 1 => log::Level::Error,
        2 => log::Level::Warn,
        3 => log::Level::Info,
        4 => log::Level::Debug,
        _ => log::Level::Trace,
    }
}

extern "C" fn host_enabled(number: u32, target: RStr<'_>) -> bool {
    let ask = || log::logger().enabled(&log::Metadata::builder().level(level(number)).target(target.as_str()).build());
    number <= log::max_level() as u32 && super::guard::guard_or("log", false, ask)
}

extern "C" fn host_write(record: &LogRecord<'_>) {
    let file = Some(record.file.as_str()).filter(|file| !file.is_empty());
    let take = || {
        log::logger().log(
            &log::Record::builder()
                .level(level(record.level))
                .target(record.target.as_str())
                .file(file)
                .line(Some(record.line).filter(|line| *line > 0))
                .args(format_args!("{}", record.message))
                .build(),
        );
    };
    super::guard::guard_or("log", (), take);
}

const HOST_LOG: &WithMetadata<HostLog> = &WithMetadata::new(HostLog { enabled: host_enabled, log: host_write });

/// This process's own log, in the form for plugins.
pub fn host_log() -> HostLogRef {
    HostLogRef(HOST_LOG.static_as_prefix())
}

static HOST: OnceLock<HostLogRef> = OnceLock::new();

struct Bridge;

impl log::Log for Bridge {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        HOST.get().is_some_and(|host| host.enabled()(metadata.level() as u32, metadata.target().into()))
    }

    fn log(&self, record: &log::Record<'_>) {
        let Some(host) = HOST.get().filter(|_| self.enabled(record.metadata())) else { return };
        let message = record.args().to_string();
        host.log()(&LogRecord {
            level: record.level() as u32,
            line: record.line().unwrap_or_default(),
            target: record.target().into(),
            file: record.file().unwrap_or_default().into(),
            message: message.as_str().into(),
        });
    }

    fn flush(&self) {}
}

/// Connects this copy of `log` and std to the host's log. Called once, in a plugin.
pub(super) fn join(host: HostLogRef) {
    if HOST.set(host).is_err() || log::set_logger(&Bridge).is_err() {
        return;
    }
    // The host decides for each message.
    log::set_max_level(log::LevelFilter::Trace);
    // The hook belongs to the plugin's own std: the host's hook isn't changed.
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        log::error!("a plugin panicked at {at}: {}", panic.payload_as_str().unwrap_or("no message"));
    }));
}
