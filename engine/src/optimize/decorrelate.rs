//! Decorrelation: the right side of a join no longer names the left row.
//!
//! What the right side names of the left row stands in filters mostly. A filter moves up to the join, past what
//! is between them, and becomes a condition of the join; what it names of the right side comes along as a
//! column:
//!
//! ```text
//!  Filter      conditions that name the left row leave it
//!  Project     passes on what conditions name; what it makes of the left row is made above the join
//!  Join        of an inner join both sides, of others the left one
//!  Aggregate   by `x = left row's`: x becomes a group more, so that there is a group for each left row that
//!              has any. Conditions of another kind cannot leave it.
//!  Distinct    the same; where nobody counts its rows, it goes
//!  Sort        goes: what is joined has no order
//!  Limit       goes where it is only asked whether there is a row
//! ```
//!
//! An aggregate without groups has a row where there is nothing to aggregate as well. So the join with the
//! groups is an outer one, and above it counts that are missing are 0, and then what the query makes of the
//! aggregates is made. This is the case of `(SELECT count(*) FROM t WHERE t.x = outer.x)`; the idea is Kim's
//! ("On Optimizing an SQL-like Nested Query", TODS 1982), with the mends of Ganski and Wong (SIGMOD 1987).
//!
//! Whatever else there is stays dependent, and is run for each left row.

use super::estimate::known_limit;
use super::fold::fold;
use super::unnest::names_within;
use crate::plan::logical::{Columns, Join, Logical};
use crate::plan::physical::{AggregateCall, JoinKind};
use crate::plan::project_set::{ProjectSet, TableCall};
use crate::plan::{Expr, ExprKind};
use remora_storage::{DataType, Value};
use std::collections::BTreeSet;

/// The plan of a join whose right side names the left row by `join.outer`; `None` where that is not to be
/// had.
pub(super) fn decorrelate(join: Join, columns: &mut Columns) -> Option<Logical> {
    let takes_one = match join.kind {
        JoinKind::Inner => true,
        JoinKind::Single | JoinKind::Left => join.on.is_empty(),
        JoinKind::Full | JoinKind::Semi | JoinKind::Anti | JoinKind::Mark => false,
    };
    if takes_one && let Some(one_row) = OneRow::of(&join.right) {
        return one_row.join(join, columns);
    }
    if join.kind == JoinKind::Inner
        && let Logical::ProjectSet(set) = &*join.right
        && is_one_row(&set.input)
    {
        return Some(call_for_each(set.clone(), join));
    }
    if !join.right.is_stable() {
        // It is another value for each left row.
        return None;
    }
    let only_asks = matches!(join.kind, JoinKind::Semi | JoinKind::Anti | JoinKind::Mark);
    let has_test = join.mark.as_ref().is_some_and(|mark| !mark.test.is_empty());
    let puller = Puller {
        variables: join.outer.iter().map(|(variable, _)| *variable).collect(),
        matters: match only_asks {
            true if join.on.is_empty() && !has_test => Matters::Existence,
            true => Matters::Rows,
            false => Matters::Counts,
        },
    };
    let pulled = puller.pull(*join.right, columns)?;
    if !pulled.made.is_empty() && !only_asks && join.kind != JoinKind::Inner {
        // Of a left row without a match they are NULL, and not what is made of it.
        return None;
    }
    let settle = |expr: Expr| expr.substitute(&pulled.made).substitute(&join.outer);
    let mut on: Vec<Expr> = join.on.into_iter().map(settle).collect();
    on.extend(pulled.on.into_iter().map(settle));
    let mark = join.mark.map(|mut mark| {
        mark.test = mark.test.into_iter().map(settle).collect();
        mark
    });
    let made: Vec<_> = (pulled.made.iter())
        .map(|(column, expr)| (*column, expr.clone().substitute(&join.outer)))
        .collect();
    let plan = Logical::Join(Join {
        left: join.left,
        right: Box::new(pulled.plan),
        kind: join.kind,
        on,
        mark,
        outer: Vec::new(),
        lookup: None,
        keeps_order: false,
    });
    Some(match made.is_empty() || only_asks {
        true => plan,
        false => also(plan, made, columns),
    })
}

/// Functions whose arguments name the left row are called for each: their rows come beside it.
fn call_for_each(set: ProjectSet, join: Join) -> Logical {
    let outside = |expr: Expr| expr.substitute(&join.outer);
    let calls = set.calls.into_iter().map(|(column, call)| {
        let arguments = call.arguments.into_iter().map(outside).collect();
        (column, TableCall { arguments, ..call })
    });
    let plan = Logical::ProjectSet(ProjectSet {
        input: join.left,
        calls: calls.collect(),
        ordinality: set.ordinality,
    });
    plan.filter(join.on.into_iter().map(outside).collect())
}

