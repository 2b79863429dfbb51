//! The physical plan: column numbers become positions.
//!
//! Each node is built from its inputs' plans, and beside it goes the list of column numbers that its
//! output positions stand for.

use super::join_order::key;
use super::window::window_node;
use crate::plan::grouping_sets::GroupingSets;
use crate::plan::lock::RowLock;
use crate::plan::logical::{
    Access, Columns, IndexedRows, Join, Logical, LookupBy, Mark, Query, Scan,
};
use crate::plan::physical::{
    self, AggregateCall, DependentPlan, IndexKeys, IndexScan, IndexUnion, JoinKey, JoinKind, Node,
    PhysicalPlan,
};
use crate::plan::project_set::{ProjectSet, TableCall};
use crate::plan::recursive::Recursive;
use crate::plan::set_operation::SetOperation;
use crate::plan::{Expr, ExprKind, Field, Schema, SortKey};
use remora_storage::DataType;
use remora_storage::catalog::IndexEntry;
use std::sync::Arc;

/// A plan and the column number of each of its output positions.
pub(super) struct Lowered {
    pub(super) plan: PhysicalPlan,
    pub(super) numbers: Vec<usize>,
}

/// The plan of a query whose output columns are those shown, in order, under their names.
pub(super) fn query(query: Query, columns: &Columns) -> PhysicalPlan {
    let wanted: Vec<usize> = query.output.iter().map(|(_, number)| *number).collect();
    let lowered = lower(query.plan, columns);
    let mut plan = arrange(lowered, &wanted, columns).plan;
    for (field, (name, _)) in plan.schema.iter_mut().zip(query.output) {
        field.name = name;
    }
    plan
}

/// The same rows with exactly these columns, in this order.
fn arrange(lowered: Lowered, wanted: &[usize], columns: &Columns) -> Lowered {
    if lowered.numbers == wanted {
        return lowered;
    }
    let exprs = wanted.iter().map(|number| (*number, columns.expr(*number)));
    project(lowered, exprs.collect(), columns)
}

