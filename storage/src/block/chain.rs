//! The states of one row, newest first.

use super::row::RowRef;
use super::slots::Block;
use crate::ids::Slot;
use crate::mvcc::{Head, Operation, Stamp, StampKind, Version, Viewpoint};

/// One state of a row.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    block: &'a Block,
    slot: Slot,
    proof: &'a Operation<'a>,
    at: At<'a>,
}

#[derive(Clone, Copy, Debug)]
enum At<'a> {
    /// As it was stamped when the head was read.
    Deletion(Stamp),
    DeletionOver(&'a Version),
    Version(&'a Version),
    Base,
}

impl<'a> Link<'a> {
    #[inline]
    fn new(block: &'a Block, slot: Slot, proof: &'a Operation<'a>, head: Head<'a>) -> Self {
        let at = match head {
            Head::Empty => At::Base,
            Head::Version(version) => At::Version(version),
            Head::DeletedOver(version) => At::DeletionOver(version),
            Head::Deleted(stamp) => At::Deletion(stamp),
            Head::Moved => unreachable!("whoever reads a head follows it to where the row is"),
        };
        Self {
            block,
            slot,
            proof,
            at,
        }
    }

    /// When this state begins to count, read anew at each call.
    #[inline]
    pub fn stamp(&self) -> Stamp {
        match self.at {
            At::Deletion(stamp) if is_committed(stamp) => stamp,
            At::Deletion(_) => self.block.deletion(self.slot, self.proof),
            At::DeletionOver(version) => version.deleted().load(),
            At::Version(version) => version.begin().load(),
            At::Base => self.block.begin(self.slot),
        }
    }

    /// The row in this state; `None` if it is deleted. Only to be asked of a state that is not
    /// older than what some registered snapshot, or the collector, may see (the module's rules).
    #[inline]
    pub fn image(&self) -> Option<RowRef<'a>> {
        match self.at {
            At::Deletion(_) | At::DeletionOver(_) => None,
            At::Version(version) => Some(self.block.row(version.image())),
            At::Base => Some(self.block.base(self.slot)),
        }
    }

    /// The bytes of the row in this state, or `None` in their place where they are a frozen base; nothing if the row
    /// is deleted. To be asked as [`Self::image`] is.
    pub(super) fn bytes(&self) -> Option<Option<&'a [u8]>> {
        match self.at {
            At::Deletion(_) | At::DeletionOver(_) => None,
            At::Version(version) => Some(Some(version.image())),
            At::Base => Some(self.block.base_bytes(self.slot)),
        }
    }

    /// The record that holds this state, if it is one.
    pub(super) fn version(&self) -> Option<&'a Version> {
        match self.at {
            At::Version(version) => Some(version),
            At::Deletion(_) | At::DeletionOver(_) | At::Base => None,
        }
    }

    /// The record of the version that this state deleted, if it is such a deletion.
    pub(super) fn deleted_version(&self) -> Option<&'a Version> {
        match self.at {
            At::DeletionOver(version) => Some(version),
            At::Deletion(_) | At::Version(_) | At::Base => None,
        }
    }

    /// The operation that it was found in.
    pub(super) fn proof(&self) -> &'a Operation<'a> {
        self.proof
    }

    /// Whether this state is the base row.
    pub fn is_base(&self) -> bool {
        matches!(self.at, At::Base)
    }

    /// Whether this state is the base row of that block, and not of one that took its place.
    pub(super) fn is_base_of(&self, block: &Block) -> bool {
        self.is_base() && std::ptr::eq(self.block, block)
    }

    /// The state before this one.
    pub fn older(&self) -> Option<Self> {
        let at = match self.at {
            At::Base => return None,
            At::Deletion(_) => Head::Empty,
            At::DeletionOver(version) => Head::Version(version),
            At::Version(version) => version.older().load(self.proof),
        };
        Some(Self::new(self.block, self.slot, self.proof, at))
    }
}

/// Walks the states of a row, newest first.
#[derive(Debug)]
pub struct Chain<'a>(Option<Link<'a>>);

impl<'a> Iterator for Chain<'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Link<'a>> {
        let link = self.0?;
        self.0 = link.older();
        Some(link)
    }
}

impl Block {
    /// The states of a row.
    pub fn chain<'a>(&'a self, slot: Slot, proof: &'a Operation<'a>) -> Chain<'a> {
        Chain(Some(self.newest(slot, proof)))
    }

    /// The newest state of a row.
    pub fn newest<'a>(&'a self, slot: Slot, proof: &'a Operation<'a>) -> Link<'a> {
        match self.head(slot, proof) {
            Head::Moved => self.moved_to().newest(slot, proof),
            head => self.link(slot, proof, head),
        }
    }

    pub(super) fn link<'a>(
        &'a self,
        slot: Slot,
        proof: &'a Operation<'a>,
        head: Head<'a>,
    ) -> Link<'a> {
        Link::new(self, slot, proof, head)
    }

    /// The stamp of a row's deletion that was found uncommitted a while ago.
    fn deletion(&self, slot: Slot, proof: &Operation<'_>) -> Stamp {
        match self.head(slot, proof) {
            Head::Deleted(stamp) => stamp,
            Head::Moved => self.moved_to().deletion(slot, proof),
            // It was taken back; or the block was built from what the horizon sees, which by then
            // had passed the deletion.
            Head::Empty | Head::Version(_) | Head::DeletedOver(_) => match self.built_at() {
                Some(at) if self.begin(slot) == Stamp::ABORTED => Stamp::committed(at),
                _ => Stamp::ABORTED,
            },
        }
    }

    /// The row as the viewpoint sees it, if it sees it.
    #[inline]
    pub fn visible<'a>(&'a self, slot: Slot, viewpoint: &Viewpoint<'a>) -> Option<RowRef<'a>> {
        match self.bare_row(slot, viewpoint) {
            Some(bare) => Some(bare.row()),
            None => self.visible_link(slot, viewpoint),
        }
    }

    /// The same, of which [`Self::bare_row`] is the short way.
    #[inline(never)]
    fn visible_link<'a>(&'a self, slot: Slot, viewpoint: &Viewpoint<'a>) -> Option<RowRef<'a>> {
        let link = self
            .chain(slot, viewpoint.operation())
            .find(|link| viewpoint.sees(|| link.stamp()))?;
        link.image()
    }
}

fn is_committed(stamp: Stamp) -> bool {
    matches!(stamp.kind(), StampKind::Committed(_))
}
