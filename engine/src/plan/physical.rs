//! Physical plans: how a query runs, as data.
//!
//! Expressions of a node refer by position to the columns of its input (of a join: the left
//! input's columns, then the right's). A scan's `filter` refers to the scan's own output columns.

use super::grouping_sets::GroupingSets;
use super::lock::RowLock;
use super::project_set::TableCall;
use super::set_operation::SetOperator;
use super::virtual_scan::VirtualScan;
use super::window::{Window, WindowCall};
use super::{Expr, Schema, SortKey, call_types};
use crate::function::aggregate::Accumulator;
use crate::function::aggregate::host::Callable;
use crate::system::SystemTable;
use remora_storage::catalog::{IndexEntry, TableEntry};
use remora_storage::{ColumnId, DataType};
use std::ops::Bound;
use std::sync::Arc;

/// A node with its output columns.
#[derive(Clone, Debug)]
pub(crate) struct PhysicalPlan {
    /// What it does.
    pub node: Node,
    /// What it gives.
    pub schema: Schema,
}

/// What a node does.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Rows written out; expressions have no columns.
    Values(Vec<Vec<Expr>>),
    /// All rows of a table.
    TableScan(Arc<TableScan>),
    /// Rows of a table by an index.
    IndexScan(Arc<IndexScan>),
    /// Rows of a table that one of several indexes finds.
    IndexUnion(Arc<IndexUnion>),
    /// Rows of a system table.
    System {
        /// Which.
        table: SystemTable,
        /// Which of its columns, in output order.
        columns: Vec<usize>,
    },
    /// Rows of a virtual table.
    Virtual(Arc<VirtualScan>),
    /// Rows for which the predicate is true.
    Filter {
        /// Of what.
        input: Box<PhysicalPlan>,
        /// Which.
        predicate: Expr,
    },
    /// One expression an output column.
    Project {
        /// Of what.
        input: Box<PhysicalPlan>,
        /// Which.
        exprs: Vec<Expr>,
    },
    /// Each row beside the rows of table functions. Output: the input's columns, the functions', and the
    /// ordinality, BIGINT, if it is asked for.
    ProjectSet {
        /// Of what.
        input: Box<PhysicalPlan>,
        /// Which functions.
        calls: Vec<TableCall>,
        /// Whether the rows are numbered.
        ordinality: bool,
    },
    /// A join. With equality keys a hash table is built of the right input; without, every pair is
    /// tried in blocks.
    Join(Join),
    /// A join whose right input depends on the left row.
    Apply(Apply),
    /// Groups, in order of first appearance; one group of everything where `groups` is empty.
    /// Output: the group keys, then the aggregates, then what `grouping` says.
    Aggregate {
        /// Of what.
        input: Box<PhysicalPlan>,
        /// By what.
        groups: Vec<Expr>,
        /// What of each.
        aggregates: Vec<AggregateCall>,
        /// By which of the groups, if not by all.
        sets: Option<GroupingSets>,
        /// Whether rows of a group follow each other: then groups are given as soon as they are complete.
        in_order: bool,
    },
    /// The input's columns, then what functions of a window give; the input is sorted as the window wants.
    Window {
        /// Of what.
        input: Box<PhysicalPlan>,
        /// Which.
        window: Box<Window<Vec<WindowCall>>>,
    },
    /// All rows in order; rows with equal keys keep their order.
    Sort {
        /// Of what.
        input: Box<PhysicalPlan>,
        /// By what, most significant first.
        keys: Vec<SortKey>,
    },
    /// The first `limit` rows after `offset` of the order, holding no more than those.
    TopN {
        /// Of what.
        input: Box<PhysicalPlan>,
        /// By what.
        keys: Vec<SortKey>,
        /// A BIGINT, not NULL, without columns.
        limit: Expr,
        /// A BIGINT without columns.
        offset: Option<Expr>,
    },
    /// A stretch of the rows; NULL means no limit, no offset.
    Limit {
        /// Of what.
        input: Box<PhysicalPlan>,
        /// A BIGINT without columns.
        limit: Option<Expr>,
        /// A BIGINT without columns.
        offset: Option<Expr>,
    },
    /// A stretch of the rows, which come in the order of the keys, and those after it with the last one's key.
    WithTies {
        /// Of what.
        input: Box<PhysicalPlan>,
        /// What rows are told apart by.
        keys: Vec<Expr>,
        /// A BIGINT without columns.
        limit: Expr,
        /// A BIGINT without columns.
        offset: Option<Expr>,
    },
    /// Those rows that could be locked, in order.
    LockRows {
        /// Of what.
        input: Box<PhysicalPlan>,
        /// Which tables' rows.
        locks: Vec<RowLock>,
    },
    /// Each distinct row once, NULLs alike.
    Distinct(Box<PhysicalPlan>),
    /// The first row of each value of the columns at these positions, NULLs alike.
    DistinctOn {
        /// Of what.
        input: Box<PhysicalPlan>,
        /// Which columns.
        columns: Vec<usize>,
    },
    /// All rows of all inputs, in order; columns are of the same types.
    UnionAll(Vec<PhysicalPlan>),
    /// Two ways to the same rows. The first reads an index in its order, and is the faster one by far if it comes to its
    /// end before one of its scans has read as many rows as it may; else what it gave is forgotten.
    Adaptive {
        /// The plan that is tried; it gives a few rows.
        first: Box<PhysicalPlan>,
        /// The plan that runs after the first was given up.
        otherwise: Arc<PhysicalPlan>,
    },
    /// All rows of the base, then those of round after round.
    Recursive {
        /// Its number.
        id: usize,
        /// What gives the first rows.
        base: Box<PhysicalPlan>,
        /// What makes rows of those of the round before, which it reads from the working table.
        step: Arc<PhysicalPlan>,
        /// Whether each row counts once only.
        distinct: bool,
    },
    /// The rows of the last round.
    WorkingTable {
        /// Of which recursion.
        id: usize,
        /// Which of its columns, in output order.
        columns: Vec<usize>,
    },
    /// What is kept of a part of the statement.
    Part {
        /// Of which.
        id: usize,
        /// What it is called.
        name: String,
        /// Which of its columns, in output order.
        columns: Vec<usize>,
    },
    /// INTERSECT or EXCEPT; columns are of the same types, NULLs alike.
    SetOperation {
        /// Which.
        operator: SetOperator,
        /// As in [`SetOperation`](super::set_operation::SetOperation::all).
        all: bool,
        /// Whose rows come out.
        left: Box<PhysicalPlan>,
        /// What they are compared with.
        right: Box<PhysicalPlan>,
    },
}