fn lower(plan: Logical, columns: &Columns) -> Lowered {
    match plan {
        Logical::Values {
            columns: numbers,
            rows,
        } => Lowered::new(Node::Values(rows), numbers, columns),
        Logical::Scan(scan) => scan_node(scan, columns),
        Logical::System {
            table,
            columns: wanted,
        } => {
            let (numbers, positions) = wanted.into_iter().unzip();
            let node = Node::System {
                table,
                columns: positions,
            };
            Lowered::new(node, numbers, columns)
        }
        Logical::Virtual(mut scan) => {
            let numbers: Vec<usize> = scan.columns.iter().map(|(number, _)| *number).collect();
            let at = Positions(&numbers);
            scan.filter = scan.filter.into_iter().map(|part| at.expr(part)).collect();
            Lowered::new(Node::Virtual(Arc::new(scan)), numbers.clone(), columns)
        }
        Logical::Filter { input, predicate } => lower(*input, columns).wrap(|input, at| {
            let predicate = at.expr(predicate);
            Node::Filter { input, predicate }
        }),
        Logical::Project { input, exprs } => project(lower(*input, columns), exprs, columns),
        Logical::ProjectSet(set) => project_set(set, columns),
        Logical::Join(join) => join_node(join, columns),
        Logical::Aggregate {
            input,
            groups,
            aggregates,
            sets,
            in_order,
        } => {
            let grouping = (sets, in_order);
            aggregate_node(
                lower(*input, columns),
                groups,
                aggregates,
                grouping,
                columns,
            )
        }
        Logical::Window { input, window } => window_node(lower(*input, columns), *window, columns),
        Logical::Sort { input, keys } => lower(*input, columns).wrap(|input, at| {
            let keys = at.keys(keys);
            Node::Sort { input, keys }
        }),
        Logical::TopN {
            input,
            keys,
            limit,
            offset,
        } => lower(*input, columns).wrap(|input, at| {
            let keys = at.keys(keys);
            Node::TopN {
                input,
                keys,
                limit,
                offset,
            }
        }),
        Logical::Limit {
            input,
            limit,
            offset,
        } => lower(*input, columns).wrap(|input, _| Node::Limit {
            input,
            limit,
            offset,
        }),
        Logical::WithTies {
            input,
            keys,
            limit,
            offset,
        } => lower(*input, columns).wrap(|input, at| Node::WithTies {
            input,
            keys: keys.into_iter().map(|key| at.expr(key)).collect(),
            limit,
            offset,
        }),
        Logical::Lock { input, locks } => lower(*input, columns).wrap(|input, at| {
            let row = |lock: RowLock| RowLock {
                row: at.position(lock.row),
                ..lock
            };
            let locks = locks.into_iter().map(row).collect();
            Node::LockRows { input, locks }
        }),
        Logical::Distinct(input) => lower(*input, columns).wrap(|input, _| Node::Distinct(input)),
        Logical::DistinctOn { input, columns: on } => lower(*input, columns).wrap(|input, at| {
            let columns = on.into_iter().map(|number| at.position(number)).collect();
            Node::DistinctOn { input, columns }
        }),
        Logical::UnionAll {
            inputs,
            columns: numbers,
        } => {
            let inputs = inputs.into_iter();
            let plans =
                inputs.map(|(input, source)| arrange(lower(input, columns), &source, columns).plan);
            Lowered::new(Node::UnionAll(plans.collect()), numbers, columns)
        }
        Logical::Adaptive { first, otherwise } => {
            let (first, otherwise) = (lower(*first, columns), lower(*otherwise, columns));
            // Each has what is asked for, and may have more.
            let mut numbers = otherwise.numbers.clone();
            numbers.retain(|number| first.numbers.contains(number));
            let node = Node::Adaptive {
                first: Box::new(arrange(first, &numbers, columns).plan),
                otherwise: Arc::new(arrange(otherwise, &numbers, columns).plan),
            };
            Lowered::new(node, numbers, columns)
        }
        Logical::SetOperation(operation) => set_operation(operation, columns),
        Logical::Recursive(recursive) => recursive_node(recursive, columns),
        Logical::WorkingTable(table) => {
            let (numbers, positions) = table.columns.into_iter().unzip();
            let node = Node::WorkingTable {
                id: table.id,
                columns: positions,
            };
            Lowered::new(node, numbers, columns)
        }
        Logical::Part(part) => {
            let (numbers, positions) = part.columns.into_iter().unzip();
            let node = Node::Part {
                id: part.id,
                name: part.name,
                columns: positions,
            };
            Lowered::new(node, numbers, columns)
        }
    }
}

fn project_set(set: ProjectSet, columns: &Columns) -> Lowered {
    let numbers = set.columns();
    let input = lower(*set.input, columns);
    let numbers = numbers
        .into_iter()
        .filter(|number| !input.numbers.contains(number));
    let numbers = input.numbers.iter().copied().chain(numbers).collect();
    let at = Positions(&input.numbers);
    let call = |(_, call): (Vec<usize>, TableCall)| TableCall {
        arguments: call.arguments.into_iter().map(|a| at.expr(a)).collect(),
        ..call
    };
    let node = Node::ProjectSet {
        calls: set.calls.into_iter().map(call).collect(),
        ordinality: set.ordinality.is_some(),
        input: Box::new(input.plan),
    };
    Lowered::new(node, numbers, columns)
}

fn set_operation(operation: SetOperation, columns: &Columns) -> Lowered {
    let side = |(input, source): (Box<Logical>, Vec<usize>)| {
        Box::new(arrange(lower(*input, columns), &source, columns).plan)
    };
    let node = Node::SetOperation {
        operator: operation.operator,
        all: operation.all,
        left: side(operation.left),
        right: side(operation.right),
    };
    Lowered::new(node, operation.columns, columns)
}

fn recursive_node(recursive: Recursive, columns: &Columns) -> Lowered {
    let side = |(input, source): (Box<Logical>, Vec<usize>)| {
        arrange(lower(*input, columns), &source, columns).plan
    };
    let node = Node::Recursive {
        id: recursive.id,
        base: Box::new(side(recursive.base)),
        step: Arc::new(side(recursive.step)),
        distinct: recursive.distinct,
    };
    Lowered::new(node, recursive.columns, columns)
}

