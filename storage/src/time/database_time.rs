//! The time of a database: it never goes back, whatever is done to the wall clock.
//!
//! ```text
//!   time = hand + steady clock since opening          the hand is only moved forward
//!        = hand + half of that                        where it was found far ahead, until the wall clock has caught up
//! ```
//!
//! Rows that have expired must stay so. So time is taken from a clock that cannot be set, and the wall clock only moves it
//! forward: who asks for the time, and finds that nobody has compared the two for a second, does. Nobody else writes what
//! others read.
//!
//! Commits carry the time from when somebody was first told it ([`DatabaseTime::told`]), closing marks and checkpoints
//! always do, and opening begins at the latest that it finds ([`DatabaseTime::raise`]), or at the wall clock's where that is
//! later. Found ahead by more than a minute, time goes on from there, but at half speed: so it is caught up, and there is
//! no moment at which it stands still or goes back. Whoever knows that the wall clock is right, and what was found is not,
//! says so when he opens the database.
//!
//! A wall clock that is set forward by mistake must not destroy anything: after a jump of more than an hour, or where it is so
//! far ahead of what is found when the database is opened, rows have expired at once, but what clears them away keeps to the
//! time before for an hour, or until somebody says that it is right ([`DatabaseTime::settled`]).
//!
//! Ids are made of the time, too ([`super::id_clock`]), and may be ahead of it for a moment. What files carry is not before
//! the end of the last id's millisecond.
//!
//! Invariant: what [`DatabaseTime::tell`] returns is never before what it returned to somebody who was done before it was
//! called. Who was done has read this hand or one before, and each says at least what the one before says, from the moment
//! on at which it was made. The steady clock is read after the hand, so that moment is over.

use super::id_clock::{Snowflakes, Tick};
use super::{SystemTimeSource, TimeSource, micros};
use crate::sync::Mutex;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The latest time, the end of the year 9999: whatever a file says, there is room for the time that is to come.
pub const TIME_MAX: i64 = 253_402_300_799_999_999;

/// How often the wall clock is looked at, in microseconds.
const COMPARED_EVERY: i64 = 1_000_000;

/// Found ahead by more, time goes on at half speed.
const AHEAD_MAX: Duration = Duration::from_secs(60);

/// A longer jump of the wall clock has to be confirmed, in microseconds.
const JUMP_MAX: i64 = 3_600_000_000;
/// Or so long ago.
const CONFIRMED_AFTER: i64 = 3_600_000_000;

/// The time of one database, in microseconds since 1970.
#[derive(Debug)]
pub struct DatabaseTime {
    source: Arc<dyn TimeSource>,
    /// From when on the steady clock counts.
    origin: Instant,
    hand: AtomicI64,
    /// The steady clock as it was when the wall clock was looked at last.
    compared: AtomicI64,
    told: AtomicBool,
    /// The latest time that a file says; 0 where none does.
    found: AtomicI64,
    /// The last jump, unless it was confirmed.
    jump: Mutex<Option<Jump>>,
    /// Whether the wall clock is right, wherever files are ahead of it.
    accepts_wall: bool,
    snowflakes: Snowflakes,
}

/// The time at the origin, twice, and one more where the steady clock counts half since then.
#[derive(Clone, Copy)]
struct Hand(i64);

impl Hand {
    fn new(micros: i64, is_slow: bool) -> Self {
        Self(micros.clamp(-TIME_MAX, TIME_MAX) << 1 | i64::from(is_slow))
    }

    fn is_slow(self) -> bool {
        self.0 & 1 != 0
    }

    fn time(self, steady: i64) -> i64 {
        (self.0 >> 1) + (steady >> (self.0 & 1))
    }
}

/// A jump of the wall clock.
#[derive(Clone, Copy, Debug)]
struct Jump {
    from: i64,
    to: i64,
}

impl Default for DatabaseTime {
    /// The system's.
    fn default() -> Self {
        Self::new(Arc::new(SystemTimeSource), false)
    }
}

