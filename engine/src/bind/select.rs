//! SELECT: the clauses in the order in which they take effect.
//!
//! FROM, WHERE, then groups and aggregates if there are any, HAVING, the select list together with
//! what ORDER BY needs beside it, DISTINCT, ORDER BY.

use super::coerce::check_equality;
use super::collation::plain;
use super::expr::start;
use super::group::Grouping;
use super::locking::check_select;
use super::query::{Output, Relation};
use super::table_function::{SetCall, project_sets};
use super::window::{Windows, windowing};
use super::{Binder, Bound, Clause, Context, Unknown, coerce, label, name, order};
use crate::error::{Error, Result, state};
use crate::parse::{place, refuse};
use crate::plan::logical::Logical;
use crate::plan::{Expr, SortKey};
use remora_storage::DataType;
use remora_storage::limits::COLUMNS_MAX;
use sqlparser::ast::{self, SelectItem, SelectItemQualifiedWildcardKind};
use std::collections::BTreeSet;

/// The select list, while it is being put together.
#[derive(Default)]
struct Items {
    exprs: Vec<Expr>,
    outputs: Vec<Output>,
}

/// What a key of ORDER BY orders by.
enum Key {
    Output(usize),
    Expr(Expr),
}

impl<'a> Binder<'a> {
    /// Binds a SELECT with the ORDER BY that follows it.
    pub(super) fn select(
        &mut self,
        select: &'a ast::Select,
        order: &'a [ast::OrderByExpr],
        hints: &[DataType],
    ) -> Result<Relation> {
        refuse_clauses(select)?;
        let requests = std::mem::take(&mut self.requests);
        let outer = std::mem::replace(&mut self.locking, requests);
        let outside = std::mem::replace(&mut self.names_itself, false);
        let source = self.from(&select.from)?;
        let names_itself = std::mem::replace(&mut self.names_itself, outside);
        self.check_named(&source.scope)?;
        let requests = std::mem::replace(&mut self.locking, outer);
        let (mut plan, scope) = (source.plan, source.scope);
        if let Some(condition) = &select.selection {
            let mut cx = Context::new(&scope, Clause::Where);
            let predicate = self.condition_of(condition, "WHERE", &mut cx)?;
            plan = filter(plan, predicate);
        }
        let mut cx = Context::with_aggregates(&scope, Clause::Select);
        self.named_windows(select, &mut cx)?;
        let mut items = Items::default();
        for item in &select.projection {
            self.item(item, &mut items, hints, &mut cx)?;
        }
        for (name, column) in self.carried_columns(select, &scope)? {
            self.column_item(&name, column, &mut items);
        }
        check_width(&items)?;
        let mut having = None;
        if let Some(condition) = &select.having {
            cx.clause = Clause::Having;
            having = Some(self.condition_of(condition, "HAVING", &mut cx)?);
        }
        cx.clause = Clause::OrderBy;
        let mut keys = Vec::with_capacity(order.len());
        let alike = |one: usize, two: usize| items.exprs[one].same(&items.exprs[two]);
        for key in order {
            keys.push(
                match order::output_of(&key.expr, &items.outputs, "ORDER BY", &alike)? {
                    Some(index) => Key::Output(index),
                    None => Key::Expr(self.typed(&key.expr, &mut cx)?),
                },
            );
        }
        if let Some(ast::Distinct::On(on)) = &select.distinct {
            for expr in on {
                let output = order::output_of(expr, &items.outputs, "DISTINCT ON", &alike)?;
                keys.push(match output {
                    Some(index) => Key::Output(index),
                    None => Key::Expr(self.typed(expr, &mut cx)?),
                });
            }
        }
        let aggregates = cx
            .aggregates
            .as_ref()
            .is_some_and(|found| !found.is_empty());
        if names_itself && aggregates {
            let message =
                "aggregate functions are not allowed in a recursive query's recursive term";
            return Err(Error::new(state::INVALID_RECURSION, message));
        }
        let windows = cx
            .windows
            .iter()
            .any(|found| found.columns().next().is_some());
        check_select(&requests, select, aggregates, windows)?;
        if let Some(request) = requests.first().filter(|_| !cx.sets.is_empty()) {
            let why = "is not allowed with set-returning functions in the target list";
            return Err(request.refused(why));
        }
        plan = self.grouped(select, plan, cx, &mut items, &mut keys, having)?;
        let relation = Relation {
            plan,
            outputs: items.outputs,
            rows: source.rows,
        };
        self.project(select, relation, items.exprs, keys, order)
    }

