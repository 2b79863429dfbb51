//! GROUP BY: what is grouped by, and what of an expression remains to be computed afterwards.
//!
//! All expressions of a grouped query are bound over the columns of FROM first. Then every part of
//! them that is written like one of the groups is replaced by that group's column; a column that is
//! left over is an error, unless the groups hold its table's primary key: then it has one value a
//! group, and becomes a group itself.

use super::coerce::{self, check_equality};
use super::collation::plain;
use super::expr::{is_null, start};
use super::grouping_sets::Groups;
use super::query::Output;
use super::scope::Scope;
use super::{Binder, Clause, Context, name, order};
use crate::error::{Error, Position, Result, state};
use crate::function::aggregate::{self, host::Callable};
use crate::parse::refuse;
use crate::plan::grouping_sets::GroupingSets;
use crate::plan::logical::{Columns, Logical, Scan};
use crate::plan::physical::AggregateCall;
use crate::plan::{Expr, ExprKind};
use remora_storage::catalog::Constraint;
use remora_storage::{DataType, TableId, Value};
use sqlparser::ast;
use std::collections::{BTreeSet, HashMap};

/// The groups and aggregates of a query.
pub(super) struct Grouping<'s> {
    groups: Vec<(usize, Expr)>,
    sets: Option<GroupingSets>,
    aggregates: Vec<(usize, AggregateCall)>,
    /// Columns that are computed from groups and aggregates: what is called over windows, and sets.
    passed: Vec<usize>,
    scope: &'s Scope,
    places: HashMap<usize, Option<Position>>,
    /// For each scanned table with a primary key: the key's columns, and all columns.
    keyed: Vec<(Vec<usize>, Vec<usize>)>,
}

impl<'a> Binder<'a> {
    /// What GROUP BY names: input columns before output names, unlike ORDER BY.
    pub(super) fn group_by(
        &mut self,
        select: &'a ast::Select,
        scope: &Scope,
        outputs: &[Output],
        items: &[Expr],
        aggregates: &[(usize, AggregateCall)],
    ) -> Result<Groups> {
        let ast::GroupByExpr::Expressions(syntaxes, modifiers) = &select.group_by else {
            return refuse("GROUP BY ALL", None);
        };
        if !modifiers.is_empty() {
            return refuse("this form of GROUP BY", None);
        }
        let mut groups = Groups::default();
        let mut bind = |binder: &mut Self, syntax: &'a ast::Expr| {
            let group = binder.group(syntax, scope, outputs, items, aggregates)?;
            Ok(groups.place(group))
        };
        let sets = self.grouping_sets(syntaxes, &mut bind)?;
        let is_plain = match sets.as_slice() {
            // GROUP BY () makes a group of nothing, too.
            [set] => syntaxes.is_empty() || !set.is_empty(),
            _ => false,
        };
        if !is_plain {
            groups.sets = Some(GroupingSets {
                sets,
                groupings: Vec::new(),
            });
        }
        Ok(groups)
    }

    /// An expression of GROUP BY.
    fn group(
        &mut self,
        syntax: &'a ast::Expr,
        scope: &Scope,
        outputs: &[Output],
        items: &[Expr],
        aggregates: &[(usize, AggregateCall)],
    ) -> Result<Expr> {
        let at = start(syntax);
        let input = match syntax {
            ast::Expr::Identifier(ident) => scope.find(&name::fold(ident)?, at)?,
            _ => None,
        };
        let output = match input {
            None => order::output_of(syntax, outputs, "GROUP BY", &|one, two| {
                items[one].same(&items[two])
            })?,
            Some(_) => None,
        };
        let group = match output {
            Some(index) => items[index].clone(),
            None => self.typed(syntax, &mut Context::new(scope, Clause::GroupBy))?,
        };
        check_equality(group.data_type, at)?;
        let columns = group.columns();
        let mut found = aggregates.iter().map(|(column, _)| column);
        if found.any(|column| columns.contains(column)) {
            return Err(sql_error!(
                GROUPING_ERROR,
                "aggregate functions are not allowed in GROUP BY"
            )
            .at(at));
        }
        Ok(group)
    }
}

