//! The script and unit that run in the machine, and the parser of the script's output.

use std::fmt;

/// The script of the test.
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

/// The results that the script has printed so far. Their text is the summary line of the test.
#[derive(Debug, Default)]
pub struct Results {
    begun: bool,
    ended: bool,
    passed: usize,
    failed: usize,
}

impl Results {
    /// Reads a line of the console. Returns the line if it is the script's.
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

    /// Whether the script ran to its end.
    pub fn is_complete(&self) -> bool {
        self.ended
    }

    /// Whether the script ran to its end, and all of its checks passed.
    pub fn passed(&self) -> bool {
        self.ended && self.failed == 0 && self.passed > 0
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, 0 skipped", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(console: &str) -> (Results, Vec<&str>) {
        let mut results = Results::default();
        let lines = console.split('\n').filter_map(|line| results.read(line)).collect();
        (results, lines)
    }

    #[test]
    fn only_lines_of_the_script_count() {
        let (results, lines) = parse(
            "SeaBIOS\r\nFAILED: of the firmware\r\nx=====BEGIN=====\r\nhello\r\nPASSED: up\r\n=====END=====\r\nPASSED: late\r\n",
        );
        assert_eq!(lines, ["hello", "PASSED: up"]);
        assert_eq!(results.to_string(), "1 passed, 0 failed, 0 skipped");
        assert!(results.passed());
    }

    #[test]
    fn a_failure_or_an_early_end_does_not_pass() {
        assert!(!parse("=====BEGIN=====\nPASSED: a\nFAILED: b\n=====END=====\n").0.passed());
        let cut_off = parse("=====BEGIN=====\nPASSED: a\n").0;
        assert!(!cut_off.passed() && !cut_off.is_complete());
        assert!(!parse("=====BEGIN=====\n=====END=====\n").0.passed());
    }

    #[test]
    fn the_script_prints_the_words_that_the_parser_reads() {
        for word in [BEGIN, END, PASSED, FAILED] {
            assert!(SCRIPT.contains(word), "{word}");
        }
    }
}
