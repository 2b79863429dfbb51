//! Frames: which rows of its partition belong to each row.

use super::super::ExecContext;
use super::super::batch::internal;
use super::super::eval::eval_constant;
use super::super::memory::Held;
use super::range::RangeEnd;
use super::section::{Partition, Section};
use crate::error::{Error, Result, state};
use crate::function::aggregate::FrameRows;
use crate::plan::SortKey;
use crate::plan::window::{Exclude, Frame, FrameEnd, FrameOffset, Units};
use arrow_array::{ArrayRef, UInt32Array};
use remora_storage::ValueRef;
use std::ops::Range;

/// A frame clause at work.
#[derive(Debug)]
pub(super) struct Framing {
    start: End,
    end: End,
    units: Units,
    exclude: Exclude,
}

/// One end of it.
#[derive(Debug)]
enum End {
    Unbounded,
    CurrentRow,
    /// So many rows or groups away, less being before. How many is evaluated when there are rows.
    Counted(FrameOffset, Option<i64>),
    /// So far away in what is ordered by.
    Ranged(Box<RangeEnd>),
}

/// The frames of a section.
#[derive(Debug)]
pub(super) struct Frames {
    /// Frames that follow each other and differ.
    pub distinct: Vec<FrameRows>,
    /// Which of them each row has; `None` where each has its own.
    of_row: Option<UInt32Array>,
}

impl Frames {
    /// That of a row.
    pub(super) fn of(&self, row: usize) -> &FrameRows {
        match &self.of_row {
            None => &self.distinct[row],
            Some(of_row) => &self.distinct[of_row.value(row) as usize],
        }
    }

    /// One result a row of one a frame.
    pub(super) fn spread(&self, results: ArrayRef) -> Result<ArrayRef> {
        match &self.of_row {
            None => Ok(results),
            Some(of_row) => arrow_select::take::take(&results, of_row, None).map_err(internal),
        }
    }
}

impl Framing {
    /// The clause of a window that is ordered by `key` first.
    pub(super) fn new(frame: &Frame, key: Option<&SortKey>) -> Self {
        let end = |end: &FrameEnd, is_start: bool| match (end, frame.units, key) {
            (FrameEnd::Unbounded, ..) => End::Unbounded,
            (FrameEnd::CurrentRow, ..) => End::CurrentRow,
            (FrameEnd::Offset(offset), Units::Range, Some(key)) => {
                End::Ranged(Box::new(RangeEnd::new(offset, key, is_start)))
            }
            (FrameEnd::Offset(offset), ..) => End::Counted(offset.clone(), None),
        };
        Self {
            start: end(&frame.start, true),
            end: end(&frame.end, false),
            units: frame.units,
            exclude: frame.exclude,
        }
    }

    /// The frame of each row of a section.
    /// Looks at its ends, whether any row asks for them or not.
    ///
    /// # Errors
    /// 22004, 22013
    pub(super) fn check(&mut self, context: &ExecContext) -> Result<()> {
        self.start.count(context, "starting")?;
        self.end.count(context, "ending")
    }

    pub(super) fn frames(
        &mut self,
        section: &Section,
        held: &mut Held,
        context: &ExecContext,
    ) -> Result<Frames> {
        let rows = section.batch.rows;
        held.grow(
            rows * (size_of::<FrameRows>() + 3 * size_of::<u32>()),
            context,
        )?;
        self.start.count(context, "starting")?;
        self.end.count(context, "ending")?;
        let starts = self
            .start
            .positions(true, self.units, section, held, context)?;
        let ends = self
            .end
            .positions(false, self.units, section, held, context)?;
        context.check()?;
        let mut frames = Frames {
            distinct: Vec::with_capacity(rows),
            of_row: None,
        };
        let mut of_row = Vec::with_capacity(rows);
        for partition in section.partitions() {
            for group in partition.groups() {
                for row in group.clone() {
                    let start = starts[row as usize];
                    let end = ends[row as usize].max(start);
                    let frame = exclude(start..end, row, &group, self.exclude);
                    if frames.distinct.last() != Some(&frame) {
                        frames.distinct.push(frame);
                    }
                    of_row.push(frames.distinct.len() as u32 - 1);
                }
            }
        }
        if frames.distinct.len() < rows {
            frames.of_row = Some(of_row.into());
        }
        Ok(frames)
    }
}