impl DatabaseTime {
    /// Time that begins at what the wall clock says. Whether that is right even where files are far ahead of it, whoever
    /// opens the database may know.
    pub fn new(source: Arc<dyn TimeSource>, accepts_wall: bool) -> Self {
        let hand = Hand::new(micros(source.now()), false);
        Self {
            origin: source.instant(),
            source,
            hand: AtomicI64::new(hand.0),
            compared: AtomicI64::new(0),
            told: AtomicBool::new(false),
            found: AtomicI64::new(0),
            jump: Mutex::default(),
            accepts_wall,
            snowflakes: Snowflakes::default(),
        }
    }

    /// The time, for who shows it or decides by it: from now on commits carry it.
    pub fn tell(&self) -> i64 {
        // Relaxed: whoever commits what depends on it knows of it by what made it depend on it, in this thread or by a lock.
        if !self.told.load(Relaxed) {
            self.told.store(true, Relaxed);
        }
        self.now()
    }

    /// The time, for notes that nobody decides by.
    pub fn now(&self) -> i64 {
        // Acquire: the steady clock is read after it.
        let hand = Hand(self.hand.load(Acquire));
        let steady = self.steady();
        if steady - self.compared.load(Relaxed) >= COMPARED_EVERY {
            return self.compare(hand, steady);
        }
        hand.time(steady)
    }

    /// The time that a commit carries: nothing as long as nobody was told any.
    pub fn told(&self) -> Option<i64> {
        self.told.load(Relaxed).then(|| self.kept())
    }

    /// The time that files carry: now, or the end of the last millisecond that an id was made of.
    pub fn kept(&self) -> i64 {
        self.now().max(self.snowflakes.clock().end())
    }

    /// Takes so many ticks for snowflake ids, and returns the first; `None` where they have run too far ahead of the time.
    /// From now on commits carry the time.
    pub fn take_ticks(&self, count: usize) -> Option<Tick> {
        let present = Tick::of_millisecond(self.tell());
        self.snowflakes.clock().take(present, count)
    }

    /// The clock, the node and the epoch of snowflake ids.
    pub fn snowflakes(&self) -> &Snowflakes {
        &self.snowflakes
    }

    /// The time up to which what has expired may be cleared away: that before the last jump of the wall clock, until it was
    /// confirmed or an hour has passed.
    pub fn settled(&self) -> i64 {
        let now = self.tell();
        match *self.jump.lock() {
            Some(jump) if now - jump.to < CONFIRMED_AFTER => jump.from,
            _ => now,
        }
    }

    /// Says that the wall clock is right, however far it has jumped.
    pub fn confirm(&self) {
        *self.jump.lock() = None;
    }

    /// Notes that the wall clock was found ahead.
    fn note_jump(&self, from: i64, to: i64) {
        if to - from > JUMP_MAX {
            let mut jump = self.jump.lock();
            // One after another: what was not confirmed stays where it was.
            let from = jump
                .filter(|jump| from - jump.to < CONFIRMED_AFTER)
                .map_or(from, |jump| jump.from);
            *jump = Some(Jump { from, to });
        }
    }

    /// How far the time is ahead of the wall clock, if it goes at half speed for that.
    pub fn ahead(&self) -> Option<Duration> {
        let (wall, hand) = (micros(self.source.now()), Hand(self.hand.load(Acquire)));
        let ahead = hand.time(self.steady()).saturating_sub(wall);
        let is_slow = hand.is_slow() && ahead > 0;
        is_slow.then(|| Duration::from_micros(ahead.unsigned_abs()))
    }

    /// A file says that it was so late. To be called before anybody asks for the time.
    pub(crate) fn raise(&self, micros: i64) {
        let seen = Hand::new(micros.min(TIME_MAX) - self.steady(), false);
        self.hand.fetch_max(seen.0, AcqRel);
        self.found.fetch_max(micros.min(TIME_MAX), AcqRel);
    }

