//! Settings of a session: `SET`, `SHOW`, `RESET`.
//!
//! - `rule`: those that mean something here; `ignored`: those of PostgreSQL that do not. A session also has settings of its
//!   own (`SET app.user = ..`: any name with a dot in it). A value that would change what statements mean in a way this
//!   engine does not offer is refused rather than ignored.
//! - `database`: those of the database and of the transaction under way, which are kept elsewhere.
//! - `id_settings`: those of the database that ids are made by.
//! - `value`: switches, numbers and units as they are written and shown.

pub(super) mod database;
pub(super) mod discard;
pub(super) mod id_settings;
pub(super) mod ignored;
pub(super) mod rule;
pub(super) mod set;
pub(super) mod settings_scope;
pub(super) mod value;

pub(super) use rule::{
    DEFAULT_ISOLATION, DEFAULT_READ_ONLY, IDLE_TIMEOUT, LOCK_TIMEOUT, ON_ERROR_ROLLBACK,
    STATEMENT_TIMEOUT, SYNCHRONOUS_COMMIT, TRANSACTION_TIMEOUT,
};

use super::limits::Timeouts;
use crate::error::{Error, Result};
use crate::function::text::Style;
use crate::function::text::style::PLAIN;
use crate::optimize::Effort;
use ignored::IGNORED;
use remora_storage::Isolation;
use rule::{OPTIMIZE, SEARCH_PATH, SETTINGS, Setting, isolation_of};
use std::sync::Arc;
use std::time::Duration;

/// Values that settings of a database have to begin with.
pub(super) type Presets = Arc<[(&'static str, String)]>;

/// Settings with names of their own that a session may have.
const CUSTOM_MAX: usize = 256;
const CUSTOM_NAME_BYTES_MAX: usize = 63;

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
    let found = settings().find(|setting| setting.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| unrecognized(name))
}

/// Returns all settings of sessions.
fn settings() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(IGNORED)
}

fn unrecognized(name: &str) -> Error {
    sql_error!(
        UNDEFINED_OBJECT,
        "unrecognized configuration parameter \"{name}\""
    )
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
        let known = settings().map(|setting| setting.name);
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
        let normal = value.map(|value| setting.normal(value, self.get(setting.name)?));
        let normal = normal.transpose()?;
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
        let timeout = |name| value::duration(name, self.get(name)?);
        self.timeouts = Timeouts {
            statement: timeout(STATEMENT_TIMEOUT)?,
            transaction: timeout(TRANSACTION_TIMEOUT)?,
            idle: timeout(IDLE_TIMEOUT)?,
        };
        self.lock_timeout = value::duration(LOCK_TIMEOUT, self.get(LOCK_TIMEOUT)?)?;
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
