//! Nodes of the tree: the header that all share, and the inner nodes.
//!
//! ```text
//!  header   version 8 | size 2 | count 2 | prefix length 2 | form 1 | detail 1 | prefix 8
//!  Node4    header | 4 key bytes, ascending (8 reserved)  | 4 slots            64 bytes
//!  Node16   header | 16 key bytes, ascending              | 16 slots
//!  Node48   header | 256 bytes: slot number + 1, or 0     | 48 slots
//!  Node256  header |                                        256 slots
//!  any      .. and the prefix at the very end, where it is longer than 8 bytes
//! ```
//!
//! The prefix is what all keys below have in common from the node's place on. It is written once:
//! a node that is to have another one is replaced. So the bytes that lead to a node are the same
//! for all its life, and a node that is in use when looked at is the right one for these bytes,
//! whatever was changed above it meanwhile.
//!
//! Invariants
//! - Version, count, key bytes and slots are read by anyone and written under the node's lock; all
//!   are atomics. The rest is written before the node is put in the tree and constant from then on.
//! - Key bytes of Node4 and Node16 ascend; `count` of them count, each with its slot.

use super::rest::Rest;
use super::version::Version;
use super::word::{Kind, Slot, Word};
use crate::error::Result;
use crate::index::memory::{Memory, Supply};
use crate::pool::{Owner, rounded_bytes};
use crate::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::ptr::NonNull;

/// Bytes of a prefix that stand in the header.
pub(super) const PREFIX_INLINE: usize = 8;
/// Sizes are counted in these.
const SIZE_UNIT: usize = 16;

/// What all nodes begin with.
#[repr(C)]
pub(super) struct Header {
    pub(super) version: Version,
    size: u16,
    count: AtomicU16,
    prefix_len: u16,
    /// A bucket's form; unused in inner nodes.
    pub(super) form: u8,
    /// A bucket's key length, or [`Inner::row_bytes`].
    pub(super) detail: u8,
    prefix: [u8; PREFIX_INLINE],
}

const _: () = assert!(size_of::<Header>() == 24);

/// Bytes that a prefix takes beside the header.
pub(super) fn prefix_bytes(len: usize) -> usize {
    if len > PREFIX_INLINE { len } else { 0 }
}

/// A node of either sort.
#[derive(Clone, Copy)]
pub(super) struct Node(NonNull<Header>);

impl Node {
    pub(super) fn new(at: NonNull<Header>) -> Self {
        Self(at)
    }

    /// A new node with room for `bytes` bytes, prefix included, and zeros after its header.
    pub(super) fn allocate(
        supply: Supply<'_>,
        bytes: usize,
        prefix: &[u8],
        (form, detail): (u8, u8),
    ) -> Result<Self> {
        let bytes = rounded_bytes(Owner::Index, bytes);
        let at = supply.allocate(bytes)?.cast::<Header>();
        let mut inline = [0; PREFIX_INLINE];
        if prefix.len() <= PREFIX_INLINE {
            inline[..prefix.len()].copy_from_slice(prefix);
        } else {
            // SAFETY: the memory is new, has `bytes` bytes, and the caller counted the prefix in.
            unsafe {
                let end = at.cast::<u8>().add(bytes - prefix.len());
                end.copy_from_nonoverlapping(NonNull::from(prefix).cast(), prefix.len());
            }
        }
        // SAFETY: the memory is new, aligned to 16 and larger than a header.
        unsafe {
            at.write(Header {
                version: Version::default(),
                size: (bytes / SIZE_UNIT) as u16,
                count: AtomicU16::new(0),
                prefix_len: prefix.len() as u16,
                form,
                detail,
                prefix: inline,
            });
        }
        Ok(Self(at))
    }

    #[inline]
    pub(super) fn header<'g>(self) -> &'g Header {
        // SAFETY: nodes are reached under a guard, or by who has the whole tree, and not looked
        // at any more after that (invariant of `tree`): the memory is a node's. What is not
        // atomic in a header is not written any more.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn address(self) -> NonNull<u8> {
        self.0.cast()
    }

    /// Bytes of its memory.
    pub(super) fn bytes(self) -> usize {
        usize::from(self.header().size) * SIZE_UNIT
    }

    #[inline]
    pub(super) fn count(self) -> usize {
        usize::from(self.header().count.load(Relaxed))
    }

    pub(super) fn set_count(self, count: usize) {
        self.header().count.store(count as u16, Relaxed);
    }

