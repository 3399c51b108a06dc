//! The machine's side of the test, and how it is understood.

use std::fmt;

/// What runs inside.
pub const SCRIPT: &str = include_str!("guest.sh");

/// Starts the script once the system is up.
pub const UNIT: &str = "[Unit]
Description=Boots a cluster, looks at it, and switches the machine off
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/usr/local/bin/kubernix-vm
Environment=HOME=/root
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
";

const BEGIN: &str = "=====BEGIN=====";
const END: &str = "=====END=====";
const PASSED: &str = "PASSED: ";
const FAILED: &str = "FAILED: ";

/// What the script said so far. Prints as the plain closing line.
#[derive(Debug, Default)]
pub struct Heard {
    begun: bool,
    ended: bool,
    passed: usize,
    failed: usize,
}

impl Heard {
    /// Takes a line of the console; returns it where it is the script's.
    pub fn read<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        let line = line.trim_end_matches('\r');
        if line.ends_with(BEGIN) {
            self.begun = true;
            return None;
        }
        if !self.begun || self.ended {
            return None;
        }
        if line == END {
            self.ended = true;
            return None;
        }
        self.passed += usize::from(line.starts_with(PASSED));
        self.failed += usize::from(line.starts_with(FAILED));
        Some(line)
    }

    /// The script ran to its end.
    pub fn whole(&self) -> bool {
        self.ended
    }

    /// And found nothing wrong.
    pub fn good(&self) -> bool {
        self.ended && self.failed == 0 && self.passed > 0
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, 0 skipped", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(console: &str) -> (Heard, Vec<&str>) {
        let mut heard = Heard::default();
        let lines = console.split('\n').filter_map(|line| heard.read(line)).collect();
        (heard, lines)
    }

    #[test]
    fn only_what_the_script_says_counts() {
        let (heard, lines) = hear(
            "SeaBIOS\r\nFAILED: of the firmware\r\nx=====BEGIN=====\r\nhello\r\nPASSED: up\r\n=====END=====\r\nPASSED: late\r\n",
        );
        assert_eq!(lines, ["hello", "PASSED: up"]);
        assert_eq!(heard.to_string(), "1 passed, 0 failed, 0 skipped");
        assert!(heard.good());
    }

    #[test]
    fn a_failure_or_an_early_end_is_not_good() {
        assert!(!hear("=====BEGIN=====\nPASSED: a\nFAILED: b\n=====END=====\n").0.good());
        let cut_off = hear("=====BEGIN=====\nPASSED: a\n").0;
        assert!(!cut_off.good() && !cut_off.whole());
        assert!(!hear("=====BEGIN=====\n=====END=====\n").0.good());
    }

    #[test]
    fn script_and_reader_agree_on_the_words() {
        for word in [BEGIN, END, PASSED, FAILED] {
            assert!(SCRIPT.contains(word), "{word}");
        }
    }
}