fn project(input: Lowered, exprs: Vec<(usize, Expr)>, columns: &Columns) -> Lowered {
    let at = Positions(&input.numbers);
    let (numbers, exprs): (Vec<usize>, Vec<Expr>) = exprs
        .into_iter()
        .map(|(number, expr)| (number, at.expr(expr)))
        .unzip();
    // Passing on the input as it is needs no node, only other names.
    let same = exprs.len() == input.numbers.len()
        && exprs
            .iter()
            .enumerate()
            .all(|(position, expr)| matches!(expr.kind, ExprKind::Column(c) if c == position));
    if same {
        let schema = schema(&numbers, columns);
        return Lowered {
            plan: PhysicalPlan {
                schema,
                ..input.plan
            },
            numbers,
        };
    }
    let node = match input.plan.node {
        // What is written once and named twice is evaluated once.
        Node::Values(rows)
            if exprs.iter().all(Expr::is_stable) && rows.iter().flatten().all(Expr::is_stable) =>
        {
            let row = |row: Vec<Expr>| exprs.iter().map(|expr| fill(expr.clone(), &row)).collect();
            Node::Values(rows.into_iter().map(row).collect())
        }
        _ => Node::Project {
            input: Box::new(input.plan),
            exprs,
        },
    };
    Lowered::new(node, numbers, columns)
}

/// An expression over a row that is itself written out.
fn fill(expr: Expr, row: &[Expr]) -> Expr {
    expr.replace_columns(&mut |position, _| Some(row[position].clone()))
}

fn scan_node(scan: Scan, columns: &Columns) -> Lowered {
    let numbers: Vec<usize> = scan.numbers().collect();
    let at = Positions(&numbers);
    let filter = scan.filter.into_iter().map(|part| at.expr(part)).collect();
    let table_scan = |bounds| physical::TableScan {
        table: scan.table,
        columns: scan.columns.into_iter().map(|(_, id)| id).collect(),
        row_id: scan.row_id.is_some(),
        bounds,
        filter: Expr::conjunction(filter),
        skips_locked: scan.skips_locked,
    };
    let node = match scan.access {
        Access::Table { bounds } => Node::TableScan(table_scan(bounds).into()),
        Access::Index {
            index,
            keys,
            reverse,
        } => Node::IndexScan(Arc::new(IndexScan {
            scan: table_scan(Vec::new()),
            index,
            keys,
            reverse,
            read_max: scan.read_max,
        })),
        Access::Union(parts) => {
            let scan = table_scan(Vec::new());
            let part = |(index, keys)| row_ids(&scan, index, keys);
            let parts = parts.into_iter().map(part).collect();
            Node::IndexUnion(Arc::new(IndexUnion { scan, parts }))
        }
    };
    Lowered::new(node, numbers, columns)
}

/// The RowIds of the rows that an index has for keys.
fn row_ids(scan: &physical::TableScan, index: Arc<IndexEntry>, keys: IndexKeys) -> PhysicalPlan {
    let scan = physical::TableScan {
        table: Arc::clone(&scan.table),
        columns: Vec::new(),
        row_id: true,
        bounds: Vec::new(),
        filter: None,
        skips_locked: scan.skips_locked,
    };
    let scan = IndexScan {
        scan,
        index,
        keys,
        reverse: false,
        read_max: None,
    };
    PhysicalPlan {
        node: Node::IndexScan(Arc::new(scan)),
        schema: vec![Field {
            name: "row id".to_owned(),
            data_type: DataType::BigInt,
        }],
    }
}

fn apply_node(join: Join, columns: &Columns) -> Lowered {
    let is_stable = is_stable(&join.right);
    let (left, right) = (lower(*join.left, columns), lower(*join.right, columns));
    let node = Node::Apply(physical::Apply {
        kind: join.kind,
        is_tested: join.mark.as_ref().is_some_and(|mark| !mark.test.is_empty()),
        left: Box::new(left.plan),
        right: dependent(right.plan, join.outer, &left.numbers, is_stable),
    });
    let numbers = shown(join.kind, join.mark.as_ref(), left.numbers, &right.numbers);
    Lowered::new(node, numbers, columns)
}

