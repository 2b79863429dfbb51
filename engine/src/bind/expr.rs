//! Expressions: names, and the way to each other kind.

use super::{Binder, Bound, Context, data_type, name};
use crate::error::{Position, Result};
use crate::parse::{place, refuse, too_complex};
use crate::plan::{Expr, ExprKind};
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
        if self.depth >= DEPTH_MAX {
            return Err(too_complex(at));
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
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
        let result = self.expr_here(syntax, cx);
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

    fn column(&mut self, parts: &[&ast::Ident], cx: &mut Context<'_>) -> Result<Bound> {
        let at = parts.first().and_then(|ident| place(ident.span));
        let found = match parts {
            [name] => match keyword_function(name) {
                Some(function) => return self.call(function, Vec::new(), at),
                None => self.lookup(None, &name::fold(name)?, at, cx)?,
            },
            [table, column] => {
                self.lookup(Some(&name::fold(table)?), &name::fold(column)?, at, cx)?
            }
            [schema, table, column] if name::fold(schema)? == "public" => {
                self.lookup(Some(&name::fold(table)?), &name::fold(column)?, at, cx)?
            }
            _ => return refuse("a name of this many parts", at),
        };
        if !found.is_outer {
            self.note_use(found.column);
        }
        if !cx.in_aggregate && !found.is_outer {
            cx.places.entry(found.column).or_insert(at);
        }
        Ok(Bound::Typed(Expr::column(found.column, found.data_type)))
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
        let to = data_type::data_type(data_type, at)?;
        let bound = self.expr(expr, cx)?;
        Ok(Bound::Typed(self.cast_explicitly(bound, to, at)?))
    }

    fn null_test(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        let (ast::Expr::IsNull(input) | ast::Expr::IsNotNull(input)) = syntax else {
            return refuse("this test", start(syntax));
        };
        let input = self.typed(input, cx)?;
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

    /// Strings compare by their bytes, which is what the "C" collation means.
    fn collate(
        &mut self,
        expr: &'a ast::Expr,
        collation: &ast::ObjectName,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        match name::function(collation)?.as_str() {
            "C" | "POSIX" | "ucs_basic" | "default" => self.expr(expr, cx),
            other => refuse(
                &format!("collation \"{other}\""),
                name::object_place(collation),
            ),
        }
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
