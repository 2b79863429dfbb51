//! Storage parameters: `WITH (fillfactor = 70)`. They tune a storage that is not ours, so that they are tested as
//! PostgreSQL tests them, and then forgotten; only what a view says of its check option counts.

use super::name;
use crate::error::{Error, Position, Result, state};
use crate::parse::{CheckOption, refuse};
use sqlparser::ast::{self, CreateTableOptions, SqlOption};

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

const OF_VIEWS: &[(&str, Kind)] = &[
    ("security_barrier", Kind::Boolean),
    ("security_invoker", Kind::Boolean),
    ("check_option", Kind::Any),
];

/// Tests the options of a table.
///
/// # Errors
/// 22023
pub(super) fn test_of_table(options: &CreateTableOptions, at: Option<Position>) -> Result<()> {
    for (name, value) in pairs(options, at)? {
        match name.as_str() {
            "oids" if boolean(&name, value)? => {
                let message = "tables declared WITH OIDS are not supported";
                return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message));
            }
            "oids" => {}
            _ => test(&name, value, OF_TABLES)?,
        }
    }
    Ok(())
}

/// Tests the options of a view, and gives its check option.
///
/// # Errors
/// 22023
pub(super) fn of_view(
    options: &CreateTableOptions,
    at: Option<Position>,
) -> Result<Option<CheckOption>> {
    let mut found = None;
    for (name, value) in pairs(options, at)? {
        test(&name, value, OF_VIEWS)?;
        if name == "check_option" {
            found = match text(value).as_str() {
                "local" => Some(CheckOption::Local),
                "cascaded" => Some(CheckOption::Cascaded),
                other => {
                    let message = format!("invalid value for enum option \"{name}\": {other}");
                    return Err(Error::new(state::INVALID_PARAMETER_VALUE, message)
                        .with_detail("Valid values are \"local\" and \"cascaded\"."));
                }
            };
        }
    }
    Ok(found)
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
            let text = text(value);
            let invalid = |message| Error::new(state::INVALID_PARAMETER_VALUE, message);
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
    match text(value).as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        other => {
            let message = format!("invalid value for boolean option \"{name}\": {other}");
            Err(Error::new(state::INVALID_PARAMETER_VALUE, message))
        }
    }
}

fn text(value: Option<&ast::Expr>) -> String {
    let shown = value.map_or_else(|| "true".to_owned(), ToString::to_string);
    shown.trim_matches('\'').to_lowercase()
}
