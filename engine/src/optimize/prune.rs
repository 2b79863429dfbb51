//! Projection pruning: columns that nobody asks for are not read, kept or computed.
//!
//! Every node is asked for a set of columns and asks its inputs for what it needs itself. A scan may
//! be left with none: its rows are still counted. So may what only passes on its input's columns; rows
//! written out, and aggregates without groups, keep one.

use crate::plan::Expr;
use crate::plan::logical::{Columns, Join, Logical, Lookup, LookupBy, Scan};
use crate::plan::physical::{AggregateCall, JoinKind};
use crate::plan::recursive::Recursive;
use crate::plan::set_operation::SetOperation;
use std::collections::BTreeSet;

/// Applies the rule to a plan of which `needed` columns are asked for.
pub(super) fn prune(plan: &mut Logical, columns: &Columns, needed: &BTreeSet<usize>) {
    let also = |exprs: &mut dyn Iterator<Item = &Expr>| {
        let mut all = needed.clone();
        all.extend(exprs.flat_map(Expr::columns));
        all
    };
    let below = |input: &mut Logical, needed: &BTreeSet<usize>| prune(input, columns, needed);
    match plan {
        Logical::Scan(scan) => prune_scan(scan, needed),
        Logical::Values {
            columns: numbers,
            rows,
        } => {
            let kept = kept(numbers, needed);
            if kept.len() < numbers.len() {
                *numbers = pick(numbers, &kept);
                rows.iter_mut().for_each(|row| *row = pick(row, &kept));
            }
        }
        Logical::System {
            columns: wanted, ..
        } => keep(wanted, |(number, _)| needed.contains(number)),
        Logical::Virtual(scan) => {
            let wanted = also(&mut scan.filter.iter());
            (scan.columns).retain(|(number, _)| wanted.contains(number));
        }
        Logical::Filter { input, predicate } => {
            below(input, &also(&mut std::iter::once(&*predicate)));
        }
        Logical::Project { input, exprs } => {
            keep(exprs, |(number, _)| needed.contains(number));
            let wanted = exprs.iter().flat_map(|(_, expr)| expr.columns()).collect();
            below(input, &wanted);
        }
        // How many rows come out is the affair of all calls.
        Logical::ProjectSet(set) => {
            let calls = set.calls.iter();
            let wanted = also(&mut calls.flat_map(|(_, call)| &call.arguments));
            below(&mut set.input, &wanted);
            set.ordinality = set.ordinality.filter(|number| needed.contains(number));
        }
        Logical::Join(join) if is_unasked(join, needed) => {
            below(&mut join.left, needed);
            *plan = join.left.take();
        }
        Logical::Join(join) => {
            let tests = join.mark.iter().flat_map(|mark| &mark.test);
            let outer = join.outer.iter().map(|(_, expr)| expr);
            let wanted = also(&mut join.on.iter().chain(tests).chain(outer));
            below(&mut join.right, &wanted);
            if let Some(lookup) = &mut join.lookup {
                // Some of these columns are only there for the right input's own filter.
                let mut given = join.right.column_set();
                given.extend(&wanted);
                prune_lookup(lookup, columns, &given);
            }
            below(&mut join.left, &wanted);
        }
        Logical::Aggregate {
            input,
            groups,
            aggregates,
            sets,
            ..
        } => {
            if let Some(sets) = sets {
                sets.groupings.retain(|(number, _)| needed.contains(number));
            }
            match groups.is_empty() {
                true => keep(aggregates, |(number, _)| needed.contains(number)),
                false => aggregates.retain(|(number, _)| needed.contains(number)),
            }
            let calls = aggregates.iter().map(|(_, call)| call);
            let exprs = calls.flat_map(AggregateCall::exprs);
            let exprs = exprs.chain(groups.iter().map(|(_, group)| group));
            below(input, &exprs.flat_map(Expr::columns).collect());
        }
        Logical::Window { input, window } => {
            window.calls.retain(|(number, _)| needed.contains(number));
            if window.calls.is_empty() {
                below(input, needed);
                *plan = input.take();
                return;
            }
            let calls = window.calls.iter().flat_map(|(_, call)| call.exprs());
            let order = window.order.iter().map(|key| &key.expr);
            below(
                input,
                &also(&mut calls.chain(order).chain(&window.partition)),
            );
        }
        Logical::Sort { input, keys } | Logical::TopN { input, keys, .. } => {
            below(input, &also(&mut keys.iter().map(|key| &key.expr)));
        }
        Logical::Limit { input, .. } => below(input, needed),
        Logical::WithTies { input, keys, .. } => below(input, &also(&mut keys.iter())),
        Logical::Lock { input, locks } => {
            let rows = locks.iter().map(|lock| lock.row);
            below(input, &needed.iter().copied().chain(rows).collect());
        }
        // All columns are compared.
        Logical::Distinct(input) => {
            let all = input.column_set();
            below(input, &all);
        }
        Logical::DistinctOn { input, columns: on } => {
            below(
                input,
                &needed
                    .union(&on.iter().copied().collect())
                    .copied()
                    .collect(),
            );
        }
        Logical::Adaptive { first, otherwise } => {
            below(first, needed);
            below(otherwise, needed);
        }
        Logical::UnionAll {
            inputs,
            columns: numbers,
        } => {
            let kept = kept(numbers, needed);
            *numbers = pick(numbers, &kept);
            for (input, source) in inputs {
                *source = pick(source, &kept);
                below(input, &source.iter().copied().collect());
            }
        }
        // The next round may need what is not shown; of a set operation all columns are compared.
        Logical::Recursive(Recursive {
            base: one,
            step: other,
            ..
        })
        | Logical::SetOperation(SetOperation {
            left: one,
            right: other,
            ..
        }) => {
            for (input, source) in [one, other] {
                below(input, &source.iter().copied().collect());
            }
        }
        Logical::WorkingTable(table) => {
            keep(&mut table.columns, |(number, _)| needed.contains(number));
        }
        Logical::Part(part) => {
            keep(&mut part.columns, |(number, _)| needed.contains(number));
        }
    }
}

