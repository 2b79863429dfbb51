//! How far the opening of a large database is, for who waits at a terminal.
//!
//! One line on standard error, written over again and again, and taken away when opening has ended, however;
//! nothing where opening takes less than a second.

use parking_lot::Mutex;
use remora::{RecoveryPhase, RecoveryProgress};
use std::io::Write;
use std::time::{Duration, Instant};

/// What takes less shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// Goes to the beginning of the line, and empties it.
const AWAY: &str = "\r\x1b[K";

/// The line on the terminal.
pub(crate) struct Line<W: Write>(Mutex<State<W>>);

struct State<W: Write> {
    terminal: W,
    /// Before that nothing is shown.
    from: Instant,
    is_shown: bool,
}

impl<W: Write> Line<W> {
    /// A line that nobody sees yet.
    pub(crate) fn new(terminal: W) -> Self {
        Self::after(PATIENCE, terminal)
    }

    fn after(patience: Duration, terminal: W) -> Self {
        Self(Mutex::new(State {
            terminal,
            from: Instant::now() + patience,
            is_shown: false,
        }))
    }

    /// Says how far it is.
    pub(crate) fn show(&self, progress: RecoveryProgress) {
        let mut state = self.0.lock();
        if Instant::now() < state.from {
            return;
        }
        state.is_shown = true;
        // What cannot be shown is not worth an error.
        let _ = write!(state.terminal, "{AWAY}{}", text(progress));
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        let mut state = self.0.lock();
        if std::mem::take(&mut state.is_shown) {
            let _ = write!(state.terminal, "{AWAY}");
        }
    }
}

fn text(progress: RecoveryProgress) -> String {
    let RecoveryProgress { phase, done, total } = progress;
    let percent = (u128::from(done) * 100)
        .checked_div(total.into())
        .unwrap_or(100);
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    match phase {
        RecoveryPhase::Images | RecoveryPhase::Log => {
            let what = match phase {
                RecoveryPhase::Images => "loading images",
                _ => "replaying the log",
            };
            let (done, total) = (megabytes(done), megabytes(total));
            format!("{what}: {done:.0} of {total:.0} MB ({percent} %)")
        }
        RecoveryPhase::Indexes => {
            format!("building indexes: {done} of {total} entries ({percent} %)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(phase: RecoveryPhase, done: u64, total: u64) -> RecoveryProgress {
        RecoveryProgress { phase, done, total }
    }

    #[test]
    fn a_line_says_how_far_it_is() {
        assert_eq!(
            text(progress(RecoveryPhase::Log, 5_000_000, 20_000_000)),
            "replaying the log: 5 of 20 MB (25 %)"
        );
        assert_eq!(
            text(progress(RecoveryPhase::Indexes, 0, 0)),
            "building indexes: 0 of 0 entries (100 %)"
        );
    }

    /// What the line left on a terminal.
    fn written(line: &Line<Vec<u8>>) -> String {
        String::from_utf8(line.0.lock().terminal.clone()).expect("text")
    }

    #[test]
    fn the_line_goes_when_opening_ends_half_way() {
        let line = Line::after(Duration::ZERO, Vec::new());
        line.show(progress(RecoveryPhase::Log, 1_000_000, 2_000_000));
        line.clear();
        let shown = "\r\x1b[Kreplaying the log: 1 of 2 MB (50 %)\r\x1b[K";
        assert_eq!(written(&line), shown);
        line.clear();
        assert_eq!(written(&line), shown, "once is enough");
    }

    #[test]
    fn what_is_quick_shows_nothing() {
        let line = Line::new(Vec::new());
        line.show(progress(RecoveryPhase::Indexes, 1, 2));
        line.clear();
        assert_eq!(written(&line), "");
    }
}
