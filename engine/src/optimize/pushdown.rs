//! Predicate pushdown: rows that will be thrown away are thrown away as early as possible.
//!
//! A Filter is split at its ANDs and each part sinks as far as it may:
//!
//! ```text
//!  Project    always, rewritten in terms of what it projects
//!  ProjectSet what concerns its input only
//!  Join       a part over one side goes to that side; over both, it becomes a condition of an
//!             inner join: this is what makes a join of `FROM a, b WHERE a.x = b.y`
//!  Semi join  what concerns the left side
//!  Left join  (and single, anti and mark joins) only what concerns the left side; what stands in ON and concerns the right side
//!             sinks to the right. A part that is never true of NULLs makes it an inner join.
//!             What is asked of a column is asked of the one it equals (`transfer`)
//!  Full join  nothing; but a part that is never true of a side's NULLs makes it a left join
//!  Aggregate  what concerns groups only, and those that are in every grouping set
//!  Window     what concerns whole partitions only
//!  DistinctOn what concerns only the columns of which each value has one row
//!  UnionAll   into each input
//!  INTERSECT, EXCEPT   to the left; to the right only a comparison of a column with what names none, since what is
//!             equal there may be written otherwise (1.0, 1.00)
//!  Limit      nothing: fewer rows before it would be other rows after it
//!  Recursive  nothing: a row that is not shown may lead to one that is
//!  Lock       nothing: what is locked is what the query says that locks it
//! ```
//!
//! Of an OR, what all of its branches have in common is a part, too; and what they say of one side of a join sinks there
//! ([`super::factor`]). A volatile part (`random() < 0.1`) stays where it was written. What is never true leaves nothing of the plan
//! below it.

use super::decorrelate::has_one_row_at_most;
use super::factor::{factored, implied};
use super::fold::fold;
use super::transfer::{compared_column, transferred};
use crate::plan::logical::{Join, Logical};
use crate::plan::physical::JoinKind;
use crate::plan::project_set::ProjectSet;
use crate::plan::set_operation::SetOperation;
use crate::plan::{Expr, ExprKind};
use remora_storage::Value;
use std::collections::BTreeSet;

/// Applies the rule to a plan.
pub(super) fn push_down(plan: Logical) -> Logical {
    push(plan, Vec::new())
}

