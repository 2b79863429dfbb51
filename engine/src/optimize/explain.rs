//! EXPLAIN: a plan as indented lines, after PostgreSQL's.

use super::show::show;
use crate::plan::grouping_sets::GroupingSets;
use crate::plan::lock::RowLock;
use crate::plan::physical::{
    AggregateCall, IndexKeys, IndexScan, Join, JoinKind, Node, PhysicalPlan, TableScan,
};
use crate::plan::project_set::TableCall;
use crate::plan::set_operation::SetOperator;
use crate::plan::statement::{InsertSource, Lookup, OnConflict, Statement, Target};
use crate::plan::{Expr, Field, Schema, SortKey};
use remora_storage::catalog::{IndexEntry, TableEntry};
use std::ops::Bound;

/// The lines of a planned statement.
pub(super) fn explain(statement: &Statement) -> Vec<String> {
    let mut lines = Lines::default();
    match statement {
        Statement::Query(plan) | Statement::Locking(plan, _) => lines.plan(plan, 0),
        Statement::PointSelect(point) => match &point.otherwise {
            Some(plan) => lines.plan(plan, 0),
            None => lines.lookup(&point.lookup, 0),
        },
        Statement::LockPoint(point, lock) => {
            lines.lock_rows(std::slice::from_ref(lock), 0);
            lines.lookup(&point.lookup, 1);
        }
        Statement::Insert(insert) => {
            lines.node(0, format!("Insert on {}", insert.table.def.name));
            if let Some(conflict) = &insert.on_conflict {
                lines.conflict(conflict, &insert.table);
            }
            match &insert.source {
                InsertSource::Values(rows) => lines.node(1, rows_of(rows.len())),
                InsertSource::Query(plan) => lines.plan(plan, 1),
            }
        }
        Statement::Update(update) => {
            lines.node(0, format!("Update on {}", update.table.def.name));
            lines.target(&update.target);
        }
        Statement::Delete(delete) => {
            lines.node(0, format!("Delete on {}", delete.table.def.name));
            lines.target(&delete.target);
        }
        Statement::Merge(merge) => {
            lines.node(0, format!("Merge on {}", merge.table.def.name));
            lines.plan(&merge.rows, 1);
        }
        _ => lines.node(0, "Utility Statement".to_owned()),
    }
    lines.0
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    /// A node's first line: six columns a level, an arrow before all but the first.
    fn node(&mut self, level: usize, text: String) {
        self.0.push(match level {
            0 => text,
            _ => format!("{}->  {text}", " ".repeat(level * 6 - 4)),
        });
    }

    /// A line beneath a node.
    fn fact(&mut self, level: usize, name: &str, text: String) {
        self.0
            .push(format!("{}{name}: {text}", " ".repeat(level * 6 + 2)));
    }

    fn conflict(&mut self, conflict: &OnConflict, table: &TableEntry) {
        let resolution = match conflict.update {
            Some(_) => "UPDATE",
            None => "NOTHING",
        };
        self.fact(0, "Conflict Resolution", resolution.to_owned());
        let arbiters = conflict.arbiters.iter().map(|index| index.def.name.clone());
        let arbiters: Vec<_> = arbiters.collect();
        if !arbiters.is_empty() {
            self.fact(0, "Conflict Arbiter Indexes", arbiters.join(", "));
        }
        if let Some(filter) = conflict.update.as_ref().and_then(|u| u.filter.as_ref()) {
            let own = table_schema(table);
            let excluded = own.iter().map(|field| Field {
                name: format!("excluded.{}", field.name),
                ..*field
            });
            let both: Schema = own.iter().cloned().chain(excluded).collect();
            self.fact(0, "Conflict Filter", show(filter, &both));
        }
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Point(lookup) => self.lookup(lookup, 1),
            Target::Scan(plan) | Target::Joined(plan) => self.plan(plan, 1),
        }
    }

    fn lookup(&mut self, lookup: &Lookup, level: usize) {
        let (table, index) = (&lookup.table, &lookup.index);
        self.node(
            level,
            format!(
                "Point Lookup using {} on {}",
                index.def.name, table.def.name
            ),
        );
        self.fact(level, "Index Cond", equalities(table, index, &lookup.key));
        if let Some(filter) = &lookup.filter {
            self.fact(level, "Filter", show(filter, &table_schema(table)));
        }
    }

    fn plan(&mut self, plan: &PhysicalPlan, level: usize) {
        match &plan.node {
            Node::Values(rows) => self.node(level, rows_of(rows.len())),
            Node::TableScan(scan) => {
                self.node(level, format!("Seq Scan on {}", scan.table.def.name));
                if !scan.bounds.is_empty() {
                    self.fact(level, "Bounds", bounds(scan));
                }
                self.scan_filter(scan, level);
            }
            Node::IndexScan(scan) => self.index_scan(scan, level),
            Node::System { table, .. } => {
                self.node(level, format!("System Scan on {}", table.name()));
            }
            Node::Filter { input, predicate } => {
                self.node(level, "Filter".to_owned());
                self.fact(level, "Filter", show(predicate, &input.schema));
                self.plan(input, level + 1);
            }
            Node::Project { input, exprs } => {
                self.node(level, "Project".to_owned());
                self.fact(level, "Output", list(exprs, &input.schema));
                self.plan(input, level + 1);
            }
            Node::ProjectSet { input, calls, .. } => {
                let call = |call: &TableCall| {
                    let arguments = list(&call.arguments, &input.schema);
                    format!("{}({arguments})", call.function.name)
                };
                let calls: Vec<_> = calls.iter().map(call).collect();
                self.node(level, "ProjectSet".to_owned());
                self.fact(level, "Function Call", calls.join(", "));
                self.plan(input, level + 1);
            }
            Node::Join(join) => self.join(join, level),
            Node::Apply(apply) => {
                self.node(level, join_name("Nested Loop", apply.kind));
                let outer = apply.outer.iter().map(|(parameter, expr)| {
                    format!("${} = {}", parameter + 1, show(expr, &apply.left.schema))
                });
                self.fact(level, "For Each", outer.collect::<Vec<_>>().join(", "));
                self.plan(&apply.left, level + 1);
                self.plan(&apply.right, level + 1);
            }
            Node::Aggregate {
                input,
                groups,
                aggregates,
                sets,
            } => self.aggregate(input, groups, aggregates, sets.as_ref(), level),
            Node::Window { input, window } => {
                self.node(level, "WindowAgg".to_owned());
                if !window.partition.is_empty() {
                    self.fact(
                        level,
                        "Partition Key",
                        list(&window.partition, &input.schema),
                    );
                }
                if !window.order.is_empty() {
                    self.fact(level, "Order Key", sort_keys(&window.order, &input.schema));
                }
                self.plan(input, level + 1);
            }
            Node::Sort { input, keys } => {
                self.node(level, "Sort".to_owned());
                self.fact(level, "Sort Key", sort_keys(keys, &input.schema));
                self.plan(input, level + 1);
            }
            Node::TopN {
                input,
                keys,
                limit,
                offset,
            } => {
                self.node(level, "Top-N Sort".to_owned());
                self.fact(level, "Sort Key", sort_keys(keys, &input.schema));
                self.limits(Some(limit), offset.as_ref(), level);
                self.plan(input, level + 1);
            }
            Node::Limit {
                input,
                limit,
                offset,
            } => {
                self.node(level, "Limit".to_owned());
                self.limits(limit.as_ref(), offset.as_ref(), level);
                self.plan(input, level + 1);
            }
            Node::WithTies {
                input,
                limit,
                offset,
                ..
            } => {
                self.node(level, "Limit With Ties".to_owned());
                self.limits(Some(limit), offset.as_ref(), level);
                self.plan(input, level + 1);
            }
            Node::LockRows { input, locks } => {
                self.lock_rows(locks, level);
                self.plan(input, level + 1);
            }
            Node::Distinct(input) => {
                self.node(level, "Distinct".to_owned());
                self.plan(input, level + 1);
            }
            Node::DistinctOn { input, columns } => {
                let name = |column: &usize| input.schema[*column].name.clone();
                let names: Vec<_> = columns.iter().map(name).collect();
                self.node(level, "Distinct".to_owned());
                self.fact(level, "On", names.join(", "));
                self.plan(input, level + 1);
            }
            Node::UnionAll(inputs) => {
                self.node(level, "Append".to_owned());
                inputs.iter().for_each(|input| self.plan(input, level + 1));
            }
            Node::Recursive { base, step, .. } => {
                self.node(level, "Recursive Union".to_owned());
                self.plan(base, level + 1);
                self.plan(step, level + 1);
            }
            Node::WorkingTable { .. } => self.node(level, "WorkTable Scan".to_owned()),
            Node::SetOperation {
                operator,
                all,
                left,
                right,
            } => {
                let name = match operator {
                    SetOperator::Intersect => "Intersect",
                    SetOperator::Except => "Except",
                };
                let all = if *all { " All" } else { "" };
                self.node(level, format!("HashSetOp {name}{all}"));
                self.plan(left, level + 1);
                self.plan(right, level + 1);
            }
        }
    }

    fn lock_rows(&mut self, locks: &[RowLock], level: usize) {
        self.node(level, "LockRows".to_owned());
        let rows: Vec<String> = locks.iter().map(RowLock::to_string).collect();
        self.fact(level, "Rows", rows.join(", "));
    }

    fn index_scan(&mut self, index_scan: &IndexScan, level: usize) {
        let (scan, index) = (&index_scan.scan, &index_scan.index);
        let backward = if index_scan.reverse { " Backward" } else { "" };
        self.node(
            level,
            format!(
                "Index Scan{backward} using {} on {}",
                index.def.name, scan.table.def.name
            ),
        );
        let condition = match &index_scan.keys {
            IndexKeys::Points(keys) => match keys.as_slice() {
                [key] => equalities(&scan.table, index, key),
                keys => format!("{} keys", keys.len()),
            },
            IndexKeys::Range { low, high } => range(&scan.table, index, low, high),
        };
        self.fact(level, "Index Cond", condition);
        self.scan_filter(scan, level);
    }

    fn scan_filter(&mut self, scan: &TableScan, level: usize) {
        if let Some(filter) = &scan.filter {
            let field = |id: &_| {
                let position = scan.table.def.position(*id)?;
                Some(table_schema(&scan.table).swap_remove(position))
            };
            let schema: Schema = scan.columns.iter().filter_map(field).collect();
            self.fact(level, "Filter", show(filter, &schema));
        }
    }

    fn join(&mut self, join: &Join, level: usize) {
        let by = if join.keys.is_empty() {
            "Nested Loop"
        } else {
            "Hash"
        };
        self.node(level, join_name(by, join.kind));
        if !join.keys.is_empty() {
            let pair = |(left, right): &(Expr, Expr)| {
                let (left, right) = (
                    show(left, &join.left.schema),
                    show(right, &join.right.schema),
                );
                format!("({left} = {right})")
            };
            let pairs: Vec<String> = join.keys.iter().map(pair).collect();
            self.fact(level, "Hash Cond", pairs.join(" AND "));
        }
        if let Some(filter) = &join.filter {
            let schema = [join.left.schema.as_slice(), &join.right.schema].concat();
            self.fact(level, "Join Filter", show(filter, &schema));
        }
        self.plan(&join.left, level + 1);
        self.plan(&join.right, level + 1);
    }

    fn aggregate(
        &mut self,
        input: &PhysicalPlan,
        groups: &[Expr],
        aggregates: &[AggregateCall],
        sets: Option<&GroupingSets>,
        level: usize,
    ) {
        match groups.is_empty() {
            true => self.node(level, "Aggregate".to_owned()),
            false => {
                self.node(level, "HashAggregate".to_owned());
                self.fact(level, "Group Key", list(groups, &input.schema));
            }
        }
        if let Some(sets) = sets {
            let set = |set: &Vec<usize>| {
                let groups: Vec<_> = set.iter().map(|group| groups[*group].clone()).collect();
                format!("({})", list(&groups, &input.schema))
            };
            let sets: Vec<_> = sets.sets.iter().map(set).collect();
            self.fact(level, "Grouping Sets", sets.join(", "));
        }
        if !aggregates.is_empty() {
            let calls = aggregates.iter().map(|call| show_call(call, &input.schema));
            self.fact(level, "Aggregates", calls.collect::<Vec<_>>().join(", "));
        }
        self.plan(input, level + 1);
    }

    fn limits(&mut self, limit: Option<&Expr>, offset: Option<&Expr>, level: usize) {
        let none = Schema::new();
        for (name, count) in [("Limit", limit), ("Offset", offset)] {
            if let Some(count) = count {
                self.fact(level, name, show(count, &none));
            }
        }
    }
}