    #[inline]
    pub(super) fn prefix_len(self) -> usize {
        usize::from(self.header().prefix_len)
    }

    #[inline]
    pub(super) fn prefix<'g>(self) -> &'g [u8] {
        let header = self.header();
        let len = usize::from(header.prefix_len);
        if len <= PREFIX_INLINE {
            return &header.prefix[..len];
        }
        self.array(self.bytes() - len, len)
    }

    /// Whether the rest of a key goes on with the prefix.
    #[inline(always)]
    pub(super) fn leads(self, rest: impl Rest) -> bool {
        let header = self.header();
        let len = usize::from(header.prefix_len);
        if len == 0 {
            return true;
        }
        if len <= PREFIX_INLINE && len <= rest.len() {
            return rest.begins_with(header.prefix, len);
        }
        rest.with_bytes(|rest| rest.starts_with(self.prefix()))
    }

    /// `count` values at an offset: atomics, or what is not written any more.
    #[inline]
    pub(super) fn array<'g, T>(self, offset: usize, count: usize) -> &'g [T] {
        debug_assert!(offset + count * size_of::<T>() <= self.bytes());
        debug_assert!(offset.is_multiple_of(align_of::<T>()));
        // SAFETY: the node is live (`header`); callers stay within its size, which they chose when
        // they laid it out; all bytes are initialised, because the pool hands out zeros; T is an
        // atomic, or bytes that are not written any more.
        unsafe {
            let start = self.0.cast::<u8>().add(offset).cast::<T>();
            std::slice::from_raw_parts(start.as_ptr(), count)
        }
    }

    /// Frees a node that was never in the tree, or whose tree is being dropped.
    ///
    /// # Safety
    /// Nobody else can come to the node or looks at it.
    pub(super) unsafe fn free(self, memory: &Memory) {
        // SAFETY: `allocate` took it from this memory for so many bytes; by contract nobody looks.
        unsafe { memory.free(self.address(), self.bytes()) };
    }

    /// Frees a node that was taken out of the tree, once its readers are gone.
    ///
    /// # Safety
    /// No slot that new readers come to leads to the node.
    pub(super) unsafe fn retire(self, memory: &Memory) {
        // SAFETY: `allocate` took it from this memory for so many bytes; by contract no new reader
        // comes to it.
        unsafe { memory.retire(self.address(), self.bytes()) };
    }
}

const HEADER: usize = size_of::<Header>();
const KEYS_4: usize = 8;
const SLOT: usize = size_of::<Slot>();

/// A node that branches at one byte.
#[derive(Clone, Copy)]
pub(super) struct Inner {
    node: Node,
    kind: Kind,
}

impl std::ops::Deref for Inner {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

/// How an inner node of some kind is laid out.
struct Shape {
    slots: usize,
    slots_at: usize,
}

const fn shape(kind: Kind) -> Shape {
    let (slots, keys) = match kind {
        Kind::Node4 => (4, KEYS_4),
        Kind::Node16 => (16, 16),
        Kind::Node48 => (48, 256),
        Kind::Node256 => (256, 0),
        Kind::Bucket => panic!("a bucket is no inner node"),
    };
    Shape {
        slots,
        slots_at: HEADER + keys,
    }
}

/// The same byte eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Where a byte stands first among eight, or 8.
#[inline]
fn position(word: u64, byte: u8) -> usize {
    let differing = word ^ eight(byte);
    let zeros = differing.wrapping_sub(eight(1)) & !differing & eight(0x80);
    (zeros.trailing_zeros() / 8) as usize
}

/// Where a byte stands first among sixteen, or 16.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn position_16(low: u64, high: u64, byte: u8) -> usize {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
    // SAFETY: every processor of this architecture has these instructions.
    let equal = unsafe {
        let bytes = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
        _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed())))
    };
    (equal | 1 << 16).trailing_zeros() as usize
}

#[cfg(not(target_arch = "x86_64"))]
fn position_16(low: u64, high: u64, byte: u8) -> usize {
    let (low, high) = (position(low, byte), position(high, byte));
    // Without a branch, which random bytes would make a wrong guess.
    low + high * (low / 8)
}

impl Inner {
    #[inline]
    pub(super) fn new(at: NonNull<Header>, kind: Kind) -> Self {
        Self {
            node: Node(at),
            kind,
        }
    }

    /// The smallest kind for so many children.
    pub(super) fn kind_for(children: usize) -> Kind {
        match children {
            0..=4 => Kind::Node4,
            5..=16 => Kind::Node16,
            17..=48 => Kind::Node48,
            _ => Kind::Node256,
        }
    }