/// The plan's rows for which all of `parts` are true.
pub(super) fn push(plan: Logical, mut parts: Vec<Expr>) -> Logical {
    if parts.iter().any(Expr::is_false) {
        return nothing(&plan);
    }
    match plan {
        Logical::Filter { input, predicate } => {
            let (stable, volatile): (Vec<_>, Vec<_>) = factored(predicate.conjuncts())
                .into_iter()
                .partition(Expr::is_stable);
            // A volatile part bars the way for those above it.
            if volatile.is_empty() {
                let mut all = stable;
                all.append(&mut parts);
                return push(*input, all);
            }
            parts.extend(volatile);
            push(*input, stable).filter(parts)
        }
        Logical::Project { input, exprs } => {
            let movable = |part: &Expr| {
                let named = part.columns();
                let mut of = exprs.iter().filter(|(column, _)| named.contains(column));
                of.all(|(_, expr)| expr.is_stable())
            };
            let (down, stay): (Vec<_>, Vec<_>) = parts.into_iter().partition(movable);
            let down = down
                .into_iter()
                .map(|part| part.substitute(&exprs))
                .collect();
            push(*input, down).project(exprs).filter(stay)
        }
        Logical::ProjectSet(set) => {
            let below = set.input.column_set();
            let (down, stay): (Vec<_>, Vec<_>) =
                (parts.into_iter()).partition(|part| part.columns().is_subset(&below));
            let input = Box::new(push(*set.input, down));
            Logical::ProjectSet(ProjectSet { input, ..set }).filter(stay)
        }
        Logical::Join(join) => push_join(join, parts),
        Logical::Aggregate {
            input,
            groups,
            aggregates,
            sets,
            in_order,
        } => {
            let everywhere =
                |group: usize| sets.as_ref().is_none_or(|sets| sets.has_everywhere(group));
            let numbers = groups.iter().enumerate();
            let numbers: BTreeSet<usize> = numbers
                .filter(|(group, _)| everywhere(*group))
                .map(|(_, (column, _))| *column)
                .collect();
            let (down, stay): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| {
                let named = part.columns();
                !named.is_empty() && named.is_subset(&numbers)
            });
            let down = down
                .into_iter()
                .map(|part| part.substitute(&groups))
                .collect();
            let input = Box::new(push(*input, down));
            let plan = Logical::Aggregate {
                input,
                groups,
                aggregates,
                sets,
                in_order,
            };
            plan.filter(stay)
        }
        Logical::Window { input, window } => {
            // Whole partitions that nobody wants need not be there.
            let partition = window.partition.iter().flat_map(Expr::columns).collect();
            let (down, stay): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| {
                let named = part.columns();
                !named.is_empty() && named.is_subset(&partition)
            });
            let input = Box::new(push(*input, down));
            Logical::Window { input, window }.filter(stay)
        }
        Logical::Sort { input, keys } => Logical::Sort {
            input: Box::new(push(*input, parts)),
            keys,
        },
        Logical::Distinct(input) => Logical::Distinct(Box::new(push(*input, parts))),
        Logical::UnionAll { inputs, columns } => {
            let into = |(input, source): (Logical, Vec<usize>)| {
                let parts = parts
                    .iter()
                    .map(|part| renumber(part.clone(), &columns, &source));
                (push(input, parts.collect()), source)
            };
            Logical::UnionAll {
                inputs: inputs.into_iter().map(into).collect(),
                columns: columns.clone(),
            }
        }
        Logical::SetOperation(operation) => {
            let (left, source) = operation.left;
            let (right, compared) = operation.right;
            let on_the_right = parts.iter().filter(|part| compared_column(part).is_some());
            let on_the_right =
                on_the_right.map(|part| renumber(part.clone(), &operation.columns, &compared));
            let right = push(*right, on_the_right.collect());
            let parts = parts
                .into_iter()
                .map(|part| renumber(part, &operation.columns, &source));
            Logical::SetOperation(SetOperation {
                left: (Box::new(push(*left, parts.collect())), source),
                right: (Box::new(right), compared),
                ..operation
            })
        }
        Logical::Scan(mut scan) => {
            scan.filter.append(&mut parts);
            Logical::Scan(scan)
        }
        Logical::Virtual(mut scan) => {
            scan.filter.append(&mut parts);
            Logical::Virtual(scan)
        }
        leaf @ (Logical::Values { .. }
        | Logical::System { .. }
        | Logical::WorkingTable(_)
        | Logical::Part(_)) => leaf.filter(parts),
        Logical::DistinctOn { input, columns } => {
            let on: BTreeSet<usize> = columns.iter().copied().collect();
            let (down, stay): (Vec<_>, Vec<_>) =
                (parts.into_iter()).partition(|part| part.columns().is_subset(&on));
            let input = Box::new(push(*input, down));
            Logical::DistinctOn { input, columns }.filter(stay)
        }
        other @ (Logical::Limit { .. }
        | Logical::TopN { .. }
        | Logical::WithTies { .. }
        | Logical::Adaptive { .. }
        | Logical::Recursive(_)
        | Logical::Lock { .. }) => other.map_inputs(&mut push_down).filter(parts),
    }
}

/// No row of the plan, which then need not run.
fn nothing(plan: &Logical) -> Logical {
    Logical::Values {
        columns: plan.columns(),
        rows: Vec::new(),
    }
}

