//! Buckets: many entries below one place of the tree, sorted.
//!
//! ```text
//!  Rows    header | row 8 ..                            entries of one key; no key bytes at all
//!  Words   header | head 8 .. | row 8 ..                keys of one length, at most 8 bytes of rest
//!  Tails   header | used 4, room 4 | head 8 .. | row 8 .. | tail 4 .. | bytes ->
//! ```
//!
//! The *prefix* is what all keys have in common from the bucket's place on, and stands once. The
//! *rest* of a key comes after it. The *head* is the rest's first 8 bytes, zero-padded, as an
//! integer that compares as they do. A *tail* says how long the rest is and where its bytes beyond
//! the head are. Neighbours with equal tails share the bytes, so the `@example.com` of a million
//! addresses stands once a bucket.
//!
//! Heads stand apart from rows, so that a search reads few cache lines; and it does not branch on
//! them, so that the next look-up may begin while this one waits for memory.
//!
//! Invariants
//! - Entries ascend strictly by rest, then row; `count` of them count.
//! - Bytes of tails are written once, before the tail that names them (release), and not used
//!   again while the bucket lives: who loads a tail (acquire) may read them without a check.

use super::node::{Header, Node, prefix_bytes};
use super::rest::Rest;
use super::word::{Kind, Word};
use crate::error::Result;
use crate::ids::RowId;
use crate::index::memory::Supply;
use crate::pool::{Owner, rounded_bytes};
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicU32, AtomicU64};
use std::cmp::Ordering;
use std::hint::select_unpredictable;
use std::ptr::NonNull;

const HEADER: usize = size_of::<Header>();
const WORD: usize = 8;
const TAIL: usize = 4;
/// Bytes of a rest in its head.
pub(super) const HEAD_BYTES: usize = 8;
/// Words that are searched in a constant number of steps.
const WORDS_FEW: usize = 63;

/// How a bucket keeps keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// All keys are the prefix.
    Rows,
    /// All rests have this many bytes, 1 to 8.
    Words(u8),
    /// Rests of any length.
    Tails,
}

impl Form {
    fn bytes(self) -> (u8, u8) {
        match self {
            Self::Rows => (0, 0),
            Self::Words(len) => (1, len),
            Self::Tails => (2, 0),
        }
    }

    /// Bytes before the first entry, and of an entry without the bytes of its tail.
    pub(super) fn layout(self) -> (usize, usize) {
        match self {
            Self::Rows => (HEADER, WORD),
            Self::Words(_) => (HEADER, 2 * WORD),
            Self::Tails => (HEADER + WORD, 2 * WORD + TAIL),
        }
    }
}

/// A place in the order of entries: after all entries with a lesser key, and of this key after
/// those whose row is below `rows` (all, if that is beyond any number of a row).
#[derive(Clone, Copy)]
pub(super) struct Goal<'a> {
    /// What follows the bucket's prefix in the key.
    pub(super) rest: &'a [u8],
    pub(super) rows: u128,
}

/// What a look-up found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Nothing,
    Row(RowId),
    /// Several, not looked at one by one.
    Rows,
}

/// Whether an entry is in a bucket, or could be.
pub(super) enum Fit {
    Is(usize),
    /// It belongs here, and there is room.
    Goes(usize),
    /// It belongs here; there is no room.
    Full(usize),
    /// The bucket keeps keys in a form that does not suit this one.
    Unlike,
}

/// A node of entries.
#[derive(Clone, Copy)]
pub(super) struct Bucket(Node);

impl std::ops::Deref for Bucket {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}

/// How many of ascending words are below one. Up to [`WORDS_FEW`] words take the same steps
/// whatever they are, without a branch that depends on them: the processor goes on with what comes
/// after while the words are on their way.
#[inline(always)]
fn count_below(words: &[AtomicU64], goal: u64) -> usize {
    match words.len() {
        0 => 0,
        1..=WORDS_FEW => count_in_steps(words, goal, WORDS_FEW.div_ceil(2)),
        _ => count_below_many(words, goal),
    }
}

/// As [`count_below`], in steps that only the number of words decides on.
fn count_below_many(words: &[AtomicU64], goal: u64) -> usize {
    count_in_steps(words, goal, 1 << words.len().ilog2())
}

