//! Keys of indexes that are computed: expressions, and the conditions of partial indexes.
//!
//! Each is what a *hidden* column of the table is computed from, a generated column without a name, so that nobody
//! can ask for it:
//!
//! ```text
//!   CREATE INDEX i ON t (lower(name), k DESC) WHERE k > 0
//!
//!     column 3, hidden:  lower(name)
//!     column 4, hidden:  k > 0
//!     index i:           column 4, column 3, k DESC; only rows in which column 4 is true
//! ```
//!
//! So whoever writes rows computes keys as he computes generated columns, and whoever reads, logs and recovers
//! them knows nothing of it. The price is the width of the key in each row, and that the rows are written anew
//! when the first index over an expression comes. Indexes over the same expression share its column.
//!
//! A hidden column without an index is computed no more, and is left out when rows are next written anew.

use super::altered::Altered;
use super::check::positions;
use super::generated::generated_of;
use super::index::{Names, index_column, test_class};
use super::label::label;
use super::record::refuse_records;
use super::{Binder, Bound, Clause, Context, collation, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::parse_expression;
use crate::plan::Expr;
use crate::plan::logical::LogicalStatement;
use crate::plan::structure::Step;
use remora_storage::catalog::{
    Catalog, Collation, ColumnDef, IndexColumn, IndexDef, IndexEntry, TableDef, TableEntry,
};
use remora_storage::{ColumnId, DataType, IndexId};
use sqlparser::ast;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whether CREATE INDEX names anything but columns.
pub(super) fn is_computed(create: &ast::CreateIndex, table: &TableDef) -> Result<bool> {
    for column in &create.columns {
        if expression_of(column).is_some() || key_collation(table, column)? == NOCASE {
            return Ok(true);
        }
    }
    Ok(create.predicate.is_some())
}

const NOCASE: Option<Collation> = Some(Collation::Nocase);

/// The collation of a part of a key: that of its column, where it says none.
fn key_collation(table: &TableDef, key: &ast::IndexColumn) -> Result<Option<Collation>> {
    let mut expr = &key.column.expr;
    loop {
        expr = match expr {
            ast::Expr::Nested(inner) => inner,
            ast::Expr::Collate { collation, .. } => {
                return collation::named(collation, DataType::Text);
            }
            ast::Expr::Identifier(ident) => {
                let column = table.column(&name::fold(ident)?);
                return Ok(column.and_then(|(_, column)| column.collation));
            }
            _ => return Ok(None),
        };
    }
}

/// The expression that a part of a key is, if it is more than a column.
fn expression_of(column: &ast::IndexColumn) -> Option<&ast::Expr> {
    let mut expr = &column.column.expr;
    while let ast::Expr::Nested(inner) | ast::Expr::Collate { expr: inner, .. } = expr {
        expr = inner;
    }
    (!matches!(expr, ast::Expr::Identifier(_))).then_some(expr)
}

/// What a hidden column is called in the name of an index.
pub(super) fn called(expression: &str) -> String {
    let syntax = parse_expression(expression);
    let name = syntax.map_or_else(|_| String::new(), |syntax| label(&syntax));
    match name.as_str() {
        "" | "?column?" => "expr".to_owned(),
        _ => name,
    }
}

impl<'a> Binder<'a> {
    /// Binds a CREATE INDEX some of whose keys are computed; `def` says all but the columns and the name.
    pub(super) fn computed_index(
        &mut self,
        create: &'a ast::CreateIndex,
        mut altered: Altered<'a>,
        mut def: IndexDef,
        name: Option<String>,
    ) -> Result<LogicalStatement> {
        if let Some(condition) = &create.predicate {
            let column = self.hidden_column(&mut altered, condition, Clause::IndexCondition)?;
            def.partial = true;
            def.columns.push(IndexColumn::ascending(column));
        }
        for column in &create.columns {
            let Some(expression) = expression_of(column) else {
                let table = &altered.draft.table;
                let (ident, mut key) = index_column(table, column, "")?;
                if key_collation(table, column)? == NOCASE {
                    let text = ColumnDef::folding(&name::fold(ident)?);
                    let at = super::expr::start(&column.column.expr);
                    key.column = altered.draft.hidden_key(text, DataType::Text, at)?;
                    altered.fill_up();
                }
                def.columns.push(key);
                continue;
            };
            // What it says matters where another collation comes along.
            let mut columns = altered.draft.table.columns.iter();
            let is_said = key_collation(&altered.draft.table, column)? == NOCASE
                || columns.any(|column| column.collation == NOCASE);
            let expression = match &column.column.expr {
                said @ ast::Expr::Collate { .. } if is_said => said,
                _ => expression,
            };
            refuse_bare(&column.column.expr)?;
            if let Some(class) = &column.operator_class {
                test_class(class)?;
            }
            let descending = matches!(column.column.options.sort, Some(ast::OrderBySort::Desc));
            def.columns.push(IndexColumn {
                column: self.hidden_column(&mut altered, expression, Clause::Index)?,
                descending,
                nulls_first: column.column.options.nulls_first.unwrap_or(descending),
            });
        }
        def.name = match name {
            Some(name) => name,
            None => Names::new(self.catalog, &altered.draft.table).index(&def),
        };
        altered.after.push(Step::CreateIndex(def));
        self.finish_alter(altered)
    }

    /// The hidden column that is computed from an expression.
    fn hidden_column(
        &mut self,
        altered: &mut Altered<'a>,
        syntax: &ast::Expr,
        clause: Clause,
    ) -> Result<ColumnId> {
        let expr = bound_key(self.catalog, &altered.draft.table, syntax, clause)?;
        if !expr.is_immutable() {
            let what = match clause {
                Clause::IndexCondition => "functions in index predicate",
                _ => "functions in index expression",
            };
            let message = format!("{what} must be marked IMMUTABLE");
            return Err(Error::new(state::INVALID_OBJECT_DEFINITION, message)
                .at(super::expr::start(syntax)));
        }
        refuse_records(&label(syntax), expr.data_type, super::expr::start(syntax))?;
        let at = super::expr::start(syntax);
        let id = (altered.draft).hidden_key(syntax.to_string(), expr.data_type, at)?;
        altered.fill_up();
        Ok(id)
    }

    /// How indexes go, and hidden columns with them that no other index is over.
    pub(super) fn without_computed(&self, dropped: &[IndexId]) -> Vec<Step> {
        let mut steps: Vec<Step> = dropped.iter().map(|id| Step::DropIndex(*id)).collect();
        let mut seen: BTreeSet<_> = BTreeSet::new();
        for id in dropped {
            let Some((table, _)) = self.catalog.index_by_id(*id) else {
                continue;
            };
            if seen.insert(table.def.id) {
                let kept = table.indexes.iter().map(|index| &index.def);
                let kept = kept.filter(|index| !dropped.contains(&index.id));
                let mut def = table.def.clone();
                retire_hidden(&mut def, kept);
                if def != table.def {
                    steps.push(Step::DefineTable(def));
                }
            }
        }
        steps
    }
}

/// Binds what a key is computed from, over the columns of a table by position.
fn bound_key(
    catalog: &Catalog,
    table: &TableDef,
    syntax: &ast::Expr,
    clause: Clause,
) -> Result<Expr> {
    let scope = positions(&table.name, &table.columns);
    let mut binder = Binder::new(catalog);
    binder.collate_positions(&table.columns);
    let mut cx = Context::new(&scope, clause);
    if clause == Clause::IndexCondition {
        return binder.condition_of(syntax, "WHERE", &mut cx);
    }
    let bound: Bound = binder.expr(syntax, &mut cx)?;
    let data_type = bound.data_type().unwrap_or(DataType::Text);
    let key = binder.coerce(bound, data_type)?;
    binder.sorted_key(key, super::expr::start(syntax))
}

/// PostgreSQL's grammar wants parentheses around what is not a call.
fn refuse_bare(expr: &ast::Expr) -> Result<()> {
    use ast::Expr as E;
    let expr = match expr {
        E::Collate { expr, .. } => expr,
        other => other,
    };
    let operator = match expr {
        E::BinaryOp { op, .. } => op.to_string(),
        E::UnaryOp { op, .. } => op.to_string(),
        E::Cast {
            kind: ast::CastKind::DoubleColon,
            ..
        } => "::".to_owned(),
        E::IsNull(_) | E::IsNotNull(_) => "IS".to_owned(),
        E::Case { .. } => "CASE".to_owned(),
        E::Value(value) => value.to_string(),
        _ => return Ok(()),
    };
    Err(name::syntax_error(&operator, super::expr::start(expr)))
}

/// Has hidden columns be computed no more that none of these indexes is over.
pub(super) fn retire_hidden<'i>(table: &mut TableDef, indexes: impl Iterator<Item = &'i IndexDef>) {
    let used: BTreeSet<ColumnId> = indexes
        .flat_map(|index| index.columns.iter().map(|key| key.column))
        .collect();
    let mut columns = table.columns.iter_mut();
    while let Some(column) = columns.find(|c| c.is_hidden() && !used.contains(&c.id)) {
        column.generated = None;
    }
}