/// Reads a whole table.
#[derive(Clone, Debug)]
pub(crate) struct TableScan {
    /// Which.
    pub table: Arc<TableEntry>,
    /// Which of its columns, in output order.
    pub columns: Vec<ColumnId>,
    /// Whether a last output column, BIGINT, gives the RowId.
    pub row_id: bool,
    /// Storage gives only rows that are within all of these; of an index scan there are none.
    pub bounds: Vec<ColumnRange>,
    /// Which rows of those.
    pub filter: Option<Expr>,
    /// Rows that rivals have are left out further up. Whoever keeps one records it then, so the scan
    /// records nothing.
    pub skips_locked: bool,
}

/// Rows whose column is not NULL and lies between two ends, by the order of index keys.
/// Expressions have no columns and the column's type.
#[derive(Clone, Debug)]
pub(crate) struct ColumnRange {
    /// Of which column.
    pub column: ColumnId,
    /// From where.
    pub low: Bound<Expr>,
    /// To where.
    pub high: Bound<Expr>,
}

/// Reads rows by index.
#[derive(Clone, Debug)]
pub(crate) struct IndexScan {
    /// What is read.
    pub scan: TableScan,
    /// By which index.
    pub index: Arc<IndexEntry>,
    /// Which keys.
    pub keys: IndexKeys,
    /// From the last key to the first.
    pub reverse: bool,
    /// In the first plan of a [`Node::Adaptive`]: how many rows the scan may read.
    pub read_max: Option<u64>,
}

