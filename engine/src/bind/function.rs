//! Calls: of functions, of operators, and of what SQL writes in its own ways.

use super::aggregate::within_group_required;
use super::expr::start;
use super::sequence::without_regclass;
use super::{Binder, Bound, Context, data_type, name};
use crate::error::{Error, Position, Result, state};
use crate::function::table::is_table_function;
use crate::function::window::WindowFunction;
use crate::function::{self, ArgumentType};
use crate::parse::refuse;
use crate::plan::{Expr, ExprKind};
use remora_storage::DataType;
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};

impl<'a> Binder<'a> {
    /// Calls a function or an operator by PostgreSQL's rules of resolution.
    ///
    /// # Errors
    /// 42883, 42725, or 22xxx where a quoted literal is no value of its argument's type.
    pub(super) fn call(
        &mut self,
        name: &str,
        arguments: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<Bound> {
        let types: Vec<ArgumentType> = arguments.iter().map(Bound::data_type).collect();
        let found = function::resolve(name, &types).map_err(|error| error.at(at))?;
        self.uses_sequences |= function::is_of_sequences(found.overload.name);
        let wanted = found.overload.arguments;
        let mut exprs = Vec::with_capacity(arguments.len());
        for (position, argument) in arguments.into_iter().enumerate() {
            let to = wanted.get(position).or(wanted.last()).copied();
            let to = to.unwrap_or(DataType::Text);
            exprs.push(self.coerce(argument, to)?);
        }
        Ok(Bound::Typed(Expr {
            kind: ExprKind::Call {
                overload: found.overload,
                arguments: exprs,
            },
            data_type: found.overload.returns,
        }))
    }

    /// `name(arguments)`: an aggregate, something special, or a function.
    pub(super) fn function(
        &mut self,
        syntax: &'a ast::Function,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = name::object_place(&syntax.name);
        let name = name::function(&syntax.name)?;
        if syntax.null_treatment.is_some() || syntax.uses_odbc_syntax {
            return refuse("this form of a call", at);
        }
        if !matches!(syntax.parameters, FunctionArguments::None) {
            return refuse("this form of a call", at);
        }
        let list = match &syntax.args {
            FunctionArguments::None => None,
            FunctionArguments::List(list) => Some(list),
            FunctionArguments::Subquery(_) => return refuse("a subquery as argument", at),
        };
        if !syntax.within_group.is_empty() {
            return self.ordered_set(&name, syntax, list, cx);
        }
        if let Some(over) = &syntax.over {
            return self.window_call(&name, syntax, over, list, cx);
        }
        if name == "grouping" {
            return self.grouping_call(syntax, cx);
        }
        if let Some(bound) = self.aggregate(&name, syntax, list, cx)? {
            return Ok(bound);
        }
        if let Some(function) = WindowFunction::named(&name) {
            let has_arguments = list.is_some_and(|list| !list.args.is_empty());
            if function.is_hypothetical() && has_arguments {
                return Err(within_group_required(&name).at(at));
            }
            return Err(Error::new(
                state::WRONG_OBJECT_TYPE,
                format!("window function {name} requires an OVER clause"),
            )
            .at(at));
        }
        if syntax.filter.is_some() {
            return Err(Error::new(
                state::WRONG_OBJECT_TYPE,
                format!("FILTER specified, but {name} is not an aggregate function"),
            )
            .at(at));
        }
        let odd = list.and_then(|list| match &list.duplicate_treatment {
            Some(ast::DuplicateTreatment::Distinct) => Some("DISTINCT"),
            _ if list.clauses.is_empty() => None,
            _ => Some("ORDER BY"),
        });
        if let Some(odd) = odd {
            return Err(Error::new(
                state::WRONG_OBJECT_TYPE,
                format!("{odd} specified, but {name} is not an aggregate function"),
            )
            .at(at));
        }
        let before = cx.sets.len();
        let mut arguments = Vec::new();
        for argument in list.map_or(&[][..], |list| &list.args) {
            arguments.push(self.argument(argument, at, cx)?);
        }
        if name == "coalesce" {
            cx.refuse_sets(before, "COALESCE")?;
        }
        match is_table_function(&name) {
            true => self.set_call(&name, arguments, at, cx),
            false => self.plain_call(&name, arguments, at),
        }
    }

    /// A call that is no aggregate's.
    pub(super) fn plain_call(
        &mut self,
        name: &str,
        mut arguments: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<Bound> {
        match (name, arguments.len()) {
            ("coalesce", 1..) => self.coalesce(arguments, at),
            ("nullif", 2) => self.null_if(arguments, at),
            (_, 1) if !function::exists(name) => match data_type::named(name) {
                // `int4(x)` is `x::int4`.
                Some(to) => {
                    let argument = arguments.remove(0);
                    Ok(Bound::Typed(self.cast_explicitly(argument, to, at)?))
                }
                None => self.call(name, arguments, at),
            },
            _ => self.call(name, arguments, at),
        }
    }

    /// One argument of a call.
    pub(super) fn argument(
        &mut self,
        argument: &'a FunctionArg,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                self.expr(without_regclass(expr), cx)
            }
            FunctionArg::Unnamed(_) => Err(name::syntax_error("*", at)),
            _ => refuse("a named argument", at),
        }
    }

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
                let field = Bound::Unknown(super::Unknown::Text(field, at));
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
            E::Tuple(_) => refuse("a row as a value", at),
            E::Array(_) => refuse("an array", at),
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
                let first = Expr::literal(remora_storage::Value::Integer(1), DataType::Integer);
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
