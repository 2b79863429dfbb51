//! Id clock: numbers for ids that rise with the time of a database, and that are handed out once.
//!
//! ```text
//!   tick = milliseconds since 1970, 12 bits of sequence       first free tick, in one word
//!          |<- of the database's time ->|<- 0 .. 4095 ->|
//! ```
//!
//! 1. A taker gets the first free tick, or the first one of the present millisecond where that is later. One
//!    compare-exchange takes as many ticks as are wanted.
//! 2. The 4,097th tick of a millisecond is the first one of the next: the sequence carries over. So ticks can run ahead of
//!    the time, by [`AHEAD_MAX`] at most; then there are none until the time has come closer.
//! 3. Files carry the end of the last millisecond that ticks were taken of ([`IdClock::end`], by way of
//!    [`super::DatabaseTime::kept`]). So a database that is opened again begins with a millisecond of its own.
//!
//! A [`Snowflakes`] has what else its ids are made of: the node and the epoch.
//!
//! Invariant: no tick is handed out twice by one clock, and a later one is larger.

use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::atomic::{AtomicI64, AtomicU32};
use std::sync::OnceLock;

/// Bits of the sequence within a millisecond.
const SEQUENCE_BITS: u32 = 12;
const SEQUENCE_MASK: i64 = (1 << SEQUENCE_BITS) - 1;
/// Bits of the node.
const NODE_BITS: u32 = 10;
/// Bits of the milliseconds since the epoch.
const MILLIS_BITS: u32 = 41;

/// The largest number of a node.
pub const NODE_MAX: u32 = (1 << NODE_BITS) - 1;
/// The epoch of snowflake ids unless it is set, 2021-01-01 UTC, in milliseconds since 1970.
pub const EPOCH_MILLIS: i64 = 1_609_459_200_000;
/// The milliseconds after the epoch that there are ids for.
pub const EPOCH_REACH_MILLIS: i64 = 1 << MILLIS_BITS;

/// The milliseconds that ticks may run ahead of the time: 12 million ids at once.
const AHEAD_MAX: i64 = 3_000;

/// A moment that ids are made of: milliseconds and sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Tick(i64);

impl Tick {
    /// The first tick of a microsecond's millisecond.
    pub fn of_millisecond(micros: i64) -> Self {
        Self(micros.div_euclid(1000) << SEQUENCE_BITS)
    }

    /// A microsecond as a tick: its part of the millisecond, in 4,096ths, is the sequence.
    pub fn of_microsecond(micros: i64) -> Self {
        let part = (micros.rem_euclid(1000) << SEQUENCE_BITS) / 1000;
        Self(Self::of_millisecond(micros).0 | part)
    }

    /// Returns the tick that comes so many after this one.
    pub fn after(self, count: usize) -> Self {
        Self(self.0 + count as i64)
    }

    /// Returns the tick so many microseconds later, or earlier.
    pub fn moved(self, micros: i64) -> Self {
        let ticks = (i128::from(micros) << SEQUENCE_BITS).div_euclid(1000);
        let ticks = i64::try_from(ticks).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX });
        Self(self.0.saturating_add(ticks))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0 >> SEQUENCE_BITS
    }

    /// The number within the millisecond, from 0 to 4095.
    pub fn sequence(self) -> i64 {
        self.0 & SEQUENCE_MASK
    }
}

/// Hands ticks out.
#[derive(Debug)]
pub struct IdClock {
    /// The first tick that is free.
    next: AtomicI64,
}

impl Default for IdClock {
    fn default() -> Self {
        let next = AtomicI64::new(i64::MIN);
        Self { next }
    }
}

// Relaxed everywhere: the number is all there is. A commit that has an id reads the clock after its id was taken.
impl IdClock {
    /// Takes so many ticks that follow each other, not before the present one, and returns the first; `None` where they
    /// would be too far ahead of it.
    pub fn take(&self, present: Tick, count: usize) -> Option<Tick> {
        let mut next = self.next.load(Relaxed);
        loop {
            let first = Tick(next.max(present.0));
            if first.millis() - present.millis() > AHEAD_MAX {
                return None;
            }
            match self
                .next
                .compare_exchange(next, first.after(count).0, Relaxed, Relaxed)
            {
                Ok(_) => return Some(first),
                Err(found) => next = found,
            }
        }
    }

