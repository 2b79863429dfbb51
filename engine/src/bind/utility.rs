//! Transactions and settings, and the refusal of everything else.

use super::check::column_position;
use super::literal::{interval_value, string};
use super::name;
use super::statement::Tagged;
use super::{Binder, expr::start};
use crate::error::{Error, Result, state};
use crate::function::{quoted, text};
use crate::notification::Message;
use crate::parse::{Reindex, Upkeep, refuse};
use crate::plan::Statement;
use crate::plan::logical::LogicalStatement;
use crate::plan::statement::{Discarded, TransactionOptions};
use remora_storage::Isolation;
use sqlparser::ast::{
    self, ContextModifier, DiscardObject, Reset, Set, TransactionAccessMode,
    TransactionIsolationLevel, TransactionMode,
};
use sqlparser::keywords::Keyword;

impl Binder<'_> {
    /// Binds what is neither query nor change nor definition.
    pub(super) fn utility(&mut self, syntax: &ast::Statement) -> Result<Tagged> {
        use ast::Statement as S;
        let (statement, tag) = match syntax {
            S::StartTransaction {
                modes,
                begin,
                modifier: None,
                statements,
                exception: None,
                ..
            } if statements.is_empty() => {
                let tag = if *begin { "BEGIN" } else { "START TRANSACTION" };
                (Statement::Begin(options(modes)), tag)
            }
            S::Commit {
                chain,
                modifier: None,
                ..
            } => (Statement::Commit { chain: *chain }, "COMMIT"),
            S::Rollback {
                chain,
                savepoint: None,
            } => (Statement::Rollback { chain: *chain }, "ROLLBACK"),
            S::Rollback {
                chain: false,
                savepoint: Some(name),
            } => (Statement::RollbackTo(name::fold_label(name)?), "ROLLBACK"),
            S::Savepoint { name } => (Statement::Savepoint(name::fold_label(name)?), "SAVEPOINT"),
            S::ReleaseSavepoint { name } => {
                (Statement::Release(name::fold_label(name)?), "RELEASE")
            }
            S::Lock(lock) => return self.lock_tables(lock),
            S::Set(set) => (setting(set)?, "SET"),
            S::Reset(reset) => {
                let name = match &reset.reset {
                    Reset::ALL => "all".to_owned(),
                    Reset::ConfigurationParameter(name) => setting_name(name)?,
                    Reset::SessionAuthorization => "session_authorization".to_owned(),
                };
                let set = Statement::Set {
                    name,
                    value: None,
                    local: false,
                };
                (set, "RESET")
            }
            S::ShowVariable { variable } => {
                let words: Vec<String> = variable
                    .iter()
                    .map(|ident| ident.value.to_lowercase())
                    .collect();
                let name = match words.join(" ").as_str() {
                    "time zone" => "timezone".to_owned(),
                    "transaction isolation level" => "transaction_isolation".to_owned(),
                    other => other.replace(' ', "."),
                };
                (Statement::Show(name), "SHOW")
            }
            S::LISTEN { channel } => (Statement::Listen(name::fold(channel)?.into()), "LISTEN"),
            S::UNLISTEN { channel } => {
                let is_all = channel.quote_style.is_none() && channel.value == "*";
                let channel = (!is_all).then(|| name::fold(channel)).transpose()?;
                (Statement::Unlisten(channel.map(Into::into)), "UNLISTEN")
            }
            S::NOTIFY { channel, payload } => {
                let payload = payload.as_deref().unwrap_or_default();
                let message = Message::new(&name::fold(channel)?, payload)?;
                (Statement::Notify(message), "NOTIFY")
            }
            S::Discard { object_type } => {
                let (what, tag) = match object_type {
                    DiscardObject::ALL => (Discarded::All, "DISCARD ALL"),
                    DiscardObject::PLANS => (Discarded::Plans, "DISCARD PLANS"),
                    DiscardObject::SEQUENCES => (Discarded::Sequences, "DISCARD SEQUENCES"),
                    DiscardObject::TEMP => (Discarded::Temporary, "DISCARD TEMP"),
                };
                (Statement::Discard(what), tag)
            }
            other => return refuse(what(other), None),
        };
        Ok((LogicalStatement::Done(statement), tag))
    }

    /// ANALYZE and VACUUM: the tables and columns that are named have to be there.
    pub(super) fn upkeep(&self, upkeep: &Upkeep) -> Result<Tagged> {
        for (table, columns) in &upkeep.tables {
            let entry = self.table(&self.relation(table)?, name::object_place(table))?;
            for column in columns {
                column_position(&entry.def, column)?;
            }
        }
        let vacuum = upkeep.vacuum;
        let tag = if vacuum { "VACUUM" } else { "ANALYZE" };
        let statement = Statement::Upkeep { vacuum };
        Ok((LogicalStatement::Done(statement), tag))
    }

    /// REINDEX: what is named has to be there. Indexes are made anew when a database is opened, and do not wear out.
    pub(super) fn reindex(&self, reindex: &Reindex) -> Result<LogicalStatement> {
        let nothing = LogicalStatement::Done(Statement::Structure(Vec::new()));
        let Some((kind, name)) = &reindex.what else {
            return Ok(nothing);
        };
        let (found, at) = (self.relation(name)?, name::object_place(name));
        let wants_index = *kind == Keyword::INDEX;
        if self.catalog.index(&found).is_some() != wants_index {
            let there = self.catalog.has_name(&found) || self.system_table(&found).is_some();
            if there && (wants_index || self.catalog.index(&found).is_some()) {
                let what = match wants_index {
                    true => "an index",
                    false => "a table or materialized view",
                };
                let message = format!("\"{}\" is not {what}", found.name());
                return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
            }
        }
        if self.system_table(&found).is_some() || self.system_view(&found).is_some() {
            return match reindex.concurrently {
                true => Err(sql_error!(
                    FEATURE_NOT_SUPPORTED,
                    "cannot reindex system catalogs concurrently"
                )
                .at(at)),
                false => Ok(nothing),
            };
        }
        if !wants_index {
            self.table(&found, at)?;
        } else if self.catalog.index(&found).is_none() {
            return Err(sql_error!(UNDEFINED_TABLE, "relation \"{found}\" does not exist").at(at));
        }
        Ok(nothing)
    }

    /// COMPACT, of a table or of all.
    pub(super) fn compact(&self, table: Option<&ast::ObjectName>) -> Result<LogicalStatement> {
        let entry = table
            .map(|table| self.table(&self.relation(table)?, name::object_place(table)))
            .transpose()?;
        let id = entry.map(|entry| entry.def.id);
        Ok(LogicalStatement::Done(Statement::Compact(id)))
    }
}

