//! Adding and removing entries.
//!
//! A change walks down like a reader, noting the version of each node. What it decides on is then
//! locked at the versions noted, at most a node and the slot above it, upper first; where one has
//! changed, it lets go and begins again. Locks are only tried for, so nobody waits for anybody in
//! a circle. Memory is taken before the first store: what fails has changed nothing.
//!
//! ```text
//!  the walk ends at                     an insertion
//!    no child                           adds one, in a larger copy of the node if that is full
//!    a row of the same key              puts both into a bucket
//!    a bucket                           adds to it, or to a larger copy, or splits it (`build`)
//!    a node whose prefix differs        puts a Node4 above a copy with a shorter prefix
//! ```
//!
//! A removal is the same backwards. What it leaves is *tidied* in a second walk: small nodes take a
//! smaller kind, small buckets below one node become one, a node with a single child goes. These
//! need memory before they free some; where there is none they are left for the next time.

use super::OrderedIndex;
use super::bucket::{Bucket, Fit, Form};
use super::build::{BUCKET_BYTES_MAX, Item, build, common, entries_max, free};
use super::gather::Gathered;
use super::node::Inner;
use super::tidy::{ROOM_MIN, is_roomy};
use super::version::{Again, Held, Version};
use super::word::{Child, Slot, Word};
use crate::error::Error;
use crate::index::memory::Supply;
use crate::mvcc::epoch::Guard;

/// Why a change came to no end.
pub(super) enum Stop {
    Again,
    Failed(Error),
}

impl From<Again> for Stop {
    fn from(_: Again) -> Self {
        Self::Again
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A slot of the tree, with what vouches for it.
#[derive(Clone, Copy)]
pub(super) struct Place<'g> {
    /// The node that has the slot, and for which byte; none for the root's.
    node: Option<(Inner, u8)>,
    version: &'g Version,
    seen: u64,
    pub(super) slot: &'g Slot,
}

impl<'g> Place<'g> {
    pub(super) fn root(version: &'g Version, slot: &'g Slot) -> Result<Self, Again> {
        Ok(Self {
            node: None,
            version,
            seen: version.read()?,
            slot,
        })
    }

    /// The slot of a node's byte, as of a version that the caller checks.
    pub(super) fn below(inner: Inner, byte: u8, seen: u64) -> Option<Self> {
        Some(Self {
            node: Some((inner, byte)),
            version: &inner.header().version,
            seen,
            slot: inner.find(byte)?,
        })
    }

    /// The slot's content, as of the version noted.
    pub(super) fn word(&self) -> Result<Word, Again> {
        let word = Word::load(self.slot);
        self.version.check(self.seen)?;
        Ok(word)
    }

    pub(super) fn lock(&self) -> Result<Held<'g>, Again> {
        self.version.lock(self.seen)
    }

    /// How many bytes of a row's number lead to it: none above the end of the key.
    pub(super) fn row_bytes(&self) -> usize {
        self.node
            .map_or(0, |(inner, _)| usize::from(inner.row_bytes()))
    }

    /// Empties the slot, which is locked.
    pub(super) fn clear(&self) {
        match self.node {
            Some((inner, byte)) => inner.remove(byte),
            None => Word::NOTHING.store(self.slot),
        }
    }
}

/// An inner node on the way, with the slot that leads to it.
#[derive(Clone, Copy)]
pub(super) struct Step<'g> {
    pub(super) place: Place<'g>,
    pub(super) inner: Inner,
    pub(super) seen: u64,
    /// Where the node's prefix begins.
    pub(super) depth: usize,
}

