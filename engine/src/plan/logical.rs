//! Logical plans: what a query means, as relational algebra.
//!
//! A column has a number that is its own throughout the statement ([`Columns`] hands them out), so
//! rules may move nodes around without renumbering anything: in a logical plan `Column(n)` of an
//! expression is such a number. Only when the physical plan is built do numbers become positions.
//!
//! Invariants
//! - No two nodes produce the same number, except by passing it on.
//! - An expression names only columns of its node's input (of a join: of both inputs).

use super::grouping_sets::GroupingSets;
use super::lock::{LockStrength, RowLock};
use super::merge::Merge;
use super::project_set::ProjectSet;
use super::recursive::{Recursive, WorkingTable};
use super::set_operation::SetOperation;
use super::statement::{CsvFormat, Insert, Statement};
use super::structure::AlterTable;
use super::system::SystemTable;
use super::window::{Window, WindowCall};
use super::{Expr, Field, SortKey};
use crate::plan::physical::{AggregateCall, ColumnRange, IndexKeys, JoinKind};
use remora_storage::catalog::{IndexEntry, TableDef, TableEntry};
use remora_storage::{ColumnId, DataType, SequenceId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Every column of a statement, by its number.
#[derive(Clone, Debug, Default)]
pub struct Columns(Vec<Field>);

impl Columns {
    /// A new column.
    pub fn add(&mut self, name: impl Into<String>, data_type: DataType) -> usize {
        self.0.push(Field {
            name: name.into(),
            data_type,
        });
        self.0.len() - 1
    }

    /// What a column is called, and its type.
    pub fn field(&self, column: usize) -> &Field {
        &self.0[column]
    }

    /// A column as an expression.
    pub fn expr(&self, column: usize) -> Expr {
        Expr::column(column, self.0[column].data_type)
    }
}

/// A node of a logical plan.
#[derive(Clone, Debug)]
pub enum Logical {
    /// Rows written out.
    Values {
        /// What their values are called.
        columns: Vec<usize>,
        /// One expression a column each.
        rows: Vec<Vec<Expr>>,
    },
    /// Rows of a table.
    Scan(Scan),
    /// Rows of a system table.
    System {
        /// Which.
        table: SystemTable,
        /// Which of its columns: each one's number, and its position in the table.
        columns: Vec<(usize, usize)>,
    },
    /// Those for which the predicate is true.
    Filter {
        /// Of what.
        input: Box<Logical>,
        /// Which.
        predicate: Expr,
    },
    /// New columns, and nothing else.
    Project {
        /// Of what.
        input: Box<Logical>,
        /// Each new column.
        exprs: Vec<(usize, Expr)>,
    },
    /// Rows of table functions.
    ProjectSet(ProjectSet),
    /// Pairs of rows.
    Join(Join),
    /// Groups.
    Aggregate {
        /// Of what.
        input: Box<Logical>,
        /// By what.
        groups: Vec<(usize, Expr)>,
        /// What of each.
        aggregates: Vec<(usize, AggregateCall)>,
        /// By which of the groups, if not by all.
        sets: Option<GroupingSets>,
    },
    /// Its input's rows and columns, and what functions of a window give for each.
    Window {
        /// Of what.
        input: Box<Logical>,
        /// Which.
        window: Box<Window<Vec<(usize, WindowCall)>>>,
    },
    /// In order.
    Sort {
        /// Of what.
        input: Box<Logical>,
        /// By what.
        keys: Vec<SortKey>,
    },
    /// The first rows of an order.
    TopN {
        /// Of what.
        input: Box<Logical>,
        /// By what.
        keys: Vec<SortKey>,
        /// How many.
        limit: Expr,
        /// After how many.
        offset: Option<Expr>,
    },
    /// A stretch of rows.
    Limit {
        /// Of what.
        input: Box<Logical>,
        /// How many.
        limit: Option<Expr>,
        /// After how many.
        offset: Option<Expr>,
    },
    /// A stretch of rows, and those after it that are no different in the order of the input.
    WithTies {
        /// Of what: rows in the order of the keys.
        input: Box<Logical>,
        /// What is different.
        keys: Vec<Expr>,
        /// How many.
        limit: Expr,
        /// After how many.
        offset: Option<Expr>,
    },
    /// Those rows that could be locked.
    Lock {
        /// Of what.
        input: Box<Logical>,
        /// Which tables' rows; their RowIds are columns of the input.
        locks: Vec<RowLock>,
    },
    /// Each row once; all columns of the input count.
    Distinct(Box<Logical>),
    /// The first row of each value of some columns.
    DistinctOn {
        /// Of what.
        input: Box<Logical>,
        /// Which columns.
        columns: Vec<usize>,
    },
    /// All rows of all inputs.
    UnionAll {
        /// Of what; beside each input which of its columns make the result's.
        inputs: Vec<(Logical, Vec<usize>)>,
        /// The result's columns.
        columns: Vec<usize>,
    },
    /// INTERSECT, EXCEPT
    SetOperation(SetOperation),
    /// WITH RECURSIVE
    Recursive(Recursive),
    /// What a round of it reads.
    WorkingTable(WorkingTable),
}

/// Rows of a table.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Which.
    pub table: Arc<TableEntry>,
    /// Which of its columns.
    pub columns: Vec<(usize, ColumnId)>,
    /// The column that gives the RowId, if one does.
    pub row_id: Option<usize>,
    /// Which rows: all of these are true.
    pub filter: Vec<Expr>,
    /// As in [`physical::TableScan`](crate::plan::physical::TableScan::skips_locked).
    pub skips_locked: bool,
    /// How they are found.
    pub access: Access,
}

