//! CREATE FUNCTION and DROP FUNCTION.
//!
//! A function is kept as text. It is bound once when it is made, so that what is wrong with it is told then, and
//! from then on wherever it is called (`routine_call`).

use super::polymorphic::{check_result, is_any_array, is_polymorphic};
use super::routine_match::signature;
use super::view::Record;
use super::{Binder, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::function::element_of;
use crate::parse::routine::{self as syntax, Mode, Returns};
use crate::parse::{parse, parse_expression, place, refuse};
use crate::plan::Statement;
use crate::plan::logical::LogicalStatement;
use crate::plan::structure::Step;
use remora_storage::catalog::{
    CatalogObject, FunctionBody, FunctionDef, FunctionParameter, FunctionResult,
    FunctionVolatility, ResultColumn, ViewSource,
};
use remora_storage::value::{AnyType, PackedType};
use remora_storage::{DataType, TableId};
use sqlparser::ast;
use sqlparser::keywords::Keyword;

/// As many parameters as in PostgreSQL.
const PARAMETERS_MAX: usize = 100;

/// An OUT parameter.
type Given = (Option<String>, DataType);

impl Binder<'_> {
    /// Binds a CREATE FUNCTION.
    pub(super) fn create_function(&mut self, create: &syntax::CreateFunction) -> Result<Statement> {
        let at = name::object_place(&create.name);
        let name = name::function(&create.name)?;
        if name::function_schema(&create.name)?.as_deref() == Some("pg_catalog") {
            let message = "permission denied for schema pg_catalog";
            return Err(Error::new(state::INSUFFICIENT_PRIVILEGE, message)
                .with_detail("System catalog modifications are currently disallowed.")
                .at(at));
        }
        let (parameters, out) = self.parameters_of(&create.parameters)?;
        let clauses = Clauses::of(create)?;
        let returns = self.result_of(create.returns.as_ref(), &parameters, out, at)?;
        let mut def = FunctionDef {
            id: TableId::default(),
            name,
            parameters,
            returns,
            body: clauses.body,
            volatility: clauses.volatility,
            strict: clauses.strict,
        };
        check_result(&def).map_err(|error| error.at(at))?;
        if is_polymorphic(&def) && matches!(def.body, FunctionBody::Bound { .. }) {
            let message =
                "SQL function with unquoted function body cannot have polymorphic arguments";
            return Err(invalid(message).at(at));
        }
        let replaced = self
            .catalog
            .functions_named(&def.name)
            .find(|other| other.types().eq(def.types()))
            .cloned();
        if let Some(old) = &replaced {
            check_replacement(old, &def, create.or_replace).map_err(|error| error.at(at))?;
            def.id = old.id;
        }
        let found = self.checked(&def).map_err(|error| match clauses.place {
            Some(place) => error.moved(Some(place)),
            None => error,
        })?;
        if let FunctionBody::Bound { sources, .. } = &mut def.body {
            *sources = found;
        }
        let named = match &def.body {
            FunctionBody::Text(_) => &[][..],
            FunctionBody::Bound { sources, .. } => sources,
        };
        let named = named.iter().map(|source| source.relation);
        if named.chain(def.rows_of()).any(|id| self.is_own(id)) {
            return refuse("a function that is about a temporary table", at);
        }
        Ok(Statement::Structure(vec![match replaced {
            Some(_) => Step::AlterFunction(def),
            None => Step::CreateFunction(def),
        }]))
    }

    /// Binds a function's body and defaults; gives what names in the body stand for.
    fn checked(&self, def: &FunctionDef) -> Result<Vec<ViewSource>> {
        if is_polymorphic(def) {
            // Of what types it is, each call says.
            if let FunctionBody::Text(text) = &def.body {
                parse(text)?;
            }
            return Ok(Vec::new());
        }
        for parameter in &def.parameters {
            if let Some(default) = &parameter.default {
                let syntax = parse_expression(default)?;
                let scope = super::scope::Scope::default();
                let mut binder = Binder::new(self.catalog);
                let bound = binder.expr(&syntax, &mut Context::new(&scope, Clause::Default))?;
                binder.argument_of(bound, parameter.data_type)?;
            }
        }
        let mut binder = Binder::new(self.catalog);
        binder.path = self.path;
        if self.catalog.function_by_id(def.id).is_some() {
            // One that takes another's place cannot call it.
            binder.routines.push(def.id);
        }
        let (_, record) = binder.body(def, Some(Record::default()))?;
        Ok(record.map_or_else(Vec::new, Record::sources))
    }

    /// What a function takes, and what it gives by OUT parameters.
    fn parameters_of(
        &mut self,
        written: &[syntax::Parameter],
    ) -> Result<(Vec<FunctionParameter>, Vec<Given>)> {
        let (mut taken, mut given) = (Vec::new(), Vec::new());
        let mut names: Vec<(String, bool)> = Vec::new();
        for parameter in written {
            let at = parameter.name.as_ref().and_then(|name| place(name.span));
            let data_type = self.routine_type(&parameter.data_type, at)?;
            let name = parameter.name.as_ref().map(name::fold).transpose()?;
            let before: Option<&FunctionParameter> = taken.last();
            if parameter.mode != Mode::Out && before.is_some_and(|before| before.variadic) {
                let message = "VARIADIC parameter must be the last input parameter";
                return Err(invalid(message).at(at));
            }
            let is_array = element_of(data_type).is_some() || is_any_array(data_type);
            if parameter.mode == Mode::Variadic && !is_array {
                return Err(invalid("VARIADIC parameter must be an array").at(at));
            }
            if let Some(name) = &name {
                if names.iter().any(|(other, _)| other == name) {
                    let message = format!("parameter name \"{name}\" used more than once");
                    return Err(invalid(message).at(at));
                }
                names.push((name.clone(), true));
            }
            if matches!(parameter.mode, Mode::Out | Mode::InOut) {
                given.push((name.clone(), data_type));
            }
            if parameter.mode == Mode::Out {
                if parameter.default.is_some() {
                    return Err(invalid("only input parameters can have default values").at(at));
                }
                continue;
            }
            if parameter.default.is_none() && before.is_some_and(|before| before.default.is_some())
            {
                let message =
                    "input parameters after one with a default value must also have defaults";
                return Err(invalid(message).at(at));
            }
            taken.push(FunctionParameter {
                name,
                data_type,
                default: parameter.default.as_ref().map(ToString::to_string),
                variadic: parameter.mode == Mode::Variadic,
            });
        }
        if taken.len() > PARAMETERS_MAX {
            let message = format!("functions cannot have more than {PARAMETERS_MAX} arguments");
            return Err(Error::new(state::TOO_MANY_ARGUMENTS, message));
        }
        Ok((taken, given))
    }

    fn result_of(
        &mut self,
        written: Option<&Returns>,
        taken: &[FunctionParameter],
        out: Vec<Given>,
        at: Option<Position>,
    ) -> Result<FunctionResult> {
        match (written, out.as_slice()) {
            (None, []) => Err(invalid("function result type must be specified").at(at)),
            (None, [(_, data_type)]) => Ok(FunctionResult::Value(*data_type)),
            (None, _) => Ok(FunctionResult::Row {
                columns: given_columns(&out),
                of: None,
            }),
            (Some(Returns::Table(_)), [_, ..]) => {
                let message = "OUT and INOUT arguments aren't allowed in TABLE functions";
                Err(invalid(message).at(at))
            }
            (Some(Returns::Table(list)), []) => self.table_result(list, taken),
            (Some(Returns::One(syntax)), []) => match word_of(syntax).as_deref() {
                Some("void") => Ok(FunctionResult::Nothing),
                Some("record") => refuse("a function that returns record", at),
                Some("trigger") => refuse("a trigger function", at),
                _ => match self.row_type(syntax) {
                    Some((id, columns)) => Ok(FunctionResult::Row {
                        columns,
                        of: Some(id),
                    }),
                    None => Ok(FunctionResult::Value(self.routine_type(syntax, at)?)),
                },
            },
            (Some(Returns::SetOf(syntax)), []) => match word_of(syntax).as_deref() {
                Some("record") => refuse("a function that returns record", at),
                _ => match self.row_type(syntax) {
                    Some((id, columns)) => Ok(FunctionResult::Rows {
                        columns,
                        of: Some(id),
                    }),
                    None => Ok(FunctionResult::Values(self.routine_type(syntax, at)?)),
                },
            },
            (Some(Returns::One(syntax)), _) => {
                let FunctionResult::Rows { columns, of } = self.said_too(syntax, &out, at)? else {
                    return Ok(FunctionResult::Value(out[0].1));
                };
                Ok(FunctionResult::Row { columns, of })
            }
            (Some(Returns::SetOf(syntax)), _) => self.said_too(syntax, &out, at),
        }
    }

    /// What a function gives whose OUT parameters say it as well: as of a set.
    fn said_too(
        &self,
        syntax: &ast::DataType,
        out: &[Given],
        at: Option<Position>,
    ) -> Result<FunctionResult> {
        let is_record = word_of(syntax).as_deref() == Some("record");
        match out {
            [(_, given)] if !is_record && self.routine_type(syntax, at)? == *given => {
                Ok(FunctionResult::Values(*given))
            }
            [_, _, ..] if is_record => Ok(FunctionResult::Rows {
                columns: given_columns(out),
                of: None,
            }),
            _ => {
                let wanted = match out {
                    [(_, given)] => given.to_string(),
                    _ => "record".to_owned(),
                };
                let message =
                    format!("function result type must be {wanted} because of OUT parameters");
                Err(invalid(message).at(at))
            }
        }
    }

    fn table_result(
        &mut self,
        list: &[(ast::Ident, ast::DataType)],
        taken: &[FunctionParameter],
    ) -> Result<FunctionResult> {
        let mut columns: Vec<ResultColumn> = Vec::with_capacity(list.len());
        for (ident, syntax) in list {
            let (name, at) = (name::fold(ident)?, place(ident.span));
            let of_parameter = taken.iter().any(|other| other.name.as_ref() == Some(&name));
            if of_parameter || columns.iter().any(|other| other.name == name) {
                let message = format!("parameter name \"{name}\" used more than once");
                return Err(invalid(message).at(at));
            }
            let data_type = self.routine_type(syntax, at)?;
            columns.push(ResultColumn { name, data_type });
        }
        Ok(FunctionResult::Rows { columns, of: None })
    }

    /// A table or view that a type's name is that of, with its columns.
    fn row_type(&self, syntax: &ast::DataType) -> Option<(TableId, Vec<ResultColumn>)> {
        let ast::DataType::Custom(name, _) = syntax else {
            return None;
        };
        let name = self.relation(name).ok()?;
        let table = self.catalog.table(&name).map(|table| table.def.id);
        let id = table.or_else(|| self.catalog.view(&name).map(|view| view.id))?;
        Some((id, self.row_of_relation(id)?))
    }

    /// Whether a table or view is a session's own.
    fn is_own(&self, id: TableId) -> bool {
        [CatalogObject::Table, CatalogObject::View]
            .into_iter()
            .any(|kind| self.catalog.is_temporary(kind(id)))
    }

    /// The columns of a table or view.
    pub(super) fn row_of_relation(&self, id: TableId) -> Option<Vec<ResultColumn>> {
        let column = |(name, data_type): (&String, DataType)| ResultColumn {
            name: name.clone(),
            data_type,
        };
        if let Some(table) = self.catalog.table_by_id(id) {
            let columns = table.def.shown().map(|(_, c)| (&c.name, c.data_type));
            return Some(columns.map(column).collect());
        }
        let view = self.catalog.view_by_id(id)?;
        let columns = view.columns.iter().map(|c| (&c.name, c.data_type));
        Some(columns.map(column).collect())
    }

    /// The type of a parameter or a result, which has no modifier.
    fn routine_type(&self, syntax: &ast::DataType, at: Option<Position>) -> Result<DataType> {
        if let Some(word) = word_of(syntax) {
            if word == "record" {
                return refuse("type record in a function", at);
            }
            if let Some(any) = AnyType::named(&word) {
                return Ok(DataType::Packed(PackedType::Any(any)));
            }
        }
        Ok(match self.data_type(syntax, at)? {
            // Without its length it is a string like others.
            DataType::Char(_) => DataType::Text,
            other => other.without_modifier(),
        })
    }

    /// Binds a DROP FUNCTION.
    pub(super) fn drop_functions(
        &mut self,
        drop: &syntax::DropFunction,
    ) -> Result<LogicalStatement> {
        let mut going: Vec<(TableId, String)> = Vec::new();
        for (written, types) in &drop.functions {
            let at = name::object_place(written);
            let name = name::function(written)?;
            let types = types.as_ref().map(|types| {
                let types = types.iter().map(|syntax| self.routine_type(syntax, at));
                types.collect::<Result<Vec<_>>>()
            });
            let types = match types.transpose() {
                // No function has a parameter of a type that is not there.
                Err(error) if drop.if_exists && error.sqlstate() == state::UNDEFINED_OBJECT => {
                    continue;
                }
                other => other?,
            };
            match self.function_to_drop(&name, types.as_deref()) {
                Ok(def) if going.iter().all(|(id, _)| *id != def.id) => {
                    going.push((def.id, signature(def)));
                }
                Ok(_) => {}
                Err(error) if drop.if_exists && error.sqlstate() == state::UNDEFINED_FUNCTION => {}
                Err(error) => return Err(error.at(at)),
            }
        }
        let mut all = self.without_functions(&going, drop.cascade)?;
        let steps = going.into_iter().map(|(id, _)| Step::DropFunction(id));
        all.push(LogicalStatement::Done(Statement::Structure(
            steps.collect(),
        )));
        Ok(LogicalStatement::Each(all))
    }

    fn function_to_drop(&self, name: &str, types: Option<&[DataType]>) -> Result<&FunctionDef> {
        let named = self.catalog.functions_named(name);
        let fits =
            |def: &&FunctionDef| types.is_none_or(|types| def.types().eq(types.iter().copied()));
        let found: Vec<&FunctionDef> = named.map(|def| &**def).filter(fits).collect();
        match (found.as_slice(), types) {
            ([only], _) => Ok(only),
            ([], None) => {
                let message = format!("could not find a function named \"{name}\"");
                Err(Error::new(state::UNDEFINED_FUNCTION, message))
            }
            ([], Some(types)) => {
                let types: Vec<String> = types.iter().map(ToString::to_string).collect();
                let message = format!("function {name}({}) does not exist", types.join(", "));
                Err(Error::new(state::UNDEFINED_FUNCTION, message))
            }
            _ => {
                let message = format!("function name \"{name}\" is not unique");
                let hint = "Specify the argument list to select the function unambiguously.";
                Err(Error::new(state::AMBIGUOUS_FUNCTION, message).with_hint(hint))
            }
        }
    }
}

