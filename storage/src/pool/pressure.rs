//! Pressure: how near the ledger is to refusing, as a level that the engine acts on in time.
//!
//! ```text
//!  used, in percent of what ordinary statements may take (budget - emergency reserve)
//!  0                        70        80        90     95    100
//!  |         normal         |  shed   | collect |compact|slow | refused: 53200
//!                        65-|      75-|      85-|    90-|        and back, after the cool-down
//! ```
//!
//! 1. [`super::Ledger`] compares what is left with one number, the *alarm*: where the next level
//!    begins. Only what crosses it goes on to [`Pressure::rise`], which is immediate.
//! 2. A level is left when `used` is [`HYSTERESIS_PERCENT`] below where it begins and nothing has
//!    changed for [`COOL_DOWN`]: who takes and gives around a threshold does not make the level
//!    flutter. Nobody who gives memory back looks: maintenance asks with [`Pressure::fall`].
//! 3. Each change is kept in a short history and waits to be told to whoever wants to know. That is
//!    done by maintenance, never where memory is being taken: no listener runs under a lock.
//!
//! Invariants
//! - Taking memory costs one comparison more while no threshold is crossed.
//! - Nothing here allocates after it was made: it runs where memory has run out.

use crate::error::{Error, Result};
use crate::sync::Mutex;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::atomic::{AtomicU8, AtomicU64};
use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

/// How far below the beginning of a level `used` must be for it to be left, in percent.
pub(super) const HYSTERESIS_PERCENT: u64 = 5;
/// How long nothing must have changed for a level to be left.
pub(super) const COOL_DOWN: Duration = Duration::from_secs(1);
/// Changes that are remembered.
pub(super) const HISTORY: usize = 64;

/// How near the budget is, and what is done about it. Each level does what those below it do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum PressureLevel {
    /// Nothing is done.
    #[default]
    Normal,
    /// Caches are given up.
    Shed,
    /// Garbage is collected without pause.
    Collect,
    /// Blocks with many dead rows are compacted.
    Compact,
    /// Commits that make the database larger are slowed down.
    Slow,
}

impl PressureLevel {
    /// All levels, lowest first.
    pub const ALL: [Self; 5] = [
        Self::Normal,
        Self::Shed,
        Self::Collect,
        Self::Compact,
        Self::Slow,
    ];

    /// The name in statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Shed => "shed",
            Self::Collect => "collect",
            Self::Compact => "compact",
            Self::Slow => "slow",
        }
    }
}

/// Where the levels above *normal* begin, in percent of what ordinary statements may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PressureThresholds([u8; 4]);

impl Default for PressureThresholds {
    fn default() -> Self {
        Self([70, 80, 90, 95])
    }
}

impl PressureThresholds {
    /// Thresholds for *shed*, *collect*, *compact* and *slow*: rising, from 1 to 100.
    ///
    /// ```
    /// use remora_storage::pool::PressureThresholds;
    /// assert!(PressureThresholds::new([50, 60, 70, 80]).is_ok());
    /// assert!(PressureThresholds::new([50, 50, 70, 80]).is_err());
    /// ```
    ///
    /// # Errors
    /// `LimitExceeded` where they do not rise or pass 100.
    pub fn new(percent: [u8; 4]) -> Result<Self> {
        let rising = percent.windows(2).all(|two| two[0] < two[1]);
        if percent[0] >= 1 && percent[3] <= 100 && rising {
            return Ok(Self(percent));
        }
        Err(Error::LimitExceeded {
            what: "a pressure threshold that does not rise, or percentage,",
            found: percent.into_iter().max().unwrap_or(0).into(),
            limit: 100,
        })
    }

    /// The four percentages.
    pub fn percent(self) -> [u8; 4] {
        self.0
    }

    /// Bytes at which a level begins, of `limit` that ordinary statements may take.
    pub fn begin(self, level: PressureLevel, limit: u64) -> u64 {
        match (level as usize).checked_sub(1) {
            Some(at) => share(limit, self.0[at].into()),
            None => 0,
        }
    }

