//! Settings of a session: `SET`, `SHOW`, `RESET`.
//!
//! A table of those that mean something here, `advice` with those of PostgreSQL that do not, and what a
//! session calls its own (`SET app.user = ..`: any name with a dot in it). A value that would change
//! what statements mean in a way this engine does not offer is refused rather than ignored.

pub(super) mod database;
pub(super) mod discard;
pub(super) mod ignored;
pub(super) mod set;
pub(super) mod settings_scope;
pub(super) mod size;
pub(super) mod value;

use super::limits::Timeouts;
use crate::error::{Error, Result, state};
use crate::function::schemas_of;
use crate::function::text::Style;
use crate::function::text::style::{self, PLAIN};
use crate::optimize::{EFFORTS, Effort};
use ignored::{ADVICE, Kind};
use remora_storage::Isolation;
use std::sync::Arc;
use std::time::Duration;

/// How one setting may be changed.
#[derive(Clone, Copy)]
enum Rule {
    /// To anything.
    Free,
    /// To one of these, upper or lower case.
    OneOf(&'static [&'static str]),
    /// To a length of time.
    Duration,
    /// As in PostgreSQL, to no effect.
    Advice(Kind),
    /// To a list of schemas, whether they are there or not.
    Path,
    /// To what says how values are shown: where they are few, to one of these.
    Style(&'static [&'static str]),
    /// Not at all.
    Fixed,
}

/// One setting.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    name: &'static str,
    default: &'static str,
    rule: Rule,
}

impl Setting {
    /// One that is taken to no effect.
    pub(super) const fn advice(name: &'static str, default: &'static str, kind: Kind) -> Self {
        setting(name, default, Rule::Advice(kind))
    }
}

#[cfg(test)]
impl Setting {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn default(&self) -> &'static str {
        self.default
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        match self.rule {
            Rule::Advice(kind) => Some(kind),
            _ => None,
        }
    }
}