impl<'s> Grouping<'s> {
    pub(super) fn new(
        groups: Groups,
        cx: &mut Context<'s>,
        (plan, keyless): (&Logical, Option<TableId>),
        columns: &mut Columns,
    ) -> Self {
        let sets = groups.sets;
        let groups = groups
            .exprs
            .into_iter()
            .map(|group| (group_column(&group, columns), group));
        let mut keyed = Vec::new();
        collect_keys(plan, keyless, &mut keyed);
        Self {
            groups: groups.collect(),
            passed: {
                let windows = cx.windows.iter().flat_map(|found| found.columns());
                let sets = cx.sets.iter().map(|set| set.column);
                let asked = cx.groupings.iter().map(|call| call.column);
                windows.chain(sets).chain(asked).collect()
            },
            aggregates: cx.aggregates.take().unwrap_or_default(),
            sets,
            scope: cx.scope,
            places: std::mem::take(&mut cx.places),
            keyed,
        }
    }

    /// The expression over the groups' and aggregates' columns.
    ///
    /// # Errors
    /// 42803 where it names a column that is not grouped by.
    pub(super) fn rewrite(&mut self, expr: Expr, columns: &mut Columns) -> Result<Expr> {
        let mut error = None;
        let mut handed_on = BTreeSet::new();
        let expr = expr.replace(&mut |part| {
            if let ExprKind::Subquery(subquery) = &part.kind {
                handed_on.extend(subquery.outer.iter().flat_map(|(_, expr)| expr.columns()));
            }
            let group = self.groups.iter().find(|(_, group)| group.same(part));
            if let Some((column, _)) = group {
                return Some(Expr::column(*column, part.data_type));
            }
            let ExprKind::Column(column) = part.kind else {
                return None;
            };
            let aggregates = self.aggregates.iter().map(|(found, _)| found);
            if aggregates.chain(&self.passed).any(|found| *found == column) {
                return Some(part.clone());
            }
            let is_outer = (self.scope.columns.iter()).all(|found| found.column != column);
            if is_outer {
                return Some(part.clone());
            }
            if self.is_determined(column) {
                let new = group_column(part, columns);
                let sets = self.sets.iter_mut().flat_map(|sets| &mut sets.sets);
                sets.for_each(|set| set.push(self.groups.len()));
                self.groups.push((new, part.clone()));
                return Some(Expr::column(new, part.data_type));
            }
            error.get_or_insert_with(|| self.ungrouped(column, handed_on.contains(&column)));
            Some(part.clone())
        });
        error.map_or(Ok(expr), Err)
    }

    /// The node. A text that has a key is grouped by that, and shown as the least of the texts.
    pub(super) fn plan(mut self, input: Logical, binder: &mut Binder<'_>) -> Result<Logical> {
        let mut shown = Vec::new();
        for (column, group) in &mut self.groups {
            let found = binder.columns.collations.of_column(*column);
            let whole = plain(group.clone());
            if !binder.has_key(found, None)? {
                *group = whole;
                continue;
            }
            let key = binder.sorted_key(group.clone(), None)?;
            let number = binder.columns.add("?column?", key.data_type);
            let least = binder.columns.add("min", whole.data_type);
            self.aggregates.push((least, least_of(whole)?));
            shown.push((
                *column,
                shown_group((number, &key), binder.columns.expr(least)),
            ));
            (*column, *group) = (number, key);
        }
        let plan = Logical::Aggregate {
            input: Box::new(input),
            groups: self.groups,
            aggregates: self.aggregates,
            sets: self.sets,
            in_order: false,
        };
        if shown.is_empty() {
            return Ok(plan);
        }
        let passed = plan.columns().into_iter();
        let passed = passed.map(|column| (column, binder.columns.expr(column)));
        Ok(plan.project(passed.chain(shown).collect()))
    }

