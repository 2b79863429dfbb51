//! The catalog: what tables, indexes, sequences, views, functions and types there are, as an immutable value.
//!
//! A catalog is never changed: a transaction that runs DDL makes its own copy and installs it at
//! commit. Definitions are plain data (they are what the log and the manifest carry); beside each
//! stands the handle to the rows or the index itself.
//!
//! A table's entry is replaced whenever its structure changes, indexes included. So two snapshots
//! agree on a table's structure exactly if they hold the same entry: that is how commits find out
//! that they wrote to a table that is no longer what it was ([`Catalog::merge`]). Who changed rows only
//! does not mind other indexes ([`same_rows`]): those that came were kept up ([`LateIndexes`]).

mod comment;
mod definition;
mod describe;
mod entry;
mod foreign;
mod function;
mod key_size;
mod late;
mod latest;
mod names;
mod notes;
mod sequence;
mod trigger;
mod types;
mod view;

pub use comment::{CommentDef, Commented};
pub use definition::{
    Bound, CatalogChange, CheckDef, Collation, ColumnDef, ColumnDefault, Constraint, Eviction,
    Expiry, Identity, IndexColumn, IndexDef, IndexKind, Materialized, OnCommit, SchemaDef,
    TableDef,
};
pub use describe::key_name;
pub use entry::{IndexEntry, IntKey, TableEntry};
pub use foreign::{Deferral, ForeignAction, ForeignKeyDef, Reference};
pub use function::{
    FunctionBody, FunctionDef, FunctionParameter, FunctionResult, FunctionVolatility, ResultColumn,
};
pub use late::LateIndexes;
pub use latest::LatestCatalog;
pub use names::NameIn;
pub use sequence::{
    Counter, CounterState, LOG_AHEAD, SequenceDef, SequenceEntry, SequencePosition, SequenceRule,
};
pub use trigger::{TriggerDef, TriggerEvent, TriggerTiming};
pub use types::{DomainDef, EnumLabel, TypeDef, TypeKind, Types};
pub use view::{SourceColumn, Sources, ViewCheck, ViewColumn, ViewDef, ViewSource};

use crate::error::{Error, Result};
use crate::ids::{ColumnId, IndexId, SchemaId, SequenceId, TableId, Timestamp, TypeId};
use names::Names;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// What a name stands for; tables, indexes, sequences and views share one name space, as in PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relation {
    Table(TableId),
    Index(TableId, IndexId),
    Sequence(SequenceId),
    View(TableId),
}

/// What is set in the catalog as a whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CatalogObject {
    /// A table, with its indexes.
    Table(TableId),
    /// A sequence.
    Sequence(SequenceId),
    /// A view.
    View(TableId),
    /// A function.
    Function(TableId),
    /// A type.
    Type(TypeId),
    /// A schema, without what is in it.
    Schema(SchemaId),
    /// What is said of something.
    Comment(Commented),
}

impl Relation {
    fn object(self) -> CatalogObject {
        match self {
            Self::Table(id) | Self::Index(id, _) => CatalogObject::Table(id),
            Self::Sequence(id) => CatalogObject::Sequence(id),
            Self::View(id) => CatalogObject::View(id),
        }
    }
}

/// All tables, indexes, sequences and views at one moment.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    tables: BTreeMap<TableId, Arc<TableEntry>>,
    names: Names,
    /// Which table an index is on.
    indexes: BTreeMap<IndexId, TableId>,
    sequences: BTreeMap<SequenceId, Arc<SequenceEntry>>,
    views: BTreeMap<TableId, Arc<ViewDef>>,
    functions: BTreeMap<TableId, Arc<FunctionDef>>,
    function_names: BTreeMap<String, Vec<TableId>>,
    types: Arc<Types>,
    schemas: BTreeMap<SchemaId, Arc<SchemaDef>>,
    comments: BTreeMap<Commented, Arc<str>>,
    /// A number for what views, functions, types and schemas there are; no others have it.
    definitions: u64,
    since: Timestamp,
}

