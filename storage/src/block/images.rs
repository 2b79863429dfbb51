//! Rows that become columns: what the loops over them need, whatever the rows are.
//!
//! ```text
//!   Versions   rows one by one: versions, and rows of ranges that are not settled
//!   Stretch    base rows of settled slots, one stride apart: nobody looks at a header
//!   Run        rows of settled slots in a frozen block: these are columns already
//! ```
//!
//! A [`Choice`] is all rows of one of the first two, or some. Loops over it read the same few bytes
//! of each row; what they check once before the loop is that those bytes are within an image.

use super::column::Bits;
use super::frozen::{Frozen, Mask};
use super::heap::Heap;
use super::layout::{Field, Layout, ROW_HEADER_BYTES};
use super::row::{Image, RowRef};
use super::slots::{Base, Block, RANGE_SLOTS};
use crate::ids::{BlockNo, RowId, Slot};
use crate::mvcc::Operation;
use crate::pool::prefetch;
use crate::value::ColumnBounds;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;
use std::slice;

/// Rows of one layout, by position.
pub(super) trait Images {
    /// How many.
    fn len(&self) -> usize;

    /// Of what layout; `None` where there are no rows.
    fn layout(&self) -> Option<&Layout>;

    /// `N` bytes at `offset` of an image and the byte at `null`.
    ///
    /// # Safety
    /// There is a row at that position, and the bytes are within the body of its layout.
    unsafe fn bytes<const N: usize>(&self, at: usize, offset: usize, null: usize) -> ([u8; N], u8);

    /// The row at a position below [`Self::len`].
    fn image(&self, at: usize) -> Image<'_>;

    /// Has the processor fetch a row that will be wanted soon after the one at a position, if it is
    /// known where that is.
    #[inline(always)]
    fn fetch_after(&self, _at: usize) {}
}

/// Rows as bytes, one by one.
#[derive(Debug)]
pub(super) struct Versions<'a> {
    layout: Option<&'a Layout>,
    images: Vec<Image<'a>>,
}

impl<'a> Versions<'a> {
    /// `None` where one of the rows is frozen.
    pub(super) fn of(rows: &[RowRef<'a>]) -> Option<Self> {
        let images = rows.iter().map(RowRef::as_image);
        Some(Self {
            layout: rows.first().map(|row| row.layout),
            images: images.collect::<Option<_>>()?,
        })
    }
}

impl Images for Versions<'_> {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn layout(&self) -> Option<&Layout> {
        self.layout
    }

    #[inline(always)]
    unsafe fn bytes<const N: usize>(&self, at: usize, offset: usize, null: usize) -> ([u8; N], u8) {
        let image = self.images[at].bytes;
        let mut bytes = [0; N];
        bytes.copy_from_slice(&image[offset..offset + N]);
        (bytes, image[null])
    }

    fn image(&self, at: usize) -> Image<'_> {
        self.images[at]
    }
}

/// Base rows of neighbouring slots of a settled range of a hot block.
#[derive(Debug)]
pub struct Stretch<'a> {
    /// The body of the first row; the others follow a stride apart.
    first: NonNull<u8>,
    stride: usize,
    rows: usize,
    layout: &'a Layout,
    heap: Option<&'a Heap>,
    /// The positions that hold a row, where some do not.
    pub(super) live: Option<Vec<u16>>,
    pub(super) slot: usize,
    /// Bodies are read, and the registration keeps them as they are.
    of: PhantomData<&'a Operation<'a>>,
}

/// Rows of neighbouring slots of settled ranges of a frozen block.
#[derive(Debug)]
pub struct Run<'a> {
    pub(super) frozen: &'a Frozen,
    pub(super) positions: Range<u32>,
    /// Positions whose rows died since, ascending.
    pub(super) dead: Vec<u32>,
}

/// What a scan does with the rows it finds.
pub trait Take {
    /// Rows that it holds until they are handed on.
    fn held(&self) -> usize;

    /// Whether it copies strings.
    fn copies_strings(&self) -> bool {
        false
    }