/// Whether a plan gives exactly one row, whatever there is.
pub(super) fn is_one_row(plan: &Logical) -> bool {
    match plan {
        Logical::Project { input, .. } | Logical::Sort { input, .. } => is_one_row(input),
        Logical::Aggregate { groups, sets, .. } => groups.is_empty() && sets.is_none(),
        Logical::Values { rows, .. } => rows.len() == 1,
        _ => false,
    }
}

/// Whether a plan gives no second row.
pub(super) fn has_one_row_at_most(plan: &Logical) -> bool {
    let is_one = |limit: &Expr| known_limit(limit).is_some_and(|limit| limit <= 1);
    match plan {
        Logical::Limit {
            limit: Some(limit), ..
        }
        | Logical::TopN { limit, .. }
            if is_one(limit) =>
        {
            true
        }
        Logical::Project { input, .. }
        | Logical::Filter { input, .. }
        | Logical::Limit { input, .. }
        | Logical::Lock { input, .. } => has_one_row_at_most(input),
        Logical::Part(rows) => (rows.query.iter()).any(|query| has_one_row_at_most(query.plan())),
        _ => is_one_row(plan),
    }
}

/// A plan whose filters lost what names variables.
struct Pulled {
    plan: Logical,
    /// What they lost, over columns of the plan, and variables.
    on: Vec<Expr>,
    /// Columns that the plan lost: they are made of variables.
    made: Vec<(usize, Expr)>,
}

/// What matters of the rows of a node, to what is above it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Matters {
    /// Whether there is one.
    Existence,
    /// Which there are, not how often.
    Rows,
    /// Which, and how often.
    Counts,
}

struct Puller {
    /// Columns that stand for values of the left row.
    variables: BTreeSet<usize>,
    matters: Matters,
}

impl Puller {
    /// The same for the input of a node that looks at its rows.
    fn below(&self, matters: Matters) -> Self {
        let matters = match self.matters < matters {
            true => matters,
            false => self.matters,
        };
        Self {
            variables: self.variables.clone(),
            matters,
        }
    }

    fn pull(&self, plan: Logical, columns: &mut Columns) -> Option<Pulled> {
        if !self.is_named_within(&plan) {
            return Some(Pulled {
                plan,
                on: Vec::new(),
                made: Vec::new(),
            });
        }
        match plan {
            Logical::Filter { input, predicate } => {
                let mut pulled = self.below(Matters::Rows).pull(*input, columns)?;
                let predicate = predicate.substitute(&pulled.made);
                let (up, stay) = self.part(predicate.conjuncts())?;
                pulled.on.extend(up);
                pulled.plan = pulled.plan.filter(stay);
                Some(pulled)
            }
            Logical::Project { input, exprs } => self.project(*input, exprs, columns),
            Logical::Join(join) => self.join(join, columns),
            Logical::Aggregate {
                input,
                groups,
                aggregates,
                sets: None,
                ..
            } if !groups.is_empty() => self.aggregate(*input, groups, aggregates, columns),
            Logical::Distinct(input) => {
                let mut pulled = self.pull(*input, columns)?;
                if self.matters == Matters::Counts {
                    let is_key = |part: &Expr| self.as_key(part).is_some();
                    if !pulled.made.is_empty() || !pulled.on.iter().all(is_key) {
                        return None;
                    }
                    pulled.plan = Logical::Distinct(Box::new(pulled.plan));
                }
                Some(pulled)
            }
            Logical::Sort { input, .. } => self.pull(*input, columns),
            Logical::Limit {
                input,
                limit: Some(limit),
                offset: None,
            } if self.matters == Matters::Existence && is_positive(&limit) => {
                self.pull(*input, columns)
            }
            _ => None,
        }
    }

    fn project(
        &self,
        input: Logical,
        exprs: Vec<(usize, Expr)>,
        columns: &mut Columns,
    ) -> Option<Pulled> {
        let mut pulled = self.pull(input, columns)?;
        let mut kept = Vec::with_capacity(exprs.len());
        let mut made = Vec::new();
        for (column, expr) in exprs {
            let expr = expr.substitute(&pulled.made);
            match self.names(&expr) {
                false => kept.push((column, expr)),
                true if expr.is_stable() => made.push((column, expr)),
                true => return None,
            }
        }
        let above = pulled.on.iter().chain(made.iter().map(|(_, expr)| expr));
        let wanted: BTreeSet<usize> = above.flat_map(Expr::columns).collect();
        for column in wanted.difference(&self.variables) {
            if kept.iter().all(|(found, _)| found != column) {
                kept.push((*column, columns.expr(*column)));
            }
        }
        pulled.plan = Logical::Project {
            input: Box::new(pulled.plan),
            exprs: kept,
        };
        pulled.made = made;
        Some(pulled)
    }