/// Where a walk along an entry's bytes ends.
pub(super) enum End<'g> {
    /// At a slot with nothing, a row, or a bucket in it.
    Slot(Place<'g>, Child),
    /// At a node that has no child for the byte.
    NoChild(Step<'g>, u8),
    /// At a node whose prefix agrees with so many bytes only.
    Differs(Step<'g>, usize),
}

impl OrderedIndex {
    /// Walks down along an entry's bytes. Also gives the last node on the way and the depth of the
    /// end.
    pub(super) fn walk<'g>(
        &'g self,
        _guard: &'g Guard,
        item: &Item<'_>,
    ) -> Result<(End<'g>, Option<Step<'g>>, usize), Again> {
        let mut place = Place::root(&self.version, &self.root)?;
        let mut last = None;
        let mut depth = 0;
        loop {
            let inner = match place.word()?.child() {
                Child::Inner(inner) => inner,
                child => return Ok((End::Slot(place, child), last, depth)),
            };
            let seen = inner.header().version.read()?;
            let step = Step {
                place,
                inner,
                seen,
                depth,
            };
            let prefix = inner.prefix();
            let agreeing = agreeing(item, depth, prefix);
            if agreeing < prefix.len() {
                return Ok((End::Differs(step, agreeing), last, depth));
            }
            let byte = item.byte(depth + agreeing);
            let Some(below) = Place::below(inner, byte, seen) else {
                inner.header().version.check(seen)?;
                return Ok((End::NoChild(step, byte), Some(step), depth));
            };
            last = Some(step);
            depth += agreeing + 1;
            place = below;
        }
    }

    /// Adds an entry; with `only_new`, only if no entry has its key.
    pub(super) fn try_insert(
        &self,
        guard: &Guard,
        item: Item<'_>,
        only_new: bool,
    ) -> Result<Insertion, Stop> {
        let (end, _, depth) = self.walk(guard, &item)?;
        if only_new && end.is_beyond_key(depth, item.key.len()) {
            return Ok(Insertion::Taken);
        }
        match end {
            End::NoChild(step, byte) => self.add_child(step, byte, item),
            End::Differs(step, agreeing) => self.split_prefix(step, agreeing, item),
            End::Slot(place, Child::Bucket(bucket)) => {
                self.insert_into(place, bucket, depth, item, only_new)
            }
            End::Slot(_, Child::Row(row)) if row.0 == item.row => Ok(Insertion::Exists),
            End::Slot(_, Child::Row(_)) if only_new => Ok(Insertion::Taken),
            End::Slot(place, Child::Row(row)) => {
                assert!(depth >= item.key.len(), "no key is a prefix of another");
                let key = item.key;
                let mut both = [item, Item { key, row: row.0 }];
                both.sort_unstable();
                let _held = place.lock()?;
                build(self.memory.to_grow(), &both, depth)?.store(place.slot);
                Ok(Insertion::Added)
            }
            End::Slot(place, _) => {
                let _held = place.lock()?;
                build(self.memory.to_grow(), &[item], depth)?.store(place.slot);
                Ok(Insertion::Added)
            }
        }
    }

    fn add_child(&self, step: Step<'_>, byte: u8, item: Item<'_>) -> Result<Insertion, Stop> {
        let inner = step.inner;
        let below = step.depth + inner.prefix_len() + 1;
        if inner.count() < inner.room() {
            let _held = inner.header().version.lock(step.seen)?;
            inner.add(byte, build(self.memory.to_grow(), &[item], below)?);
            return Ok(Insertion::Added);
        }
        let _upper = step.place.lock()?;
        let held = inner.header().version.lock(step.seen)?;
        let child = build(self.memory.to_grow(), &[item], below)?;
        match self.copy_of(
            self.memory.to_grow(),
            inner,
            inner.room() + 1,
            inner.prefix(),
        ) {
            Ok(new) => {
                new.add(byte, child);
                self.replace(step.place, new.word(), inner, held);
                Ok(Insertion::Added)
            }
            Err(error) => {
                // SAFETY: the child was just built, and no slot leads to it.
                unsafe { free(&self.memory, child) };
                Err(error.into())
            }
        }
    }

    /// A copy of a locked node, with room for so many children.
    pub(super) fn copy_of(
        &self,
        supply: Supply<'_>,
        inner: Inner,
        room: usize,
        prefix: &[u8],
    ) -> Result<Inner, Error> {
        let row_bytes = inner.row_bytes();
        Inner::make(supply, room, prefix, row_bytes, inner.children())
    }

    /// Puts `new` in the locked slot that leads to a locked inner node, which goes.
    pub(super) fn replace(&self, place: Place<'_>, new: Word, old: Inner, held: Held<'_>) {
        new.store(place.slot);
        held.retire();
        // SAFETY: the slot led to it, and does not any more.
        unsafe { old.retire(&self.memory) };
    }

    fn split_prefix(
        &self,
        step: Step<'_>,
        agreeing: usize,
        item: Item<'_>,
    ) -> Result<Insertion, Stop> {
        let inner = step.inner;
        let prefix = inner.prefix();
        let branch = step.depth + agreeing;
        let _upper = step.place.lock()?;
        let held = inner.header().version.lock(step.seen)?;
        let lower = self.copy_of(
            self.memory.to_grow(),
            inner,
            inner.count(),
            &prefix[agreeing + 1..],
        )?;
        let made = build(self.memory.to_grow(), &[item], branch + 1).and_then(|child| {
            let mut children = [(prefix[agreeing], lower.word()), (item.byte(branch), child)];
            children.sort_unstable_by_key(|(byte, _)| *byte);
            let row_bytes = (branch + 1).saturating_sub(item.key.len()) as u8;
            let upper = Inner::make(
                self.memory.to_grow(),
                2,
                &prefix[..agreeing],
                row_bytes,
                children,
            );
            // SAFETY: the child was just built, and no slot leads to it.
            upper.inspect_err(|_| unsafe { free(&self.memory, child) })
        });
        match made {
            Ok(upper) => {
                self.replace(step.place, upper.word(), inner, held);
                Ok(Insertion::Added)
            }
            Err(error) => {
                // SAFETY: the copy is in no tree; its children, which are, are not freed with it.
                unsafe { lower.free(&self.memory) };
                Err(error.into())
            }
        }
    }

    fn insert_into(
        &self,
        place: Place<'_>,
        bucket: Bucket,
        depth: usize,
        item: Item<'_>,
        only_new: bool,
    ) -> Result<Insertion, Stop> {
        let version = &bucket.header().version;
        let seen = version.read()?;
        let rest = item.rest(depth).strip_prefix(bucket.prefix());
        let fit = rest.map_or(Fit::Unlike, |rest| bucket.fit(rest, item.row));
        let is_taken = match (&fit, rest) {
            (Fit::Goes(at) | Fit::Full(at), Some(rest)) if only_new => {
                has_key_beside(bucket, *at, rest)
            }
            _ => false,
        };
        version.check(seen)?;
        match (fit, rest) {
            (Fit::Is(_), _) => Ok(Insertion::Exists),
            _ if is_taken => Ok(Insertion::Taken),
            (Fit::Goes(at), Some(rest)) => {
                let _held = version.lock(seen)?;
                bucket.put(at, rest, item.row);
                Ok(Insertion::Added)
            }
            (Fit::Full(at), Some(rest)) if may_grow(bucket, rest) => {
                let _upper = place.lock()?;
                let held = version.lock(seen)?;
                let room = grown_room(bucket, at);
                let new = bucket.resized(self.memory.to_grow(), room, rest.len())?;
                new.put(at, rest, item.row);
                self.replace_bucket(place, new.word(), bucket, held);
                Ok(Insertion::Added)
            }
            _ => {
                let _upper = place.lock()?;
                let held = version.lock(seen)?;
                let mut entries = Gathered::default();
                entries.add_bucket(&[], bucket);
                let (key, row) = (item.rest(depth), item.row);
                let supply = self.memory.to_grow();
                let word = entries.build_with(supply, place.row_bytes(), Item { key, row })?;
                self.replace_bucket(place, word, bucket, held);
                Ok(Insertion::Added)
            }
        }
    }

    /// As [`Self::replace`], for a bucket.
    pub(super) fn replace_bucket(&self, place: Place<'_>, new: Word, old: Bucket, held: Held<'_>) {
        new.store(place.slot);
        held.retire();
        // SAFETY: the slot led to it, and does not any more.
        unsafe { old.retire(&self.memory) };
    }

    /// Removes an entry; false where there is none.
    pub(super) fn try_remove(&self, guard: &Guard, item: &Item<'_>) -> Result<Removal, Again> {
        let (end, _, depth) = self.walk(guard, item)?;
        match end {
            End::Slot(place, Child::Row(row)) if row.0 == item.row => {
                let _held = place.lock()?;
                place.clear();
                // Counting a node's entries at each removal would cost more than the removal.
                Ok(match place.node {
                    Some((inner, _)) if inner.is_to_be_tidied() => Removal::Tidy,
                    _ => Removal::Done,
                })
            }
            End::Slot(place, Child::Bucket(bucket)) => self.remove_from(place, bucket, depth, item),
            _ => Ok(Removal::Nothing),
        }
    }

    fn remove_from(
        &self,
        place: Place<'_>,
        bucket: Bucket,
        depth: usize,
        item: &Item<'_>,
    ) -> Result<Removal, Again> {
        let version = &bucket.header().version;
        let seen = version.read()?;
        let rest = item.rest(depth).strip_prefix(bucket.prefix());
        let fit = rest.map_or(Fit::Unlike, |rest| bucket.fit(rest, item.row));
        version.check(seen)?;
        let Fit::Is(at) = fit else {
            return Ok(Removal::Nothing);
        };
        let left = bucket.count() - 1;
        if left == 0 {
            let _upper = place.lock()?;
            let held = version.lock(seen)?;
            place.clear();
            held.retire();
            // SAFETY: the slot led to it, and does not any more.
            unsafe { bucket.retire(&self.memory) };
            return Ok(Removal::Tidy);
        }
        if is_roomy(bucket, left) || left == 1 {
            let _upper = place.lock()?;
            let held = version.lock(seen)?;
            bucket.take(at);
            self.shrink(place, bucket, held);
            return Ok(Removal::Tidy);
        }
        let _held = version.lock(seen)?;
        bucket.take(at);
        Ok(Removal::Done)
    }
}

/// What came of an insertion.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Insertion {
    Added,
    /// The entry was there.
    Exists,
    /// Another entry has the key, and then this one was not wanted.
    Taken,
}

