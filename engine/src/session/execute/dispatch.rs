//! Running one planned statement within a storage transaction.

use super::sequences;
use super::{analyze, copy, create_as, with};
use crate::error::{Error, Result, state};
use crate::exec::Transaction;
use crate::exec::{self, Changes, Cursor, PointRows, Shown};
use crate::function::Needs;
use crate::plan::Statement;
use crate::plan::lock::{LockTables, RowLock};
use crate::plan::physical::PhysicalPlan;
use crate::plan::sequence::ColumnSequence;
use crate::plan::statement::{NewForeignKey, Planned};
use crate::session::plans::call::Call;
use crate::session::plans::prepared::Plan;
use arrow_schema::SchemaRef;
use remora_storage::catalog::{IndexDef, TableDef};
use remora_storage::{Stop, Value};
use std::io::{Read, Write};

/// What a statement gave.
#[derive(Debug, Default)]
pub(in crate::session) struct Done {
    /// Rows changed, or copied.
    pub(in crate::session) changes: u64,
    /// Its rows.
    pub(in crate::session) output: Output,
    /// The tag of what was done, where that is not what the statement asked.
    pub(in crate::session) tag: Option<&'static str>,
}

/// The rows of a statement.
#[derive(Debug, Default)]
pub(in crate::session) enum Output {
    /// It gives none.
    #[default]
    None,
    /// At most one, left in [`Call::row`].
    Point(bool),
    /// These.
    List(Vec<Vec<Value>>),
    /// What a running query gives.
    Cursor(Box<Cursor>),
}

/// The other end of a COPY FROM STDIN or TO STDOUT.
#[derive(Default)]
pub(in crate::session) enum Pipe<'a> {
    /// There is none.
    #[default]
    None,
    /// Of FROM STDIN.
    Reader(&'a mut dyn Read),
    /// Of TO STDOUT.
    Writer(&'a mut dyn Write),
}

impl Pipe<'_> {
    /// Whether a statement that failed so can be run again: what a pipe has given or taken cannot be had again, and
    /// what would be given is looked at before.
    pub(in crate::session) fn is_untouched_after(&self, error: &Error) -> bool {
        match self {
            Self::None => true,
            Self::Reader(_) => false,
            Self::Writer(_) => error.is_of_snapshot(),
        }
    }
}

impl Done {
    pub(in crate::session) fn changed(changes: u64) -> Self {
        Self {
            changes,
            ..Self::default()
        }
    }

    /// What a change has come to; a lone row is left in `row`.
    fn shown(changes: Changes, row: &mut Vec<Value>) -> Self {
        let output = match changes.shown {
            Shown::Nothing => Output::None,
            Shown::Rows(rows) => Output::Cursor(rows),
            Shown::Row(values) => {
                *row = values;
                Output::Point(true)
            }
        };
        Self {
            changes: changes.rows,
            output,
            tag: None,
        }
    }

    pub(in crate::session) fn output(output: Output) -> Self {
        Self {
            output,
            ..Self::default()
        }
    }

    pub(in crate::session) fn list(rows: Vec<Vec<Value>>) -> Self {
        Self::output(Output::List(rows))
    }

    pub(in crate::session) fn tagged(tag: &'static str) -> Self {
        Self {
            tag: Some(tag),
            ..Self::default()
        }
    }
}

/// Runs a statement that is not about the transaction itself. On error the caller undoes.
pub(in crate::session) fn run(
    plan: &Plan,
    tx: &mut Transaction,
    call: &mut Call,
    pipe: &mut Pipe<'_>,
) -> Result<Done> {
    let running = Running {
        plan,
        statement: &plan.planned.statement,
        arrow: &plan.arrow,
    };
    match running.statement {
        Statement::Analyze(analyze) => analyze::run(plan, analyze, tx, call, pipe),
        _ => run_with_parts(&running, tx, call, pipe),
    }
}

/// What is run.
pub(in crate::session) struct Running<'p> {
    /// The plan of the whole.
    pub(in crate::session) plan: &'p Plan,
    /// The statement, or the one that it explains.
    pub(in crate::session) statement: &'p Statement,
    /// The columns that this gives.
    pub(in crate::session) arrow: &'p SchemaRef,
}

/// Runs a statement and its parts.
pub(in crate::session) fn run_with_parts(
    running: &Running<'_>,
    tx: &mut Transaction,
    call: &mut Call,
    pipe: &mut Pipe<'_>,
) -> Result<Done> {
    match &running.plan.planned.with {
        None => run_alone(running, tx, call, pipe),
        Some(with) => with::run(running, with, tx, call, pipe),
    }
}

