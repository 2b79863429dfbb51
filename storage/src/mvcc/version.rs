//! Version records and the words that link them.
//!
//! ```text
//!   head word   0                     empty: the base row below is the newest
//!               pointer | 1           a version record
//!               pointer | 1 | 4       the row was deleted over that version, whose record says when
//!               stamp << 2 | 2        the row was deleted over the base
//!               3                     moved: the block has a successor, where the row goes on
//!
//!   record      [ begin 8 | older 8 | deleted 8 | bytes 4 | 0 4 ][ image ]
//! ```
//!
//! A record is filled before it is published (Release) and its image never changes afterwards;
//! `begin` goes from marker to timestamp or to *aborted*, once; `older` to what is older still, or to
//! empty (cut). So whoever loads a link with Acquire reads the image without further care.
//!
//! A deletion allocates nothing: a full database can be emptied. It takes the record's `deleted` from zero to its
//! marker first, which only one can, and then exchanges the head; where the head has changed meanwhile it puts the
//! zero back. So what `deleted` says counts only while a head says that the row was deleted over the record. Nothing
//! is chained over a deletion, because row ids are not used again.
//!
//! A head that says *moved* says so for ever. Therefore every change of a head is a compare and
//! exchange against the word that was seen: none can be lost in a block that is being replaced.
//!
//! The memory is freed only by the [`super::RetireQueue`], or with the whole block. The borrow of a
//! [`Operation`] therefore proves that a link followed under it leads to a living record: it began
//! before the record was unlinked, and then the queue waits for it, or it does not find the record.

use super::operation::Operation;
use super::retire::Garbage;
use super::stamp::Stamp;
use crate::error::{Error, Result};
use crate::pool::{Owner, Pool};
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::ptr::{self, NonNull};
use std::slice;

const TAG_MASK: u64 = 3;
const POINTER_MASK: u64 = !15;
/// Beside [`TAG_VERSION`].
const DELETED_OVER: u64 = 4;
const TAG_VERSION: u64 = 1;
const TAG_DELETED: u64 = 2;
const TAG_MOVED: u64 = 3;
const HEADER_BYTES: usize = size_of::<Version>();

/// A stamp that changes under readers.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct StampWord(AtomicU64);

impl StampWord {
    /// What it says now.
    #[inline]
    pub fn load(&self) -> Stamp {
        // Acquire: what was written before the stamp is readable after it.
        Stamp(self.0.load(Acquire))
    }

    /// Says something new. Only the owner of the marker in it, or garbage collection, may.
    pub fn store(&self, stamp: Stamp) {
        self.0.store(stamp.0, Release);
    }
}

/// A version of a row.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Version {
    begin: StampWord,
    older: HeadWord,
    deleted: StampWord,
    bytes: u32,
}

/// A pointer to a version that somebody has unlinked, or is about to.
#[derive(Clone, Copy, Debug)]
pub struct VersionPointer(NonNull<Version>);

// SAFETY: a version's mutable parts are atomics, and its image does not change once published.
unsafe impl Send for VersionPointer {}
// SAFETY: as above.
unsafe impl Sync for VersionPointer {}

impl VersionPointer {
    /// Gives the memory back.
    ///
    /// # Safety
    /// The record came from `pool`, is linked nowhere, and nobody borrows it.
    pub(super) unsafe fn free(self, pool: &Pool) {
        // SAFETY: by contract the record is alive, ours alone, and of that many bytes.
        unsafe {
            let bytes = self.0.as_ref().bytes as usize;
            pool.free(Owner::Version, self.0.cast(), bytes);
        }
    }
}

impl Version {
    /// When it begins to count.
    pub fn begin(&self) -> &StampWord {
        &self.begin
    }

    /// What it was chained over.
    pub fn older(&self) -> &HeadWord {
        &self.older
    }

    /// When the row was deleted over it; to be asked where a head says that it was.
    pub fn deleted(&self) -> &StampWord {
        &self.deleted
    }

    /// The row's image.
    #[inline]
    pub fn image(&self) -> &[u8] {
        let length = self.bytes as usize - HEADER_BYTES;
        // The image is beyond what `&self` may reach, so the pointer is made from the record's
        // exposed one.
        let image = ptr::with_exposed_provenance(ptr::from_ref(self).addr() + HEADER_BYTES);
        // SAFETY: the record was allocated with `bytes` bytes, of which the image is the rest;
        // it was written before publication and has not changed since.
        unsafe { slice::from_raw_parts(image, length) }
    }

