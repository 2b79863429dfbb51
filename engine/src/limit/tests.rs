use super::limits::Usage;
use super::{Decision, Kind, Limit};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::time::Duration;

/// Random calls of each kind.
const CALLS: usize = 100_000;
const SECOND: i64 = 1_000_000;

/// A key's limit, called at times that go on.
struct Caller {
    limit: Limit,
    usage: Option<Usage>,
}

impl Caller {
    fn new(limit: Limit) -> Self {
        Self { limit, usage: None }
    }

    /// A call; what is used is written and read again, and forgotten when it may be.
    fn call(&mut self, cost: f64, at: i64) -> Decision {
        let (decision, usage) = self.limit.take(self.usage.as_ref(), cost, at).unwrap();
        if let Some(usage) = usage {
            let read = Usage::from_bytes(self.limit.kind, &usage.to_bytes());
            assert_eq!(read.as_ref(), Some(&usage));
            self.usage = read;
        }
        decision
    }

    fn would_allow(&self, cost: f64, at: i64) -> bool {
        let (decision, _) = self.limit.take(self.usage.as_ref(), cost, at).unwrap();
        decision.allowed
    }

    fn expire(&mut self, at: i64) {
        let expired = |usage: &Usage| usage.last + usage.lasts() <= at;
        if self.usage.as_ref().is_some_and(expired) {
            self.usage = None;
        }
    }
}

/// All that a key has taken, written down without a thought for room: cost and time of all that was allowed.
#[derive(Default)]
struct Book(Vec<(i64, i64)>);

impl Book {
    fn sum(&self, from: i64, to: i64) -> i64 {
        let within = self.0.iter().filter(|(at, _)| (from..to).contains(at));
        within.map(|(_, cost)| cost).sum()
    }

    /// The amount that counts at a moment, times the length of the window: a whole number.
    fn weight(&self, kind: Kind, window: i64, at: i64) -> i64 {
        let start = at.div_euclid(window) * window;
        match kind {
            Kind::Fixed => self.sum(start, at + 1) * window,
            Kind::Log => self.sum(at - window + 1, at + 1) * window,
            _ => {
                let left = start + window - at;
                self.sum(start, at + 1) * window + self.sum(start - window, start) * left
            }
        }
    }
}

struct Random(TestRng);

impl Random {
    fn new() -> Self {
        Self(TestRng::deterministic_rng(RngAlgorithm::ChaCha))
    }

    fn below(&mut self, end: i64) -> i64 {
        (self.0.next_u64() % end as u64) as i64
    }

    /// Pauses of all lengths: none, short ones, some that are as long as `most`.
    fn pause(&mut self, most: i64) -> i64 {
        match self.below(4) {
            0 => 0,
            1 => self.below(1000),
            2 => self.below(most / 20 + 1),
            _ => self.below(most / 3 + 1),
        }
    }
}

/// A call that waits for as long as it was told is allowed, and one that waits less is not.
fn check_wait(caller: &Caller, decision: Decision, cost: i64, at: i64) {
    let wait = decision.retry_after.as_micros() as i64;
    assert_eq!(decision.allowed, wait == 0);
    if !decision.allowed {
        assert!(caller.would_allow(cost as f64, at + wait), "after {wait}");
        assert!(
            !caller.would_allow(cost as f64, at + wait - 1),
            "before {wait}"
        );
    }
}

#[test]
fn windows_are_as_a_book_says() {
    let mut random = Random::new();
    for kind in [Kind::Window, Kind::Fixed, Kind::Log] {
        let (mut done, mut allowed) = (0, 0);
        while done < CALLS {
            let (limit, window) = (1 + random.below(20), 1 + random.below(60 * SECOND));
            let mut caller = Caller::new(Limit::quota(kind, limit, window).unwrap());
            let mut book = Book::default();
            let mut at = random.below(1 << 40) - (1 << 39);
            for _ in 0..100 {
                at += random.pause(3 * window);
                let cost = random.below(limit.min(4) + 1);
                caller.expire(at);
                let before = book.weight(kind, window, at);
                let decision = caller.call(cost as f64, at);
                let is_room = before + cost * window <= limit * window;
                assert_eq!(decision.allowed, is_room, "{kind:?} {limit} {window} {at}");
                if is_room {
                    book.0.push((at, cost));
                    allowed += 1;
                }
                let room = (limit * window - book.weight(kind, window, at)).max(0);
                let remaining = room as f64 / window as f64;
                assert!((decision.remaining - remaining).abs() < 1e-5);
                check_wait(&caller, decision, cost, at);
                done += 1;
            }
        }
        assert!(allowed > CALLS / 10 && allowed < CALLS, "{allowed}");
    }
}

