//! SET, RESET and SHOW: whose a setting is, and how long it stays.
//!
//! Most are the session's own (`settings`). Those of the whole database and of the transaction under way are
//! asked for by the same words. What SET changes within a transaction block goes with a ROLLBACK, and with a
//! COMMIT if it was SET LOCAL.

use super::database::shared;
use super::{DEFAULT_ISOLATION, DEFAULT_READ_ONLY, SettingsHistory};
use crate::error::Result;
use crate::plan::statement::TransactionOptions as Characteristics;
use crate::session::execute::core::Session;
use remora_storage::Value;
use std::sync::Arc;

impl Session {
    /// SET, SET LOCAL, RESET.
    pub(in crate::session) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        local: bool,
    ) -> Result<()> {
        if let Some((shared, set)) = shared(name).and_then(|one| Some((one, one.set?))) {
            self.refuse_in_block(&format!("SET {}", shared.name))?;
            return set(self, value);
        }
        if let Some(options) = self.of_transaction(name, value)? {
            return match self.is_idle() {
                // Of the transaction that this statement is.
                true => Ok(()),
                false => self.set_transaction(options),
            };
        }
        if self.is_idle() && !local {
            self.settings.set(name, value)?;
            self.follow_path();
            return self.watch_limits();
        }
        // On the side, so that a value that is refused changes nothing.
        let mut settings = self.settings.clone();
        settings.set(name, value)?;
        if self.is_idle() {
            let notice = "SET LOCAL can only be used in transaction blocks";
            self.notices.push(notice.to_owned());
            return Ok(());
        }
        let history = &mut self.block.settings;
        let history = history.get_or_insert_with(|| Box::new(SettingsHistory::new(&self.settings)));
        if !local {
            history.lasting.set(name, value)?;
        }
        self.settings = settings;
        self.follow_path();
        self.watch_limits()
    }

    /// Looks names up and reads literals as the settings say from now on; what was planned before is planned anew.
    pub(in crate::session) fn follow_path(&mut self) {
        let path = self.path.along(self.settings.search_path());
        let path = path.with_style(self.settings.style().clone());
        if path != *self.path {
            self.path = Arc::new(path);
        }
    }

    /// What a setting says about the transaction under way, if it is one of those.
    fn of_transaction(&self, name: &str, value: Option<&str>) -> Result<Option<Characteristics>> {
        let name = name.to_ascii_lowercase();
        let default = match name.as_str() {
            "transaction_isolation" => DEFAULT_ISOLATION,
            "transaction_read_only" => DEFAULT_READ_ONLY,
            _ => return Ok(None),
        };
        // As if it were the default, whose values are the same.
        let mut settings = self.settings.clone();
        if value.is_some() {
            settings.set(default, value)?;
        }
        let options = Characteristics::new();
        Ok(Some(match default {
            DEFAULT_ISOLATION => options.isolation(settings.isolation()),
            _ => options.read_only(settings.read_only()),
        }))
    }

    pub(in crate::session) fn show(&self, name: &str) -> Result<String> {
        self.settings_scope().show(name)
    }

    /// SHOW ALL: names and values; nothing is said of what they mean.
    pub(in crate::session) fn show_all(&self) -> Result<Vec<Vec<Value>>> {
        let all = self.settings_scope().show_all()?.into_iter();
        let row = |(name, value)| vec![Value::Text(name), Value::Text(value), Value::Null];
        Ok(all.map(row).collect())
    }
}
