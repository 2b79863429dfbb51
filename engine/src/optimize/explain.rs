//! EXPLAIN: the nodes of a plan, called as in PostgreSQL; with what was measured of them, if they ran.

use super::conditions::{Keys, bounds, table_schema};
use super::report::{Numbers, Report, Row};
use super::show::{list, show};
use crate::plan::explain::{Analyze, ExplainOptions, Measured, Profile};
use crate::plan::grouping_sets::GroupingSets;
use crate::plan::lock::RowLock;
use crate::plan::physical::{
    AggregateCall, DependentPlan, IndexScan, IndexUnion, Join, JoinKey, JoinKind, LookupBy, Node,
    PhysicalPlan, TableScan,
};
use crate::plan::project_set::TableCall;
use crate::plan::set_operation::SetOperator;
use crate::plan::statement::{InsertSource, Lookup, OnConflict, Statement, Target};
use crate::plan::virtual_scan::VirtualScan;
use crate::plan::with::{PartSource, With};
use crate::plan::{Expr, Field, Schema, SortKey};
use remora_storage::catalog::TableEntry;
use std::time::Duration;

/// A planned statement and its parts, written as it was asked for.
pub(super) fn explain(
    statement: &Statement,
    with: Option<&With>,
    options: &ExplainOptions,
    planning: Option<Duration>,
) -> Vec<String> {
    let mut lines = Lines {
        verbose: options.verbose,
        ..Lines::default()
    };
    lines.all(statement, with);
    let summary = planning.map(|time| ("Planning Time", time));
    lines.report.written(options, summary.as_slice())
}

/// The same of one that has run, gave so many rows or changed them, and took so long.
pub(crate) fn analyzed(
    analyze: &Analyze,
    with: Option<&With>,
    profile: &Profile,
    rows: u64,
    took: Duration,
) -> Vec<String> {
    let mut lines = Lines {
        profile: Some(profile),
        verbose: analyze.options.verbose,
        ..Lines::default()
    };
    lines.all(&analyze.statement, with);
    if let Some((_, Row::Node(_, numbers @ None))) = lines.report.0.first_mut() {
        *numbers = Some(Some(Measured {
            rows,
            loops: 1,
            first: took,
            total: took,
            memory: 0,
            blocks: 0,
            scanned: 0,
            is_folded: false,
        }));
    }
    let times = [
        ("Planning Time", analyze.planning),
        ("Execution Time", took),
    ];
    let summary = if analyze.options.summary {
        &times[..]
    } else {
        &[]
    };
    lines.report.written(&analyze.options, summary)
}

/// What is told of a statement so far.
#[derive(Default)]
struct Lines<'p> {
    report: Report,
    /// What was measured, if anything was.
    profile: Option<&'p Profile>,
    /// Of the node that comes next.
    numbers: Numbers,
    /// Whether it is told what each node gives.
    verbose: bool,
}

