//! Building nodes over sorted entries: a bucket while they fit one, else a node that branches.
//!
//! One function makes a bucket of one entry, splits a bucket that has become too large, gathers
//! small ones, and builds a whole tree for `CREATE INDEX`: then on all cores, a share of the
//! children each.
//!
//! How many entries a bucket holds is a matter of what else they would cost. Where branching at the
//! next byte leaves nothing but rows, a Node256 takes 10 bytes a place: it pays from half full on.
//! Otherwise a bucket is let grow to [`ENTRIES_MAX`], because its parts, each a bucket of its own,
//! are then not too small.

use super::bucket::{Bucket, Form, HEAD_BYTES};
use super::node::{Inner, Node};
use super::word::{Child, Word};
use crate::error::{Error, Result};
use crate::index::memory::{Memory, Supply};
use crate::pool::{Owner, rounded_bytes};
use crate::stop::Stop;
use std::io;
use std::ops::Range;
use std::thread::{Builder, ScopedJoinHandle};

/// In models buckets are small, so that there are inner nodes.
pub(super) const MODELLED: bool = cfg!(feature = "shuttle");
/// Entries of a bucket before it is split.
const ENTRIES_MAX: usize = if MODELLED { 8 } else { 256 };
/// .. where branching leaves nothing but rows.
const LAST_BYTE_MAX: usize = if MODELLED { 8 } else { 128 };
/// .. where there is nothing but rows, of one key.
const ROWS_MAX: usize = if MODELLED { 8 } else { 512 };
/// Bytes of a bucket with several entries.
pub(super) const BUCKET_BYTES_MAX: usize = 16 << 10;
/// Entries that are worth another thread.
const SHARE_MIN: usize = 1 << 15;
/// Levels that one stack is good for: a level takes less than a kilobyte.
const LEVELS_A_STACK: usize = 256;

/// An entry. In the tree its bytes are those of the key and then the row's number, big-endian.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Item<'a> {
    pub(super) key: &'a [u8],
    pub(super) row: u64,
}

impl Item<'_> {
    /// How long key and row are together.
    pub(super) fn len(&self) -> usize {
        self.key.len() + size_of::<u64>()
    }

    /// The byte at which a node at that depth branches.
    ///
    /// # Panics
    /// Beyond the end of the entry, which no other entry agrees with so far: keys are prefix-free.
    #[inline]
    pub(super) fn byte(&self, depth: usize) -> u8 {
        match self.key.get(depth) {
            Some(byte) => *byte,
            None => self.row.to_be_bytes()[depth - self.key.len()],
        }
    }

    /// What is left of the key at that depth; nothing within the row.
    #[inline]
    pub(super) fn rest(&self, depth: usize) -> &[u8] {
        self.key.get(depth..).unwrap_or_default()
    }

    /// How many bytes two entries have in common from a depth on.
    fn common(&self, other: &Self, depth: usize) -> usize {
        let keys = common(self.rest(depth), other.rest(depth));
        if self.key.len() != other.key.len() || depth + keys < self.key.len() {
            return keys;
        }
        let end = self.len().min(other.len());
        let from = depth + keys;
        keys + (from..end)
            .take_while(|at| self.byte(*at) == other.byte(*at))
            .count()
    }
}

/// How many first bytes are the same.
pub(super) fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// How entries would stand in one bucket.
struct Plan<'a> {
    form: Form,
    prefix: &'a [u8],
    tail_bytes: usize,
}

