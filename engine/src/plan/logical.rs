//! Logical plans: what a query means, as relational algebra.
//!
//! A column has a number that is its own throughout the statement ([`Columns`] hands them out), so
//! rules may move nodes around without renumbering anything: in a logical plan `Column(n)` of an
//! expression is such a number. Only when the physical plan is built do numbers become positions.
//!
//! Invariants
//! - No two nodes produce the same number, except by passing it on.
//! - An expression names only columns of its node's input (of a join: of both inputs).

use super::collation::Collations;
use super::explain::ExplainOptions;
use super::grouping_sets::GroupingSets;
use super::lock::{LockStrength, RowLock};
use super::merge::Merge;
use super::project_set::ProjectSet;
use super::recursive::{Recursive, WorkingTable};
use super::set_operation::SetOperation;
use super::statement::{CsvFormat, Insert, Statement};
use super::structure::AlterTable;
use super::virtual_scan::VirtualScan;
use super::window::{Window, WindowCall};
use super::with::PartRows;
use super::{Expr, Field, SortKey};
use crate::plan::physical::{AggregateCall, ColumnRange, IndexKeys, JoinKind, LookupLimit};
use crate::system::SystemTable;
use remora_storage::catalog::{IndexEntry, TableDef, TableEntry};
use remora_storage::{ColumnId, DataType, SequenceId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Every column of a statement, by its number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    fields: Vec<Field>,
    /// Parameters there are: the statement's, and then those of inputs that are run for each row.
    parameters: usize,
    /// The collations of those that have one.
    pub collations: Collations,
}

impl Columns {
    /// A new column.
    pub(crate) fn add(&mut self, name: impl Into<String>, data_type: DataType) -> usize {
        self.fields.push(Field {
            name: name.into(),
            data_type,
        });
        self.fields.len() - 1
    }

    /// The statement has so many parameters.
    pub(crate) fn set_parameters(&mut self, parameters: usize) {
        self.parameters = parameters;
    }

    /// No columns yet, for another plan of the same statement.
    pub(crate) fn beside(&self) -> Self {
        Self {
            fields: Vec::new(),
            parameters: self.parameters,
            collations: Collations::default(),
        }
    }

    /// A parameter that is none of the statement's.
    pub(crate) fn add_parameter(&mut self) -> usize {
        self.parameters += 1;
        self.parameters - 1
    }

    /// What a column is called, and its type.
    pub(crate) fn field(&self, column: usize) -> &Field {
        &self.fields[column]
    }

    /// A column as an expression.
    pub(crate) fn expr(&self, column: usize) -> Expr {
        Expr::column(column, self.fields[column].data_type)
    }
}

/// A node of a logical plan.
#[derive(Clone, Debug)]
pub(crate) enum Logical {
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
    /// Rows of a virtual table.
    Virtual(VirtualScan),
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
        /// As in [`physical::Node::Aggregate`](crate::plan::physical::Node::Aggregate::in_order).
        in_order: bool,
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
    /// As in [`physical::Node`](crate::plan::physical::Node::Adaptive); both give the same columns.
    Adaptive {
        /// The plan that is tried.
        first: Box<Logical>,
        /// The plan that runs after the first was given up.
        otherwise: Box<Logical>,
    },
    /// INTERSECT, EXCEPT
    SetOperation(SetOperation),
    /// WITH RECURSIVE
    Recursive(Recursive),
    /// What a round of it reads.
    WorkingTable(WorkingTable),
    /// What is kept of a part of the statement.
    Part(PartRows),
}

/// Rows of a table.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    /// Which.
    pub table: Arc<TableEntry>,
    /// Which of its columns.
    pub columns: Vec<(usize, ColumnId)>,
    /// What those of them are computed from, over the others, that an index alone asks for.
    pub computed: Vec<(usize, Expr)>,
    /// The column that gives the RowId, if one does.
    pub row_id: Option<usize>,
    /// Which rows: all of these are true.
    pub filter: Vec<Expr>,
    /// As in [`physical::TableScan`](crate::plan::physical::TableScan::skips_locked).
    pub skips_locked: bool,
    /// As in [`physical::IndexScan`](crate::plan::physical::IndexScan::read_max).
    pub read_max: Option<u64>,
    /// How they are found.
    pub access: Access,
}

/// How the rows of a table are found.
#[derive(Clone, Debug)]
pub(crate) enum Access {
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
    /// By several, each row once: those that one of them finds.
    Union(Vec<(Arc<IndexEntry>, IndexKeys)>),
}

/// Pairs of rows.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    /// One side.
    pub left: Box<Logical>,
    /// The other.
    pub right: Box<Logical>,
    /// What comes of rows without a match.
    pub kind: JoinKind,
    /// What makes a match: all of these.
    pub on: Vec<Expr>,
    /// Of a `Mark`: the column it gives, and its test.
    pub mark: Option<Mark>,
    /// What the right input names of the left row: columns that stand for values over it, as the binder
    /// makes them; parameters, where the optimizer has found that it has to be run for each row. Nothing then
    /// is in `on`.
    pub outer: Vec<(usize, Expr)>,
    /// How the right rows of a left one are looked up, if an index has them.
    pub lookup: Option<Lookup>,
    /// Whether its rows are wanted in the order of the left ones, so that it must not be turned around.
    pub keeps_order: bool,
}