/// The hidden columns that are computed from a column.
pub(super) fn hidden_from(
    catalog: &Catalog,
    table: &TableDef,
    column: ColumnId,
) -> Result<Vec<ColumnId>> {
    let mut found = Vec::new();
    for hidden in table.columns.iter().filter(|column| column.is_hidden()) {
        let Some(text) = &hidden.generated else {
            continue;
        };
        // As it is written: what it names may be computed itself.
        let expr = bound_key(catalog, table, &parse_expression(text)?, Clause::Index)?;
        let mut named = expr.columns().into_iter();
        if named.any(|position| table.columns[position].id == column) {
            found.push(hidden.id);
        }
    }
    Ok(found)
}

/// Gives hidden columns that are computed from a column, whose type is another now, the types that they get
/// by that.
pub(super) fn retype_hidden(catalog: &Catalog, table: &mut TableDef, source: usize) -> Result<()> {
    for position in 0..table.columns.len() {
        let column = &table.columns[position];
        let Some(text) = column.generated.as_ref().filter(|_| column.is_hidden()) else {
            continue;
        };
        let expr = bound_key(catalog, table, &parse_expression(text)?, Clause::Index)?;
        if expr.columns().contains(&source) {
            table.columns[position].data_type = expr.data_type;
        }
    }
    Ok(())
}

