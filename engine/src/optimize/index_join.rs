//! Index joins: where few left rows are expected, their right rows are looked up by an index.
//!
//! ```text
//!   5 rows  JOIN  100,000 rows ON a.n = b.id      ->      for each of the 5: index of b, id = a.n
//! ```
//!
//! The right input is a table, or what is computed from its rows. The conditions of the join, in which the columns of
//! the left input are as good as parameters, are a filter of the table as any other one: so whatever narrows a scan by
//! an index ([`super::access`]) narrows a join, be it a point, a list, a range whose ends the left row gives, or the
//! beginning of a text. What the keys do not express is asked of the pairs. Where the right input groups rows, by what it
//! is joined by as well, all conditions sink to the table below, and the whole of it is run for each left row.
//!
//! To look a row up takes as long as to put some [`READ_FOR_LOOKUP`] rows into a hash table. Of an inner join the side
//! that is expected to be smaller becomes the left one, if it is that much smaller, or if there is no equality and so no
//! hash table. A semi join is turned around as well ([`super::semi_join`]). Other joins have their sides; what is expected is a guess, though, and the join itself sees how many left
//! rows there are: it begins with the index and changes over ([`LookupLimit`]).
//!
//! For rows that the statement has chosen by locking them, whatever they are joined with is looked up where it can be,
//! however many they are: who takes rows from a queue must not be told that others took other rows from it, as one is who
//! has read the table.

use super::access::{select_by, select_indexes};
use super::estimate::{read_rows, rows};
use super::join_order::links;
use super::pushdown::push;
use super::semi_join::as_inner;
use crate::plan::logical::{Access, Columns, IndexedRows, Join, Logical, Lookup, LookupBy, Scan};
use crate::plan::physical::{self, JoinKind, LookupLimit};
use crate::plan::{Expr, ExprKind};
use std::collections::BTreeSet;

/// Rows that are read and kept in a hash table in the time in which one row is looked up, and in which a plan is run.
const READ_FOR_LOOKUP: u64 = 64;
const READ_FOR_PLAN: u64 = 256;
/// A table with fewer rows is read as soon as it is looked at.
const ROWS_MIN: u64 = 512;
/// Where more left rows are expected than pay, so many rows are read in vain, and no more than one part in so many of the
/// table.
const TRIED_ROWS: u64 = 64_000;
const TRIED_PART: u64 = 8;

/// Applies the rule to a plan.
pub(super) fn index_joins(plan: Logical, columns: &mut Columns) -> Logical {
    match plan.map_inputs(&mut |input| index_joins(input, columns)) {
        Logical::Join(join) if is_possible(&join) => match turned(&join, columns) {
            Some(plan) => plan,
            None => Logical::Join(with_lookup(join, columns)),
        },
        other => other,
    }
}

/// A test that tells NULL from false asks rows that match nothing.
fn is_possible(join: &Join) -> bool {
    join.kind != JoinKind::Full
        && join.outer.is_empty()
        && !join.on.is_empty()
        && join.mark.as_ref().is_none_or(|mark| mark.test.is_empty())
}

/// A semi join whose left rows are looked up for the few right ones, with the columns that it had.
fn turned(join: &Join, columns: &mut Columns) -> Option<Logical> {
    let is_smaller = || left_rows(&join.right) < left_rows(&join.left);
    if join.kind != JoinKind::Semi || join.keeps_order || !(are_locked(&join.right) || is_smaller())
    {
        return None;
    }
    let own = join.left.columns().into_iter();
    let exprs = own.map(|column| (column, columns.expr(column))).collect();
    let inner = with_lookup(as_inner(join, columns)?, columns);
    inner.lookup.as_ref()?;
    Some(Logical::Project {
        input: Box::new(Logical::Join(inner)),
        exprs,
    })
}