/// PostgreSQL's name of a join; what it has none for is called likewise.
fn join_name(by: &str, kind: JoinKind) -> String {
    let kind = match kind {
        JoinKind::Inner if by == "Hash" => "Join",
        JoinKind::Inner => return by.to_owned(),
        JoinKind::Left => "Left Join",
        JoinKind::Full => "Full Join",
        JoinKind::Single => "Single Join",
        JoinKind::Semi => "Semi Join",
        JoinKind::Anti => "Anti Join",
        JoinKind::Mark => "Mark Join",
    };
    format!("{by} {kind}")
}

fn rows_of(count: usize) -> String {
    match count {
        1 => "Result".to_owned(),
        count => format!("Values Scan of {count} rows"),
    }
}

fn list(exprs: &[Expr], schema: &Schema) -> String {
    let exprs = exprs.iter().map(|expr| show(expr, schema));
    exprs.collect::<Vec<_>>().join(", ")
}

fn show_call(call: &AggregateCall, schema: &Schema) -> String {
    let arguments = match call.arguments.is_empty() {
        true => "*".to_owned(),
        false => list(&call.arguments, schema),
    };
    let distinct = if call.distinct { "DISTINCT " } else { "" };
    let filter = call.filter.as_ref();
    let filter = filter.map(|filter| format!(" FILTER (WHERE {})", show(filter, schema)));
    let order = match call.order.is_empty() {
        true => String::new(),
        false => format!(" ORDER BY {}", sort_keys(&call.order, schema)),
    };
    format!(
        "{}({distinct}{arguments}{order}){}",
        call.aggregate.name,
        filter.unwrap_or_default()
    )
}

