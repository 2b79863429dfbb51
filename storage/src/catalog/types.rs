//! Types that somebody made: enumerations, domains, ranges and composite types.
//!
//! Types have names of their own, which tables may have as well, and ids of the row of numbers that tables have.
//!
//! A value of an enumeration says in its bytes where it stands in the order of the type
//! ([`crate::value::enum_value`]). Places are numbers with room between them, so that a value that comes
//! between others leaves these as they are; a value that gets another name is another in its bytes, and who
//! renames it writes the rows anew.
//!
//! A type of ranges comes with that of their multiranges, whose id is the next one: what a multirange is of is told
//! by its type without a look here.
//!
//! A value of a composite type says of what types its fields are ([`crate::value::SqlRecord`]); the names of the
//! fields are here. Who alters the fields writes the rows anew.
//!
//! A domain is another type and what must be true of its values. Values of a domain are values of that type, in
//! rows as elsewhere; a column says beside its type of which domain it is.

use super::names::NameIn;
use super::{Catalog, CheckDef, ColumnDef, ViewDef};
use crate::error::{Error, Result};
use crate::ids::{SchemaId, TableId, TypeId};
use crate::value::{DataType, RECORD_FIELDS_MAX, RangeType, RecordField, TypeNames};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A type.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeDef {
    /// Its id; nothing else of those that share the row of numbers has it.
    pub id: TypeId,
    /// Its name.
    pub name: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "SchemaId::is_public")]
    pub schema: SchemaId,
    /// What it is.
    pub kind: TypeKind,
}

/// What a type is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum TypeKind {
    /// One of these values, in their order.
    Enum(Vec<EnumLabel>),
    /// Values of another type.
    Domain(DomainDef),
    /// Ranges, of which the multiranges are another type, with the next id.
    Range(RangeType),
    /// Multiranges of such ranges, made with them and gone with them.
    Multirange(RangeType),
    /// Records of these fields.
    Composite(Vec<RecordField>),
}

/// A domain; storage reads none of its texts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainDef {
    /// The type of its values.
    pub base: DataType,
    /// The domain that it is made of, whose conditions hold as well; made before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<TypeId>,
    /// What a column is where nothing else is said, as SQL text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether NULL is none of its values.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_null: bool,
    /// What must be true of `VALUE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckDef>,
}

/// A value of an enumeration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnumLabel {
    /// Its name.
    pub label: String,
    /// Where it stands: above those before it.
    pub place: u32,
}

impl TypeDef {
    /// The values of an enumeration.
    pub fn labels(&self) -> Option<&[EnumLabel]> {
        match &self.kind {
            TypeKind::Enum(labels) => Some(labels),
            TypeKind::Domain(_)
            | TypeKind::Range(_)
            | TypeKind::Multirange(_)
            | TypeKind::Composite(_) => None,
        }
    }

    /// The fields of a composite type.
    pub fn fields(&self) -> Option<&[RecordField]> {
        match &self.kind {
            TypeKind::Composite(fields) => Some(fields),
            _ => None,
        }
    }

    /// What a domain is.
    pub fn domain(&self) -> Option<&DomainDef> {
        match &self.kind {
            TypeKind::Domain(domain) => Some(domain),
            _ => None,
        }
    }

    /// The type of ranges that it is, or of whose ranges it has multiranges.
    pub fn ranges(&self) -> Option<RangeType> {
        match self.kind {
            TypeKind::Range(of) | TypeKind::Multirange(of) => Some(of),
            _ => None,
        }
    }

    /// The type that is made and goes with it: multiranges with their ranges, and the other way round.
    pub fn companion(&self) -> Option<TypeId> {
        match self.kind {
            TypeKind::Range(of) => of.made_multirange(),
            TypeKind::Multirange(of) => of.made(),
            _ => None,
        }
    }

