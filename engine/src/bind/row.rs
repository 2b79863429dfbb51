//! Rows compared with rows: `(a, b) < (c, d)`, `ROW(a, b) IN ((1, 2), ..)`, `(a, b) = (SELECT ..)`, and tested for NULL.
//!
//! They are compared from left to right: `(a, b) < (c, d)` is `a < c OR (a = c AND b < d)`, which is NULL where
//! PostgreSQL's is: where what decides cannot be known. A row that is compared with a value that is a record becomes a
//! value itself (`record.rs`).

use super::expr::{is_null, not, start};
use super::operator::boolean;
use super::subquery::unwrapped;
use super::{Binder, Bound, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::refuse;
use crate::plan::{Expr, ExprKind};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};

/// Whether a row is written out.
pub(super) fn is_row(syntax: &ast::Expr) -> bool {
    match unwrapped(syntax) {
        ast::Expr::Tuple(_) => true,
        ast::Expr::Function(call) => row_arguments(call).is_some(),
        _ => false,
    }
}

fn is_query(syntax: &ast::Expr) -> bool {
    matches!(unwrapped(syntax), ast::Expr::Subquery(_))
}

/// What is between the brackets of `ROW(..)`.
fn row_arguments(call: &ast::Function) -> Option<&[FunctionArg]> {
    let is_row = matches!(name::parts(&call.name).as_deref(), Ok([ident])
        if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("row"));
    match &call.args {
        FunctionArguments::List(list) if is_row => Some(&list.args),
        _ => None,
    }
}

/// The expressions of a row that is written out; `None` where one of them is a star.
pub(super) fn written(syntax: &ast::Expr) -> Option<Vec<&ast::Expr>> {
    match unwrapped(syntax) {
        ast::Expr::Tuple(items) => Some(items.iter().collect()),
        ast::Expr::Function(call) => {
            let arguments = row_arguments(call)?.iter();
            let arguments = arguments.map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
                _ => None,
            });
            arguments.collect()
        }
        _ => None,
    }
}

impl<'a> Binder<'a> {
    /// The values of a row that is written out; `None` where something else is.
    pub(super) fn row(
        &mut self,
        syntax: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Option<Vec<Bound>>> {
        let mut row = Vec::new();
        match unwrapped(syntax) {
            ast::Expr::Tuple(items) => {
                for item in items {
                    self.row_part(item, &mut row, cx)?;
                }
            }
            ast::Expr::Function(call) => {
                let Some(arguments) = row_arguments(call) else {
                    return Ok(None);
                };
                for argument in arguments {
                    match argument {
                        FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(table)) => {
                            let at = name::object_place(table);
                            let columns = self.columns_of(&name::single(table)?, at, cx)?;
                            row.extend(columns.into_iter().map(Bound::Typed));
                        }
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => {
                            self.row_part(value, &mut row, cx)?;
                        }
                        other => row.push(self.argument(other, start(syntax), cx)?),
                    }
                }
            }
            _ => return Ok(None),
        }
        Ok(Some(row))
    }

    /// One value of a row, or all those that a star stands for.
    fn row_part(
        &mut self,
        syntax: &'a ast::Expr,
        row: &mut Vec<Bound>,
        cx: &mut Context<'_>,
    ) -> Result<()> {
        match self.starred(syntax, cx)? {
            None => row.push(self.expr(syntax, cx)?),
            Some(record) => {
                let fields = self.all_fields(record, start(syntax))?;
                row.extend(fields.into_iter().map(|(_, value)| Bound::Typed(value)));
            }
        }
        Ok(())
    }