/// How the rows of a table are found.
#[derive(Clone, Debug)]
pub enum Access {
    /// By reading all.
    Table {
        /// Storage leaves out rows that are not within all of these.
        bounds: Vec<ColumnRange>,
    },
    /// By an index.
    Index {
        /// Which.
        index: Arc<IndexEntry>,
        /// Which keys.
        keys: IndexKeys,
        /// From the last key to the first.
        reverse: bool,
    },
}

/// Pairs of rows.
#[derive(Clone, Debug)]
pub struct Join {
    /// One side.
    pub left: Box<Logical>,
    /// The other.
    pub right: Box<Logical>,
    /// What comes of rows without a match.
    pub kind: JoinKind,
    /// What makes a match: all of these.
    pub on: Vec<Expr>,
}

/// A plan with the names and order of what it shows.
#[derive(Clone, Debug)]
pub struct Query {
    /// The plan.
    pub plan: Logical,
    /// Name and column of each thing shown.
    pub output: Vec<(String, usize)>,
}

/// A bound statement, before any rule.
#[derive(Clone, Debug)]
pub enum LogicalStatement {
    /// SELECT, VALUES
    Query(Query),
    /// SELECT that locks rows, and the strongest of its locks.
    Locking(Query, LockStrength),
    /// INSERT from a query that gives all columns of the table in order. The insert's own source is
    /// a placeholder.
    InsertQuery(Insert, Query),
    /// UPDATE and DELETE: the statement, whose target is a placeholder, and the plan of the rows.
    /// The plan's column numbers are the positions of the table's columns, then the RowId.
    Change(Statement, Logical),
    /// MERGE, whose rows are a placeholder, and the plan of the rows.
    Merge(Box<Merge>, Logical),
    /// TRUNCATE of tables, each with a scan of RowIds, and the sequences that begin again.
    Truncate(Vec<(Arc<TableEntry>, Logical)>, Vec<SequenceId>),
    /// CREATE TABLE .. AS, with the query that gives its rows, if it gets any.
    CreateTableAs(TableDef, Option<Query>),
    /// COPY .. TO
    CopyTo {
        /// What.
        query: Query,
        /// Where to.
        path: Option<String>,
        /// How.
        format: CsvFormat,
    },
    /// ALTER TABLE, whose rows are a placeholder, and the query that gives all columns of the altered table
    /// in order.
    AlterTable(Box<AlterTable>, Query),
    /// EXPLAIN, with the statement explained.
    Explain(Box<LogicalStatement>),
    /// What needs no planning.
    Done(Statement),
}

