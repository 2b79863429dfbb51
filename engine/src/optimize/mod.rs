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
//! 6. predicates that have reached a table choose an index;
//! 7. of each join the smaller side is the one kept in memory;
//! 8. of the predicates left at a table, storage takes over what concerns single columns;
//! 9. sorting for the sake of a few rows becomes a top-n;
//! 10. what nobody asks for any more is left out.
//!
//! Then `lower` turns column numbers into positions, and `point` recognises the statements that
//! touch a single row by key, which never see a batch.

mod bounds;
mod build_side;
mod change;
mod decorrelate;
mod explain;
mod fold;
mod index;
mod join_order;
mod lower;
mod merge;
mod point;
mod prune;
mod pushdown;
mod show;
mod top_n;
mod unnest;
mod window;

use crate::bind::{BoundStatement, bind};
use crate::error::Result;
use crate::parse::Parsed;
use crate::plan::logical::{Columns, Logical, LogicalStatement, Query};
use crate::plan::statement::{Copy, CopyDirection, Insert, InsertSource, Planned, Statement};
use crate::plan::structure::AlteredRows;
use remora_storage::DataType;
use remora_storage::catalog::Catalog;
use std::collections::BTreeSet;

/// A rewrite of plans.
struct Rule {
    /// What it is called.
    name: &'static str,
    /// What it does. `needed` are the columns that are shown.
    apply: fn(Logical, &mut Columns, &BTreeSet<usize>) -> Logical,
}

/// All rules, in order.
const RULES: &[Rule] = &[
    Rule {
        name: "subquery_unnesting",
        apply: |plan, columns, _| unnest::unnest(plan, columns),
    },
    Rule {
        name: "constant_folding",
        apply: |plan, _, _| fold::fold_plan(plan),
    },
    Rule {
        name: "predicate_pushdown",
        apply: |plan, _, _| pushdown::push_down(plan),
    },
    Rule {
        name: "join_order",
        apply: |plan, _, _| join_order::order_joins(plan),
    },
    Rule {
        name: "projection_merging",
        apply: |plan, _, _| merge::merge_projections(plan),
    },
    Rule {
        name: "index_selection",
        apply: |plan, _, _| index::select_indexes(plan),
    },
    Rule {
        name: "build_side",
        apply: |plan, _, _| build_side::choose_build_sides(plan),
    },
    Rule {
        name: "scan_bounds",
        apply: |plan, _, _| bounds::bound_scans(plan),
    },
    Rule {
        name: "top_n",
        apply: |plan, _, _| top_n::sort_and_limit(plan),
    },
    Rule {
        name: "projection_pruning",
        apply: |plan, columns, needed| prune::prune(plan, columns, needed),
    },
];

/// Binds, optimises and plans a statement against a catalog. `parameters` are the types the caller
/// knows (`None`: to be inferred).
///
/// # Errors
/// 42xxx where names, types or grammar do not fit; 0A000 for what is not supported.
pub fn plan(
    statement: &Parsed,
    catalog: &Catalog,
    parameters: &[Option<DataType>],
) -> Result<Planned> {
    let bound = bind(statement, catalog, parameters)?;
    let BoundStatement {
        statement,
        mut columns,
        parameters,
        tag,
        uses_sequences,
        shows_commits,
    } = bound;
    Ok(Planned {
        statement: plan_statement(statement, &mut columns),
        parameters,
        tag,
        uses_sequences,
        shows_commits,
    })
}

/// The names of the rules, in order.
pub fn rules() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name)
}

fn plan_statement(statement: LogicalStatement, columns: &mut Columns) -> Statement {
    match statement {
        LogicalStatement::Query(query) => {
            let query = optimize(query, columns);
            match point::point_select(&query, columns) {
                Some(point) => Statement::PointSelect(point),
                None => Statement::Query(lower::query(query, columns)),
            }
        }
        LogicalStatement::Locking(query, strength) => {
            let query = optimize(query, columns);
            match point::lock_point(&query, columns) {
                Some((point, lock)) => Statement::LockPoint(point, lock),
                None => Statement::Locking(lower::query(query, columns), strength),
            }
        }
        LogicalStatement::InsertQuery(insert, query) => {
            let query = optimize(query, columns);
            let rows = lower::query(query, columns);
            fold::fold_statement(Statement::Insert(Insert {
                source: InsertSource::Query(Box::new(rows)),
                ..insert
            }))
        }
        LogicalStatement::Change(statement, rows) => change::change(statement, rows, columns),
        LogicalStatement::Merge(merge, rows) => change::merge(*merge, rows, columns),
        LogicalStatement::Truncate(tables, restarts) => change::truncate(tables, restarts, columns),
        LogicalStatement::CreateTableAs(table, query) => {
            let rows = query.map(|query| lower::query(optimize(query, columns), columns));
            Statement::CreateTableAs(Box::new((table, rows)))
        }
        LogicalStatement::CopyTo {
            query,
            path,
            format,
        } => {
            let query = optimize(query, columns);
            let rows = lower::query(query, columns);
            Statement::Copy(Copy {
                direction: CopyDirection::To(Box::new(rows)),
                path,
                format,
            })
        }
        LogicalStatement::AlterTable(mut alter, query) => {
            if let AlteredRows::Tested(rows) | AlteredRows::Rewritten(rows, _) = &mut alter.rows {
                let query = optimize(query, columns);
                **rows = lower::query(query, columns);
            }
            Statement::AlterTable(alter)
        }
        LogicalStatement::Explain(inner) => {
            Statement::Explain(explain::explain(&plan_statement(*inner, columns)))
        }
        LogicalStatement::Done(statement) => fold::fold_statement(statement),
    }
}

fn optimize(query: Query, columns: &mut Columns) -> Query {
    let needed: BTreeSet<usize> = query.output.iter().map(|(_, column)| *column).collect();
    let plan = RULES.iter().fold(query.plan, |plan, rule| {
        (rule.apply)(plan, columns, &needed)
    });
    Query { plan, ..query }
}

#[cfg(test)]
mod tests;