    /// To be called once all that files say is known, and before anybody asks for the time. Where that is ahead of the wall
    /// clock by more than a minute, time goes on at half speed, and it is told how far ahead it was; unless the wall clock is
    /// accepted.
    pub(crate) fn begin(&self) -> Option<Duration> {
        let (steady, wall) = (self.steady(), micros(self.source.now()));
        let found = Hand(self.hand.load(Acquire)).time(steady);
        let ahead = Duration::from_micros(u64::try_from(found.saturating_sub(wall)).unwrap_or(0));
        let is_far = ahead > AHEAD_MAX;
        match self.found.load(Relaxed) {
            0 => {}
            before => self.note_jump(before, wall),
        }
        let hand = match is_far {
            true if self.accepts_wall => Hand::new(wall - steady, false),
            true => Hand::new(found - (steady >> 1), true),
            false => Hand::new(found.max(wall) - steady, false),
        };
        self.hand.store(hand.0, Relaxed);
        (is_far && !self.accepts_wall).then_some(ahead)
    }

    /// Moves the hand forward where the wall clock is ahead, unless somebody else does now.
    #[cold]
    fn compare(&self, before: Hand, steady: i64) -> i64 {
        self.compared.fetch_max(steady, Relaxed);
        let (time, wall) = (before.time(steady), micros(self.source.now()));
        if wall <= time {
            return time;
        }
        self.note_jump(time, wall);
        let hand = Hand::new(wall.min(TIME_MAX) - steady, false);
        // Release: whoever reads it finds the steady clock at `steady` or later.
        let moved = self
            .hand
            .compare_exchange(before.0, hand.0, AcqRel, Acquire);
        let hand = moved.map_or_else(Hand, |_| hand);
        // Theirs may have been made later than `steady`.
        hand.time(steady).max(time)
    }