impl Logical {
    /// The columns it produces, in order.
    pub fn columns(&self) -> Vec<usize> {
        match self {
            Self::Values { columns, .. } | Self::UnionAll { columns, .. } => columns.clone(),
            Self::SetOperation(operation) => operation.columns.clone(),
            Self::Recursive(recursive) => recursive.columns.clone(),
            Self::WorkingTable(table) => table.columns.iter().map(|(number, _)| *number).collect(),
            Self::Scan(scan) => scan.numbers().collect(),
            Self::System { columns, .. } => columns.iter().map(|(number, _)| *number).collect(),
            Self::Filter { input, .. }
            | Self::Sort { input, .. }
            | Self::TopN { input, .. }
            | Self::Limit { input, .. }
            | Self::WithTies { input, .. }
            | Self::Lock { input, .. }
            | Self::DistinctOn { input, .. }
            | Self::Distinct(input) => input.columns(),
            Self::Project { exprs, .. } => exprs.iter().map(|(column, _)| *column).collect(),
            Self::ProjectSet(set) => set.columns(),
            Self::Join(join) => {
                let mut columns = join.left.columns();
                columns.extend(join.right.columns());
                columns
            }
            Self::Aggregate {
                groups,
                aggregates,
                sets,
                ..
            } => {
                let groups = groups.iter().map(|(column, _)| *column);
                let groupings = sets.iter().flat_map(|sets| &sets.groupings);
                groups
                    .chain(aggregates.iter().map(|(column, _)| *column))
                    .chain(groupings.map(|(column, _)| *column))
                    .collect()
            }
            Self::Window { input, window } => {
                let mut columns = input.columns();
                columns.extend(window.calls.iter().map(|(column, _)| *column));
                columns
            }
        }
    }

    /// The same as a set.
    pub fn column_set(&self) -> BTreeSet<usize> {
        self.columns().into_iter().collect()
    }

    /// Whether `f` is true of any node.
    pub fn any(&self, f: &mut dyn FnMut(&Logical) -> bool) -> bool {
        f(self) || self.inputs().into_iter().any(|input| input.any(f))
    }

    /// Its inputs, from left to right.
    pub fn inputs(&self) -> Vec<&Logical> {
        match self {
            Self::Values { .. } | Self::Scan(_) | Self::System { .. } | Self::WorkingTable(_) => {
                Vec::new()
            }
            Self::Filter { input, .. }
            | Self::Project { input, .. }
            | Self::ProjectSet(ProjectSet { input, .. })
            | Self::Aggregate { input, .. }
            | Self::Window { input, .. }
            | Self::Sort { input, .. }
            | Self::TopN { input, .. }
            | Self::Limit { input, .. }
            | Self::WithTies { input, .. }
            | Self::Lock { input, .. }
            | Self::DistinctOn { input, .. }
            | Self::Distinct(input) => vec![input],
            Self::Join(join) => vec![&join.left, &join.right],
            Self::UnionAll { inputs, .. } => inputs.iter().map(|(input, _)| input).collect(),
            Self::SetOperation(operation) => vec![&operation.left.0, &operation.right.0],
            Self::Recursive(recursive) => vec![&recursive.base.0, &recursive.step.0],
        }
    }

    /// The same node with each input replaced by what `f` makes of it.
    pub fn map_inputs(self, f: &mut dyn FnMut(Logical) -> Logical) -> Logical {
        let mut apply = |input: Box<Logical>| Box::new(f(*input));
        match self {
            leaf @ (Self::Values { .. }
            | Self::Scan(_)
            | Self::System { .. }
            | Self::WorkingTable(_)) => leaf,
            Self::Recursive(recursive) => Self::Recursive(recursive.map_inputs(f)),
            Self::Filter { input, predicate } => Self::Filter {
                input: apply(input),
                predicate,
            },
            Self::Project { input, exprs } => Self::Project {
                input: apply(input),
                exprs,
            },
            Self::ProjectSet(set) => Self::ProjectSet(ProjectSet {
                input: apply(set.input),
                ..set
            }),
            Self::Join(join) => Self::Join(Join {
                left: apply(join.left),
                right: apply(join.right),
                ..join
            }),
            Self::Aggregate {
                input,
                groups,
                aggregates,
                sets,
            } => Self::Aggregate {
                input: apply(input),
                groups,
                aggregates,
                sets,
            },
            Self::Window { input, window } => Self::Window {
                input: apply(input),
                window,
            },
            Self::Sort { input, keys } => Self::Sort {
                input: apply(input),
                keys,
            },
            Self::TopN {
                input,
                keys,
                limit,
                offset,
            } => Self::TopN {
                input: apply(input),
                keys,
                limit,
                offset,
            },
            Self::Limit {
                input,
                limit,
                offset,
            } => Self::Limit {
                input: apply(input),
                limit,
                offset,
            },
            Self::WithTies {
                input,
                keys,
                limit,
                offset,
            } => Self::WithTies {
                input: apply(input),
                keys,
                limit,
                offset,
            },
            Self::Lock { input, locks } => Self::Lock {
                input: apply(input),
                locks,
            },
            Self::Distinct(input) => Self::Distinct(apply(input)),
            Self::DistinctOn { input, columns } => Self::DistinctOn {
                input: apply(input),
                columns,
            },
            Self::UnionAll { inputs, columns } => Self::UnionAll {
                inputs: inputs
                    .into_iter()
                    .map(|(input, source)| (f(input), source))
                    .collect(),
                columns,
            },
            Self::SetOperation(operation) => Self::SetOperation(operation.map_inputs(f)),
        }
    }