    /// The items of a list that is no SELECT's, with their names.
    pub(super) fn item_list(
        &mut self,
        list: &'a [SelectItem],
        cx: &mut Context<'_>,
    ) -> Result<Vec<(String, Expr)>> {
        let mut items = Items::default();
        for item in list {
            self.item(item, &mut items, &[], cx)?;
        }
        check_width(&items)?;
        let names = items.outputs.into_iter().map(|output| output.name);
        Ok(names.zip(items.exprs).collect())
    }

    /// One item of the select list, which a star makes several.
    fn item(
        &mut self,
        item: &'a SelectItem,
        items: &mut Items,
        hints: &[DataType],
        cx: &mut Context<'_>,
    ) -> Result<()> {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = label::label(expr);
                self.value_item(expr, name, items, hints, cx)
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let name = name::fold_label(alias)?;
                self.value_item(expr, name, items, hints, cx)
            }
            SelectItem::Wildcard(options) => {
                let at = place(options.wildcard_token.0.span);
                refuse_star_options(options)?;
                if cx.scope.tables.is_empty() {
                    return Err(sql_error!(
                        SYNTAX_ERROR,
                        "SELECT * with no tables specified is not valid"
                    )
                    .at(at));
                }
                for column in cx.scope.star() {
                    cx.places.entry(column.column).or_insert(at);
                    self.note_use(column.column);
                    self.column_item(&column.name, column.column, items);
                }
                Ok(())
            }
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(table),
                options,
            ) => {
                refuse_star_options(options)?;
                let (table, at) = (name::single(table)?, name::object_place(table));
                if !cx.scope.has_table(&table) {
                    return Err(cx.scope.unknown_table(&table).at(at));
                }
                for column in cx.scope.table_star(&table) {
                    cx.places.entry(column.column).or_insert(at);
                    self.note_use(column.column);
                    self.column_item(&column.name, column.column, items);
                }
                Ok(())
            }
            _ => refuse("this kind of select item", None),
        }
    }

    fn value_item(
        &mut self,
        syntax: &'a ast::Expr,
        name: String,
        items: &mut Items,
        hints: &[DataType],
        cx: &mut Context<'_>,
    ) -> Result<()> {
        if let Some(record) = self.starred(syntax, cx)? {
            let record = self.computed_once(record, cx);
            for (name, value) in self.all_fields(record, start(syntax))? {
                self.push_item(name, value, None, items);
            }
            return Ok(());
        }
        let bound = self.expr(syntax, cx)?;
        let hint = hints.get(items.exprs.len());
        let (expr, unknown) = match (bound, hint) {
            (Bound::Typed(expr), _) => (expr, None),
            (unknown, Some(hint)) => (self.coerce(unknown, *hint)?, None),
            (Bound::Unknown(unknown), None) => {
                // A parameter has one type everywhere; literals may still be taken otherwise.
                let flexible = match unknown {
                    Unknown::Parameter(_) => None,
                    _ => Some(unknown.clone()),
                };
                (
                    self.coerce(Bound::Unknown(unknown), DataType::Text)?,
                    flexible,
                )
            }
        };
        self.push_item(name, expr, unknown, items);
        Ok(())
    }

    fn column_item(&mut self, name: &str, column: usize, items: &mut Items) {
        let expr = self.columns.expr(column);
        self.push_item(name.to_owned(), expr, None, items);
    }

    fn push_item(&mut self, name: String, expr: Expr, unknown: Option<Unknown>, items: &mut Items) {
        items.outputs.push(Output {
            column: self.columns.add_for(&name, &expr),
            name,
            data_type: expr.data_type,
            unknown,
        });
        items.exprs.push(expr);
    }

    /// Puts the Aggregate node in, if there is something to aggregate, HAVING on top, and windows above.
    fn grouped(
        &mut self,
        select: &'a ast::Select,
        mut plan: Logical,
        mut cx: Context<'_>,
        items: &mut Items,
        keys: &mut [Key],
        having: Option<Expr>,
    ) -> Result<Logical> {
        let aggregates = cx.aggregates.as_deref().unwrap_or_default();
        let mut groups =
            self.group_by(select, cx.scope, &items.outputs, &items.exprs, aggregates)?;
        groups.ask(&cx.groupings)?;
        let is_plain = groups.exprs.is_empty()
            && groups.sets.is_none()
            && aggregates.is_empty()
            && having.is_none();
        if is_plain {
            let sets = std::mem::take(&mut cx.sets);
            let windows = cx.windows.take().unwrap_or_default();
            plan = windows.plan(plan, sorted_by(keys, items), &mut self.columns);
            return Ok(self.with_records(project_sets(plan, sets), cx.records));
        }
        if groups.exprs.is_empty() && groups.sets.is_none() && aggregates.is_empty() {
            // A group of all rows, of which nothing is asked: none of them is read.
            plan = Logical::one_row(&mut self.columns);
        }
        refuse_windows(&groups.exprs, cx.windows.as_ref())?;
        plan = project_sets(plan, grouped_sets(&groups.exprs, &mut cx)?);
        let mut grouping = Grouping::new(groups, &mut cx, (&plan, self.keyless), &mut self.columns);
        let mut sets = std::mem::take(&mut cx.sets);
        let mut records = std::mem::take(&mut cx.records);
        let mut windows = cx.windows.take().unwrap_or_default();
        windows.rewrite(&mut |expr| grouping.rewrite(expr, &mut self.columns))?;
        for expr in &mut items.exprs {
            *expr = grouping.rewrite(expr.clone(), &mut self.columns)?;
        }
        for key in &mut *keys {
            if let Key::Expr(expr) = key {
                *expr = grouping.rewrite(expr.clone(), &mut self.columns)?;
            }
        }
        let having = match having {
            Some(having) => Some(grouping.rewrite(having, &mut self.columns)?),
            None => None,
        };
        let records_found = records.iter_mut().map(|(_, record)| record);
        for argument in sets
            .iter_mut()
            .flat_map(SetCall::arguments)
            .chain(records_found)
        {
            *argument = grouping.rewrite(argument.clone(), &mut self.columns)?;
        }
        for direct in std::mem::take(&mut cx.direct) {
            grouping
                .rewrite(direct, &mut self.columns)
                .map_err(|error| {
                    error.with_detail(
                    "Direct arguments of an ordered-set aggregate must use only grouped columns.",
                )
                })?;
        }
        plan = grouping.plan(plan, self)?;
        if let Some(predicate) = having {
            plan = filter(plan, predicate);
        }
        plan = windows.plan(plan, sorted_by(keys, items), &mut self.columns);
        Ok(self.with_records(project_sets(plan, sets), records))
    }

    /// The select list, DISTINCT and ORDER BY of a relation whose outputs are shown.
    fn project(
        &mut self,
        select: &'a ast::Select,
        Relation {
            plan,
            outputs,
            rows,
        }: Relation,
        shown: Vec<Expr>,
        keys: Vec<Key>,
        order: &'a [ast::OrderByExpr],
    ) -> Result<Relation> {
        let distinct = matches!(select.distinct, Some(ast::Distinct::Distinct));
        let on = match &select.distinct {
            Some(ast::Distinct::On(on)) => on.as_slice(),
            _ => &[],
        };
        let columns = outputs.iter().map(|output| output.column);
        let mut exprs: Vec<(usize, Expr)> = columns.zip(shown).collect();
        let mut sorted = Vec::with_capacity(keys.len());
        let syntaxes = order.iter().map(|key| &key.expr).chain(on);
        for (key, syntax) in keys.into_iter().zip(syntaxes) {
            let column = match key {
                Key::Output(index) => exprs[index].0,
                Key::Expr(expr) => {
                    match exprs.iter().find(|(_, found)| found.same(&expr)) {
                        Some((column, _)) => *column,
                        None if distinct => {
                            return Err(sql_error!(INVALID_COLUMN_REFERENCE, "for SELECT DISTINCT, ORDER BY expressions must appear in select list")
                        .at(start(syntax)));
                        }
                        None => {
                            let column = self.columns.add_for("?column?", &expr);
                            exprs.push((column, expr));
                            column
                        }
                    }
                }
            };
            sorted.push(column);
        }
        let mut distinct_on = sorted.split_off(order.len());
        for (column, syntax) in distinct_on.iter().zip(on) {
            check_equality(self.columns.field(*column).data_type, start(syntax))?;
        }
        if distinct {
            for (_, expr) in &exprs {
                check_equality(expr.data_type, None)?;
            }
        }
        check_distinct_on(&sorted, &distinct_on, on)?;
        let sort = order.iter().zip(sorted);
        let sort = sort.map(|(syntax, column)| self.sort_key(syntax, self.columns.expr(column)));
        let sort: Vec<SortKey> = sort.collect::<Result<_>>()?;
        for lock in &rows {
            exprs.push((lock.row, self.columns.expr(lock.row)));
        }
        let shown: Vec<usize> = exprs.iter().map(|(column, _)| *column).collect();
        for column in &mut distinct_on {
            let whole = exprs.iter().find(|(found, _)| found == column);
            if let Some((_, expr)) = whole {
                *column = self.key_column(expr.clone(), *column, &mut exprs)?;
            }
        }
        let exprs = exprs.into_iter();
        let exprs = exprs.map(|(column, expr)| (column, plain(expr))).collect();
        let mut plan = plan.project(exprs);
        if distinct {
            plan = self.distinct(plan, &shown)?;
        }
        if !sort.is_empty() {
            plan = Logical::Sort {
                input: Box::new(plan),
                keys: sort,
            };
        }
        if !distinct_on.is_empty() {
            plan = Logical::DistinctOn {
                input: Box::new(plan),
                columns: distinct_on,
            };
        }
        Ok(Relation {
            plan,
            outputs,
            rows,
        })
    }
}

