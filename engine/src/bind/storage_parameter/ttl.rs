//! The parameters of tables whose rows expire, as they are written.

use super::{boolean, invalid, said};
use crate::error::{Error, Position, Result, state};
use crate::function::text;
use remora_storage::catalog::TableDef;
use remora_storage::{ColumnId, DataType, Interval, Value};
use sqlparser::ast;

/// The column that says when a row expires.
pub(in crate::bind) const COLUMN: &str = "expires_at";
/// How long after they were written rows expire.
pub(in crate::bind) const AFTER: &str = "ttl_expire_after";
/// Expression that gives the moment at which a row expires.
pub(in crate::bind) const EXPRESSION: &str = "ttl_expiration_expression";
/// Which changes begin a row's time anew: `insert` alone, or every `update` too.
pub(in crate::bind) const RESET: &str = "ttl_reset";
/// Whether triggers fire where a row that has expired is deleted.
pub(in crate::bind) const TRIGGERS: &str = "ttl_triggers";
/// Whether rows that have expired are left where they are, unseen.
pub(in crate::bind) const PAUSE: &str = "ttl_pause";

/// The parameters of expiry that a statement gives.
#[derive(Default)]
pub(in crate::bind) struct Said {
    pub(in crate::bind) after: Option<String>,
    pub(in crate::bind) expression: Option<String>,
    pub(in crate::bind) resets: Option<bool>,
    pub(in crate::bind) paused: Option<bool>,
    pub(in crate::bind) triggers: Option<bool>,
}

impl Said {
    /// Takes a parameter, if it is one of expiry.
    ///
    /// # Errors
    /// 22023
    pub(in crate::bind) fn take(&mut self, name: &str, value: Option<&ast::Expr>) -> Result<bool> {
        match name {
            AFTER => self.after = Some(span(&said(value))?),
            EXPRESSION => self.expression = Some(expression(value)?),
            RESET => {
                self.resets = Some(match said(value).as_str() {
                    "insert" => false,
                    "update" => true,
                    other => {
                        let message = format!("invalid value for enum option \"{RESET}\": {other}");
                        let detail = "Valid values are \"insert\" and \"update\".";
                        return Err(invalid(message).with_detail(detail));
                    }
                });
            }
            PAUSE => self.paused = Some(boolean(name, value)?),
            TRIGGERS => self.triggers = Some(boolean(name, value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Resets a parameter other than [`AFTER`], if it is one of expiry.
    pub(in crate::bind) fn reset(&mut self, name: &str) -> bool {
        match name {
            RESET => self.resets = Some(true),
            PAUSE => self.paused = Some(false),
            TRIGGERS => self.triggers = Some(false),
            _ => return false,
        }
        true
    }

    pub(in crate::bind) fn is_empty(&self) -> bool {
        let Self {
            after,
            expression,
            resets,
            paused,
            triggers,
        } = self;
        let says_when = after.is_some() || expression.is_some() || resets.is_some();
        !says_when && paused.is_none() && triggers.is_none()
    }
}

/// The text of an expression, which is given as a string.
fn expression(value: Option<&ast::Expr>) -> Result<String> {
    if let Some(ast::Expr::Value(value)) = value
        && let ast::Value::SingleQuotedString(text) = &value.value
    {
        return Ok(text.clone());
    }
    let message = format!("invalid value for option \"{EXPRESSION}\": {}", said(value));
    Err(invalid(message)
        .with_hint("Give an expression over columns as a string: 'seen + INTERVAL ''30 days'''."))
}

/// A span of time by which rows may expire, as it is written in the catalog.
fn span(written: &str) -> Result<String> {
    let value = text::parse(written, DataType::Interval).map_err(|error| {
        let message = format!("invalid value for interval option \"{AFTER}\": {written}");
        invalid(message)
            .with_detail(error.message().to_owned())
            .with_hint("Say how long after they are written rows expire: '90 seconds', '1 hour', '30 days'.")
    })?;
    let is_positive = |span: &Interval| span.months >= 0 && span.days >= 0 && span.micros >= 0;
    match value {
        Value::Interval(span) if is_positive(&span) && span.comparable() > 0 => {
            Ok(written.to_owned())
        }
        _ => {
            let message = format!("value {written} out of bounds for option \"{AFTER}\"");
            Err(invalid(message).with_detail("Rows expire after they were written."))
        }
    }
}

/// Refuses to change or take away the column that says when rows expire: what a table is rests on it.
///
/// # Errors
/// 0A000
pub(in crate::bind) fn refuse_column(
    table: &TableDef,
    column: ColumnId,
    at: Option<Position>,
) -> Result<()> {
    match &table.expiry {
        Some(expiry) if expiry.column == column => {
            let name = &table.name;
            let message = format!("rows of table \"{name}\" expire by this column");
            let hint = format!("ALTER TABLE {name} RESET ({AFTER}) has them stay.");
            Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
                .with_hint(hint)
                .at(at))
        }
        _ => Ok(()),
    }
}