    /// The end of the last millisecond that a tick was taken of, in microseconds since 1970; long ago where none was.
    pub fn end(&self) -> i64 {
        let next = self.next.load(Relaxed);
        (next.saturating_add(SEQUENCE_MASK) >> SEQUENCE_BITS) * 1000
    }
}

/// The clock, the node and the epoch of the snowflake ids of a database.
///
/// ```text
///   0 | milliseconds since the epoch: 41 bits | node: 10 bits | sequence: 12 bits
/// ```
#[derive(Debug)]
pub struct Snowflakes {
    clock: IdClock,
    node: AtomicU32,
    /// In milliseconds since 1970.
    epoch: AtomicI64,
    /// The node and the epoch that the database was opened with.
    opened_node: OnceLock<u32>,
    opened_epoch: OnceLock<i64>,
}

impl Default for Snowflakes {
    fn default() -> Self {
        Self {
            clock: IdClock::default(),
            node: AtomicU32::new(0),
            epoch: AtomicI64::new(EPOCH_MILLIS),
            opened_node: OnceLock::new(),
            opened_epoch: OnceLock::new(),
        }
    }
}

impl Snowflakes {
    /// Takes the node and the epoch that the database is opened with, once and before ids are made. Without a node one is
    /// drawn from the database's name and the number of its directory, which a copy of the files does not share.
    pub(crate) fn open(
        &self,
        (node, epoch): (Option<u32>, Option<i64>),
        (database, directory): ([u8; 16], u64),
    ) {
        let node = node.unwrap_or_else(|| {
            let mut hash = crc32fast::Hasher::new();
            hash.update(&database);
            hash.update(&directory.to_le_bytes());
            hash.finalize() & NODE_MAX
        });
        let node = *self.opened_node.get_or_init(|| node.min(NODE_MAX));
        let epoch = *self
            .opened_epoch
            .get_or_init(|| epoch.unwrap_or(EPOCH_MILLIS));
        self.set_node(Some(node));
        self.set_epoch(Some(epoch));
    }

    /// The node.
    pub fn node(&self) -> u32 {
        self.node.load(Relaxed)
    }

    /// Gives the ids to come another node; `None` for the one that the database was opened with.
    pub fn set_node(&self, node: Option<u32>) {
        let node = node.or_else(|| self.opened_node.get().copied());
        self.node.store(node.unwrap_or(0).min(NODE_MAX), Relaxed);
    }

    /// The epoch, in milliseconds since 1970.
    pub fn epoch(&self) -> i64 {
        self.epoch.load(Relaxed)
    }

    /// Gives the ids to come, and those that are read, another epoch; `None` for the one that the database was opened with.
    pub fn set_epoch(&self, millis: Option<i64>) {
        let millis = millis.or_else(|| self.opened_epoch.get().copied());
        self.epoch.store(millis.unwrap_or(EPOCH_MILLIS), Relaxed);
    }

    /// The clock of the ids.
    pub fn clock(&self) -> &IdClock {
        &self.clock
    }

    /// The id of a tick; `None` where it is before the epoch, or too long after it.
    pub fn id(&self, tick: Tick) -> Option<i64> {
        let millis = tick.millis().checked_sub(self.epoch())?;
        let node = i64::from(self.node());
        (0..EPOCH_REACH_MILLIS).contains(&millis).then(|| {
            millis << (NODE_BITS + SEQUENCE_BITS) | node << SEQUENCE_BITS | tick.sequence()
        })
    }