    fn join(&self, join: Join, columns: &mut Columns) -> Option<Pulled> {
        let is_free = join.outer.is_empty()
            && !join
                .mark
                .iter()
                .flat_map(|mark| &mark.test)
                .any(|part| self.names(part));
        if !is_free {
            return None;
        }
        let inputs = self.below(Matters::Rows);
        let left = inputs.pull(*join.left, columns)?;
        let (right, up, on) = match join.kind {
            JoinKind::Full => return None,
            JoinKind::Inner => {
                let right = inputs.pull(*join.right, columns)?;
                let made = [left.made.as_slice(), &right.made].concat();
                let on = join.on.into_iter().map(|part| part.substitute(&made));
                let (up, on) = self.part(on.collect())?;
                (right, up, on)
            }
            _ if self.is_named_within(&join.right) || !left.made.is_empty() => return None,
            _ if join.on.iter().any(|part| self.names(part)) => return None,
            _ => {
                let right = inputs.pull(*join.right, columns)?;
                (right, Vec::new(), join.on)
            }
        };
        Some(Pulled {
            plan: Logical::Join(Join {
                left: Box::new(left.plan),
                right: Box::new(right.plan),
                kind: join.kind,
                on,
                mark: join.mark,
                outer: Vec::new(),
                lookup: None,
                keeps_order: false,
            }),
            on: [left.on, right.on, up].concat(),
            made: [left.made, right.made].concat(),
        })
    }

    fn aggregate(
        &self,
        input: Logical,
        mut groups: Vec<(usize, Expr)>,
        aggregates: Vec<(usize, AggregateCall)>,
        columns: &mut Columns,
    ) -> Option<Pulled> {
        let pulled = self.below(Matters::Counts).pull(input, columns)?;
        let named = groups.iter().map(|(_, group)| group);
        let arguments = aggregates.iter().flat_map(|(_, call)| call.exprs());
        if !pulled.made.is_empty() || named.chain(arguments).any(|part| self.names(part)) {
            return None;
        }
        let on = self.group_by_keys(pulled.on, &mut groups, columns)?;
        Some(Pulled {
            plan: Logical::Aggregate {
                input: Box::new(pulled.plan),
                groups,
                aggregates,
                sets: None,
                in_order: false,
            },
            on,
            made: Vec::new(),
        })
    }

    /// Conditions `x = of the left row`: x becomes a group, and the condition names that.
    fn group_by_keys(
        &self,
        on: Vec<Expr>,
        groups: &mut Vec<(usize, Expr)>,
        columns: &mut Columns,
    ) -> Option<Vec<Expr>> {
        let mut above = Vec::with_capacity(on.len());
        for part in on {
            let key = self.as_key(&part)?.clone();
            let known = groups.iter().find(|(_, group)| group.same(&key));
            let column = known.map(|(column, _)| *column).unwrap_or_else(|| {
                let column = columns.add("?column?", key.data_type);
                groups.push((column, key.clone()));
                column
            });
            let expr = columns.expr(column);
            above.push(part.replace(&mut |found| found.same(&key).then(|| expr.clone())));
        }
        Some(above)
    }

    /// The right side's x of `x = of the left row`.
    fn as_key<'e>(&self, part: &'e Expr) -> Option<&'e Expr> {
        let (one, two) = part.as_equality()?;
        let is_outer = |expr: &Expr| expr.columns().is_subset(&self.variables);
        match (self.names(one), self.names(two)) {
            (false, true) if is_outer(two) && !one.columns().is_empty() => Some(one),
            (true, false) if is_outer(one) && !two.columns().is_empty() => Some(two),
            _ => None,
        }
    }

    /// Conditions that name variables, and those that do not; `None` where one is volatile.
    fn part(&self, parts: Vec<Expr>) -> Option<(Vec<Expr>, Vec<Expr>)> {
        let (up, stay): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| self.names(part));
        up.iter().all(Expr::is_stable).then_some((up, stay))
    }

    fn names(&self, expr: &Expr) -> bool {
        !expr.columns().is_disjoint(&self.variables)
    }

    fn is_named_within(&self, plan: &Logical) -> bool {
        let mut named = BTreeSet::new();
        names_within(plan, &mut named);
        !named.is_disjoint(&self.variables)
    }
}

