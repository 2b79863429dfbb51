//! Joins in FROM: ON, USING and NATURAL, and the columns that these merge.

use super::from::{Source, factor_place};
use super::locking::check_nullable;
use super::scope::{Scope, ScopeColumn};
use super::{Binder, Bound, Clause, Context, coerce, name};
use crate::error::{Error, Position, Result, state};
use crate::function::cast::common_type;
use crate::parse::{USING_ALIAS, refuse};
use crate::plan::logical::{Join, Logical};
use crate::plan::physical::JoinKind;
use crate::plan::{Expr, ExprKind};
use remora_storage::DataType;
use sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor};

impl<'a> Binder<'a> {
    /// Two items of FROM, joined as the second one says.
    pub(super) fn join(
        &mut self,
        left: Source,
        right: Source,
        join: &'a ast::Join,
        outer: Vec<(usize, Expr)>,
    ) -> Result<Source> {
        use JoinOperator as J;
        let at = factor_place(&join.relation);
        let (constraint, kind, swapped) = match &join.join_operator {
            J::Join(constraint) | J::Inner(constraint) => (constraint, JoinKind::Inner, false),
            J::Left(constraint) | J::LeftOuter(constraint) => (constraint, JoinKind::Left, false),
            J::Right(constraint) | J::RightOuter(constraint) => (constraint, JoinKind::Left, true),
            J::CrossJoin(JoinConstraint::None) => return cross(left, right, outer, at),
            J::FullOuter(constraint) => (constraint, JoinKind::Full, false),
            _ => return refuse("this kind of join", at),
        };
        if (swapped || kind == JoinKind::Full) && !outer.is_empty() {
            let named = outer.first().map(|(_, value)| value.columns());
            let is_named = |column: &&ScopeColumn| {
                named
                    .iter()
                    .flatten()
                    .any(|number| *number == column.column)
            };
            let column = left.scope.columns.iter().find(is_named);
            let table = column.and_then(|column| column.table.as_deref());
            let table = table.unwrap_or_default();
            let message = format!("invalid reference to FROM-clause entry for table \"{table}\"");
            let error = Error::new(state::INVALID_COLUMN_REFERENCE, message);
            let detail = "The combining JOIN type must be INNER or LEFT for a LATERAL reference.";
            return Err(error.with_detail(detail).at(at));
        }
        if kind != JoinKind::Inner {
            let nullable = if swapped { &left } else { &right };
            check_nullable(&nullable.rows)?;
            self.refuse_own_name(&nullable.plan, "an outer join")?;
        }
        if kind == JoinKind::Full {
            check_nullable(&left.rows)?;
            self.refuse_own_name(&left.plan, "an outer join")?;
        }
        let shared = match constraint {
            JoinConstraint::On(condition) => {
                let mut scope = left.scope;
                scope.append(right.scope, at)?;
                let mut cx = Context::new(&scope, Clause::On);
                let on = self.condition_of(condition, "JOIN/ON", &mut cx)?;
                let on = on.conjuncts();
                if kind == JoinKind::Full {
                    check_hashable(&on, &left.plan, &right.plan)?;
                }
                let mut plan = join_plan(left.plan, right.plan, kind, swapped, on);
                depend(&mut plan, outer);
                let rows = [left.rows, right.rows].concat();
                return Ok(Source { plan, scope, rows });
            }
            JoinConstraint::Using(names) => using_names(names)?,
            JoinConstraint::Natural => (shared_names(&left.scope, &right.scope), None),
            JoinConstraint::None => return Err(name::syntax_error("JOIN", at)),
        };
        self.join_using(left, right, &shared, (kind, swapped), outer, at)
    }