/// Whether a join gives each left row once, and beside it what nobody asks for.
fn is_unasked(join: &Join, needed: &BTreeSet<usize>) -> bool {
    match &join.mark {
        Some(mark) => !needed.contains(&mark.column),
        None => join.kind == JoinKind::Single && join.right.column_set().is_disjoint(needed),
    }
}

/// Keeps what is needed, but at least one.
fn keep<T>(items: &mut Vec<T>, needed: impl Fn(&T) -> bool) {
    if items.iter().any(&needed) {
        items.retain(needed);
    } else {
        items.truncate(1);
    }
}

/// The positions of the columns that are needed, but at least one.
fn kept(numbers: &[usize], needed: &BTreeSet<usize>) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..numbers.len()).collect();
    keep(&mut kept, |position| needed.contains(&numbers[*position]));
    kept
}

fn pick<T: Clone>(all: &[T], kept: &[usize]) -> Vec<T> {
    kept.iter().map(|position| all[*position].clone()).collect()
}

/// As the right input is pruned.
fn prune_lookup(lookup: &mut Lookup, columns: &Columns, needed: &BTreeSet<usize>) {
    match &mut lookup.by {
        LookupBy::Plan { plan, .. } => prune(plan, columns, needed),
        LookupBy::Rows(rows) => {
            let mut of_scan = needed.clone();
            rows.exprs.retain(|(number, _)| needed.contains(number));
            of_scan.extend(rows.exprs.iter().flat_map(|(_, expr)| expr.columns()));
            prune_scan(&mut rows.scan, &of_scan);
        }
    }
}

fn prune_scan(scan: &mut Scan, needed: &BTreeSet<usize>) {
    let mut wanted = needed.clone();
    wanted.extend(scan.filter.iter().flat_map(Expr::columns));
    scan.row_id = scan.row_id.filter(|number| wanted.contains(number));
    scan.columns.retain(|(number, _)| wanted.contains(number));
}
