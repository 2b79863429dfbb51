//! Recursive: the rounds of WITH RECURSIVE.
//!
//! 1. The pipeline of the base runs; its batches are given on as they come, and kept.
//! 2. At its end what was kept becomes the working table. The step is compiled into a new pipeline, which reads
//!    it; its batches are given on and kept, too.
//! 3. That goes on until a round gives nothing. With UNION, rows that have come before are left out.
//!
//! Since rows are given on at once, a LIMIT stops what would never end. Joins of the step keep their tables
//! from round to round, unless these are made of the working table: the edges of a graph are read once, however long
//! its paths are.

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::aggregate::distinct::Seen;
use crate::exec::aggregate::keys::Keys;
use crate::exec::batch::Batch;
use crate::exec::compile::compile_within;
use crate::exec::join::join_table::JoinTable;
use crate::exec::memory::Held;
use crate::exec::pipeline::{Pipeline, Source};
use crate::plan::Field;
use crate::plan::physical::{Join, PhysicalPlan};
use arrow_array::BooleanArray;
use hashbrown::HashMap;
use parking_lot::Mutex;
use remora_storage::{DataType, ReadView};
use std::sync::{Arc, OnceLock};

/// The rows of the last round.
#[derive(Debug, Default)]
pub(in crate::exec) struct WorkingTable(Mutex<Arc<Vec<Batch>>>);

/// Working tables by the numbers of their recursions, the innermost last.
pub(in crate::exec) type WorkingTables = Vec<(usize, Arc<WorkingTable>)>;

/// Where a join leaves its table for the next round.
pub(in crate::exec) type Slot = Arc<OnceLock<Arc<JoinTable>>>;

/// The tables of joins that are the same in all rounds, by the joins' addresses: the plan stays where it is.
#[derive(Debug, Default)]
pub(in crate::exec) struct KeptTables(Mutex<HashMap<usize, Slot>>);

impl KeptTables {
    /// The slot of a join.
    pub(in crate::exec) fn slot(&self, join: &Join) -> Slot {
        let address = std::ptr::from_ref(join) as usize;
        self.0.lock().entry(address).or_default().clone()
    }
}

/// Runs the rounds.
#[derive(Debug)]
pub(in crate::exec) struct Recursive<'t> {
    /// The round that runs; `None` at the end.
    round: Option<Pipeline<'t>>,
    step: Arc<PhysicalPlan>,
    view: ReadView,
    /// What the step may read; the last one is its own.
    tables: WorkingTables,
    table: Arc<WorkingTable>,
    joins: KeptTables,
    /// Of UNION: the rows that have come.
    seen: Option<(Vec<DataType>, Seen)>,
    /// What the round has given.
    rows: Vec<Batch>,
    bytes: usize,
    /// What the round before had given.
    bytes_before: usize,
    held: Held,
}

impl<'t> Recursive<'t> {
    /// `outer` are the working tables that base and step may read beside their own.
    pub(in crate::exec) fn new(
        id: usize,
        base: Pipeline<'t>,
        step: &Arc<PhysicalPlan>,
        distinct: bool,
        outer: &[(usize, Arc<WorkingTable>)],
        view: &ReadView,
    ) -> Self {
        let table = Arc::<WorkingTable>::default();
        let mut tables = outer.to_vec();
        tables.push((id, table.clone()));
        let types = |schema: &[Field]| schema.iter().map(|field| field.data_type).collect();
        let seen = || {
            let types: Vec<_> = types(&step.schema);
            let seen = Seen::new(&types);
            (types, seen)
        };
        Self {
            round: Some(base),
            seen: distinct.then(seen),
            step: step.clone(),
            view: view.clone(),
            tables,
            table,
            joins: KeptTables::default(),
            rows: Vec::new(),
            bytes: 0,
            bytes_before: 0,
            held: Held::default(),
        }
    }

    /// The rows that have not come before.
    fn new_rows(&mut self, batch: Batch, context: &ExecContext) -> Result<Batch> {
        let Some((types, seen)) = &mut self.seen else {
            return Ok(batch);
        };
        let keys = Keys::of(&batch.columns, types, batch.rows);
        let new = seen.new_rows(&keys, context)?;
        batch.filter(&BooleanArray::new(new, None))
    }

    fn keep(&mut self, batch: &Batch, context: &ExecContext) -> Result<()> {
        let batch = batch.clone().compact();
        self.bytes += batch.bytes();
        self.held.reach(self.bytes_before + self.bytes, context)?;
        self.rows.push(batch);
        Ok(())
    }

    /// Begins the next round with what this one has given, if that is anything.
    fn turn(&mut self, context: &ExecContext) -> Result<()> {
        self.round = None;
        let rows = std::mem::take(&mut self.rows);
        self.bytes_before = std::mem::take(&mut self.bytes);
        self.held.shrink(self.bytes_before);
        let any = !rows.is_empty();
        *self.table.0.lock() = Arc::new(rows);
        if any {
            let step = &self.step;
            self.round = Some(compile_within(
                step,
                &self.view,
                context,
                &self.tables,
                Some(&self.joins),
            )?);
        }
        Ok(())
    }
}

impl Source for Recursive<'_> {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        while let Some(round) = &mut self.round {
            context.check()?;
            let Some(batch) = round.next(context)? else {
                self.turn(context)?;
                continue;
            };
            let batch = self.new_rows(batch, context)?;
            if batch.rows > 0 {
                self.keep(&batch, context)?;
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}

/// Reads a working table.
#[derive(Debug)]
pub(in crate::exec) struct WorkingScan {
    table: Arc<WorkingTable>,
    columns: Vec<usize>,
    /// The rows, from the first batch on, and how many batches were given.
    rows: Option<Arc<Vec<Batch>>>,
    given: usize,
}

impl WorkingScan {
    pub(in crate::exec) fn new(table: Arc<WorkingTable>, columns: Vec<usize>) -> Self {
        Self {
            table,
            columns,
            rows: None,
            given: 0,
        }
    }
}

impl Source for WorkingScan {
    fn next(&mut self, _: &ExecContext) -> Result<Option<Batch>> {
        let table = &self.table;
        let rows = self.rows.get_or_insert_with(|| table.0.lock().clone());
        let Some(batch) = rows.get(self.given) else {
            return Ok(None);
        };
        self.given += 1;
        let columns = self
            .columns
            .iter()
            .map(|column| batch.columns[*column].clone());
        Ok(Some(Batch::new(columns.collect(), batch.rows)))
    }
}
