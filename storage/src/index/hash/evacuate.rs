//! Moving chained lines (`index::evacuate`).

use super::HashIndex;
use super::line::Line;
use crate::error::Result;
use crate::index::Pass;
use crate::mvcc::epoch::pin;
#[cfg(test)]
use crate::sync::atomic::Ordering::Relaxed;
use std::ptr::NonNull;

impl HashIndex {
    /// As [`crate::index::Index::leave_evacuated`].
    pub(in crate::index) fn leave_evacuated(&self, pass: &mut Pass, nodes: usize) -> Result<bool> {
        for _ in 0..nodes {
            if pass.buckets >= self.directory.buckets() {
                return match self.heavy.rows() {
                    Some(rows) => rows.leave_evacuated(pass, nodes),
                    None => Ok(false),
                };
            }
            self.move_links(pass.buckets)?;
            pass.buckets += 1;
        }
        Ok(true)
    }

    /// Writes the chain of a bucket into other lines, if one of its lines is to leave.
    fn move_links(&self, number: usize) -> Result<()> {
        let guard = pin();
        // No bucket comes or goes meanwhile.
        let mut resizing = self.resizing.lock();
        if number >= self.directory.buckets() {
            return Ok(());
        }
        let mut chain = self.latch_bucket(number, &guard);
        let mut old = Vec::new();
        chain.links_to(&mut old);
        let leaves = |line: &&Line| self.memory.is_evacuating(NonNull::from(*line).cast());
        if !old.iter().any(leaves) {
            return Ok(());
        }
        let mut new = self.lines(old.len(), self.memory.to_grow(), &guard)?;
        let entries = resizing.entries();
        chain.copy_to(entries);
        chain.latch.change();
        chain.rewrite(entries, &mut new);
        drop(chain);
        drop(resizing);
        // A chain that could be shorter has become so.
        self.retire_lines(old.into_iter().chain(new));
        Ok(())
    }

    /// Frees lines and nodes that went out of the index, as far as readers allow.
    pub(in crate::index) fn free_retired(&self) {
        self.memory.flush();
        if let Some(rows) = self.heavy.rows() {
            rows.free_retired();
        }
    }

    /// Whether a pass takes all chained lines for evacuated.
    #[cfg(test)]
    pub(in crate::index) fn let_all_leave(&self, leave: bool) {
        self.memory.all_leaves.store(leave, Relaxed);
        if let Some(rows) = self.heavy.rows() {
            rows.let_all_leave(leave);
        }
    }
}