fn push_join(join: Join, parts: Vec<Expr>) -> Logical {
    let join = without_nulls(join, &parts);
    if matches!(join.kind, JoinKind::Inner | JoinKind::Semi) && join.on.iter().any(Expr::is_false) {
        return nothing(&Logical::Join(join));
    }
    let kind = join.kind;
    let (left, right) = (join.left.column_set(), join.right.column_set());
    let (mut to_left, mut to_right) = (Vec::new(), Vec::new());
    let (mut on, mut above) = (Vec::new(), Vec::new());
    for part in factored(join.on) {
        let named = part.columns();
        let filters_left = matches!(kind, JoinKind::Inner | JoinKind::Semi);
        if kind != JoinKind::Full
            && (!named.is_empty() || part.is_false())
            && named.is_subset(&right)
            && part.is_stable()
        {
            to_right.push(part);
        } else if filters_left && named.is_subset(&left) && part.is_stable() {
            to_left.push(part);
        } else {
            on.push(part);
        }
    }
    for part in parts {
        let named = part.columns();
        if kind == JoinKind::Full {
            above.push(part);
        } else if named.is_subset(&left) {
            to_left.push(part);
        } else if kind != JoinKind::Inner {
            above.push(part);
        } else if named.is_subset(&right) {
            to_right.push(part);
        } else if join.outer.is_empty() {
            on.push(part);
        } else {
            above.push(part);
        }
    }
    if kind != JoinKind::Full {
        to_right.extend(on.iter().filter_map(|part| implied(part, &right)));
    }
    if matches!(kind, JoinKind::Inner | JoinKind::Semi) {
        to_left.extend(on.iter().filter_map(|part| implied(part, &left)));
    }
    // Of other kinds, right rows that meet none count as well.
    if matches!(kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi) {
        let more = transferred(&to_left, &on, &right);
        if kind == JoinKind::Inner {
            to_left.extend(transferred(&to_right, &on, &left));
        }
        to_right.extend(more);
    }
    let plan = Logical::Join(Join {
        left: Box::new(push(*join.left, to_left)),
        right: Box::new(push(*join.right, to_right)),
        kind,
        on,
        ..join
    });
    plan.filter(above)
}

/// The join without those rows that it fills up with NULLs of which some part is never true.
fn without_nulls(join: Join, parts: &[Expr]) -> Join {
    let rejects = |side: &Logical| {
        let columns = side.column_set();
        parts.iter().any(|part| rejects_nulls(part, &columns))
    };
    match join.kind {
        JoinKind::Left if rejects(&join.right) => Join {
            kind: JoinKind::Inner,
            ..join
        },
        // `x = (SELECT .. LIMIT 1)`
        JoinKind::Single if has_one_row_at_most(&join.right) && rejects(&join.right) => Join {
            kind: JoinKind::Inner,
            ..join
        },
        JoinKind::Full => match (rejects(&join.left), rejects(&join.right)) {
            (false, false) => join,
            (true, true) => Join {
                kind: JoinKind::Inner,
                ..join
            },
            (true, false) => Join {
                kind: JoinKind::Left,
                ..join
            },
            (false, true) => Join {
                left: join.right,
                right: join.left,
                kind: JoinKind::Left,
                ..join
            },
        },
        _ => join,
    }
}

/// Whether a part is never true where all of `columns` are NULL: found by putting NULL there and
/// folding.
fn rejects_nulls(part: &Expr, columns: &BTreeSet<usize>) -> bool {
    if part.columns().is_disjoint(columns) {
        return false;
    }
    let with_nulls = part.clone().replace_columns(&mut |column, data_type| {
        let null = Expr::literal(Value::Null, data_type);
        columns.contains(&column).then_some(null)
    });
    never_true(&fold(strict_nulls(with_nulls)))
}

/// A strict call with a NULL among its arguments is NULL, whatever the others are.
fn strict_nulls(expr: Expr) -> Expr {
    let expr = expr.map_children(&mut strict_nulls);
    let is_null = |argument: &Expr| matches!(argument.kind, ExprKind::Literal(Value::Null));
    let null = match &expr.kind {
        ExprKind::Call {
            overload,
            arguments,
        } => overload.strict && arguments.iter().any(is_null),
        ExprKind::InList { input, .. } | ExprKind::Cast { input, .. } | ExprKind::Not(input) => {
            is_null(input)
        }
        _ => false,
    };
    match null {
        true => Expr::literal(Value::Null, expr.data_type),
        false => expr,
    }
}

fn never_true(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Literal(value) => !matches!(value, Value::Boolean(true)),
        ExprKind::And(parts) => parts.iter().any(never_true),
        ExprKind::Or(parts) => parts.iter().all(never_true),
        _ => false,
    }
}

fn renumber(part: Expr, from: &[usize], to: &[usize]) -> Expr {
    part.replace_columns(&mut |column, data_type| {
        let position = from.iter().position(|number| *number == column)?;
        Some(Expr::column(to[position], data_type))
    })
}
