//! Expressions that SQL writes with words inside, and what is no expression here.

use super::expr::start;
use super::{Binder, Bound, Context, Unknown, name};
use crate::error::Result;
use crate::parse::refuse;
use crate::plan::{Expr, ExprKind};
use remora_storage::{DataType, Value};
use sqlparser::ast;

impl<'a> Binder<'a> {
    /// What SQL writes with keywords inside: EXTRACT, SUBSTRING, TRIM ..; and what is refused.
    pub(super) fn special_syntax(
        &mut self,
        syntax: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        use ast::Expr as E;
        let at = start(syntax);
        match syntax {
            E::Extract { field, expr, .. } => {
                let field = field.to_string().trim_matches('\'').to_lowercase();
                let field = Bound::Unknown(Unknown::Text(field, at));
                let input = self.expr(expr, cx)?;
                self.call("extract", vec![field, input], at)
            }
            E::Substring {
                expr,
                substring_from,
                substring_for,
                ..
            } => self.substring(
                expr,
                substring_from.as_deref(),
                substring_for.as_deref(),
                cx,
            ),
            E::Trim { .. } => self.trim(syntax, cx),
            E::Position { expr, r#in } => {
                let part = self.expr(expr, cx)?;
                let whole = self.expr(r#in, cx)?;
                self.call("position", vec![whole, part], at)
            }
            E::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                let mut arguments = Vec::new();
                let all = [Some(expr), Some(overlay_what), Some(overlay_from)];
                for argument in all.into_iter().chain([overlay_for.as_ref()]).flatten() {
                    arguments.push(self.expr(argument, cx)?);
                }
                self.call("overlay", arguments, at)
            }
            E::Ceil { expr, field } => self.rounding("ceil", expr, field, cx),
            E::Floor { expr, field } => self.rounding("floor", expr, field, cx),
            E::AtTimeZone {
                timestamp,
                time_zone,
            } => {
                let time = self.expr(timestamp, cx)?;
                let zone = self.expr(time_zone, cx)?;
                self.call("timezone", vec![zone, time], at)
            }
            E::Subquery(_)
            | E::InSubquery { .. }
            | E::Exists { .. }
            | E::AnyOp { .. }
            | E::AllOp { .. } => self.subquery_value(syntax, cx),
            E::Tuple(_) => self.written_record(syntax, cx),
            E::QualifiedWildcard(table, _) => {
                let (table, at) = (name::single(table)?, name::object_place(table));
                let row = self.whole_row(&table, at, cx)?;
                row.ok_or_else(|| cx.scope.unknown_table(&table).at(at))
            }
            E::Array(array) => self.array(array, None, at, cx),
            E::CompoundFieldAccess { root, access_chain } => {
                self.subscripts(root, access_chain, cx)
            }
            E::SimilarTo {
                negated,
                expr,
                pattern,
                escape_char,
            } => {
                let input = self.expr(expr, cx)?;
                let mut pattern = vec![self.expr(pattern, cx)?];
                if let Some(escape) = escape_char {
                    pattern.push(self.expr(escape, cx)?);
                }
                let pattern = self.call("similar_to_escape", pattern, at)?;
                let name = if *negated { "!~" } else { "~" };
                self.call(name, vec![input, pattern], at)
            }
            E::IsNormalized {
                expr,
                form,
                negated,
            } => {
                let mut arguments = vec![self.expr(expr, cx)?];
                if let Some(form) = form {
                    arguments.push(Bound::Unknown(Unknown::Text(form.to_string(), at)));
                }
                let is = self.call("is_normalized", arguments, at)?;
                match (is, negated) {
                    (Bound::Typed(is), true) => Ok(Bound::Typed(Expr {
                        kind: ExprKind::Not(Box::new(is)),
                        data_type: DataType::Boolean,
                    })),
                    (is, _) => Ok(is),
                }
            }
            E::GroupingSets(_) | E::Cube(_) | E::Rollup(_) => refuse("GROUPING SETS", at),
            E::Wildcard(token) => Err(name::syntax_error("*", crate::parse::place(token.0.span))),
            _ => refuse("this expression", at),
        }
    }

    fn substring(
        &mut self,
        input: &'a ast::Expr,
        from: Option<&'a ast::Expr>,
        length: Option<&'a ast::Expr>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = start(input);
        let mut arguments = vec![self.expr(input, cx)?];
        match from {
            Some(from) => arguments.push(self.expr(from, cx)?),
            None => {
                let first = Expr::literal(Value::Integer(1), DataType::Integer);
                arguments.push(Bound::Typed(first));
            }
        }
        if let Some(length) = length {
            arguments.push(self.expr(length, cx)?);
        }
        self.call("substring", arguments, at)
    }

    fn trim(&mut self, syntax: &'a ast::Expr, cx: &mut Context<'_>) -> Result<Bound> {
        use ast::TrimWhereField as W;
        let ast::Expr::Trim {
            trim_where,
            trim_what,
            expr,
            trim_characters,
        } = syntax
        else {
            return refuse("this expression", start(syntax));
        };
        let name = match trim_where {
            None | Some(W::Both) => "btrim",
            Some(W::Leading) => "ltrim",
            Some(W::Trailing) => "rtrim",
        };
        let mut arguments = vec![self.expr(expr, cx)?];
        let listed = trim_characters.iter().flatten();
        for what in trim_what.as_deref().into_iter().chain(listed) {
            arguments.push(self.expr(what, cx)?);
        }
        self.call(name, arguments, start(syntax))
    }

    fn rounding(
        &mut self,
        name: &str,
        input: &'a ast::Expr,
        field: &ast::CeilFloorKind,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = start(input);
        match field {
            ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) => {
                let input = self.expr(input, cx)?;
                self.call(name, vec![input], at)
            }
            _ => refuse("rounding to a unit", at),
        }
    }
}
