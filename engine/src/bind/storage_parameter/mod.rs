//! Storage parameters: `WITH (fillfactor = 70)`. They tune a storage that is not ours, so that they are tested as
//! PostgreSQL tests them, and then forgotten; only what a view says of its check option counts, and what a table says of
//! when its rows expire ([`ttl`]) and of its bounds ([`eviction`]).

pub(super) mod eviction;
pub(super) mod ttl;

use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{ParametersOf, SetParameters, refuse};
use crate::plan::Statement;
use crate::plan::logical::LogicalStatement;
use crate::plan::structure::Step;
use eviction::BoundParameters;
use remora_storage::catalog::{ViewCheck, ViewDef};
use sqlparser::ast::{self, CreateTableOptions, SqlOption};
use std::sync::Arc;

/// What a parameter's value must be.
#[derive(Clone, Copy)]
enum Kind {
    Integer(i64, i64),
    Boolean,
    Any,
}

const OF_TABLES: &[(&str, Kind)] = &[
    ("fillfactor", Kind::Integer(10, 100)),
    ("toast_tuple_target", Kind::Integer(128, 8160)),
    ("parallel_workers", Kind::Integer(0, 1024)),
    ("user_catalog_table", Kind::Boolean),
    ("vacuum_truncate", Kind::Boolean),
    ("vacuum_index_cleanup", Kind::Any),
    (
        "log_autovacuum_min_duration",
        Kind::Integer(-1, i32::MAX as i64),
    ),
    ("autovacuum_enabled", Kind::Boolean),
    (
        "autovacuum_vacuum_threshold",
        Kind::Integer(0, i32::MAX as i64),
    ),
    (
        "autovacuum_vacuum_insert_threshold",
        Kind::Integer(-1, i32::MAX as i64),
    ),
    (
        "autovacuum_analyze_threshold",
        Kind::Integer(0, i32::MAX as i64),
    ),
    ("autovacuum_vacuum_scale_factor", Kind::Any),
    ("autovacuum_vacuum_insert_scale_factor", Kind::Any),
    ("autovacuum_analyze_scale_factor", Kind::Any),
    ("autovacuum_vacuum_cost_delay", Kind::Any),
    ("autovacuum_vacuum_cost_limit", Kind::Any),
    ("autovacuum_freeze_min_age", Kind::Any),
    ("autovacuum_freeze_max_age", Kind::Any),
    ("autovacuum_freeze_table_age", Kind::Any),
    ("autovacuum_multixact_freeze_min_age", Kind::Any),
    ("autovacuum_multixact_freeze_max_age", Kind::Any),
    ("autovacuum_multixact_freeze_table_age", Kind::Any),
];

const OF_INDEXES: &[(&str, Kind)] = &[
    ("fillfactor", Kind::Integer(10, 100)),
    ("deduplicate_items", Kind::Boolean),
];

const CHECK_OPTION: &str = "check_option";

const OF_VIEWS: &[(&str, Kind)] = &[
    ("security_barrier", Kind::Boolean),
    ("security_invoker", Kind::Boolean),
    (CHECK_OPTION, Kind::Any),
];

/// The parameters of a table that count.
#[derive(Default)]
pub(super) struct TableParameters {
    pub(super) expiry: ttl::Said,
    pub(super) eviction: BoundParameters,
}

impl TableParameters {
    fn take(&mut self, name: &str, value: Option<&ast::Expr>) -> Result<bool> {
        Ok(self.expiry.take(name, value)? || self.eviction.take(name, value)?)
    }

    fn is_empty(&self) -> bool {
        self.expiry.is_empty() && self.eviction.is_empty()
    }
}

/// Tests the options of a table, and gives those that count.
///
/// # Errors
/// 22023
pub(super) fn of_table(
    options: &CreateTableOptions,
    at: Option<Position>,
) -> Result<TableParameters> {
    let mut parameters = TableParameters::default();
    for (name, value) in pairs(options, at)? {
        if parameters.take(&name, value)? {
            continue;
        }
        match name.as_str() {
            "oids" if boolean(&name, value)? => {
                let message = "tables declared WITH OIDS are not supported";
                return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message));
            }
            "oids" => {}
            _ => test(&name, value, OF_TABLES)?,
        }
    }
    Ok(parameters)
}