#[test]
fn buckets_are_as_tokens_that_are_counted() {
    /// Tokens are counted in millionths, of which each microsecond brings a whole number.
    const MILLION: i64 = 1_000_000;
    let mut random = Random::new();
    for kind in [Kind::Token, Kind::Leaky] {
        let (mut done, mut allowed) = (0, 0);
        while done < CALLS {
            let per_second = [1, 2, 4, 5, 8, 10, 25, 100][random.below(8) as usize];
            let capacity = 1 + random.below(20);
            let limit = Limit::bucket(kind, capacity as f64, per_second as f64).unwrap();
            let (mut caller, mut tokens) = (Caller::new(limit), capacity * MILLION);
            let mut at = random.below(1 << 40);
            for _ in 0..100 {
                let pause = random.pause(2 * capacity * SECOND / per_second);
                at += pause;
                tokens = (tokens + pause * per_second).min(capacity * MILLION);
                caller.expire(at);
                let cost = random.below(capacity.min(4) + 1);
                let decision = caller.call(cost as f64, at);
                assert_eq!(
                    decision.allowed,
                    tokens >= cost * MILLION,
                    "{capacity} {per_second}"
                );
                if decision.allowed {
                    tokens -= cost * MILLION;
                    allowed += 1;
                }
                assert!((decision.remaining - tokens as f64 / 1e6).abs() < 1e-5);
                check_wait(&caller, decision, cost, at);
                done += 1;
            }
        }
        assert!(allowed > CALLS / 10 && allowed < CALLS, "{allowed}");
    }
}

#[test]
fn of_ten_calls_at_once_five_pass_and_three_more_after_three_seconds() {
    for kind in [Kind::Token, Kind::Leaky] {
        let mut caller = Caller::new(Limit::bucket(kind, 5.0, 1.0).unwrap());
        let mut passes = |at: i64| (0..10).filter(|_| caller.call(1.0, at).allowed).count();
        assert_eq!(
            (passes(0), passes(3 * SECOND), passes(3 * SECOND)),
            (5, 3, 0)
        );
    }
}

#[test]
fn half_of_the_window_before_counts_by_half() {
    let mut caller = Caller::new(Limit::quota(Kind::Window, 100, 60 * SECOND).unwrap());
    let minutes = |minutes: f64| (minutes * 60e6) as i64;
    assert_eq!(caller.call(80.0, minutes(0.2)).remaining, 20.0);
    assert_eq!(caller.call(40.0, minutes(1.5)).remaining, 20.0, "weight 80");
    assert!(!caller.would_allow(21.0, minutes(1.5)));
    assert!(caller.would_allow(20.0, minutes(1.5)));
    assert_eq!(
        caller.call(0.0, minutes(3.0)).remaining,
        100.0,
        "two idle windows"
    );
}

#[test]
fn rates_that_are_no_whole_number_of_anything_let_the_capacity_through() {
    for per_second in [3.0, 7.0, 0.3, 1.0 / 7.0, 999_983.0] {
        let mut caller = Caller::new(Limit::bucket(Kind::Token, 1000.0, per_second).unwrap());
        let passed = (0..2000).filter(|_| caller.call(1.0, 0).allowed).count();
        assert_eq!(passed, 1000, "{per_second}");
        let left = caller.call(0.0, 0).remaining;
        assert_eq!(left, 0.0, "{per_second}");
    }
}

#[test]
fn an_earlier_time_counts_as_the_last() {
    let mut caller = Caller::new(Limit::quota(Kind::Fixed, 1, SECOND).unwrap());
    assert!(caller.call(1.0, 10 * SECOND).allowed);
    assert!(!caller.call(1.0, 3 * SECOND).allowed);
    assert!(caller.call(1.0, 11 * SECOND).allowed);
}

#[test]
fn a_greater_capacity_is_room_in_a_leaky_bucket_and_no_tokens_in_another() {
    let remaining = |kind| {
        let small = Limit::bucket(kind, 5.0, 1.0).unwrap();
        let great = Limit::bucket(kind, 20.0, 2.0).unwrap();
        let (_, usage) = small.take(None, 3.0, 0).unwrap();
        let (decision, _) = great.take(usage.as_ref(), 0.0, 0).unwrap();
        decision.remaining
    };
    assert_eq!(
        (remaining(Kind::Token), remaining(Kind::Leaky)),
        (2.0, 17.0)
    );
}