impl End<'_> {
    /// Whether the walk, which came to this depth, has branched within the row's number: then all
    /// that is there has the key.
    fn is_beyond_key(&self, depth: usize, key_len: usize) -> bool {
        match self {
            Self::Slot(..) => depth > key_len,
            Self::NoChild(step, _) => depth + step.inner.prefix_len() >= key_len,
            Self::Differs(_, agreeing) => depth + agreeing >= key_len,
        }
    }
}

/// What a removal did.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    Nothing,
    Done,
    /// Done, and the node above may be too large now.
    Tidy,
}

/// How much of a prefix agrees with an entry's bytes.
#[inline]
fn agreeing(item: &Item<'_>, depth: usize, prefix: &[u8]) -> usize {
    let rest = item.rest(depth);
    let keys = common(rest, prefix);
    if keys < rest.len() || keys == prefix.len() {
        return keys;
    }
    let row = prefix[keys..].iter().enumerate();
    let same = row.take_while(|(at, byte)| {
        let at = depth + keys + at;
        at < item.len() && item.byte(at) == **byte
    });
    keys + same.count()
}

/// Whether an entry that would go there has neighbours with its key.
fn has_key_beside(bucket: Bucket, at: usize, rest: &[u8]) -> bool {
    let len = bucket.len();
    let has = |at: usize| at < len && bucket.has_rest(at, rest);
    has(at) || has(at.wrapping_sub(1))
}

/// Whether a full bucket may stay one bucket in the form it has.
fn may_grow(bucket: Bucket, rest: &[u8]) -> bool {
    let form = bucket.form();
    bucket.count() < entries_max(form)
        && (form != Form::Tails || bucket.bytes() + rest.len() <= BUCKET_BYTES_MAX)
}

/// Room for a full bucket that gets one entry more. Where it goes to the end, keys probably come in
/// order, and many more will.
fn grown_room(bucket: Bucket, at: usize) -> usize {
    let count = bucket.count();
    let form = bucket.form();
    if form == Form::Tails {
        // A quarter at most, so that offsets of tails stay within 16 bits.
        return count + count / 4 + 1;
    }
    let more = if at == count && count >= ROOM_MIN {
        count
    } else {
        count / 8 + 1
    };
    let room = (count + more).min(entries_max(form));
    Bucket::room_in_slot(form, bucket.prefix_len(), room).min(entries_max(form))
}
