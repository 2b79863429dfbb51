//! Views through which a table is changed: a simple query of one table, or of one such view.
//!
//! The view's columns are expressions over the columns of the table beneath, by position, and its rows are
//! those for which its conditions are true. So a statement that names the view is bound as one about the
//! table: names mean what the view's columns are made of, what a column number stands for that is none of
//! the table's is put in its place afterwards ([`Through::put_in`]), and the view's conditions are added.
//!
//! `WITH CHECK OPTION` makes the conditions checks of what is written; `CASCADED` those of the views beneath as well.

use super::check::column_position;
use super::scope::{Scope, ScopeColumn};
use super::{Binder, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{parse_query, place};
use crate::plan::statement::RowCheck;
use crate::plan::{Expr, ExprKind};
use remora_storage::TableId;
use remora_storage::catalog::{TableDef, TableEntry, ViewCheck, ViewDef, ViewSource};
use sqlparser::ast::{self, SetExpr, TableFactor};
use std::sync::Arc;

/// A view through which a table is changed.
#[derive(Clone, Debug)]
pub(super) struct Through {
    /// The view's name.
    pub view: String,
    /// What it shows, in order, each over the columns of the table.
    pub columns: Vec<(String, Expr)>,
    /// Which of the table's rows it shows: all of these are true.
    pub conditions: Vec<Expr>,
    /// What must be true of rows that are written.
    pub checks: Vec<RowCheck>,
    /// Numbers of columns that are none of the table's, and what they stand for.
    stands: Vec<(usize, Expr)>,
}

/// What is changed: a table by itself or through a view.
#[derive(Clone, Copy)]
pub(super) struct Written<'t> {
    /// The table.
    pub table: &'t TableDef,
    /// The view.
    pub through: Option<&'t Through>,
}

/// What PostgreSQL says of a view that is not updatable.
type Reason = &'static str;

const NOT_SINGLE: Reason =
    "Views that do not select from a single table or view are not automatically updatable.";

impl<'t> Written<'t> {
    /// A table by itself.
    pub(super) fn of(table: &'t TableDef) -> Self {
        Self {
            table,
            through: None,
        }
    }

    /// The position in the table of a column that a statement names; `action` is what it does to the view.
    ///
    /// # Errors
    /// 42703; 0A000 where the view computes it.
    pub(super) fn position(&self, ident: &ast::Ident, action: &str) -> Result<usize> {
        let Some(through) = self.through else {
            return column_position(self.table, ident);
        };
        let wanted = name::fold(ident)?;
        let mut columns = through.columns.iter();
        let Some((_, expr)) = columns.find(|(name, _)| *name == wanted) else {
            let view = &through.view;
            let message = format!("column \"{wanted}\" of relation \"{view}\" does not exist");
            return Err(Error::new(state::UNDEFINED_COLUMN, message).at(place(ident.span)));
        };
        match expr.kind {
            ExprKind::Column(position) if position < self.table.columns.len() => Ok(position),
            _ => Err(self.computed(&wanted, action).at(place(ident.span))),
        }
    }

    /// The columns that rows are inserted into where none are named, as far as there is a value for each.
    pub(super) fn all(&self, values: usize) -> Result<Vec<usize>> {
        let Some(through) = self.through else {
            return Ok(self.table.listed().map(|(position, _)| position).collect());
        };
        let columns = through.columns.iter().take(values);
        let idents = columns.map(|(name, _)| ast::Ident::with_quote('"', name));
        let positions = idents.map(|ident| self.position(&ident, "insert into"));
        positions.collect()
    }

    fn computed(&self, column: &str, action: &str) -> Error {
        let view = self.through.map_or("", |through| through.view.as_str());
        let message = format!("cannot {action} column \"{column}\" of view \"{view}\"");
        Error::new(state::FEATURE_NOT_SUPPORTED, message).with_detail(
            "View columns that are not columns of their base relation are not updatable.",
        )
    }
}

