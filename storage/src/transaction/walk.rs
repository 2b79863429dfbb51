//! The rows that entries of an index are of.

use super::RowRef;
use crate::block::Block;
use crate::catalog::{IndexEntry, IntKey};
use crate::ids::{RowId, Timestamp};
use crate::index::Entries;
use crate::mvcc::{Resolved, Viewpoint};
use crate::table::Table;

/// How many entries ahead rows are asked for.
pub(super) const ROWS_AHEAD: usize = 12;

/// Gives the rows of entries of an index, those that have their keys. A row is looked at once: to see whether its entry is
/// its key still, and to read it. Where keys are of one integer it is said how rows are compared with them.
#[inline(always)]
pub(super) fn each_row<'a>(
    (index, int): (&IndexEntry, Option<&IntKey>),
    entries: &Entries,
    rows: &'a Table,
    viewpoint: &Viewpoint<'a>,
    mut take: impl FnMut(RowId, RowRef<'a>),
) {
    let mut near = None;
    let mut ahead = entries.iter().skip(ROWS_AHEAD);
    for (key, id) in entries.iter() {
        let place = rows.place_near(id, viewpoint.operation(), &mut near);
        let next = ahead.next();
        let Some((block, slot)) = place else {
            continue;
        };
        if let Some((_, next)) = next
            && next.block() == id.block()
        {
            block.fetch(next.slot());
        }
        if let Some(int) = int
            && let Some(bare) = block.bare_row(slot, viewpoint)
        {
            let is_its_key = match int.value(key) {
                Some(value) => bare.has_int(int.column, value),
                None => bare.is_null(int.column),
            };
            if is_its_key {
                take(id, bare.row());
            }
        } else {
            other_row((index, int), block, viewpoint, (key, id), &mut take);
        }
    }
}

/// The place of the first entry that is the key of a row that the view shows.
pub(super) fn first_shown(
    index: &IndexEntry,
    entries: &Entries,
    rows: &Table,
    viewpoint: &Viewpoint<'_>,
) -> Option<usize> {
    let mut near = None;
    let mut ahead = entries.iter().skip(ROWS_AHEAD);
    entries.iter().position(|(key, id)| {
        let place = rows.place_near(id, viewpoint.operation(), &mut near);
        let next = ahead.next();
        place.is_some_and(|(block, slot)| {
            if let Some((_, next)) = next
                && next.block() == id.block()
            {
                block.fetch(next.slot());
            }
            let row = block.visible(slot, viewpoint);
            row.is_some_and(|row| index.has_key(&row, key))
        })
    })
}

/// Whether no snapshot from this timestamp on sees a row by the entry, unless the row gets the key again: its newest state was
/// committed by then and is a deletion, or has another key.
pub(super) fn is_gone(
    index: &IndexEntry,
    (key, id): (&[u8], RowId),
    rows: &Table,
    (viewpoint, as_of): (&Viewpoint<'_>, Timestamp),
) -> bool {
    let Some((block, slot)) = rows.place(id, viewpoint.operation()) else {
        return false;
    };
    let newest = block.newest(slot, viewpoint.operation());
    match viewpoint.resolve(|| newest.stamp()) {
        Resolved::Committed(timestamp) if timestamp <= as_of => {
            newest.image().is_none_or(|row| !index.has_key(&row, key))
        }
        _ => false,
    }
}

/// Gives the row of one entry, of whatever kind it is, if it has its key. Apart, so that a bare row of a hot block is not put
/// together with this one, in memory, before it is taken.
#[inline(never)]
pub(super) fn other_row<'a>(
    (index, int): (&IndexEntry, Option<&IntKey>),
    block: &'a Block,
    viewpoint: &Viewpoint<'a>,
    (key, id): (&[u8], RowId),
    take: &mut impl FnMut(RowId, RowRef<'a>),
) {
    if let Some(int) = int
        && let Some((frozen, position)) = block.bare(id.slot())
        && let Some(found) = frozen.int(int.id, position)
    {
        if int.value(key) == found {
            take(id, block.frozen_row(frozen, position));
        }
    } else if let Some(row) = block.visible(id.slot(), viewpoint)
        && index.has_key(&row, key)
    {
        take(id, row);
    }
}