    /// Replaces every expression of this node (not of its inputs) by what `f` makes of it.
    pub fn map_exprs(mut self, f: &mut dyn FnMut(Expr) -> Expr) -> Logical {
        let mut apply = |expr: &mut Expr| {
            let hole = Expr::literal(remora_storage::Value::Null, expr.data_type);
            *expr = f(std::mem::replace(expr, hole));
        };
        match &mut self {
            Self::Values { rows, .. } => rows.iter_mut().flatten().for_each(apply),
            Self::Scan(scan) => scan.filter.iter_mut().for_each(apply),
            Self::Filter { predicate, .. } => apply(predicate),
            Self::Project { exprs, .. } => exprs.iter_mut().for_each(|(_, expr)| apply(expr)),
            Self::ProjectSet(set) => {
                let calls = set.calls.iter_mut();
                calls
                    .flat_map(|(_, call)| &mut call.arguments)
                    .for_each(apply);
            }
            Self::Join(join) => join.on.iter_mut().for_each(apply),
            Self::Aggregate {
                groups, aggregates, ..
            } => {
                groups.iter_mut().for_each(|(_, expr)| apply(expr));
                for (_, call) in aggregates {
                    call.arguments.iter_mut().for_each(&mut apply);
                    call.filter.iter_mut().for_each(&mut apply);
                    let keys = call.order.iter_mut();
                    keys.for_each(|key| apply(&mut key.expr));
                }
            }
            Self::Window { window, .. } => {
                let calls = window.calls.iter_mut();
                calls.for_each(|(_, call)| call.exprs_mut().for_each(&mut apply));
            }
            Self::Sort { keys, .. } => keys.iter_mut().for_each(|key| apply(&mut key.expr)),
            Self::TopN {
                keys,
                limit,
                offset,
                ..
            } => {
                keys.iter_mut().for_each(|key| apply(&mut key.expr));
                apply(limit);
                offset.iter_mut().for_each(apply);
            }
            Self::Limit { limit, offset, .. } => {
                limit.iter_mut().chain(offset).for_each(apply);
            }
            Self::WithTies {
                keys,
                limit,
                offset,
                ..
            } => {
                keys.iter_mut().for_each(&mut apply);
                apply(limit);
                offset.iter_mut().for_each(apply);
            }
            Self::Lock { .. }
            | Self::Distinct(_)
            | Self::DistinctOn { .. }
            | Self::UnionAll { .. }
            | Self::SetOperation(_)
            | Self::Recursive(_)
            | Self::WorkingTable(_)
            | Self::System { .. } => {}
        }
        self
    }
}

impl Scan {
    /// The numbers of its columns, the RowId's last.
    pub fn numbers(&self) -> impl Iterator<Item = usize> + '_ {
        self.columns
            .iter()
            .map(|(number, _)| *number)
            .chain(self.row_id)
    }

    /// The table's column behind a number.
    pub fn column_id(&self, number: usize) -> Option<ColumnId> {
        self.columns
            .iter()
            .find(|(found, _)| *found == number)
            .map(|(_, id)| *id)
    }
}