/// The same without its parts.
pub(in crate::session) fn run_alone(
    running: &Running<'_>,
    tx: &mut Transaction,
    call: &mut Call,
    pipe: &mut Pipe<'_>,
) -> Result<Done> {
    let context = &call.context;
    let cursor = |query: &PhysicalPlan, tx: &Transaction| {
        let schema = running.arrow.clone();
        let mut cursor = Cursor::new(query, schema, tx.view(), context)?;
        if running.plan.planned.needs.has(Needs::EFFECTS) {
            cursor.run_ahead()?;
        }
        Ok(Done::output(Output::Cursor(Box::new(cursor))))
    };
    match running.statement {
        Statement::Query(query) => {
            let is_one =
                context.profiling.is_none() && exec::fold_row(query, tx, context, &mut call.rows)?;
            match is_one {
                true => Ok(Done::output(Output::Point(true))),
                false => cursor(query, tx),
            }
        }
        Statement::PointSelect(point) => {
            match (
                exec::point_select(point, tx, context, &mut call.rows)?,
                &point.otherwise,
            ) {
                (PointRows::One(found), _) => Ok(Done::output(Output::Point(found))),
                (PointRows::Few(rows), _) => Ok(Done::list(rows)),
                (PointRows::Many, Some(query)) => cursor(query, tx),
                (PointRows::Many, None) => unreachable!("a unique key names one row"),
            }
        }
        Statement::Locking(query, _) => {
            let cursor = Cursor::locking(query, running.arrow.clone(), tx, context)?;
            Ok(Done::output(Output::Cursor(Box::new(cursor))))
        }
        Statement::LockPoint(point, lock) => {
            let found = exec::lock_point(point, lock, tx, context, &mut call.rows)?;
            Ok(Done::output(Output::Point(found)))
        }
        Statement::Insert(insert) => {
            let changes = exec::insert(insert, tx, context)?;
            Ok(Done::shown(changes, &mut call.rows))
        }
        Statement::Update(update) => {
            let changes = exec::update(update, tx, context)?;
            Ok(Done::shown(changes, &mut call.rows))
        }
        Statement::Delete(delete) => {
            let changes = exec::delete(delete, tx, context)?;
            Ok(Done::shown(changes, &mut call.rows))
        }
        Statement::Merge(merge) => {
            let changes = exec::merge(merge, tx, context)?;
            Ok(Done::shown(changes, &mut call.rows))
        }
        Statement::SetConstraints(plan) => {
            exec::set_constraints(plan, tx, context)?;
            Ok(Done::default())
        }
        Statement::LockTables(locks) => {
            lock_tables(tx, locks)?;
            Ok(Done::default())
        }
        Statement::Truncate(plan) => {
            exec::truncate(plan, tx, context)?;
            sequences::restart(tx, &plan.restarts)?;
            Ok(Done::default())
        }
        Statement::Copy(plan) => copy::run(plan, tx, context, pipe).map(Done::changed),
        Statement::Explain(lines) => {
            let row = |line: &String| vec![Value::Text(line.clone())];
            Ok(Done::list(lines.iter().map(row).collect()))
        }
        Statement::CreateTable {
            table,
            indexes,
            foreign_keys,
            sequences,
            if_not_exists,
        } => {
            let place = (table.schema, table.name.as_str());
            let is_there = *if_not_exists && tx.catalog().table(place).is_some();
            if !is_there {
                create_table(tx, table, sequences, indexes, foreign_keys)?;
            }
            Ok(Done::default())
        }
        Statement::CreateTableAs(create) => {
            let (table, rows) = &**create;
            let rows = create_as::create_table_as(table, rows.as_ref(), tx, context)?;
            Ok(Done::changed(rows))
        }
        Statement::DropTable(before, tables) => {
            exec::structure(before, tx, context)?;
            sequences::drop_owned(tx, tables)?;
            tables.iter().try_for_each(|id| tx.drop_table(*id))?;
            Ok(Done::default())
        }
        Statement::CreateIndex(def) => {
            if let Some(def) = def {
                exec::before_index(def, tx, context)?;
                let is_asked = || context.check().is_err();
                tx.create_index_unless(def.clone(), Stop::when(&is_asked))
                    .map_err(|error| context.stopped(error))?;
            }
            Ok(Done::default())
        }
        Statement::DropIndex(indexes) => {
            indexes.iter().try_for_each(|id| tx.drop_index(*id))?;
            Ok(Done::default())
        }
        Statement::CreateSequence { def, if_not_exists } => {
            if !(*if_not_exists && tx.catalog().has_name(def.place())) {
                tx.create_sequence(def.clone())?;
            }
            Ok(Done::default())
        }
        Statement::AlterSequence(change) => {
            if let Some((id, change)) = change {
                exec::alter_sequence(tx, *id, change)?;
            }
            Ok(Done::default())
        }
        Statement::RenameSequence(change) => {
            if let Some((id, to)) = change {
                sequences::rename(tx, *id, to)?;
            }
            Ok(Done::default())
        }
        Statement::DropSequence { sequences, cascade } => {
            sequences::drop(tx, sequences, *cascade).map(|()| Done::default())
        }
        Statement::AlterTable(plan) => {
            exec::alter_table(plan, tx, context).map(|()| Done::default())
        }
        Statement::Each(all) => {
            for statement in all {
                match statement {
                    Statement::AlterTable(plan) => exec::alter_table(plan, tx, context)?,
                    Statement::Structure(steps) => exec::structure(steps, tx, context)?,
                    _ => {}
                }
            }
            Ok(Done::default())
        }
        Statement::Structure(steps) => {
            exec::structure(steps, tx, context).map(|()| Done::default())
        }
        Statement::Begin(_)
        | Statement::SetTransaction(_)
        | Statement::SetCharacteristics(_)
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint(_)
        | Statement::Release(_)
        | Statement::RollbackTo(_)
        | Statement::Prepare(..)
        | Statement::Deallocate(_)
        | Statement::Discard(_)
        | Statement::Listen(_)
        | Statement::Unlisten(_)
        | Statement::Notify(_)
        | Statement::Upkeep { .. }
        | Statement::Fetch(_)
        | Statement::Close(_)
        | Statement::Checkpoint
        | Statement::Compact(_)
        | Statement::Set { .. }
        | Statement::Show(_) => unreachable!("the session itself runs these"),
        Statement::Analyze(_) => unreachable!("what it explains is run"),
    }
}