    /// The level of `used` bytes, as it is reached from below.
    fn level(self, used: u64, limit: u64) -> PressureLevel {
        let reached = |level: &PressureLevel| used >= self.begin(*level, limit);
        let level = PressureLevel::ALL.into_iter().rev().find(reached);
        level.unwrap_or_default()
    }
}

fn share(limit: u64, percent: u64) -> u64 {
    (u128::from(limit) * u128::from(percent) / 100) as u64
}

/// One change of level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PressureChange {
    /// When.
    pub at: SystemTime,
    /// What the level was.
    pub from: PressureLevel,
    /// What it has become.
    pub to: PressureLevel,
    /// Bytes used at that moment.
    pub used: u64,
    /// Bytes that ordinary statements may take in all.
    pub limit: u64,
}

/// What a ledger knows of its pressure.
#[derive(Debug)]
pub struct Pressure {
    thresholds: PressureThresholds,
    level: AtomicU8,
    /// The level rises where less than this is left of the budget.
    alarm: AtomicU64,
    /// How often the level has risen.
    rises: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    changed: Instant,
    history: VecDeque<PressureChange>,
    /// Those of the history that nobody was told of yet: its last ones.
    untold: usize,
}

/// The account as the ledger gives it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) used: u64,
    pub(super) budget: u64,
    /// What ordinary statements may take.
    pub(super) limit: u64,
}

impl Pressure {
    pub(super) fn new(thresholds: PressureThresholds, fill: Fill) -> Self {
        let pressure = Self {
            thresholds,
            level: AtomicU8::new(0),
            alarm: AtomicU64::new(0),
            rises: AtomicU64::new(0),
            state: Mutex::new(State {
                changed: Instant::now(),
                history: VecDeque::with_capacity(HISTORY),
                untold: 0,
            }),
        };
        pressure.set_alarm(PressureLevel::Normal, fill);
        pressure
    }

    /// The level now.
    pub fn level(&self) -> PressureLevel {
        PressureLevel::ALL[usize::from(self.level.load(Relaxed))]
    }

    /// Where the levels begin.
    pub fn thresholds(&self) -> PressureThresholds {
        self.thresholds
    }

    /// How often the level has risen: who holds a cache gives it up when this has changed.
    pub fn rises(&self) -> u64 {
        self.rises.load(Relaxed)
    }

    /// The last changes, oldest first.
    pub fn history(&self) -> Vec<PressureChange> {
        self.state.lock().history.iter().copied().collect()
    }

    /// Changes that nobody was told of, oldest first; they count as told from now on.
    pub fn take_untold(&self) -> Vec<PressureChange> {
        let mut state = self.state.lock();
        let untold = std::mem::take(&mut state.untold);
        let from = state.history.len() - untold;
        state.history.range(from..).copied().collect()
    }

    /// Whether taking has crossed into the next level.
    pub(super) fn is_alarmed(&self, left: u64) -> bool {
        left < self.alarm.load(Relaxed)
    }

    /// Raises the level to where the account is.
    #[cold]
    pub(super) fn rise(&self, fill: Fill) {
        let mut state = self.state.lock();
        let (from, to) = (self.level(), self.thresholds.level(fill.used, fill.limit));
        if to > from {
            self.rises.fetch_add(1, Relaxed);
            self.change(&mut state, Instant::now(), from, to, fill);
        }
    }

    /// Lowers the level to where the account is, if it has been there for long enough.
    pub(super) fn fall(&self, fill: Fill, now: Instant) {
        let from = self.level();
        if from == PressureLevel::Normal {
            return;
        }
        let margin = share(fill.limit, HYSTERESIS_PERCENT);
        let to = self
            .thresholds
            .level(fill.used.saturating_add(margin), fill.limit);
        let mut state = self.state.lock();
        if to < from && from == self.level() && now.duration_since(state.changed) >= COOL_DOWN {
            self.change(&mut state, now, from, to, fill);
        }
    }

    /// The budget has changed, and with it where the levels begin.
    pub(super) fn rescale(&self, fill: Fill) {
        let state = self.state.lock();
        self.set_alarm(self.level(), fill);
        drop(state);
        self.rise(fill);
    }

