//! INTERVAL: months, days and microseconds, kept apart because a month has no fixed length.

/// A span of time. Compared as PostgreSQL does: a month counts 30 days, a day 24 hours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    /// Whole months.
    pub months: i32,
    /// Days beside the months.
    pub days: i32,
    /// Microseconds beside months and days.
    pub micros: i64,
}

impl Interval {
    /// The length by which intervals are compared, in microseconds.
    pub fn comparable(self) -> i128 {
        let days = i128::from(self.months) * 30 + i128::from(self.days);
        days * 86_400_000_000 + i128::from(self.micros)
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Self) -> bool {
        self.comparable() == other.comparable()
    }
}

impl Eq for Interval {}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.comparable().cmp(&other.comparable())
    }
}

impl std::hash::Hash for Interval {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.comparable().hash(state);
    }
}