/// The columns that a join gives.
fn shown(kind: JoinKind, mark: Option<&Mark>, mut left: Vec<usize>, right: &[usize]) -> Vec<usize> {
    if kind.gives_right() {
        left.extend(right);
    }
    left.extend(mark.map(|mark| mark.column));
    left
}

fn join_node(join: Join, columns: &Columns) -> Lowered {
    if !join.outer.is_empty() {
        return apply_node(join, columns);
    }
    let (left, right) = (lower(*join.left, columns), lower(*join.right, columns));
    let (left_set, right_set) = (left.set(), right.set());
    let mut both = left.numbers.clone();
    both.extend(&right.numbers);
    let (mut keys, mut rest) = (Vec::new(), Vec::new());
    let mut sort = |conditions: Vec<Expr>| {
        for condition in conditions {
            match key(&condition, &left_set, &right_set) {
                Some(key) => keys.push(JoinKey {
                    left: Positions(&left.numbers).expr(key.left),
                    right: Positions(&right.numbers).expr(key.right),
                    ..key
                }),
                None => rest.push(Positions(&both).expr(condition)),
            }
        }
        keys.len()
    };
    let tested = join.mark.as_ref().map(|mark| mark.test.clone());
    let tested = tested.and_then(|test| Some((Expr::conjunction(test.clone())?, test)));
    let on = tested.is_some().then(|| Expr::conjunction(join.on.clone()));
    let before = sort(join.on);
    let test = tested.map(|(test, parts)| physical::MarkTest {
        keys: sort(parts) - before,
        test: Positions(&both).expr(test),
        on: on.flatten().map(|on| Positions(&both).expr(on)),
    });
    let lookup = join.lookup.map(|lookup| physical::Lookup {
        by: lookup_by(lookup.by, &left.numbers, &right.numbers, columns),
        limit: lookup.limit,
    });
    let node = Node::Join(physical::Join {
        lookup,
        left: Box::new(left.plan),
        right: Box::new(right.plan),
        kind: join.kind,
        keys,
        filter: Expr::conjunction(rest),
        test,
    });
    let numbers = shown(join.kind, join.mark.as_ref(), left.numbers, &right.numbers);
    Lowered::new(node, numbers, columns)
}

/// The columns come out as those of the right input.
fn lookup_by(
    by: LookupBy,
    left: &[usize],
    right: &[usize],
    columns: &Columns,
) -> physical::LookupBy {
    match by {
        LookupBy::Rows(rows) => {
            physical::LookupBy::Rows(Arc::new(indexed_rows(*rows, left, right, columns)))
        }
        LookupBy::Plan { outer, plan } => {
            let is_stable = is_stable(&plan);
            let plan = arrange(lower(*plan, columns), right, columns).plan;
            physical::LookupBy::Plan(dependent(plan, outer, left, is_stable))
        }
    }
}

/// What is named of the left row is made of its columns.
fn dependent(
    plan: PhysicalPlan,
    outer: Vec<(usize, Expr)>,
    left: &[usize],
    is_stable: bool,
) -> DependentPlan {
    let at = Positions(left);
    let outer = outer.into_iter();
    DependentPlan {
        plan: Arc::new(plan),
        outer: outer
            .map(|(parameter, expr)| (parameter, at.expr(expr)))
            .collect(),
        is_stable,
    }
}

/// Whether a plan gives the same rows for the same parameters. Functions of the caller's may give others.
fn is_stable(plan: &Logical) -> bool {
    let is_foreign = |node: &Logical| matches!(node, Logical::Virtual(_) | Logical::ProjectSet(_));
    plan.is_stable() && !plan.any(&mut |node| is_foreign(node))
}

