//! Scans: entries between two cuts, in order or against it.
//!
//! The walk keeps the inner nodes on its way with the versions it saw, and goes from child to child
//! without coming back to the root. What it gives out of a node is checked against the node's
//! version before it goes on; where that has changed, what was given out since the last check is
//! taken back, and the walk begins again after the last entry that stands.
//!
//! A cut matters only along its own path: a node whose bytes differ from it is on one side of it as
//! a whole. So most nodes and buckets are given out without comparing a key.
//!
//! ```text
//!         low                       high
//!          |                         |
//!     [ . .|x x ] [ x x x ] [ x x x x|. . . ]        only the outer ones are searched
//! ```

use super::OrderedIndex;
use super::bucket::{Bucket, Form, Goal};
use super::build::common;
use super::node::Inner;
use super::sink::Sink;
use super::version::Again;
use super::word::{Child, Word};
use crate::ids::RowId;
use crate::index::cursor::{COPIED, Cut, Parts};
use crate::mvcc::epoch;
use crate::sync::atomic::Ordering::Relaxed;
use smallvec::SmallVec;
use std::ops::Range;

/// Inner nodes on a walk's way that need no heap.
const FRAMES: usize = 4;
/// Children that a walk is ahead of itself in asking for memory.
const PREFETCH_AHEAD: u8 = 2;

/// The bytes that lead to where a walk is, always with [`COPIED`] bytes more behind them.
struct Path {
    bytes: SmallVec<[u8; 2 * COPIED]>,
    used: usize,
}

impl Path {
    fn new() -> Self {
        Self {
            bytes: SmallVec::from_buf([0; 2 * COPIED]),
            used: 0,
        }
    }

    fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    fn extend(&mut self, more: &[u8]) {
        let end = self.used + more.len();
        if end + COPIED > self.bytes.len() {
            self.bytes.resize(end + 2 * COPIED, 0);
        }
        self.bytes[self.used..end].copy_from_slice(more);
        self.used = end;
    }

    /// A key of so many bytes that begins with the first `start_len` of the path.
    #[inline(always)]
    fn key<'a>(&'a self, start_len: usize, middle: u64, end: &'a [u8], len: usize) -> Parts<'a> {
        Parts {
            start: &self.bytes,
            start_len,
            middle: middle.to_be_bytes(),
            end,
            len,
        }
    }
}

/// On which side of a cut the entries below a node are.
enum Side {
    Below,
    Above,
    /// On both, parted at the child for this byte.
    At(u8),
}

/// An inner node on the way, and what is left of it.
struct Frame {
    inner: Inner,
    seen: u64,
    /// Length of the path up to the byte it branches at.
    path: usize,
    /// Where the key of all entries below ends, if that is within the path.
    key_end: Option<usize>,
    from: u8,
    to: u8,
    /// Whether the child at `from` lies across the low cut, that at `to` across the high one.
    low: bool,
    high: bool,
    is_done: bool,
}

/// A child, and across which cuts it lies.
struct Next {
    byte: u8,
    word: Word,
    low: bool,
    high: bool,
}

impl Frame {
    #[inline]
    fn next<const REVERSE: bool>(&mut self) -> Option<Next> {
        if self.is_done {
            return None;
        }
        let found = match REVERSE {
            true => self.inner.previous(self.to),
            false => self.inner.next(self.from),
        };
        let found = found.filter(|(byte, _)| (self.from..=self.to).contains(byte));
        let Some((byte, word)) = found else {
            self.is_done = true;
            return None;
        };
        let next = Next {
            byte,
            word,
            low: self.low && byte == self.from,
            high: self.high && byte == self.to,
        };
        if self.inner.is_256() {
            self.prefetch_after::<REVERSE>(byte);
        }
        // What is left is across the cut of the side that the walk goes to, or across none.
        let rest = match REVERSE {
            true => {
                self.high = false;
                byte.checked_sub(1).map(|to| self.to = to)
            }
            false => {
                self.low = false;
                byte.checked_add(1).map(|from| self.from = from)
            }
        };
        self.is_done = rest.is_none() || self.from > self.to;
        Some(next)
    }
}