impl Catalog {
    /// The table of that name (names are stored folded by the binder and compared exactly).
    pub fn table<'n>(&self, name: impl Into<NameIn<'n>>) -> Option<&Arc<TableEntry>> {
        match self.names.get(name.into())? {
            Relation::Table(id) => self.tables.get(id),
            _ => None,
        }
    }

    /// The table of that id.
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<TableEntry>> {
        self.tables.get(&id)
    }

    /// The index of that name, with its table.
    pub fn index<'n>(
        &self,
        name: impl Into<NameIn<'n>>,
    ) -> Option<(&Arc<TableEntry>, &Arc<IndexEntry>)> {
        match self.names.get(name.into())? {
            Relation::Index(table, index) => self.tables.get(table)?.with_index(*index),
            _ => None,
        }
    }

    /// The index of that id, with its table.
    pub fn index_by_id(&self, id: IndexId) -> Option<(&Arc<TableEntry>, &Arc<IndexEntry>)> {
        self.tables.get(self.indexes.get(&id)?)?.with_index(id)
    }

    /// Whether it has the views, functions, types and schemas of another one of the same database. True may be told too
    /// seldom, and never where they differ.
    pub fn has_definitions_of(&self, other: &Self) -> bool {
        self.definitions == other.definitions
    }

    /// Something other than tables and sequences is changed.
    fn change_definitions(&mut self) {
        static LAST: AtomicU64 = AtomicU64::new(0);
        // Only that no number comes twice matters.
        self.definitions = LAST.fetch_add(1, Relaxed) + 1;
    }

    /// All tables, by name.
    pub fn tables(&self) -> Box<dyn Iterator<Item = &Arc<TableEntry>> + '_> {
        Box::new(self.names.all().filter_map(|relation| match relation {
            Relation::Table(id) => self.tables.get(id),
            _ => None,
        }))
    }

    /// The sequence of that name.
    pub fn sequence<'n>(&self, name: impl Into<NameIn<'n>>) -> Option<&Arc<SequenceEntry>> {
        match self.names.get(name.into())? {
            Relation::Sequence(id) => self.sequences.get(id),
            _ => None,
        }
    }

    /// The sequence of that id.
    pub fn sequence_by_id(&self, id: SequenceId) -> Option<&Arc<SequenceEntry>> {
        self.sequences.get(&id)
    }

    /// All sequences, by name.
    pub fn sequences(&self) -> impl Iterator<Item = &Arc<SequenceEntry>> {
        self.names.all().filter_map(|relation| match relation {
            Relation::Sequence(id) => self.sequences.get(id),
            _ => None,
        })
    }

    /// The sequences that go with a table.
    pub fn sequences_of(&self, table: TableId) -> impl Iterator<Item = &Arc<SequenceEntry>> {
        let is_of = move |owner: (TableId, ColumnId)| owner.0 == table;
        let sequences = self.sequences.values();
        sequences.filter(move |sequence| sequence.def.owner.is_some_and(is_of))
    }

    /// Returns the column that a sequence belongs to, and its table.
    pub fn owner_of(&self, sequence: &SequenceDef) -> Option<(&TableDef, &ColumnDef)> {
        let (table, column) = sequence.owner?;
        let table = &self.table_by_id(table)?.def;
        Some((table, &table.columns[table.position(column)?]))
    }

    /// The columns whose defaults take numbers from a sequence.
    pub fn users_of(
        &self,
        sequence: SequenceId,
    ) -> impl Iterator<Item = (&Arc<TableEntry>, &ColumnDef)> {
        let uses = move |column: &&ColumnDef| column.sequences.contains(&sequence);
        self.tables.values().flat_map(move |table| {
            table
                .def
                .columns
                .iter()
                .filter(uses)
                .map(move |column| (table, column))
        })
    }

    /// The view of that name.
    pub fn view<'n>(&self, name: impl Into<NameIn<'n>>) -> Option<&Arc<ViewDef>> {
        match self.names.get(name.into())? {
            Relation::View(id) => self.views.get(id),
            _ => None,
        }
    }

    /// The view of that id.
    pub fn view_by_id(&self, id: TableId) -> Option<&Arc<ViewDef>> {
        self.views.get(&id)
    }

    /// All views, in order of creation.
    pub fn views(&self) -> impl Iterator<Item = &Arc<ViewDef>> {
        self.views.values()
    }

    /// The views that name a table or view, in order of creation.
    pub fn views_of(&self, relation: TableId) -> impl Iterator<Item = &Arc<ViewDef>> {
        let names = move |view: &&Arc<ViewDef>| view.names(relation);
        self.views.values().filter(names)
    }

    /// The materialized views that name a table or view, in order of creation.
    pub fn materialized_of(
        &self,
        relation: TableId,
    ) -> impl Iterator<Item = (&Arc<TableEntry>, &Materialized)> {
        let materialized = self.materialized();
        materialized.filter(move |(_, query)| query.names(relation))
    }

    /// The materialized views, in order of creation.
    pub fn materialized(&self) -> impl Iterator<Item = (&Arc<TableEntry>, &Materialized)> {
        let tables = self.tables.values();
        tables.filter_map(|table| Some((table, table.def.materialized.as_ref()?)))
    }

    /// The commit that installed it.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Notes the commit that installs it.
    pub fn set_since(&mut self, since: Timestamp) {
        self.since = since;
    }

    /// Sets what a table is: a new or changed entry, or none any more. Ids are taken from the
    /// entry. On error nothing has changed.
    ///
    /// # Errors
    /// `DuplicateRelation` where a name is taken.
    pub fn set_table(&mut self, id: TableId, entry: Option<Arc<TableEntry>>) -> Result<()> {
        if let Some(entry) = &entry {
            let taken = entry.relations().find(|(name, _)| {
                self.is_others((entry.def.schema, *name), CatalogObject::Table(id))
            });
            if let Some((name, _)) = taken {
                return Err(Error::DuplicateRelation(name.to_owned()));
            }
        }
        let old = self.tables.remove(&id);
        let parents = [old.as_ref(), entry.as_ref()].into_iter().flatten();
        let parents: BTreeSet<TableId> = parents.flat_map(|entry| entry.parents()).collect();
        if let Some(old) = &old {
            for (name, _) in old.relations() {
                self.names.remove((old.def.schema, name).into());
            }
            self.indexes.retain(|_, table| *table != id);
        }
        if let Some(entry) = entry {
            for (name, index) in entry.relations() {
                let relation = match index {
                    None => Relation::Table(id),
                    Some(index) => Relation::Index(id, index),
                };
                self.names.insert((entry.def.schema, name).into(), relation);
                self.indexes.extend(index.map(|index| (index, id)));
            }
            self.tables.insert(id, entry);
        }
        for parent in parents {
            self.refer(parent, id);
        }
        if old.is_none() {
            self.refer_to_new(id);
        }
        self.forget_comments();
        Ok(())
    }

    /// Sets what a sequence is: a new or changed entry, or none any more. On error nothing has changed.
    ///
    /// # Errors
    /// `DuplicateRelation` where the name is taken.
    pub fn set_sequence(
        &mut self,
        id: SequenceId,
        entry: Option<Arc<SequenceEntry>>,
    ) -> Result<()> {
        if let Some(entry) = &entry
            && self.is_others(entry.def.place(), CatalogObject::Sequence(id))
        {
            return Err(Error::DuplicateRelation(entry.def.name.clone()));
        }
        if let Some(old) = self.sequences.remove(&id) {
            self.names.remove(old.def.place());
        }
        if let Some(entry) = entry {
            self.names.insert(entry.def.place(), Relation::Sequence(id));
            self.sequences.insert(id, entry);
        }
        self.forget_comments();
        Ok(())
    }

    /// Sets what a view is, as [`Self::set_table`] does for tables.
    ///
    /// # Errors
    /// `DuplicateRelation` where its name is taken.
    pub fn set_view(&mut self, id: TableId, view: Option<Arc<ViewDef>>) -> Result<()> {
        self.change_definitions();
        if let Some(view) = &view
            && self.is_others(view.place(), CatalogObject::View(id))
        {
            return Err(Error::DuplicateRelation(view.name.clone()));
        }
        if let Some(old) = self.views.remove(&id) {
            self.names.remove(old.place());
        }
        if let Some(view) = view {
            self.names.insert(view.place(), Relation::View(id));
            self.views.insert(id, view);
        }
        self.forget_comments();
        Ok(())
    }

    /// Whether a name is taken by something else than this.
    fn is_others<'n>(&self, name: impl Into<NameIn<'n>>, object: CatalogObject) -> bool {
        let taken = self.names.get(name.into());
        taken.is_some_and(|relation| relation.object() != object)
    }

    /// Whether a name is taken.
    pub fn has_name<'n>(&self, name: impl Into<NameIn<'n>>) -> bool {
        self.names.get(name.into()).is_some()
    }

    /// Tables, sequences, views and types of a schema.
    pub fn objects_in(&self, schema: SchemaId) -> impl Iterator<Item = CatalogObject> {
        let relations = self.names.of(schema);
        let objects = relations.filter(|relation| !matches!(relation, Relation::Index(..)));
        let types = self.types.all().filter(move |def| def.schema == schema);
        let types = types.map(|def| CatalogObject::Type(def.id));
        objects.map(|relation| relation.object()).chain(types)
    }

    /// Whether something is a session's own, as far as it is here.
    pub fn is_temporary(&self, object: CatalogObject) -> bool {
        let schema = match object {
            CatalogObject::Table(id) => self.tables.get(&id).map(|entry| entry.def.schema),
            CatalogObject::Sequence(id) => self.sequences.get(&id).map(|entry| entry.def.schema),
            CatalogObject::View(id) => self.views.get(&id).map(|view| view.schema),
            CatalogObject::Type(id) => self.types.get(id).map(|def| def.schema),
            CatalogObject::Function(_) => None,
            CatalogObject::Schema(_) => None,
            CatalogObject::Comment(on) => self.schema_of(on),
        };
        schema.is_some_and(SchemaId::is_temporary)
    }

    /// The same without what is a session's own: nothing on disk speaks of that.
    #[must_use]
    pub fn lasting(self: Arc<Self>) -> Arc<Self> {
        let temporary = self.names.schemas().filter(|schema| schema.is_temporary());
        let going: Vec<_> = temporary
            .flat_map(|schema| self.objects_in(schema))
            .collect();
        if going.is_empty() {
            return self;
        }
        let (mut lasting, nothing) = (Self::clone(&self), Self::default());
        for object in going {
            let removed = lasting.copy(object, &nothing);
            removed.expect("what goes takes no name");
        }
        Arc::new(lasting)
    }

    /// Takes the steps of a transaction, each of them what it was about and the catalog after it, from `base`
    /// over to `latest`. One after the other, as they are replayed from the log: a name that was needed
    /// on the way only must be free, too.
    ///
    /// # Errors
    /// `SchemaConflict` where another commit changed what a step is about, or took a name, or where
    /// a default would take numbers from a sequence that is gone, or a view would name what is, or itself.
    pub fn merge(base: &Self, latest: &Self, steps: &[(CatalogObject, &Self)]) -> Result<Self> {
        let mut merged = latest.clone();
        for (object, after) in steps {
            let is_free = base.agrees_on(latest, *object);
            let taken_over = is_free && merged.copy(*object, after).is_ok();
            if !taken_over {
                let name = after.name_of(*object).or_else(|| base.name_of(*object));
                return Err(Error::SchemaConflict {
                    table: name.unwrap_or_default(),
                });
            }
        }
        merged.check_sequences(steps.iter().map(|(object, _)| *object))?;
        merged.check_schemas()?;
        let is_new = |view: &ViewDef| {
            let object = CatalogObject::View(view.id);
            steps.iter().any(|(changed, _)| *changed == object)
        };
        // Two views may each have come to name the other.
        let turns = |view: &ViewDef| is_new(view) && view.leads_to(view.id, &merged);
        let hangs = |view: &&Arc<ViewDef>| !view.stands_in(&merged) || turns(view);
        let hanging = merged.views().find(hangs).map(|view| view.name.clone());
        let hanging = hanging.or_else(|| {
            let mut materialized = merged.materialized();
            let found = materialized.find(|(_, query)| !query.stands_in(&merged));
            found.map(|(table, _)| table.def.name.clone())
        });
        match hanging {
            Some(table) => Err(Error::SchemaConflict { table }),
            None => match merged.hanging_function().or_else(|| merged.hanging_type()) {
                Some(table) => Err(Error::SchemaConflict { table }),
                None => Ok(merged),
            },
        }
    }

    /// Whether all that is in a schema has it: what came there, and who has dropped it meanwhile.
    fn check_schemas(&self) -> Result<()> {
        let of_types = self.types.all().map(|def| def.schema);
        let mut used = self.names.schemas().chain(of_types);
        let gone = used.find(|schema| !self.has_schema(*schema));
        let object = gone.and_then(|schema| self.objects_in(schema).next());
        match object {
            Some(object) => Err(Error::SchemaConflict {
                table: self.name_of(object).unwrap_or_default(),
            }),
            None => Ok(()),
        }
    }

    /// Whether something is the same in both, or in neither.
    fn agrees_on(&self, other: &Self, object: CatalogObject) -> bool {
        match object {
            CatalogObject::Table(id) => same(self.table_by_id(id), other.table_by_id(id)),
            CatalogObject::Sequence(id) => {
                same_entry(self.sequence_by_id(id), other.sequence_by_id(id))
            }
            CatalogObject::View(id) => same_entry(self.view_by_id(id), other.view_by_id(id)),
            CatalogObject::Function(id) => {
                same_entry(self.function_by_id(id), other.function_by_id(id))
            }
            CatalogObject::Type(id) => same_entry(self.type_by_id(id), other.type_by_id(id)),
            CatalogObject::Schema(id) => same_entry(self.schema_by_id(id), other.schema_by_id(id)),
            CatalogObject::Comment(on) => self.comment(on) == other.comment(on),
        }
    }

    /// Makes something what it is in another catalog.
    fn copy(&mut self, object: CatalogObject, from: &Self) -> Result<()> {
        match object {
            CatalogObject::Table(id) => self.set_table(id, from.table_by_id(id).cloned()),
            CatalogObject::Sequence(id) => self.set_sequence(id, from.sequence_by_id(id).cloned()),
            CatalogObject::View(id) => self.set_view(id, from.view_by_id(id).cloned()),
            CatalogObject::Function(id) => self.set_function(id, from.function_by_id(id).cloned()),
            CatalogObject::Type(id) => self.set_type(id, from.type_by_id(id).cloned()),
            CatalogObject::Schema(id) => self.set_schema(id, from.schema_by_id(id).cloned()),
            CatalogObject::Comment(on) => {
                self.set_comment(on, from.comment(on).cloned());
                Ok(())
            }
        }
    }

    fn name_of(&self, object: CatalogObject) -> Option<String> {
        match object {
            CatalogObject::Table(id) => self.tables.get(&id).map(|entry| entry.def.name.clone()),
            CatalogObject::Sequence(id) => {
                self.sequences.get(&id).map(|entry| entry.def.name.clone())
            }
            CatalogObject::View(id) => self.views.get(&id).map(|view| view.name.clone()),
            CatalogObject::Function(id) => self.functions.get(&id).map(|f| f.name.clone()),
            CatalogObject::Type(id) => self.types.get(id).map(|def| def.name.clone()),
            CatalogObject::Schema(id) => self.schemas.get(&id).map(|schema| schema.name.clone()),
            CatalogObject::Comment(_) => Some("a comment".to_owned()),
        }
    }

    /// Whether the defaults of changed tables have their sequences, sequences that went were those of no
    /// default, and none goes with a table that went.
    fn check_sequences(&self, changed: impl Iterator<Item = CatalogObject>) -> Result<()> {
        let conflict = |table: &TableEntry| Error::SchemaConflict {
            table: table.def.name.clone(),
        };
        let owned = |sequence: &SequenceEntry| match sequence.def.owner {
            Some((table, _)) if !self.tables.contains_key(&table) => Err(sequence.retired()),
            _ => Ok(()),
        };
        for object in changed {
            match object {
                CatalogObject::Table(id) => {
                    let Some(table) = self.tables.get(&id) else {
                        self.sequences_of(id).try_for_each(|s| owned(s))?;
                        continue;
                    };
                    let mut used = table.def.columns.iter().flat_map(|c| &c.sequences);
                    if used.any(|used| !self.sequences.contains_key(used)) {
                        return Err(conflict(table));
                    }
                }
                CatalogObject::View(_)
                | CatalogObject::Function(_)
                | CatalogObject::Type(_)
                | CatalogObject::Schema(_)
                | CatalogObject::Comment(_) => {}
                CatalogObject::Sequence(id) => {
                    if let Some(sequence) = self.sequences.get(&id) {
                        owned(sequence)?;
                    } else if let Some((table, _)) = self.users_of(id).next() {
                        return Err(conflict(table));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether two catalogs hold the same entry for a table.
pub fn same(one: Option<&Arc<TableEntry>>, other: Option<&Arc<TableEntry>>) -> bool {
    same_entry(one, other)
}

fn same_entry<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

/// Whether a table in two catalogs differs in its indexes at most. Its foreign keys, and those that
/// refer to it, are the same.
pub fn same_rows(one: Option<&Arc<TableEntry>>, other: Option<&Arc<TableEntry>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) if !Arc::ptr_eq(one, other) => {
            Arc::ptr_eq(&one.rows, &other.rows)
                && one.def == other.def
                && one.references == other.references
        }
        _ => same(one, other),
    }
}

#[cfg(test)]
mod tests;
