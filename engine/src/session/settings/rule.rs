//! Settings that mean something, with their defaults and the values that each may have.

use super::value::{self, Unit, outside, refuse, refuse_other};
use crate::error::{Error, Result};
use crate::function::schemas_of;
use crate::function::text::style;
use crate::optimize::EFFORTS;
use remora_storage::Isolation;

/// Values that a setting may have.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// Any.
    Free,
    /// On or off, by any beginning of a word for it.
    Switch,
    /// One of these, shown as it stands here.
    Named(&'static [&'static str]),
    /// One of these and of other words for them, shown in lower case.
    OneOf(&'static [&'static str]),
    /// One of these, with other words for on and off.
    Words(&'static [&'static str]),
    /// A whole number, perhaps with a unit.
    Whole(Unit, i64, i64),
    Real(f64, f64),
    Duration,
    /// A list of schemas, whether they exist or not.
    Path,
    /// A part of the style of values; where there are few of them, one of these.
    Style(&'static [&'static str]),
    /// None but the default.
    Fixed,
}

/// One setting.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub name: &'static str,
    pub default: &'static str,
    rule: Rule,
}

pub(super) const fn setting(name: &'static str, default: &'static str, rule: Rule) -> Setting {
    Setting {
        name,
        default,
        rule,
    }
}

impl Setting {
    /// Returns a value as it reads back; `now` is the current one.
    ///
    /// # Errors
    /// 22023 for a value that the setting cannot have, 55P02 where it cannot be changed.
    pub(super) fn normal(&self, text: &str, now: &str) -> Result<String> {
        let name = self.name;
        match self.rule {
            Rule::Free => Ok(text.to_owned()),
            Rule::Switch => value::switch(name, text).map(value::show_switch),
            Rule::Named(allowed) => {
                let named = allowed.iter().find(|one| one.eq_ignore_ascii_case(text));
                let refused = || refuse_other(name, text, allowed);
                named.map(|one| (*one).to_owned()).ok_or_else(refused)
            }
            Rule::OneOf(allowed) => allow(self, text, allowed),
            Rule::Words(allowed) => match on_or_off(&text.to_ascii_lowercase()) {
                Some(switch) => Ok(switch.to_owned()),
                None => allow(self, text, allowed),
            },
            Rule::Whole(unit, min, max) => value::whole(name, text, unit, min, max),
            Rule::Real(min, max) => value::real(name, text, min, max),
            Rule::Duration => value::duration(name, text).map(value::show_duration),
            Rule::Path => match schemas_of(text) {
                Some(_) => Ok(text.to_owned()),
                None => Err(refuse(name, text)),
            },
            Rule::Style(allowed) => {
                let normal = style::normal(name, text, now);
                normal.ok_or_else(|| refuse_style(self, text, allowed))
            }
            Rule::Fixed => Err(sql_error!(
                CANT_CHANGE_RUNTIME_PARAM,
                "parameter \"{name}\" cannot be changed"
            )),
        }
    }
}

const MESSAGE_LEVELS: &[&str] = &[
    "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning", "error",
];

/// What an isolation level may be called. There are two; the others get the next stronger one.
const LEVELS: &[&str] = &[
    "serializable",
    "snapshot",
    "repeatable read",
    "read committed",
    "read uncommitted",
];

/// The setting that is the isolation level of transactions that say nothing about it.
pub(in crate::session) const DEFAULT_ISOLATION: &str = "default_transaction_isolation";
/// The setting by which transactions that say nothing about it only read.
pub(in crate::session) const DEFAULT_READ_ONLY: &str = "default_transaction_read_only";

/// The setting that says where names are looked for.
pub(super) const SEARCH_PATH: &str = "search_path";

/// The settings that are limits of time.
pub(in crate::session) const STATEMENT_TIMEOUT: &str = "statement_timeout";
pub(in crate::session) const TRANSACTION_TIMEOUT: &str = "transaction_timeout";
pub(in crate::session) const LOCK_TIMEOUT: &str = "lock_timeout";
pub(in crate::session) const IDLE_TIMEOUT: &str = "idle_in_transaction_session_timeout";

/// The setting that says whether commits wait until they are durable, and whether what is not is shown.
pub(in crate::session) const SYNCHRONOUS_COMMIT: &str = "synchronous_commit";
/// PostgreSQL's names; there is nothing but this machine, so all but one mean the same.
const SYNCHRONOUS: &[&str] = &["local", "remote_write", "remote_apply", "on", "off"];

const SWITCH: &[&str] = &["on", "off", "true", "false", "yes", "no", "1", "0"];

/// The setting by which a statement that fails in a transaction undoes itself and nothing else.
pub(in crate::session) const ON_ERROR_ROLLBACK: &str = "on_error_rollback";

/// The setting by which plans are optimised.
pub(super) const OPTIMIZE: &str = "optimize";