/// The hidden columns of a table with what they are computed from, over its columns by position.
pub(super) fn hidden_keys(catalog: &Catalog, table: &TableDef) -> Result<Vec<(usize, Expr)>> {
    if table.columns.iter().all(|column| !column.is_hidden()) {
        return Ok(Vec::new());
    }
    let found = generated_of(catalog, table, None)?.into_iter();
    Ok(found
        .filter(|(position, _)| table.columns[*position].is_hidden())
        .collect())
}

/// What an ON CONFLICT says of the indexes that it means, beside columns.
#[derive(Default)]
pub(super) struct Inferred {
    /// The columns, hidden ones too.
    pub(super) columns: BTreeSet<ColumnId>,
    /// The parts of the condition.
    pub(super) condition: Vec<Expr>,
}

impl Inferred {
    /// Adds a column: that of its keys, if it is compared by keys and an index is over these.
    ///
    /// # Errors
    /// Those of binding what indexes are over.
    pub(super) fn column(
        &mut self,
        catalog: &Catalog,
        table: &TableEntry,
        position: usize,
    ) -> Result<()> {
        let column = &table.def.columns[position];
        if column.collation == NOCASE
            && self
                .expression(catalog, table, &ColumnDef::folding(&column.name))?
                .is_some()
        {
            return Ok(());
        }
        self.columns.insert(column.id);
        Ok(())
    }

    /// Adds an expression; `None` where no index is over it.
    ///
    /// # Errors
    /// Those of binding it.
    pub(super) fn expression(
        &mut self,
        catalog: &Catalog,
        table: &TableEntry,
        text: &str,
    ) -> Result<Option<()>> {
        let expr = bound_key(catalog, &table.def, &parse_expression(text)?, Clause::Index)?;
        let hidden = hidden_keys(catalog, &table.def)?;
        let same = hidden.iter().find(|(_, key)| key.same(&expr));
        Ok(same.map(|(position, _)| {
            self.columns.insert(table.def.columns[*position].id);
        }))
    }

    /// Sets the condition.
    pub(super) fn condition(
        &mut self,
        catalog: &Catalog,
        table: &TableEntry,
        text: &str,
    ) -> Result<()> {
        let syntax = parse_expression(text)?;
        let expr = bound_key(catalog, &table.def, &syntax, Clause::IndexCondition)?;
        self.condition = expr.conjuncts();
        Ok(())
    }

    /// Those of unique indexes that are meant.
    pub(super) fn arbiters<'i>(
        &self,
        catalog: &Catalog,
        table: &TableDef,
        unique: impl Iterator<Item = &'i Arc<IndexEntry>>,
    ) -> Result<Vec<Arc<IndexEntry>>> {
        let hidden = hidden_keys(catalog, table)?;
        let is_meant = |index: &&Arc<IndexEntry>| {
            let keys = index.def.columns.iter().map(|key| key.column);
            let keys: BTreeSet<ColumnId> = keys.skip(usize::from(index.def.partial)).collect();
            self.columns == keys && (!index.def.partial || self.implies(table, &index.def, &hidden))
        };
        Ok(unique.filter(is_meant).cloned().collect())
    }

    fn implies(&self, table: &TableDef, index: &IndexDef, hidden: &[(usize, Expr)]) -> bool {
        let condition = index.columns.first();
        let condition = condition.and_then(|key| table.position(key.column));
        let condition = hidden.iter().find(|(at, _)| Some(*at) == condition);
        condition.is_some_and(|(_, condition)| crate::plan::implies(&self.condition, condition))
    }
}

/// The complaint about an ON CONFLICT that no index fits.
pub(super) fn no_arbiter(at: Option<Position>) -> Error {
    let message =
        "there is no unique or exclusion constraint matching the ON CONFLICT specification";
    Error::new(state::INVALID_COLUMN_REFERENCE, message).at(at)
}