    /// Takes those rows of a hot block that pass.
    fn take_stretch(&mut self, number: BlockNo, rows: &Stretch<'_>);

    /// Takes those rows of a frozen block that pass; `false` where it did not have to look at any.
    fn take_run(&mut self, number: BlockNo, run: &Run<'_>) -> bool;

    /// Takes those rows that pass, at most 65,536.
    fn take_rows(&mut self, ids: &[RowId], rows: &[RowRef<'_>]);
}

/// What a scan finds in some slots of a block.
#[derive(Debug)]
pub enum Part<'a> {
    /// Base rows.
    Hot(Stretch<'a>),
    /// Columns.
    Frozen(Run<'a>),
    /// Each row has to be looked at.
    Unsettled,
}

impl Block {
    /// The rows of these slots, which are claimed and of one range.
    pub fn part<'a>(&'a self, slots: Range<usize>, _proof: &'a Operation<'a>) -> Part<'a> {
        assert!(
            slots.start < slots.end && slots.end <= self.claimed(),
            "claimed"
        );
        let range_of = |slot: usize| slot / RANGE_SLOTS;
        assert_eq!(range_of(slots.start), range_of(slots.end - 1), "one range");
        // After the slots were seen to be claimed (`is_settled`).
        if !self.is_settled(slots.start) {
            return Part::Unsettled;
        }
        match &self.base {
            Base::Frozen(columns) => Part::Frozen(self.run(&columns.frozen, slots)),
            Base::Hot(rows) => Part::Hot(Stretch {
                // SAFETY: a row has a header and a body.
                first: unsafe { rows.start(Slot(slots.start as u16)).add(ROW_HEADER_BYTES) },
                stride: self.layout.stride(),
                rows: slots.len(),
                layout: &self.layout,
                heap: self.heap.get().map(AsRef::as_ref),
                slot: slots.start,
                live: self.live(slots),
                of: PhantomData,
            }),
        }
    }

    /// The positions among slots of those that are not dead; `None` where none is.
    fn live(&self, slots: Range<usize>) -> Option<Vec<u16>> {
        let is_dead = |slot: usize| self.is_dead_slot(slot);
        let words = (slots.start / 64 * 64..slots.end).step_by(64);
        if words.into_iter().all(|slot| self.dead_bits(slot) == 0) {
            return None;
        }
        let live = slots.clone().filter(|slot| !is_dead(*slot));
        Some(live.map(|slot| (slot - slots.start) as u16).collect())
    }

    fn run<'a>(&self, frozen: &'a Frozen, slots: Range<usize>) -> Run<'a> {
        let live = frozen.live();
        let mut dead = Vec::new();
        // Of most words no slot is dead.
        for word in (slots.start / 64 * 64..slots.end).step_by(64) {
            let died = Bits(self.dead_bits(word)).map(|bit| word + bit);
            let died = died.filter(|slot| slots.contains(slot));
            dead.extend(died.filter_map(|slot| frozen.position(Slot(slot as u16))));
        }
        Run {
            positions: live.rank(slots.start) as u32..live.rank(slots.end) as u32,
            dead,
            frozen,
        }
    }

    /// The columns of a frozen block with the position of a slot's row, if nothing is chained over
    /// it: then every snapshot sees it as it stands there.
    pub fn bare(&self, slot: Slot) -> Option<(&Frozen, u32)> {
        let Base::Frozen(columns) = &self.base else {
            return None;
        };
        let position = columns.frozen.position(slot)?;
        let is_bare = columns.heads.is_empty(position);
        is_bare.then_some((&columns.frozen, position))
    }
}

impl<'a> Run<'a> {
    /// Rows at these positions, over which nothing is chained ([`Block::bare`]).
    pub fn of_bare(frozen: &'a Frozen, positions: Range<u32>) -> Self {
        Self {
            frozen,
            positions,
            dead: Vec::new(),
        }
    }

    /// Gives the rows within all bounds, vector by vector; no vector without any. `false` where the block is
    /// known to have none.
    pub(super) fn each_vector(
        &self,
        bounds: &[ColumnBounds],
        mut each: impl FnMut(usize, Mask),
    ) -> bool {
        const ROWS: usize = Frozen::VECTOR_ROWS;
        let Some(filter) = self.frozen.filter(bounds) else {
            return false;
        };
        let (start, end) = (self.positions.start as usize, self.positions.end as usize);
        let mut dead = self.dead.iter().map(|at| *at as usize).peekable();
        for vector in start / ROWS..end.div_ceil(ROWS) {
            let first = vector * ROWS;
            let mut chosen = filter.mask(vector);
            chosen.keep_within(&(start.max(first) - first..end.min(first + ROWS) - first));
            while let Some(at) = dead.next_if(|at| *at < first + ROWS) {
                chosen.remove(at - first);
            }
            if !chosen.is_empty() {
                each(vector, chosen);
            }
        }
        true
    }

    /// The rows of this run and of the next one of the block.
    pub fn join(&mut self, next: Self) {
        assert_eq!(self.positions.end, next.positions.start, "neighbours");
        self.positions.end = next.positions.end;
        self.dead.extend(next.dead);
    }
}

impl Images for Stretch<'_> {
    fn len(&self) -> usize {
        self.rows
    }

    fn layout(&self) -> Option<&Layout> {
        Some(self.layout)
    }

