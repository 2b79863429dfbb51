//! Nodes made smaller where entries went: a bucket or an inner node that has more room than it needs, and a
//! node whose few entries fit one bucket, or whose only child can take its place.

use super::OrderedIndex;
use super::bucket::Bucket;
use super::build::{Item, MODELLED};
use super::change::{Place, Step};
use super::gather::Gathered;
use super::version::{Again, Held};
use super::word::Child;
use crate::mvcc::epoch::Guard;

/// Entries that are gathered into one bucket when they are all that a node has below it. Less than
/// what a bucket is split at, so that one is not split and gathered in turn.
const GATHER_MAX: usize = if MODELLED { 3 } else { 48 };
/// Entries in a bucket that is smaller than all its slots from here on.
pub(super) const ROOM_MIN: usize = 4;

/// Whether a bucket has much more room than so many entries need, which are as many as it has, or fewer.
pub(super) fn is_roomy(bucket: Bucket, entries: usize) -> bool {
    entries >= ROOM_MIN && entries < bucket.room() / 2
}

impl OrderedIndex {
    /// Builds a locked bucket anew, with its slot locked; it stays if there is no memory.
    pub(super) fn shrink(&self, place: Place<'_>, old: Bucket, held: Held<'_>) {
        let mut entries = Gathered::default();
        entries.add_bucket(&[], old);
        if let Ok(word) = entries.build(self.memory.to_shrink(), place.row_bytes()) {
            self.replace_bucket(place, word, old, held);
        }
    }

    /// Makes the last node on the way to where an entry was smaller, if it may be. Returns whether
    /// the node above may be made smaller, too.
    pub(super) fn try_tidy(&self, guard: &Guard, item: &Item<'_>) -> Result<bool, Again> {
        let (_, last, _) = self.walk(guard, item)?;
        match last {
            Some(step) => Ok(self.tidy(step)? == Tidied::Gathered),
            None => Ok(false),
        }
    }

    /// Makes an inner node smaller, if it may be and there is memory.
    pub(super) fn tidy(&self, step: Step<'_>) -> Result<Tidied, Again> {
        let inner = step.inner;
        let few = inner.count() <= inner.few();
        if self.are_few_below(step)? {
            return self.gather(step);
        }
        match inner.count() {
            _ if !few => Ok(Tidied::Nothing),
            1 => self.skip(step),
            count => {
                let _upper = step.place.lock()?;
                let held = inner.header().version.lock(step.seen)?;
                let supply = self.memory.to_shrink();
                let Ok(new) = self.copy_of(supply, inner, count, inner.prefix()) else {
                    return Ok(Tidied::Nothing);
                };
                self.replace(step.place, new.word(), inner, held);
                Ok(Tidied::Smaller)
            }
        }
    }

    /// Whether there are few entries below a node, and no node between.
    fn are_few_below(&self, step: Step<'_>) -> Result<bool, Again> {
        let mut entries = 0;
        for (_, word) in step.inner.children() {
            entries += match word.child() {
                Child::Nothing => 0,
                Child::Row(_) => 1,
                Child::Bucket(bucket) => bucket.count(),
                Child::Inner(_) => return Ok(false),
            };
            if entries > GATHER_MAX {
                return Ok(false);
            }
        }
        step.inner.header().version.check(step.seen)?;
        Ok(true)
    }

    /// Puts all entries below a node into one bucket.
    fn gather(&self, step: Step<'_>) -> Result<Tidied, Again> {
        let inner = step.inner;
        let _upper = step.place.lock()?;
        let held = inner.header().version.lock(step.seen)?;
        let children: Vec<_> = inner.children().collect();
        let mut locked = Vec::with_capacity(children.len());
        for (_, word) in &children {
            if let Child::Bucket(bucket) = word.child() {
                let version = &bucket.header().version;
                locked.push((bucket, version.lock(version.read()?)?));
            }
        }
        let mut gathered = Gathered::default();
        let key_bytes = usize::from(inner.row_bytes());
        for (byte, word) in children {
            let mut lead = inner.prefix().to_vec();
            lead.push(byte);
            // Within the row id, entries have no bytes of key here.
            lead.truncate(lead.len() - key_bytes.min(lead.len()));
            match word.child() {
                Child::Row(row) => gathered.add(&lead, row.0),
                Child::Bucket(bucket) => gathered.add_bucket(&lead, bucket),
                _ => {}
            }
        }
        if gathered.entries.is_empty() {
            step.place.clear();
        } else {
            match gathered.build_one(self.memory.to_shrink(), step.place.row_bytes()) {
                Some(word) => word.store(step.place.slot),
                None => return Ok(Tidied::Nothing),
            }
        }
        for (bucket, held) in locked {
            held.retire();
            // SAFETY: the node's slot led to it, and the node goes.
            unsafe { bucket.retire(&self.memory) };
        }
        held.retire();
        // SAFETY: the place's slot led to it, and does not any more.
        unsafe { inner.retire(&self.memory) };
        Ok(Tidied::Gathered)
    }

    /// Takes out a node with a single child, an inner one: its bytes become the child's.
    fn skip(&self, step: Step<'_>) -> Result<Tidied, Again> {
        let inner = step.inner;
        let _upper = step.place.lock()?;
        let held = inner.header().version.lock(step.seen)?;
        let Some((byte, word)) = inner.children().next() else {
            return Ok(Tidied::Nothing);
        };
        let Child::Inner(lower) = word.child() else {
            return Ok(Tidied::Nothing);
        };
        let version = &lower.header().version;
        let lower_held = version.lock(version.read()?)?;
        let prefix = [inner.prefix(), &[byte], lower.prefix()].concat();
        let supply = self.memory.to_shrink();
        let Ok(new) = self.copy_of(supply, lower, lower.count(), &prefix) else {
            return Ok(Tidied::Nothing);
        };
        self.replace(step.place, new.word(), inner, held);
        lower_held.retire();
        // SAFETY: only the node above led to it, which is out of the tree.
        unsafe { lower.retire(&self.memory) };
        Ok(Tidied::Smaller)
    }
}

/// Outcome for an inner node that may have been too large.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tidied {
    /// Left as it was.
    Nothing,
    /// A smaller one took its place.
    Smaller,
    /// A bucket took its place, or nothing did: the node above may be too large now.
    Gathered,
}