/// The columns of a row of OUT parameters.
fn given_columns(out: &[Given]) -> Vec<ResultColumn> {
    let columns = out.iter().enumerate();
    let column = |(at, (name, data_type)): (usize, &Given)| ResultColumn {
        name: name.clone().unwrap_or_else(|| format!("column{}", at + 1)),
        data_type: *data_type,
    };
    columns.map(column).collect()
}

/// What the clauses of a CREATE FUNCTION say together.
struct Clauses {
    body: FunctionBody,
    volatility: FunctionVolatility,
    strict: bool,
    /// Where the body is, if it is a string.
    place: Option<Position>,
}

impl Clauses {
    fn of(create: &syntax::CreateFunction) -> Result<Self> {
        use syntax::Clause as C;
        let at = name::object_place(&create.name);
        let redundant =
            |at| Err(sql_error!(SYNTAX_ERROR, "conflicting or redundant options").at(at));
        let (mut language, mut volatility, mut strict) = (None, None, None);
        let (mut body, mut body_place) = (None, None);
        let mut others = Vec::new();
        for clause in &create.clauses {
            let found = match clause {
                C::Language(ident) => {
                    if language.replace(ident).is_some() {
                        return redundant(place(ident.span));
                    }
                    continue;
                }
                C::Volatility(word) => {
                    if volatility.replace(*word).is_some() {
                        return redundant(at);
                    }
                    continue;
                }
                C::Strict(said) => {
                    if strict.replace(*said).is_some() {
                        return redundant(at);
                    }
                    continue;
                }
                C::Other(what) => {
                    if others.contains(what) {
                        return redundant(at);
                    }
                    others.push(what);
                    continue;
                }
                C::Refused(what) => return refuse(what, at),
                C::Text(value) => {
                    body_place = place(value.span);
                    let Some(text) = super::literal::string(&value.value) else {
                        return Err(name::syntax_error(&value.to_string(), body_place));
                    };
                    FunctionBody::Text(text.to_owned())
                }
                C::Return(expr) => bound(format!("SELECT {expr}")),
                C::Atomic(text) => bound(text.trim_end_matches([';', ' ', '\n']).to_owned()),
            };
            if body.replace(found).is_some() {
                return Err(invalid("duplicate function body specified").at(at));
            }
        }
        let body = body.ok_or_else(|| invalid("no function body specified").at(at))?;
        // A body that is no string can only be SQL.
        match language {
            None if matches!(body, FunctionBody::Text(_)) => {
                return Err(invalid("no language specified").at(at));
            }
            Some(ident) if name::fold_label(ident)? != "sql" => {
                let language = name::fold_label(ident)?;
                let message = format!("language \"{language}\" does not exist");
                return Err(Error::new(state::UNDEFINED_OBJECT, message)
                    .with_hint("Functions are written in SQL, or by the program in Rust.")
                    .at(place(ident.span)));
            }
            _ => {}
        }
        Ok(Self {
            body,
            volatility: match volatility {
                Some(Keyword::IMMUTABLE) => FunctionVolatility::Immutable,
                Some(Keyword::STABLE) => FunctionVolatility::Stable,
                _ => FunctionVolatility::Volatile,
            },
            strict: strict.unwrap_or(false),
            place: body_place,
        })
    }
}

