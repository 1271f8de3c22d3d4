//! How far a long work is, for a person who waits at a terminal.

use std::os::raw::c_int;
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(200);

extern "C" {
    fn isatty(file: c_int) -> c_int;
}

/// Shows on standard error what it is told, if that is a terminal; leaves nothing when dropped.
pub struct Progress {
    is_shown: bool,
    last: Option<Instant>,
}

impl Progress {
    pub fn new() -> Self {
        // SAFETY: takes any number; 2 is standard error.
        let is_shown = unsafe { isatty(2) } == 1;
        Self {
            is_shown,
            last: None,
        }
    }

    pub fn show(&mut self, text: &str) {
        if self.is_shown && self.last.map_or(true, |last| last.elapsed() >= STEP) {
            eprint!("\r\x1b[K{text}");
            self.last = Some(Instant::now());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.last.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