    fn is_determined(&self, column: usize) -> bool {
        let grouped = |key: &usize| {
            let is_key = |group: &Expr| matches!(group.kind, ExprKind::Column(c) if c == *key);
            let mut found = self.groups.iter().enumerate();
            found.any(|(at, (_, group))| is_key(group) && self.is_in_all_sets(at))
        };
        let mut keyed = self.keyed.iter();
        keyed.any(|(key, all)| all.contains(&column) && key.iter().all(grouped))
    }

    /// A group that is not in every set has NULLs where the column would have a value.
    fn is_in_all_sets(&self, group: usize) -> bool {
        let mut sets = self.sets.iter().flat_map(|sets| &sets.sets);
        sets.all(|set| set.contains(&group))
    }

    fn ungrouped(&self, column: usize, in_subquery: bool) -> Error {
        let found = self
            .scope
            .columns
            .iter()
            .find(|found| found.column == column);
        let name = match found {
            Some(found) => match &found.table {
                Some(table) => format!("{table}.{}", found.name),
                None => found.name.clone(),
            },
            None => column.to_string(),
        };
        let message = match in_subquery {
            true => format!("subquery uses ungrouped column \"{name}\" from outer query"),
            false => format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate \
                 function"
            ),
        };
        Error::new(state::GROUPING_ERROR, message).at(self.places.get(&column).copied().flatten())
    }
}

/// The least of a group's texts.
fn least_of(text: Expr) -> Result<AggregateCall> {
    let found = aggregate::resolve("min", &[Some(DataType::Text)])?;
    let found = found.ok_or_else(|| Error::internal("texts have a least one"))?;
    Ok(AggregateCall {
        aggregate: Callable::System(found.aggregate),
        data_type: text.data_type,
        arguments: vec![coerce::cast(text, DataType::Text, false)],
        distinct: false,
        filter: None,
        order: Vec::new(),
    })
}

/// A text that is grouped by its key: NULL where the key is, be it that the group is not in the set.
fn shown_group((number, key): (usize, &Expr), least: Expr) -> Expr {
    let is_missing = is_null(Expr::column(number, key.data_type));
    let data_type = least.data_type;
    Expr::case(
        vec![(is_missing, Expr::literal(Value::Null, data_type))],
        least,
        data_type,
    )
}

fn group_column(group: &Expr, columns: &mut Columns) -> usize {
    let name = match group.kind {
        ExprKind::Column(column) => columns.field(column).name.clone(),
        _ => "?column?".to_owned(),
    };
    columns.add_for(name, group)
}

fn collect_keys(
    plan: &Logical,
    keyless: Option<TableId>,
    keyed: &mut Vec<(Vec<usize>, Vec<usize>)>,
) {
    match plan {
        Logical::Scan(scan) if Some(scan.table.def.id) == keyless => {}
        Logical::Scan(scan) => keyed.extend(primary_key(scan)),
        Logical::Filter { input, .. } | Logical::Project { input, .. } => {
            collect_keys(input, keyless, keyed);
        }
        Logical::Join(join) => {
            collect_keys(&join.left, keyless, keyed);
            collect_keys(&join.right, keyless, keyed);
        }
        Logical::Part(rows) => {
            if let Some(plan) = rows.plan_here() {
                collect_keys(plan, keyless, keyed);
            }
        }
        _ => {}
    }
}

fn primary_key(scan: &Scan) -> Option<(Vec<usize>, Vec<usize>)> {
    let indexes = &scan.table.indexes;
    let key =
        (indexes.iter()).find(|index| index.def.constraint == Some(Constraint::PrimaryKey))?;
    if !key.def.unique {
        // It is checked later.
        return None;
    }
    let number = |id| {
        scan.columns
            .iter()
            .find(|(_, found)| *found == id)
            .map(|(n, _)| *n)
    };
    // Of a key that is computed, the text that it is computed from.
    let shown = |key: usize| {
        let computed = scan.computed.iter().find(|(found, _)| *found == key);
        let columns = computed.map(|(_, expr)| expr.columns());
        columns
            .and_then(|columns| columns.first().copied())
            .unwrap_or(key)
    };
    let key: Option<Vec<usize>> = key
        .def
        .columns
        .iter()
        .map(|c| number(c.column).map(shown))
        .collect();
    Some((key?, scan.numbers().collect()))
}
