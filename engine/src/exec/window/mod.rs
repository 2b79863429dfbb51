//! Window functions: each row as it came, and behind it what its window's functions give for it.
//!
//! The input comes sorted: partition after partition, each in its window's order (the plan has a sort
//! below). It is cut into *sections* of whole partitions (`section`), a batch's worth or more, so that many
//! small partitions cost no more than a few large ones, and a large one is all that is held:
//!
//! ```text
//!   input     [ p1 p1 p2 p2 | p2 p3 p4 p4 | p4 .. ]      batches
//!   section   [ p1 p1 p2 p2   p2 p3 ]                    cut where p4 begins
//!   frames    one a row: where its frame begins and ends (`frame`, `range`)
//!   results   a column a call: `rank` counts, `pick` takes values of other rows,
//!             aggregates slide over the frames (`function::aggregate::frames`)
//! ```
//!
//! Calls with the same frame share it, and rows in a row with the same frame are aggregated once.
//!
//! Invariants
//! - A section's rows, frames and states are reserved before they are kept.
//! - Nothing here is quadratic but what the answer is: `string_agg` over frames that grow.

mod frame;
mod pick;
mod range;
mod rank;
mod section;

use super::batch::Batch;
use super::eval::Evaluator;
use super::memory::Held;
use super::pipeline::{Pipeline, Source};
use super::{BATCH_ROWS, ExecContext};
use crate::error::Result;
use crate::function::CallTypes;
use crate::function::aggregate::{FrameContext, FrameRows};
use crate::function::cast::cast_array;
use crate::function::window::WindowFunction;
use crate::plan::window::{Callee, Window, WindowCall};
use arrow_array::{Array, ArrayRef, BooleanArray};
use frame::{Frames, Framing};
use remora_storage::DataType;
use section::{Section, Sections};
use std::borrow::Cow;
use std::ops::Range;

/// Rows with the results of their windows.
#[derive(Debug)]
pub(super) struct Windowed<'t> {
    sections: Sections<'t>,
    framings: Vec<Framing>,
    calls: Vec<Call>,
    /// Whether the ends of its frames were looked at.
    checked: bool,
    /// The section that is being given out, and how many of its rows have been.
    ready: Option<(Batch, usize)>,
    /// What the results and the frames take.
    held: Held,
}

impl<'t> Windowed<'t> {
    /// The calls of a window over sorted rows.
    pub(super) fn new(input: Pipeline<'t>, window: &Window<Vec<WindowCall>>) -> Self {
        let mut distinct: Vec<&WindowCall> = Vec::new();
        let mut calls = Vec::with_capacity(window.calls.len());
        for call in &window.calls {
            let alike = |found: &&WindowCall| found.frame.same(&call.frame);
            let framing = distinct.iter().position(alike).unwrap_or_else(|| {
                distinct.push(call);
                distinct.len() - 1
            });
            calls.push(Call::new(call, framing));
        }
        let framing = |call: &WindowCall| Framing::new(&call.frame, window.order.first());
        Self {
            sections: Sections::new(input, window),
            framings: distinct.into_iter().map(framing).collect(),
            calls,
            ready: None,
            checked: false,
            held: Held::default(),
        }
    }

    /// A section with the results.
    fn compute(&mut self, section: Section, context: &ExecContext) -> Result<Batch> {
        self.held.shrink(0);
        let mut frames: Vec<Option<Frames>> = self.framings.iter().map(|_| None).collect();
        let mut results = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            if call.needs_frames() && frames[call.framing].is_none() {
                let framing = &mut self.framings[call.framing];
                frames[call.framing] = Some(framing.frames(&section, &mut self.held, context)?);
            }
            // A call of the same frame may have needed it.
            let frames = frames[call.framing].as_ref();
            let frames = frames.filter(|_| call.needs_frames());
            results.push(call.compute(&section, frames, &mut self.held, context)?);
        }
        let Batch { mut columns, rows } = section.batch;
        columns.append(&mut results);
        Ok(Batch::new(columns, rows))
    }
}

impl Source for Windowed<'_> {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        loop {
            if let Some((batch, given)) = &mut self.ready {
                let rows = (batch.rows - *given).min(BATCH_ROWS);
                if rows > 0 {
                    let part = batch.slice(*given, rows);
                    *given += rows;
                    return Ok(Some(part));
                }
                self.ready = None;
            }
            if !std::mem::replace(&mut self.checked, true) {
                for framing in &mut self.framings {
                    framing.check(context)?;
                }
            }
            let Some(section) = self.sections.next(context)? else {
                return Ok(None);
            };
            self.ready = Some((self.compute(section, context)?, 0));
        }
    }
}