const fn setting(name: &'static str, default: &'static str, rule: Rule) -> Setting {
    Setting {
        name,
        default,
        rule,
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
pub(super) const DEFAULT_ISOLATION: &str = "default_transaction_isolation";
/// The setting by which transactions that say nothing about it only read.
pub(super) const DEFAULT_READ_ONLY: &str = "default_transaction_read_only";

/// The setting that says where names are looked for.
const SEARCH_PATH: &str = "search_path";

/// The settings that are limits of time.
pub(super) const STATEMENT_TIMEOUT: &str = "statement_timeout";
pub(super) const TRANSACTION_TIMEOUT: &str = "transaction_timeout";
pub(super) const LOCK_TIMEOUT: &str = "lock_timeout";
pub(super) const IDLE_TIMEOUT: &str = "idle_in_transaction_session_timeout";

/// Values that settings of a database have to begin with.
pub(super) type Presets = Arc<[(&'static str, String)]>;

/// The setting that says whether commits wait until they are durable, and whether what is not is shown.
pub(super) const SYNCHRONOUS_COMMIT: &str = "synchronous_commit";
/// PostgreSQL's names; there is nothing but this machine, so all but one mean the same.
const SYNCHRONOUS: &[&str] = &[
    "local",
    "remote_write",
    "remote_apply",
    "on",
    "off",
    "true",
    "false",
    "yes",
    "no",
    "1",
    "0",
];

const SWITCH: &[&str] = &["on", "off", "true", "false", "yes", "no", "1", "0"];

/// The setting by which a statement that fails in a transaction undoes itself and nothing else.
pub(super) const ON_ERROR_ROLLBACK: &str = "on_error_rollback";

/// The setting by which plans are optimised.
pub(super) const OPTIMIZE: &str = "optimize";

/// Settings with names of their own that a session may have.
const CUSTOM_MAX: usize = 256;
const CUSTOM_NAME_BYTES_MAX: usize = 63;

/// All settings that mean something, by name. `transaction_*` are answered by the transaction itself.
const SETTINGS: &[Setting] = &[
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
    setting(OPTIMIZE, "on", Rule::OneOf(EFFORTS)),
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
    setting(SYNCHRONOUS_COMMIT, "on", Rule::OneOf(SYNCHRONOUS)),
    setting(style::TIME_ZONE, "UTC", Rule::Style(&[])),
    setting(TRANSACTION_TIMEOUT, "0", Rule::Duration),
    setting("transform_null_equals", "off", Rule::OneOf(&["off"])),
    setting("xmloption", "content", Rule::OneOf(&["content"])),
];

/// Strings are compared by their bytes and told apart in UTF-8, which all of these can mean.
const LOCALES: &[&str] = &["C", "POSIX", "C.UTF-8", "en_US.UTF-8", ""];

/// The settings of one session.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// Those that differ from their defaults.
    changed: Vec<(&'static str, String)>,
    /// Those that have names of the session's own.
    custom: Vec<(String, String)>,
    /// What their defaults are, where that is the database's choice.
    presets: Presets,
    timeouts: Timeouts,
    /// How long a rival is waited for; not at all if that is not said.
    lock_timeout: Option<Duration>,
    /// `default_transaction_read_only`, which every statement asks for.
    read_only: bool,
    isolation: Isolation,
    on_error_rollback: bool,
    effort: Effort,
    synchronous: bool,
    /// How values are shown and read; `None` is the plain style.
    style: Option<Arc<Style>>,
}

/// What a transaction in which SET has changed something needs at its end.
#[derive(Clone, Debug)]
pub(super) struct SettingsHistory {
    /// The settings as they were when it began, for ROLLBACK.
    pub(super) before: Settings,
    /// As they are without SET LOCAL, for COMMIT.
    pub(super) lasting: Settings,
}

impl SettingsHistory {
    pub(super) fn new(before: &Settings) -> Self {
        Self {
            before: before.clone(),
            lasting: before.clone(),
        }
    }

    /// About how many bytes it takes beside itself.
    pub(super) fn bytes(&self) -> u64 {
        self.before.bytes() + self.lasting.bytes()
    }
}

fn find(name: &str) -> Result<&'static Setting> {
    SETTINGS
        .iter()
        .chain(ADVICE)
        .find(|setting| setting.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| unrecognized(name))
}

fn unrecognized(name: &str) -> Error {
    sql_error!(
        UNDEFINED_OBJECT,
        "unrecognized configuration parameter \"{name}\""
    )
}

/// 22023.
pub(super) fn invalid(message: String) -> Error {
    Error::new(state::INVALID_PARAMETER_VALUE, message)
}

/// 22023 for a value.
pub(super) fn refuse(name: &str, value: &str) -> Error {
    invalid(format!(
        "invalid value for parameter \"{name}\": \"{value}\""
    ))
}

impl Settings {
    /// The settings of a session of a database that has these defaults.
    pub(super) fn new(presets: Presets) -> Result<Self> {
        let mut settings = Self {
            presets,
            ..Self::default()
        };
        settings.derive()?;
        Ok(settings)
    }

    /// The value of a setting.
    ///
    /// # Errors
    /// 42704 where there is none of the name.
    pub(super) fn get(&self, name: &str) -> Result<&str> {
        if name.contains('.') {
            let found = self.custom.iter().find(|(known, _)| known == name);
            return found
                .map(|(_, value)| value.as_str())
                .ok_or_else(|| unrecognized(name));
        }
        let setting = find(name)?;
        let mut known = self.changed.iter().chain(self.presets.iter());
        let known = known.find(|(name, _)| *name == setting.name);
        Ok(known.map_or(setting.default, |(_, value)| value))
    }

    /// The names of all that are a session's.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let known = SETTINGS.iter().chain(ADVICE).map(|setting| setting.name);
        known.chain(self.custom.iter().map(|(name, _)| name.as_str()))
    }

    /// About how many bytes they take beside themselves.
    pub(super) fn bytes(&self) -> u64 {
        let texts = self.changed.iter().map(|(_, value)| value.capacity());
        let own = self.custom.iter().map(|(name, value)| {
            size_of::<(String, String)>() + name.capacity() + value.capacity()
        });
        let changed = self.changed.capacity() * size_of::<(&str, String)>();
        (changed + texts.sum::<usize>() + own.sum::<usize>()) as u64
    }

    /// Where names are looked for, as a list of schemas.
    pub(super) fn search_path(&self) -> &str {
        self.get(SEARCH_PATH).unwrap_or_default()
    }

    /// Whether a statement that fails in a transaction undoes itself and nothing else.
    pub(super) fn on_error_rollback(&self) -> bool {
        self.on_error_rollback
    }

    /// What is done for a plan.
    #[inline]
    pub(super) fn effort(&self) -> Effort {
        self.effort
    }

    /// How long things may take.
    #[inline]
    pub(super) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// How long a rival is waited for; not at all if that is not said.
    #[inline]
    pub(super) fn lock_timeout(&self) -> Option<Duration> {
        self.lock_timeout
    }

    /// Whether commits wait until they are durable, and nothing else is shown.
    #[inline]
    pub(super) fn synchronous(&self) -> bool {
        self.synchronous
    }

    /// How values are shown and read; `None` is the plain style.
    pub(super) fn style(&self) -> &Option<Arc<Style>> {
        &self.style
    }

    /// Whether transactions are read only unless they say otherwise.
    pub(super) fn read_only(&self) -> bool {
        self.read_only
    }

    /// How far transactions are kept apart unless they say otherwise.
    pub(super) fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Changes a setting; `None` gives it its default back.
    ///
    /// # Errors
    /// 42704, 22023 for a value it cannot have, 55P02 where it cannot be changed.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> Result<()> {
        if value.is_none() && name.eq_ignore_ascii_case("all") {
            *self = Self::new(Arc::clone(&self.presets))?;
            return Ok(());
        }
        if name.contains('.') {
            return self.set_custom(name, value.unwrap_or(""));
        }
        let setting = find(name)?;
        let value = value.filter(|value| !value.eq_ignore_ascii_case("default"));
        let normal = match (value, setting.rule) {
            (None, _) => None,
            (Some(value), Rule::Free) => Some(value.to_owned()),
            (Some(value), Rule::Duration) => {
                Some(value::format(value::parse(setting.name, value)?))
            }
            (Some(value), Rule::OneOf(allowed)) => Some(allow(setting, value, allowed)?),
            (Some(value), Rule::Advice(kind)) => Some(ignored::normal(setting.name, value, kind)?),
            (Some(value), Rule::Path) => match schemas_of(value) {
                Some(_) => Some(value.to_owned()),
                None => return Err(refuse(setting.name, value)),
            },
            (Some(value), Rule::Style(allowed)) => {
                let now = self.get(setting.name)?;
                let normal = style::normal(setting.name, value, now);
                Some(normal.ok_or_else(|| refuse_style(setting, value, allowed))?)
            }
            (Some(_), Rule::Fixed) => {
                return Err(sql_error!(
                    CANT_CHANGE_RUNTIME_PARAM,
                    "parameter \"{}\" cannot be changed",
                    setting.name
                ));
            }
        };
        self.changed.retain(|(name, _)| *name != setting.name);
        self.changed
            .extend(normal.map(|normal| (setting.name, normal)));
        self.derive()
    }

    fn set_custom(&mut self, name: &str, value: &str) -> Result<()> {
        let is_word = |part: &str| {
            part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && part
                    .chars()
                    .all(|c| c.is_alphanumeric() || c == '_' || c == '$')
        };
        if !name.split('.').all(is_word) || name.len() > CUSTOM_NAME_BYTES_MAX {
            return Err(sql_error!(
                INVALID_NAME,
                "invalid configuration parameter name \"{name}\""
            )
            .with_detail(
                "Custom parameter names must be two or more simple identifiers separated by dots.",
            ));
        }
        let known = self.custom.iter().position(|(known, _)| known == name);
        match known {
            Some(at) => value.clone_into(&mut self.custom[at].1),
            None if self.custom.len() >= CUSTOM_MAX => {
                return Err(sql_error!(
                    PROGRAM_LIMIT_EXCEEDED,
                    "a session has at most {CUSTOM_MAX} settings of its own"
                ));
            }
            None => self.custom.push((name.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    /// Reads what is asked for often.
    fn derive(&mut self) -> Result<()> {
        let timeout = |name| value::parse(name, self.get(name)?);
        self.timeouts = Timeouts {
            statement: timeout(STATEMENT_TIMEOUT)?,
            transaction: timeout(TRANSACTION_TIMEOUT)?,
            idle: timeout(IDLE_TIMEOUT)?,
        };
        self.lock_timeout = value::parse(LOCK_TIMEOUT, self.get(LOCK_TIMEOUT)?)?;
        self.read_only = self.get(DEFAULT_READ_ONLY)? == "on";
        self.isolation = isolation_of(self.get(DEFAULT_ISOLATION)?);
        self.on_error_rollback = self.get(ON_ERROR_ROLLBACK)? == "on";
        self.effort = Effort::of(self.get(OPTIMIZE)?);
        self.synchronous = self.get(SYNCHRONOUS_COMMIT)? != "off";
        let style = Style::of(|name| self.get(name).unwrap_or_default());
        self.style = Some(style).filter(|style| *style != PLAIN).map(Arc::new);
        Ok(())
    }
}

/// The level that a name of [`LEVELS`] stands for.
fn isolation_of(name: &str) -> Isolation {
    match name {
        "serializable" => Isolation::Serializable,
        _ => Isolation::Snapshot,
    }
}

/// The values that a hint names: other spellings of on and off come last and go without saying.
fn advertised<'a>(allowed: &'a [&'a str]) -> &'a [&'a str] {
    let end = allowed.iter().position(|one| *one == "true");
    &allowed[..end
        .filter(|_| [SYNCHRONOUS, EFFORTS].contains(&allowed))
        .unwrap_or(allowed.len())]
}

/// 22023 for a value of a setting that is part of the style.
fn refuse_style(setting: &Setting, value: &str, allowed: &[&str]) -> Error {
    if setting.name == style::FLOAT_DIGITS && value.parse::<i64>().is_ok() {
        return invalid(format!(
            "{value} is outside the valid range for parameter \"{}\" (-15 .. 3)",
            setting.name
        ));
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
        _ => error.with_hint(format!("Available values: {}.", allowed.join(", "))),
    }
}

/// The value as it reads back.
fn allow(setting: &Setting, value: &str, allowed: &[&str]) -> Result<String> {
    if !allowed.iter().any(|one| one.eq_ignore_ascii_case(value)) {
        return Err(refuse(setting.name, value).with_hint(format!(
            "Available values: {}.",
            advertised(allowed).join(", ")
        )));
    }
    let lower = value.to_ascii_lowercase();
    Ok(match (setting.name, lower.as_str()) {
        (
            DEFAULT_READ_ONLY | ON_ERROR_ROLLBACK | OPTIMIZE | SYNCHRONOUS_COMMIT,
            "true" | "yes" | "1",
        ) => "on".to_owned(),
        (
            DEFAULT_READ_ONLY | ON_ERROR_ROLLBACK | OPTIMIZE | SYNCHRONOUS_COMMIT,
            "false" | "no" | "0",
        ) => "off".to_owned(),
        // What is shown is what it gets.
        (DEFAULT_ISOLATION, level) => isolation_of(level).name().to_owned(),
        // Spellings of what cannot be otherwise read back as the default.
        ("client_encoding" | "standard_conforming_strings", _) => setting.default.to_owned(),
        _ => lower,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_reads_back_until_it_is_reset() {
        let mut settings = Settings::default();
        settings.set("Application_Name", Some("Alice's")).unwrap();
        assert_eq!(settings.get("application_name").unwrap(), "Alice's");
        settings.set("application_name", None).unwrap();
        assert_eq!(settings.get("application_name").unwrap(), "");
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        let mut settings = Settings::default();
        let state = |result: Result<()>| result.unwrap_err().sqlstate();
        assert_eq!(state(settings.set("timezone", Some("PST"))), "22023");
        assert_eq!(state(settings.set("no_such", Some("1"))), "42704");
        assert_eq!(state(settings.set("search_path", Some("a b"))), "22023");
        assert_eq!(state(settings.set("my.bad-name", Some("1"))), "42602");
        assert_eq!(state(settings.get("my.own").map(|_| ())), "42704");
        assert_eq!(state(settings.set("server_version", Some("9"))), "55P02");
        settings.set("timezone", Some("utc")).unwrap();
        assert_eq!(settings.get("TimeZone").unwrap(), "UTC");
    }
}
