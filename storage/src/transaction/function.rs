//! Creating, replacing and dropping functions: on the transaction's own copy of the catalog, until it commits.

use super::Transaction;
use crate::catalog::{CatalogChange, CatalogObject, FunctionDef};
use crate::error::{Error, Result};
use crate::ids::TableId;
use std::sync::Arc;

impl Transaction {
    /// Creates a function; `def.id` is ignored and given anew.
    ///
    /// # Errors
    /// `DuplicateRelation` where there is one of this name and these parameters.
    pub fn create_function(&mut self, mut def: FunctionDef) -> Result<TableId> {
        def.id = self.core.next_table()?;
        let id = def.id;
        self.set_function(def).map(|()| id)
    }

    /// Defines a function otherwise.
    ///
    /// # Errors
    /// `UndefinedRelation`, `DuplicateRelation`. That others changed it is found when the transaction commits.
    pub fn alter_function(&mut self, def: FunctionDef) -> Result<()> {
        self.function_to_change(def.id)?;
        self.set_function(def)
    }

    /// Drops a function.
    ///
    /// # Errors
    /// `UndefinedRelation`.
    pub fn drop_function(&mut self, id: TableId) -> Result<()> {
        self.function_to_change(id)?;
        let change = CatalogChange::DropFunction(id);
        self.step(CatalogObject::Function(id), None, Some(change), |catalog| {
            catalog.set_function(id, None)
        })
    }

    fn function_to_change(&self, id: TableId) -> Result<()> {
        let found = self.catalog().function_by_id(id).map(drop);
        found.ok_or_else(|| Error::UndefinedRelation(id.to_string()))
    }

    fn set_function(&mut self, def: FunctionDef) -> Result<()> {
        let (id, function) = (def.id, Arc::new(def.clone()));
        let change = CatalogChange::SetFunction(def);
        self.step(CatalogObject::Function(id), None, Some(change), |catalog| {
            catalog.set_function(id, Some(function))
        })
    }
}
