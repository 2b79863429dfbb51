//! Expressions: names, and the way to each other kind.

use super::around::Found;
use super::regclass::{is_class, is_jsonpath, is_oid, is_regtype, is_unknown};
use super::row::is_row;
use super::{Binder, Bound, Context, coerce, data_type, name};
use crate::error::{Error, Position, Result, state};
use crate::function::element_of;
use crate::parse::{STAR, place, refuse, too_complex};
use crate::plan::{Expr, ExprKind};
use crate::stack::{with_room_at, with_room_left};
use remora_storage::{DataType, Value};
use sqlparser::ast;

/// How deep expressions and queries may nest. Every later walk recurses as deep, so that this also
/// bounds the stack of optimizer and execution.
const DEPTH_MAX: usize = 250;

impl<'a> Binder<'a> {
    /// Runs `f` one level deeper.
    ///
    /// # Errors
    /// 54001 where that is too deep.
    pub(super) fn deeper<T>(
        &mut self,
        at: Option<Position>,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.deeper_by(1, at, f)
    }

    /// The same for what takes as much of the stack as so many expressions within each other.
    pub(super) fn deeper_by<T>(
        &mut self,
        levels: usize,
        at: Option<Position>,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        if self.depth + levels > DEPTH_MAX {
            return Err(too_complex(at));
        }
        self.depth += levels;
        let result = match levels {
            1 => with_room_at(self.depth, || f(self)),
            _ => with_room_left(|| f(self)),
        };
        self.depth -= levels;
        result
    }

    /// Binds an expression.
    pub(super) fn expr(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        let mut syntax = syntax;
        while let ast::Expr::Nested(inner) = syntax {
            syntax = inner;
        }
        if self.depth >= DEPTH_MAX {
            return Err(too_complex(start(syntax)));
        }
        self.depth += 1;
        let result = with_room_at(self.depth, || self.expr_here(syntax, cx));
        self.depth -= 1;
        result
    }