/// Reads rows that one of several indexes finds, each once, in the order of their RowIds.
#[derive(Clone, Debug)]
pub(crate) struct IndexUnion {
    /// What is read.
    pub scan: TableScan,
    /// Index scans that give RowIds and nothing else.
    pub parts: Vec<PhysicalPlan>,
}

/// Which keys of an index are read. Expressions have no columns and the key columns' types.
#[derive(Clone, Debug)]
pub(crate) enum IndexKeys {
    /// These keys, one value a key column; a key given twice is read once.
    Points(Vec<Vec<Expr>>),
    /// The elements of an array, of an index of one column; likewise.
    Elements(Expr),
    /// All keys between two ends.
    Range {
        /// From where.
        low: KeyEnd,
        /// To where.
        high: KeyEnd,
    },
    /// All keys that begin with these values, of which the last one, a text, may itself be only the beginning of
    /// the key's.
    Prefix(Vec<Expr>),
}

impl IndexKeys {
    /// Whether they follow each other in the index.
    pub(crate) fn is_walked(&self) -> bool {
        matches!(self, Self::Range { .. } | Self::Prefix(_))
    }

    /// The values of the keys: of each point, or of both ends.
    pub(crate) fn values(&self) -> Vec<&[Expr]> {
        match self {
            Self::Points(keys) => keys.iter().map(Vec::as_slice).collect(),
            Self::Elements(array) => vec![std::slice::from_ref(array)],
            Self::Range { low, high } => vec![low.values(), high.values()],
            Self::Prefix(values) => vec![values],
        }
    }

    /// The same to change them.
    pub(crate) fn values_mut(&mut self) -> Vec<&mut [Expr]> {
        match self {
            Self::Points(keys) => keys.iter_mut().map(Vec::as_mut_slice).collect(),
            Self::Elements(array) => vec![std::slice::from_mut(array)],
            Self::Range { low, high } => {
                let ends = [low.values_mut(), high.values_mut()];
                ends.into_iter().flatten().collect()
            }
            Self::Prefix(values) => vec![values],
        }
    }
}

/// One end of a range of keys. It gives values for a prefix of the key columns.
#[derive(Clone, Debug)]
pub(crate) enum KeyEnd {
    /// The first key there is, or the last.
    Open,
    /// Where behind these values the column's NULLs begin or end: they are outside.
    Nulls(Vec<Expr>),
    /// Keys that begin with these values and then NULL are within.
    Null(Vec<Expr>),
    /// Keys that begin with these values are within.
    Included(Vec<Expr>),
    /// Keys that begin with these values are outside.
    Excluded(Vec<Expr>),
}

impl KeyEnd {
    /// The values.
    pub(crate) fn values(&self) -> &[Expr] {
        match self {
            Self::Open => &[],
            Self::Nulls(values)
            | Self::Null(values)
            | Self::Included(values)
            | Self::Excluded(values) => values,
        }
    }

    fn values_mut(&mut self) -> Option<&mut [Expr]> {
        match self {
            Self::Open => None,
            Self::Nulls(values)
            | Self::Null(values)
            | Self::Included(values)
            | Self::Excluded(values) => Some(values),
        }
    }
}

/// A join of two inputs.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    /// Its left input (the probe side).
    pub left: Box<PhysicalPlan>,
    /// Its right input (the build side).
    pub right: Box<PhysicalPlan>,
    /// Which rows come out.
    pub kind: JoinKind,
    /// What must be equal. Empty for a cross join.
    pub keys: Vec<JoinKey>,
    /// What else must be true, over left then right columns.
    pub filter: Option<Expr>,
    /// The test of a [`JoinKind::Mark`], if it has one.
    pub test: Option<MarkTest>,
    /// How the right rows of a left one are looked up, if an index has them.
    pub lookup: Option<Lookup>,
}

