//! From bound statements to planned ones: an ordered list of named rules, then the physical plan.
//!
//! A rule is a function from a logical plan to one that means the same; each has its own file, which
//! argues why. Their order matters and is `RULES`:
//!
//! 1. subqueries become joins, as far as can be ones whose sides do not depend on each other;
//! 2. constants are folded, so that later rules see values;
//! 3. predicates sink towards the tables, and turn cross joins into joins by key;
//! 4. chains of joins are ordered such that each has a key;
//! 5. neighbouring projections become one;
//! 6. predicates that have reached a table ask for the keys of its indexes by name;
//! 7. the least and the greatest value of a column are the ends of its index;
//! 8. an order that an index gives need not be made;
//! 9. for a few rows, those that they are joined with are looked up by an index;
//! 10. predicates that have reached a table choose an index;
//! 11. of each join the smaller side is the one kept in memory;
//! 12. of the predicates left at a table, storage takes over what concerns single columns;
//! 13. sorting for the sake of a few rows becomes a top-n;
//! 14. what nobody asks for any more is left out.
//!
//! Then `lower` turns column numbers into positions, and `point` recognises the statements that
//! touch a single row by key, which never see a batch.

mod access;
mod alternatives;
mod bounds;
mod build_side;
mod change;
mod computed_key;
mod conditions;
mod conflict;
mod decorrelate;
mod estimate;
mod explain;
mod factor;
mod fold;
mod index_join;
mod index_order;
mod join_order;
mod lower;
mod merge;
mod min_max;
mod point;
mod prune;
mod pushdown;
mod report;
mod semi_join;
mod show;
mod top_n;
mod transfer;
mod unnest;
mod window;

pub(crate) use explain::analyzed;

use crate::bind::{
    BodyPart, BoundPart, BoundStatement, PartBody, bind, bind_trigger, checks_of, default_of,
    generated_of,
};
use crate::error::Result;
use crate::exec::TableRules;
use crate::function::SearchPath;
use crate::parse::Parsed;
use crate::plan::explain::Analyze;
use crate::plan::logical::{Columns, Logical, LogicalStatement, Query};
use crate::plan::statement::{
    Copy, CopyDirection, Insert, InsertSource, Planned, Statement, Truncate,
};
use crate::plan::structure::AlteredRows;
use crate::plan::trigger::{Action, Trigger};
use crate::plan::with::{Part, PartSource, With};
use crate::stack::with_room;
use remora_storage::DataType;
use remora_storage::catalog::{Catalog, TableDef, TriggerDef};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// A rewrite of plans: what it is called, and what it does with a plan of which these columns are shown.
type Rule = (
    &'static str,
    fn(Logical, &mut Columns, &BTreeSet<usize>) -> Logical,
);

/// The rule without which no plan can run.
const NEEDED: &str = "subquery_unnesting";

/// Which rules are applied.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Effort {
    /// All.
    #[default]
    Full,
    /// Those without which no plan can run: what the others do to a plan must not be seen in its rows, and
    /// whoever doubts that can look at both.
    Least,
    /// All but the one of this name.
    Without(&'static str),
}

/// How setting `optimize` says which rules are applied.
pub(crate) const EFFORTS: &[&str] = &[
    "on",
    "off",
    "without_constant_folding",
    "without_predicate_pushdown",
    "without_join_order",
    "without_projection_merging",
    "without_computed_keys",
    "without_min_max",
    "without_index_order",
    "without_index_joins",
    "without_index_selection",
    "without_build_side",
    "without_scan_bounds",
    "without_top_n",
    "without_projection_pruning",
    "without_point_reads",
];

impl Effort {
    /// What one of [`EFFORTS`] stands for.
    pub(crate) fn of(value: &str) -> Self {
        let named = EFFORTS.iter().find(|effort| **effort == value);
        match named.and_then(|effort| effort.strip_prefix("without_")) {
            Some(rule) => Self::Without(rule),
            None if value == "off" => Self::Least,
            None => Self::Full,
        }
    }

    fn applies(self, rule: &str) -> bool {
        rule == NEEDED || self.includes(rule)
    }

    /// Whether something of this name, which can be left out, is done.
    pub(crate) fn includes(self, name: &str) -> bool {
        match self {
            Self::Full => true,
            Self::Least => false,
            Self::Without(without) => without != name,
        }
    }
}