    /// What makes no sense in it, if there is something.
    pub(crate) fn misfit(&self) -> Option<String> {
        if let Some(domain) = self.domain() {
            let is_later = |over: TypeId| over >= self.id;
            return domain
                .over
                .is_some_and(is_later)
                .then(|| format!("domain {} made of one that came later", self.name));
        }
        let is_own = match self.kind {
            TypeKind::Range(of) => of.made() == Some(self.id),
            TypeKind::Multirange(of) => of.made_multirange() == Some(self.id),
            _ => true,
        };
        if !is_own {
            return Some(format!("type {} of the ranges of another one", self.name));
        }
        if let Some(fields) = self.fields() {
            let names: BTreeSet<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            let is_whole = |field: &RecordField| field.data_type.made() == Some(self.id);
            let fits = names.len() == fields.len()
                && fields.len() <= RECORD_FIELDS_MAX
                && !fields.iter().any(is_whole);
            return (!fits).then(|| format!("type {} whose fields make none", self.name));
        }
        let labels = self.labels()?;
        let ascend = labels.is_sorted_by(|one, other| one.place < other.place);
        let names: BTreeSet<&str> = labels.iter().map(|label| label.label.as_str()).collect();
        let fits = ascend && names.len() == labels.len();
        (!fits).then(|| format!("type {} whose values are in no order", self.name))
    }
}

/// All types, by id: what is needed to read their values from text.
#[derive(Clone, Debug, Default)]
pub struct Types(BTreeMap<TypeId, Arc<TypeDef>>);

impl Types {
    /// The type of that id.
    pub fn get(&self, id: TypeId) -> Option<&Arc<TypeDef>> {
        self.0.get(&id)
    }