    /// JOIN .. USING: equality of each pair, and one merged column for both.
    fn join_using(
        &mut self,
        left: Source,
        right: Source,
        (names, alias): &(Vec<String>, Option<String>),
        (kind, swapped): (JoinKind, bool),
        outer: Vec<(usize, Expr)>,
        at: Option<Position>,
    ) -> Result<Source> {
        let mut on = Vec::new();
        let mut merged = Vec::new();
        for name in names {
            let one = using_column(&left.scope, name, "left", at)?;
            let two = using_column(&right.scope, name, "right", at)?;
            self.note_use(one.column);
            self.note_use(two.column);
            let sides =
                [one, two].map(|side| Bound::Typed(Expr::column(side.column, side.data_type)));
            let equal = self.call("=", sides.to_vec(), at)?;
            on.push(self.settle(equal)?);
            // The side whose rows are all kept gives the merged value; of a full join either does.
            let kept = if swapped { two } else { one };
            let common = common_type(&[Some(one.data_type), Some(two.data_type)], "JOIN/USING");
            let common = common.map_err(|error| error.at(at))?;
            let value = match kind {
                JoinKind::Full => either(one, two, common),
                _ => coerce::cast(Expr::column(kept.column, kept.data_type), common, false),
            };
            merged.push((name.clone(), value));
        }
        let mut scope = left.scope;
        scope.append(right.scope, at)?;
        for column in &mut scope.columns {
            column.bare &= !names.contains(&column.name);
        }
        let mut plan = join_plan(left.plan, right.plan, kind, swapped, on);
        depend(&mut plan, outer);
        let columns = self.merged_columns(&mut plan, merged);
        if let Some(alias) = alias {
            scope.append(named(alias, &columns), at)?;
        }
        scope.columns.splice(0..0, columns);
        let rows = [left.rows, right.rows].concat();
        Ok(Source { plan, scope, rows })
    }

    /// The columns of merged values; those that are no plain columns are computed above the plan.
    fn merged_columns(
        &mut self,
        plan: &mut Logical,
        merged: Vec<(String, Expr)>,
    ) -> Vec<ScopeColumn> {
        let mut computed = Vec::new();
        let mut columns = Vec::new();
        for (name, expr) in merged {
            let data_type = expr.data_type;
            let column = match expr.kind {
                ExprKind::Column(column) => column,
                _ => {
                    let column = self.columns.add_for(&name, &expr);
                    computed.push((column, expr));
                    column
                }
            };
            columns.push(ScopeColumn::new(None, name, column, data_type));
        }
        if !computed.is_empty() {
            let below = plan.columns();
            let passed = below
                .into_iter()
                .map(|column| (column, self.columns.expr(column)));
            let exprs = passed.chain(computed).collect();
            *plan = plan.take().project(exprs);
        }
        columns
    }
}

/// What USING says: names of columns, and what they are called together.
fn using_names(names: &[ast::ObjectName]) -> Result<(Vec<String>, Option<String>)> {
    let mut columns = Vec::with_capacity(names.len());
    let mut alias = None;
    for name in names {
        match name::parts(name)?.as_slice() {
            [ident] => columns.push(name::fold(ident)?),
            [marker, ident] if marker.value == USING_ALIAS => alias = Some(name::fold(ident)?),
            _ => return refuse("a qualified name in USING", name::object_place(name)),
        }
    }
    Ok((columns, alias))
}

/// The columns of USING as those of a table.
fn named(alias: &str, columns: &[ScopeColumn]) -> Scope {
    let columns = columns.iter().map(|column| ScopeColumn {
        table: Some(alias.to_owned()),
        bare: false,
        ..column.clone()
    });
    Scope {
        columns: columns.collect(),
        tables: vec![(alias.to_owned(), None)],
        aliases: vec![alias.to_owned()],
        ..Scope::default()
    }
}

/// All pairs of the rows of two items, the second of which may name the first one's by `outer`.
pub(super) fn cross(
    left: Source,
    right: Source,
    outer: Vec<(usize, Expr)>,
    at: Option<Position>,
) -> Result<Source> {
    let mut scope = left.scope;
    scope.append(right.scope, at)?;
    let mut plan = join_plan(left.plan, right.plan, JoinKind::Inner, false, Vec::new());
    depend(&mut plan, outer);
    let rows = [left.rows, right.rows].concat();
    Ok(Source { plan, scope, rows })
}

