//! WITH queries that are run once for the whole statement, and not wherever they are named.
//!
//! Such is one that changes rows, and one that depends on nothing around it and is
//! - named more than once,
//! - said to be `MATERIALIZED`, or
//! - another one each time, because it calls functions that are, or locks rows for a change.
//!
//! Within a change, a subquery that locks rows and depends on nothing around it is like a WITH query that is named where it
//! stands. So the rows of a queue that a DELETE takes are chosen once, whatever the plan of the DELETE is. A query that
//! changes nothing locks rows where they come out of the subquery, as many as are asked for.
//!
//! It becomes a *part* of the statement (`plan::with`), and its name stands for what is kept of its rows. Every other
//! one is a query in FROM.
//!
//! That a query is named twice is known when the second name comes. So a query that could be run once is bound once,
//! when it is first named: that name stands for rows of a part, beside which is the query itself
//! ([`Inlined`]). Unless another name makes it a part in the end, the optimizer puts the query in the place of these.
//!
//! RETURNING that asks subqueries is a query over a part, too: the change gives what is named of its rows, and the
//! subqueries, which see nothing of the change, are asked of that.

use super::Binder;
use super::from::Source;
use super::query::{Output, Relation};
use super::traversal::refuse_traversal;
use super::with::With;
use crate::error::{Error, Result, state};
use crate::plan::collation::Derivation;
use crate::plan::logical::{Columns, Logical, LogicalStatement, Query};
use crate::plan::statement::Returning;
use crate::plan::with::{Inlined, PartRows};
use crate::plan::{Expr, ExprKind, Field, Statement};
use remora_storage::DataType;
use sqlparser::ast::{self, CteAsMaterialized};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A part, bound.
#[derive(Debug)]
pub(crate) struct BoundPart {
    /// What it is called.
    pub name: String,
    /// What it does.
    pub body: PartBody,
    /// Its columns.
    pub columns: Columns,
    /// The parts that it reads.
    pub reads: BTreeSet<usize>,
    /// What it gives; `None` for nothing.
    gives: Option<Vec<Field>>,
    /// The collations of that.
    collations: Vec<Derivation>,
}

/// The query or change that a part runs.
#[derive(Debug)]
pub(crate) enum PartBody {
    /// A query.
    Query(Arc<Inlined>),
    /// INSERT, UPDATE, DELETE, MERGE
    Change(Box<LogicalStatement>),
}

/// A piece of the syntax, by where it is in memory.
type Address = usize;

/// The WITH queries of a statement that are bound apart from it.
#[derive(Default)]
pub(super) struct Parts {
    /// Each reads only those before it. Its place is its number.
    pub(super) bound: Vec<BoundPart>,
    /// Where those are that have been bound, and the name that they were bound for.
    of: HashMap<Address, (usize, Address)>,
    /// Those that change rows and are being bound.
    binding: Vec<Address>,
    /// The parts that what is being bound reads.
    pub(super) reads: BTreeSet<usize>,
    /// The part that is the statement itself, where the statement shows what it asks of its rows.
    pub(super) counted: Option<usize>,
    /// The queries that are being bound: the levels and the recursions around each, and whether it has named
    /// nothing of these.
    free: Vec<(usize, usize, bool)>,
    /// Whether what is being bound is a change: the rows that subqueries of it lock are locked before it.
    locks_apart: bool,
    /// Whether no query is run once: neither in the body of a function, which is run for each call, nor in the query
    /// of a view that is being made, which is not run.
    pub(super) all_inlined: bool,
}

impl BoundPart {
    /// Returns whether the part is run. Else its query stands where it is named.
    pub(crate) fn is_run(&self) -> bool {
        match &self.body {
            PartBody::Query(query) => query.is_run_once(),
            PartBody::Change(_) => true,
        }
    }
}

impl Parts {
    /// Records that a query names something of a level.
    pub(super) fn names_level(&mut self, level: usize) {
        for (levels, _, is_free) in &mut self.free {
            *is_free &= level >= *levels;
        }
    }

    /// Records that a query names a recursion.
    pub(super) fn names_recursion(&mut self, recursion: usize) {
        for (_, recursions, is_free) in &mut self.free {
            *is_free &= recursion >= *recursions;
        }
    }
}