impl Lines<'_> {
    fn all(&mut self, statement: &Statement, with: Option<&With>) {
        self.statement(statement, 0);
        for part in with.iter().flat_map(|with| &with.parts) {
            self.node(0, format!("CTE {}", part.name));
            match &part.source {
                PartSource::Query(plan) => self.plan(plan, 1),
                PartSource::Locking(plan) => self.plan(plan, 1),
                PartSource::Change(change) => self.statement(change, 1),
            }
        }
    }

    fn statement(&mut self, statement: &Statement, level: usize) {
        match statement {
            Statement::Query(plan) | Statement::Locking(plan, _) => self.plan(plan, level),
            Statement::PointSelect(point) => match &point.otherwise {
                Some(plan) => self.plan(plan, level),
                None => self.lookup(&point.lookup, level),
            },
            Statement::LockPoint(point, lock) => {
                self.lock_rows(std::slice::from_ref(lock), level);
                self.lookup(&point.lookup, level + 1);
            }
            Statement::Insert(insert) => {
                self.node(level, format!("Insert on {}", insert.table.def.name));
                if let Some(conflict) = &insert.on_conflict {
                    self.conflict(conflict, &insert.table, level);
                }
                match &insert.source {
                    InsertSource::Values(rows) => self.node(level + 1, rows_of(rows.len())),
                    InsertSource::Query(plan) => self.plan(plan, level + 1),
                }
            }
            Statement::Update(update) => {
                self.node(level, format!("Update on {}", update.table.def.name));
                self.target(&update.target, level + 1);
            }
            Statement::Delete(delete) => {
                self.node(level, format!("Delete on {}", delete.table.def.name));
                self.target(&delete.target, level + 1);
            }
            Statement::Merge(merge) => {
                self.node(level, format!("Merge on {}", merge.table.def.name));
                self.plan(&merge.rows, level + 1);
            }
            _ => self.node(level, "Utility Statement".to_owned()),
        }
    }

    /// A node.
    fn node(&mut self, level: usize, text: String) {
        let numbers = self.numbers.take();
        self.report.0.push((level, Row::Node(text, numbers)));
    }

    /// A line beneath a node.
    fn fact(&mut self, level: usize, name: &str, text: String) {
        let row = Row::Fact(name.to_owned(), text);
        self.report.0.push((level, row));
    }

    fn conflict(&mut self, conflict: &OnConflict, table: &TableEntry, level: usize) {
        let resolution = match conflict.update {
            Some(_) => "UPDATE",
            None => "NOTHING",
        };
        self.fact(level, "Conflict Resolution", resolution.to_owned());
        let arbiters = conflict.arbiters.iter().map(|index| index.def.name.clone());
        let arbiters: Vec<_> = arbiters.collect();
        if !arbiters.is_empty() {
            self.fact(level, "Conflict Arbiter Indexes", arbiters.join(", "));
        }
        if let Some(filter) = conflict.update.as_ref().and_then(|u| u.filter.as_ref()) {
            let own = table_schema(table);
            let excluded = own.iter().map(|field| Field {
                name: format!("excluded.{}", field.name),
                ..*field
            });
            let both: Schema = own.iter().cloned().chain(excluded).collect();
            self.fact(level, "Conflict Filter", show(filter, &both));
        }
    }

    fn target(&mut self, target: &Target, level: usize) {
        match target {
            Target::Point(lookup) => self.lookup(lookup, level),
            Target::Scan(plan) | Target::Joined(plan) => self.plan(plan, level),
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
        let keys = Keys::new(table, index, &[]);
        self.fact(level, "Index Cond", keys.equalities(&lookup.key));
        if let Some(filter) = &lookup.filter {
            self.fact(level, "Filter", show(filter, &table_schema(table)));
        }
    }

    fn plan(&mut self, plan: &PhysicalPlan, level: usize) {
        let at = self.report.0.len();
        self.plan_node(plan, level);
        // What a Project gives is said of it anyway.
        if self.verbose && !matches!(plan.node, Node::Project { .. }) && !plan.schema.is_empty() {
            let names = plan.schema.iter().map(|field| field.name.as_str());
            let names: Vec<&str> = names.collect();
            let row = Row::Fact("Output".to_owned(), names.join(", "));
            self.report.0.insert(at + 1, (level, row));
        }
    }

    fn plan_node(&mut self, plan: &PhysicalPlan, level: usize) {
        self.numbers = self.profile.map(|profile| profile.measured(plan));
        match &plan.node {
            Node::Values(rows) => self.node(level, rows_of(rows.len())),
            Node::TableScan(scan) => {
                self.node(level, format!("Seq Scan on {}", scan.table.def.name));
                if !scan.bounds.is_empty() {
                    self.fact(level, "Bounds", bounds(scan));
                }
                self.scan_filter(scan, level);
            }
            Node::IndexScan(scan) => self.index_scan(scan, &[], level),
            Node::IndexUnion(union) => self.index_union(union, level),
            Node::System { table, .. } => {
                self.node(level, format!("System Scan on {}", table.name()));
            }
            Node::Virtual(scan) => self.virtual_scan(scan, &plan.schema, level),
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
                    format!("{}({arguments})", call.function.name())
                };
                let calls: Vec<_> = calls.iter().map(call).collect();
                self.node(level, "ProjectSet".to_owned());
                self.fact(level, "Function Call", calls.join(", "));
                self.plan(input, level + 1);
            }
            Node::Join(join) => self.join(join, level),
            Node::Apply(apply) => self.apply(apply.kind, &apply.left, &apply.right, level),
            Node::Aggregate {
                input,
                groups,
                aggregates,
                sets,
                in_order,
            } => {
                let strategy = if *in_order { "Group" } else { "Hash" };
                self.aggregate(strategy, (groups, aggregates, sets.as_ref()), input, level);
            }
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
            Node::Adaptive { first, otherwise } => {
                self.node(level, "Adaptive".to_owned());
                self.plan(first, level + 1);
                self.plan(otherwise, level + 1);
            }
            Node::Recursive { base, step, .. } => {
                self.node(level, "Recursive Union".to_owned());
                self.plan(base, level + 1);
                self.plan(step, level + 1);
            }
            Node::WorkingTable { .. } => self.node(level, "WorkTable Scan".to_owned()),
            Node::Part { name, .. } => self.node(level, format!("CTE Scan on {name}")),
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

    /// Its keys may name columns of an `outer` input.
    fn index_scan(&mut self, index_scan: &IndexScan, outer: &[Field], level: usize) {
        let (scan, index) = (&index_scan.scan, &index_scan.index);
        let backward = if index_scan.reverse { " Backward" } else { "" };
        self.node(
            level,
            format!(
                "Index Scan{backward} using {} on {}",
                index.def.name, scan.table.def.name
            ),
        );
        self.index_keys(index_scan, outer, level);
        self.scan_filter(scan, level);
        if let Some(read_max) = index_scan.read_max {
            self.fact(level, "Rows at Most", read_max.to_string());
        }
    }

    fn index_keys(&mut self, scan: &IndexScan, outer: &[Field], level: usize) {
        let keys = Keys::new(&scan.scan.table, &scan.index, outer);
        let condition = keys.read(&scan.keys);
        if !condition.is_empty() {
            self.fact(level, "Index Cond", condition);
        }
    }

    fn index_union(&mut self, union: &IndexUnion, level: usize) {
        self.node(
            level,
            format!("Bitmap Heap Scan on {}", union.scan.table.def.name),
        );
        self.scan_filter(&union.scan, level);
        self.node(level + 1, "BitmapOr".to_owned());
        for part in &union.parts {
            let Node::IndexScan(scan) = &part.node else {
                unreachable!("parts are index scans");
            };
            self.numbers = self.profile.map(|profile| profile.measured(part));
            self.node(
                level + 2,
                format!("Bitmap Index Scan on {}", scan.index.def.name),
            );
            self.index_keys(scan, &[], level + 2);
        }
    }

    fn virtual_scan(&mut self, scan: &VirtualScan, schema: &Schema, level: usize) {
        self.node(level, format!("Virtual Scan on {}", scan.table.name));
        let told = scan.constraints.iter().map(|constraint| {
            let (column, _) = &scan.table.columns[constraint.column];
            let value = show(&constraint.value, schema);
            format!("({column} {} {value})", constraint.op.symbol())
        });
        let told: Vec<String> = told.collect();
        if !told.is_empty() {
            self.fact(level, "Table Cond", told.join(" AND "));
        }
        if let Some(filter) = Expr::conjunction(scan.filter.clone()) {
            self.fact(level, "Filter", show(&filter, schema));
        }
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
        if let Some(lookup) = &join.lookup {
            return self.index_join(join, &lookup.by, level);
        }
        let by = if join.keys.is_empty() {
            "Nested Loop"
        } else {
            "Hash"
        };
        self.node(level, join_name(by, join.kind));
        if !join.keys.is_empty() {
            let pair = |key: &JoinKey| {
                let left = show(&key.left, &join.left.schema);
                let right = show(&key.right, &join.right.schema);
                let operator = match key.nulls_match {
                    true => "IS NOT DISTINCT FROM",
                    false => "=",
                };
                format!("({left} {operator} {right})")
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

    fn index_join(&mut self, join: &Join, lookup: &LookupBy, level: usize) {
        let rows = match lookup {
            LookupBy::Rows(rows) => rows,
            LookupBy::Plan(plan) => return self.apply(join.kind, &join.left, plan, level),
        };
        self.node(level, join_name("Nested Loop", join.kind));
        if let Some(filter) = &rows.filter {
            let schema = [join.left.schema.as_slice(), &join.right.schema].concat();
            self.fact(level, "Join Filter", show(filter, &schema));
        }
        self.plan(&join.left, level + 1);
        self.numbers = self.profile.map(|profile| profile.measured(&rows.scan));
        self.index_scan(rows.index_scan(), &join.left.schema, level + 1);
    }

    fn apply(&mut self, kind: JoinKind, left: &PhysicalPlan, right: &DependentPlan, level: usize) {
        self.node(level, join_name("Nested Loop", kind));
        let outer = right
            .outer
            .iter()
            .map(|(parameter, expr)| format!("${} = {}", parameter + 1, show(expr, &left.schema)));
        self.fact(level, "For Each", outer.collect::<Vec<_>>().join(", "));
        self.plan(left, level + 1);
        self.plan(&right.plan, level + 1);
    }

    fn aggregate(
        &mut self,
        strategy: &str,
        (groups, aggregates, sets): (&[Expr], &[AggregateCall], Option<&GroupingSets>),
        input: &PhysicalPlan,
        level: usize,
    ) {
        match groups.is_empty() {
            true => self.node(level, "Aggregate".to_owned()),
            false => {
                self.node(level, format!("{strategy}Aggregate"));
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
        0 => "Empty Result".to_owned(),
        1 => "Result".to_owned(),
        count => format!("Values Scan of {count} rows"),
    }
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
        call.aggregate.name(),
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
