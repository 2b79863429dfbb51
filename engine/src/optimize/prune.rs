//! Projection pruning: columns that nobody asks for are not read, kept or computed.
//!
//! Every node is asked for a set of columns and asks its inputs for what it needs itself. A scan may
//! be left with none: its rows are still counted. So may what only passes on its input's columns; rows
//! written out, and aggregates without groups, keep one.

use super::window::prune_window;
use crate::plan::logical::{Columns, Join, Logical, Lookup, LookupBy, Scan};
use crate::plan::physical::AggregateCall;
use crate::plan::physical::JoinKind;
use crate::plan::project_set::ProjectSet;
use crate::plan::recursive::Recursive;
use crate::plan::set_operation::SetOperation;
use crate::plan::{Expr, SortKey};
use std::collections::BTreeSet;

/// Applies the rule to a plan of which `needed` columns are asked for.
pub(super) fn prune(plan: Logical, columns: &Columns, needed: &BTreeSet<usize>) -> Logical {
    let also = |exprs: &mut dyn Iterator<Item = &Expr>| {
        let mut all = needed.clone();
        all.extend(exprs.flat_map(Expr::columns));
        all
    };
    let keys_of = |keys: &[SortKey]| also(&mut keys.iter().map(|key| &key.expr));
    let below =
        |input: Box<Logical>, needed: &BTreeSet<usize>| Box::new(prune(*input, columns, needed));
    match plan {
        Logical::Scan(scan) => Logical::Scan(prune_scan(scan, needed)),
        Logical::Values {
            columns: numbers,
            rows,
        } => prune_values(numbers, rows, needed),
        Logical::System {
            table,
            columns: mut wanted,
        } => {
            keep(&mut wanted, |(number, _)| needed.contains(number));
            Logical::System {
                table,
                columns: wanted,
            }
        }
        Logical::Virtual(mut scan) => {
            let wanted = also(&mut scan.filter.iter());
            (scan.columns).retain(|(number, _)| wanted.contains(number));
            Logical::Virtual(scan)
        }
        Logical::Filter { input, predicate } => Logical::Filter {
            input: below(input, &also(&mut std::iter::once(&predicate))),
            predicate,
        },
        Logical::Project { input, mut exprs } => {
            keep(&mut exprs, |(number, _)| needed.contains(number));
            let wanted = exprs.iter().flat_map(|(_, expr)| expr.columns()).collect();
            Logical::Project {
                input: below(input, &wanted),
                exprs,
            }
        }
        // How many rows come out is the affair of all calls.
        Logical::ProjectSet(set) => {
            let calls = set.calls.iter();
            let wanted = also(&mut calls.flat_map(|(_, call)| &call.arguments));
            Logical::ProjectSet(ProjectSet {
                input: below(set.input, &wanted),
                ordinality: set.ordinality.filter(|number| needed.contains(number)),
                ..set
            })
        }
        Logical::Join(join) if is_unasked(&join, needed) => prune(*join.left, columns, needed),
        Logical::Join(join) => {
            let tests = join.mark.iter().flat_map(|mark| &mark.test);
            let outer = join.outer.iter().map(|(_, expr)| expr);
            let wanted = also(&mut join.on.iter().chain(tests).chain(outer));
            let right = below(join.right, &wanted);
            let lookup = (join.lookup).map(|lookup| {
                // Some of these columns are only there for the right input's own filter.
                let mut given = right.column_set();
                given.extend(&wanted);
                prune_lookup(lookup, columns, &given)
            });
            Logical::Join(Join {
                left: below(join.left, &wanted),
                right,
                lookup,
                ..join
            })
        }
        Logical::Aggregate {
            input,
            groups,
            mut aggregates,
            mut sets,
            in_order,
        } => {
            if let Some(sets) = &mut sets {
                sets.groupings.retain(|(number, _)| needed.contains(number));
            }
            match groups.is_empty() {
                true => keep(&mut aggregates, |(number, _)| needed.contains(number)),
                false => aggregates.retain(|(number, _)| needed.contains(number)),
            }
            let calls = aggregates.iter().map(|(_, call)| call);
            let exprs = calls.flat_map(AggregateCall::exprs);
            let exprs = exprs.chain(groups.iter().map(|(_, group)| group));
            let wanted = exprs.flat_map(Expr::columns).collect();
            Logical::Aggregate {
                input: below(input, &wanted),
                groups,
                aggregates,
                sets,
                in_order,
            }
        }
        Logical::Window { input, window } => prune_window(*input, *window, columns, needed),
        Logical::Sort { input, keys } => Logical::Sort {
            input: below(input, &keys_of(&keys)),
            keys,
        },
        Logical::TopN {
            input,
            keys,
            limit,
            offset,
        } => Logical::TopN {
            input: below(input, &keys_of(&keys)),
            keys,
            limit,
            offset,
        },
        Logical::Limit {
            input,
            limit,
            offset,
        } => Logical::Limit {
            input: below(input, needed),
            limit,
            offset,
        },
        Logical::WithTies {
            input,
            keys,
            limit,
            offset,
        } => Logical::WithTies {
            input: below(input, &also(&mut keys.iter())),
            keys,
            limit,
            offset,
        },
        Logical::Lock { input, locks } => {
            let mut wanted = needed.clone();
            wanted.extend(locks.iter().map(|lock| lock.row));
            Logical::Lock {
                input: below(input, &wanted),
                locks,
            }
        }
        Logical::Distinct(input) => {
            let all = input.column_set();
            Logical::Distinct(below(input, &all))
        }
        Logical::DistinctOn { input, columns: on } => {
            let mut wanted = needed.clone();
            wanted.extend(&on);
            Logical::DistinctOn {
                input: below(input, &wanted),
                columns: on,
            }
        }
        Logical::Adaptive { first, otherwise } => Logical::Adaptive {
            first: below(first, needed),
            otherwise: below(otherwise, needed),
        },
        Logical::UnionAll {
            inputs,
            columns: numbers,
        } => prune_union(inputs, numbers, columns, needed),
        // The next round may need what is not shown.
        Logical::Recursive(recursive) => {
            let side = |(input, source): (Box<Logical>, Vec<usize>)| {
                let wanted = source.iter().copied().collect();
                (below(input, &wanted), source)
            };
            Logical::Recursive(Recursive {
                base: side(recursive.base),
                step: side(recursive.step),
                ..recursive
            })
        }
        Logical::WorkingTable(mut table) => {
            keep(&mut table.columns, |(number, _)| needed.contains(number));
            Logical::WorkingTable(table)
        }
        Logical::Part(mut part) => {
            keep(&mut part.columns, |(number, _)| needed.contains(number));
            Logical::Part(part)
        }
        // All columns are compared.
        Logical::SetOperation(operation) => {
            let side = |(input, source): (Box<Logical>, Vec<usize>)| {
                let wanted = source.iter().copied().collect();
                (below(input, &wanted), source)
            };
            Logical::SetOperation(SetOperation {
                left: side(operation.left),
                right: side(operation.right),
                ..operation
            })
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

/// As the right input is pruned.
fn prune_lookup(lookup: Lookup, columns: &Columns, needed: &BTreeSet<usize>) -> Lookup {
    let by = match lookup.by {
        LookupBy::Plan { outer, plan } => LookupBy::Plan {
            outer,
            plan: Box::new(prune(*plan, columns, needed)),
        },
        LookupBy::Rows(mut rows) => {
            let mut of_scan = needed.clone();
            rows.exprs.retain(|(number, _)| needed.contains(number));
            of_scan.extend(rows.exprs.iter().flat_map(|(_, expr)| expr.columns()));
            rows.scan = prune_scan(rows.scan, &of_scan);
            LookupBy::Rows(rows)
        }
    };
    Lookup { by, ..lookup }
}

fn prune_scan(mut scan: Scan, needed: &BTreeSet<usize>) -> Scan {
    let mut wanted = needed.clone();
    wanted.extend(scan.filter.iter().flat_map(Expr::columns));
    scan.row_id = scan.row_id.filter(|number| wanted.contains(number));
    scan.columns.retain(|(number, _)| wanted.contains(number));
    scan
}

fn prune_values(
    mut numbers: Vec<usize>,
    mut rows: Vec<Vec<Expr>>,
    needed: &BTreeSet<usize>,
) -> Logical {
    let mut kept: Vec<usize> = (0..numbers.len()).collect();
    keep(&mut kept, |position| needed.contains(&numbers[*position]));
    if kept.len() < numbers.len() {
        let pick = |row: &[Expr]| kept.iter().map(|position| row[*position].clone()).collect();
        rows = rows.iter().map(|row| pick(row)).collect();
        numbers = kept.into_iter().map(|position| numbers[position]).collect();
    }
    Logical::Values {
        columns: numbers,
        rows,
    }
}

fn prune_union(
    inputs: Vec<(Logical, Vec<usize>)>,
    numbers: Vec<usize>,
    columns: &Columns,
    needed: &BTreeSet<usize>,
) -> Logical {
    let mut kept: Vec<usize> = (0..numbers.len()).collect();
    keep(&mut kept, |position| needed.contains(&numbers[*position]));
    let pick =
        |all: &[usize]| -> Vec<usize> { kept.iter().map(|position| all[*position]).collect() };
    let inputs = inputs.into_iter().map(|(input, source)| {
        let source = pick(&source);
        let wanted = source.iter().copied().collect();
        (prune(input, columns, &wanted), source)
    });
    Logical::UnionAll {
        inputs: inputs.collect(),
        columns: pick(&numbers),
    }
}