impl<'a> Binder<'a> {
    /// Returns the rows of a WITH query that is named at `node`, where it is run once; `None` where it must be bound
    /// there.
    pub(super) fn known_part(
        &mut self,
        with: With<'a>,
        node: &'a ast::ObjectName,
        shown: &str,
    ) -> Result<Option<Source>> {
        let index = match self.parts.of.get(&with.address()) {
            _ if with.changes() => self.part_of(with)?,
            Some((index, first)) if *first != address(node) => *index,
            Some((index, _)) if self.parts.bound[*index].is_run() => *index,
            _ => return Ok(None),
        };
        let part = &self.parts.bound[index];
        if let PartBody::Query(query) = &part.body {
            query.run_once();
        }
        let Some(gives) = part.gives.clone() else {
            return Err(sql_error!(
                FEATURE_NOT_SUPPORTED,
                "WITH query \"{}\" does not have a RETURNING clause",
                part.name
            )
            .at(with.place()));
        };
        with.check_names(gives.len())?;
        let relation = self.rows_of_part(index, gives);
        self.derived(relation, shown, Some(&with.cte().alias))
            .map(Some)
    }

    /// Binds a WITH query for the place where it is named, `node`, or for none.
    pub(super) fn first_named(
        &mut self,
        with: With<'a>,
        node: Option<&'a ast::ObjectName>,
    ) -> Result<Relation> {
        let (relation, reads) = self.maybe_free(|binder| binder.with_body(with))?;
        match (node, reads) {
            (Some(node), Some(reads)) => self.maybe_part(with, node, relation, reads),
            _ => Ok(relation),
        }
    }

    /// Binds a change.
    pub(super) fn changing<T>(&mut self, bind: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outside = std::mem::replace(&mut self.parts.locks_apart, true);
        let bound = bind(self);
        self.parts.locks_apart = outside;
        bound
    }

    /// Binds a subquery that locks rows: as a part, if it depends on nothing around it.
    pub(super) fn locking_part(
        &mut self,
        query: &'a ast::Query,
        hints: &[DataType],
    ) -> Result<Relation> {
        let bound = self.maybe_free(|binder| binder.query_here(query, hints))?;
        match bound {
            (relation, Some(reads)) if self.parts.locks_apart && !self.all_inlined() => {
                let name = "locked".to_owned();
                Ok(self.query_part(name, relation, reads, true).1)
            }
            (relation, _) => Ok(relation),
        }
    }

    /// Binds a query, and says which parts it reads if it depends on nothing around it.
    fn maybe_free(
        &mut self,
        bind: impl FnOnce(&mut Self) -> Result<Relation>,
    ) -> Result<(Relation, Option<BTreeSet<usize>>)> {
        let outside = std::mem::take(&mut self.parts.reads);
        let (levels, recursions) = (self.around.len(), self.recursions.len());
        self.parts.free.push((levels, recursions, true));
        let bound = bind(self);
        let is_free = self.parts.free.pop().is_some_and(|(.., is_free)| is_free);
        let reads = std::mem::replace(&mut self.parts.reads, outside);
        self.parts.reads.extend(&reads);
        Ok((bound?, is_free.then_some(reads)))
    }

    /// Makes a part of a query that may be run once. The name at `node` stands for its rows, or for the query itself
    /// if no other name comes.
    fn maybe_part(
        &mut self,
        with: With<'a>,
        node: &'a ast::ObjectName,
        relation: Relation,
        reads: BTreeSet<usize>,
    ) -> Result<Relation> {
        let is_sharable = !self.all_inlined() && relation.rows.is_empty();
        let said = &with.cte().materialized;
        let runs_once = matches!(said, Some(CteAsMaterialized::Materialized))
            || is_volatile(&relation.plan)
            || self.parts.locks_apart && relation.plan.locks_rows();
        let is_refused = matches!(said, Some(CteAsMaterialized::NotMaterialized)) && !runs_once;
        if !is_sharable || is_refused {
            return Ok(relation);
        }
        let (index, relation) = self.query_part(with.name()?, relation, reads, runs_once);
        self.parts.of.insert(with.address(), (index, address(node)));
        Ok(relation)
    }

