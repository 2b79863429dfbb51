//! LOCK TABLE: which mode means what.
//!
//! | mode | what others can no longer do until the transaction ends |
//! |---|---|
//! | ACCESS SHARE, ROW SHARE | nothing: what is read never changes, whatever others do |
//! | ROW EXCLUSIVE | lock the table in one of the modes below, or change its structure |
//! | SHARE UPDATE EXCLUSIVE | the same in this mode or one below, or change its structure |
//! | SHARE, SHARE ROW EXCLUSIVE, EXCLUSIVE, ACCESS EXCLUSIVE | write to the table, lock it, or change its structure |
//!
//! Nobody who only reads is ever kept out.

use super::statement::Tagged;
use super::{Binder, name};
use crate::error::{Error, Result, state};
use crate::plan::Statement;
use crate::plan::lock::LockTables;
use crate::plan::logical::LogicalStatement;
use remora_storage::transaction::TableHold;
use sqlparser::ast::{self, LockTableMode as Mode};

impl Binder<'_> {
    /// Binds a LOCK TABLE.
    pub(super) fn lock_tables(&mut self, lock: &ast::Lock) -> Result<Tagged> {
        let hold = match lock.lock_mode.as_ref().unwrap_or(&Mode::AccessExclusive) {
            Mode::AccessShare | Mode::RowShare => None,
            Mode::RowExclusive => Some(TableHold::Written),
            Mode::ShareUpdateExclusive => Some(TableHold::Structure),
            _ => Some(TableHold::Alone),
        };
        let mut tables = Vec::with_capacity(lock.tables.len());
        for target in &lock.tables {
            let at = name::object_place(&target.name);
            let located = self.relation_there(&target.name)?;
            // Of a view there are no rows to be held.
            if self.catalog.view(&located).is_some() {
                continue;
            }
            let is_other =
                self.catalog.sequence(&located).is_some() || self.catalog.index(&located).is_some();
            if is_other {
                let message = format!("\"{}\" is not a table or view", located.name());
                return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
            }
            let system = self.system_table(&located).is_some();
            if system || self.system_view(&located).is_some() {
                continue;
            }
            tables.push((self.table(&located, at)?.def.id, hold));
        }
        let locks = LockTables {
            tables,
            nowait: lock.nowait,
        };
        let statement = LogicalStatement::Done(Statement::LockTables(locks));
        Ok((statement, "LOCK TABLE"))
    }
}