/// A right side that gives one row, whatever there is: projections over an aggregate without groups, or over a
/// row written out.
struct OneRow {
    /// The uppermost first.
    projections: Vec<Vec<(usize, Expr)>>,
    input: Logical,
}

impl OneRow {
    fn of(plan: &Logical) -> Option<Self> {
        let mut projections = Vec::new();
        let mut rest = plan;
        loop {
            match rest {
                Logical::Project { input, exprs } => {
                    projections.push(exprs.clone());
                    rest = input;
                }
                Logical::Sort { input, .. } => rest = input,
                _ => break,
            }
        }
        is_one_row(rest).then(|| Self {
            projections,
            input: rest.clone(),
        })
    }

    fn join(self, join: Join, columns: &mut Columns) -> Option<Logical> {
        let exprs = self.projections.iter().flatten();
        if exprs.into_iter().any(|(_, expr)| !expr.is_stable()) {
            return None;
        }
        let mut plan = match self.input {
            Logical::Aggregate {
                input, aggregates, ..
            } => join_groups(*join.left, *input, aggregates, &join.outer, columns)?,
            Logical::Values {
                columns: numbers,
                mut rows,
            } => {
                let row = rows.pop().unwrap_or_default();
                let row = row.into_iter().map(|expr| expr.substitute(&join.outer));
                let exprs = numbers.into_iter().zip(row).collect();
                also(*join.left, exprs, columns)
            }
            _ => return None,
        };
        for exprs in self.projections.into_iter().rev() {
            let outside = |(column, expr): (usize, Expr)| (column, expr.substitute(&join.outer));
            plan = also(plan, exprs.into_iter().map(outside).collect(), columns);
        }
        let on = join.on.into_iter();
        Some(plan.filter(on.map(|part| part.substitute(&join.outer)).collect()))
    }
}

/// The left rows, each with the aggregates of the rows that belong to it.
fn join_groups(
    left: Logical,
    input: Logical,
    aggregates: Vec<(usize, AggregateCall)>,
    outer: &[(usize, Expr)],
    columns: &mut Columns,
) -> Option<Logical> {
    let puller = Puller {
        variables: outer.iter().map(|(variable, _)| *variable).collect(),
        matters: Matters::Counts,
    };
    let pulled = puller.pull(input, columns)?;
    let named = |(_, call): &(usize, AggregateCall)| call.exprs().any(|part| puller.names(part));
    if !pulled.made.is_empty() || aggregates.iter().any(named) {
        return None;
    }
    let mut groups = Vec::new();
    let on = puller.group_by_keys(pulled.on, &mut groups, columns)?;
    let on = on.into_iter().map(|part| part.substitute(outer)).collect();
    let mut fresh = Vec::with_capacity(aggregates.len());
    let mut shown = Vec::with_capacity(aggregates.len());
    for (column, call) in aggregates {
        let number = columns.add("?column?", call.data_type);
        shown.push((column, of_nothing(&call, columns.expr(number))));
        fresh.push((number, call));
    }
    let right = Logical::Aggregate {
        input: Box::new(pulled.plan),
        groups,
        aggregates: fresh,
        sets: None,
        in_order: false,
    };
    let plan = Logical::Join(Join::new(left, right, JoinKind::Left, on));
    Some(also(plan, shown, columns))
}

/// The value of an aggregate, which is 0 for a count where there was nothing to count.
fn of_nothing(call: &AggregateCall, value: Expr) -> Expr {
    if !matches!(call.aggregate.name(), "count" | "regr_count") {
        return value;
    }
    let data_type = value.data_type;
    let zero = Expr::literal(Value::BigInt(0), DataType::BigInt);
    Expr::new(ExprKind::Coalesce(vec![value, zero]), data_type)
}

/// All columns of a plan, and some that are made of them.
fn also(input: Logical, made: Vec<(usize, Expr)>, columns: &Columns) -> Logical {
    let made: Vec<_> = made.into_iter().collect();
    let is_new = |column: &usize| made.iter().all(|(new, _)| new != column);
    let mut exprs: Vec<_> = (input.columns().into_iter().filter(is_new))
        .map(|column| (column, columns.expr(column)))
        .collect();
    exprs.extend(made);
    Logical::Project {
        input: Box::new(input),
        exprs,
    }
}

fn is_positive(limit: &Expr) -> bool {
    let limit = fold(limit.clone());
    matches!(limit.kind, ExprKind::Literal(Value::BigInt(limit)) if limit > 0)
}
