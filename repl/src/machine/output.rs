//! Standard output, shared by all sessions: whole lines, each flushed.

use parking_lot::Mutex;
use serde::Serialize;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where answers are written.
pub(super) struct Output {
    writer: Mutex<Box<dyn Write + Send>>,
    broken: AtomicBool,
}

impl Output {
    pub(super) fn new(writer: Box<dyn Write + Send>) -> Self {
        Self {
            writer: Mutex::new(writer),
            broken: AtomicBool::new(false),
        }
    }

    /// Writes one line and flushes it.
    pub(super) fn line(&self, answer: &impl Serialize) {
        let mut line = Vec::with_capacity(128);
        // Encoding into memory cannot fail: all keys are strings, and nothing in an answer refuses.
        let encoded = serde_json::to_writer(&mut line, answer).is_ok();
        self.write(line);
        if !encoded {
            self.broken.store(true, Ordering::Relaxed);
        }
    }

    /// Writes a line that is encoded already, and flushes it.
    pub(super) fn text(&self, line: String) {
        self.write(line.into_bytes());
    }

    fn write(&self, mut line: Vec<u8>) {
        line.push(b'\n');
        let mut writer = self.writer.lock();
        let written = writer.write_all(&line).and_then(|()| writer.flush());
        if written.is_err() {
            // Nobody listens: the reader ends at its next line. Relaxed: the flag guards no data.
            self.broken.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a line could not be written.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}