fn sort_keys(keys: &[SortKey], schema: &Schema) -> String {
    let key = |key: &SortKey| {
        let direction = if key.descending { " DESC" } else { "" };
        let nulls = match (key.descending, key.nulls_first) {
            (true, true) | (false, false) => "",
            (_, true) => " NULLS FIRST",
            (_, false) => " NULLS LAST",
        };
        format!("{}{direction}{nulls}", show(&key.expr, schema))
    };
    keys.iter().map(key).collect::<Vec<_>>().join(", ")
}

fn table_schema(table: &TableEntry) -> Schema {
    let field = |column: &remora_storage::catalog::ColumnDef| Field {
        name: column.name.clone(),
        data_type: column.data_type,
    };
    table.def.columns.iter().map(field).collect()
}

/// The names of an index's columns.
fn key_names(table: &TableEntry, index: &IndexEntry) -> Vec<String> {
    let name = |id| {
        table
            .def
            .position(id)
            .map(|position| &table.def.columns[position].name)
    };
    let columns = index.def.columns.iter();
    columns
        .map(|key| name(key.column).cloned().unwrap_or_default())
        .collect()
}

fn equalities(table: &TableEntry, index: &IndexEntry, key: &[Expr]) -> String {
    compare(&key_names(table, index), "=", key)
}