/// The right rows of a left one, by an index. It pays where there are few left rows, which nobody knows before they
/// are there; so the join begins with it, and is a join as any other one after too many.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    /// How they are found.
    pub by: LookupBy,
    /// How long it pays.
    pub limit: LookupLimit,
}

impl Lookup {
    /// Right rows that may be read in the time in which those of a left row are found.
    pub(crate) const LEFT_ROW: u64 = 4;
}

/// How the right rows of a left one are found.
#[derive(Clone, Debug)]
pub(crate) enum LookupBy {
    /// In a table, for many left rows at a time.
    Rows(Arc<IndexedRows>),
    /// By a plan that is run for each left row.
    Plan(DependentPlan),
}

/// Rows of a table that an index has for a left row.
#[derive(Clone, Debug)]
pub(crate) struct IndexedRows {
    /// An [`IndexScan`](Node::IndexScan), whose keys name columns of the left input.
    pub scan: PhysicalPlan,
    /// What is made of its rows, if it is not they that the right input gives.
    pub exprs: Option<Vec<Expr>>,
    /// What else must be true, over left then right columns.
    pub filter: Option<Expr>,
}

impl IndexedRows {
    /// Which rows are read, by which keys.
    pub(crate) fn index_scan(&self) -> &Arc<IndexScan> {
        match &self.scan.node {
            Node::IndexScan(scan) => scan,
            _ => unreachable!("the optimizer puts an index scan there"),
        }
    }
}

/// A plan that names values of a row of another one.
#[derive(Clone, Debug)]
pub(crate) struct DependentPlan {
    /// What is run: it names them as parameters.
    pub plan: Arc<PhysicalPlan>,
    /// Each such parameter, and its value over the columns of the other plan.
    pub outer: Vec<(usize, Expr)>,
    /// Whether it gives the same for the same values.
    pub is_stable: bool,
}

/// How many rows may be looked up before a join does without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LookupLimit {
    /// So many in all: a right row that is found counts one, and a left row [`LEFT_ROW`](Lookup::LEFT_ROW).
    All(u64),
    /// So many for each left row, where without an index every pair is tried.
    Each(u64),
}

/// Two values of one type that must be equal.
#[derive(Clone, Debug)]
pub(crate) struct JoinKey {
    /// Over the left columns.
    pub left: Expr,
    /// Over the right columns, positions counted within its own input.
    pub right: Expr,
    /// Whether NULL is equal to NULL (`IS NOT DISTINCT FROM`).
    pub nulls_match: bool,
}

/// What a mark join tests beside what makes a match, so that NULL is told from false.
#[derive(Clone, Debug)]
pub(crate) struct MarkTest {
    /// The whole of it, over left then right columns.
    pub test: Expr,
    /// So many of the join's last keys are a part of it.
    pub keys: usize,
    /// All else that makes a match, keys included.
    pub on: Option<Expr>,
}

/// Runs its right input for each row of the left one.
#[derive(Clone, Debug)]
pub(crate) struct Apply {
    /// Its left input.
    pub left: Box<PhysicalPlan>,
    /// Its right one.
    pub right: DependentPlan,
    /// Which rows come out. The right rows of a `Mark` have one BOOLEAN column, its test; or none is asked
    /// for and it counts that there is a row.
    pub kind: JoinKind,
    /// Of a `Mark`: whether there is a test.
    pub is_tested: bool,
}

/// Which rows a join gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JoinKind {
    /// Matching pairs.
    Inner,
    /// And left rows without a match, with NULLs.
    Left,
    /// And rows of either side without a match, with NULLs.
    Full,
    /// As `Left`; more than one match is an error (21000).
    Single,
    /// Left rows that have a match, once each. There are no right columns.
    Semi,
    /// Left rows that have none. There are no right columns.
    Anti,
    /// Left rows, and for each whether it has a match, as a BOOLEAN column instead of the right ones. With a
    /// test it is NULL where the test is NULL of a right row, and true of none.
    Mark,
}