    /// Whether it lies in an extent that is being evacuated.
    pub fn is_evacuated(&self, pool: &Pool) -> bool {
        pool.is_evacuating(NonNull::from(self).cast())
    }

    /// Unlinks everything older than this version, and hands it out.
    pub fn cut_older(&self, proof: &Operation<'_>, retire: impl FnMut(Garbage)) {
        let older = self.older.load(proof);
        self.older.0.store(0, Release);
        older.retire_chain(proof, retire);
    }

    /// Unlinks the next older version, which leads on as before for whoever is there. Only the
    /// collector may.
    pub fn unlink_older(&self, older: &Self) -> Garbage {
        debug_assert!(self.older.leads_to(older), "it is the next one");
        // Release: what it leads to was published before.
        self.older.0.store(older.older.0.load(Acquire), Release);
        older.garbage()
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    fn garbage(&self) -> Garbage {
        Garbage::Version(VersionPointer(NonNull::from(self)))
    }
}

/// A version that nobody else knows yet; dropped unpublished, its memory is given back.
#[derive(Debug)]
pub struct NewVersion<'p> {
    pool: &'p Pool,
    version: NonNull<Version>,
}

impl<'p> NewVersion<'p> {
    /// A version with a zeroed image of `image_bytes`.
    pub fn with_image(pool: &'p Pool, begin: Stamp, image_bytes: usize) -> Result<Self> {
        let bytes = Self::total(image_bytes)?;
        let memory = pool.allocate(Owner::Version, bytes as usize)?;
        Ok(Self::fill(pool, memory, begin, bytes))
    }

    /// A version whose image is a copy of `body`, and after it `more` bytes of zero.
    pub fn with_copy(pool: &'p Pool, begin: Stamp, body: &[u8], more: usize) -> Result<Self> {
        let bytes = Self::total(body.len() + more)?;
        let memory = pool.allocate_unwritten(Owner::Version, bytes as usize)?;
        // SAFETY: the memory is ours alone, and as long as header, body and the rest; all of it is
        // written here and in `fill`, before anybody makes a reference to it.
        unsafe {
            let image = memory.as_ptr().add(HEADER_BYTES);
            ptr::copy_nonoverlapping(body.as_ptr(), image, body.len());
            ptr::write_bytes(image.add(body.len()), 0, more);
        }
        Ok(Self::fill(pool, memory, begin, bytes))
    }

    fn total(image_bytes: usize) -> Result<u32> {
        let total = HEADER_BYTES as u64 + image_bytes as u64;
        u32::try_from(total).map_err(|_| Error::LimitExceeded {
            what: "size of a row in bytes",
            found: total,
            limit: u64::from(u32::MAX),
        })
    }

    fn fill(pool: &'p Pool, memory: NonNull<u8>, begin: Stamp, bytes: u32) -> Self {
        let version = memory.cast::<Version>();
        // SAFETY: the pool gave at least a header's bytes, aligned to 16, to us alone.
        unsafe {
            version.write(Version {
                begin: StampWord(AtomicU64::new(begin.0)),
                older: HeadWord::default(),
                deleted: StampWord::default(),
                bytes,
            });
        }
        Self { pool, version }
    }

    /// A copy of `version`, which is committed, and whose link only the caller changes; deleted then, or not.
    fn copy_of(pool: &'p Pool, version: &Version, deleted: Stamp) -> Result<Self> {
        let mut copy = Self::with_copy(pool, version.begin.load(), version.image(), 0)?;
        // SAFETY: the record is ours alone.
        let record = unsafe { copy.version.as_mut() };
        *record.older.0.get_mut() = version.older.0.load(Acquire);
        record.deleted = StampWord(AtomicU64::new(deleted.0));
        Ok(copy)
    }

    /// The image, to be filled.
    pub fn image_mut(&mut self) -> &mut [u8] {
        // SAFETY: the record is ours alone, written in all of its length, which is `bytes`.
        unsafe {
            let length = self.version.as_ref().bytes as usize - HEADER_BYTES;
            slice::from_raw_parts_mut(self.version.as_ptr().add(1).cast(), length)
        }
    }
}

impl Drop for NewVersion<'_> {
    fn drop(&mut self) {
        // SAFETY: it was never published (`HeadWord::push` forgets those that were).
        unsafe { VersionPointer(self.version).free(self.pool) }
    }
}