    #[inline(always)]
    unsafe fn bytes<const N: usize>(&self, at: usize, offset: usize, null: usize) -> ([u8; N], u8) {
        // SAFETY: the caller names a row of the stretch and bytes of its body; the block owns the
        // rows for 'a. Nobody writes them: the range was settled under a registered snapshot, so
        // that what is chained since is not folded before the snapshot is gone. Of a dead slot the
        // bytes are whatever was left there, and nobody chooses them.
        unsafe {
            let body = self.first.add(at * self.stride);
            let bytes = body.add(offset).cast::<[u8; N]>().read();
            (bytes, body.add(null).read())
        }
    }

    /// The rows of the next stretch follow those of this one, and are first looked at when all work
    /// on this one is done: without this, memory would be idle meanwhile.
    #[inline(always)]
    fn fetch_after(&self, at: usize) {
        let first = self.first.as_ptr();
        let row = first.wrapping_add((at + self.rows) * self.stride);
        prefetch(row);
        prefetch(row.wrapping_add(self.stride - ROW_HEADER_BYTES));
    }

    fn image(&self, at: usize) -> Image<'_> {
        assert!(at < self.rows, "a row of the stretch");
        // SAFETY: as in `bytes`: a row of the stretch, whose body is this long.
        let bytes = unsafe {
            let body = self.first.add(at * self.stride);
            slice::from_raw_parts(body.as_ptr(), self.layout.body_bytes())
        };
        Image {
            bytes,
            heap: self.heap,
        }
    }
}

/// All rows, or those at some positions, ascending.
#[derive(Debug)]
pub(super) struct Choice<'c, I: ?Sized> {
    pub(super) images: &'c I,
    pub(super) at: Option<&'c [u16]>,
}

impl<I: ?Sized> Clone for Choice<'_, I> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I: ?Sized> Copy for Choice<'_, I> {}

/// Where a value and its null bit are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    offset: usize,
    null: usize,
    mask: u8,
}

impl Spot {
    pub(super) fn new(layout: &Layout, field: &Field) -> Self {
        let (null, mask) = layout.null_bit(field);
        Self {
            offset: field.offset,
            null,
            mask,
        }
    }

    /// Of no value, only the null bit.
    pub(super) fn of_null(self) -> Self {
        Self { offset: 0, ..self }
    }

    /// Whether the byte that came with a value says that it is NULL.
    #[inline(always)]
    pub(super) fn is_null(self, byte: u8) -> bool {
        byte & self.mask != 0
    }
}

/// Reads one value after the other of some rows.
#[derive(Debug)]
pub(super) struct Reader<'i, I: ?Sized, const N: usize> {
    images: &'i I,
    rows: usize,
    spot: Spot,
}

impl<'i, I: Images + ?Sized, const N: usize> Reader<'i, I, N> {
    /// Of values of `N` bytes.
    pub(super) fn new(images: &'i I, spot: Spot) -> Self {
        if let Some(layout) = images.layout() {
            let body = layout.body_bytes();
            assert!(spot.offset + N <= body && spot.null < body, "in the body");
        }
        Self {
            images,
            rows: images.len(),
            spot,
        }
    }

    /// The value's bytes and the byte with its null bit.
    #[inline(always)]
    pub(super) fn at(&self, at: usize) -> ([u8; N], u8) {
        assert!(at < self.rows, "a position of a row");
        // SAFETY: so it is; and where there is a row, `new` has asserted that the bytes are in its
        // body.
        unsafe { self.images.bytes(at, self.spot.offset, self.spot.null) }
    }
}

impl<'c, I: Images + ?Sized> Choice<'c, I> {
    /// How many rows.
    pub(super) fn len(&self) -> usize {
        self.at.map_or(self.images.len(), <[u16]>::len)
    }

    /// Appends to `out` what `take` makes of each row's value and the byte with its null bit.
    #[inline(always)]
    pub(super) fn extend<T, const N: usize>(
        &self,
        out: &mut Vec<T>,
        spot: Spot,
        mut take: impl FnMut([u8; N], u8) -> T,
    ) {
        let reader = Reader::new(self.images, spot);
        let mut take = |at: usize| {
            let (bytes, null) = reader.at(at);
            take(bytes, null)
        };
        match self.at {
            None => out.extend((0..reader.rows).map(take)),
            Some(chosen) => out.extend(chosen.iter().map(|at| take(usize::from(*at)))),
        }
    }

    /// The rows themselves.
    pub(super) fn images(self) -> impl Iterator<Item = Image<'c>> {
        (0..self.len()).map(move |n| self.image(n))
    }

    /// The n-th of them.
    pub(super) fn image(self, n: usize) -> Image<'c> {
        let at = self.at.map_or(n, |chosen| usize::from(chosen[n]));
        self.images.image(at)
    }
}