/// All rules, in order.
const RULES: &[Rule] = &[
    ("subquery_unnesting", |plan, columns, _| {
        unnest::unnest(plan, columns)
    }),
    ("constant_folding", |plan, _, _| fold::fold_plan(plan)),
    ("predicate_pushdown", |plan, _, _| pushdown::push_down(plan)),
    ("join_order", |plan, _, _| join_order::order_joins(plan)),
    ("projection_merging", |plan, _, _| {
        merge::merge_projections(plan)
    }),
    ("computed_keys", |plan, _, _| computed_key::use_keys(plan)),
    ("min_max", |plan, columns, _| {
        min_max::use_ends(plan, columns)
    }),
    ("index_order", |plan, _, _| {
        index_order::order_by_index(plan)
    }),
    ("index_joins", |plan, columns, _| {
        index_join::index_joins(plan, columns)
    }),
    ("index_selection", |plan, _, _| access::select_indexes(plan)),
    ("build_side", |plan, _, _| {
        build_side::choose_build_sides(plan)
    }),
    ("scan_bounds", |plan, _, _| bounds::bound_scans(plan)),
    ("top_n", |plan, _, _| top_n::sort_and_limit(plan)),
    ("projection_pruning", |mut plan, columns, needed| {
        prune::prune(&mut plan, columns, needed);
        plan
    }),
];

/// Binds, optimises and plans a statement against a catalog, in which names are looked up by `path`.
/// `parameters` are the types the caller knows (`None`: to be inferred).
///
/// # Errors
/// 42xxx where names, types or grammar do not fit; 0A000 for what is not supported.
pub(crate) fn plan(
    statement: &Parsed,
    catalog: &Catalog,
    path: &SearchPath,
    parameters: &[Option<DataType>],
    effort: Effort,
) -> Result<Planned> {
    with_room(statement.text.len(), || {
        plan_here(statement, catalog, path, parameters, effort)
    })
}

fn plan_here(
    statement: &Parsed,
    catalog: &Catalog,
    path: &SearchPath,
    parameters: &[Option<DataType>],
    effort: Effort,
) -> Result<Planned> {
    let bound = bind(statement, catalog, path, parameters)?;
    let mut planned = plan_bound(bound, effort);
    planned.resolved.take_if(|_| {
        let needs_more = planned.needs.any() || planned.with.is_some();
        needs_more || !needs_tables_only(&planned.statement, catalog)
    });
    Ok(planned)
}

/// Whether a plan needs nothing of the catalog but its tables. What is tested of new values may call functions, whose
/// bodies may be of other tables.
fn needs_tables_only(statement: &Statement, catalog: &Catalog) -> bool {
    let table = match statement {
        Statement::Query(_) | Statement::PointSelect(_) => return true,
        Statement::Locking(..) | Statement::LockPoint(..) => return true,
        Statement::Insert(insert) => &insert.table,
        Statement::Update(update) => &update.table,
        Statement::Delete(delete) => &delete.table,
        _ => return false,
    };
    let is_alone = table.def.triggers.is_empty()
        && table.def.foreign_keys.is_empty()
        && table.references.is_empty();
    is_alone && catalog.functions().next().is_none()
}

/// Binds the rules for changes of the columns at these positions of a table, or of all columns.
///
/// # Errors
/// Those of binding the expressions.
pub(crate) fn table_rules(
    table: &TableDef,
    set: Option<&BTreeSet<usize>>,
    catalog: &Catalog,
) -> Result<TableRules> {
    let generated = generated_of(catalog, table, set)?;
    let computed = generated.iter().map(|(position, _)| *position);
    let written = set.map(|set| set.iter().copied().chain(computed).collect());
    let set = set.into_iter().flatten();
    let defaults = set.map(|position| default_of(catalog, &table.columns[*position]));
    Ok(TableRules {
        defaults: defaults.collect::<Result<_>>()?,
        checks: checks_of(catalog, table, written.as_ref())?,
        generated,
    })
}

/// Plans a trigger of a table, or of the table that stands in for a view.
///
/// # Errors
/// Those of binding what it says.
pub(crate) fn plan_trigger(
    def: &TriggerDef,
    table: &TableDef,
    catalog: &Catalog,
    path: &SearchPath,
) -> Result<Trigger> {
    let columns = table.columns.iter();
    let columns: Vec<_> = columns
        .map(|column| (column.id, column.data_type))
        .collect();
    let (condition, parts) = bind_trigger(def, &columns, (catalog, path))?;
    let plan = |bound: Box<BoundStatement>| Box::new(plan_bound(*bound, Effort::Full));
    let actions = parts.into_iter().map(|part| match part {
        BodyPart::Run(bound) => Action::Run(plan(bound)),
        BodyPart::Set(columns, bound) => Action::Set(columns, plan(bound)),
    });
    Ok(Trigger {
        def: def.clone(),
        table: table.name.clone(),
        condition,
        actions: actions.collect(),
    })
}

