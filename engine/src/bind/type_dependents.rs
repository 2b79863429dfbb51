//! How types go, and what is of them.
//!
//! Columns, views that show such values, and functions that take or give them go along with a type
//! (`DROP TYPE .. CASCADE`), or else keep it (2BP01).

use super::Binder;
use super::dependents::{Dependents, described};
use super::mention::Mentions;
use crate::error::Result;
use crate::function::element_of;
use crate::plan::Statement;
use crate::plan::logical::LogicalStatement;
use crate::plan::structure::Step;
use remora_storage::catalog::{FunctionDef, FunctionResult, TableEntry, TypeDef};
use remora_storage::{DataType, TableId, TypeId};
use std::sync::Arc;

impl<'a> Binder<'a> {
    /// How types go.
    ///
    /// # Errors
    /// 2BP01 where something is of them and `cascade` is not said.
    pub(super) fn without_types(
        &mut self,
        going: &[Arc<TypeDef>],
        cascade: bool,
    ) -> Result<LogicalStatement> {
        let mut all = self.freed_of_types(going, &[], cascade)?;
        let types = going.iter().map(|def| Step::DropType(def.id)).collect();
        all.push(LogicalStatement::Done(Statement::Structure(types)));
        Ok(LogicalStatement::Each(all))
    }

    /// How that goes which is of types, but for what is of tables and views that go anyway.
    ///
    /// # Errors
    /// 2BP01 where there is something and `cascade` is not said.
    pub(super) fn freed_of_types(
        &mut self,
        going: &[Arc<TypeDef>],
        except: &[TableId],
        cascade: bool,
    ) -> Result<Vec<LogicalStatement>> {
        let catalog = self.catalog;
        let mut found = Dependents::default();
        let mut going = going.to_vec();
        let asked = going.len();
        let mut next = 0;
        while let Some(def) = going.get(next).cloned() {
            for other in catalog.types() {
                let is_known = going.iter().any(|known| known.id == other.id);
                if def.companion() == Some(other.id) && !is_known {
                    going.push(Arc::clone(other));
                    continue;
                }
                let mut fields = other.fields().unwrap_or_default().iter();
                let field = fields.find(|field| field.data_type.made() == Some(def.id));
                if let Some(field) = field.filter(|_| !is_known) {
                    let (one, on) = (self.shown_type(other), self.shown_type(&def));
                    let field = &field.name;
                    let line =
                        format!("column {field} of composite type {one} depends on type {on}");
                    found.lines.push(line);
                    going.push(Arc::clone(other));
                    continue;
                }
                let domain = other.domain().filter(|_| !is_known);
                if domain.is_some_and(|domain| {
                    let default = self.named_by_default(other);
                    let mut named = default.iter().filter_map(|(named, _)| named.type_id());
                    domain.over == Some(def.id)
                        || domain.base.made() == Some(def.id)
                        || named.any(|id| id == def.id)
                }) {
                    let (one, on) = (self.shown_type(other), self.shown_type(&def));
                    found.lines.push(format!("type {one} depends on type {on}"));
                    going.push(Arc::clone(other));
                }
            }
            next += 1;
        }
        for def in &going {
            let on = format!("type {}", self.shown_type(def));
            let is_of = |data_type: DataType| data_type.made() == Some(def.id);
            let stays = |entry: &&Arc<TableEntry>| !except.contains(&entry.def.id);
            for entry in catalog.tables().filter(stays) {
                let columns = entry.def.columns.iter();
                let columns = columns
                    .filter(|column| is_of(column.data_type) || column.domain == Some(def.id));
                for column in columns.filter(|column| !column.is_hidden()) {
                    let array = match element_of(column.data_type) {
                        Some(_) => "[]",
                        None => "",
                    };
                    self.lose_column(&mut found, entry, column, &format!("{on}{array}"));
                }
            }
            for view in catalog.views() {
                let mut columns = view.columns.iter();
                let is_known = found.has_view(view.id) || except.contains(&view.id);
                if !is_known && columns.any(|column| is_of(column.data_type)) {
                    found.add_view((view.id, described(self, view.id)), &on);
                }
            }
            for function in catalog.functions().filter(|f| names_type(f, def.id)) {
                found.add_function(function, &on);
            }
        }
        let ids: Vec<TypeId> = going.iter().map(|def| def.id).collect();
        let depends_on = |mentions: &Mentions| self.on_type(mentions, &going);
        self.add_naming(&mut found, except, &depends_on);
        self.add_naming_domains(&mut found, &ids, &depends_on);
        let what = match &going[..asked] {
            [def] => format!("type {}", self.shown_type(def)),
            _ => String::new(),
        };
        let found = found.close(self, except);
        let mut all = self.depart(found, cascade, &what)?;
        let domains = going[asked..]
            .iter()
            .rev()
            .map(|def| Step::DropType(def.id));
        all.push(LogicalStatement::Done(Statement::Structure(
            domains.collect(),
        )));
        Ok(all)
    }

    /// Which of some types a text names, if it does.
    fn on_type(&self, mentions: &Mentions, going: &[Arc<TypeDef>]) -> Option<String> {
        let mut named = mentions.iter().filter_map(|(mention, _)| mention.type_id());
        let found = named.find_map(|id| going.iter().find(|def| def.id == id))?;
        Some(format!("type {}", self.shown_type(found)))
    }

    /// What a type is called in complaints: with its schema, where it is not found without.
    pub(super) fn shown_type(&self, def: &TypeDef) -> String {
        let schemas = self.path.schemas(self.catalog);
        let mut found =
            schemas.filter_map(|schema| self.catalog.type_named((schema, def.name.as_str())));
        match found.next() {
            Some(first) if first.id == def.id => def.name.clone(),
            _ => {
                let schema = crate::function::schema_name(self.catalog, def.schema);
                format!("{schema}.{}", def.name)
            }
        }
    }
}

/// Whether a function takes or gives values of a type.
fn names_type(function: &FunctionDef, id: TypeId) -> bool {
    let is_of = |data_type: DataType| data_type.made() == Some(id);
    let gives = match &function.returns {
        FunctionResult::Nothing => false,
        FunctionResult::Value(given) | FunctionResult::Values(given) => is_of(*given),
        FunctionResult::Row { columns, .. } | FunctionResult::Rows { columns, .. } => {
            columns.iter().any(|column| is_of(column.data_type))
        }
    };
    gives || function.types().any(is_of)
}