/// The right side of a join names the left row by these.
fn depend(plan: &mut Logical, outer: Vec<(usize, Expr)>) {
    if let Logical::Join(join) = plan {
        join.outer = outer;
    }
}

/// Whether an item may name those before it.
pub(super) fn is_lateral(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Derived { lateral, .. } => *lateral,
        TableFactor::Table { args, .. } => args.is_some(),
        TableFactor::Function { .. } | TableFactor::UNNEST { .. } => true,
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => has_lateral(table_with_joins),
        _ => false,
    }
}

/// The same for an item with what is joined to it.
pub(super) fn has_lateral(item: &ast::TableWithJoins) -> bool {
    let joined = item.joins.iter().map(|join| &join.relation);
    joined.chain([&item.relation]).any(is_lateral)
}

/// A RIGHT JOIN is a LEFT JOIN of the sides swapped.
fn join_plan(
    left: Logical,
    right: Logical,
    kind: JoinKind,
    swapped: bool,
    on: Vec<Expr>,
) -> Logical {
    let (left, right) = if swapped {
        (right, left)
    } else {
        (left, right)
    };
    Logical::Join(Join::new(left, right, kind, on))
}

/// The value of one column, or of another where that is NULL.
fn either(one: &ScopeColumn, two: &ScopeColumn, common: DataType) -> Expr {
    let value = |column: &ScopeColumn| {
        let value = Expr::column(column.column, column.data_type);
        coerce::cast(value, common, false)
    };
    Expr::new(ExprKind::Coalesce(vec![value(one), value(two)]), common)
}

/// Fails, as PostgreSQL does, where no condition of a full join is an equality of both sides and some is more
/// than a constant.
fn check_hashable(on: &[Expr], left: &Logical, right: &Logical) -> Result<()> {
    let (left, right) = (left.column_set(), right.column_set());
    let side = |expr: &Expr| {
        let columns = expr.columns();
        match (columns.is_subset(&left), columns.is_subset(&right)) {
            (true, false) => Some(false),
            (false, true) => Some(true),
            _ => None,
        }
    };
    let names_both = |condition: &Expr| {
        let columns = condition.columns();
        condition.has_subquery() && !columns.is_subset(&left) && !columns.is_subset(&right)
    };
    if on.iter().any(names_both) {
        return refuse("a subquery about both sides of a FULL JOIN", None);
    }
    let is_key = |condition: &Expr| match condition.as_equality() {
        Some((a, b)) => matches!((side(a), side(b)), (Some(a), Some(b)) if a != b),
        None => false,
    };
    if on.iter().any(is_key) || on.iter().all(Expr::is_column_free) {
        return Ok(());
    }
    let message =
        "FULL JOIN is only supported with merge-joinable or hash-joinable join conditions";
    Err(Error::new(state::FEATURE_NOT_SUPPORTED, message))
}

fn shared_names(left: &Scope, right: &Scope) -> Vec<String> {
    let there = |name: &str| right.star().any(|column| column.name == name);
    let names = left.star().map(|column| column.name.clone());
    names.filter(|name| there(name)).collect()
}

fn using_column<'s>(
    scope: &'s Scope,
    name: &str,
    side: &str,
    at: Option<Position>,
) -> Result<&'s ScopeColumn> {
    let found = scope.star().filter(|column| column.name == name);
    match found.collect::<Vec<_>>().as_slice() {
        [one] => Ok(one),
        [] => Err(sql_error!(
            UNDEFINED_COLUMN,
            "column \"{name}\" specified in USING clause does not exist in {side} table"
        )
        .at(at)),
        _ => Err(sql_error!(
            AMBIGUOUS_COLUMN,
            "common column name \"{name}\" appears more than once in {side} table"
        )
        .at(at)),
    }
}