fn compare(names: &[String], operator: &str, values: &[Expr]) -> String {
    let none = Schema::new();
    let pairs = names.iter().zip(values);
    let pairs = pairs.map(|(name, value)| format!("({name} {operator} {})", show(value, &none)));
    pairs.collect::<Vec<_>>().join(" AND ")
}

/// The bounds that storage keeps.
fn bounds(scan: &TableScan) -> String {
    let schema = table_schema(&scan.table);
    let none = Schema::new();
    let mut parts = Vec::new();
    for range in &scan.bounds {
        let position = scan.table.def.position(range.column).unwrap_or_default();
        let name = &schema[position].name;
        let text = |bound: &Bound<Expr>, included, excluded| match bound {
            Bound::Included(value) => Some((included, show(value, &none))),
            Bound::Excluded(value) => Some((excluded, show(value, &none))),
            Bound::Unbounded => None,
        };
        let (low, high) = (text(&range.low, ">=", ">"), text(&range.high, "<=", "<"));
        let ends = match (low, high) {
            (Some((">=", low)), Some(("<=", high))) if low == high => vec![("=", low)],
            (low, high) => low.into_iter().chain(high).collect(),
        };
        parts.extend(
            ends.iter()
                .map(|(op, value)| format!("({name} {op} {value})")),
        );
    }
    parts.join(" AND ")
}

fn range(
    table: &TableEntry,
    index: &IndexEntry,
    low: &Bound<Vec<Expr>>,
    high: &Bound<Vec<Expr>>,
) -> String {
    let names = key_names(table, index);
    let none = Schema::new();
    let row = |values: &[Expr]| match values {
        [value] => (names[0].clone(), show(value, &none)),
        values => (
            format!("ROW({})", names[..values.len()].join(", ")),
            format!("ROW({})", list(values, &none)),
        ),
    };
    let mut parts = Vec::new();
    for (bound, included, excluded) in [(low, ">=", ">"), (high, "<=", "<")] {
        let (values, operator) = match bound {
            Bound::Unbounded => continue,
            Bound::Included(values) => (values, included),
            Bound::Excluded(values) => (values, excluded),
        };
        let (names, values) = row(values);
        parts.push(format!("({names} {operator} {values})"));
    }
    parts.join(" AND ")
}
