//! Moving nodes of the tree (`index::evacuate`), and making those smaller that had to stay too large for want of
//! memory.
//!
//! The walk is by inner nodes, each with the buckets right below it: a node's place is named by the
//! bytes that lead there, and the order of these is the order of the walk, from above to below. So
//! the next node is the first one whose bytes come after those of the last, and each step begins
//! at the root again: it holds no lock, and no guard, when it is over.

use super::OrderedIndex;
use super::bucket::Bucket;
use super::change::{Place, Step, Stop};
use super::node::Inner;
use super::tidy::{Tidied, is_roomy};
use super::version::Again;
use super::word::Child;
use crate::error::Result;
use crate::mvcc::epoch::{self, Guard};

/// An inner node on the way, and where the walk goes on below it.
struct Frame {
    inner: Inner,
    /// Length of the bytes that lead to the node's branching, its prefix included.
    len: usize,
    /// The next byte to look at.
    next: Option<u8>,
}

impl OrderedIndex {
    /// As [`crate::index::Index::leave_evacuated`]; `done` leads to the last node that is done.
    pub(in crate::index) fn leave_evacuated(
        &self,
        done: &mut Option<Vec<u8>>,
        nodes: usize,
    ) -> Result<bool> {
        let mut left = nodes;
        while left > 0 {
            let guard = epoch::pin();
            let looked_at = match self.leave_next(&guard, done.as_deref()) {
                Ok(Some((path, children))) => {
                    *done = Some(path);
                    children
                }
                Ok(None) => return Ok(false),
                Err(Stop::Again) => 0,
                Err(Stop::Failed(error)) => return Err(error),
            };
            left = left.saturating_sub(1 + looked_at);
        }
        Ok(true)
    }

    /// Moves the inner node that comes after `done`, and buckets right below it, if they are to
    /// leave. Returns the bytes that lead to it, and how many children it has, if there is one.
    fn leave_next<'g>(
        &'g self,
        guard: &'g Guard,
        done: Option<&[u8]>,
    ) -> Result<Option<(Vec<u8>, usize)>, Stop> {
        let root = Place::root(&self.version, &self.root)?;
        match root.word()?.child() {
            Child::Inner(_) => {}
            Child::Bucket(bucket) => {
                self.move_bucket(root, bucket)?;
                return Ok(None);
            }
            Child::Nothing | Child::Row(_) => return Ok(None),
        }
        let Some((place, inner, path)) = next_inner(guard, root, done)? else {
            return Ok(None);
        };
        let children = self.move_buckets_below(inner)?;
        let step = Step {
            place,
            inner,
            seen: inner.header().version.read()?,
            depth: path.len(),
        };
        if self.tidy(step)? == Tidied::Nothing {
            self.move_inner(place, inner)?;
        }
        Ok(Some((path, children)))
    }

    /// Returns how many children there are.
    fn move_buckets_below(&self, inner: Inner) -> Result<usize, Stop> {
        let version = &inner.header().version;
        let mut children = 0;
        let mut from = Some(0);
        while let Some(at) = from {
            let seen = version.read()?;
            let Some((byte, _)) = inner.next(at) else {
                version.check(seen)?;
                return Ok(children);
            };
            children += 1;
            let place = Place::below(inner, byte, seen).ok_or(Again)?;
            if let Child::Bucket(bucket) = place.word()?.child() {
                self.move_bucket(place, bucket)?;
            }
            from = byte.checked_add(1);
        }
        Ok(children)
    }

    fn move_bucket(&self, place: Place<'_>, bucket: Bucket) -> Result<(), Stop> {
        let is_roomy = is_roomy(bucket, bucket.count());
        if !is_roomy && !self.memory.is_evacuating(bucket.address()) {
            return Ok(());
        }
        let version = &bucket.header().version;
        let _upper = place.lock()?;
        let held = version.lock(version.read()?)?;
        if is_roomy {
            self.shrink(place, bucket, held);
            return Ok(());
        }
        let new = bucket.resized(self.memory.to_shrink(), bucket.count(), 0)?;
        self.replace_bucket(place, new.word(), bucket, held);
        Ok(())
    }

    fn move_inner(&self, place: Place<'_>, inner: Inner) -> Result<(), Stop> {
        if !self.memory.is_evacuating(inner.address()) {
            return Ok(());
        }
        let version = &inner.header().version;
        let _upper = place.lock()?;
        let held = version.lock(version.read()?)?;
        let new = self.copy_of(self.memory.to_shrink(), inner, inner.room(), inner.prefix())?;
        self.replace(place, new.word(), inner, held);
        Ok(())
    }
}

/// The first inner node whose bytes come after `done`, with its place and its bytes.
fn next_inner<'g>(
    _guard: &'g Guard,
    root: Place<'g>,
    done: Option<&[u8]>,
) -> Result<Option<(Place<'g>, Inner, Vec<u8>)>, Again> {
    let mut path = Vec::new();
    let mut above: Vec<Frame> = Vec::new();
    let mut place = root;
    loop {
        if let Child::Inner(inner) = place.word()?.child() {
            if done.is_none_or(|done| path.as_slice() > done) {
                return Ok(Some((place, inner, path)));
            }
            path.extend_from_slice(inner.prefix());
            above.push(Frame {
                inner,
                len: path.len(),
                next: first_below(&path, done.unwrap_or_default()),
            });
        }
        place = loop {
            let Some(frame) = above.last_mut() else {
                return Ok(None);
            };
            path.truncate(frame.len);
            let version = &frame.inner.header().version;
            let seen = version.read()?;
            let child = frame.next.and_then(|from| frame.inner.next(from));
            let Some((byte, _)) = child else {
                version.check(seen)?;
                above.pop();
                continue;
            };
            frame.next = byte.checked_add(1);
            path.push(byte);
            break Place::below(frame.inner, byte, seen).ok_or(Again)?;
        };
    }
}

/// The first byte at which a node that branches after `path` may have something after `done`.
fn first_below(path: &[u8], done: &[u8]) -> Option<u8> {
    match done.strip_prefix(path) {
        Some(rest) => Some(rest.first().copied().unwrap_or(0)),
        None => (path > done).then_some(0),
    }
}