fn with_lookup(mut join: Join, columns: &mut Columns) -> Join {
    let (left, right) = (left_rows(&join.left), left_rows(&join.right));
    let sides = [
        (&*join.left, left, &*join.right),
        (&*join.right, right, &*join.left),
    ];
    let in_turn = match join.kind {
        JoinKind::Inner if join.keeps_order => &[0][..],
        JoinKind::Inner if right < left || are_locked(&join.right) => &[1, 0],
        JoinKind::Inner => &[0, 1],
        _ => &[0],
    };
    let mut found = in_turn.iter().filter_map(|side| {
        let (left, expected, right) = sides[*side];
        let pair = Pair {
            left: left.column_set(),
            expected,
            is_locked: are_locked(left),
            right,
            join: &join,
        };
        Some((*side, pair.by_index().or_else(|| pair.by_plan(columns))?))
    });
    let Some((side, lookup)) = found.next() else {
        return join;
    };
    join.lookup = Some(lookup);
    if side == 1 {
        std::mem::swap(&mut join.left, &mut join.right);
    }
    join
}

/// About how many rows are looked up for.
fn left_rows(plan: &Logical) -> u64 {
    // A round of a recursion has few.
    match plan.any(&mut |node| matches!(node, Logical::WorkingTable(_))) {
        true => 1,
        false => rows(plan),
    }
}

/// Whether the rows are of a part of the statement that locked them, be it that something was made of them.
fn are_locked(plan: &Logical) -> bool {
    match (plan, plan.inputs().as_slice()) {
        (Logical::Part(rows), _) => rows.are_locked(),
        (_, [input]) => are_locked(input),
        _ => false,
    }
}

/// Inputs of a join, of which one is to be looked up for rows of the other.
struct Pair<'a> {
    /// The columns of the one.
    left: BTreeSet<usize>,
    /// How many rows it is expected to have.
    expected: u64,
    /// Whether the statement has chosen them by locking them.
    is_locked: bool,
    right: &'a Logical,
    join: &'a Join,
}