impl<'a> Plan<'a> {
    /// A plan for sorted entries, at least one, that agree up to `depth`.
    fn new(items: &[Item<'a>], depth: usize) -> Self {
        let (first, last) = (items[0], items[items.len() - 1]);
        let rest = first.key.get(depth..).unwrap_or_default();
        let shared = match items {
            // More than the head is prefix, until another entry says otherwise.
            [_] => rest.len().saturating_sub(HEAD_BYTES),
            _ => common(rest, last.rest(depth)),
        };
        let after = depth + shared;
        let alike = items.iter().all(|item| item.key.len() == first.key.len());
        let form = match rest.len() - shared {
            0 => Form::Rows,
            len @ 1..=HEAD_BYTES if alike => Form::Words(len as u8),
            _ => Form::Tails,
        };
        let tail_bytes = match form {
            Form::Tails => tail_bytes(items, after + HEAD_BYTES),
            _ => 0,
        };
        Self {
            form,
            prefix: &rest[..shared],
            tail_bytes,
        }
    }

    fn bytes(&self, entries: usize) -> usize {
        Bucket::bytes_for(self.form, self.prefix.len(), entries, self.tail_bytes)
    }

    fn fits(&self, entries: usize) -> bool {
        entries == 1
            || (entries <= entries_max(self.form) && self.bytes(entries) <= BUCKET_BYTES_MAX)
    }
}

/// Bytes of tails from a depth on, where equal neighbours share them.
fn tail_bytes(items: &[Item<'_>], depth: usize) -> usize {
    let mut before: &[u8] = &[];
    let mut bytes = 0;
    for item in items {
        let tail = item.rest(depth);
        if tail != before {
            bytes += tail.len();
        }
        before = tail;
    }
    bytes
}

/// How many entries a bucket of this form may have.
pub(super) fn entries_max(form: Form) -> usize {
    match form {
        Form::Rows => ROWS_MAX,
        Form::Words(1) => LAST_BYTE_MAX,
        _ => ENTRIES_MAX,
    }
}

/// Whether entries would fit one bucket.
pub(super) fn fit_a_bucket(items: &[Item<'_>], depth: usize) -> bool {
    Plan::new(items, depth).fits(items.len())
}

/// A tree over sorted entries without duplicates, at least one, that agree up to `depth`.
/// On error nothing is left.
pub(super) fn build(supply: Supply<'_>, items: &[Item<'_>], depth: usize) -> Result<Word> {
    let stop = Stop::NEVER;
    build_on(Work { supply, stop }, items, depth, 1, 1)
}

/// What all that is built has in common.
#[derive(Clone, Copy)]
struct Work<'a> {
    supply: Supply<'a>,
    stop: Stop<'a>,
}

/// [`build`], by several threads where it is worth it.
pub(super) fn build_parallel(
    memory: &Memory,
    items: &[Item<'_>],
    threads: usize,
    stop: Stop<'_>,
) -> Result<Word> {
    let supply = memory.to_grow();
    build_on(Work { supply, stop }, items, 0, threads, 1)
}

fn build_on(
    work: Work<'_>,
    items: &[Item<'_>],
    depth: usize,
    threads: usize,
    level: usize,
) -> Result<Word> {
    if let [item] = items
        && depth >= item.key.len()
        && let Some(word) = Word::row(item.row)
    {
        return Ok(word);
    }
    let supply = work.supply;
    let plan = Plan::new(items, depth);
    if plan.fits(items.len()) {
        return fill(supply, &plan, items, depth).map(Bucket::word);
    }
    // Once a node of some ten thousand entries at most.
    work.stop.check()?;
    let groups = Groups::new(items, depth);
    let branch = groups.branch;
    let mut words = Vec::with_capacity(groups.parts.len());
    let built = if level.is_multiple_of(LEVELS_A_STACK) {
        // Keys may be nested as deep as they are long: a thread has a stack of its own.
        std::thread::scope(|scope| {
            let build = || children(work, items, &groups, threads, level, &mut words);
            let started = Builder::new().spawn_scoped(scope, build);
            let thread = started.map_err(|source| Error::no_thread("index build", source))?;
            joined(thread)
        })
    } else {
        children(work, items, &groups, threads, level, &mut words)
    };
    let first = items[0];
    let made = built.and_then(|()| {
        let prefix: Vec<u8> = (depth..branch).map(|at| first.byte(at)).collect();
        let row_bytes = (branch + 1).saturating_sub(first.key.len()) as u8;
        let bytes = groups
            .parts
            .iter()
            .map(|part| items[part.start].byte(branch));
        let children = bytes.zip(words.iter().copied());
        Inner::make(supply, words.len(), &prefix, row_bytes, children)
    });
    if made.is_err() {
        // SAFETY: the children were just built, and no slot leads to them.
        words
            .into_iter()
            .for_each(|word| unsafe { free(supply.memory, word) });
    }
    made.map(Inner::word)
}

/// Entries by the first byte that they differ in.
struct Groups {
    branch: usize,
    parts: Vec<Range<usize>>,
}

impl Groups {
    fn new(items: &[Item<'_>], depth: usize) -> Self {
        let branch = depth + items[0].common(&items[items.len() - 1], depth);
        let mut parts = Vec::new();
        let mut from = 0;
        while from < items.len() {
            let byte = items[from].byte(branch);
            let same = items[from..].partition_point(|item| item.byte(branch) <= byte);
            parts.push(from..from + same);
            from += same;
        }
        Self { branch, parts }
    }
}

/// What a thread came to, its panic included.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    let result = thread.join();
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Builds the children of a node, by several threads if all of them have something to do.
fn children(
    work: Work<'_>,
    items: &[Item<'_>],
    groups: &Groups,
    threads: usize,
    level: usize,
    words: &mut Vec<Word>,
) -> Result<()> {
    let largest = groups.parts.iter().map(Range::len).max().unwrap_or(0);
    let is_shared = threads > 1 && items.len() >= 2 * SHARE_MIN && largest <= items.len() / 2;
    let one = |part: &Range<usize>, threads: usize| {
        let depth = groups.branch + 1;
        build_on(work, &items[part.clone()], depth, threads, level + 1)
    };
    if !is_shared {
        for part in &groups.parts {
            words.push(one(part, threads)?);
        }
        return Ok(());
    }
    let share = items.len().div_ceil(threads);
    let shares = groups
        .parts
        .chunk_by(|a, b| a.start / share == b.start / share);
    let build = |parts: &[Range<usize>]| {
        let mut words = Vec::with_capacity(parts.len());
        let result = parts.iter().try_for_each(|part| {
            words.push(one(part, 1)?);
            Ok(())
        });
        (words, result)
    };
    let build = &build;
    let results: Vec<(Vec<Word>, Result<()>)> = std::thread::scope(|scope| {
        let start = |parts| Builder::new().spawn_scoped(scope, move || build(parts));
        let threads: Vec<_> = shares.map(|parts| (parts, start(parts))).collect();
        let result = |(parts, thread): (_, io::Result<_>)| match thread {
            Ok(thread) => joined(thread),
            // The system has no thread to spare: then it takes longer.
            Err(_) => build(parts),
        };
        threads.into_iter().map(result).collect()
    });
    let mut outcome = Ok(());
    for (built, result) in results {
        words.extend(built);
        outcome = outcome.and(result);
    }
    outcome
}

// SAFETY: a word that no slot holds yet is the builder's alone, on whichever thread.
unsafe impl Send for Word {}

/// A bucket of entries that fit one.
fn fill(supply: Supply<'_>, plan: &Plan<'_>, items: &[Item<'_>], depth: usize) -> Result<Bucket> {
    let prefix = plan.prefix;
    let bucket = Bucket::make(supply, plan.form, prefix, items.len(), plan.tail_bytes)?;
    let after = depth + prefix.len();
    for (at, item) in items.iter().enumerate() {
        bucket.put(at, item.rest(after), item.row);
    }
    Ok(bucket)
}

/// Bytes that [`build`] takes for these entries.
pub(super) fn estimate(items: &[Item<'_>], stop: Stop<'_>) -> Result<u64> {
    if items.is_empty() {
        return Ok(0);
    }
    let mut bytes = 0;
    // Not by recursion: see `LEVELS_A_STACK`.
    let mut open = vec![(0..items.len(), 0)];
    while let Some((range, depth)) = open.pop() {
        let items = &items[range.clone()];
        if let [item] = items
            && depth >= item.key.len()
            && Word::row(item.row).is_some()
        {
            continue;
        }
        let plan = Plan::new(items, depth);
        if plan.fits(items.len()) {
            bytes += rounded_bytes(Owner::Index, plan.bytes(items.len())) as u64;
            continue;
        }
        stop.check()?;
        let groups = Groups::new(items, depth);
        let node = Inner::bytes_for(groups.parts.len(), groups.branch - depth);
        bytes += rounded_bytes(Owner::Index, node) as u64;
        let parts = groups.parts.into_iter();
        let below = |part: Range<usize>| range.start + part.start..range.start + part.end;
        open.extend(parts.map(|part| (below(part), groups.branch + 1)));
    }
    Ok(bytes)
}

/// Frees a tree, without recursion.
///
/// # Safety
/// No slot leads to it that anyone else may come by.
pub(super) unsafe fn free(memory: &Memory, word: Word) {
    let mut open = vec![word];
    while let Some(word) = open.pop() {
        let node: Node = match word.child() {
            Child::Nothing | Child::Row(_) => continue,
            Child::Bucket(bucket) => *bucket,
            Child::Inner(inner) => {
                open.extend(inner.children().map(|(_, word)| word));
                *inner
            }
        };
        // SAFETY: by contract nobody else comes to the node, and its children are in the list.
        unsafe { node.free(memory) };
    }
}