/// Tests the options of a table that is filled when it is made.
///
/// # Errors
/// 22023; 0A000 where they say that its rows expire or are evicted.
pub(super) fn test_of_table(options: &CreateTableOptions, at: Option<Position>) -> Result<()> {
    match of_table(options, at)?.is_empty() {
        true => Ok(()),
        false => Err(of_query(at)),
    }
}

/// The complaint about rows that are those of a query.
fn of_query(at: Option<Position>) -> Error {
    Error::unsupported("expiry and eviction of the rows of a query")
        .with_hint("Make the table first, and then INSERT INTO .. SELECT.")
        .at(at)
}

/// Tests the options of a view, and gives its check option.
///
/// # Errors
/// 22023
pub(super) fn of_view(
    options: &CreateTableOptions,
    at: Option<Position>,
) -> Result<Option<ViewCheck>> {
    let mut found = None;
    for (name, value) in pairs(options, at)? {
        test(&name, value, OF_VIEWS)?;
        if name == CHECK_OPTION {
            found = Some(check_option(value)?);
        }
    }
    Ok(found)
}

fn check_option(value: Option<&ast::Expr>) -> Result<ViewCheck> {
    match said(value).as_str() {
        "local" => Ok(ViewCheck::Local),
        "cascaded" => Ok(ViewCheck::Cascaded),
        other => {
            let message = format!("invalid value for enum option \"{CHECK_OPTION}\": {other}");
            Err(invalid(message).with_detail("Valid values are \"local\" and \"cascaded\"."))
        }
    }
}

impl Binder<'_> {
    /// ALTER .. SET | RESET (parameters): of a view's check option something is kept, of expiry, and of eviction.
    pub(super) fn set_parameters(&mut self, syntax: &SetParameters) -> Result<LogicalStatement> {
        let at = name::object_place(&syntax.name);
        let located = self.relation(&syntax.name)?;
        let nothing = LogicalStatement::Done(Statement::Structure(Vec::new()));
        if syntax.if_exists && !self.relation_exists(&located) {
            return Ok(nothing);
        }
        let parameters = pairs_of(&syntax.parameters, at)?;
        if syntax.resets && parameters.iter().any(|(_, value)| value.is_some()) {
            let message = "RESET must not include values for parameters";
            return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
        }
        let is_index = self.catalog.index(&located).is_some();
        let may_be_view = matches!(syntax.of, ParametersOf::View | ParametersOf::Table);
        if let Some(view) = self.catalog.view(&located).filter(|_| may_be_view) {
            let view = Arc::clone(view);
            let set = self.set_parameters_of_view(&view, &parameters, syntax.resets, at)?;
            return Ok(LogicalStatement::Done(set));
        }
        let is_other = match syntax.of {
            ParametersOf::Index => !is_index,
            ParametersOf::View => true,
            ParametersOf::Table => false,
            ParametersOf::Materialized => {
                let table = self.catalog.table(&located);
                table.is_none_or(|table| table.def.materialized.is_none())
            }
        };
        if is_other && self.relation_exists(&located) {
            let what = match syntax.of {
                ParametersOf::Index => "an index",
                ParametersOf::Materialized => "a materialized view",
                _ => "a view",
            };
            let message = format!("\"{}\" is not {what}", located.name());
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        if is_index {
            let set = parameters.iter().filter(|_| !syntax.resets);
            for (name, value) in set {
                test(name, *value, OF_INDEXES)?;
            }
            return Ok(nothing);
        }
        let entry = self.table(&located, at)?;
        let mut set = TableParameters::default();
        let mut drops_expiry = false;
        for (name, value) in &parameters {
            match syntax.resets {
                true if name == ttl::AFTER || name == ttl::EXPRESSION => drops_expiry = true,
                true if entry.def.expiry.is_some() && set.expiry.reset(name) => {}
                true => {
                    set.eviction.reset(name);
                }
                false if set.take(name, *value)? => {}
                false => test(name, *value, OF_TABLES)?,
            }
        }
        if set.is_empty() && !drops_expiry {
            return Ok(nothing);
        }
        if entry.def.materialized.is_some() && !syntax.resets {
            return Err(of_query(at));
        }
        let mut altered = self.altered_entry(entry);
        if drops_expiry {
            self.drop_expiry(&mut altered)?;
        } else if !set.expiry.is_empty() {
            self.alter_expiry(&mut altered, set.expiry, at)?;
        }
        if !set.eviction.is_empty() {
            self.alter_eviction(&mut altered, &set.eviction, at)?;
        }
        eviction::check_eviction(&altered.draft.table).map_err(|error| error.at(at))?;
        self.finish_alter(altered)
    }

    fn set_parameters_of_view(
        &self,
        view: &ViewDef,
        parameters: &[(String, Option<&ast::Expr>)],
        resets: bool,
        at: Option<Position>,
    ) -> Result<Statement> {
        let mut def = view.clone();
        for (name, value) in parameters {
            if !resets {
                test(name, *value, OF_VIEWS)?;
            }
            if name == CHECK_OPTION {
                def.check = match resets {
                    true => None,
                    false => Some(check_option(*value)?),
                };
            }
        }
        self.check_option_fits(&def, at)?;
        Ok(Statement::Structure(vec![Step::AlterView(def)]))
    }
}