/// What EXCLUDE leaves of a frame.
fn exclude(frame: Range<u32>, row: u32, peers: &Range<u32>, exclude: Exclude) -> FrameRows {
    let (out, own) = match exclude {
        Exclude::NoOthers => return FrameRows::whole(frame),
        Exclude::CurrentRow => (row..row + 1, None),
        Exclude::Group => (peers.clone(), None),
        Exclude::Ties => (peers.clone(), Some(row).filter(|row| frame.contains(row))),
    };
    let clip = |at: u32| at.clamp(frame.start, frame.end);
    FrameRows {
        before: frame.start..clip(out.start),
        own,
        after: clip(out.end)..frame.end,
    }
}

impl End {
    /// Evaluates how many rows or groups away it is.
    ///
    /// # Errors
    /// 22004, 22013
    fn count(&mut self, context: &ExecContext, which: &str) -> Result<()> {
        let (offset, count) = match self {
            Self::Counted(offset, count @ None) => (offset, count),
            Self::Ranged(end) => return end.amount(context).map(drop),
            _ => return Ok(()),
        };
        let complain = |state, what: &str| {
            Err(Error::new(
                state,
                format!("frame {which} offset must not be {what}"),
            ))
        };
        *count = match eval_constant(&offset.amount, context)?.as_ref() {
            ValueRef::BigInt(amount @ 0..) if offset.following => Some(amount),
            ValueRef::BigInt(amount @ 0..) => Some(-amount),
            ValueRef::Null => return complain(state::NULL_VALUE_NOT_ALLOWED, "null"),
            _ => return complain(state::INVALID_PRECEDING_OR_FOLLOWING_SIZE, "negative"),
        };
        Ok(())
    }

    /// Where it is for each row: the first row of the frame, or the one behind the last.
    fn positions(
        &mut self,
        is_start: bool,
        units: Units,
        section: &Section,
        held: &mut Held,
        context: &ExecContext,
    ) -> Result<Vec<u32>> {
        if let Self::Ranged(end) = self {
            return end.positions(section, held, context);
        }
        let mut out = Vec::with_capacity(section.batch.rows);
        for partition in section.partitions() {
            let rows = partition.rows.clone();
            match (&*self, units) {
                (Self::Counted(_, count), Units::Rows) => {
                    let count = count.unwrap_or(0).saturating_add(i64::from(!is_start));
                    out.extend(rows.clone().map(|row| shift(row, count, &rows)));
                }
                (Self::Counted(_, count), _) => {
                    let count = count.unwrap_or(0).saturating_add(i64::from(!is_start));
                    groups_away(&partition, count, &mut out);
                }
                (Self::CurrentRow, Units::Rows) => {
                    out.extend(rows.map(|row| row + u32::from(!is_start)));
                }
                (Self::CurrentRow, _) => {
                    for group in partition.groups() {
                        let at = if is_start { group.start } else { group.end };
                        out.resize(out.len() + group.len(), at);
                    }
                }
                _ => {
                    let at = if is_start { rows.start } else { rows.end };
                    out.resize(out.len() + rows.len(), at);
                }
            }
        }
        Ok(out)
    }
}

/// A place so far from a row, but within `rows` or at their end.
fn shift(row: u32, by: i64, rows: &Range<u32>) -> u32 {
    let at = i64::from(row).saturating_add(by);
    at.clamp(i64::from(rows.start), i64::from(rows.end)) as u32
}

/// For each row the place where the group begins that is so many groups away from its own.
fn groups_away(partition: &Partition<'_>, by: i64, out: &mut Vec<u32>) {
    let last = partition.peers.len() as i64 - 1;
    for (number, group) in partition.groups().enumerate() {
        let away = (number as i64).saturating_add(by).clamp(0, last);
        out.resize(out.len() + group.len(), partition.peers[away as usize]);
    }
}
