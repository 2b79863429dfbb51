//! With: the parts of a statement, and those who read them.
//!
//! A part that is a query runs as its readers ask for rows. A batch that the first one has asked for is kept for the
//! others, in memory that is reserved; it is given back with the statement.
//!
//! A change, or a query that locks rows, is run by the session, which has the transaction, and leaves its rows here. What foreign keys
//! have to say of all changes of the statement is noted here as well, and comes at the end: a row may refer
//! to one that another part has brought.
//!
//! All parts belong to the statement's command. So none sees what another one has changed, and a row that two of them
//! would change is changed by the first.

use crate::error::{Error, Result};
use crate::exec::Transaction;
use crate::exec::batch::Batch;
use crate::exec::compile::compile;
use crate::exec::dml::{self, Changes, Shown};
use crate::exec::memory::Held;
use crate::exec::pipeline::{Pipeline, Source};
use crate::exec::referential::{TrackedChanges, follow};
use crate::exec::{Cursor, ExecContext, arrow_schema};
use crate::plan::physical::PhysicalPlan;
use crate::plan::with::{Part, PartSource, With};
use crate::plan::{Schema, Statement};
use parking_lot::Mutex;
use remora_storage::value::ColumnBuilder;
use remora_storage::{ReadView, Value};
use std::mem::replace;
use std::ops::Deref;
use std::sync::Arc;

/// The parts of a running statement.
#[derive(Debug)]
pub(crate) struct Parts {
    /// What queries read through.
    view: ReadView,
    rows: Vec<(usize, Mutex<Rows>)>,
    noted: Mutex<Vec<TrackedChanges>>,
}

/// The parts of a statement, as long as it runs.
///
/// A part that reads another one holds all of them, and so itself. That ends here: whatever was not read to its end goes
/// with the statement.
#[derive(Debug)]
pub(crate) struct OwnedParts(Arc<Parts>);

impl OwnedParts {
    /// For those who read them.
    pub(crate) fn shared(&self) -> Arc<Parts> {
        Arc::clone(&self.0)
    }
}

impl From<Parts> for OwnedParts {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for OwnedParts {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Drop for OwnedParts {
    fn drop(&mut self) {
        for (_, rows) in &self.rows {
            let source = replace(&mut rows.lock().source, RowSource::Nothing);
            drop(source);
        }
    }
}

/// The rows of a part, as far as they are there.
#[derive(Debug)]
struct Rows {
    source: RowSource,
    batches: Vec<Batch>,
    held: Held,
}

/// Where more rows come from.
#[derive(Debug)]
enum RowSource {
    /// From a query that nobody has asked yet.
    Plan(Arc<PhysicalPlan>),
    /// From one that runs.
    Pipeline(Pipeline<'static>),
    /// There are no more.
    Nothing,
}

impl Parts {
    /// Of a statement that has not begun.
    pub(crate) fn new(with: Option<&With>, view: ReadView) -> Self {
        let rows = |part: &Part| {
            let source = match &part.source {
                PartSource::Query(plan) => RowSource::Plan(Arc::clone(plan)),
                PartSource::Locking(_) | PartSource::Change(_) => RowSource::Nothing,
            };
            let rows = Rows {
                source,
                batches: Vec::new(),
                held: Held::default(),
            };
            (part.id, Mutex::new(rows))
        };
        Self {
            view,
            rows: with.iter().flat_map(|with| &with.parts).map(rows).collect(),
            noted: Mutex::default(),
        }
    }

    /// Has these rows for a part of that number.
    pub(in crate::exec) fn give(&mut self, id: usize, batches: Vec<Batch>) {
        let rows = Rows {
            source: RowSource::Nothing,
            batches,
            held: Held::default(),
        };
        self.rows.push((id, Mutex::new(rows)));
    }

    /// Keeps what a change has shown, whose columns are these.
    ///
    /// # Errors
    /// 53200
    fn fill(&self, id: usize, shown: Shown, schema: &Schema, context: &ExecContext) -> Result<()> {
        let mut rows = self.rows(id)?.lock();
        match shown {
            Shown::Nothing => Ok(()),
            Shown::Row(values) => rows.keep(batch_of(&values, schema), context),
            Shown::Rows(mut cursor) => rows.keep_all(&mut cursor, context),
        }
    }

    /// Says what foreign keys have to say of all changes.
    ///
    /// # Errors
    /// 23503, and those of the actions.
    pub(in crate::exec) fn finish(
        &self,
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<()> {
        let noted = std::mem::take(&mut *self.noted.lock());
        match noted.is_empty() {
            true => Ok(()),
            false => follow(noted, tx, context),
        }
    }

    /// What foreign keys are to be asked at the end.
    pub(in crate::exec) fn note(&self, noted: impl IntoIterator<Item = TrackedChanges>) {
        self.noted.lock().extend(noted);
    }

    fn rows(&self, id: usize) -> Result<&Mutex<Rows>> {
        let found = self.rows.iter().find(|(part, _)| *part == id);
        let rows = found.map(|(_, rows)| rows);
        rows.ok_or_else(|| Error::internal("a part of no statement is named"))
    }

    /// The batch of this number; `None` where there are fewer.
    fn batch(&self, id: usize, number: usize, context: &ExecContext) -> Result<Option<Batch>> {
        let mut rows = self.rows(id)?.lock();
        while rows.batches.len() <= number {
            let batch = match &mut rows.source {
                RowSource::Nothing => return Ok(None),
                RowSource::Plan(plan) => {
                    let pipeline = compile(&Arc::clone(plan), &self.view, context)?;
                    rows.source = RowSource::Pipeline(pipeline);
                    continue;
                }
                RowSource::Pipeline(pipeline) => pipeline.next(context)?,
            };
            match batch {
                Some(batch) => rows.keep(batch, context)?,
                None => rows.source = RowSource::Nothing,
            }
        }
        Ok(Some(rows.batches[number].clone()))
    }
}

impl Rows {
    fn keep(&mut self, batch: Batch, context: &ExecContext) -> Result<()> {
        let batch = batch.compact();
        self.held.grow(batch.bytes(), context)?;
        self.batches.push(batch);
        Ok(())
    }