#[inline(always)]
fn count_in_steps(words: &[AtomicU64], goal: u64, first: usize) -> usize {
    let (mut below, mut step) = (0, first);
    while step > 0 {
        below = step_up(words, goal, below, step);
        step /= 2;
    }
    below
}

/// `below + step`, if so many words are below the goal, else `below`.
#[inline(always)]
fn step_up(words: &[AtomicU64], goal: u64, below: usize, step: usize) -> usize {
    let next = below + step;
    let word = words[next.min(words.len()) - 1].load(Relaxed);
    let is_below = (next <= words.len()) & (word < goal);
    select_unpredictable(is_below, next, below)
}

impl Bucket {
    #[inline]
    pub(super) fn new(at: NonNull<Header>) -> Self {
        Self(Node::new(at))
    }

    /// An empty bucket with room for at least so many entries and bytes of tails.
    pub(super) fn make(
        supply: Supply<'_>,
        form: Form,
        prefix: &[u8],
        entries: usize,
        tail_bytes: usize,
    ) -> Result<Self> {
        let bytes = Self::bytes_for(form, prefix.len(), entries, tail_bytes);
        let bucket = Self(Node::allocate(supply, bytes, prefix, form.bytes())?);
        if form == Form::Tails {
            let (start, each) = form.layout();
            // What the slot has beyond the wanted is shared out as it was wanted.
            let spare = bucket.bytes() - bytes;
            let entries = entries + spare / (each + tail_bytes / entries.max(1));
            let [used, room] = bucket.tails_header();
            used.store((start + entries * each) as u32, Relaxed);
            room.store(entries as u32, Relaxed);
        }
        Ok(bucket)
    }

    /// Bytes of such a bucket.
    pub(super) fn bytes_for(
        form: Form,
        prefix_len: usize,
        entries: usize,
        tail_bytes: usize,
    ) -> usize {
        let (start, each) = form.layout();
        start + entries * each + tail_bytes + prefix_bytes(prefix_len)
    }

    pub(super) fn word(self) -> Word {
        Word::node(self.0.address(), Kind::Bucket)
    }

    #[inline]
    pub(super) fn form(self) -> Form {
        let header = self.header();
        match header.form {
            0 => Form::Rows,
            1 => Form::Words(header.detail),
            _ => Form::Tails,
        }
    }

    /// How many entries have room.
    #[inline]
    pub(super) fn room(self) -> usize {
        let form = self.form();
        let (start, each) = form.layout();
        match form {
            Form::Tails => self.tails_header()[1].load(Relaxed) as usize,
            _ => (self.bytes() - start - prefix_bytes(self.prefix_len())) / each,
        }
    }

    /// Entries that may be read: never more than have room.
    #[inline]
    pub(super) fn len(self) -> usize {
        self.count().min(self.room())
    }

    /// Where the next tail's bytes go, and how many entries have room.
    #[inline]
    fn tails_header<'g>(self) -> &'g [AtomicU32; 2] {
        let words = self.array(HEADER, 2);
        words.first_chunk().expect("two were asked for")
    }

    #[inline]
    pub(super) fn heads<'g>(self) -> &'g [AtomicU64] {
        match self.form() {
            Form::Rows => &[],
            form => self.array(form.layout().0, self.room()),
        }
    }

    #[inline]
    pub(super) fn rows<'g>(self) -> &'g [AtomicU64] {
        let room = self.room();
        let form = self.form();
        let heads = if form == Form::Rows { 0 } else { room };
        self.array(form.layout().0 + heads * WORD, room)
    }

    #[inline]
    fn tails<'g>(self) -> &'g [AtomicU32] {
        let room = self.room();
        self.array(Form::Tails.layout().0 + 2 * room * WORD, room)
    }

    #[inline]
    pub(super) fn row(self, at: usize) -> u64 {
        self.rows()[at].load(Relaxed)
    }

