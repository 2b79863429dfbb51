//! What depends on what: views on the tables, columns and views that their queries name; foreign keys on the
//! tables and keys that they refer to.
//!
//! A thing that others depend on goes only with them: `DROP .. RESTRICT`, which is the default, refuses with
//! 2BP01 and says who they are, `DROP .. CASCADE` takes them along, those first that nobody depends on.

use super::Binder;
use super::losses::Loss;
use super::materialized::as_view;
use super::mention::{self, Mentions};
use super::routine_match::signature;
use super::trigger::using;
use super::view::Record;
use crate::error::{Error, Position, Result, state};
use crate::plan::logical::LogicalStatement;
use crate::plan::structure::Step;
use remora_storage::catalog::{
    Catalog, CatalogObject, Constraint, FunctionBody, FunctionDef, NameIn, Reference, Sources,
    TableDef, TableEntry, TypeDef, ViewSource,
};
use remora_storage::{ColumnId, IndexId, SchemaId, TableId};

/// What depends on something that goes, and on what.
#[derive(Default)]
pub(super) struct Dependents {
    /// Views, materialized ones too.
    views: Vec<TableId>,
    functions: Vec<TableId>,
    /// Tables without something that goes.
    pub(super) losses: Vec<Loss>,
    /// Domains without something that goes.
    pub(super) domains: Vec<TypeDef>,
    keys: Vec<Step>,
    pub(super) lines: Vec<String>,
}

impl Dependents {
    /// Adds a view or a materialized one.
    pub(super) fn add_view(&mut self, (id, what): (TableId, String), on: &str) {
        self.views.push(id);
        self.lines.push(format!("{what} depends on {on}"));
    }

    /// Whether a view is among them.
    pub(super) fn has_view(&self, id: TableId) -> bool {
        self.views.contains(&id)
    }

    fn add_key(&mut self, binder: &Binder<'_>, reference: &Reference, on: &str) {
        let key = &reference.key.name;
        let child = binder.catalog.table_by_id(reference.child);
        let child = child.map_or_else(String::new, |child| binder.shown_name(place(&child.def)));
        let step = Step::DropForeignKey(reference.child, key.clone());
        if !self.keys.contains(&step) {
            self.keys.push(step);
            self.lines
                .push(format!("constraint {key} on table {child} depends on {on}"));
        }
    }

    /// Adds the indexes over a column.
    pub(super) fn add_indexes(&mut self, table: &TableEntry, column: ColumnId, on: &str) {
        let indexes = table.indexes.iter().filter(|index| index.covers(column));
        for index in indexes {
            let step = Step::DropIndex(index.def.id);
            if !self.keys.contains(&step) {
                self.keys.push(step);
                let name = &index.def.name;
                self.lines.push(format!("index {name} depends on {on}"));
            }
        }
    }

    pub(super) fn add_function(&mut self, function: &FunctionDef, on: &str) {
        if !self.functions.contains(&function.id) {
            self.functions.push(function.id);
            let function = signature(function);
            self.lines
                .push(format!("function {function} depends on {on}"));
        }
    }

    /// Adds functions that are about a table or view.
    fn add_functions(&mut self, catalog: &Catalog, id: TableId, on: &str) {
        for function in catalog.functions().filter(|function| function.is_about(id)) {
            let name = on.split_once(' ').map_or(on, |(_, name)| name);
            match function.rows_of() == Some(id) {
                true => self.add_function(function, &format!("type {name}")),
                false => self.add_function(function, on),
            }
        }
    }

    /// Adds what depends on the views that were found, but for what goes anyway.
    pub(super) fn close(mut self, binder: &Binder<'_>, going: &[TableId]) -> Self {
        let catalog = binder.catalog;
        let mut at = 0;
        while let Some(id) = self.views.get(at).copied() {
            let on = described(binder, id);
            self.add_functions(catalog, id, &on);
            for dependent in views_on(binder, id) {
                if !self.views.contains(&dependent.0) && !going.contains(&dependent.0) {
                    self.add_view(dependent, &on);
                }
            }
            at += 1;
        }
        self
    }