fn bound(query: String) -> FunctionBody {
    let sources = Vec::new();
    FunctionBody::Bound { query, sources }
}

/// What others may rely on of a function stays: what it gives, and what its parameters are called.
fn check_replacement(old: &FunctionDef, new: &FunctionDef, or_replace: bool) -> Result<()> {
    if !or_replace {
        let message = format!(
            "function \"{}\" already exists with same argument types",
            new.name
        );
        return Err(Error::new(state::DUPLICATE_FUNCTION, message));
    }
    let hint = format!("Use DROP FUNCTION {} first.", signature(old));
    if old.returns != new.returns {
        let message = "cannot change return type of existing function";
        return Err(invalid(message).with_hint(hint));
    }
    for (old, new) in old.parameters.iter().zip(&new.parameters) {
        if let Some(name) = &old.name
            && new.name.as_ref() != Some(name)
        {
            let message = format!("cannot change name of input parameter \"{name}\"");
            return Err(invalid(message).with_hint(hint));
        }
        if old.default.is_some() && new.default.is_none() {
            let message = "cannot remove parameter defaults from existing function";
            return Err(invalid(message).with_hint(hint));
        }
    }
    Ok(())
}

/// The name of a type that is one word of no meaning to the grammar.
fn word_of(syntax: &ast::DataType) -> Option<String> {
    match syntax {
        ast::DataType::Custom(name, modifiers) if modifiers.is_empty() => name::function(name).ok(),
        _ => None,
    }
}

/// The error for a function that cannot be as it is defined.
pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(state::INVALID_FUNCTION_DEFINITION, message)
}