    /// Microseconds since the origin.
    fn steady(&self) -> i64 {
        let since = self.source.instant().saturating_duration_since(self.origin);
        // Not by way of 128 bits: a process does not run for 290,000 years.
        (since.as_secs() as i64).saturating_mul(1_000_000) + i64::from(since.subsec_micros())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ManualTime;
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn noon() -> SystemTime {
        UNIX_EPOCH + DAY * 20_000 + DAY / 2
    }

    fn at(wall: SystemTime) -> (ManualTime, DatabaseTime) {
        let source = ManualTime::at(wall);
        let time = DatabaseTime::new(Arc::new(source.clone()), false);
        (source, time)
    }

    #[test]
    fn time_goes_on_with_the_steady_clock() {
        let (source, time) = at(noon());
        assert_eq!(time.now(), micros(noon()));
        source.advance(SECOND / 2);
        assert_eq!(time.now(), micros(noon() + SECOND / 2));
    }

    #[test]
    fn a_wall_clock_that_is_set_back_takes_nothing_back() {
        let (source, time) = at(noon());
        source.set(noon() - DAY);
        source.advance(SECOND * 5);
        assert_eq!(time.now(), micros(noon() + SECOND * 5));
        assert_eq!(time.ahead(), None, "time goes on as fast as ever");
    }

    #[test]
    fn a_wall_clock_that_is_set_forward_is_followed_within_a_second() {
        let (source, time) = at(noon());
        source.set(noon() + DAY);
        source.advance(SECOND / 2);
        assert_eq!(time.now(), micros(noon() + SECOND / 2));
        source.advance(SECOND / 2);
        assert_eq!(time.now(), micros(noon() + DAY + SECOND));
    }

    #[test]
    fn commits_carry_the_time_once_somebody_was_told_it() {
        let (_source, time) = at(noon());
        time.now();
        assert_eq!(time.told(), None);
        time.tell();
        assert_eq!(time.told(), Some(micros(noon())));
    }

    #[test]
    fn time_that_was_found_far_ahead_goes_on_at_half_speed_until_it_is_caught_up() {
        let (source, time) = at(noon());
        time.raise(micros(noon() + DAY));
        assert_eq!(time.begin(), Some(DAY));
        source.advance(DAY);
        assert_eq!(time.now(), micros(noon() + DAY + DAY / 2));
        assert_eq!(time.ahead(), Some(DAY / 2));
        source.advance(DAY);
        assert_eq!(time.now(), micros(noon() + DAY * 2), "it is caught up");
        source.advance(DAY);
        assert_eq!(time.now(), micros(noon() + DAY * 3));
        assert_eq!(time.ahead(), None);
    }

    #[test]
    fn time_that_was_found_a_little_ahead_goes_on_from_there() {
        let (source, time) = at(noon());
        time.raise(micros(noon() + SECOND * 60));
        time.raise(micros(noon()));
        assert_eq!(time.begin(), None);
        source.advance(SECOND * 60);
        assert_eq!(time.now(), micros(noon() + SECOND * 120));
    }

    #[test]
    fn a_wall_clock_can_be_accepted() {
        let time = DatabaseTime::new(Arc::new(ManualTime::at(noon())), true);
        time.raise(micros(noon() + DAY));
        assert_eq!(time.begin(), None);
        assert_eq!(time.now(), micros(noon()));
    }

    #[test]
    fn a_jump_is_settled_after_an_hour_or_when_it_was_confirmed() {
        const HOUR: Duration = Duration::from_secs(3600);
        let (source, time) = at(noon());
        source.advance(SECOND * 2);
        source.set(noon() + DAY);
        assert_eq!(time.settled(), micros(noon() + SECOND * 2), "it has jumped");
        assert_eq!(time.now(), micros(noon() + DAY));
        source.advance(HOUR - SECOND);
        source.set(noon() + DAY * 3);
        assert_eq!(time.settled(), micros(noon() + SECOND * 2), "and again");
        source.advance(HOUR);
        assert_eq!(time.settled(), micros(noon() + DAY * 3 + HOUR));
        source.advance(SECOND);
        source.set(noon() + DAY * 5);
        assert!(time.settled() < micros(noon() + DAY * 4));
        time.confirm();
        assert_eq!(time.settled(), micros(noon() + DAY * 5));
        // Little by little is no jump.
        source.set(noon() + DAY * 5 + HOUR / 2);
        source.advance(SECOND);
        assert_eq!(time.settled(), micros(noon() + DAY * 5 + HOUR / 2 + SECOND));
    }

    #[test]
    fn a_wall_clock_far_ahead_of_the_files_is_a_jump() {
        let (source, time) = at(noon());
        time.raise(micros(noon() - DAY));
        assert_eq!(time.begin(), None);
        assert_eq!(time.now(), micros(noon()));
        assert_eq!(time.settled(), micros(noon() - DAY));
        source.advance(DAY / 24);
        assert_eq!(time.settled(), time.now());
        let (_source, time) = at(noon());
        time.begin();
        assert_eq!(time.settled(), micros(noon()), "nothing is known of before");
    }

    #[test]
    fn a_file_that_says_an_impossible_time_leaves_room_for_more() {
        let (source, time) = at(noon());
        time.raise(i64::MAX);
        time.begin();
        let begun = time.now();
        source.advance(DAY);
        assert_eq!(time.now() - begun, micros(UNIX_EPOCH + DAY / 2));
        let (_source, time) = at(noon());
        time.raise(i64::MIN);
        assert_eq!(time.begin(), None);
        assert_eq!(time.now(), micros(noon()));
    }

    #[test]
    fn it_never_goes_back_for_anybody() {
        let (source, time) = at(noon());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut last = i64::MIN;
                    for _ in 0..20_000 {
                        let now = time.now();
                        assert!(now >= last, "{now} came after {last}");
                        last = now;
                    }
                });
            }
            for step in 0..2000_u32 {
                source.advance(SECOND / 3);
                match step % 3 {
                    0 => source.set(noon() + SECOND * step * 2),
                    _ => source.set(noon() - DAY),
                }
            }
        });
    }
}