/// LOCK TABLE
fn lock_tables(tx: &mut Transaction, locks: &LockTables) -> Result<()> {
    for (table, hold) in &locks.tables {
        let (Some(hold), Some(entry)) = (hold, tx.catalog().table_by_id(*table).cloned()) else {
            continue;
        };
        tx.hold_table(&entry, *hold).map_err(|error| match error {
            remora_storage::Error::SchemaConflict { table } if locks.nowait => {
                let message = format!("could not obtain lock on relation \"{table}\"");
                Error::new(state::LOCK_NOT_AVAILABLE, message)
            }
            error => error.into(),
        })?;
    }
    Ok(())
}

fn create_table(
    tx: &mut Transaction,
    table: &TableDef,
    sequences: &[ColumnSequence],
    indexes: &[IndexDef],
    foreign_keys: &[NewForeignKey],
) -> Result<()> {
    let id = sequences::create_table(tx, table, sequences)?;
    let mut made = Vec::with_capacity(indexes.len());
    for index in indexes {
        made.push(tx.create_index(IndexDef {
            table: id,
            ..index.clone()
        })?);
    }
    for NewForeignKey { def, own_index } in foreign_keys {
        let mut def = def.clone();
        if let Some(index) = own_index {
            (def.parent, def.index) = (id, made[*index]);
        }
        tx.add_foreign_key(id, def)?;
    }
    Ok(())
}

/// Refuses a statement that changes the database, in a transaction that is read only.
pub(in crate::session) fn refuse_change(planned: &Planned) -> Result<()> {
    if !planned.changes() {
        return Ok(());
    }
    let tag = planned.tag;
    let what = match &planned.statement {
        Statement::Locking(_, strength) | Statement::LockPoint(_, RowLock { strength, .. }) => {
            format!("{tag} {strength}")
        }
        Statement::Copy(_) => "COPY FROM".to_owned(),
        Statement::CreateTableAs(_) => "CREATE TABLE AS".to_owned(),
        Statement::Analyze(analyze) => match analyze.statement {
            Statement::Insert(_) => "INSERT".to_owned(),
            Statement::Update(_) => "UPDATE".to_owned(),
            Statement::Delete(_) => "DELETE".to_owned(),
            Statement::Merge(_) => "MERGE".to_owned(),
            _ => "SELECT".to_owned(),
        },
        _ => tag.to_owned(),
    };
    Err(sql_error!(
        READ_ONLY_SQL_TRANSACTION,
        "cannot execute {what} in a read-only transaction"
    ))
}
