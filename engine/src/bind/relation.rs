//! Relations by name: which one is meant, and where a new one comes.

use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::function::host_table::HostTable;
use crate::function::{INFORMATION_SCHEMA, Located, NOWHERE, PG_CATALOG, SearchPath};
use crate::system::SystemTable;
use crate::system::SystemView;
use remora_storage::SchemaId;
use remora_storage::catalog::NameIn;
use sqlparser::ast::ObjectName;
use std::sync::{Arc, LazyLock};

/// Where the names in the system's own views are looked for.
pub(super) static CATALOG_PATH: LazyLock<SearchPath> =
    LazyLock::new(|| SearchPath::default().along("pg_catalog"));

impl Binder<'_> {
    /// The relation that a name means, or would mean if it were there.
    pub(super) fn relation(&self, name: &ObjectName) -> Result<Located> {
        let located = self.path.locate(self.catalog, name::relation(name)?);
        let mut resolved = self.resolved.borrow_mut();
        resolved.take_if(|resolved| !resolved.add(self.catalog, &located));
        Ok(located)
    }

    /// The same where it has to be there: a schema that is not is a complaint of its own.
    pub(super) fn relation_there(&self, name: &ObjectName) -> Result<Located> {
        let located = self.relation(name)?;
        match located.schema {
            NOWHERE => Err(no_schema(&located, name::object_place(name))),
            _ => Ok(located),
        }
    }

    /// Where a new relation comes.
    ///
    /// # Errors
    /// 3F000 where there is no such schema, 42P16 where it is not of the right kind, 42501.
    pub(super) fn new_relation(&self, name: &ObjectName, temporary: bool) -> Result<Located> {
        let at = name::object_place(name);
        let written = name::relation(name)?;
        let own = self.path.temporary();
        let schema = match &written.schema {
            Some(schema) => self.path.schema(self.catalog, schema),
            None if temporary => own,
            None => self.path.target(self.catalog),
        };
        let located = Located {
            schema: schema.unwrap_or(NOWHERE),
            written,
        };
        match located.schema {
            NOWHERE => Err(no_schema(&located, at)),
            schema if temporary && !schema.is_temporary() => {
                let message = "cannot create temporary relation in non-temporary schema";
                Err(Error::new(state::INVALID_TABLE_DEFINITION, message).at(at))
            }
            PG_CATALOG | INFORMATION_SCHEMA => {
                let message = format!("permission denied to create \"{located}\"");
                Err(Error::new(state::INSUFFICIENT_PRIVILEGE, message)
                    .with_detail("System catalog modifications are currently disallowed.")
                    .at(at))
            }
            _ if self.catalog.type_named(&located).is_some() => {
                let message = format!("type \"{}\" already exists", located.name());
                Err(Error::new(state::DUPLICATE_OBJECT, message)
                    .with_hint(
                        "A relation has an associated type of the same name, so you must use a name \
                         that doesn't conflict with any existing type.",
                    )
                    .at(at))
            }
            _ => Ok(located),
        }
    }

    /// The system table that a name means which no other relation has.
    pub(super) fn system_table(&self, located: &Located) -> Option<SystemTable> {
        let table = SystemTable::named(located.name())?;
        let is_meant = located.written.schema.is_none() || located.schema == PG_CATALOG;
        is_meant.then_some(table)
    }

    /// The virtual table of the host that a name means which no other relation has.
    pub(super) fn host_table(&self, located: &Located) -> Option<Arc<HostTable>> {
        let is_meant = located.written.schema.is_none();
        let table = self.path.host().table(located.name());
        table.filter(|_| is_meant).cloned()
    }

    /// The system's view that a name means which no other relation has.
    pub(super) fn system_view(&self, located: &Located) -> Option<&'static SystemView> {
        let schema = match (located.schema, &located.written.schema) {
            (PG_CATALOG, _) | (_, None) => "pg_catalog",
            (INFORMATION_SCHEMA, _) => "information_schema",
            _ => return None,
        };
        SystemView::named(schema, located.name())
    }

    /// Whether a relation of the name exists.
    pub(super) fn relation_exists(&self, located: &Located) -> bool {
        self.catalog.has_name(located)
            || self.host_table(located).is_some()
            || self.system_table(located).is_some()
            || self.system_view(located).is_some()
    }

    /// What a relation is called in complaints: with its schema, where it is not found without.
    pub(super) fn shown_name<'n>(&self, place: impl Into<NameIn<'n>>) -> String {
        self.path.shown(self.catalog, place.into()).to_string()
    }

    /// Complains about a name that is taken.
    pub(super) fn refuse_taken(
        &self,
        schema: SchemaId,
        name: &str,
        at: Option<Position>,
    ) -> Result<()> {
        let is_taken = self.catalog.has_name((schema, name)) || SystemTable::named(name).is_some();
        match is_taken {
            true => Err(already_exists(name).at(at)),
            false => Ok(()),
        }
    }
}

pub(super) fn already_exists(name: &str) -> Error {
    sql_error!(DUPLICATE_TABLE, "relation \"{name}\" already exists")
}

fn no_schema(located: &Located, at: Option<Position>) -> Error {
    match &located.written.schema {
        Some(schema) => missing_schema(schema).at(at),
        None => {
            let message = "no schema has been selected to create in";
            Error::new(state::INVALID_SCHEMA_NAME, message).at(at)
        }
    }
}

pub(super) fn missing_schema(schema: &str) -> Error {
    sql_error!(INVALID_SCHEMA_NAME, "schema \"{schema}\" does not exist")
}