    /// Makes a part of a query; returns its place, and its rows.
    fn query_part(
        &mut self,
        name: String,
        relation: Relation,
        reads: BTreeSet<usize>,
        runs_once: bool,
    ) -> (usize, Relation) {
        let gives = relation.outputs.iter().map(|output| Field {
            name: output.name.clone(),
            data_type: output.data_type,
        });
        let gives = gives.collect();
        let mut columns: Vec<(usize, usize)> = Vec::new();
        for (at, output) in relation.outputs.iter().enumerate() {
            if columns.iter().all(|(known, _)| *known != output.column) {
                columns.push((output.column, at));
            }
        }
        let outputs = relation.outputs.clone();
        let query = Arc::new(Inlined::new(relation.into(), runs_once));
        let (body, own) = (PartBody::Query(Arc::clone(&query)), self.columns.clone());
        let index = self.add_part(name.clone(), body, own, reads, Some(gives));
        self.parts.reads.insert(index);
        let rows = PartRows {
            id: index,
            name,
            columns,
            query: Some(query),
        };
        (index, Relation::new(Logical::Part(rows), outputs))
    }

    /// Returns whether each WITH query is put where it is named, however often that is.
    pub(super) fn all_inlined(&self) -> bool {
        self.parts.all_inlined || self.record.is_some() || self.body_parameters.is_some()
    }

    fn rows_of_part(&mut self, index: usize, gives: Vec<Field>) -> Relation {
        let part = &self.parts.bound[index];
        let (name, collations) = (part.name.clone(), part.collations.clone());
        let query = match &part.body {
            PartBody::Query(query) => Some(Arc::clone(query)),
            PartBody::Change(_) => None,
        };
        self.parts.reads.extend(&part.reads);
        self.parts.reads.insert(index);
        let outputs = gives.into_iter().map(|field| Output {
            column: self.columns.add(&field.name, field.data_type),
            name: field.name,
            data_type: field.data_type,
            unknown: None,
        });
        let outputs: Vec<Output> = outputs.collect();
        for (output, found) in outputs.iter().zip(collations) {
            self.columns.collations.set(output.column, found);
        }
        let numbers = outputs.iter().enumerate();
        let columns = numbers.map(|(at, output)| (output.column, at)).collect();
        Relation::new(
            Logical::Part(PartRows {
                id: index,
                name,
                columns,
                query,
            }),
            outputs,
        )
    }

    /// Binds a query that changes rows, unless it is bound already; returns its place.
    pub(super) fn part_of(&mut self, with: With<'a>) -> Result<usize> {
        if let Some((found, _)) = self.parts.of.get(&with.address()) {
            return Ok(*found);
        }
        if self.parts.binding.contains(&with.address()) {
            let name = with.name()?;
            return Err(sql_error!(
                INVALID_RECURSION,
                "recursive query \"{name}\" must not contain data-modifying statements"
            )
            .at(with.place()));
        }
        self.parts.binding.push(with.address());
        let beside = self.columns.beside();
        let columns = std::mem::replace(&mut self.columns, beside);
        let around = (self.visible.take(), self.lateral.take());
        let reads = std::mem::take(&mut self.parts.reads);
        let requests = std::mem::take(&mut self.requests);
        let locking = std::mem::take(&mut self.locking);
        let mut inner = self.with[..with.visible()].to_vec();
        std::mem::swap(&mut self.with, &mut inner);
        let bound = self.deeper(with.place(), |binder| {
            binder.deeper(with.place(), |binder| binder.part_statement(with))
        });
        self.with = inner;
        self.parts.binding.pop();
        self.locking = locking;
        self.requests = requests;
        (self.visible, self.lateral) = around;
        let columns = std::mem::replace(&mut self.columns, columns);
        let reads = std::mem::replace(&mut self.parts.reads, reads);
        let (body, gives) = bound?;
        let index = self.add_part(with.name()?, body, columns, reads, gives);
        self.parts.of.insert(with.address(), (index, 0));
        Ok(index)
    }

    fn add_part(
        &mut self,
        name: String,
        mut body: PartBody,
        columns: Columns,
        reads: BTreeSet<usize>,
        gives: Option<Vec<Field>>,
    ) -> usize {
        let of = |column: usize| columns.collations.of_column(column);
        let collations = match &mut body {
            PartBody::Query(query) => query.output().map(of).collect(),
            PartBody::Change(change) => {
                let shown = returning(change).map_or(&[][..], |shown| &shown.exprs);
                let shown = shown.iter();
                shown.map(|expr| columns.collations.of(expr)).collect()
            }
        };
        self.parts.bound.push(BoundPart {
            collations,
            name,
            body,
            columns,
            reads,
            gives,
        });
        self.parts.bound.len() - 1
    }