/// What was said of a transaction; of two words about one thing the last counts. A level that there is
/// not becomes the next stronger one.
fn options(modes: &[TransactionMode]) -> TransactionOptions {
    use TransactionIsolationLevel as Level;
    let mut options = TransactionOptions::new();
    for mode in modes {
        options = match mode {
            TransactionMode::AccessMode(mode) => {
                options.read_only(*mode == TransactionAccessMode::ReadOnly)
            }
            TransactionMode::IsolationLevel(Level::Serializable) => {
                options.isolation(Isolation::Serializable)
            }
            TransactionMode::IsolationLevel(
                Level::ReadUncommitted
                | Level::ReadCommitted
                | Level::RepeatableRead
                | Level::Snapshot,
            ) => options.isolation(Isolation::Snapshot),
        };
    }
    options
}

fn setting(set: &Set) -> Result<Statement> {
    match set {
        Set::SingleAssignment {
            hivevar: false,
            scope,
            variable,
            values,
        } => match values.as_slice() {
            [value] => Ok(Statement::Set {
                value: match setting_name(variable)?.as_str() {
                    // A list of one.
                    "search_path" => setting_value(value)?.map(|name| quoted(&name)),
                    _ => setting_value(value)?,
                },
                name: setting_name(variable)?,
                local: matches!(scope, Some(ContextModifier::Local)),
            }),
            values => Ok(Statement::Set {
                name: setting_name(variable)?,
                value: Some(setting_list(values)?),
                local: matches!(scope, Some(ContextModifier::Local)),
            }),
        },
        Set::SetRole {
            context_modifier,
            role_name,
        } => Ok(Statement::Set {
            name: "role".to_owned(),
            value: Some(
                role_name
                    .as_ref()
                    .map_or("none", |name| &name.value)
                    .to_owned(),
            ),
            local: matches!(context_modifier, Some(ContextModifier::Local)),
        }),
        Set::SetSessionAuthorization(ast::SetSessionAuthorizationParam { kind, scope }) => {
            use ast::SetSessionAuthorizationParamKind as Kind;
            Ok(Statement::Set {
                name: "session_authorization".to_owned(),
                value: match kind {
                    Kind::Default => None,
                    Kind::User(name) => Some(name.value.clone()),
                },
                local: matches!(scope, ContextModifier::Local),
            })
        }
        Set::SetTimeZone { value, local } => Ok(Statement::Set {
            name: "timezone".to_owned(),
            value: zone_value(value)?,
            local: *local,
        }),
        Set::SetTransaction {
            modes,
            snapshot: None,
            session,
        } => Ok(match session {
            true => Statement::SetCharacteristics(options(modes)),
            false => Statement::SetTransaction(options(modes)),
        }),
        _ => refuse("this form of SET", None),
    }
}