impl Through {
    /// What names mean; columns that are none of the table's get numbers.
    pub(super) fn scope(
        &mut self,
        binder: &mut Binder<'_>,
        table: &TableDef,
        shown: &str,
        hides: Option<String>,
    ) -> Scope {
        let stands = &mut self.stands;
        let columns = self.columns.iter().map(|(name, expr)| {
            let column = match expr.kind {
                ExprKind::Column(position) if position < table.columns.len() => position,
                _ => {
                    let number = binder.columns.add_for(name, expr);
                    stands.push((number, expr.clone()));
                    number
                }
            };
            (name.clone(), column, expr.data_type)
        });
        Scope::named(shown, hides, columns)
    }

    /// The columns of a table's row under the names that the view has for them; those that it computes get
    /// numbers.
    pub(super) fn renamed(&mut self, binder: &mut Binder<'_>, row: Scope) -> Scope {
        let mut named = Vec::with_capacity(self.columns.len());
        let table = row.tables.first().map(|(name, _)| name.clone());
        for (name, expr) in &self.columns {
            let over = |position: usize| row.columns.get(position);
            let found = match expr.kind {
                ExprKind::Column(position) => over(position).cloned(),
                _ => {
                    let computed = expr.clone().replace_columns(&mut |position, data_type| {
                        over(position).map(|c| Expr::column(c.column, data_type))
                    });
                    let column = binder.columns.add_for(name, &computed);
                    self.stands.push((column, computed));
                    Some(ScopeColumn::new(
                        table.clone(),
                        String::new(),
                        column,
                        expr.data_type,
                    ))
                }
            };
            let name = name.clone();
            named.extend(found.map(|column| ScopeColumn { name, ..column }));
        }
        Scope {
            columns: named,
            tables: row.tables,
            row_types: row.row_types,
            aliases: row.aliases,
            unlisted: row.unlisted,
        }
    }

    /// An expression over the table's columns and whatever else it names.
    pub(super) fn put_in(&self, expr: Expr) -> Expr {
        expr.substitute(&self.stands)
    }
}

impl<'a> Binder<'a> {
    /// The table that is changed where a view is named; `action` is how the complaint calls it, which says why it
    /// cannot be.
    ///
    /// # Errors
    /// 55000
    pub(super) fn base_of(
        &self,
        view: &ViewDef,
        action: &str,
        at: Option<Position>,
    ) -> Result<Arc<TableEntry>> {
        let base = self.base(view);
        base.map_err(|(view, reason)| not_updatable(&view, reason, action).at(at))
    }