    /// How all of them go, the last found first, if they may.
    pub(super) fn settle(self, catalog: &Catalog, cascade: bool, what: &str) -> Result<Vec<Step>> {
        if self.lines.is_empty() || cascade {
            let views = self.views.into_iter().rev();
            let views = views.map(|id| match catalog.table_by_id(id) {
                Some(_) => Step::DropTable(id),
                None => Step::DropView(id),
            });
            let functions = self.functions.into_iter().rev().map(Step::DropFunction);
            let tables = self.losses.into_iter();
            let tables = tables.map(|loss| Step::DefineTable(loss.def));
            let domains = self.domains.into_iter().map(Step::AlterType);
            return Ok(functions
                .chain(views)
                .chain(self.keys)
                .chain(tables)
                .chain(domains)
                .collect());
        }
        let message = format!("cannot drop {what} because other objects depend on it");
        let message = match what.is_empty() {
            true => "cannot drop desired object(s) because other objects depend on them".to_owned(),
            false => message,
        };
        Err(Error::new(state::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .with_detail(self.lines.join("\n"))
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too."))
    }
}

/// A view or a materialized one as complaints name it.
pub(super) fn described(binder: &Binder<'_>, id: TableId) -> String {
    let catalog = binder.catalog;
    match (catalog.view_by_id(id), catalog.table_by_id(id)) {
        (Some(view), _) => format!("view {}", binder.shown_name(view.place())),
        (None, Some(table)) => {
            format!("materialized view {}", binder.shown_name(place(&table.def)))
        }
        (None, None) => String::new(),
    }
}

/// The views whose queries name a table or view, materialized ones too.
fn views_on(binder: &Binder<'_>, relation: TableId) -> Vec<(TableId, String)> {
    let catalog = binder.catalog;
    let views = catalog.views_of(relation).map(|view| view.id);
    let materialized = catalog.materialized_of(relation);
    let ids = views.chain(materialized.map(|(table, _)| table.def.id));
    ids.map(|id| (id, described(binder, id))).collect()
}

/// Those that name a column of it.
pub(super) fn views_using(
    binder: &Binder<'_>,
    table: TableId,
    column: ColumnId,
) -> Vec<(TableId, String)> {
    let catalog = binder.catalog;
    let views = catalog.views_of(table);
    let views = views.filter(|view| view.uses(table, column));
    let materialized = catalog.materialized_of(table);
    let materialized = materialized.filter(|(_, query)| query.uses(table, column));
    let materialized = materialized.map(|(table, _)| table.def.id);
    let ids = views.map(|view| view.id).chain(materialized);
    ids.map(|id| (id, described(binder, id))).collect()
}

impl Binder<'_> {
    /// How that goes which depends on tables or views that go.
    ///
    /// # Errors
    /// 2BP01 where there is something and `cascade` is not said.
    pub(super) fn without(
        &self,
        kind: &str,
        going: &[(TableId, String)],
        cascade: bool,
    ) -> Result<Vec<Step>> {
        let ids: Vec<TableId> = going.iter().map(|(id, _)| *id).collect();
        let mut found = Dependents::default();
        for (id, name) in going {
            self.add_dependents(&mut found, *id, &format!("{kind} {name}"), &ids);
        }
        let what = match going {
            [(_, name)] => format!("{kind} {name}"),
            _ => String::new(),
        };
        found.close(self, &ids).settle(self.catalog, cascade, &what)
    }

    /// Adds what depends on a table or view and does not go itself.
    fn add_dependents(&self, found: &mut Dependents, id: TableId, on: &str, going: &[TableId]) {
        for view in views_on(self, id) {
            if !going.contains(&view.0) && !found.views.contains(&view.0) {
                found.add_view(view, on);
            }
        }
        found.add_functions(self.catalog, id, on);
        let table = self.catalog.table_by_id(id);
        let references = table.iter().flat_map(|table| &table.references);
        for reference in references.filter(|reference| !going.contains(&reference.child)) {
            found.add_key(self, reference, on);
        }
    }

    /// How schemas go, with all that is in them.
    ///
    /// # Errors
    /// 2BP01 where there is something and `cascade` is not said.
    pub(super) fn without_schemas(
        &self,
        going: &[(SchemaId, String)],
        cascade: bool,
    ) -> Result<Vec<Step>> {
        let catalog = self.catalog;
        let (mut tables, mut sequences, mut types) = (Vec::new(), Vec::new(), Vec::new());
        let mut lines = Vec::new();
        for (schema, name) in going {
            let mut inside: Vec<CatalogObject> = catalog.objects_in(*schema).collect();
            inside.sort_unstable_by_key(|object| match object {
                CatalogObject::Table(id) | CatalogObject::View(id) => id.0,
                _ => u32::MAX,
            });
            for object in inside {
                let (kind, place) = match object {
                    CatalogObject::Table(id) | CatalogObject::View(id) => {
                        tables.push(object);
                        let table = catalog.table_by_id(id).map(|table| place(&table.def));
                        let view = catalog.view_by_id(id).map(|view| view.place());
                        let kind = if table.is_some() { "table" } else { "view" };
                        (kind, table.or(view))
                    }
                    CatalogObject::Sequence(id) => {
                        sequences.push(id);
                        let entry = catalog.sequence_by_id(id);
                        // One that goes with a table is not told of beside it.
                        let free = entry.filter(|entry| entry.def.owner.is_none());
                        ("sequence", free.map(|entry| entry.def.place()))
                    }
                    CatalogObject::Type(id) => {
                        types.push(Step::DropType(id));
                        if let Some(def) = catalog.type_by_id(id) {
                            let shown = self.shown_type(def);
                            lines.push(format!("type {shown} depends on schema {name}"));
                        }
                        continue;
                    }
                    _ => continue,
                };
                if let Some(place) = place {
                    let shown = self.shown_name(place);
                    lines.push(format!("{kind} {shown} depends on schema {name}"));
                }
            }
        }
        let ids: Vec<TableId> = tables.iter().filter_map(table_or_view).collect();
        let mut found = Dependents {
            lines,
            ..Dependents::default()
        };
        for object in &tables {
            if let CatalogObject::Table(id) = object
                && let Some(table) = catalog.table_by_id(*id)
            {
                let on = format!("table {}", self.shown_name(place(&table.def)));
                self.add_dependents(&mut found, *id, &on, &ids);
            } else if let Some(view) = table_or_view(object).and_then(|id| catalog.view_by_id(id)) {
                let on = format!("view {}", self.shown_name(view.place()));
                self.add_dependents(&mut found, view.id, &on, &ids);
            }
        }
        let what = match going {
            [(_, name)] => format!("schema {name}"),
            _ => String::new(),
        };
        let mut steps = found
            .close(self, &ids)
            .settle(self.catalog, cascade, &what)?;
        let of_table = |object: &CatalogObject| match object {
            CatalogObject::Table(id) => Step::DropTable(*id),
            CatalogObject::View(id) => Step::DropView(*id),
            _ => unreachable!("none but these are among them"),
        };
        for sequence in &sequences {
            let users = catalog.users_of(*sequence);
            let users = users.filter(|(table, _)| !ids.contains(&table.def.id));
            steps.extend(users.map(|(table, column)| Step::DropDefault(table.def.id, column.id)));
        }
        // Views first: what they show goes later.
        steps.extend(tables.iter().rev().map(of_table));
        steps.extend(sequences.into_iter().map(Step::DropSequence));
        steps.extend(types);
        steps.extend(going.iter().map(|(schema, _)| Step::DropSchema(*schema)));
        Ok(steps)
    }

    /// The same for a column of a table, from which others are `computed`: how these go is the caller's affair.
    pub(super) fn without_column(
        &self,
        table: &TableEntry,
        column: ColumnId,
        computed: &[String],
        cascade: bool,
    ) -> Result<Vec<Step>> {
        let def = &table.def;
        let column_name = def.position(column).map(|at| &def.columns[at].name);
        let column_name = column_name.map_or("", String::as_str);
        let on = format!(
            "column {column_name} of table {}",
            self.shown_name(place(def))
        );
        let mut found = Dependents::default();
        found.lines.extend(
            computed
                .iter()
                .map(|computed| format!("column {computed} of table {} depends on {on}", def.name)),
        );
        for view in views_using(self, def.id, column) {
            found.add_view(view, &on);
        }
        for function in self.catalog.functions() {
            if function.uses(def.id, column) {
                found.add_function(function, &on);
            }
        }
        // They go with the draft of the table.
        found.lines.extend(using(def, column).map(|trigger| {
            let (trigger, table) = (&trigger.name, &def.name);
            format!("trigger {trigger} on table {table} depends on {on}")
        }));
        for reference in &table.references {
            let goes_itself = reference.child == def.id && reference.key.columns.contains(&column);
            if reference.key.referenced.contains(&column) && !goes_itself {
                found.add_key(self, reference, &on);
            }
        }
        found.close(self, &[]).settle(self.catalog, cascade, &on)
    }

    /// The same for functions, what they leave tables without included.
    pub(super) fn without_functions(
        &mut self,
        going: &[(TableId, String)],
        cascade: bool,
    ) -> Result<Vec<LogicalStatement>> {
        let of = |mentions: &Mentions| {
            let called = mention::functions(mentions);
            let mut going = going.iter();
            going
                .find(|(id, _)| called.contains(id))
                .map(|(_, name)| format!("function {name}"))
        };
        let ids: Vec<TableId> = going.iter().map(|(id, _)| *id).collect();
        let mut found = Dependents::default();
        self.add_naming(&mut found, &ids, &of);
        self.add_naming_domains(&mut found, &[], &of);
        let what = match going {
            [(_, name)] => format!("function {name}"),
            _ => String::new(),
        };
        let found = found.close(self, &ids);
        self.depart(found, cascade, &what)
    }

    /// The same for the index of a constraint.
    pub(super) fn without_index(
        &self,
        table: &TableEntry,
        (index, name): (IndexId, &str),
        cascade: bool,
    ) -> Result<Vec<Step>> {
        let mut found = Dependents::default();
        let references = table.references.iter();
        for reference in references.filter(|reference| reference.key.index == index) {
            found.add_key(self, reference, &format!("index {name}"));
        }
        let what = format!("constraint {name} on table {}", table.def.name);
        let mut indexes = table.indexes.iter().map(|entry| &entry.def);
        let primary = Some(Constraint::PrimaryKey);
        if indexes.any(|def| def.id == index && def.constraint == primary) {
            let views = self.catalog.views_of(table.def.id);
            for view in views.filter(|view| self.needs_key(view, table.def.id)) {
                found.add_view((view.id, described(self, view.id)), &what);
            }
        }
        found.close(self, &[]).settle(self.catalog, cascade, &what)
    }

    /// Complains where a view or a foreign key names a column whose type is to change.
    pub(super) fn refuse_retyping(
        &self,
        table: &TableEntry,
        column: ColumnId,
        column_name: &str,
        at: Option<Position>,
    ) -> Result<()> {
        let id = table.def.id;
        if let Some((_, view)) = views_using(self, id, column).into_iter().next() {
            let message = "cannot alter type of a column used by a view or rule";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
                .with_detail(format!(
                    "rule _RETURN on {view} depends on column \"{column_name}\""
                ))
                .at(at));
        }
        if let Some(trigger) = using(&table.def, column).next() {
            let message = "cannot alter type of a column used in a trigger definition";
            let (trigger, table) = (&trigger.name, &table.def.name);
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
                .with_detail(format!(
                    "trigger {trigger} on table {table} depends on column \"{column_name}\""
                ))
                .at(at));
        }
        let mut functions = self.catalog.functions();
        if let Some(function) = functions.find(|function| function.uses(id, column)) {
            let message = "cannot alter type of a column used by a function or procedure";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
                .with_detail(format!(
                    "function {} depends on column \"{column_name}\"",
                    signature(function)
                ))
                .at(at));
        }
        Ok(())
    }
}