/// Tests the options of an index.
///
/// # Errors
/// 22023
pub(super) fn test_of_index(options: &[ast::Expr], at: Option<Position>) -> Result<()> {
    for option in options {
        match option {
            ast::Expr::Identifier(key) => test(&name::fold(key)?, None, OF_INDEXES)?,
            ast::Expr::BinaryOp {
                left,
                op: ast::BinaryOperator::Eq,
                right,
            } => match &**left {
                ast::Expr::Identifier(key) => test(&name::fold(key)?, Some(right), OF_INDEXES)?,
                _ => return refuse("this option of an index", at),
            },
            _ => return refuse("this option of an index", at),
        }
    }
    Ok(())
}

/// Names and values.
fn pairs(
    options: &CreateTableOptions,
    at: Option<Position>,
) -> Result<Vec<(String, Option<&ast::Expr>)>> {
    let options = match options {
        CreateTableOptions::None => return Ok(Vec::new()),
        CreateTableOptions::With(options) => options,
        _ => return refuse("a storage option", at),
    };
    pairs_of(options, at)
}

fn pairs_of(
    options: &[SqlOption],
    at: Option<Position>,
) -> Result<Vec<(String, Option<&ast::Expr>)>> {
    options.iter().map(|option| pair(option, at)).collect()
}

fn pair(option: &SqlOption, at: Option<Position>) -> Result<(String, Option<&ast::Expr>)> {
    match option {
        SqlOption::Ident(key) => Ok((name::fold(key)?, None)),
        SqlOption::KeyValue { key, value } => Ok((name::fold(key)?, Some(value))),
        _ => refuse("a storage option", at),
    }
}

fn test(name: &str, value: Option<&ast::Expr>, known: &[(&str, Kind)]) -> Result<()> {
    let Some((_, kind)) = known.iter().find(|(known, _)| *known == name) else {
        let message = format!("unrecognized parameter \"{name}\"");
        return Err(Error::new(state::INVALID_PARAMETER_VALUE, message));
    };
    match kind {
        Kind::Any => Ok(()),
        Kind::Boolean => boolean(name, value).map(drop),
        Kind::Integer(least, most) => {
            let text = said(value);
            let number: i64 = text.parse().map_err(|_| {
                invalid(format!(
                    "invalid value for integer option \"{name}\": {text}"
                ))
            })?;
            if (*least..=*most).contains(&number) {
                return Ok(());
            }
            let detail = format!("Valid values are between \"{least}\" and \"{most}\".");
            Err(invalid(format!(
                "value {number} out of bounds for option \"{name}\""
            ))
            .with_detail(detail))
        }
    }
}

/// An option's value; that of one without is true.
fn boolean(name: &str, value: Option<&ast::Expr>) -> Result<bool> {
    match said(value).as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        other => {
            let message = format!("invalid value for boolean option \"{name}\": {other}");
            Err(Error::new(state::INVALID_PARAMETER_VALUE, message))
        }
    }
}

/// The complaint about a parameter's value.
pub(super) fn invalid(message: String) -> Error {
    Error::new(state::INVALID_PARAMETER_VALUE, message)
}

/// A value in lower case and without quotes.
fn said(value: Option<&ast::Expr>) -> String {
    let shown = value.map_or_else(|| "true".to_owned(), ToString::to_string);
    shown.trim_matches('\'').to_lowercase()
}