    /// What a name in a view's query stands for.
    fn source_in<'v>(
        &self,
        view: &'v ViewDef,
        name: &ast::ObjectName,
    ) -> Result<Option<&'v ViewSource>> {
        let located = self.relation(name)?;
        let called = |name: &str| view.sources.iter().find(|source| source.name == name);
        // What is in `public` may have been noted without that.
        Ok(called(&located.to_string()).or_else(|| called(located.name())))
    }

    /// The table beneath a view; else which view is not updatable, and why.
    fn base(&self, view: &ViewDef) -> Result<Arc<TableEntry>, (String, Reason)> {
        let because = |reason| (view.name.clone(), reason);
        let Ok(query) = parse_query(&view.query) else {
            return Err(because(NOT_SINGLE));
        };
        let source = source_of(&query).map_err(because)?;
        let source = self.source_in(view, source).ok().flatten();
        let relation = source.map_or_else(TableId::default, |source| source.relation);
        if let Some(table) = self.catalog.table_by_id(relation) {
            return Ok(Arc::clone(table));
        }
        match self.catalog.view_by_id(relation) {
            // Views do not lead to themselves, and each takes a name of the statement that made it.
            Some(beneath) => self.base(beneath),
            None => Err(because(NOT_SINGLE)),
        }
    }

    /// What a view is over the table beneath it, whose columns have their positions as numbers.
    ///
    /// # Errors
    /// 55000 where it is not updatable.
    pub(super) fn through(
        &mut self,
        view: &ViewDef,
        action: &str,
        at: Option<Position>,
    ) -> Result<Through> {
        self.through_view(view, false, action, at)
    }

    fn through_view(
        &mut self,
        view: &ViewDef,
        cascaded: bool,
        action: &str,
        at: Option<Position>,
    ) -> Result<Through> {
        let base = self.base_of(view, action, at)?;
        let query = parse_query(&view.query)?;
        let refused = |reason| not_updatable(&view.name, reason, action).at(at);
        let factor = factor_of(&query).map_err(refused)?;
        let SetExpr::Select(select) = &*query.body else {
            return Err(refused(NOT_SINGLE));
        };
        let TableFactor::Table { name, alias, .. } = factor else {
            return Err(refused(NOT_SINGLE));
        };
        let source_name = name::relation(name)?.name;
        let source = self.source_in(view, name)?;
        let source = source.ok_or_else(|| refused(NOT_SINGLE))?;
        let cascades = cascaded || view.check == Some(ViewCheck::Cascaded);
        let beneath = match self.catalog.view_by_id(source.relation) {
            Some(beneath) => {
                let beneath = Arc::clone(beneath);
                let through = self.deeper(at, |binder| {
                    binder.through_view(&beneath, cascades, action, at)
                })?;
                Some(through)
            }
            None => None,
        };
        let meaning = |id: remora_storage::ColumnId| match &beneath {
            Some(through) => through
                .columns
                .get(id.0 as usize)
                .map(|(_, expr)| expr.clone()),
            None => {
                let position = base.def.position(id)?;
                Some(Expr::column(position, base.def.columns[position].data_type))
            }
        };
        let shown = match alias {
            Some(alias) => name::fold(&alias.name)?,
            None => source_name.clone(),
        };
        let named = source.columns.iter();
        let named = named.filter_map(|column| Some((column.name.clone(), meaning(column.id)?)));
        let mut below = Through {
            view: source_name.clone(),
            columns: named.collect(),
            conditions: Vec::new(),
            checks: Vec::new(),
            stands: Vec::new(),
        };
        let hides = (shown != source_name).then_some(source_name);
        let mut scope = below.scope(self, &base.def, &shown, hides);
        super::from::rename(&mut scope, alias.as_ref(), &shown)?;
        let mut inner = Binder::new(self.catalog);
        inner.names = Some(&view.sources);
        inner.path = self.path;
        inner.depth = self.depth;
        inner.parts.all_inlined = true;
        inner.columns = std::mem::take(&mut self.columns);
        let bound = inner.updatable_select(select, &scope);
        self.columns = inner.columns;
        let (items, condition) = bound?.map_err(refused)?;
        let condition = condition.map(|condition| below.put_in(condition));
        let (mut conditions, mut checks) = match beneath {
            Some(beneath) => (beneath.conditions, beneath.checks),
            None => (Vec::new(), Vec::new()),
        };
        if cascaded || view.check.is_some() {
            checks.extend(condition.iter().map(|condition| RowCheck {
                name: view.name.clone(),
                of_view: true,
                asked: None,
                condition: condition.clone(),
            }));
        }
        conditions.extend(condition);
        let names = view.columns.iter().map(|column| column.name.clone());
        let items = items.into_iter().map(|(_, expr)| below.put_in(expr));
        Ok(Through {
            view: view.name.clone(),
            columns: names.zip(items).collect(),
            conditions,
            checks,
            stands: Vec::new(),
        })
    }

    /// The items and the condition of a select that may be updatable.
    #[allow(clippy::type_complexity)]
    fn updatable_select<'q>(
        &mut self,
        select: &'q ast::Select,
        scope: &Scope,
    ) -> Result<Result<(Vec<(String, Expr)>, Option<Expr>), Reason>>
    where
        'q: 'a,
    {
        let condition = match &select.selection {
            Some(condition) => {
                let mut cx = Context::new(scope, Clause::Where);
                Some(self.condition_of(condition, "WHERE", &mut cx)?)
            }
            None => None,
        };
        let mut cx = Context::with_aggregates(scope, Clause::Select);
        self.named_windows(select, &mut cx)?;
        let items = self.item_list(&select.projection, &mut cx)?;
        let has_windows = |windows: &super::window::Windows| windows.columns().next().is_some();
        let reason = if cx
            .aggregates
            .as_ref()
            .is_some_and(|found| !found.is_empty())
        {
            "Views that return aggregate functions are not automatically updatable."
        } else if cx.windows.as_ref().is_some_and(has_windows) {
            "Views that return window functions are not automatically updatable."
        } else if !cx.sets.is_empty() {
            "Views that return set-returning functions are not automatically updatable."
        } else {
            return Ok(Ok((items, condition)));
        };
        Ok(Err(reason))
    }
}