/// What has to be there before a table, view or function can be made: tables, views and functions.
pub(crate) fn depends_on(catalog: &Catalog, id: TableId) -> Vec<TableId> {
    let mut binder = Binder::new(catalog);
    let mut found = Vec::new();
    let relations = |sources: &[ViewSource]| -> Vec<TableId> {
        sources.iter().map(|source| source.relation).collect()
    };
    if let Some(def) = catalog.function_by_id(id) {
        let bound = binder.body(def, Some(Record::default()));
        match (&def.body, bound) {
            (FunctionBody::Bound { sources, .. }, _) => found.extend(relations(sources)),
            (FunctionBody::Text(_), Ok((_, Some(record)))) => {
                found.extend(relations(&record.sources()));
            }
            // What cannot be bound any more needs nothing that is known.
            _ => {}
        }
        found.extend(def.rows_of());
        found.extend(mention::functions(binder.mentions.get_mut()));
    } else if let Some(table) = catalog.table_by_id(id) {
        let columns = table.def.columns.iter();
        let columns = columns.flat_map(|column| [&column.default, &column.generated]);
        let checks = table.def.checks.iter().map(|check| &check.expression);
        for text in columns.flatten().chain(checks) {
            found.extend(mention::functions(&binder.named_in(text, &table.def, None)));
        }
        if let Some(query) = &table.def.materialized {
            found.extend(relations(&query.sources));
            let named = binder.named_by_view(&as_view(&table.def, query));
            found.extend(mention::functions(&named));
        }
        found.extend(table.parents());
    } else if let Some(view) = catalog.view_by_id(id) {
        found.extend(relations(&view.sources));
        found.extend(mention::functions(&binder.named_by_view(view)));
    }
    found.retain(|other| *other != id);
    found
}

/// The name of a table, and where it is.
fn place(def: &TableDef) -> NameIn<'_> {
    (def.schema, def.name.as_str()).into()
}

fn table_or_view(object: &CatalogObject) -> Option<TableId> {
    match object {
        CatalogObject::Table(id) | CatalogObject::View(id) => Some(*id),
        _ => None,
    }
}
