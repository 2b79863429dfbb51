//! The settings as one statement sees and changes them: SHOW, `current_setting`, `set_config`.
//!
//! It is made of what the session has when the statement begins, and knows what the settings that are not the
//! session's own say: those of the database, and of the transaction. Changes are tried here, noted, and made by
//! the session when the statement is done ([`Session::take_over_settings`]).

use super::Settings;
use super::database::{SHARED, SharedState, shared};
use crate::bind::updatable_columns;
use crate::deparse;
use crate::error::Result;
use crate::function::{CursorShown, Defined, SearchPath, SessionScope, StatementShown};
use crate::session::execute::core::Session;
use parking_lot::Mutex;
use remora_storage::catalog::{Catalog, TableEntry, ViewDef};
use std::sync::Arc;

/// A change that is noted.
#[derive(Debug)]
struct Change {
    name: String,
    value: Option<String>,
    local: bool,
}

/// The settings for one statement.
#[derive(Debug)]
pub(in crate::session) struct SettingsScope {
    /// The session's own, with the changes.
    settings: Mutex<(Settings, Vec<Change>)>,
    shared: SharedState,
    cursors: Vec<CursorShown>,
    statements: Arc<[StatementShown]>,
}

impl SettingsScope {
    /// What SHOW shows.
    ///
    /// # Errors
    /// 42704
    pub(in crate::session) fn show(&self, name: &str) -> Result<String> {
        match shared(name) {
            Some(setting) => Ok((setting.show)(&self.shared)),
            None => self.settings.lock().0.get(name).map(str::to_owned),
        }
    }

    /// All settings with their values, by name.
    pub(in crate::session) fn show_all(&self) -> Result<Vec<(String, String)>> {
        let shared = SHARED.iter().map(|setting| setting.name.to_owned());
        let mut names: Vec<String> = shared.collect();
        let settings = self.settings.lock().0.clone();
        names.extend(settings.names().map(str::to_owned));
        names.sort_by_key(|name| lower_case(name));
        names.dedup();
        let shown = names.into_iter().map(|name| {
            let value = self.show(&name)?;
            Ok((name, value))
        });
        shown.collect()
    }
}

impl SessionScope for SettingsScope {
    fn get(&self, name: &str) -> Result<String> {
        self.show(&lower_case(name))
    }

    fn set(&self, name: &str, value: Option<&str>, local: bool) -> Result<String> {
        let name = lower_case(name);
        let is_own = shared(&name).is_none();
        let mut settings = self.settings.lock();
        if is_own {
            settings.0.set(&name, value)?;
        }
        let shown = match is_own {
            true => settings.0.get(&name)?.to_owned(),
            false => value.unwrap_or_default().to_owned(),
        };
        settings.1.push(Change {
            name,
            value: value.map(str::to_owned),
            local,
        });
        Ok(shown)
    }

    fn cursors(&self) -> &[CursorShown] {
        &self.cursors
    }

    fn statements(&self) -> &[StatementShown] {
        &self.statements
    }

    fn definition(&self, catalog: &Catalog, what: Defined) -> Result<Option<String>> {
        deparse::definition(catalog, what)
    }

    fn updatable(&self, catalog: &Catalog, path: &SearchPath, view: &ViewDef) -> Option<Vec<bool>> {
        updatable_columns(catalog, path, view)
    }

    fn table_bytes(&self, table: &TableEntry) -> Result<u64> {
        Ok(self.shared.store.begin()?.view().table_stats(table).bytes)
    }
}

/// A name in a string is folded as one in SET is.
fn lower_case(name: &str) -> String {
    name.to_ascii_lowercase()
}

impl Session {
    /// The settings for the statement that comes next.
    pub(in crate::session) fn settings_scope(&self) -> SettingsScope {
        let (isolation, read_only) = match self.is_idle() {
            true => (self.settings.isolation(), self.settings.read_only()),
            false => (self.block.isolation, self.block.read_only),
        };
        SettingsScope {
            settings: Mutex::new((self.settings.clone(), Vec::new())),
            shared: SharedState {
                store: self.store.clone(),
                ledger: Arc::clone(&self.ledger),
                sessions: Arc::clone(&self.sessions),
                isolation,
                read_only,
            },
            cursors: self.cursors.shown(),
            statements: self.named.shown(),
        }
    }

    /// Makes the changes that a statement has noted.
    ///
    /// # Errors
    /// As of SET.
    pub(in crate::session) fn take_over_settings(&mut self, scope: &SettingsScope) -> Result<()> {
        let changes = std::mem::take(&mut scope.settings.lock().1);
        for change in changes {
            // Outside a block the transaction that it was to last for is over.
            if !(change.local && self.is_idle()) {
                self.set(&change.name, change.value.as_deref(), change.local)?;
            }
        }
        Ok(())
    }
}
