//! Usage as bytes of a row, and how long it says anything.

use super::bucket::{LEVEL_MAX, micros};
use super::decision::{Decision, SECONDS_MAX};
use super::limits::{Kind, Limit, Rule, Usage, Used};
use super::quota::{Entry, LIMIT_MAX, LOG_MAX, Quota};
use crate::error::Result;

impl Usage {
    /// The decision on a call that costs one, by the limit as it was called last.
    ///
    /// # Errors
    /// None for a usage that [`Limit::take`] has made.
    pub(crate) fn peek(&self, at: i64) -> Result<Decision> {
        self.limit.peek(Some(self), at)
    }

    /// How long after `last` it says no more than no usage at all, in microseconds.
    pub(super) fn lasts(&self) -> i64 {
        match (&self.used, &self.limit.rule) {
            (Used::Level(level), _) => micros(*level),
            (_, Rule::Quota(Quota { window, .. })) if self.limit.kind == Kind::Window => 2 * window,
            (_, Rule::Quota(Quota { window, .. })) => *window,
            (_, Rule::Bucket(_)) => 0,
        }
    }

    /// As words: the numbers of the limit, the moment, what is used.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut words = Vec::with_capacity(8);
        match &self.limit.rule {
            Rule::Bucket(bucket) => {
                words.extend([bucket.capacity, bucket.per_second].map(f64::to_bits));
            }
            Rule::Quota(quota) => words.extend([quota.limit, quota.window].map(i64::cast_unsigned)),
        }
        words.push(self.last.cast_unsigned());
        match &self.used {
            Used::Level(level) => words.extend([*level as u64, (*level >> 64) as u64]),
            Used::Counts(counts) => words.extend(counts.map(i64::cast_unsigned)),
            Used::Entries(entries) => {
                let words_of = |entry: &Entry| [entry.at, entry.amount].map(i64::cast_unsigned);
                words.extend(entries.iter().flat_map(words_of));
            }
        }
        words.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    /// Reads the bytes of [`Self::to_bytes`]; `None` for others, which anybody may have written.
    pub(super) fn from_bytes(kind: Kind, bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().copied().map(u64::from_le_bytes).collect();
        let [first, second, last, used @ ..] = &*words else {
            return None;
        };
        if !rest.is_empty() || used.len() % 2 != 0 {
            return None;
        }
        let is_bucket = matches!(kind, Kind::Token | Kind::Leaky);
        let limit = match is_bucket {
            true => Limit::bucket(kind, f64::from_bits(*first), f64::from_bits(*second)),
            false => Limit::quota(kind, first.cast_signed(), second.cast_signed()),
        };
        let pairs = used.as_chunks::<2>().0;
        let used = match (kind, pairs) {
            (Kind::Log, pairs) => Used::Entries(pairs.iter().map(entry).collect()),
            (_, [[low, high]]) if is_bucket => {
                Used::Level(i128::from(*low) | i128::from(high.cast_signed()) << 64)
            }
            (_, [pair]) if !is_bucket => Used::Counts(pair.map(u64::cast_signed)),
            _ => return None,
        };
        let read = Self {
            limit: limit.ok()?,
            last: last.cast_signed(),
            used,
        };
        read.is_sound().then_some(read)
    }

    /// Whether a limit may have made it.
    fn is_sound(&self) -> bool {
        let is_recent = |entry: &Entry| {
            let age = self.last.checked_sub(entry.at);
            age.is_some_and(|age| (0..=SECONDS_MAX * 1_000_000).contains(&age))
        };
        match &self.used {
            Used::Level(level) => (0..=LEVEL_MAX).contains(level),
            Used::Counts(counts) => counts.iter().all(|count| (0..=LIMIT_MAX).contains(count)),
            Used::Entries(entries) => entries
                .iter()
                .all(|entry| (1..=LOG_MAX).contains(&entry.amount) && is_recent(entry)),
        }
    }
}

fn entry([at, amount]: &[u64; 2]) -> Entry {
    Entry {
        at: at.cast_signed(),
        amount: amount.cast_signed(),
    }
}
