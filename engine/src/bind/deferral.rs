//! DEFERRABLE and INITIALLY DEFERRED: when a constraint is checked; and SET CONSTRAINTS.

use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{self, refuse};
use crate::plan::Statement;
use crate::plan::statement::SetConstraints;
use remora_storage::TableId;
use remora_storage::catalog::{Deferral, TableEntry};
use sqlparser::ast;

/// What is said of a constraint that can be deferred.
///
/// # Errors
/// 42601 where it contradicts itself.
pub(super) fn deferral(
    said: Option<&ast::ConstraintCharacteristics>,
    at: Option<Position>,
) -> Result<Deferral> {
    let Some(said) = said else {
        return Ok(Deferral::Never);
    };
    if said.enforced == Some(false) {
        return refuse("a constraint that is NOT ENFORCED", at);
    }
    let deferred = said.initially == Some(ast::DeferrableInitial::Deferred);
    match (said.deferrable, deferred) {
        (Some(false), true) => {
            let message = "constraint declared INITIALLY DEFERRED must be DEFERRABLE";
            Err(Error::new(state::SYNTAX_ERROR, message).at(at))
        }
        (_, true) => Ok(Deferral::Deferred),
        (Some(true), false) => Ok(Deferral::Immediate),
        (Some(false) | None, false) => Ok(Deferral::Never),
    }
}

/// The constraints of a table that could be deferred, by name, and whether they can.
fn constraints(table: &TableEntry) -> impl Iterator<Item = (&str, bool)> {
    let keys = table.def.foreign_keys.iter();
    let keys = keys.map(|key| (key.name.as_str(), key.deferral != Deferral::Never));
    let indexes = table.indexes.iter().map(|index| &index.def);
    let indexes = indexes.filter(|index| index.constraint.is_some());
    let indexes = indexes.map(|index| (index.name.as_str(), index.deferral != Deferral::Never));
    let checks = table.def.checks.iter();
    let checks = checks.map(|check| (check.name.as_str(), false));
    keys.chain(indexes).chain(checks)
}

impl Binder<'_> {
    /// Binds a SET CONSTRAINTS.
    pub(super) fn set_constraints(&self, syntax: &parse::SetConstraints) -> Result<Statement> {
        let named = match &syntax.names {
            None => None,
            Some(names) => {
                let found = names.iter().map(|name| self.deferrable(name));
                let found = found.collect::<Result<Vec<_>>>()?;
                Some(found.into_iter().flatten().collect())
            }
        };
        Ok(Statement::SetConstraints(SetConstraints {
            named,
            deferred: syntax.deferred,
        }))
    }

    /// The constraints of a name: those of the first schema that has some.
    fn deferrable(&self, written: &ast::ObjectName) -> Result<Vec<(TableId, String)>> {
        let at = name::object_place(written);
        let located = self.relation(written)?;
        let wanted = located.name();
        let is_said = located.written.schema.is_some();
        let schemas: Vec<_> = match is_said {
            true => vec![located.schema],
            false => self.path.schemas(self.catalog).collect(),
        };
        let in_schema = |schema| -> Vec<(TableId, bool)> {
            let tables = self.catalog.tables();
            let tables = tables.filter(|table| table.def.schema == schema);
            let found = tables.flat_map(|table| {
                let named = constraints(table).filter(|(name, _)| *name == wanted);
                named.map(|(_, can)| (table.def.id, can))
            });
            found.collect()
        };
        let mut found = schemas.into_iter().map(in_schema);
        let Some(found) = found.find(|found| !found.is_empty()) else {
            let message = format!("constraint \"{wanted}\" does not exist");
            return Err(Error::new(state::UNDEFINED_OBJECT, message).at(at));
        };
        if found.iter().any(|(_, can)| !can) {
            let message = format!("constraint \"{wanted}\" is not deferrable");
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        let found = found.into_iter();
        Ok(found.map(|(table, _)| (table, wanted.to_owned())).collect())
    }
}
