//! How types go, and what is of them.
//!
//! Columns, views that show such values, and functions that take or give them go along with a type
//! (`DROP TYPE .. CASCADE`), or else keep it (2BP01).

use super::Binder;
use super::dependents::{Dependents, described, views_using};
use crate::error::Result;
use crate::function::element_of;
use crate::plan::Statement;
use crate::plan::logical::LogicalStatement;
use crate::plan::structure::Step;
use remora_storage::catalog::{FunctionDef, FunctionResult, TableEntry, TypeDef};
use remora_storage::{DataType, TableId, TypeId};
use sqlparser::ast;
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
                    domain.over == Some(def.id) || domain.base.made() == Some(def.id)
                }) {
                    let (one, on) = (self.shown_type(other), self.shown_type(&def));
                    found.lines.push(format!("type {one} depends on type {on}"));
                    going.push(Arc::clone(other));
                }
            }
            next += 1;
        }
        let mut tables: Vec<(Arc<TableEntry>, Vec<String>)> = Vec::new();
        for def in &going {
            let on = format!("type {}", self.shown_type(def));
            let is_of = |data_type: DataType| data_type.made() == Some(def.id);
            let stays = |entry: &&Arc<TableEntry>| !except.contains(&entry.def.id);
            for entry in catalog.tables().filter(stays) {
                let columns = entry.def.columns.iter();
                let columns = columns
                    .filter(|column| is_of(column.data_type) || column.domain == Some(def.id));
                let table = self.shown_name((entry.def.schema, entry.def.name.as_str()));
                let mut names = Vec::new();
                for column in columns {
                    let name = &column.name;
                    let array = if element_of(column.data_type).is_some() {
                        "[]"
                    } else {
                        ""
                    };
                    let what = format!("column {name} of table {table}");
                    found.lines.push(format!("{what} depends on {on}{array}"));
                    for view in views_using(self, entry.def.id, column.id) {
                        if !found.has_view(view.0) && !except.contains(&view.0) {
                            found.add_view(view, &what);
                        }
                    }
                    names.push(name.clone());
                }
                let known = tables
                    .iter_mut()
                    .find(|(table, _)| table.def.id == entry.def.id);
                match known {
                    Some((_, known)) => known.append(&mut names),
                    None if names.is_empty() => {}
                    None => tables.push((Arc::clone(entry), names)),
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
        let what = match &going[..asked] {
            [def] => format!("type {}", self.shown_type(def)),
            _ => String::new(),
        };
        let mut first = found.close(self, except).settle(catalog, cascade, &what)?;
        let mut altered = Vec::with_capacity(tables.len());
        for (entry, names) in tables {
            let mut table = self.altered_entry(entry);
            for name in names {
                let ident = ast::Ident::with_quote('"', name);
                self.drop_column(&mut table, &ident, true, true)?;
            }
            // What goes first goes once.
            for step in std::mem::take(&mut table.before) {
                if !first.contains(&step) {
                    first.push(step);
                }
            }
            altered.push(self.finish_alter(table)?);
        }
        let structure = |steps| LogicalStatement::Done(Statement::Structure(steps));
        let mut all = vec![structure(first)];
        all.append(&mut altered);
        let domains = going[asked..]
            .iter()
            .rev()
            .map(|def| Step::DropType(def.id));
        all.push(structure(domains.collect()));
        Ok(all)
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