/// What a head or an `older` link says.
#[derive(Clone, Copy, Debug)]
pub enum Head<'a> {
    /// Nothing above the base row.
    Empty,
    /// A version record.
    Version(&'a Version),
    /// The row was deleted over a version, whose record says when.
    DeletedOver(&'a Version),
    /// The base row was deleted.
    Deleted(Stamp),
    /// The row goes on in the block's successor.
    Moved,
}

impl Head<'_> {
    /// Hands out every record of the chain, which nothing leads to any more.
    pub fn retire_chain(self, proof: &Operation<'_>, mut retire: impl FnMut(Garbage)) {
        let mut link = self;
        while let Head::Version(version) | Head::DeletedOver(version) = link {
            link = version.older.load(proof);
            retire(version.garbage());
        }
    }

    fn word(self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Version(version) => ptr::from_ref(version).addr() as u64 | TAG_VERSION,
            Self::DeletedOver(version) => Self::Version(version).word() | DELETED_OVER,
            Self::Deleted(stamp) => stamp.0 << 2 | TAG_DELETED,
            Self::Moved => TAG_MOVED,
        }
    }
}

/// The tagged word that leads to a row's newest version, or a version to the next older one.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct HeadWord(AtomicU64);

impl HeadWord {
    /// A word that says *moved*.
    pub const fn moved() -> Self {
        Self(AtomicU64::new(TAG_MOVED))
    }