    /// Length of a rest, and its bytes beyond the head; for buckets with tails.
    #[inline]
    pub(super) fn tail<'g>(self, at: usize) -> (usize, &'g [u8]) {
        // Acquire: the bytes come before the tail that names them.
        let tail = self.tails()[at].load(Acquire);
        let (offset, len) = ((tail >> 16) as usize, (tail & 0xFFFF) as usize);
        match len.checked_sub(HEAD_BYTES) {
            Some(beyond) if beyond > 0 => (len, self.array(offset, beyond)),
            _ => (len, &[]),
        }
    }

    /// How many entries come before the goal.
    pub(super) fn rank(self, goal: &Goal<'_>) -> usize {
        let len = self.len();
        let rows_below = |from: usize, to: usize| {
            let rows = &self.rows()[from..to.max(from)];
            from + rows.partition_point(|row| u128::from(row.load(Relaxed)) < goal.rows)
        };
        let form = self.form();
        if form == Form::Rows {
            return match goal.rest {
                [] => rows_below(0, len),
                _ => len,
            };
        }
        let head = goal.rest.head();
        let heads = &self.heads()[..len];
        let low = count_below(heads, head);
        let equal = &heads[low..];
        let high = low + equal.partition_point(|word| word.load(Relaxed) == head);
        if low == high {
            return low;
        }
        match form {
            Form::Words(len) => match usize::from(len).cmp(&goal.rest.len()) {
                // Padded with zeros they are equal: the shorter comes first.
                Ordering::Less => high,
                Ordering::Greater => low,
                Ordering::Equal => rows_below(low, high),
            },
            _ => self.rank_among(goal, low, high),
        }
    }

    /// [`Self::rank`] among entries whose heads are the goal's.
    fn rank_among(self, goal: &Goal<'_>, mut low: usize, mut high: usize) -> usize {
        while low < high {
            let middle = (low + high) / 2;
            let below = match self.compare_rest(middle, goal.rest) {
                Ordering::Equal => u128::from(self.row(middle)) < goal.rows,
                order => order == Ordering::Less,
            };
            if below {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Compares a rest with another one that has the same head; for buckets with tails.
    fn compare_rest(self, at: usize, rest: &[u8]) -> Ordering {
        let (len, tail) = self.tail(at);
        let other = rest.get(HEAD_BYTES..).unwrap_or_default();
        tail.cmp(other).then_with(|| len.cmp(&rest.len()))
    }

    /// Whether the entry's key is the one with this rest.
    pub(super) fn has_rest(self, at: usize, rest: &[u8]) -> bool {
        match self.form() {
            Form::Rows => rest.is_empty(),
            Form::Words(len) => {
                usize::from(len) == rest.len() && self.heads()[at].load(Relaxed) == rest.head()
            }
            Form::Tails => {
                let (len, tail) = self.tail(at);
                self.heads()[at].load(Relaxed) == rest.head()
                    && len == rest.len()
                    && tail == &rest[HEAD_BYTES.min(len)..]
            }
        }
    }

    /// The rows of a key with this rest.
    #[inline(always)]
    pub(super) fn find(self, rest: impl Rest) -> Found {
        if !self.leads(rest) {
            return Found::Nothing;
        }
        let rest = rest.skip(self.prefix_len());
        match self.form() {
            Form::Words(bytes) if usize::from(bytes) == rest.len() => {
                let (heads, rows) = self.words();
                let heads = &heads[..self.count().min(heads.len())];
                let Some(last) = heads.len().checked_sub(1) else {
                    return Found::Nothing;
                };
                let head = rest.head();
                let at = count_below(heads, head);
                // Looked at whether it is there or not: a branch could not be foreseen.
                let is = |at: usize| (at <= last) & (heads[at.min(last)].load(Relaxed) == head);
                match (is(at), is(at + 1)) {
                    (false, _) => Found::Nothing,
                    (true, false) => Found::Row(RowId(rows[at].load(Relaxed))),
                    (true, true) => Found::Rows,
                }
            }
            Form::Words(_) => Found::Nothing,
            _ => rest.with_bytes(|rest| self.find_rest(rest)),
        }
    }

    fn find_rest(self, rest: &[u8]) -> Found {
        let len = self.len();
        let is = |at: usize| at < len && self.has_rest(at, rest);
        if self.form() == Form::Tails {
            let head = rest.head();
            let heads = &self.heads()[..len];
            self.word().prefetch_beyond(size_of_val(heads));
            let at = count_below(heads, head);
            // Where no other key has the same head, the search ends there.
            if heads.get(at + 1).map(|next| next.load(Relaxed)) != Some(head) {
                return match is(at) {
                    true => Found::Row(RowId(self.row(at))),
                    false => Found::Nothing,
                };
            }
        }
        let at = self.rank(&Goal { rest, rows: 0 });
        match (is(at), is(at + 1)) {
            (false, _) => Found::Nothing,
            (true, false) => Found::Row(RowId(self.row(at))),
            (true, true) => Found::Rows,
        }
    }

    /// Heads and rows of a bucket of words.
    #[inline(always)]
    fn words<'g>(self) -> (&'g [AtomicU64], &'g [AtomicU64]) {
        let room = (self.bytes() - HEADER - prefix_bytes(self.prefix_len())) / (2 * WORD);
        let words: &[AtomicU64] = self.array(HEADER, 2 * room);
        words.split_at(room)
    }

    /// Whether an entry is here, or where it goes.
    pub(super) fn fit(self, rest: &[u8], row: u64) -> Fit {
        let alike = match self.form() {
            Form::Rows => rest.is_empty(),
            Form::Words(len) => usize::from(len) == rest.len(),
            Form::Tails => true,
        };
        if !alike {
            return Fit::Unlike;
        }
        let rows = u128::from(row);
        let at = self.rank(&Goal { rest, rows });
        if at < self.len() && self.row(at) == row && self.has_rest(at, rest) {
            return Fit::Is(at);
        }
        if self.len() < self.room() && self.has_room_for_tail(at, rest) {
            return Fit::Goes(at);
        }
        Fit::Full(at)
    }

    fn has_room_for_tail(self, at: usize, rest: &[u8]) -> bool {
        if self.form() != Form::Tails || self.shared_tail(at, rest).is_some() {
            return true;
        }
        let used = self.tails_header()[0].load(Relaxed) as usize;
        let end = self.bytes() - prefix_bytes(self.prefix_len());
        used + (rest.len() - HEAD_BYTES) <= end
    }

    /// Where the bytes of this rest's tail stand already, if a neighbour of its place has the same
    /// or it needs none.
    fn shared_tail(self, at: usize, rest: &[u8]) -> Option<usize> {
        let wanted = rest.get(HEAD_BYTES..).unwrap_or_default();
        if wanted.is_empty() {
            return Some(0);
        }
        [at.wrapping_sub(1), at]
            .into_iter()
            .filter(|neighbour| *neighbour < self.len())
            .find(|neighbour| self.tail(*neighbour).1 == wanted)
            .map(|neighbour| (self.tails()[neighbour].load(Relaxed) >> 16) as usize)
    }

    /// Puts an entry at its place; there is room, and the bucket is locked or not in the tree yet.
    pub(super) fn put(self, at: usize, rest: &[u8], row: u64) {
        let count = self.count();
        debug_assert!(count < self.room(), "there is room");
        let form = self.form();
        // Before anything moves: a neighbour may have the same.
        let tail = (form == Form::Tails).then(|| self.write_tail(at, rest));
        let rows = self.rows();
        shift_up(rows, at, count);
        rows[at].store(row, Relaxed);
        if form != Form::Rows {
            let heads = self.heads();
            shift_up(heads, at, count);
            heads[at].store(rest.head(), Relaxed);
        }
        if let Some(tail) = tail {
            let tails = self.tails();
            for pair in tails[at..=count].windows(2).rev() {
                pair[1].store(pair[0].load(Relaxed), Release);
            }
            tails[at].store(tail, Release);
        }
        self.set_count(count + 1);
    }

    /// Writes the bytes of a tail, unless a neighbour has the same; returns the tail.
    fn write_tail(self, at: usize, rest: &[u8]) -> u32 {
        let offset = self.shared_tail(at, rest).unwrap_or_else(|| {
            let bytes = &rest[HEAD_BYTES..];
            let used = &self.tails_header()[0];
            let offset = used.load(Relaxed) as usize;
            debug_assert!(
                offset + bytes.len() <= self.bytes() - prefix_bytes(self.prefix_len()),
                "there is room for the tail"
            );
            // SAFETY: the bytes from `used` on to the prefix belong to no tail yet, so nobody
            // reads them, and only the holder of the lock writes; they are within the bucket.
            unsafe {
                let to = self.0.address().add(offset);
                to.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
            }
            used.store((offset + bytes.len()) as u32, Relaxed);
            offset
        });
        (offset as u32) << 16 | rest.len() as u32
    }

    /// Takes an entry out; the bucket is locked.
    pub(super) fn take(self, at: usize) {
        let count = self.count();
        shift_down(self.rows(), at, count);
        match self.form() {
            Form::Rows => {}
            Form::Words(_) => shift_down(self.heads(), at, count),
            Form::Tails => {
                shift_down(self.heads(), at, count);
                let tails = self.tails();
                for pair in tails[at..count].windows(2) {
                    pair[0].store(pair[1].load(Relaxed), Release);
                }
            }
        }
        self.set_count(count - 1);
    }

    /// A copy with room for so many entries, and one more tail of so many bytes. The bucket is
    /// locked, so that it stands still.
    pub(super) fn resized(self, supply: Supply<'_>, room: usize, tail: usize) -> Result<Self> {
        let form = self.form();
        let count = self.count();
        let (start, each) = form.layout();
        let tail_bytes = match form {
            Form::Tails => {
                let first = start + self.room() * each;
                let used = self.tails_header()[0].load(Relaxed) as usize - first;
                used + tail + used * (room - count) / count.max(1)
            }
            _ => 0,
        };
        let new = Self::make(supply, form, self.prefix(), room, tail_bytes)?;
        copy(self.rows(), new.rows(), count);
        if form != Form::Rows {
            copy(self.heads(), new.heads(), count);
        }
        if form == Form::Tails {
            self.copy_tails(new);
        }
        new.set_count(count);
        Ok(new)
    }

    /// Copies all tail bytes, and the tails with their offsets moved along.
    fn copy_tails(self, new: Self) {
        let (start, each) = Form::Tails.layout();
        let first = |bucket: Self| start + bucket.room() * each;
        let (from, to) = (first(self), first(new));
        let used = self.tails_header()[0].load(Relaxed) as usize - from;
        // SAFETY: both ranges are within their buckets: the new one was made with as much room for
        // tails and more. It is not in the tree yet, so nobody reads it.
        unsafe {
            let source = self.0.address().add(from);
            let target = new.0.address().add(to);
            target.copy_from_nonoverlapping(source, used);
        }
        new.tails_header()[0].store((to + used) as u32, Relaxed);
        for (old, new) in self.tails()[..self.count()].iter().zip(new.tails()) {
            let tail = old.load(Relaxed);
            let offset = match tail >> 16 {
                0 => 0,
                offset => offset - from as u32 + to as u32,
            };
            new.store(offset << 16 | (tail & 0xFFFF), Relaxed);
        }
    }

    /// Appends a rest to `out`.
    pub(super) fn rest_to(self, at: usize, out: &mut Vec<u8>) {
        let (len, tail) = match self.form() {
            Form::Rows => return,
            Form::Words(len) => (usize::from(len), &[][..]),
            Form::Tails => self.tail(at),
        };
        let head = self.heads()[at].load(Relaxed).to_be_bytes();
        out.extend_from_slice(&head[..len.min(HEAD_BYTES)]);
        out.extend_from_slice(tail);
    }

    /// The room that a slot gives to a bucket that needs to hold so many entries.
    pub(super) fn room_in_slot(form: Form, prefix_len: usize, entries: usize) -> usize {
        let (start, each) = form.layout();
        let bytes = rounded_bytes(Owner::Index, Self::bytes_for(form, prefix_len, entries, 0));
        (bytes - start - prefix_bytes(prefix_len)) / each
    }
}

fn shift_up(words: &[AtomicU64], at: usize, count: usize) {
    // Pairs, so that no index is checked: an insertion moves some dozen words.
    for pair in words[at..=count].windows(2).rev() {
        pair[1].store(pair[0].load(Relaxed), Relaxed);
    }
}

fn shift_down(words: &[AtomicU64], at: usize, count: usize) {
    for pair in words[at..count].windows(2) {
        pair[0].store(pair[1].load(Relaxed), Relaxed);
    }
}

fn copy(from: &[AtomicU64], to: &[AtomicU64], count: usize) {
    for (from, to) in from[..count].iter().zip(&to[..count]) {
        to.store(from.load(Relaxed), Relaxed);
    }
}