impl Pair<'_> {
    /// How long it pays not to read `all` rows, where a left row has so many of them; `None` where it hardly ever does.
    fn limit(&self, all: u64, found: u64, read_for_one: u64) -> Option<LookupLimit> {
        if self.is_locked {
            return Some(LookupLimit::All(u64::MAX));
        }
        let right = self.right.column_set();
        let is_hashed = self
            .join
            .on
            .iter()
            .any(|part| links(part, &self.left, &right));
        let read_for_each = read_for_one + read_for_one / physical::Lookup::LEFT_ROW * found;
        let pays = !is_hashed || self.expected.saturating_mul(read_for_each) <= all;
        if all < ROWS_MIN || (self.join.kind == JoinKind::Inner && !pays) {
            return None;
        }
        let rows = match pays {
            true => all,
            false => (all / TRIED_PART).min(TRIED_ROWS),
        };
        Some(match is_hashed {
            true => LookupLimit::All(rows / read_for_one * physical::Lookup::LEFT_ROW),
            false => LookupLimit::Each(all.div_ceil(read_for_one)),
        })
    }

    /// By an index of the table that the right input is.
    fn by_index(&self) -> Option<Lookup> {
        let (scan, exprs) = table(self.right)?;
        let limit = |all, found| self.limit(all, found, READ_FOR_LOOKUP);
        let all = read_rows(scan);
        // Not worth a look at the indexes where even rows that are found at once would not pay.
        limit(all, 0)?;
        let on = &self.join.on;
        let condition = |part: &Expr| with_outer(part.clone().substitute(exprs), &self.left);
        let conditions = on.iter().map(condition).collect();
        let (mut scan, used) = select_by(scan, conditions, &|value| outer(value).is_some())?;
        let limit = limit(all, read_rows(&scan))?;
        if let Access::Index { keys, .. } = &mut scan.access {
            for value in keys.values_mut().into_iter().flatten() {
                *value = with_columns(value.clone());
            }
        }
        let on = on.iter().enumerate();
        let on = on.filter(|(part, _)| !used.contains(part));
        let rows = IndexedRows {
            scan,
            exprs: exprs.to_vec(),
            on: on.map(|(_, part)| part.clone()).collect(),
        };
        let by = LookupBy::Rows(Box::new(rows));
        Some(Lookup { by, limit })
    }

    /// By the right input itself, if what makes a match sinks to a table of it and finds an index there.
    fn by_plan(&self, columns: &mut Columns) -> Option<Lookup> {
        let limit = |all, found| self.limit(all, found, READ_FOR_PLAN);
        let all = read_rows(source(self.right)?);
        limit(all, 0)?;
        if !self.join.on.iter().all(Expr::is_stable) || !self.right.is_stable() {
            return None;
        }
        let condition = |part: &Expr| with_outer(part.clone(), &self.left);
        let plan = push(
            self.right.clone(),
            self.join.on.iter().map(condition).collect(),
        );
        let is_outer = |value: &Expr| outer(value).is_some();
        let (scan, _) = select_by(source(&plan)?, Vec::new(), &is_outer)?;
        let limit = limit(all, read_rows(&scan))?;
        let named = self.join.on.iter().flat_map(Expr::columns);
        let named: BTreeSet<usize> = named.filter(|column| self.left.contains(column)).collect();
        let parameters: Vec<_> = (named.iter())
            .map(|column| (columns.add_parameter(), columns.expr(*column)))
            .collect();
        let parameter = |value: &Expr| {
            let at = named
                .iter()
                .position(|column| Some(*column) == outer(value))?;
            let kind = ExprKind::Parameter(parameters[at].0);
            Some(Expr::new(kind, value.data_type))
        };
        let plan = plan.map_deep(&mut |expr| expr.replace(&mut |part| parameter(part)));
        let by = LookupBy::Plan {
            plan: Box::new(select_indexes(plan)),
            outer: parameters,
        };
        Some(Lookup { by, limit })
    }
}

/// The table that a plan groups or filters the rows of.
fn source(plan: &Logical) -> Option<&Scan> {
    match plan {
        Logical::Scan(scan) => is_read(scan).then_some(scan),
        Logical::Filter { input, .. }
        | Logical::Project { input, .. }
        | Logical::Distinct(input)
        | Logical::Aggregate { input, .. } => source(input),
        _ => None,
    }
}

/// Whether it is read as a whole so far.
fn is_read(scan: &Scan) -> bool {
    matches!(scan.access, Access::Table { .. }) && !scan.skips_locked
}

/// A table, and what is computed from its rows.
fn table(plan: &Logical) -> Option<(&Scan, &[(usize, Expr)])> {
    let (input, exprs) = match plan {
        Logical::Project { input, exprs } => (&**input, exprs.as_slice()),
        scan => (scan, [].as_slice()),
    };
    let Logical::Scan(scan) = input else {
        return None;
    };
    let is_stable = exprs.iter().all(|(_, expr)| expr.is_stable());
    (is_read(scan) && is_stable).then_some((scan, exprs))
}

/// The number of the parameter that stands for the first column of a left input: above those of any statement.
const OUTER: usize = usize::MAX / 2;

/// The left column that a parameter stands for.
fn outer(value: &Expr) -> Option<usize> {
    match value.kind {
        ExprKind::Parameter(number) => number.checked_sub(OUTER),
        _ => None,
    }
}

/// The condition with parameters for columns.
fn with_outer(part: Expr, left: &BTreeSet<usize>) -> Expr {
    part.replace_columns(&mut |column, data_type| {
        let value = Expr::parameter(OUTER + column, data_type);
        left.contains(&column).then_some(value)
    })
}

/// The value with columns for parameters.
fn with_columns(value: Expr) -> Expr {
    value.replace(&mut |found| Some(Expr::column(outer(found)?, found.data_type)))
}