    /// The millisecond of an id, since 1970.
    pub fn millis_of(&self, id: i64) -> i64 {
        (id >> (NODE_BITS + SEQUENCE_BITS)).saturating_add(self.epoch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(micros: i64) -> Tick {
        Tick::of_millisecond(micros)
    }

    #[test]
    fn ticks_follow_each_other_and_carry_over_into_the_next_millisecond() {
        let clock = IdClock::default();
        let first = clock.take(at(5_700), 4095).unwrap();
        assert_eq!((first.millis(), first.sequence()), (5, 0));
        let last = clock.take(at(5_900), 1).unwrap();
        assert_eq!((last.millis(), last.sequence()), (5, 4095));
        let ahead = clock.take(at(5_999), 1).unwrap();
        assert_eq!((ahead.millis(), ahead.sequence()), (6, 0));
        let later = clock.take(at(9_000), 1).unwrap();
        assert_eq!((later.millis(), later.sequence()), (9, 0));
    }

    #[test]
    fn a_clock_that_goes_back_takes_no_tick_back() {
        let clock = IdClock::default();
        let first = clock.take(at(SECOND), 1).unwrap();
        let second = clock.take(at(0), 1).unwrap();
        assert_eq!(second, first.after(1));
    }

    #[test]
    fn they_run_ahead_for_a_while_only() {
        let clock = IdClock::default();
        let all = (AHEAD_MAX as usize + 1) << SEQUENCE_BITS;
        assert!(clock.take(at(0), all).is_some());
        assert_eq!(clock.take(at(999), 1), None);
        let next = clock.take(at(1_000), 1).expect("a millisecond has passed");
        assert_eq!((next.millis(), next.sequence()), (AHEAD_MAX + 1, 0));
    }

    #[test]
    fn the_end_is_that_of_the_millisecond() {
        let clock = IdClock::default();
        assert!(clock.end() < -1_000_000 * SECOND);
        clock.take(at(7_300), 1);
        assert_eq!(clock.end(), 8_000);
        clock.take(at(7_300), 4095);
        assert_eq!(clock.end(), 8_000);
        clock.take(at(7_300), 1);
        assert_eq!(clock.end(), 9_000);
    }

    #[test]
    fn a_microsecond_is_a_part_of_the_sequence() {
        assert_eq!(Tick::of_microsecond(4_500).sequence(), 2048);
        assert_eq!(Tick::of_microsecond(4_999).sequence(), 4091);
        let before = Tick::of_microsecond(-1);
        assert_eq!((before.millis(), before.sequence()), (-1, 4091));
    }

    #[test]
    fn a_tick_moves_by_microseconds() {
        let tick = Tick::of_microsecond(4_500);
        assert_eq!(tick.moved(2_250), Tick::of_microsecond(6_750));
        assert_eq!(tick.moved(-4_500), Tick::of_microsecond(0));
        assert_eq!(tick.moved(i64::MAX).0, i64::MAX);
        assert!(tick.moved(i64::MIN).millis() < 0);
    }

    #[test]
    fn an_id_has_milliseconds_node_and_sequence() {
        let flakes = Snowflakes::default();
        flakes.set_node(Some(5));
        let millis = EPOCH_MILLIS + 3;
        let tick = at(millis * 1000).after(2);
        let id = flakes.id(tick).unwrap();
        assert_eq!(id, 3 << 22 | 5 << 12 | 2);
        assert_eq!(flakes.millis_of(id), millis);
        flakes.set_epoch(Some(millis + 1));
        assert_eq!(flakes.id(tick), None, "the epoch is to come");
        flakes.set_epoch(Some(millis - EPOCH_REACH_MILLIS));
        assert_eq!(flakes.id(tick), None, "the bits are used up");
        flakes.set_epoch(Some(millis - EPOCH_REACH_MILLIS + 1));
        assert!(flakes.id(tick).is_some_and(|id| id > 0));
    }

    fn opened(node: Option<u32>, directory: u64) -> Snowflakes {
        let flakes = Snowflakes::default();
        flakes.open((node, Some(7)), ([7; 16], directory));
        flakes
    }

    #[test]
    fn what_was_set_goes_back_to_what_the_database_was_opened_with() {
        let flakes = opened(Some(3), 1);
        flakes.set_node(Some(4));
        flakes.set_epoch(Some(8));
        assert_eq!((flakes.node(), flakes.epoch()), (4, 8));
        flakes.set_node(None);
        flakes.set_epoch(None);
        assert_eq!((flakes.node(), flakes.epoch()), (3, 7));
    }

    #[test]
    fn the_node_is_drawn_from_the_database_and_its_directory() {
        let node = |directory| opened(None, directory).node();
        assert_eq!(node(1), node(1));
        assert!((2..9).any(|other| node(other) != node(1)));
        assert!((1..99).all(|other| node(other) <= NODE_MAX));
    }
}
