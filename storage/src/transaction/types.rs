//! Making, changing and dropping types: on the transaction's own copy of the catalog, until it commits.

use super::Transaction;
use crate::catalog::{CatalogChange, CatalogObject, TypeDef, TypeKind};
use crate::error::{Error, Result};
use crate::ids::TypeId;
use crate::value::RangeType;
use std::sync::Arc;

impl Transaction {
    /// Makes a type; `def.id` is ignored and given anew.
    ///
    /// # Errors
    /// `DuplicateRelation` where there is one of this name.
    pub fn create_type(&mut self, mut def: TypeDef) -> Result<TypeId> {
        def.id = TypeId(self.core.next_table()?.0);
        let id = def.id;
        self.set_type(def).map(|()| id)
    }

    /// Makes a type of ranges, and that of their multiranges; ids are given anew.
    ///
    /// # Errors
    /// `DuplicateRelation` where there is one of such a name, `LimitExceeded` where ids have become too great.
    pub fn create_range(&mut self, mut range: TypeDef, mut multirange: TypeDef) -> Result<TypeId> {
        let mut id = self.core.next_table()?.0;
        // Somebody else may have taken the next one.
        loop {
            let next = self.core.next_table()?.0;
            if next == id + 1 {
                break;
            }
            id = next;
        }
        let found = range
            .ranges()
            .and_then(|of| RangeType::new(of.subtype(), Some(TypeId(id))));
        let Some(of) = found else {
            return Err(Error::LimitExceeded {
                what: "id of a type of ranges",
                found: id.into(),
                limit: RangeType::ID_MAX.into(),
            });
        };
        (range.id, range.kind) = (TypeId(id), TypeKind::Range(of));
        (multirange.id, multirange.kind) = (TypeId(id + 1), TypeKind::Multirange(of));
        self.set_type(range)?;
        self.set_type(multirange).map(|()| TypeId(id))
    }

    /// Defines a type otherwise.
    ///
    /// # Errors
    /// `UndefinedRelation`, `DuplicateRelation`. That others changed it is found when the transaction commits.
    pub fn alter_type(&mut self, def: TypeDef) -> Result<()> {
        self.type_to_change(def.id)?;
        self.set_type(def)
    }

    /// Drops a type, which nothing is of any more.
    ///
    /// # Errors
    /// `UndefinedRelation`.
    pub fn drop_type(&mut self, id: TypeId) -> Result<()> {
        self.type_to_change(id)?;
        let change = CatalogChange::DropType(id);
        self.step(CatalogObject::Type(id), None, Some(change), |catalog| {
            catalog.set_type(id, None)
        })
    }

    fn type_to_change(&self, id: TypeId) -> Result<()> {
        let found = self.catalog().type_by_id(id).map(drop);
        found.ok_or_else(|| Error::UndefinedRelation(id.to_string()))
    }

    fn set_type(&mut self, def: TypeDef) -> Result<()> {
        let (id, shared) = (def.id, Arc::new(def.clone()));
        let change = CatalogChange::SetType(def);
        self.step(CatalogObject::Type(id), None, Some(change), |catalog| {
            catalog.set_type(id, Some(shared))
        })
    }
}
