//! Measuring: rates, latencies, and their spread over the rounds.
//!
//! Rates and latencies come from passes of their own. Reading the clock costs some tens of nanoseconds,
//! a good part of a point select. So the pass of rates reads it once for [`BATCH`] operations, and only
//! the pass of latencies reads it for each. A latency includes one reading of the clock.

use super::draw::Draw;
use super::engines::Session;
use crate::Result;
use hdrhistogram::Histogram;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Operations between two looks at the clock.
const BATCH: usize = 16;
/// The longest latency that is told from longer ones, in nanoseconds.
const LATENCY_MAX: u64 = 10_000_000_000;

/// The median, the least and the greatest of the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Spread {
    /// Returns the spread of figures, at least one. The median of an even number is the mean of two.
    pub(super) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
        let last = figures.len().saturating_sub(1);
        Self {
            median: (at(last / 2) + at(figures.len() / 2)) / 2.0,
            least: at(0),
            greatest: at(last),
        }
    }
}

/// Percentiles of the latencies of all rounds, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Latency {
    pub(super) p50: u64,
    pub(super) p99: u64,
    pub(super) p999: u64,
}

/// Latencies, with three digits that count.
#[derive(Debug)]
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, LATENCY_MAX, 3)?))
    }

    pub(super) fn add(&mut self, other: &Self) -> Result<()> {
        Ok(self.0.add(&other.0)?)
    }

    pub(super) fn percentiles(&self) -> Latency {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Latency {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        }
    }

    /// Runs operations for so many seconds, each timed.
    pub(super) fn record(
        &mut self,
        session: &mut Session<'_>,
        draws: &[Draw],
        seconds: f64,
    ) -> Result<()> {
        let wanted = Duration::from_secs_f64(seconds);
        let start = Instant::now();
        for draw in draws.iter().cycle() {
            let before = Instant::now();
            black_box(session(draw)?);
            let after = Instant::now();
            self.0.saturating_record((after - before).as_nanos() as u64);
            if after - start >= wanted {
                break;
            }
        }
        Ok(())
    }
}

/// Runs operations for so many seconds, and returns how many there were in a second.
pub(super) fn rate(session: &mut Session<'_>, draws: &[Draw], seconds: f64) -> Result<f64> {
    let wanted = Duration::from_secs_f64(seconds);
    let start = Instant::now();
    let mut done = 0_u64;
    for batch in draws.chunks(BATCH).cycle() {
        for draw in batch {
            black_box(session(draw)?);
        }
        done += batch.len() as u64;
        let elapsed = start.elapsed();
        if elapsed >= wanted {
            return Ok(done as f64 / elapsed.as_secs_f64());
        }
    }
    Err("nothing was drawn".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_median_between_its_bounds() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]);
        assert_eq!(
            (spread.least, spread.median, spread.greatest),
            (1.0, 2.0, 3.0)
        );
        assert_eq!(Spread::of(vec![1.0, 2.0]).median, 1.5);
        assert!(Spread::of(Vec::new()).median.is_nan());
    }

    #[test]
    fn operations_are_counted_and_timed() {
        let mut calls = 0;
        let mut session: Session<'_> = Box::new(|_| {
            calls += 1;
            std::thread::sleep(Duration::from_micros(50));
            Ok(0)
        });
        let draws = [Draw::Key(1), Draw::Key(2)];
        let found = rate(&mut session, &draws, 0.005).unwrap();
        assert!(found > 0.0 && found <= 20_000.0, "{found}");
        let mut latencies = Latencies::new().unwrap();
        latencies.record(&mut session, &draws, 0.005).unwrap();
        let found = latencies.percentiles();
        assert!(found.p50 >= 50_000 && found.p50 <= found.p999, "{found:?}");
        assert!(rate(&mut session, &[], 0.005).is_err());
        drop(session);
        assert!(calls > 2);
    }
}