    /// All columns of a table of the query.
    pub(super) fn columns_of(
        &mut self,
        table: &str,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Vec<Expr>> {
        if !cx.scope.has_table(table) {
            return Err(cx.scope.unknown_table(table).at(at));
        }
        let columns = cx.scope.table_star(table);
        let columns: Vec<_> = columns
            .map(|found| (found.column, found.data_type))
            .collect();
        for (column, _) in &columns {
            self.note_use(*column);
            if !cx.in_aggregate {
                cx.places.entry(*column).or_insert(at);
            }
        }
        let exprs = columns.into_iter();
        Ok(exprs
            .map(|(column, data_type)| Expr::column(column, data_type))
            .collect())
    }

    /// A side of a comparison with a row of so many values, if that is known.
    fn side(
        &mut self,
        syntax: &'a ast::Expr,
        width: Option<usize>,
        cx: &mut Context<'_>,
    ) -> Result<Vec<Bound>> {
        let at = start(syntax);
        if let Some(row) = self.row(syntax, cx)? {
            return Ok(row);
        }
        let ast::Expr::Subquery(query) = unwrapped(syntax) else {
            return refuse("comparing a row with something else", at);
        };
        let row = self.row_of_query(query, at, cx)?;
        if let Some(width) = width.filter(|width| *width != row.len()) {
            let how = if row.len() < width { "few" } else { "many" };
            return Err(sql_error!(SYNTAX_ERROR, "subquery has too {how} columns").at(at));
        }
        Ok(row.into_iter().map(Bound::Typed).collect())
    }

    /// `left name right`, one of which is a row.
    pub(super) fn compare_rows(
        &mut self,
        name: &'static str,
        left: &'a ast::Expr,
        right: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = start(left);
        if [left, right]
            .iter()
            .any(|side| !is_row(side) && !is_query(side))
        {
            let sides = vec![self.expr(left, cx)?, self.expr(right, cx)?];
            return self.call(name, sides, at);
        }
        let left = self.side(left, None, cx)?;
        let right = self.side(right, Some(left.len()), cx)?;
        let compared = self.compare(name, left, right, at)?;
        Ok(Bound::Typed(compared))
    }

    /// `row IN (rows)`
    pub(super) fn row_in_list(
        &mut self,
        row: &'a ast::Expr,
        list: &'a [ast::Expr],
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let at = start(row);
        if [row]
            .into_iter()
            .chain(list)
            .any(|side| !is_row(side) && !is_query(side))
        {
            return self.record_in_list(row, list, cx);
        }
        let row = self.side(row, None, cx)?;
        let mut equal = Vec::with_capacity(list.len());
        for item in list {
            let item = self.side(item, Some(row.len()), cx)?;
            equal.push(self.compare("=", row.clone(), item, at)?);
        }
        Ok(either(equal))
    }

    /// The same where one of them is a value.
    pub(super) fn record_in_list(
        &mut self,
        record: &'a ast::Expr,
        list: &'a [ast::Expr],
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let at = start(record);
        let record = self.expr(record, cx)?;
        let mut equal = Vec::with_capacity(list.len());
        for item in list {
            let item = self.expr(item, cx)?;
            let compared = self.call("=", vec![record.clone(), item], at)?;
            equal.push(self.settle(compared)?);
        }
        Ok(either(equal))
    }

    /// `row IS NULL`: all of it is. `row IS NOT NULL`: none of it is, which is not the opposite.
    pub(super) fn row_is_null(&mut self, row: Vec<Bound>, negated: bool) -> Result<Expr> {
        let mut tests = Vec::with_capacity(row.len());
        for value in row {
            let test = is_null(self.settle(value)?);
            tests.push(if negated { not(test) } else { test });
        }
        Ok(all(tests))
    }

    /// Compares values with values, from left to right.
    pub(super) fn compare(
        &mut self,
        name: &'static str,
        left: Vec<Bound>,
        right: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<Expr> {
        if left.len() != right.len() {
            let message = "unequal number of entries in row expressions";
            return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
        }
        if left.is_empty() {
            let message = "cannot compare rows of zero length";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(at));
        }
        let mut each = |name: &'static str| {
            let pairs = left.iter().zip(&right);
            let compared = pairs.map(|(one, two)| {
                let compared = self.call(name, vec![one.clone(), two.clone()], at)?;
                self.settle(compared)
            });
            compared.collect::<Result<Vec<_>>>()
        };
        // What decides before the last column is strictly less or greater.
        let strict = match name {
            "=" => return Ok(all(each(name)?)),
            "<>" => return Ok(either(each(name)?)),
            "<" | "<=" => "<",
            ">" | ">=" => ">",
            "~<~" | "~<=~" => "~<~",
            "~>~" | "~>=~" => "~>~",
            _ if left.len() == 1 => return Ok(all(each(name)?)),
            other => {
                let message = format!(
                    "could not determine interpretation of row comparison operator {other}"
                );
                return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
                    .with_hint(
                        "Row comparison operators must be associated with btree operator families.",
                    )
                    .at(at));
            }
        };
        let (equal, strict, mut last) = (each("=")?, each(strict)?, each(name)?);
        let mut whole = last.pop().expect("there is one");
        for (equal, strict) in equal.into_iter().zip(strict).rev().skip(1) {
            whole = either(vec![strict, all(vec![equal, whole])]);
        }
        Ok(whole)
    }

    /// `row IS DISTINCT FROM row`
    pub(super) fn distinct_rows(
        &mut self,
        left: &'a ast::Expr,
        right: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let at = start(left);
        if [left, right]
            .iter()
            .any(|side| !is_row(side) && !is_query(side))
        {
            let sides = vec![self.expr(left, cx)?, self.expr(right, cx)?];
            let test = self.call("is_distinct_from", sides, at)?;
            return self.settle(test);
        }
        let left = self.side(left, None, cx)?;
        let right = self.side(right, Some(left.len()), cx)?;
        if left.len() != right.len() {
            let message = "unequal number of entries in row expressions";
            return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
        }
        let mut differ = Vec::with_capacity(left.len());
        for (one, two) in left.into_iter().zip(right) {
            let test = self.call("is_distinct_from", vec![one, two], at)?;
            differ.push(self.settle(test)?);
        }
        Ok(either(differ))
    }
}

fn all(parts: Vec<Expr>) -> Expr {
    joined(parts, true)
}

fn either(parts: Vec<Expr>) -> Expr {
    joined(parts, false)
}

fn joined(mut parts: Vec<Expr>, all: bool) -> Expr {
    match parts.len() {
        0 => Expr::literal(
            remora_storage::Value::Boolean(all),
            remora_storage::DataType::Boolean,
        ),
        1 => parts.remove(0),
        _ if all => boolean(ExprKind::And(parts)),
        _ => boolean(ExprKind::Or(parts)),
    }
}