    /// A new node over children in ascending order of their bytes; `room` says for how many.
    pub(super) fn make(
        supply: Supply<'_>,
        room: usize,
        prefix: &[u8],
        row_bytes: u8,
        children: impl IntoIterator<Item = (u8, Word)>,
    ) -> Result<Self> {
        let kind = Self::kind_for(room);
        let bytes = Self::bytes_for(room, prefix.len());
        let node = Node::allocate(supply, bytes, prefix, (0, row_bytes))?;
        let inner = Self { node, kind };
        for (byte, word) in children {
            inner.add(byte, word);
        }
        Ok(inner)
    }

    /// Bytes of a node for so many children.
    pub(super) fn bytes_for(room: usize, prefix_len: usize) -> usize {
        let shape = shape(Self::kind_for(room));
        shape.slots_at + shape.slots * SLOT + prefix_bytes(prefix_len)
    }

    pub(super) fn word(self) -> Word {
        let at = self.node.address();
        match self.kind {
            Kind::Node256 if self.prefix_len() == 0 => Word::plain_256(at),
            kind => Word::node(at, kind),
        }
    }

    #[inline]
    pub(super) fn is_256(self) -> bool {
        self.kind == Kind::Node256
    }

    /// How many bytes of the row id come before the byte that it branches at, and one more; zero
    /// where it branches at a byte of the key. (The entries below a node that branches within the
    /// row id all have one key; this says where it ends.)
    #[inline]
    pub(super) fn row_bytes(self) -> u8 {
        self.header().detail
    }

    pub(super) fn room(self) -> usize {
        shape(self.kind).slots
    }

    /// The children below which a smaller kind is taken: with some distance to the step up.
    pub(super) fn few(self) -> usize {
        match self.kind {
            Kind::Node4 => 1,
            Kind::Node16 => 3,
            Kind::Node48 => 12,
            _ => 36,
        }
    }

    /// Whether, after a removal, a look at it is due.
    pub(super) fn is_to_be_tidied(self) -> bool {
        self.count() <= self.few() || self.count().is_power_of_two()
    }

    #[inline]
    pub(super) fn slots<'g>(self) -> &'g [Slot] {
        let shape = shape(self.kind);
        self.array(shape.slots_at, shape.slots)
    }

    #[inline]
    fn key_words<'g>(self) -> &'g [AtomicU64] {
        let words = if self.kind == Kind::Node4 { 1 } else { 2 };
        self.array(HEADER, words)
    }

    #[inline]
    fn numbers<'g>(self) -> &'g [AtomicU8] {
        self.array(HEADER, 256)
    }

    /// The slots of a Node256.
    #[inline(always)]
    pub(super) fn slots_256<'g>(self) -> &'g [Slot; 256] {
        let slots = self.array(HEADER, 256);
        slots.first_chunk().expect("so many were asked for")
    }

    /// The child of a byte, or nothing, as one word of a Node256.
    #[inline(always)]
    pub(super) fn word_256(self, byte: u8) -> Word {
        Word::load(&self.slots_256()[usize::from(byte)])
    }

    /// The slot of a byte, if it has a child.
    #[inline(always)]
    pub(super) fn find<'g>(self, byte: u8) -> Option<&'g Slot> {
        let at = match self.kind {
            Kind::Node4 => position(self.key_words()[0].load(Relaxed), byte),
            Kind::Node16 => {
                let words = self.key_words();
                position_16(words[0].load(Relaxed), words[1].load(Relaxed), byte)
            }
            Kind::Node48 => {
                let number = self.numbers()[usize::from(byte)].load(Relaxed);
                let at = usize::from(number).checked_sub(1)?;
                return self.slots().get(at);
            }
            _ => {
                let slot = &self.slots()[usize::from(byte)];
                return (!Word::load(slot).is_nothing()).then_some(slot);
            }
        };
        // Bytes beyond the count are left over; the slots are as many as the count can say.
        (at < self.count()).then(|| self.slots().get(at)).flatten()
    }

    fn key(self, at: usize) -> u8 {
        let word = self.key_words()[at / 8].load(Relaxed);
        word.to_le_bytes()[at % 8]
    }

