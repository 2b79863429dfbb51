//! Composite types: their fields, and what ALTER TYPE does to them.
//!
//! A value of a composite type has its fields in it, so that rows that have such a column are written anew where
//! fields come, go or get another type. Where a value stands within another one, or in an array, that is refused.

use super::record::part;
use super::{Binder, Bound, name};
use crate::error::{Error, Result, state};
use crate::function::record::RECORD_OF;
use crate::parse::{Attribute, place};
use crate::plan::logical::LogicalStatement;
use crate::plan::structure::Step;
use crate::plan::{Expr, ExprKind, Statement};
use remora_storage::catalog::{TableEntry, TypeDef, TypeKind};
use remora_storage::value::{PackedType, RECORD_FIELDS_MAX, RecordField};
use remora_storage::{DataType, Value};
use sqlparser::ast::{self, UserDefinedTypeCompositeAttributeDef};
use std::sync::Arc;

/// Of what a field of the altered type is made.
#[derive(Clone, Copy)]
enum Source {
    /// Of the one that was at this place.
    Before(usize),
    /// It is new, and NULL.
    Nothing,
}

impl<'a> Binder<'a> {
    /// The fields that CREATE TYPE says.
    pub(super) fn attributes(
        &self,
        attributes: &[UserDefinedTypeCompositeAttributeDef],
    ) -> Result<Vec<RecordField>> {
        if attributes.len() > RECORD_FIELDS_MAX {
            let message = format!("a type can have at most {RECORD_FIELDS_MAX} attributes");
            return Err(Error::new(state::TOO_MANY_COLUMNS, message));
        }
        let mut fields: Vec<RecordField> = Vec::with_capacity(attributes.len());
        for attribute in attributes {
            let field = self.attribute(&attribute.name, &attribute.data_type)?;
            if fields.iter().any(|known| known.name == field.name) {
                let message = format!("column \"{}\" specified more than once", field.name);
                let at = place(attribute.name.span);
                return Err(Error::new(state::DUPLICATE_COLUMN, message).at(at));
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn attribute(&self, ident: &ast::Ident, syntax: &ast::DataType) -> Result<RecordField> {
        let (name, at) = (name::fold(ident)?, place(ident.span));
        if self.domain_of(syntax)?.is_some() {
            return Err(Error::unsupported("an attribute of a domain").at(at));
        }
        let data_type = self.data_type(syntax, at)?;
        Ok(RecordField { name, data_type })
    }

    /// Binds ALTER TYPE of a composite type.
    pub(super) fn alter_attributes(
        &mut self,
        def: &Arc<TypeDef>,
        actions: &[Attribute],
    ) -> Result<LogicalStatement> {
        let Some(before) = def.fields() else {
            let message = format!("\"{}\" is not a composite type", def.name);
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message));
        };
        let sources = (0..before.len()).map(Source::Before);
        let mut fields: Vec<(RecordField, Source)> = before.iter().cloned().zip(sources).collect();
        for action in actions {
            self.alter_attribute(def, action, &mut fields)?;
        }
        let is_same = |(at, (field, source)): (usize, &(RecordField, Source))| {
            let type_before = before.get(at).map(|field| field.data_type);
            matches!(source, Source::Before(place) if *place == at)
                && type_before == Some(field.data_type)
        };
        let is_kept = fields.len() == before.len() && fields.iter().enumerate().all(is_same);
        let (fields, sources): (Vec<RecordField>, Vec<Source>) = fields.into_iter().unzip();
        let mut altered = TypeDef::clone(def);
        altered.kind = TypeKind::Composite(fields.clone());
        let mut all = vec![LogicalStatement::Done(Statement::Structure(vec![
            Step::AlterType(altered),
        ]))];
        if !is_kept {
            self.refuse_within(def)?;
            self.remake_rows(def, &fields, &sources, &mut all)?;
        }
        Ok(LogicalStatement::Each(all))
    }

    fn alter_attribute(
        &self,
        def: &TypeDef,
        action: &Attribute,
        fields: &mut Vec<(RecordField, Source)>,
    ) -> Result<()> {
        let find = |fields: &[(RecordField, Source)], ident: &ast::Ident| {
            let name = name::fold(ident)?;
            let found = fields.iter().position(|(field, _)| field.name == name);
            Ok::<_, Error>((name, found))
        };
        let missing = |ident: &ast::Ident, name: &str| {
            let message = format!(
                "column \"{name}\" of relation \"{}\" does not exist",
                def.name
            );
            Error::new(state::UNDEFINED_COLUMN, message).at(place(ident.span))
        };
        let taken = |ident: &ast::Ident, name: &str| {
            let message = format!(
                "column \"{name}\" of relation \"{}\" already exists",
                def.name
            );
            Error::new(state::DUPLICATE_COLUMN, message).at(place(ident.span))
        };
        match action {
            Attribute::Add(ident, syntax) => {
                let (name, found) = find(fields, ident)?;
                if found.is_some() {
                    return Err(taken(ident, &name));
                }
                let field = self.attribute(ident, syntax)?;
                if field.data_type.made() == Some(def.id) {
                    let message = format!(
                        "composite type {} cannot be made a member of itself",
                        def.name
                    );
                    return Err(Error::new(state::INVALID_TABLE_DEFINITION, message));
                }
                fields.push((field, Source::Nothing));
            }
            Attribute::Drop(ident, if_exists) => match find(fields, ident)? {
                (_, Some(at)) => drop(fields.remove(at)),
                (_, None) if *if_exists => {}
                (name, None) => return Err(missing(ident, &name)),
            },
            Attribute::Type(ident, syntax) => {
                let (name, found) = find(fields, ident)?;
                let at = found.ok_or_else(|| missing(ident, &name))?;
                fields[at].0 = self.attribute(ident, syntax)?;
            }
            Attribute::Rename(from, to) => {
                let (name, found) = find(fields, from)?;
                let at = found.ok_or_else(|| missing(from, &name))?;
                let (new, other) = find(fields, to)?;
                if other.is_some() {
                    return Err(taken(to, &new));
                }
                fields[at].0.name = new;
            }
        }
        Ok(())
    }

    /// Refuses to alter what is within other values.
    fn refuse_within(&self, def: &TypeDef) -> Result<()> {
        let refused = |what: String| {
            let message = format!("cannot alter type \"{}\" because {what} uses it", def.name);
            Err(Error::new(state::FEATURE_NOT_SUPPORTED, message))
        };
        let is_within = |data_type: DataType| {
            data_type.made() == Some(def.id)
                && data_type != DataType::Packed(PackedType::Composite(def.id))
        };
        for other in self.catalog.types() {
            let mut fields = other.fields().unwrap_or_default().iter();
            if fields.any(|field| field.data_type.made() == Some(def.id)) {
                return refused(format!("type \"{}\"", other.name));
            }
        }
        for entry in self.catalog.tables() {
            let mut columns = entry.def.columns.iter();
            if let Some(column) = columns.find(|column| is_within(column.data_type)) {
                return refused(format!("column \"{}.{}\"", entry.def.name, column.name));
            }
        }
        Ok(())
    }

    /// Writes the rows anew that have values of the type.
    fn remake_rows(
        &mut self,
        def: &TypeDef,
        fields: &[RecordField],
        sources: &[Source],
        all: &mut Vec<LogicalStatement>,
    ) -> Result<()> {
        let tables: Vec<Arc<TableEntry>> = self.catalog.tables().cloned().collect();
        for entry in tables {
            let columns = entry.def.columns.iter().enumerate();
            let made = columns.filter(|(_, column)| column.data_type.made() == Some(def.id));
            let positions: Vec<usize> = made.map(|(position, _)| position).collect();
            if positions.is_empty() {
                continue;
            }
            let mut altered = self.altered_entry(entry);
            for position in positions {
                let value = altered.values[position].clone();
                altered.values[position] = self.remade(value, def, fields, sources)?;
            }
            all.push(self.finish_alter(altered)?);
        }
        Ok(())
    }

    /// A value of the type as it was, as one of what it becomes.
    fn remade(
        &mut self,
        value: Expr,
        def: &TypeDef,
        fields: &[RecordField],
        sources: &[Source],
    ) -> Result<Expr> {
        let before = def.fields().unwrap_or_default();
        let mut parts = Vec::with_capacity(fields.len());
        for (field, source) in fields.iter().zip(sources) {
            let part = match *source {
                Source::Before(at) => part(value.clone(), at, &before[at]),
                Source::Nothing => Expr::literal(Value::Null, field.data_type),
            };
            let part = self.cast_explicitly(Bound::Typed(part), field.data_type, None)?;
            parts.push(Bound::Typed(part));
        }
        let data_type = value.data_type;
        let is_null = super::expr::is_null(value);
        let record = match parts.is_empty() {
            true => self.record_of(Vec::new(), None)?,
            false => {
                let record = self.call(RECORD_OF, parts, None)?;
                self.settle(record)?
            }
        };
        Ok(Expr {
            kind: ExprKind::Case {
                branches: vec![(is_null, Expr::literal(Value::Null, data_type))],
                // Its fields are those of the type by now.
                otherwise: Some(Box::new(Expr {
                    data_type,
                    ..record
                })),
            },
            data_type,
        })
    }
}