fn indexed_rows(
    lookup: IndexedRows,
    left: &[usize],
    right: &[usize],
    columns: &Columns,
) -> physical::IndexedRows {
    let mut scan = lookup.scan;
    if let Access::Index { keys, .. } = &mut scan.access {
        for value in keys.values_mut().into_iter().flatten() {
            *value = Positions(left).expr(value.clone());
        }
    }
    let scan = scan_node(scan, columns);
    let made = |number: &usize| {
        let mut exprs = lookup.exprs.iter();
        let made = exprs.find(|(made, _)| made == number);
        let expr = made.map_or_else(|| columns.expr(*number), |(_, expr)| expr.clone());
        Positions(&scan.numbers).expr(expr)
    };
    let both = [left, right].concat();
    let on = lookup
        .on
        .into_iter()
        .map(|part| Positions(&both).expr(part));
    physical::IndexedRows {
        filter: Expr::conjunction(on.collect()),
        exprs: (scan.numbers != right).then(|| right.iter().map(made).collect()),
        scan: scan.plan,
    }
}

fn aggregate_node(
    input: Lowered,
    groups: Vec<(usize, Expr)>,
    aggregates: Vec<(usize, AggregateCall)>,
    (sets, in_order): (Option<GroupingSets>, bool),
    columns: &Columns,
) -> Lowered {
    let at = Positions(&input.numbers);
    let mut numbers = Vec::with_capacity(groups.len() + aggregates.len());
    let mut keys = Vec::with_capacity(groups.len());
    for (number, group) in groups {
        numbers.push(number);
        keys.push(at.expr(group));
    }
    let mut calls = Vec::with_capacity(aggregates.len());
    for (number, call) in aggregates {
        numbers.push(number);
        calls.push(AggregateCall {
            arguments: call.arguments.into_iter().map(|a| at.expr(a)).collect(),
            filter: call.filter.map(|filter| at.expr(filter)),
            order: at.keys(call.order),
            ..call
        });
    }
    let groupings = sets.iter().flat_map(|sets| &sets.groupings);
    numbers.extend(groupings.map(|(number, _)| *number));
    let node = Node::Aggregate {
        input: Box::new(input.plan),
        groups: keys,
        aggregates: calls,
        sets,
        in_order,
    };
    Lowered::new(node, numbers, columns)
}

impl Lowered {
    pub(super) fn new(node: Node, numbers: Vec<usize>, columns: &Columns) -> Self {
        let schema = schema(&numbers, columns);
        Self {
            plan: PhysicalPlan { node, schema },
            numbers,
        }
    }

    /// A node on top that passes on its input's columns.
    fn wrap(self, node: impl FnOnce(Box<PhysicalPlan>, Positions<'_>) -> Node) -> Self {
        let schema = self.plan.schema.clone();
        let node = node(Box::new(self.plan), Positions(&self.numbers));
        Self {
            plan: PhysicalPlan { node, schema },
            numbers: self.numbers,
        }
    }

    fn set(&self) -> std::collections::BTreeSet<usize> {
        self.numbers.iter().copied().collect()
    }
}

fn schema(numbers: &[usize], columns: &Columns) -> Schema {
    let field = |number: &usize| -> Field { columns.field(*number).clone() };
    numbers.iter().map(field).collect()
}

/// Where each column number is found.
#[derive(Clone, Copy)]
pub(super) struct Positions<'n>(pub &'n [usize]);

impl Positions<'_> {
    /// An expression over positions.
    ///
    /// # Panics
    /// Where a column is missing: rules keep what is named.
    pub(super) fn expr(self, expr: Expr) -> Expr {
        expr.replace_columns(&mut |number, data_type| {
            Some(Expr::column(self.position(number), data_type))
        })
    }

    fn position(self, number: usize) -> usize {
        let position = self.0.iter().position(|found| *found == number);
        position.expect("a rule keeps every column that is named above it")
    }

    pub(super) fn keys(self, keys: Vec<SortKey>) -> Vec<SortKey> {
        let key = |key: SortKey| SortKey {
            expr: self.expr(key.expr),
            ..key
        };
        keys.into_iter().map(key).collect()
    }
}