    /// Binds an expression and settles its type.
    pub(super) fn typed(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Expr> {
        let bound = self.expr(syntax, cx)?;
        self.settle(bound)
    }

    /// Binds a condition: WHERE, ON, the operand of NOT.
    pub(super) fn condition_of(
        &mut self,
        syntax: &'a ast::Expr,
        what: &str,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let bound = self.expr(syntax, cx)?;
        self.condition(bound, what, start(syntax))
    }

    fn expr_here(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        use ast::Expr as E;
        match syntax {
            E::Identifier(ident) => self.column(&[ident], cx),
            E::CompoundIdentifier(parts) => self.column(&parts.iter().collect::<Vec<_>>(), cx),
            E::Value(value) => self.value(value),
            E::TypedString(typed) => self.typed_string(typed),
            E::Interval(interval) => self.interval(interval),
            E::BinaryOp { .. } => self.binary(syntax, cx),
            E::UnaryOp { op, expr } => self.unary(*op, expr, cx),
            E::Function(_) if is_row(syntax) => self.written_record(syntax, cx),
            E::Function(function) => self.function(function, cx),
            E::Cast { .. } => self.cast(syntax, cx),
            E::Case { .. } => self.case(syntax, cx),
            E::IsNull(_) | E::IsNotNull(_) => self.null_test(syntax, cx),
            E::IsTrue(_)
            | E::IsNotTrue(_)
            | E::IsFalse(_)
            | E::IsNotFalse(_)
            | E::IsUnknown(_)
            | E::IsNotUnknown(_) => self.truth_test(syntax, cx),
            E::IsDistinctFrom(left, right) => self.distinct_from(left, right, cx),
            E::IsNotDistinctFrom(left, right) => {
                let distinct = self.distinct_from(left, right, cx)?;
                let distinct = self.settle(distinct)?;
                Ok(Bound::Typed(not(distinct)))
            }
            E::InList { .. } => self.in_list(syntax, cx),
            E::Between { .. } => self.between(syntax, cx),
            E::Like { .. } | E::ILike { .. } => self.like(syntax, cx),
            E::Collate { expr, collation } => self.collate(expr, collation, cx),
            other => self.special_syntax(other, cx),
        }
    }

    pub(super) fn column(&mut self, parts: &[&ast::Ident], cx: &mut Context<'_>) -> Result<Bound> {
        let at = parts.first().and_then(|ident| place(ident.span));
        let found = match parts {
            [name] => match keyword_function(name) {
                Some(function) => return self.call(function, Vec::new(), at),
                None => return self.bare_name(&name::fold(name)?, at, cx),
            },
            [table, column] if column.value == STAR => {
                let table = name::fold(table)?;
                let row = self.whole_row(&table, at, cx)?;
                return row.ok_or_else(|| cx.scope.unknown_table(&table).at(at));
            }
            [table, column] => {
                if let Some(value) = self.row_variable(table, column, cx)? {
                    return Ok(value);
                }
                self.lookup(Some(&name::fold(table)?), &name::fold(column)?, at, cx)?
            }
            [schema, table, column]
                if self
                    .path
                    .schema(self.catalog, &name::fold(schema)?)
                    .is_some() =>
            {
                let table = name::fold(table)?;
                if cx.scope.aliases.contains(&table) {
                    let message =
                        format!("invalid reference to FROM-clause entry for table \"{table}\"");
                    return Err(Error::new(state::UNDEFINED_TABLE, message).at(at));
                }
                self.lookup(Some(&table), &name::fold(column)?, at, cx)?
            }
            [_, table, _] => {
                let table = name::fold(table)?;
                let how = match cx.scope.has_table(&table) {
                    true => "invalid reference to",
                    false => "missing",
                };
                let message = format!("{how} FROM-clause entry for table \"{table}\"");
                return Err(Error::new(state::UNDEFINED_TABLE, message).at(at));
            }
            _ => return refuse("a name of this many parts", at),
        };
        Ok(self.use_of(&found, at, cx))
    }

    /// A name by itself: a column, or else the row of a table.
    fn bare_name(
        &mut self,
        name: &str,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        match self.lookup_bare(name, at, cx) {
            Ok(found) => Ok(self.use_of(&found, at, cx)),
            Err(error) if error.sqlstate() == state::UNDEFINED_COLUMN => {
                self.whole_row(name, at, cx)?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// A name without a table: a column, or the alias of a function in FROM that gives one.
    pub(super) fn lookup_bare(
        &mut self,
        name: &str,
        at: Option<Position>,
        cx: &Context<'_>,
    ) -> Result<Found> {
        let found = self.lookup(None, name, at, cx);
        match (&found, self.column_of_value(name)) {
            (Err(error), Some(column)) if error.sqlstate() == state::UNDEFINED_COLUMN => {
                self.lookup(Some(name), column, at, cx).or(found)
            }
            _ => found,
        }
    }

    /// The column that an alias of a function means.
    pub(super) fn column_of_value(&self, alias: &str) -> Option<&'static str> {
        let found = self.values.iter().find(|(name, _)| name == alias);
        found.map(|(_, column)| *column)
    }

    /// The column `table.name`, by the names of a scope.
    pub(super) fn column_of(
        &mut self,
        table: &str,
        name: &str,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let found = self.lookup(Some(table), name, at, cx)?;
        Ok(self.use_of(&found, at, cx))
    }

    pub(super) fn use_of(
        &mut self,
        found: &Found,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Bound {
        if !found.is_outer {
            self.note_use(found.column);
        }
        if !cx.in_aggregate && !found.is_outer {
            cx.places.entry(found.column).or_insert(at);
        }
        Bound::Typed(Expr::column(found.column, found.data_type))
    }

    fn cast(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        let ast::Expr::Cast {
            kind: ast::CastKind::Cast | ast::CastKind::DoubleColon,
            expr,
            data_type,
            format: None,
        } = syntax
        else {
            return refuse("this kind of cast", start(syntax));
        };
        let at = start(syntax);
        let to = match data_type {
            ast::DataType::Regclass => return self.regclass(expr, cx),
            other if is_regtype(other) => return self.regtype(expr, cx),
            other if is_oid(other) => match self.regtype_oid(expr)? {
                Some(oid) => {
                    let oid = Expr::literal(Value::BigInt(oid), DataType::BigInt);
                    return Ok(Bound::Typed(oid));
                }
                None => DataType::BigInt,
            },
            other if is_unknown(other) => {
                let bound = self.expr(expr, cx)?;
                return match bound.data_type() {
                    None => Ok(bound),
                    Some(found) => {
                        let message =
                            format!("cannot cast type {} to unknown", coerce::plain(found));
                        Err(Error::new(state::CANNOT_COERCE, message).at(at))
                    }
                };
            }
            other if is_jsonpath(other) => {
                let text = self.expr(expr, cx)?;
                return self.call("jsonpath", vec![text], at);
            }
            other => self.cast_type(&data_type::without_precision(other), at)?,
        };
        let bound = match (&**expr, element_of(to)) {
            // What is within the brackets is of the type at once.
            (ast::Expr::Array(array), Some(element)) => self.array(array, Some(element), at, cx)?,
            (expr, _) => self.expr(expr, cx)?,
        };
        let bound = match bound.data_type() {
            // A relation's id becomes its name.
            Some(DataType::BigInt) if to.is_string() && is_class(expr) => {
                self.call("regclass", vec![bound], at)?
            }
            _ => bound,
        };
        let modifier = data_type::time_modifier(data_type);
        let cast = match self.span_within(&bound, to, modifier)? {
            Some(span) => span,
            None => self.cast_explicitly(bound, to, at)?,
        };
        let value = match modifier {
            None => cast,
            Some(modifier) => coerce::cut_to(cast, modifier, at)?,
        };
        self.cast_to_domain(data_type, value, at, cx)
    }

    fn null_test(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        let (ast::Expr::IsNull(input) | ast::Expr::IsNotNull(input)) = syntax else {
            return refuse("this test", start(syntax));
        };
        if let Some(row) = self.row(input, cx)? {
            let negated = matches!(syntax, ast::Expr::IsNotNull(_));
            return self.row_is_null(row, negated).map(Bound::Typed);
        }
        let input = self.typed(input, cx)?;
        if input.data_type.is_record() {
            let negated = matches!(syntax, ast::Expr::IsNotNull(_));
            return self.record_is_null(input, negated, start(syntax));
        }
        let test = Expr {
            kind: ExprKind::IsNull(Box::new(input)),
            data_type: DataType::Boolean,
        };
        Ok(Bound::Typed(match syntax {
            ast::Expr::IsNull(_) => test,
            _ => not(test),
        }))
    }

    /// `IS TRUE` and its kin never give NULL: they are `coalesce(x, false)` and so on.
    fn truth_test(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        use ast::Expr as E;
        let (input, what) = match syntax {
            E::IsTrue(input) => (input, "IS TRUE"),
            E::IsNotTrue(input) => (input, "IS NOT TRUE"),
            E::IsFalse(input) => (input, "IS FALSE"),
            E::IsNotFalse(input) => (input, "IS NOT FALSE"),
            E::IsUnknown(input) => (input, "IS UNKNOWN"),
            E::IsNotUnknown(input) => (input, "IS NOT UNKNOWN"),
            _ => return refuse("this test", start(syntax)),
        };
        let input = self.condition_of(input, what, cx)?;
        Ok(Bound::Typed(match syntax {
            E::IsTrue(_) => or_else(input, false),
            E::IsNotTrue(_) => not(or_else(input, false)),
            E::IsFalse(_) => not(or_else(input, true)),
            E::IsNotFalse(_) => or_else(input, true),
            E::IsUnknown(_) => is_null(input),
            _ => not(is_null(input)),
        }))
    }

    /// An expression whose collation is said.
    fn collate(
        &mut self,
        expr: &'a ast::Expr,
        collation: &ast::ObjectName,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let bound = self.expr(expr, cx)?;
        self.with_collation(bound, collation)
    }
}

/// Functions that are called without brackets and that the parser takes for names.
fn keyword_function(ident: &ast::Ident) -> Option<&'static str> {
    if ident.quote_style.is_some() {
        return None;
    }
    match ident.value.to_ascii_lowercase().as_str() {
        "current_date" => Some("current_date"),
        "current_time" => Some("current_time"),
        "current_timestamp" => Some("current_timestamp"),
        "localtime" => Some("localtime"),
        "localtimestamp" => Some("localtimestamp"),
        _ => None,
    }
}

/// `NOT expr`
pub(super) fn not(expr: Expr) -> Expr {
    Expr {
        kind: ExprKind::Not(Box::new(expr)),
        data_type: DataType::Boolean,
    }
}

/// `expr IS NULL`
pub(super) fn is_null(expr: Expr) -> Expr {
    Expr {
        kind: ExprKind::IsNull(Box::new(expr)),
        data_type: DataType::Boolean,
    }
}

fn or_else(expr: Expr, otherwise: bool) -> Expr {
    let otherwise = Expr::literal(Value::Boolean(otherwise), DataType::Boolean);
    Expr {
        kind: ExprKind::Coalesce(vec![expr, otherwise]),
        data_type: DataType::Boolean,
    }
}

/// Where an expression begins, as far as the grammar's crate tells. It walks down the left edge
/// only: asking the crate for the span of the whole would walk over everything each time.
pub(super) fn start(syntax: &ast::Expr) -> Option<Position> {
    use ast::Expr as E;
    let mut syntax = syntax;
    loop {
        syntax = match syntax {
            E::Identifier(ident) => return place(ident.span),
            E::CompoundIdentifier(parts) => return parts.first().and_then(|p| place(p.span)),
            E::Value(value) => return place(value.span),
            E::TypedString(typed) => return place(typed.value.span),
            E::Function(function) => return name::object_place(&function.name),
            E::Case { case_token, .. } => return place(case_token.0.span),
            E::BinaryOp { left: inner, .. }
            | E::AnyOp { left: inner, .. }
            | E::AllOp { left: inner, .. }
            | E::IsDistinctFrom(inner, _)
            | E::IsNotDistinctFrom(inner, _)
            | E::IsNull(inner)
            | E::IsNotNull(inner)
            | E::IsTrue(inner)
            | E::IsNotTrue(inner)
            | E::IsFalse(inner)
            | E::IsNotFalse(inner)
            | E::IsUnknown(inner)
            | E::IsNotUnknown(inner)
            | E::Nested(inner)
            | E::InList { expr: inner, .. }
            | E::InSubquery { expr: inner, .. }
            | E::Between { expr: inner, .. }
            | E::Like { expr: inner, .. }
            | E::ILike { expr: inner, .. }
            | E::UnaryOp { expr: inner, .. }
            | E::Cast { expr: inner, .. }
            | E::Collate { expr: inner, .. }
            | E::CompoundFieldAccess { root: inner, .. }
            | E::Extract { expr: inner, .. }
            | E::Substring { expr: inner, .. }
            | E::Trim { expr: inner, .. }
            | E::Position { expr: inner, .. }
            | E::Overlay { expr: inner, .. }
            | E::Ceil { expr: inner, .. }
            | E::Floor { expr: inner, .. }
            | E::AtTimeZone {
                timestamp: inner, ..
            } => inner,
            E::Interval(interval) => &interval.value,
            E::Tuple(items) => items.first()?,
            E::Subquery(query)
            | E::Exists {
                subquery: query, ..
            } => {
                return query_start(query);
            }
            _ => return None,
        };
    }
}

/// Where a query begins.
pub(super) fn query_start(query: &ast::Query) -> Option<Position> {
    if let Some(with) = &query.with {
        return place(with.with_token.0.span);
    }
    match &*query.body {
        ast::SetExpr::Select(select) => place(select.select_token.0.span),
        _ => None,
    }
}