/// A right input of which an index has the rows that belong to a left one.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    /// How they are found.
    pub by: LookupBy,
    /// How long it pays.
    pub limit: LookupLimit,
}

/// How the right rows of a left one are found.
#[derive(Clone, Debug)]
pub(crate) enum LookupBy {
    /// In a table, for many left rows at a time.
    Rows(Box<IndexedRows>),
    /// By a plan that is run for each left row.
    Plan {
        /// What it names of the left row: parameters.
        outer: Vec<(usize, Expr)>,
        /// The right input, with all that makes a match.
        plan: Box<Logical>,
    },
}

/// Rows of a table that an index has for a left row.
#[derive(Clone, Debug)]
pub(crate) struct IndexedRows {
    /// Which; the keys name columns of the left input.
    pub scan: Scan,
    /// What the right input computes from them.
    pub exprs: Vec<(usize, Expr)>,
    /// What makes a match beside the keys.
    pub on: Vec<Expr>,
}

/// What a mark join gives.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// The column that says whether there is a match.
    pub column: usize,
    /// What is tested; NULL is told from false.
    pub test: Vec<Expr>,
}

impl Join {
    /// A join of inputs that do not depend on each other.
    pub(crate) fn new(left: Logical, right: Logical, kind: JoinKind, on: Vec<Expr>) -> Self {
        Self {
            left: Box::new(left),
            right: Box::new(right),
            kind,
            on,
            mark: None,
            outer: Vec::new(),
            lookup: None,
            keeps_order: false,
        }
    }
}

/// A plan with the names and order of what it shows.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// The plan.
    pub plan: Logical,
    /// Name and column of each thing shown.
    pub output: Vec<(String, usize)>,
}

/// A bound statement, before any rule.
#[derive(Clone, Debug)]
pub(crate) enum LogicalStatement {
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
    /// TRUNCATE of tables, and the sequences that begin again.
    Truncate(Vec<Arc<TableEntry>>, Vec<SequenceId>),
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
    /// Changes of the structure, one after the other.
    Each(Vec<LogicalStatement>),
    /// EXPLAIN, with the statement explained.
    Explain(Box<LogicalStatement>, ExplainOptions),
    /// What needs no planning.
    Done(Statement),
}

impl Logical {
    /// The columns it produces, in order.
    pub(crate) fn columns(&self) -> Vec<usize> {
        match self {
            Self::Values { columns, .. } | Self::UnionAll { columns, .. } => columns.clone(),
            Self::SetOperation(operation) => operation.columns.clone(),
            Self::Recursive(recursive) => recursive.columns.clone(),
            Self::WorkingTable(table) => table.columns.iter().map(|(number, _)| *number).collect(),
            Self::Part(part) => part.columns.iter().map(|(number, _)| *number).collect(),
            Self::Scan(scan) => scan.numbers().collect(),
            Self::System { columns, .. } | Self::Virtual(VirtualScan { columns, .. }) => {
                columns.iter().map(|(number, _)| *number).collect()
            }
            Self::Filter { input, .. }
            | Self::Sort { input, .. }
            | Self::TopN { input, .. }
            | Self::Limit { input, .. }
            | Self::WithTies { input, .. }
            | Self::Lock { input, .. }
            | Self::DistinctOn { input, .. }
            | Self::Adaptive {
                otherwise: input, ..
            }
            | Self::Distinct(input) => input.columns(),
            Self::Project { exprs, .. } => exprs.iter().map(|(column, _)| *column).collect(),
            Self::ProjectSet(set) => set.columns(),
            Self::Join(join) => {
                let mut columns = join.left.columns();
                if join.kind.gives_right() {
                    columns.extend(join.right.columns());
                }
                columns.extend(join.mark.as_ref().map(|mark| mark.column));
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
    pub(crate) fn column_set(&self) -> BTreeSet<usize> {
        self.columns().into_iter().collect()
    }

    /// Whether `f` is true of any node.
    pub(crate) fn any(&self, f: &mut dyn FnMut(&Logical) -> bool) -> bool {
        f(self) || self.inputs().into_iter().any(|input| input.any(f))
    }
}

impl Scan {
    /// The numbers of its columns, the RowId's last.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = usize> + '_ {
        self.columns
            .iter()
            .map(|(number, _)| *number)
            .chain(self.row_id)
    }

    /// The table's column behind a number.
    pub(crate) fn column_id(&self, number: usize) -> Option<ColumnId> {
        self.columns
            .iter()
            .find(|(found, _)| *found == number)
            .map(|(_, id)| *id)
    }
}