impl Frame {
    /// Asks for the node that comes after the next one, so that it is there in time.
    #[inline]
    fn prefetch_after<const REVERSE: bool>(&self, byte: u8) {
        let ahead = match REVERSE {
            true => byte.saturating_sub(PREFETCH_AHEAD),
            false => byte.saturating_add(PREFETCH_AHEAD),
        };
        let word = self.inner.word_256(ahead);
        if word.as_row().is_none() {
            word.prefetch();
        }
    }
}

struct Walk<'a, S> {
    low: &'a Cut,
    high: Option<&'a Cut>,
    limit: usize,
    sink: &'a mut S,
    /// The inner nodes on the way that have children left.
    frames: SmallVec<[Frame; FRAMES]>,
    path: Path,
}

impl OrderedIndex {
    /// Gives the sink entries between two cuts until it has `limit`; whether that were all.
    pub(super) fn walk_between<S: Sink>(
        &self,
        low: &Cut,
        high: Option<&Cut>,
        reverse: bool,
        limit: usize,
        sink: &mut S,
    ) -> bool {
        let _guard = epoch::pin();
        let (mut low_moved, mut high_moved) = (None, None);
        loop {
            let mut walk = Walk {
                low: low_moved.as_ref().unwrap_or(low),
                high: high_moved.as_ref().or(high),
                limit,
                sink,
                frames: SmallVec::new(),
                path: Path::new(),
            };
            let ended = match reverse {
                true => walk.run::<true>(Word::load(&self.root)),
                false => walk.run::<false>(Word::load(&self.root)),
            };
            match ended {
                Ok(ended) => return ended,
                Err(Again) => {
                    if let Some((key, row)) = sink.last() {
                        let moved = match reverse {
                            true => &mut high_moved,
                            false => &mut low_moved,
                        };
                        moved
                            .get_or_insert_with(Cut::default)
                            .move_to(&key, row, reverse);
                    }
                }
            }
        }
    }
}