/// One function at work.
#[derive(Debug)]
struct Call {
    callee: Callee,
    arguments: Vec<Evaluator>,
    filter: Option<Evaluator>,
    /// Which of the window's frames it is over.
    framing: usize,
    data_type: DataType,
}

impl Call {
    fn new(call: &WindowCall, framing: usize) -> Self {
        Self {
            callee: call.function.clone(),
            arguments: call.arguments.iter().cloned().map(Evaluator::new).collect(),
            filter: call.filter.clone().map(Evaluator::new),
            framing,
            data_type: call.data_type,
        }
    }

    fn types(&self) -> CallTypes {
        CallTypes {
            arguments: self.arguments.iter().map(Evaluator::data_type).collect(),
            returns: self.data_type,
        }
    }

    fn needs_frames(&self) -> bool {
        use WindowFunction as W;
        match self.callee {
            Callee::Aggregate(_) => true,
            Callee::Window(function) => {
                matches!(function, W::FirstValue | W::LastValue | W::NthValue)
            }
        }
    }

    /// The result for each row of a section.
    fn compute(
        &self,
        section: &Section,
        frames: Option<&Frames>,
        held: &mut Held,
        context: &ExecContext,
    ) -> Result<ArrayRef> {
        held.grow(RESULT_BYTES * section.batch.rows, context)?;
        match (&self.callee, frames) {
            (Callee::Aggregate(aggregate), Some(frames)) => {
                let (batch, frame_rows) = self.filtered(&section.batch, frames, held, context)?;
                let arguments = Evaluator::arrays(&self.arguments, &batch, context)?;
                let accumulator = aggregate.start(|| self.types());
                let mut frame_context = FrameContext {
                    eval: &context.eval,
                    reserve: &mut |bytes| held.grow(bytes, context),
                };
                let results =
                    accumulator.over_frames(&frame_rows, &arguments, &mut frame_context)?;
                self.fit(frames.spread(results)?, aggregate.returns(), context)
            }
            (Callee::Window(function), frames) => {
                let arguments = Evaluator::arrays(&self.arguments, &section.batch, context)?;
                match rank::ranking(*function) {
                    Some(ranking) => ranking(section, &arguments),
                    None => pick::pick(*function, &arguments, section, frames),
                }
            }
            (Callee::Aggregate(_), None) => unreachable!("aggregates need frames"),
        }
    }

    /// The rows for which the filter is true, and the frames over these.
    fn filtered<'f>(
        &self,
        batch: &Batch,
        frames: &'f Frames,
        held: &mut Held,
        context: &ExecContext,
    ) -> Result<(Batch, Cow<'f, [FrameRows]>)> {
        let Some(filter) = &self.filter else {
            return Ok((batch.clone(), Cow::Borrowed(&frames.distinct)));
        };
        let keep = filter.truth(batch, context)?.yes;
        held.grow(
            size_of::<u32>() * batch.rows + size_of_val(&frames.distinct[..]),
            context,
        )?;
        // For each row, and for the end, how many rows before it are kept.
        let mut numbers = Vec::with_capacity(batch.rows + 1);
        let mut number = 0_u32;
        numbers.push(number);
        for is_kept in &keep {
            number += u32::from(is_kept);
            numbers.push(number);
        }
        let kept = |rows: &Range<u32>| numbers[rows.start as usize]..numbers[rows.end as usize];
        let of_frame = |frame: &FrameRows| FrameRows {
            before: kept(&frame.before),
            own: (frame.own)
                .filter(|row| keep.value(*row as usize))
                .map(|row| numbers[row as usize]),
            after: kept(&frame.after),
        };
        let frames = frames.distinct.iter().map(of_frame).collect();
        let batch = batch.filter(&BooleanArray::new(keep, None))?;
        Ok((batch, Cow::Owned(frames)))
    }

    /// min and max keep the modifier of their argument, which the accumulator may not know.
    fn fit(&self, results: ArrayRef, from: DataType, context: &ExecContext) -> Result<ArrayRef> {
        match *results.data_type() == self.data_type.arrow() {
            true => Ok(results),
            false => cast_array(&results, from, self.data_type, false, &context.eval),
        }
    }
}

/// What a result takes at least, with an index that it may be taken by.
const RESULT_BYTES: usize = 24;