    fn keep_all(&mut self, cursor: &mut Cursor, context: &ExecContext) -> Result<()> {
        while let Some(rows) = cursor.next()? {
            let count = rows.num_rows();
            self.keep(Batch::new(rows.columns().to_vec(), count), context)?;
        }
        Ok(())
    }
}

/// Runs the parts of a statement that change or lock rows, each of them once.
#[derive(Debug)]
pub(crate) struct Changing<'w> {
    with: &'w With,
    parts: &'w Parts,
    /// How many rows each part has changed, or locked, that has run.
    counts: Vec<Option<u64>>,
}

impl<'w> Changing<'w> {
    /// Of a statement that has not begun.
    pub(crate) fn new(with: &'w With, parts: &'w Parts) -> Self {
        Self {
            with,
            parts,
            counts: vec![None; with.parts.len()],
        }
    }

    /// Runs those that the statement reads, each after those that it reads itself.
    ///
    /// # Errors
    /// Those of the changes.
    pub(crate) fn before(&mut self, tx: &mut Transaction, context: &ExecContext) -> Result<()> {
        self.run_all(&self.with.reads, tx, context)
    }

    /// Runs the others, the last one first, and then says what foreign keys have to say.
    ///
    /// # Errors
    /// Those of the changes.
    pub(crate) fn after(&mut self, tx: &mut Transaction, context: &ExecContext) -> Result<()> {
        if !self.with.changes() {
            return self.parts.finish(tx, context);
        }
        for at in (0..self.with.parts.len()).rev() {
            if matches!(self.with.parts[at].source, PartSource::Change(_)) {
                self.run(at, tx, context)?;
            }
        }
        self.parts.finish(tx, context)
    }

    /// How many rows the part has changed that is the statement itself, if one is.
    pub(crate) fn counted(&self) -> Option<u64> {
        let id = self.with.counted?;
        let at = self.with.parts.iter().position(|part| part.id == id)?;
        Some(self.counts[at].unwrap_or(0))
    }

    fn run_all(
        &mut self,
        ids: &[usize],
        tx: &mut Transaction,
        context: &ExecContext,
    ) -> Result<()> {
        for (at, part) in self.with.parts.iter().enumerate() {
            if ids.contains(&part.id) {
                self.run(at, tx, context)?;
            }
        }
        Ok(())
    }

    /// Runs a part that changes or locks rows, if it has not been run, after those that it reads.
    fn run(&mut self, at: usize, tx: &mut Transaction, context: &ExecContext) -> Result<()> {
        let part = &self.with.parts[at];
        if self.counts[at].is_some() || matches!(part.source, PartSource::Query(_)) {
            return Ok(());
        }
        self.run_all(&part.reads, tx, context)?;
        let (Changes { rows, shown }, schema) = match &part.source {
            PartSource::Query(_) => return Ok(()),
            PartSource::Locking(plan) => {
                let cursor = Cursor::locking(plan, arrow_schema(&plan.schema), tx, context)?;
                let shown = Shown::Rows(Box::new(cursor));
                (Changes { rows: 0, shown }, plan.schema.clone())
            }
            PartSource::Change(statement) => {
                let schema = statement.schema().unwrap_or_default();
                (change(statement, tx, context)?, schema)
            }
        };
        self.counts[at] = Some(rows);
        self.parts.fill(part.id, shown, &schema, context)
    }
}

/// Runs a change.
fn change(statement: &Statement, tx: &mut Transaction, context: &ExecContext) -> Result<Changes> {
    match statement {
        Statement::Insert(insert) => dml::insert(insert, tx, context),
        Statement::Update(update) => dml::update(update, tx, context),
        Statement::Delete(delete) => dml::delete(delete, tx, context),
        Statement::Merge(merge) => dml::merge(merge, tx, context),
        _ => Err(Error::internal("this statement is part of another")),
    }
}

fn batch_of(values: &[Value], schema: &Schema) -> Batch {
    let columns = values.iter().zip(schema).map(|(value, field)| {
        let mut builder = ColumnBuilder::new(field.data_type, 1);
        builder.push(value.as_ref());
        builder.finish()
    });
    Batch::new(columns.collect(), 1)
}

/// Reads a part.
#[derive(Debug)]
pub(in crate::exec) struct PartScan {
    parts: Arc<Parts>,
    id: usize,
    columns: Vec<usize>,
    /// How many batches were given.
    given: usize,
}

impl PartScan {
    pub(in crate::exec) fn new(parts: Arc<Parts>, id: usize, columns: Vec<usize>) -> Self {
        Self {
            parts,
            id,
            columns,
            given: 0,
        }
    }
}

impl Source for PartScan {
    fn next(&mut self, context: &ExecContext) -> Result<Option<Batch>> {
        let Some(batch) = self.parts.batch(self.id, self.given, context)? else {
            return Ok(None);
        };
        self.given += 1;
        let columns = self.columns.iter();
        let columns = columns.map(|column| batch.columns[*column].clone());
        Ok(Some(Batch::new(columns.collect(), batch.rows)))
    }
}