/// A zone: `LOCAL`, an interval, or any value of the setting.
fn zone_value(value: &ast::Expr) -> Result<Option<String>> {
    match value {
        ast::Expr::Identifier(ident)
            if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("local") =>
        {
            Ok(None)
        }
        ast::Expr::Interval(interval) => {
            let (span, at) = interval_value(interval, &text::PLAIN)?;
            let zone = text::style::zone_of_interval(&span).ok_or_else(|| {
                let message = "time zone interval must not include months or days";
                Error::new(state::INVALID_PARAMETER_VALUE, message).at(at)
            })?;
            Ok(Some(zone))
        }
        other => setting_value(other),
    }
}

fn setting_name(name: &ast::ObjectName) -> Result<String> {
    let parts = name::parts(name)?;
    let parts: Vec<String> = parts
        .iter()
        .map(|ident| ident.value.to_lowercase())
        .collect();
    Ok(parts.join("."))
}

/// A list, as PostgreSQL shows it: quoted where a name would be.
fn setting_list(values: &[ast::Expr]) -> Result<String> {
    let mut shown = Vec::with_capacity(values.len());
    for value in values {
        let Some(text) = setting_value(value)? else {
            return Err(name::syntax_error("DEFAULT", start(value)));
        };
        shown.push(quoted(&text));
    }
    Ok(shown.join(", "))
}

/// The value as text; `None` for DEFAULT.
fn setting_value(value: &ast::Expr) -> Result<Option<String>> {
    use ast::Expr as E;
    match value {
        E::Identifier(ident) if ident.quote_style.is_some() => Ok(Some(ident.value.clone())),
        E::Identifier(ident) => match ident.value.to_lowercase().as_str() {
            "default" => Ok(None),
            word => Ok(Some(word.to_owned())),
        },
        E::Value(value) => match (string(&value.value), &value.value) {
            (Some(text), _) => Ok(Some(text.to_owned())),
            (None, ast::Value::Number(..) | ast::Value::Boolean(_)) => Ok(Some(value.to_string())),
            _ => refuse("this value of a setting", start(&E::Value(value.clone()))),
        },
        E::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } if matches!(**expr, E::Value(_)) => Ok(Some(format!("-{expr}"))),
        other => refuse("this value of a setting", start(other)),
    }
}

/// What a refused statement is called.
fn what(statement: &ast::Statement) -> &'static str {
    use ast::Statement as S;
    match statement {
        S::AlterTable { .. } => "ALTER TABLE",
        S::AlterIndex { .. } => "ALTER INDEX",
        S::CreateView { .. } => "CREATE VIEW",
        S::CreateSchema { .. } => "CREATE SCHEMA",
        S::CreateSequence { .. } => "CREATE SEQUENCE",
        S::CreateFunction { .. } => "CREATE FUNCTION",
        S::CreateTrigger { .. } => "CREATE TRIGGER",
        S::CreateType { .. } => "CREATE TYPE",
        S::Drop { .. } => "DROP of this kind of object",
        S::Grant { .. } => "GRANT",
        _ => "this statement",
    }
}