impl<S: Sink> Walk<'_, S> {
    fn run<const REVERSE: bool>(&mut self, root: Word) -> Result<bool, Again> {
        let low = *self.low != Cut::default();
        self.enter::<REVERSE>(root, low, self.high.is_some(), None)?;
        if self.sink.len() >= self.limit {
            return Ok(false);
        }
        while let Some(mut frame) = self.frames.pop() {
            let before = self.sink.len();
            self.path.used = frame.path;
            let next = self.rows::<REVERSE>(&mut frame);
            if frame.inner.header().version.check(frame.seen).is_err() {
                self.sink.truncate(before);
                return Err(Again);
            }
            if self.sink.len() >= self.limit {
                return Ok(false);
            }
            if let Some(Next {
                byte,
                word,
                low,
                high,
            }) = next
            {
                let key_end = frame.key_end;
                if !frame.is_done {
                    self.frames.push(frame);
                }
                self.path.push(byte);
                self.enter::<REVERSE>(word, low, high, key_end)?;
                if self.sink.len() >= self.limit {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Gives out rows in the slots of a node, up to the next child that is a node.
    #[inline]
    fn rows<const REVERSE: bool>(&mut self, frame: &mut Frame) -> Option<Next> {
        // The byte stands behind the path.
        let len = frame.key_end.unwrap_or(frame.path + 1);
        loop {
            if frame.inner.is_256() {
                self.rows_256::<REVERSE>(frame, len);
            }
            if self.sink.len() >= self.limit {
                return None;
            }
            let next = frame.next::<REVERSE>()?;
            let Some(row) = next.word.as_row() else {
                return Some(next);
            };
            self.path.bytes[frame.path] = next.byte;
            if self.is_within(len, row, next.low, next.high) {
                self.push(frame.path, u64::from(next.byte) << 56, len, row);
            }
        }
    }

    /// Gives out rows in the slots of a Node256, up to the next child that is a node or lies across
    /// a cut.
    #[inline(always)]
    fn rows_256<const REVERSE: bool>(&mut self, frame: &mut Frame, len: usize) {
        let (from, to) = (usize::from(frame.from), usize::from(frame.to) + 1);
        let (mut at, end, is_cut) = match REVERSE {
            true => (to, from + usize::from(frame.low), frame.high),
            false => (from, to - usize::from(frame.high), frame.low),
        };
        if frame.is_done || is_cut {
            return;
        }
        let slots = frame.inner.slots_256();
        let lead = self.sink.lead(&self.path.bytes, frame.path, len);
        let mut left = self.limit - self.sink.len();
        while if REVERSE { at > end } else { at < end } {
            let byte = if REVERSE { at - 1 } else { at };
            let word = Word::load(&slots[byte % slots.len()]);
            if let Some(row) = word.as_row() {
                if left == 0 {
                    break;
                }
                left -= 1;
                let middle = (byte as u64) << 56;
                let key = self.path.key(frame.path, middle, &[], len);
                self.sink.push(&lead, &key, row);
            } else if !word.is_nothing() {
                break;
            }
            at = if REVERSE { at - 1 } else { at + 1 };
        }
        match REVERSE {
            true if at == from => frame.is_done = true,
            true => frame.to = (at - 1) as u8,
            false if at == to => frame.is_done = true,
            false => frame.from = at as u8,
        }
    }

    /// Gives out a lone row, whose key is so many bytes of the path and of a word after its first ones.
    #[inline(always)]
    fn push(&mut self, start_len: usize, middle: u64, len: usize, row: RowId) {
        let lead = self.sink.lead(&self.path.bytes, start_len, len);
        let key = self.path.key(start_len, middle, &[], len);
        self.sink.push(&lead, &key, row);
    }

    /// Whether a lone row, whose key is so many bytes of the path, lies between the cuts.
    #[inline]
    fn is_within(&self, len: usize, row: RowId, low: bool, high: bool) -> bool {
        let is_below = |cut: &Cut| {
            let key = &self.path.bytes[..len];
            key < &cut.key[..] || key == &cut.key[..] && u128::from(row.0) < cut.rows
        };
        let is_out = low && is_below(self.low);
        !is_out && (!high || self.high.is_none_or(is_below))
    }

    /// Begins with what a slot holds; the path leads there. `low` and `high` say whether it lies
    /// across the cuts.
    fn enter<const REVERSE: bool>(
        &mut self,
        word: Word,
        low: bool,
        high: bool,
        key_end: Option<usize>,
    ) -> Result<(), Again> {
        match word.child() {
            Child::Nothing => Ok(()),
            Child::Row(row) => {
                let len = key_end.unwrap_or(self.path.used);
                if self.is_within(len, row, low, high) {
                    self.push(self.path.used, 0, len, row);
                }
                Ok(())
            }
            Child::Bucket(bucket) => {
                let seen = bucket.header().version.read()?;
                let before = self.sink.len();
                let from = match low {
                    true => self.rank(bucket, self.low, key_end),
                    false => 0,
                };
                let to = match self.high {
                    Some(cut) if high => self.rank(bucket, cut, key_end),
                    _ => bucket.len(),
                };
                self.give::<REVERSE>(bucket, from..to, key_end);
                bucket
                    .header()
                    .version
                    .check(seen)
                    .inspect_err(|_| self.sink.truncate(before))
            }
            Child::Inner(inner) => self.begin(inner, low, high),
        }
    }

    /// Puts an inner node on the way, unless it is outside of the cuts.
    fn begin(&mut self, inner: Inner, low: bool, high: bool) -> Result<(), Again> {
        let seen = inner.header().version.read()?;
        let branch = self.path.used + inner.prefix_len();
        let row_bytes = usize::from(inner.row_bytes());
        let key_end = (row_bytes > 0).then(|| branch + 1 - row_bytes);
        let side = |cut| self.side(inner, cut, key_end);
        let (from, low) = match low.then(|| side(self.low)) {
            Some(Side::Below) => return Ok(()),
            Some(Side::At(byte)) => (byte, true),
            Some(Side::Above) | None => (0, false),
        };
        let (to, high) = match self.high.filter(|_| high).map(side) {
            Some(Side::Above) => return Ok(()),
            Some(Side::At(byte)) => (byte, true),
            Some(Side::Below) | None => (u8::MAX, false),
        };
        self.path.extend(inner.prefix());
        if from <= to {
            self.frames.push(Frame {
                inner,
                seen,
                path: branch,
                key_end,
                from,
                to,
                low,
                high,
                is_done: false,
            });
        }
        Ok(())
    }

    /// On which side of a cut, which agrees with the path, a node's entries are.
    fn side(&self, inner: Inner, cut: &Cut, key_end: Option<usize>) -> Side {
        let rows = match u64::try_from(cut.rows) {
            _ if key_end != Some(cut.key.len()) => None,
            Ok(rows) => Some(rows.to_be_bytes()),
            Err(_) => return Side::Below,
        };
        // The cut's bytes: those of its row only for entries with the very key. Other entries that
        // begin with the cut's key are above it.
        let byte = |at: usize| match (cut.key.get(at), &rows) {
            (Some(byte), _) => Some(*byte),
            (None, Some(rows)) => rows.get(at - cut.key.len()).copied(),
            (None, None) => None,
        };
        let start = self.path.used;
        for (at, own) in inner.prefix().iter().enumerate() {
            match byte(start + at) {
                Some(other) if other == *own => {}
                Some(other) if other > *own => return Side::Below,
                _ => return Side::Above,
            }
        }
        byte(start + inner.prefix_len()).map_or(Side::Above, Side::At)
    }

    /// How many entries of a bucket are below a cut that agrees with the path.
    fn rank(&self, bucket: Bucket, cut: &Cut, key_end: Option<usize>) -> usize {
        let rows = cut.rows;
        let (own, other) = match key_end {
            Some(end) => (&self.path.bytes[..end], cut.key.as_slice()),
            None => {
                let rest = cut.key.get(self.path.used..).unwrap_or_default();
                (bucket.prefix(), rest)
            }
        };
        let same = common(own, other);
        if same == own.len() && (key_end.is_none() || same == other.len()) {
            let rest = &other[same..];
            return bucket.rank(&Goal { rest, rows });
        }
        if own < other { bucket.len() } else { 0 }
    }

    /// Gives out entries of a bucket, as many as are wanted.
    fn give<const REVERSE: bool>(
        &mut self,
        bucket: Bucket,
        within: Range<usize>,
        key_end: Option<usize>,
    ) {
        let wanted = self.limit - self.sink.len();
        let count = within.len().min(wanted);
        let Range { start, end } = within;
        let place = self.path.used;
        self.path.extend(bucket.prefix());
        let own = self.path.used;
        let form = bucket.form();
        let len = match form {
            Form::Words(len) => own + usize::from(len),
            _ => key_end.unwrap_or(own),
        };
        let within = match REVERSE {
            true => end - count..end,
            false => start..start + count,
        };
        let at = |turn: usize| if REVERSE { count - 1 - turn } else { turn };
        let rows = &bucket.rows()[within.clone()];
        let row = |turn: usize| RowId(rows[at(turn)].load(Relaxed));
        let lead = self.sink.lead(&self.path.bytes, own, len);
        match form {
            Form::Rows => {
                for turn in 0..count {
                    let key = self.path.key(own, 0, &[], len);
                    self.sink.push(&lead, &key, row(turn));
                }
            }
            Form::Words(_) => {
                let heads = &bucket.heads()[within];
                for turn in 0..count {
                    let head = heads[at(turn)].load(Relaxed);
                    let key = self.path.key(own, head, &[], len);
                    self.sink.push(&lead, &key, row(turn));
                }
            }
            Form::Tails => {
                let heads = &bucket.heads()[within.clone()];
                for turn in 0..count {
                    let head = heads[at(turn)].load(Relaxed);
                    let (len, tail) = bucket.tail(within.start + at(turn));
                    let lead = self.sink.lead(&self.path.bytes, own, own + len);
                    let key = self.path.key(own, head, tail, own + len);
                    self.sink.push(&lead, &key, row(turn));
                }
            }
        }
        self.path.used = place;
    }
}
