//! Sections: sorted rows, cut where partitions begin.

use super::super::batch::Batch;
use super::super::eval::Evaluator;
use super::super::memory::Held;
use super::super::pipeline::Pipeline;
use super::super::{BATCH_ROWS, ExecContext};
use crate::error::Result;
use crate::exec::aggregate::key_table::{MISSING, too_many};
use crate::exec::aggregate::keys::Keys;
use crate::plan::window::Window;
use std::ops::Range;

/// Whole partitions.
#[derive(Debug)]
pub(super) struct Section {
    /// Their rows.
    pub batch: Batch,
    /// Where each partition begins, and the end of the last.
    partitions: Vec<u32>,
    /// Where each group of peers begins, and the end of the last.
    peers: Vec<u32>,
}

/// A partition of a section.
#[derive(Debug)]
pub(super) struct Partition<'a> {
    /// Its rows.
    pub rows: Range<u32>,
    /// Where each of its groups of peers begins, and the end of the last.
    pub peers: &'a [u32],
}

impl Section {
    /// The partitions, in order.
    pub(super) fn partitions(&self) -> impl Iterator<Item = Partition<'_>> {
        let mut first = 0;
        self.partitions.windows(2).map(move |ends| {
            let groups = self.peers[first..].partition_point(|start| *start < ends[1]);
            let peers = &self.peers[first..=first + groups];
            first += groups;
            Partition {
                rows: ends[0]..ends[1],
                peers,
            }
        })
    }
}

impl Partition<'_> {
    /// The groups of peers, in order.
    pub(super) fn groups(&self) -> impl Iterator<Item = Range<u32>> + '_ {
        self.peers.windows(2).map(|ends| ends[0]..ends[1])
    }
}

/// Cuts sorted rows into sections.
#[derive(Debug)]
pub(super) struct Sections<'t> {
    /// `None` when all has been read.
    input: Option<Pipeline<'t>>,
    partition: Vec<Evaluator>,
    order: Vec<Evaluator>,
    /// Rows read, of which some partitions may be whole.
    batches: Vec<Batch>,
    rows: usize,
    bytes: usize,
    partitions: Vec<u32>,
    peers: Vec<u32>,
    /// The keys of the rows read last.
    last: Option<[Keys; 2]>,
    held: Held,
}

impl<'t> Sections<'t> {
    pub(super) fn new<Calls>(input: Pipeline<'t>, window: &Window<Calls>) -> Self {
        let order = window.order.iter().map(|key| &key.expr);
        Self {
            input: Some(input),
            partition: window
                .partition
                .iter()
                .cloned()
                .map(Evaluator::new)
                .collect(),
            order: order.cloned().map(Evaluator::new).collect(),
            batches: Vec::new(),
            rows: 0,
            bytes: 0,
            partitions: Vec::new(),
            peers: Vec::new(),
            last: None,
            held: Held::default(),
        }
    }

    /// The next; `None` at the end.
    pub(super) fn next(&mut self, context: &ExecContext) -> Result<Option<Section>> {
        while let Some(input) = &mut self.input {
            match input.next(context)? {
                Some(batch) => self.push(batch, context)?,
                None => self.input = None,
            }
            let whole = self.partitions.last().copied().unwrap_or(0);
            if self.input.is_some() && whole as usize >= BATCH_ROWS {
                return self.cut(whole).map(Some);
            }
        }
        match self.rows {
            0 => Ok(None),
            rows => self.cut(rows as u32).map(Some),
        }
    }

    fn push(&mut self, batch: Batch, context: &ExecContext) -> Result<()> {
        if self.rows + batch.rows >= MISSING as usize {
            return Err(too_many());
        }
        let batch = batch.compact();
        self.bytes += batch.bytes();
        // Once as they came and once side by side, and two numbers a row.
        let rows = self.rows + batch.rows;
        self.held
            .reach(2 * self.bytes + 2 * size_of::<u32>() * rows, context)?;
        let partition = Keys::evaluate_any(&self.partition, &batch, context)?;
        let order = Keys::evaluate_any(&self.order, &batch, context)?;
        for row in 0..batch.rows {
            let is_like_last = |keys: &Keys, which: usize| match (row, &self.last) {
                (0, None) => false,
                (0, Some(last)) => keys.same(0, &last[which], last[which].len() - 1),
                (row, _) => keys.same(row, keys, row - 1),
            };
            let number = (self.rows + row) as u32;
            let continues = is_like_last(&partition, 0);
            if !continues {
                self.partitions.push(number);
            }
            if !continues || !is_like_last(&order, 1) {
                self.peers.push(number);
            }
        }
        self.last = Some([partition, order]);
        self.rows = rows;
        self.batches.push(batch);
        Ok(())
    }

    /// The first `rows` rows, where a partition ends.
    fn cut(&mut self, rows: u32) -> Result<Section> {
        let width = self.batches.first().map_or(0, |batch| batch.columns.len());
        let all = Batch::concat(&std::mem::take(&mut self.batches), width)?;
        let batch = all.slice(0, rows as usize);
        let rest = all.slice(rows as usize, all.rows - rows as usize);
        let section = Section {
            partitions: split(&mut self.partitions, rows),
            peers: split(&mut self.peers, rows),
            batch,
        };
        self.rows = rest.rows;
        let rest = (rest.rows > 0).then(|| rest.compact());
        self.bytes = rest.as_ref().map_or(0, Batch::bytes);
        self.batches.extend(rest);
        // What is cut off is still held: it is given out before more is read.
        Ok(section)
    }
}

/// Takes out the numbers below `rows`, with `rows` at the end; the others are counted from there.
fn split(numbers: &mut Vec<u32>, rows: u32) -> Vec<u32> {
    let kept = numbers.partition_point(|number| *number < rows);
    let rest = numbers[kept..].iter().map(|number| number - rows).collect();
    let mut taken = std::mem::replace(numbers, rest);
    taken.truncate(kept);
    taken.push(rows);
    taken
}