/// What a query is ordered by.
fn sorted_by(keys: &[Key], items: &Items) -> Vec<Expr> {
    let key = |key: &Key| match key {
        Key::Output(index) => items.exprs[*index].clone(),
        Key::Expr(expr) => expr.clone(),
    };
    keys.iter().map(key).collect()
}

/// Fails where a group is an output that is computed over a window.
fn refuse_windows(groups: &[Expr], windows: Option<&Windows>) -> Result<()> {
    let windows: Vec<usize> = windows.iter().flat_map(|found| found.columns()).collect();
    match groups.iter().any(|group| {
        group
            .columns()
            .iter()
            .any(|column| windows.contains(column))
    }) {
        true => Err(windowing("window functions are not allowed in GROUP BY")),
        false => Ok(()),
    }
}

/// Takes the set-returning functions out that give what is grouped by: they come before groups are made.
///
/// # Errors
/// 42803 where one asks for an aggregate.
fn grouped_sets(groups: &[Expr], cx: &mut Context<'_>) -> Result<Vec<SetCall>> {
    let mut columns: BTreeSet<usize> = groups.iter().flat_map(Expr::columns).collect();
    let mut taken = Vec::new();
    while let Some(at) = cx.sets.iter().position(|set| columns.contains(&set.column)) {
        let mut set = cx.sets.remove(at);
        let of_arguments = set
            .arguments()
            .iter()
            .flat_map(|argument| argument.columns());
        columns.extend(of_arguments);
        taken.push(set);
    }
    let aggregates = cx.aggregates.iter().flatten().map(|(column, _)| *column);
    let aggregates: Vec<usize> = aggregates.collect();
    match taken.iter().find(|set| set.names(&aggregates)) {
        None => Ok(taken),
        Some(set) => {
            let message = "aggregate functions are not allowed in GROUP BY";
            Err(Error::new(state::GROUPING_ERROR, message).at(set.at))
        }
    }
}

