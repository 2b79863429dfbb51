//! What depends on what: views on the tables, columns and views that their queries name; foreign keys on the
//! tables and keys that they refer to.
//!
//! A thing that others depend on goes only with them: `DROP .. RESTRICT`, which is the default, refuses with
//! 2BP01 and says who they are, `DROP .. CASCADE` takes them along, those first that nobody depends on.

use super::Binder;
use crate::error::{Error, Position, Result, state};
use crate::plan::structure::Step;
use remora_storage::catalog::{Catalog, Reference, TableDef, TableEntry, ViewDef};
use remora_storage::{ColumnId, IndexId, TableId};

/// What depends on something that goes, and on what.
#[derive(Default)]
struct Dependents {
    views: Vec<TableId>,
    keys: Vec<Step>,
    lines: Vec<String>,
}

impl Dependents {
    fn add_view(&mut self, view: &ViewDef, on: &str) {
        self.views.push(view.id);
        self.lines
            .push(format!("view {} depends on {on}", view.name));
    }

    fn add_key(&mut self, catalog: &Catalog, reference: &Reference, on: &str) {
        let key = &reference.key.name;
        let child = catalog.table_by_id(reference.child);
        let child = child.map_or("", |child| child.def.name.as_str());
        let step = Step::DropForeignKey(reference.child, key.clone());
        if !self.keys.contains(&step) {
            self.keys.push(step);
            self.lines
                .push(format!("constraint {key} on table {child} depends on {on}"));
        }
    }

    /// Adds what depends on the views that were found, but for what goes anyway.
    fn close(mut self, catalog: &Catalog, going: &[TableId]) -> Self {
        let mut at = 0;
        while let Some(view) = self.views.get(at).and_then(|id| catalog.view_by_id(*id)) {
            for dependent in catalog.views_of(view.id) {
                if !self.views.contains(&dependent.id) && !going.contains(&dependent.id) {
                    self.add_view(dependent, &format!("view {}", view.name));
                }
            }
            at += 1;
        }
        self
    }

    /// How all of them go, the last found first, if they may.
    fn settle(self, cascade: bool, what: &str) -> Result<Vec<Step>> {
        if self.lines.is_empty() || cascade {
            let views = self.views.into_iter().rev().map(Step::DropView);
            return Ok(views.chain(self.keys).collect());
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
            let on = format!("{kind} {name}");
            for view in self.catalog.views_of(*id) {
                if !ids.contains(&view.id) && !found.views.contains(&view.id) {
                    found.add_view(view, &on);
                }
            }
            let table = self.catalog.table_by_id(*id);
            let references = table.iter().flat_map(|table| &table.references);
            for reference in references.filter(|reference| !ids.contains(&reference.child)) {
                found.add_key(self.catalog, reference, &on);
            }
        }
        let what = match going {
            [(_, name)] => format!("{kind} {name}"),
            _ => String::new(),
        };
        found.close(self.catalog, &ids).settle(cascade, &what)
    }

    /// The same for a column of a table.
    pub(super) fn without_column(
        &self,
        table: &TableEntry,
        column: ColumnId,
        cascade: bool,
    ) -> Result<Vec<Step>> {
        let def = &table.def;
        let column_name = def.position(column).map(|at| &def.columns[at].name);
        let column_name = column_name.map_or("", String::as_str);
        let on = format!("column {column_name} of table {}", def.name);
        let mut found = Dependents::default();
        for view in self.catalog.views_of(def.id) {
            if view.uses(def.id, column) {
                found.add_view(view, &on);
            }
        }
        for reference in &table.references {
            let goes_itself = reference.child == def.id && reference.key.columns.contains(&column);
            if reference.key.referenced.contains(&column) && !goes_itself {
                found.add_key(self.catalog, reference, &on);
            }
        }
        found.close(self.catalog, &[]).settle(cascade, &on)
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
            found.add_key(self.catalog, reference, &format!("index {name}"));
        }
        let what = format!("constraint {name} on table {}", table.def.name);
        found.settle(cascade, &what)
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
        if let Some(view) = self.catalog.views_of(id).find(|view| view.uses(id, column)) {
            let message = "cannot alter type of a column used by a view or rule";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
                .with_detail(format!(
                    "rule _RETURN on view {} depends on column \"{column_name}\"",
                    view.name
                ))
                .at(at));
        }
        let refers = |table: &TableDef| {
            let mut keys = table.foreign_keys.iter();
            keys.any(|key| key.columns.contains(&column))
        };
        let mut references = table.references.iter();
        match refers(&table.def) || references.any(|r| r.key.referenced.contains(&column)) {
            true => crate::parse::refuse("another type for a column of a foreign key", at),
            false => Ok(()),
        }
    }
}