    /// Binds a query that changes rows; returns it with the columns that it gives.
    fn part_statement(&mut self, with: With<'a>) -> Result<(PartBody, Option<Vec<Field>>)> {
        if !with.is_outermost() {
            let message =
                "WITH clause containing a data-modifying statement must be at the top level";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(with.place()));
        }
        refuse_traversal(with)?;
        let counted = self.parts.counted.take();
        let bound = self.with_change(&with.cte().query);
        self.parts.counted = counted;
        Ok(match bound?.0 {
            LogicalStatement::Query(query) => {
                let output = query.output.iter();
                let field = |(name, column): &(String, usize)| Field {
                    name: name.clone(),
                    data_type: self.columns.field(*column).data_type,
                };
                let gives = output.map(field).collect();
                let query = Arc::new(Inlined::new(query, true));
                (PartBody::Query(query), Some(gives))
            }
            mut change => {
                let gives = returning(&mut change).map(|shown| shown.schema.clone());
                (PartBody::Change(Box::new(change)), gives)
            }
        })
    }

    /// A change whose RETURNING asks subqueries, as a query over what it gives.
    pub(super) fn asking_afterwards(&mut self, mut change: LogicalStatement) -> LogicalStatement {
        let Some(shown) = returning(&mut change) else {
            return change;
        };
        if !shown.exprs.iter().any(Expr::has_subquery) {
            return change;
        }
        let Returning { exprs, schema } = std::mem::take(shown);
        let mut named: BTreeSet<usize> = exprs.iter().flat_map(Expr::columns).collect();
        if named.is_empty() {
            // So that there are rows.
            named.insert(0);
        }
        let fields = named
            .iter()
            .map(|column| self.columns.field(*column).clone());
        shown.schema = fields.collect();
        shown.exprs = named
            .iter()
            .map(|column| self.columns.expr(*column))
            .collect();
        let gives = shown.schema.clone();
        let reads = self.parts.reads.clone();
        let columns = self.columns.clone();
        let (name, body) = ("returning".to_owned(), PartBody::Change(Box::new(change)));
        let index = self.add_part(name, body, columns, reads, Some(gives.clone()));
        self.parts.counted = Some(index);
        let relation = self.rows_of_part(index, gives);
        let fresh: HashMap<usize, usize> = (named.into_iter())
            .zip(relation.outputs.iter().map(|output| output.column))
            .collect();
        let over = |expr: Expr| {
            expr.replace_columns(&mut |column, data_type| {
                Some(Expr::column(*fresh.get(&column)?, data_type))
            })
        };
        let exprs = exprs.into_iter().zip(schema).map(|(expr, field)| {
            let value = over(expr);
            let number = self.columns.add_for(&field.name, &value);
            ((field.name, number), (number, value))
        });
        let (output, exprs) = exprs.unzip();
        let plan = relation.plan.project(exprs);
        LogicalStatement::Query(Query { plan, output })
    }
}

/// RETURNING of a change.
fn returning(change: &mut LogicalStatement) -> Option<&mut Returning> {
    match change {
        LogicalStatement::InsertQuery(insert, _)
        | LogicalStatement::Done(Statement::Insert(insert)) => insert.returning.as_mut(),
        LogicalStatement::Change(Statement::Update(update), _) => update.returning.as_mut(),
        LogicalStatement::Change(Statement::Delete(delete), _) => delete.returning.as_mut(),
        LogicalStatement::Merge(merge, _) => merge.returning.as_mut().map(|found| &mut found.shown),
        _ => None,
    }
}

fn address(node: &ast::ObjectName) -> Address {
    std::ptr::from_ref(node) as Address
}

/// Whether running a plan twice may give different rows, or does twice what it does.
fn is_volatile(plan: &Logical) -> bool {
    let mut volatile = plan.any(&mut |node| match node {
        Logical::Part(rows) => rows.plan_here().is_some_and(is_volatile),
        _ => false,
    });
    plan.for_each_expr(&mut |expr| {
        volatile |= !expr.is_stable();
        volatile |= expr.any(&mut |part| match &part.kind {
            ExprKind::Subquery(subquery) => is_volatile(&subquery.plan),
            _ => false,
        });
    });
    volatile
}
