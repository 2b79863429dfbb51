//! Calls: of functions, of operators, and of what SQL writes in its own ways.

use super::aggregate::within_group_required;
use super::sequence::{takes_names, without_regclass};
use super::{Binder, Bound, Context, Unknown, data_type, json, name};
use crate::error::{Error, Position, Result, state};
use crate::function::host::HostFunction;
use crate::function::table::is_table_function;
use crate::function::window::WindowFunction;
use crate::function::{self, ArgumentType, element_of};
use crate::parse::{VARIADIC, refuse};
use crate::plan::{Expr, ExprKind};
use remora_storage::value::{ElementType, PackedType};
use remora_storage::{DataType, Value};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};
use std::sync::Arc;

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
        let of_json = |found: &DataType| element_of(*found) == Some(DataType::Json);
        if function::compares_elements(found.overload.name)
            && let Some(array) = found.types.arguments.iter().find(|found| of_json(found))
        {
            super::coerce::check_equality(element_of(*array).unwrap_or(*array), at)?;
        }
        if found.overload.name == "current_schema" {
            let schema = self.path.target(self.catalog);
            let name = schema.map(|schema| function::schema_name(self.catalog, schema));
            let name = name.map_or(Value::Null, Value::Text);
            return Ok(Bound::Typed(Expr::literal(name, DataType::Text)));
        }
        if found.overload.name == "pg_typeof"
            && let Some(known) = types[0].filter(|known| known.made().is_some())
        {
            // By its name, which is known here.
            let name = function::type_name(known);
            return Ok(Bound::Typed(Expr::literal(
                Value::Text(name),
                DataType::Text,
            )));
        }
        self.needs |= found.overload.needs;
        let shows = matches!(found.overload.name, "concat" | "concat_ws" | "format");
        let mut exprs = Vec::with_capacity(arguments.len());
        for (argument, to) in arguments.into_iter().zip(&found.types.arguments) {
            let argument = match shows {
                true => self.as_shown(argument, at)?,
                false => argument,
            };
            exprs.push(self.coerce(argument, *to)?);
        }
        let call = Expr::call(found.overload, exprs, found.types.returns);
        self.collated_call(call, at).map(Bound::Typed)
    }

    /// A value in the words in which it is shown, where a cast to text has others: `t` for true, and CHAR(n) with
    /// its blanks.
    fn as_shown(&mut self, argument: Bound, at: Option<Position>) -> Result<Bound> {
        let (name, length) = match argument.data_type() {
            Some(DataType::Boolean) => ("left", 1),
            Some(DataType::Char(length)) => ("rpad", length),
            _ => return Ok(argument),
        };
        let Ok(length) = i32::try_from(length) else {
            return Ok(argument);
        };
        let text = Bound::Typed(self.coerce(argument, DataType::Text)?);
        let length = Expr::literal(Value::Integer(length), DataType::Integer);
        self.call(name, vec![text, Bound::Typed(length)], at)
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
            FunctionArguments::Subquery(query) if name == "array" => {
                return self.array_of_query(query, at, cx);
            }
            FunctionArguments::Subquery(_) => return refuse("a subquery as argument", at),
        };
        if name::function_schema(&syntax.name)?.as_deref() == Some("public") {
            return self.public_call(&name, syntax, list, at, cx);
        }
        if !syntax.within_group.is_empty() {
            return self.ordered_set(&name, syntax, list, cx);
        }
        if let Some(over) = &syntax.over {
            return self.window_call(&name, syntax, over, list, cx);
        }
        if name == "raise" && self.trigger.is_some() {
            let list = list.map_or(&[][..], |list| &list.args);
            return self.raise(list, at, cx);
        }
        if name == "merge_action"
            && list.is_none_or(|list| list.args.is_empty())
            && let Some(action) = self.merge_action(at, cx)
        {
            return Ok(action);
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
            return Err(sql_error!(
                WRONG_OBJECT_TYPE,
                "window function {name} requires an OVER clause"
            )
            .at(at));
        }
        if syntax.filter.is_some() {
            return Err(sql_error!(
                WRONG_OBJECT_TYPE,
                "FILTER specified, but {name} is not an aggregate function"
            )
            .at(at));
        }
        let odd = list.and_then(|list| match &list.duplicate_treatment {
            Some(ast::DuplicateTreatment::Distinct) => Some("DISTINCT"),
            _ if list.clauses.is_empty() => None,
            _ => Some("ORDER BY"),
        });
        if let Some(odd) = odd {
            return Err(sql_error!(
                WRONG_OBJECT_TYPE,
                "{odd} specified, but {name} is not an aggregate function"
            )
            .at(at));
        }
        let before = cx.sets.len();
        let list = list.map_or(&[][..], |list| &list.args);
        let (arguments, names) = self.call_arguments(&name, list, at, cx)?;
        let (arguments, names) = self.in_order(&name, arguments, names, at)?;
        if name == "coalesce" {
            cx.refuse_sets(before, "COALESCE")?;
        }
        match is_table_function(&name) || self.has_host_rows(&name, &arguments)? {
            true => self.set_call(&name, arguments, at, cx),
            _ if is_variadic(&names) && !self.has_routine(&name) => {
                self.variadic_call(&name, arguments, at)
            }
            false => self.any_call(&name, arguments, &names, at, cx),
        }
    }

    /// Whether a function in SQL has the name.
    pub(super) fn has_routine(&self, name: &str) -> bool {
        self.catalog.functions_named(name).next().is_some()
    }

    /// `public.name(arguments)`: none of the system's.
    fn public_call(
        &mut self,
        name: &str,
        syntax: &'a ast::Function,
        list: Option<&'a ast::FunctionArgumentList>,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let is_plain = syntax.over.is_none()
            && syntax.within_group.is_empty()
            && syntax.filter.is_none()
            && list.is_none_or(|l| l.duplicate_treatment.is_none() && l.clauses.is_empty());
        if !is_plain {
            return refuse("this form of a call", at);
        }
        let list = list.map_or(&[][..], |list| &list.args);
        let (arguments, names) = self.call_arguments(name, list, at, cx)?;
        if names.iter().all(Option::is_none)
            && let Some(function) = self.host_function(name, &arguments, at)?
        {
            return self.host_call(&function, arguments);
        }
        let found = self.own_routine(name, &names, &arguments, at)?;
        let arguments = self.arguments_of(&found, arguments, at)?;
        self.routine_value(&found.def, arguments, at, cx)
    }

    /// The arguments of a call, and the names that are given with them.
    ///
    /// # Errors
    /// 42601 where one without a name comes behind one with a name.
    pub(super) fn call_arguments(
        &mut self,
        function: &str,
        list: &'a [FunctionArg],
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<(Vec<Bound>, Vec<Option<String>>)> {
        let is_ours = self.catalog.functions_named(function).next().is_some()
            || function::parameters(function).is_some();
        let (mut arguments, mut names) = (Vec::new(), Vec::new());
        for argument in list {
            let (name, argument) = match argument {
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(value),
                    ..
                } if name.value == VARIADIC => (Some(VARIADIC.to_owned()), self.expr(value, cx)?),
                FunctionArg::ExprNamed {
                    name: ast::Expr::Identifier(name),
                    arg: FunctionArgExpr::Expr(value),
                    ..
                } if name.value == VARIADIC => (Some(VARIADIC.to_owned()), self.expr(value, cx)?),
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(value),
                    ..
                } if is_ours => (Some(name::fold_label(name)?), self.expr(value, cx)?),
                FunctionArg::ExprNamed {
                    name: ast::Expr::Identifier(name),
                    arg: FunctionArgExpr::Expr(value),
                    ..
                } if is_ours => (Some(name::fold_label(name)?), self.expr(value, cx)?),
                // `name := value`
                FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::BinaryOp {
                    left,
                    op: ast::BinaryOperator::Assignment,
                    right,
                })) if is_ours => match &**left {
                    ast::Expr::Identifier(name) => {
                        (Some(name::fold_label(name)?), self.expr(right, cx)?)
                    }
                    _ => return Err(name::syntax_error(":=", at)),
                },
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if takes_names(function) => {
                    (None, self.expr(without_regclass(value), cx)?)
                }
                other => match json::target(function) {
                    Some(target) => {
                        let made = self.json_argument(function, target, other, at, cx)?;
                        (None, made.value)
                    }
                    None => (None, self.argument(other, at, cx)?),
                },
            };
            if name.is_none() && names.last().is_some_and(Option::is_some) {
                let message = "positional argument cannot follow named argument";
                return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
            }
            if let Some(name) = name.as_ref().filter(|_| names.contains(&name)) {
                let message = format!("argument name \"{name}\" used more than once");
                return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
            }
            arguments.push(argument);
            names.push(name);
        }
        Ok((arguments, names))
    }

    /// `f(a, VARIADIC b)`
    ///
    /// # Errors
    /// 42804 where the last argument is no array; 42883 where the function does not take any number of arguments.
    pub(super) fn variadic_call(
        &mut self,
        function: &str,
        arguments: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<Bound> {
        let types: Vec<ArgumentType> = arguments.iter().map(Bound::data_type).collect();
        let last = types.last().copied().flatten();
        if last.is_some_and(|last| element_of(last).is_none()) {
            return Err(sql_error!(DATATYPE_MISMATCH, "VARIADIC argument must be an array").at(at));
        }
        match function::variadic(function) {
            Some(name) => self.call(name, arguments, at),
            None if self.catalog.has_types()
                && let Some(of @ DataType::Packed(PackedType::Multirange(_))) =
                    self.made_ranges(function) =>
            {
                self.ranges_together(of, arguments, at)
            }
            None => Err(function::no_such_function(function, &types).at(at)),
        }
    }

    /// The arguments of a call of a function of the system in the order of its parameters, those that were named too.
    ///
    /// # Errors
    /// 42883 where a name is none, or given twice, or what must be given is not.
    pub(super) fn in_order(
        &self,
        function: &str,
        arguments: Vec<Bound>,
        names: Vec<Option<String>>,
        at: Option<Position>,
    ) -> Result<(Vec<Bound>, Vec<Option<String>>)> {
        let ours = self.catalog.functions_named(function).next();
        let Some(parameters) = function::parameters(function).filter(|_| ours.is_none()) else {
            return Ok((arguments, names));
        };
        if names.iter().all(Option::is_none) || is_variadic(&names) {
            return Ok((arguments, names));
        }
        let types: Vec<ArgumentType> = arguments.iter().map(Bound::data_type).collect();
        let undefined = || super::routine_match::undefined(function, &names, &types).at(at);
        let mut given = vec![None; parameters.len()];
        for (position, (argument, name)) in arguments.into_iter().zip(&names).enumerate() {
            let place = match name {
                None => Some(position),
                Some(name) => parameters.iter().position(|(known, _)| known == name),
            };
            let place = place.filter(|place| given.get(*place).is_some_and(Option::is_none));
            given[place.ok_or_else(undefined)?] = Some(argument);
        }
        let last = given.iter().rposition(Option::is_some);
        let kept = last.map_or(0, |last| last + 1);
        let needed = parameters.iter().filter(|(_, default)| default.is_none());
        if kept < needed.count() {
            return Err(undefined());
        }
        let mut ordered = Vec::with_capacity(kept);
        for (argument, (_, default)) in given.into_iter().zip(parameters).take(kept) {
            let default = default.map(|text| Bound::Unknown(Unknown::Text(text.to_owned(), at)));
            ordered.push(argument.or(default).ok_or_else(undefined)?);
        }
        let names = vec![None; kept];
        Ok((ordered, names))
    }

    /// The function of the host that a call means; one of the system that fits exactly goes before.
    fn host_function(
        &self,
        name: &str,
        arguments: &[Bound],
        at: Option<Position>,
    ) -> Result<Option<Arc<HostFunction>>> {
        let host = self.path.host();
        if !host.has(name) {
            return Ok(None);
        }
        let types: Vec<ArgumentType> = arguments.iter().map(Bound::data_type).collect();
        if function::exact_match(name, &types) == Some(true) {
            return Ok(None);
        }
        let found = host.resolve(name, &types).map_err(|error| error.at(at))?;
        Ok(found.cloned())
    }

    fn host_call(&mut self, function: &Arc<HostFunction>, arguments: Vec<Bound>) -> Result<Bound> {
        let arguments = arguments.into_iter().zip(&function.arguments);
        let arguments = arguments.map(|(argument, to)| self.coerce(argument, *to));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        Ok(Bound::Typed(Expr {
            kind: ExprKind::Host {
                function: Arc::clone(function),
                arguments,
            },
            data_type: function.returns,
        }))
    }

    /// A call of a function of the host, in SQL or of the system.
    pub(super) fn any_call(
        &mut self,
        name: &str,
        arguments: Vec<Bound>,
        names: &[Option<String>],
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        if names.iter().all(Option::is_none)
            && let Some(function) = self.host_function(name, &arguments, at)?
        {
            return self.host_call(&function, arguments);
        }
        match self.routine_of(name, names, &arguments, at)? {
            Some(found) => {
                let arguments = self.arguments_of(&found, arguments, at)?;
                self.routine_value(&found.def, arguments, at, cx)
            }
            None => match self.field_by_call(name, &arguments) {
                Some(field) => Ok(field),
                None => self.plain_call(name, arguments, at),
            },
        }
    }

    /// `field(record)`, which means `(record).field` where no function has the name.
    fn field_by_call(&self, name: &str, arguments: &[Bound]) -> Option<Bound> {
        match arguments {
            [Bound::Typed(record)] if record.data_type.is_record() && !function::exists(name) => {
                self.field_named(record, name).map(Bound::Typed)
            }
            _ => None,
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
            ("json_populate_record" | "jsonb_populate_record", 2) => {
                self.populate(name, arguments, at)
            }
            ("current_schemas", 1) => self.current_schemas(arguments.remove(0), at),
            ("quote_literal" | "quote_nullable", 1) if arguments[0].data_type().is_some() => {
                // Anything as its text.
                let text = self.cast_explicitly(arguments.remove(0), DataType::Text, at)?;
                self.call(name, vec![Bound::Typed(text)], at)
            }
            ("to_regtype", 1) => match arguments.remove(0) {
                Bound::Unknown(Unknown::Text(text, _)) => Ok(self.to_regtype(&text)),
                _ => refuse("to_regtype of something other than a literal", at),
            },
            ("pg_typeof", 1)
                if matches!(
                    arguments[0],
                    Bound::Unknown(Unknown::Text(..) | Unknown::Null)
                ) =>
            {
                let name = Value::Text("unknown".to_owned());
                Ok(Bound::Typed(Expr::literal(name, DataType::Text)))
            }
            // `int4range('[1,5)')` is `'[1,5)'::int4range`.
            (_, 1)
                if let Some(to) = data_type::named(name)
                    && function::range_type(to).is_some()
                    && arguments[0].data_type().is_none_or(|known| known == to) =>
            {
                Ok(Bound::Typed(self.cast_explicitly(
                    arguments.remove(0),
                    to,
                    at,
                )?))
            }
            _ if self.catalog.has_types()
                && !function::exists(name)
                && let Some(of) = self.made_ranges(name) =>
            {
                self.range_call(of, name, arguments, at)
            }
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

    /// The schemas in which names are looked up; with those that are so without being asked for.
    fn current_schemas(&mut self, implicit: Bound, at: Option<Position>) -> Result<Bound> {
        let all = match self.coerce(implicit, DataType::Boolean)?.kind {
            ExprKind::Literal(Value::Boolean(all)) => Some(all),
            ExprKind::Literal(_) => None,
            _ => return refuse("current_schemas of something other than a constant", at),
        };
        let listed = all.map(|all| {
            let mut names = Vec::from_iter(all.then(|| "pg_catalog".to_owned()));
            for schema in self.path.schemas(self.catalog) {
                let name = function::schema_name(self.catalog, schema);
                if (all || !schema.is_temporary()) && !names.contains(&name) {
                    names.push(name);
                }
            }
            let quoted = names.iter().map(|name| format!("\"{name}\""));
            format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
        });
        let listed = match listed {
            Some(listed) => Unknown::Text(listed, at),
            None => Unknown::Null,
        };
        let to = ElementType::new(DataType::Text).map_or(DataType::Text, ElementType::array);
        Ok(Bound::Typed(self.cast_explicitly(
            Bound::Unknown(listed),
            to,
            at,
        )?))
    }

    /// One argument of a call.
    pub(super) fn argument(
        &mut self,
        argument: &'a FunctionArg,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.expr(expr, cx),
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(table)) => {
                let (table, at) = (name::single(table)?, name::object_place(table).or(at));
                let row = self.whole_row(&table, at, cx)?;
                row.ok_or_else(|| cx.scope.unknown_table(&table).at(at))
            }
            FunctionArg::Unnamed(_) => Err(name::syntax_error("*", at)),
            _ => refuse("a named argument", at),
        }
    }
}

/// Whether the last argument of a call is an array of arguments.
pub(super) fn is_variadic(names: &[Option<String>]) -> bool {
    names
        .last()
        .is_some_and(|name| name.as_deref() == Some(VARIADIC))
}