impl JoinKind {
    /// Whether it gives the right columns.
    pub(crate) fn gives_right(self) -> bool {
        matches!(self, Self::Inner | Self::Left | Self::Full | Self::Single)
    }
}

/// One aggregate of an `Aggregate` node.
#[derive(Clone, Debug)]
pub(crate) struct AggregateCall {
    /// Which.
    pub aggregate: Callable,
    /// On what; of exactly the aggregate's types.
    pub arguments: Vec<Expr>,
    /// Whether equal arguments count once.
    pub distinct: bool,
    /// FILTER (WHERE ..)
    pub filter: Option<Expr>,
    /// In which order it is given the rows of a group; empty for any.
    pub order: Vec<SortKey>,
    /// The type of the result: as the aggregate's, but min and max keep modifiers.
    pub data_type: DataType,
}

impl AggregateCall {
    /// Makes the state for all groups of one operator.
    pub(crate) fn start(&self) -> Box<dyn Accumulator> {
        self.aggregate
            .start(|| call_types(&self.arguments, self.data_type))
    }
}

impl PhysicalPlan {
    /// No row, and no column.
    pub(crate) fn nothing() -> Self {
        Self {
            node: Node::Values(Vec::new()),
            schema: Vec::new(),
        }
    }

    /// The plans that it is fed by.
    pub(crate) fn inputs(&self) -> Vec<&PhysicalPlan> {
        match &self.node {
            Node::Values(_)
            | Node::TableScan(_)
            | Node::IndexScan(_)
            | Node::System { .. }
            | Node::Virtual(_)
            | Node::WorkingTable { .. }
            | Node::Part { .. } => Vec::new(),
            Node::Filter { input, .. }
            | Node::Project { input, .. }
            | Node::ProjectSet { input, .. }
            | Node::Aggregate { input, .. }
            | Node::Window { input, .. }
            | Node::Sort { input, .. }
            | Node::TopN { input, .. }
            | Node::Limit { input, .. }
            | Node::WithTies { input, .. }
            | Node::LockRows { input, .. }
            | Node::DistinctOn { input, .. }
            | Node::Distinct(input) => vec![input],
            Node::IndexUnion(union) => union.parts.iter().collect(),
            Node::Join(join) => vec![&join.left, &join.right],
            Node::Adaptive { first, otherwise } => vec![first, otherwise],
            Node::Apply(apply) => vec![&apply.left, &apply.right.plan],
            Node::UnionAll(inputs) => inputs.iter().collect(),
            Node::SetOperation { left, right, .. } => vec![left, right],
            Node::Recursive { base, step, .. } => vec![base, step],
        }
    }

    /// The tables that it reads.
    pub(crate) fn tables(&self) -> Vec<&Arc<TableEntry>> {
        let mut tables = Vec::new();
        self.each_table(&mut tables);
        tables
    }

    fn each_table<'p>(&'p self, tables: &mut Vec<&'p Arc<TableEntry>>) {
        match &self.node {
            Node::TableScan(scan) => tables.push(&scan.table),
            Node::IndexScan(scan) => tables.push(&scan.scan.table),
            _ => self
                .inputs()
                .iter()
                .for_each(|input| input.each_table(tables)),
        }
    }

    /// Whether it reads a working table that is filled outside of it or within.
    pub(crate) fn reads_working_table(&self) -> bool {
        matches!(self.node, Node::WorkingTable { .. })
            || (self.inputs().into_iter()).any(PhysicalPlan::reads_working_table)
    }
}

impl AggregateCall {
    /// Its expressions over the input's columns.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let order = self.order.iter().map(|key| &key.expr);
        self.arguments.iter().chain(&self.filter).chain(order)
    }

    /// Every expression of it, to be changed.
    pub(crate) fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let order = self.order.iter_mut().map(|key| &mut key.expr);
        (self.arguments.iter_mut())
            .chain(&mut self.filter)
            .chain(order)
    }
}