fn plan_bound(bound: BoundStatement, effort: Effort) -> Planned {
    let BoundStatement {
        statement,
        parts,
        reads,
        counted,
        mut columns,
        parameters,
        tag,
        needs,
        shows_commits,
        resolved,
    } = bound;
    let begin = Instant::now();
    let (statement, options) = match statement {
        LogicalStatement::Explain(explained, options) => (*explained, Some(options)),
        other => (other, None),
    };
    let parts = parts.into_iter().enumerate();
    let parts: Vec<_> = parts.filter(|(_, part)| part.is_run()).collect();
    let mut statement = plan_statement(statement, &mut columns, effort);
    let mut with = (!parts.is_empty()).then(|| {
        let parts = parts.into_iter();
        Box::new(With {
            parts: parts
                .map(|(id, part)| plan_part(id, part, effort))
                .collect(),
            reads: reads.into_iter().collect(),
            counted,
        })
    });
    match options {
        None => {}
        Some(options) if options.analyze => {
            statement = Statement::Analyze(Box::new(Analyze {
                statement,
                options,
                planning: begin.elapsed(),
            }));
        }
        Some(options) => {
            // It runs nothing.
            let with = with.take();
            let planning = options.summary.then(|| begin.elapsed());
            let lines = explain::explain(&statement, with.as_deref(), &options, planning);
            statement = Statement::Explain(lines);
        }
    }
    Planned {
        statement,
        with,
        parameters,
        tag,
        needs,
        shows_commits,
        resolved,
    }
}

fn plan_statement(statement: LogicalStatement, columns: &mut Columns, effort: Effort) -> Statement {
    match statement {
        LogicalStatement::Query(query) => {
            let query = optimize(query, columns, effort);
            match point::point_select(&query, columns) {
                Some(point) => Statement::PointSelect(point),
                None => Statement::Query(lower::query(query, columns)),
            }
        }
        LogicalStatement::Locking(query, strength) => {
            let query = optimize(query, columns, effort);
            match point::lock_point(&query, columns) {
                Some((point, lock)) => Statement::LockPoint(point, lock),
                None => Statement::Locking(lower::query(query, columns), strength),
            }
        }
        LogicalStatement::InsertQuery(insert, query) => {
            let insert = conflict::ask_for_each(insert, columns, effort);
            let query = optimize(query, columns, effort);
            let rows = lower::query(query, columns);
            fold::fold_statement(Statement::Insert(Insert {
                source: InsertSource::Query(Box::new(rows)),
                ..insert
            }))
        }
        LogicalStatement::Change(statement, rows) => {
            change::change(statement, rows, columns, effort)
        }
        LogicalStatement::Merge(merge, rows) => change::merge(*merge, rows, columns, effort),
        LogicalStatement::Truncate(tables, restarts) => {
            Statement::Truncate(Truncate { tables, restarts })
        }
        LogicalStatement::CreateTableAs(table, query) => {
            let rows = query.map(|query| lower::query(optimize(query, columns, effort), columns));
            Statement::CreateTableAs(Box::new((table, rows)))
        }
        LogicalStatement::CopyTo {
            query,
            path,
            format,
        } => {
            let query = optimize(query, columns, effort);
            let rows = lower::query(query, columns);
            Statement::Copy(Copy {
                direction: CopyDirection::To(Box::new(rows)),
                path,
                format,
            })
        }
        LogicalStatement::AlterTable(mut alter, query) => {
            if let AlteredRows::Tested(rows) | AlteredRows::Rewritten(rows, _) = &mut alter.rows {
                let query = optimize(query, columns, effort);
                **rows = lower::query(query, columns);
            }
            Statement::AlterTable(alter)
        }
        LogicalStatement::Each(all) => {
            let all = all.into_iter();
            Statement::Each(
                all.map(|one| plan_statement(one, columns, effort))
                    .collect(),
            )
        }
        LogicalStatement::Explain(..) => unreachable!("it is not explained itself"),
        LogicalStatement::Done(Statement::Insert(insert)) => {
            let insert = conflict::ask_for_each(insert, columns, effort);
            fold::fold_statement(Statement::Insert(insert))
        }
        LogicalStatement::Done(statement) => fold::fold_statement(statement),
    }
}

fn plan_part(id: usize, part: BoundPart, effort: Effort) -> Part {
    let mut columns = part.columns;
    let source = match part.body {
        PartBody::Query(query) => {
            let query = query.take();
            let locks = query.plan.locks_rows();
            let plan = lower::query(optimize(query, &mut columns, effort), &columns);
            match locks {
                true => PartSource::Locking(Box::new(plan)),
                false => PartSource::Query(Arc::new(plan)),
            }
        }
        PartBody::Change(change) => {
            PartSource::Change(Box::new(plan_statement(*change, &mut columns, effort)))
        }
    };
    Part {
        id,
        name: part.name,
        source,
        reads: part.reads.into_iter().collect(),
    }
}

fn optimize(query: Query, columns: &mut Columns, effort: Effort) -> Query {
    let needed: BTreeSet<usize> = query.output.iter().map(|(_, column)| *column).collect();
    let rules = RULES.iter().filter(|(name, _)| effort.applies(name));
    let plan = rules.fold(query.plan, |plan, (_, rule)| rule(plan, columns, &needed));
    Query { plan, ..query }
}

#[cfg(test)]
mod tests;