/// The name of the one thing that a query selects from.
fn source_of(query: &ast::Query) -> Result<&ast::ObjectName, Reason> {
    match factor_of(query)? {
        TableFactor::Table {
            name, args: None, ..
        } => Ok(name),
        _ => Err(NOT_SINGLE),
    }
}

/// The one item of FROM of a query, where nothing else keeps it from being updatable.
fn factor_of(query: &ast::Query) -> Result<&TableFactor, Reason> {
    let select = match &*query.body {
        SetExpr::Select(select) => Some(select),
        SetExpr::SetOperation { .. } => {
            return Err(
                "Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable.",
            );
        }
        _ => None,
    };
    let Some(select) = select else {
        return Err(NOT_SINGLE);
    };
    let is_grouped = match &select.group_by {
        ast::GroupByExpr::All(_) => true,
        ast::GroupByExpr::Expressions(exprs, modifiers) => {
            !exprs.is_empty() || !modifiers.is_empty()
        }
    };
    if select.distinct.is_some() {
        return Err("Views containing DISTINCT are not automatically updatable.");
    }
    if is_grouped {
        return Err("Views containing GROUP BY are not automatically updatable.");
    }
    if select.having.is_some() {
        return Err("Views containing HAVING are not automatically updatable.");
    }
    if query.with.is_some() {
        return Err("Views containing WITH are not automatically updatable.");
    }
    if query.limit_clause.is_some() || query.fetch.is_some() {
        return Err("Views containing LIMIT or OFFSET are not automatically updatable.");
    }
    match select.from.as_slice() {
        [item] if is_sampled(&item.relation) => {
            Err("Views containing TABLESAMPLE are not automatically updatable.")
        }
        [item] if item.joins.is_empty() => Ok(&item.relation),
        _ => Err(NOT_SINGLE),
    }
}

fn is_sampled(factor: &TableFactor) -> bool {
    matches!(
        factor,
        TableFactor::Table {
            sample: Some(_),
            ..
        }
    )
}

/// The complaint about a view that is not updatable.
fn not_updatable(view: &str, reason: Reason, action: &str) -> Error {
    let (doing, event) = match action {
        "insert into" => ("inserting into", "INSERT"),
        "update" => ("updating", "UPDATE"),
        _ => ("deleting from", "DELETE"),
    };
    let message = format!("cannot {action} view \"{view}\"");
    Error::new(state::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .with_detail(reason)
        .with_hint(format!(
            "To enable {doing} the view, provide an INSTEAD OF {event} trigger or an \
             unconditional ON {event} DO INSTEAD rule."
        ))
}

/// The complaint about a check option of a view that is not updatable.
pub(super) fn without_check_option(error: &Error) -> Error {
    let message = "WITH CHECK OPTION is supported only on automatically updatable views";
    let error_of_option = Error::new(state::FEATURE_NOT_SUPPORTED, message);
    match error.detail() {
        Some(reason) => error_of_option.with_hint(reason.to_owned()),
        None => error_of_option,
    }
}