    /// The first child at or above a byte.
    pub(super) fn next(self, from: u8) -> Option<(u8, Word)> {
        match self.kind {
            Kind::Node4 | Kind::Node16 => {
                let count = self.count().min(self.room());
                let at = (0..count).find(|at| self.key(*at) >= from)?;
                Some((self.key(at), Word::load(&self.slots()[at])))
            }
            Kind::Node48 => (from..=u8::MAX).find_map(|byte| self.child_48(byte)),
            _ => (from..=u8::MAX).find_map(|byte| self.child_256(byte)),
        }
    }

    /// The last child at or below a byte.
    pub(super) fn previous(self, from: u8) -> Option<(u8, Word)> {
        match self.kind {
            Kind::Node4 | Kind::Node16 => {
                let count = self.count().min(self.room());
                let at = (0..count).rfind(|at| self.key(*at) <= from)?;
                Some((self.key(at), Word::load(&self.slots()[at])))
            }
            Kind::Node48 => (0..=from).rev().find_map(|byte| self.child_48(byte)),
            _ => (0..=from).rev().find_map(|byte| self.child_256(byte)),
        }
    }

    fn child_48(self, byte: u8) -> Option<(u8, Word)> {
        let number = self.numbers()[usize::from(byte)].load(Relaxed);
        let slot = self.slots().get(usize::from(number).checked_sub(1)?)?;
        Some((byte, Word::load(slot)))
    }

    #[inline]
    fn child_256(self, byte: u8) -> Option<(u8, Word)> {
        let word = Word::load(&self.slots()[usize::from(byte)]);
        (!word.is_nothing()).then_some((byte, word))
    }

    /// All children, ascending. Exact only under the node's lock.
    pub(super) fn children(self) -> impl Iterator<Item = (u8, Word)> {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let (byte, word) = self.next(from?)?;
            from = byte.checked_add(1);
            Some((byte, word))
        })
    }

    /// Adds a child for a byte that has none; there is room, and the node is locked or not in the
    /// tree yet.
    pub(super) fn add(self, byte: u8, word: Word) {
        let count = self.count();
        debug_assert!(count < self.room(), "there is room");
        debug_assert!(self.find(byte).is_none(), "one child a byte");
        match self.kind {
            Kind::Node4 | Kind::Node16 => {
                let at = (0..count).find(|at| self.key(*at) > byte).unwrap_or(count);
                let slots = self.slots();
                for to in (at..count).rev() {
                    Word::load(&slots[to]).store(&slots[to + 1]);
                }
                word.store(&slots[at]);
                let keys = self.keys();
                let below = keys & ((1 << (8 * at)) - 1);
                let above = (keys ^ below) << 8;
                self.set_keys(below | above | u128::from(byte) << (8 * at));
            }
            Kind::Node48 => {
                let free = |slot: &&Slot| Word::load(slot).is_nothing();
                let at = self.slots().iter().position(|slot| free(&slot));
                let at = at.expect("there is room");
                word.store(&self.slots()[at]);
                self.numbers()[usize::from(byte)].store(at as u8 + 1, Relaxed);
            }
            _ => word.store(&self.slots()[usize::from(byte)]),
        }
        self.set_count(count + 1);
    }

    /// Removes the child of a byte, which has one; the node is locked.
    pub(super) fn remove(self, byte: u8) {
        let count = self.count();
        let slots = self.slots();
        match self.kind {
            Kind::Node4 | Kind::Node16 => {
                let at = (0..count).find(|at| self.key(*at) == byte);
                let at = at.expect("the byte has a child");
                for to in at..count - 1 {
                    Word::load(&slots[to + 1]).store(&slots[to]);
                }
                Word::NOTHING.store(&slots[count - 1]);
                let keys = self.keys();
                let below = keys & ((1 << (8 * at)) - 1);
                let above = ((keys ^ below) >> 8) >> (8 * at) << (8 * at);
                self.set_keys(below | above);
            }
            Kind::Node48 => {
                let number = &self.numbers()[usize::from(byte)];
                let at = usize::from(number.load(Relaxed)) - 1;
                number.store(0, Relaxed);
                Word::NOTHING.store(&slots[at]);
            }
            _ => Word::NOTHING.store(&slots[usize::from(byte)]),
        }
        self.set_count(count - 1);
    }

    fn keys(self) -> u128 {
        let words = self.key_words().iter().rev();
        words.fold(0, |keys, word| keys << 64 | u128::from(word.load(Relaxed)))
    }

    fn set_keys(self, keys: u128) {
        for (at, word) in self.key_words().iter().enumerate() {
            word.store((keys >> (64 * at)) as u64, Relaxed);
        }
    }
}