/// Fails where the rows that DISTINCT ON has one of do not come one after the other in ORDER BY.
fn check_distinct_on(sorted: &[usize], on: &[usize], syntaxes: &[ast::Expr]) -> Result<()> {
    let mut other = false;
    for column in sorted.iter().filter(|_| !on.is_empty()) {
        match on.iter().position(|found| found == column) {
            Some(at) if other => return Err(unordered(&syntaxes[at])),
            Some(_) => {}
            None => other = true,
        }
    }
    let missing = on.iter().position(|column| !sorted.contains(column));
    match missing {
        Some(at) if other => Err(unordered(&syntaxes[at])),
        _ => Ok(()),
    }
}

fn unordered(syntax: &ast::Expr) -> Error {
    let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
    Error::new(state::INVALID_COLUMN_REFERENCE, message).at(start(syntax))
}

/// The rows of a plan for which the predicate is true.
pub(super) fn filter(input: Logical, predicate: Expr) -> Logical {
    Logical::Filter {
        input: Box::new(input),
        predicate: coerce::cast(predicate, DataType::Boolean, false),
    }
}

fn check_width(items: &Items) -> Result<()> {
    if items.exprs.len() <= COLUMNS_MAX {
        return Ok(());
    }
    let message = format!("target lists can have at most {COLUMNS_MAX} entries");
    Err(Error::new(state::TOO_MANY_COLUMNS, message))
}

fn refuse_clauses(select: &ast::Select) -> Result<()> {
    let at = place(select.select_token.0.span);
    if select.into.is_some() {
        let message = "SELECT ... INTO is not allowed here";
        return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
    }
    let clauses = [
        (select.qualify.is_some(), "QUALIFY"),
        (select.top.is_some(), "TOP"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (select.prewhere.is_some(), "PREWHERE"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (select.exclude.is_some(), "EXCLUDE"),
        (select.value_table_mode.is_some(), "SELECT AS VALUE"),
        (
            !select.cluster_by.is_empty()
                || !select.distribute_by.is_empty()
                || !select.sort_by.is_empty(),
            "CLUSTER BY, DISTRIBUTE BY and SORT BY",
        ),
        (
            select.flavor != ast::SelectFlavor::Standard,
            "a query that begins with FROM",
        ),
    ];
    match clauses.into_iter().find(|(there, _)| *there) {
        Some((_, what)) => refuse(what, at),
        None => Ok(()),
    }
}

fn refuse_star_options(options: &ast::WildcardAdditionalOptions) -> Result<()> {
    let plain = options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
        && options.opt_alias.is_none();
    if plain {
        return Ok(());
    }
    refuse("an option of *", place(options.wildcard_token.0.span))
}
