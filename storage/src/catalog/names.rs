//! Names of relations, by schema.
//!
//! Tables, indexes, sequences and views of a schema share one name space, as in PostgreSQL. The temporary
//! ones of a session are in a schema of their own ([`SchemaId::temporary`]), so that nobody else finds them.

use super::definition::SchemaDef;
use super::sequence::SequenceDef;
use super::view::ViewDef;
use super::{Catalog, Relation};
use crate::error::{Error, Result};
use crate::ids::SchemaId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A name, and where it is looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameIn<'n> {
    /// The schema.
    pub schema: SchemaId,
    /// The name in it.
    pub name: &'n str,
}

impl<'n> From<(SchemaId, &'n str)> for NameIn<'n> {
    fn from((schema, name): (SchemaId, &'n str)) -> Self {
        Self { schema, name }
    }
}

/// In the schema that is always there.
impl<'n> From<&'n str> for NameIn<'n> {
    fn from(name: &'n str) -> Self {
        Self::from((SchemaId::PUBLIC, name))
    }
}

impl SequenceDef {
    /// Its name, and where that is.
    pub fn place(&self) -> NameIn<'_> {
        (self.schema, self.name.as_str()).into()
    }
}

impl ViewDef {
    /// Its name, and where that is.
    pub fn place(&self) -> NameIn<'_> {
        (self.schema, self.name.as_str()).into()
    }
}

/// What names stand for. No schema is kept that has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(BTreeMap<SchemaId, BTreeMap<String, Relation>>);

impl Names {
    pub(super) fn get(&self, place: NameIn<'_>) -> Option<&Relation> {
        self.0.get(&place.schema)?.get(place.name)
    }

    pub(super) fn insert(&mut self, place: NameIn<'_>, relation: Relation) {
        let names = self.0.entry(place.schema).or_default();
        names.insert(place.name.to_owned(), relation);
    }

    pub(super) fn remove(&mut self, place: NameIn<'_>) {
        if let Some(names) = self.0.get_mut(&place.schema) {
            names.remove(place.name);
            if names.is_empty() {
                self.0.remove(&place.schema);
            }
        }
    }

    /// The schemas that have any.
    pub(super) fn schemas(&self) -> impl Iterator<Item = SchemaId> {
        self.0.keys().copied()
    }

    /// All of a schema, by name.
    pub(super) fn of(&self, schema: SchemaId) -> impl Iterator<Item = Relation> {
        self.0
            .get(&schema)
            .into_iter()
            .flat_map(BTreeMap::values)
            .copied()
    }

    /// All, by schema and name.
    pub(super) fn all(&self) -> impl Iterator<Item = &Relation> {
        self.0.values().flat_map(BTreeMap::values)
    }
}

/// Schemas.
impl Catalog {
    /// The schema of that name, if it was made.
    pub fn schema(&self, name: &str) -> Option<&Arc<SchemaDef>> {
        self.schemas.values().find(|schema| schema.name == name)
    }

    /// The schema of that id, if it was made.
    pub fn schema_by_id(&self, id: SchemaId) -> Option<&Arc<SchemaDef>> {
        self.schemas.get(&id)
    }

    /// All that were made, in order of creation.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<SchemaDef>> {
        self.schemas.values()
    }

    /// Whether something can be in a schema.
    pub fn has_schema(&self, id: SchemaId) -> bool {
        id.is_public() || id.is_temporary() || self.schemas.contains_key(&id)
    }

    /// Sets what a schema is, as [`Self::set_table`] does for tables.
    ///
    /// # Errors
    /// `DuplicateRelation` where its name is taken.
    pub fn set_schema(&mut self, id: SchemaId, schema: Option<Arc<SchemaDef>>) -> Result<()> {
        self.change_definitions();
        let Some(schema) = schema else {
            self.schemas.remove(&id);
            self.forget_comments();
            return Ok(());
        };
        let taken = self.schema(&schema.name);
        if taken.is_some_and(|other| other.id != id) {
            return Err(Error::DuplicateRelation(schema.name.clone()));
        }
        self.schemas.insert(id, schema);
        Ok(())
    }
}