    /// Whether nothing is above the base row. What was written to the base before is readable.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.load(Acquire) == 0
    }

    /// Whether this version is where the word leads.
    pub fn leads_to(&self, version: &Version) -> bool {
        self.0.load(Acquire) == Head::Version(version).word()
    }

    /// Follows the word.
    #[inline]
    pub fn load<'a>(&'a self, _proof: &'a Operation<'a>) -> Head<'a> {
        let word = self.0.load(Acquire);
        match word & TAG_MASK {
            TAG_VERSION => {
                let address = (word & POINTER_MASK) as usize;
                let pointer = ptr::with_exposed_provenance::<Version>(address);
                // SAFETY: only `push` and the copying of words write pointers, so it points to a
                // published record; `_proof` keeps it from being freed for 'a (module header).
                let version = unsafe { &*pointer };
                match word & DELETED_OVER {
                    0 => Head::Version(version),
                    _ => Head::DeletedOver(version),
                }
            }
            TAG_DELETED => Head::Deleted(Stamp(word >> 2)),
            TAG_MOVED => Head::Moved,
            _ => Head::Empty,
        }
    }

    /// Chains a version over what was `seen`; gives it back where the word has changed since.
    pub fn push<'p>(&self, seen: Head<'_>, new: NewVersion<'p>) -> Result<(), NewVersion<'p>> {
        // SAFETY: the record is ours alone.
        let version = unsafe { new.version.as_ref() };
        version.older.0.store(seen.word(), Release);
        let word = new.version.as_ptr().expose_provenance() as u64 | TAG_VERSION;
        // AcqRel: publishes the record, and takes over what was done under the word seen.
        match self.0.compare_exchange(seen.word(), word, AcqRel, Acquire) {
            Ok(_) => {
                std::mem::forget(new);
                Ok(())
            }
            Err(_) => Err(new),
        }
    }

    /// Notes the deletion of a bare row; fails where a version or a deletion came first.
    pub fn delete(&self, stamp: Stamp) -> bool {
        self.exchange(Head::Empty, Head::Deleted(stamp))
    }

    /// Notes the deletion of a row over its newest version; fails where another change came first, or is about to.
    pub fn delete_over(&self, newest: &Version, stamp: Stamp) -> bool {
        let deleted = &newest.deleted.0;
        let never = Stamp::NEVER.0;
        // Relaxed: the exchange of the head publishes it.
        if deleted
            .compare_exchange(never, stamp.0, Relaxed, Relaxed)
            .is_err()
        {
            return false;
        }
        let is_deleted = self.exchange(Head::Version(newest), Head::DeletedOver(newest));
        if !is_deleted {
            newest.deleted.store(Stamp::NEVER);
        }
        is_deleted
    }

    /// Takes a deletion over a version back. Only its owner may, and not while the block is being replaced.
    pub fn undo_delete_over(&self, newest: &Version) {
        let undone = self.exchange(Head::DeletedOver(newest), Head::Version(newest));
        assert!(undone, "an uncommitted deletion is the newest");
        // Last: the next deleter waits for it.
        newest.deleted.store(Stamp::NEVER);
    }

    /// Gives a deletion its final stamp; fails where the row has moved meanwhile. Only the owner of
    /// the marker may.
    pub fn stamp_deletion(&self, marker: Stamp, stamp: Stamp) -> bool {
        self.exchange(Head::Deleted(marker), Head::Deleted(stamp))
    }

    /// Takes a deletion back. Only its owner may, and not while the block is being replaced.
    pub fn undo_deletion(&self, marker: Stamp) {
        let undone = self.exchange(Head::Deleted(marker), Head::Empty);
        assert!(undone, "an uncommitted deletion is the newest");
    }

    /// Says what the head of the row in the block before said; nobody else reads the word yet.
    pub fn carry(&self, head: Head<'_>) {
        // Relaxed: published by `seal`.
        self.0.store(head.word(), Relaxed);
    }

    /// Says *moved* from now on, unless the word has changed since it was `seen`. What was written
    /// to the successor before is readable for whoever finds it through this word.
    pub fn seal(&self, seen: Head<'_>) -> bool {
        self.exchange(seen, Head::Moved)
    }

    fn exchange(&self, seen: Head<'_>, by: Head<'_>) -> bool {
        // AcqRel: publishes what was written before, and takes over what was done under the word.
        self.0
            .compare_exchange(seen.word(), by.word(), AcqRel, Acquire)
            .is_ok()
    }

    /// Takes back the newest version, which is the caller's own and uncommitted, so that nobody
    /// else can have chained another one over it.
    pub fn undo_version(&self, newest: &Version) -> Garbage {
        newest.begin.store(Stamp::ABORTED);
        let older = newest.older.0.load(Acquire);
        let word = Head::Version(newest).word();
        let result = self.0.compare_exchange(word, older, AcqRel, Acquire);
        assert!(result.is_ok(), "an uncommitted version is the newest");
        newest.garbage()
    }

    /// Empties the word once the newest version was folded into the base. Fails where a newer version came.
    pub fn fold(&self, newest: &Version) -> Option<Garbage> {
        self.exchange(Head::Version(newest), Head::Empty)
            .then(|| newest.garbage())
    }

    /// Lets go of the version that the row was deleted over, by a commit: the row is deleted over the next older
    /// one, or over the base, from the same commit on. `None` where that cannot be now.
    ///
    /// Only the collector may, one at a time.
    pub fn unlink_deleted(&self, gone: &Version, proof: &Operation<'_>) -> Option<Garbage> {
        let stamp = gone.deleted.load();
        let by = match gone.older.load(proof) {
            Head::Version(older) => {
                let deleted = &older.deleted.0;
                // A deleter who came late to it may be about to put back the zero.
                deleted
                    .compare_exchange(Stamp::NEVER.0, stamp.0, Relaxed, Relaxed)
                    .ok()?;
                Head::DeletedOver(older)
            }
            _ => Head::Deleted(stamp),
        };
        let is_unlinked = self.exchange(Head::DeletedOver(gone), by);
        debug_assert!(
            is_unlinked,
            "only the collector changes a committed deletion"
        );
        is_unlinked.then(|| gone.garbage())
    }

    /// Puts a copy in other memory in the place of a committed version that this word leads to, deleted over
    /// by a commit or not at all. `None` where the word has changed since.
    ///
    /// Only the collector may, one at a time: nobody else then changes the version's own link.
    pub fn relocate(&self, from: Head<'_>, pool: &Pool) -> Result<Option<Garbage>> {
        let (version, deleted, tag) = match from {
            Head::Version(version) => (version, Stamp::NEVER, TAG_VERSION),
            Head::DeletedOver(version) => {
                let deleted = version.deleted.load();
                (version, deleted, TAG_VERSION | DELETED_OVER)
            }
            _ => return Ok(None),
        };
        let copy = NewVersion::copy_of(pool, version, deleted)?;
        let to = copy.version.as_ptr().expose_provenance() as u64 | tag;
        // AcqRel: publishes the copy, as `push` does.
        match self.0.compare_exchange(from.word(), to, AcqRel, Acquire) {
            Ok(_) => {
                std::mem::forget(copy);
                Ok(Some(version.garbage()))
            }
            Err(_) => Ok(None),
        }
    }

    /// Frees the whole chain, when nobody can look any more.
    pub fn free_chain(&mut self, pool: &Pool) {
        let mut word = std::mem::take(self.0.get_mut());
        while word & TAG_MASK == TAG_VERSION {
            let address = (word & POINTER_MASK) as usize;
            let pointer = ptr::with_exposed_provenance_mut::<Version>(address);
            let version = VersionPointer(NonNull::new(pointer).expect("a tagged pointer"));
            // SAFETY: `&mut self` ends all borrows; a linked record has not been freed, and each
            // is linked once.
            unsafe {
                word = *(*pointer).older.0.get_mut();
                version.free(pool);
            }
        }
    }
}