    /// A domain and those that it is made of, itself first.
    pub fn domains(&self, id: TypeId) -> impl Iterator<Item = &Arc<TypeDef>> {
        let of = |id: TypeId| self.get(id).filter(|def| def.domain().is_some());
        // Each came before the one made of it: this ends.
        std::iter::successors(of(id), move |def| {
            let over = def.domain()?.over.filter(|over| *over < def.id)?;
            of(over)
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<TypeDef>> {
        self.0.values()
    }
}

impl Catalog {
    /// The type of that name.
    pub fn type_named<'n>(&self, name: impl Into<NameIn<'n>>) -> Option<&Arc<TypeDef>> {
        let NameIn { schema, name } = name.into();
        let mut types = self.types.all();
        types.find(|def| def.schema == schema && def.name == name)
    }

    /// The type of that id.
    pub fn type_by_id(&self, id: TypeId) -> Option<&Arc<TypeDef>> {
        self.types.get(id)
    }

    /// All types, in order of creation.
    pub fn types(&self) -> impl Iterator<Item = &Arc<TypeDef>> {
        self.types.all()
    }

    /// All types together.
    pub fn type_space(&self) -> &Arc<Types> {
        &self.types
    }

    /// Whether somebody has made a type.
    pub fn has_types(&self) -> bool {
        !self.types.0.is_empty()
    }

    /// Sets what a type is, as [`Self::set_table`] does for tables.
    ///
    /// # Errors
    /// `DuplicateRelation` where its name is taken.
    pub fn set_type(&mut self, id: TypeId, def: Option<Arc<TypeDef>>) -> Result<()> {
        self.change_definitions();
        let Some(def) = def else {
            Arc::make_mut(&mut self.types).0.remove(&id);
            self.forget_comments();
            return Ok(());
        };
        let taken = self.type_named((def.schema, def.name.as_str()));
        if taken.is_some_and(|other| other.id != id) {
            return Err(Error::DuplicateRelation(def.name.clone()));
        }
        Arc::make_mut(&mut self.types).0.insert(id, def);
        Ok(())
    }

    /// Whether there is what a column, a parameter or a result is said to be of.
    pub(crate) fn has_type(&self, data_type: DataType) -> bool {
        data_type.made().is_none_or(|id| {
            // The rows of a relation are of a type that has its number.
            let relation = TableId(id.0);
            self.types.get(id).is_some()
                || self.table_by_id(relation).is_some()
                || self.view_by_id(relation).is_some()
        })
    }

    /// The same of a column and its domain.
    pub(crate) fn has_type_of(&self, column: &ColumnDef) -> bool {
        let has = |id: TypeId| self.types.domains(id).next().is_some();
        self.has_type(column.data_type) && column.domain.is_none_or(has)
    }

    /// Whether columns of tables are of a type.
    pub(crate) fn is_type_of_columns(&self, id: TypeId) -> bool {
        let columns = self.tables.values().flat_map(|table| &table.def.columns);
        let mut columns = columns;
        columns.any(|column| column.data_type.made() == Some(id) || column.domain == Some(id))
    }

    /// Whether fields of composite types, and domains, are of a type.
    pub(crate) fn is_type_of_types(&self, id: TypeId) -> bool {
        let mut types = self.types.all();
        types.any(|def| {
            let mut fields = def.fields().unwrap_or_default().iter();
            fields.any(|field| field.data_type.made() == Some(id))
        })
    }

    /// The name of what is of a type that is not there, if there is something.
    pub(super) fn hanging_type(&self) -> Option<String> {
        let mut tables = self.tables.values();
        let table = tables.find(|table| {
            let mut columns = table.def.columns.iter();
            columns.any(|column| !self.has_type_of(column))
        });
        let of_view = |view: &&Arc<ViewDef>| {
            let mut columns = view.columns.iter();
            columns.any(|column| !self.has_type(column.data_type))
        };
        let view = || {
            self.views
                .values()
                .find(of_view)
                .map(|view| view.name.clone())
        };
        let function = || {
            let mut functions = self.functions.values();
            let found = functions.find(|function| function.types().any(|t| !self.has_type(t)));
            found.map(|function| function.name.clone())
        };
        let of_type = |def: &&Arc<TypeDef>| {
            let mut fields = def.fields().unwrap_or_default().iter();
            fields.any(|field| !self.has_type(field.data_type))
        };
        let composite = || self.types.all().find(of_type).map(|def| def.name.clone());
        let table = table.map(|table| table.def.name.clone());
        table.or_else(view).or_else(function).or_else(composite)
    }
}

impl TypeNames for Catalog {
    fn type_name(&self, id: TypeId) -> Option<String> {
        let made = self.types.get(id).map(|def| def.name.clone());
        // The type of the rows of a relation has its name.
        let table = || {
            self.table_by_id(TableId(id.0))
                .map(|entry| entry.def.name.clone())
        };
        let view = || self.view_by_id(TableId(id.0)).map(|view| view.name.clone());
        made.or_else(table).or_else(view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(places: &[(&str, u32)]) -> TypeDef {
        let label = |(label, place): &(&str, u32)| EnumLabel {
            label: (*label).to_owned(),
            place: *place,
        };
        TypeDef {
            id: TypeId(7),
            name: "mood".to_owned(),
            schema: SchemaId::PUBLIC,
            kind: TypeKind::Enum(places.iter().map(label).collect()),
        }
    }

    #[test]
    fn values_that_are_in_no_order_or_twice_there_are_refused() {
        assert_eq!(of(&[]).misfit(), None);
        assert_eq!(of(&[("sad", 1), ("ok", 9)]).misfit(), None);
        assert!(of(&[("sad", 9), ("ok", 1)]).misfit().is_some());
        assert!(of(&[("sad", 1), ("ok", 1)]).misfit().is_some());
        assert!(of(&[("sad", 1), ("sad", 2)]).misfit().is_some());
    }

    #[test]
    fn a_type_is_written_as_it_is_read() {
        let def = of(&[("sad", 1)]);
        let json = serde_json::to_string(&def).expect("plain data");
        let expected = r#"{"id":7,"name":"mood","kind":{"Enum":[{"label":"sad","place":1}]}}"#;
        assert_eq!(json, expected);
        assert_eq!(
            serde_json::from_str::<TypeDef>(&json).expect("the same"),
            def
        );
    }

    #[test]
    fn two_types_of_a_schema_have_two_names() {
        let mut catalog = Catalog::default();
        let set = |catalog: &mut Catalog, id: u32, schema: SchemaId| {
            let def = TypeDef {
                id: TypeId(id),
                schema,
                ..of(&[])
            };
            catalog.set_type(TypeId(id), Some(Arc::new(def)))
        };
        set(&mut catalog, 1, SchemaId::PUBLIC).expect("free");
        set(&mut catalog, 1, SchemaId::PUBLIC).expect("its own");
        set(&mut catalog, 2, SchemaId(1)).expect("elsewhere");
        assert!(set(&mut catalog, 3, SchemaId::PUBLIC).is_err());
        assert_eq!(
            catalog.type_named("mood").map(|def| def.id),
            Some(TypeId(1))
        );
        assert_eq!(catalog.objects_in(SchemaId(1)).count(), 1);
        catalog.set_type(TypeId(1), None).expect("it goes");
        assert!(catalog.type_named("mood").is_none());
    }
}
