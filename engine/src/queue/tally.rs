//! Counts of what was done with a queue, and how fast.

use std::time::Instant;

/// Seconds that a rate looks back on, the current one included.
const WINDOW_SECONDS: u64 = 5;

/// Something that was done with an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    Pushed,
    Popped,
    Leased,
    Acked,
    Retried,
    RanOut,
    Died,
}

const EVENTS: usize = Event::Died as usize + 1;

/// The counts of one second.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u64,
    counts: [u64; EVENTS],
}

/// Counts since the queue was opened first, and of the last seconds.
#[derive(Debug)]
pub(super) struct Tally {
    begun: Instant,
    totals: [u64; EVENTS],
    slots: [Slot; WINDOW_SECONDS as usize],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            totals: [0; EVENTS],
            slots: [Slot::default(); WINDOW_SECONDS as usize],
        }
    }
}

impl Tally {
    pub(super) fn count(&mut self, event: Event, times: u64, now: Instant) {
        let second = now.saturating_duration_since(self.begun).as_secs();
        let slot = &mut self.slots[(second % WINDOW_SECONDS) as usize];
        if slot.second != second {
            *slot = Slot {
                second,
                ..Slot::default()
            };
        }
        slot.counts[event as usize] += times;
        self.totals[event as usize] += times;
    }

    pub(super) fn total(&self, event: Event) -> u64 {
        self.totals[event as usize]
    }

    /// How often a second these happened lately.
    pub(super) fn rate(&self, events: &[Event], now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.begun);
        let first = (age.as_secs() + 1).saturating_sub(WINDOW_SECONDS);
        let recent = self.slots.iter().filter(|slot| slot.second >= first);
        let counts =
            recent.flat_map(|slot| events.iter().map(|event| slot.counts[*event as usize]));
        let seconds = age.as_secs_f64() - first as f64;
        counts.sum::<u64>() as f64 / seconds.max(0.001)
    }
}

/// Counts of a queue: of the work of all its handles since the database was opened, and of its items now. Calls within a
/// transaction count at once, and stay counted where it is undone.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct QueueStats {
    /// Items that were pushed.
    pub pushed: u64,
    /// Items that were taken for good.
    pub popped: u64,
    /// Leases.
    pub leased: u64,
    /// Items that were acknowledged.
    pub acked: u64,
    /// Leases that were given back.
    pub retried: u64,
    /// Leases that ran out.
    pub ran_out: u64,
    /// Items that went to the dead letters.
    pub died: u64,
    /// Items that may be taken now.
    pub ready_len: u64,
    /// Items that are ready later.
    pub delayed_len: u64,
    /// Items that are leased now.
    pub leased_len: u64,
    /// Dead letters.
    pub dead_len: u64,
    /// Pushes a second, in the last five seconds.
    pub pushes_per_second: f64,
    /// Items a second that were popped or acknowledged, in the last five seconds.
    pub done_per_second: f64,
}

impl QueueStats {
    /// Reads a tally; the lengths are in the order of the fields.
    pub(super) fn new(tally: &Tally, [ready, delayed, leased, dead]: [u64; 4]) -> Self {
        let now = Instant::now();
        Self {
            pushed: tally.total(Event::Pushed),
            popped: tally.total(Event::Popped),
            leased: tally.total(Event::Leased),
            acked: tally.total(Event::Acked),
            retried: tally.total(Event::Retried),
            ran_out: tally.total(Event::RanOut),
            died: tally.total(Event::Died),
            ready_len: ready,
            delayed_len: delayed,
            leased_len: leased,
            dead_len: dead,
            pushes_per_second: tally.rate(&[Event::Pushed], now),
            done_per_second: tally.rate(&[Event::Popped, Event::Acked], now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut tally = Tally::default();
        let at = |tally: &Tally, millis| tally.begun + Duration::from_millis(millis);
        for second in 0..20 {
            let now = at(&tally, second * 1000);
            tally.count(Event::Pushed, 10 * (second + 1), now);
        }
        assert_eq!(tally.total(Event::Pushed), 2100);
        // Seconds 15 to 19, of which the last is half over.
        let rate = tally.rate(&[Event::Pushed], at(&tally, 19_500));
        assert!((rate - 900.0 / 4.5).abs() < 0.01, "{rate}");
        assert_eq!(tally.rate(&[Event::Pushed], at(&tally, 60_000)), 0.0);
        assert_eq!(tally.rate(&[Event::Acked], at(&tally, 19_500)), 0.0);
        let mut young = Tally::default();
        young.count(Event::Popped, 3, at(&young, 100));
        young.count(Event::Acked, 1, at(&young, 200));
        let rate = young.rate(&[Event::Popped, Event::Acked], at(&young, 500));
        assert!((rate - 8.0).abs() < 0.01, "{rate}");
    }
}