    fn change(
        &self,
        state: &mut State,
        now: Instant,
        from: PressureLevel,
        to: PressureLevel,
        fill: Fill,
    ) {
        self.level.store(to as u8, Relaxed);
        self.set_alarm(to, fill);
        if state.history.len() == HISTORY {
            state.history.pop_front();
        }
        state.changed = now;
        state.history.push_back(PressureChange {
            at: SystemTime::now(),
            from,
            to,
            used: fill.used,
            limit: fill.limit,
        });
        state.untold = (state.untold + 1).min(HISTORY);
    }

    fn set_alarm(&self, level: PressureLevel, fill: Fill) {
        let next = PressureLevel::ALL.get(level as usize + 1);
        // `used >= begin` is `left <= budget - begin`.
        let alarm = next.map_or(0, |next| {
            let begin = self.thresholds.begin(*next, fill.limit);
            fill.budget.saturating_sub(begin).saturating_add(1)
        });
        self.alarm.store(alarm, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::PressureLevel::{Collect, Normal, Shed, Slow};
    use super::*;

    const LIMIT: u64 = 1000;

    fn fill(used: u64) -> Fill {
        Fill {
            used,
            budget: 1100,
            limit: LIMIT,
        }
    }

    fn pressure() -> Pressure {
        Pressure::new(PressureThresholds::default(), fill(0))
    }

    #[test]
    fn a_level_begins_exactly_at_its_threshold_and_may_be_jumped_over() {
        let pressure = pressure();
        assert!(!pressure.is_alarmed(1100 - 699));
        assert!(pressure.is_alarmed(1100 - 700));
        pressure.rise(fill(700));
        assert_eq!(pressure.level(), Shed);
        assert!(!pressure.is_alarmed(1100 - 700), "said once");
        pressure.rise(fill(960));
        assert_eq!(pressure.level(), Slow);
        assert!(!pressure.is_alarmed(0), "there is nothing above");
        let told = pressure.take_untold();
        let steps: Vec<_> = told.iter().map(|change| (change.from, change.to)).collect();
        assert_eq!(steps, [(Normal, Shed), (Shed, Slow)]);
        assert!(pressure.take_untold().is_empty(), "told once");
        assert_eq!(pressure.history(), told);
        assert_eq!(pressure.rises(), 2);
    }

    #[test]
    fn a_level_is_left_below_its_threshold_and_after_a_while() {
        let pressure = pressure();
        let start = Instant::now();
        pressure.rise(fill(850));
        assert_eq!(pressure.level(), Collect);
        let later = start + 2 * COOL_DOWN;
        pressure.fall(fill(751), later);
        assert_eq!(pressure.level(), Collect, "751 is not 5 % below 800");
        pressure.fall(fill(740), start);
        assert_eq!(pressure.level(), Collect, "too soon");
        pressure.fall(fill(740), later);
        assert_eq!(pressure.level(), Shed);
        pressure.fall(fill(0), later + COOL_DOWN / 2);
        assert_eq!(pressure.level(), Shed, "too soon after the last change");
        pressure.fall(fill(0), later + COOL_DOWN);
        assert_eq!(pressure.level(), Normal);
        assert!(pressure.is_alarmed(1100 - 700), "armed again");
    }

    #[test]
    fn a_history_forgets_the_oldest() {
        let pressure = pressure();
        let mut now = Instant::now() + COOL_DOWN;
        for _ in 0..HISTORY {
            pressure.rise(fill(LIMIT));
            now += 2 * COOL_DOWN;
            pressure.fall(fill(0), now);
        }
        assert_eq!(pressure.history().len(), HISTORY);
        assert_eq!(pressure.take_untold().len(), HISTORY);
        assert_eq!(pressure.rises(), HISTORY as u64);
    }

    #[test]
    fn thresholds_rise() {
        for bad in [
            [0, 1, 2, 3],
            [70, 80, 80, 90],
            [70, 80, 90, 101],
            [9, 8, 7, 6],
        ] {
            assert_eq!(
                PressureThresholds::new(bad).unwrap_err().sqlstate(),
                "54000"
            );
        }
        assert_eq!(
            PressureThresholds::new([1, 2, 3, 100]).unwrap().percent(),
            [1, 2, 3, 100]
        );
    }
}