#[test]
fn numbers_that_make_no_limit_are_refused() {
    let numbers = [f64::NAN, f64::INFINITY, -1.0, 0.0, -0.0];
    for number in numbers {
        assert!(Limit::token_bucket(number, 1.0).is_err(), "{number}");
        assert!(Limit::leaky_bucket(1.0, number).is_err(), "{number}");
    }
    assert!(Limit::token_bucket(1e300, 1e-300).is_err());
    assert!(Limit::token_bucket(1.0, 1e10).is_err());
    let second = Duration::from_secs(1);
    for limit in [0, -1, i64::MIN, i64::MAX] {
        assert!(Limit::sliding_window(limit, second).is_err(), "{limit}");
    }
    assert!(Limit::sliding_log(100_001, second).is_err());
    for window in [Duration::ZERO, Duration::MAX] {
        assert!(Limit::fixed_window(1, window).is_err(), "{window:?}");
    }
    let limit = Limit::token_bucket(5.0, 1.0).unwrap();
    for cost in [f64::NAN, -1.0, 5.000_001, f64::INFINITY] {
        let error = limit.take(None, cost, 0).unwrap_err();
        assert_eq!(error.sqlstate(), "22023", "{cost}");
    }
}

/// A part of a call would count as none.
#[test]
fn what_is_counted_costs_whole_numbers() {
    let minute = Duration::from_secs(60);
    for limit in [
        Limit::sliding_window(5, minute),
        Limit::fixed_window(5, minute),
        Limit::sliding_log(5, minute),
    ] {
        let limit = limit.unwrap();
        for cost in [0.5, 1.9] {
            assert_eq!(limit.take(None, cost, 0).unwrap_err().sqlstate(), "22023");
        }
        limit.take(None, 5.0, 0).unwrap();
    }
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    let limits = [
        Limit::token_bucket(1e9, 1e9),
        Limit::leaky_bucket(0.5, 1e-8),
        Limit::sliding_window(1 << 53, Duration::from_secs(1)),
        Limit::fixed_window(1, Duration::from_secs(100 * 366 * 24 * 3600)),
        Limit::sliding_log(1, Duration::from_micros(1)),
    ];
    for limit in limits {
        let limit = limit.unwrap();
        let cost = match limit.kind() {
            Kind::Token | Kind::Leaky => 0.5,
            _ => 1.0,
        };
        for at in [i64::MIN + 1, 0, i64::MAX - 1] {
            let (_, usage) = limit.take(None, cost, at).unwrap();
            for later in [at, 0, i64::MAX - 1] {
                limit.take(usage.as_ref(), cost, later).unwrap();
            }
        }
    }
}

#[test]
fn other_bytes_are_no_usage() {
    let limit = Limit::quota(Kind::Fixed, 1, SECOND).unwrap();
    let (_, usage) = limit.take(None, 1.0, 0).unwrap();
    let bytes = usage.unwrap().to_bytes();
    for end in 0..bytes.len() {
        assert_eq!(Usage::from_bytes(Kind::Fixed, &bytes[..end]), None);
    }
    assert_eq!(Usage::from_bytes(Kind::Fixed, &[0xff; 40]), None);
    assert_eq!(Usage::from_bytes(Kind::Token, &[0xff; 40]), None);
}

/// The table of usages is one that everybody may write to. Numbers that no limit has made are no usage, and those that are one do
/// no harm.
#[test]
fn numbers_that_others_have_written_do_no_harm() {
    const ODD: [i64; 8] = [
        i64::MIN,
        i64::MIN + 1,
        -1,
        0,
        1,
        1 << 53,
        i64::MAX - 1,
        i64::MAX,
    ];
    let mut random = Random::new();
    let limits = [
        Limit::token_bucket(5.0, 1.0),
        Limit::leaky_bucket(1e9, 1e9),
        Limit::sliding_window(5, Duration::from_secs(60)),
        Limit::fixed_window(1 << 53, Duration::from_micros(1)),
        Limit::sliding_log(100, Duration::from_secs(60)),
    ];
    let mut sound = 0;
    for limit in limits.map(Result::unwrap) {
        let (_, made) = limit.take(None, 1.0, 0).unwrap();
        let bytes = made.unwrap().to_bytes();
        for _ in 0..CALLS / 5 {
            let mut bytes = bytes.clone();
            for word in bytes.chunks_exact_mut(8).skip(2) {
                if random.below(2) == 0 {
                    word.copy_from_slice(&ODD[random.below(8) as usize].to_le_bytes());
                }
            }
            if let Some(usage) = Usage::from_bytes(limit.kind, &bytes) {
                sound += 1;
                for at in [i64::MIN + 1, 0, i64::MAX - 1] {
                    usage.peek(at).unwrap();
                    limit.take(Some(&usage), 1.0, at).unwrap();
                    usage.expires_at(at, true);
                }
            }
        }
    }
    assert!(sound > CALLS / 50, "{sound}");
}