/// All settings that mean something, by name. `transaction_*` are answered by the transaction itself.
pub(super) const SETTINGS: &[Setting] = &[
    setting("application_name", "", Rule::Free),
    setting("array_nulls", "on", Rule::OneOf(&["on"])),
    setting("block_size", "8192", Rule::Fixed),
    setting(style::BYTEA_OUTPUT, "hex", Rule::Style(&["escape", "hex"])),
    setting(
        "client_encoding",
        "UTF8",
        Rule::OneOf(&["utf8", "utf-8", "unicode"]),
    ),
    setting("client_min_messages", "notice", Rule::OneOf(MESSAGE_LEVELS)),
    setting(style::DATE_STYLE, "ISO, MDY", Rule::Style(&[])),
    setting(
        "default_table_access_method",
        "heap",
        Rule::OneOf(&["heap"]),
    ),
    setting(DEFAULT_ISOLATION, "serializable", Rule::OneOf(LEVELS)),
    setting(DEFAULT_READ_ONLY, "off", Rule::OneOf(SWITCH)),
    setting(style::FLOAT_DIGITS, "1", Rule::Style(&[])),
    setting(IDLE_TIMEOUT, "0", Rule::Duration),
    setting("in_hot_standby", "off", Rule::Fixed),
    setting("integer_datetimes", "on", Rule::Fixed),
    setting(
        style::INTERVAL_STYLE,
        "postgres",
        Rule::Style(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
    ),
    setting("is_superuser", "on", Rule::Fixed),
    setting("lc_collate", "C", Rule::Fixed),
    setting("lc_ctype", "C", Rule::Fixed),
    setting("lc_messages", "C", Rule::OneOf(LOCALES)),
    setting("lc_monetary", "C", Rule::OneOf(LOCALES)),
    setting("lc_numeric", "C", Rule::OneOf(LOCALES)),
    setting("lc_time", "C", Rule::OneOf(LOCALES)),
    setting(LOCK_TIMEOUT, "0", Rule::Duration),
    setting("max_identifier_length", "63", Rule::Fixed),
    setting(ON_ERROR_ROLLBACK, "off", Rule::OneOf(SWITCH)),
    setting(OPTIMIZE, "on", Rule::Words(EFFORTS)),
    setting("role", "none", Rule::OneOf(&["none"])),
    setting(SEARCH_PATH, "\"$user\", public", Rule::Path),
    setting("server_encoding", "UTF8", Rule::Fixed),
    setting("server_version", "15.0 (Remora)", Rule::Fixed),
    setting("server_version_num", "150000", Rule::Fixed),
    setting("session_authorization", "remora", Rule::OneOf(&["remora"])),
    setting(
        "session_replication_role",
        "origin",
        Rule::OneOf(&["origin"]),
    ),
    setting(
        "standard_conforming_strings",
        "on",
        Rule::OneOf(&["on", "true", "1"]),
    ),
    setting(STATEMENT_TIMEOUT, "0", Rule::Duration),
    setting(SYNCHRONOUS_COMMIT, "on", Rule::Words(SYNCHRONOUS)),
    setting(style::TIME_ZONE, "UTC", Rule::Style(&[])),
    setting(TRANSACTION_TIMEOUT, "0", Rule::Duration),
    setting("transform_null_equals", "off", Rule::OneOf(&["off"])),
    setting("xmloption", "content", Rule::OneOf(&["content"])),
];

/// Strings are compared by their bytes and told apart in UTF-8, which all of these can mean.
const LOCALES: &[&str] = &["C", "POSIX", "C.UTF-8", "en_US.UTF-8", ""];

/// The level that a name of [`LEVELS`] stands for.
pub(super) fn isolation_of(name: &str) -> Isolation {
    match name {
        "serializable" => Isolation::Serializable,
        _ => Isolation::Snapshot,
    }
}

/// 22023 for a value of a setting that is part of the style.
fn refuse_style(setting: &Setting, value: &str, allowed: &[&str]) -> Error {
    if setting.name == style::FLOAT_DIGITS && value.parse::<i64>().is_ok() {
        return outside(setting.name, value, -15, 3);
    }
    // As PostgreSQL spells them.
    let error = match setting.name {
        style::TIME_ZONE => refuse("TimeZone", value),
        style::DATE_STYLE if style::is_conflict(value) => {
            refuse("DateStyle", value).with_detail("Conflicting \"datestyle\" specifications.")
        }
        style::DATE_STYLE => refuse("DateStyle", value),
        name => refuse(name, value),
    };
    match allowed {
        [] => error,
        _ => refuse_other(setting.name, value, allowed),
    }
}

/// The value as it reads back.
fn allow(setting: &Setting, value: &str, allowed: &[&str]) -> Result<String> {
    if !allowed.iter().any(|one| one.eq_ignore_ascii_case(value)) {
        return Err(refuse_other(setting.name, value, allowed));
    }
    let lower = value.to_ascii_lowercase();
    Ok(match setting.name {
        DEFAULT_READ_ONLY | ON_ERROR_ROLLBACK => on_or_off(&lower).unwrap_or(&lower).to_owned(),
        // What is shown is what it gets.
        DEFAULT_ISOLATION => isolation_of(&lower).name().to_owned(),
        // Spellings of what cannot be otherwise read back as the default.
        "client_encoding" | "standard_conforming_strings" => setting.default.to_owned(),
        _ => lower,
    })
}

/// Returns the switch that another word stands for.
fn on_or_off(word: &str) -> Option<&'static str> {
    match word {
        "true" | "yes" | "1" => Some("on"),
        "false" | "no" | "0" => Some("off"),
        _ => None,
    }
}
