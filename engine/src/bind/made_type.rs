//! Types that somebody makes: CREATE, ALTER and DROP TYPE.
//!
//! Types are looked for where relations are, behind those of the system. A new value of an enumeration is given a
//! place between its neighbours', so that values in rows stay as they are; a value that gets another name is
//! written anew wherever columns have it.

use super::data_type::type_of;
use super::mention::Mention;
use super::{Binder, PUBLIC_PATH, name};
use crate::error::{Error, Position, Result, state};
use crate::function::{INFORMATION_SCHEMA, Located, NOWHERE, PG_CATALOG, made_value};
use crate::parse::{AlterType, Label, Replaced, Side, TypeSyntax, place, refuse};
use crate::plan::logical::LogicalStatement;
use crate::plan::structure::{Step, Tests};
use crate::plan::{Expr, Statement};
use remora_storage::catalog::{EnumLabel, TableEntry, TypeDef, TypeKind};
use remora_storage::{SchemaId, TypeId};
use sqlparser::ast::{self, ObjectName, UserDefinedTypeRepresentation};
use std::sync::Arc;

/// Room between two values of an enumeration, as long as there is enough for all of them.
const ROOM: u32 = 1 << 16;
/// Bytes of a value's name, as in PostgreSQL.
const LABEL_BYTES_MAX: usize = 63;

impl<'a> Binder<'a> {
    /// The type of a name that somebody made, unless the system has one of that name.
    pub(super) fn made_type(&self, name: &ObjectName) -> Result<Option<Arc<TypeDef>>> {
        let found = self.find_type(name)?;
        if let Some(def) = &found {
            self.note(Mention::Type(def.id), name::object_place(name));
        }
        Ok(found)
    }

    fn find_type(&self, name: &ObjectName) -> Result<Option<Arc<TypeDef>>> {
        let catalog = self.catalog;
        if !catalog.has_types() {
            return Ok(None);
        }
        let written = name::relation(name)?;
        let named = |schema, name: &str| catalog.type_named((schema, name)).cloned();
        if let Some(schema) = &written.schema {
            let schema = self.path.schema(catalog, schema);
            return Ok(schema.and_then(|schema| named(schema, &written.name)));
        }
        if super::data_type::named(&written.name).is_some() {
            return Ok(None);
        }
        let mut schemas = self.path.schemas(catalog);
        let found = schemas.find_map(|schema| named(schema, &written.name));
        if found.is_some() || !std::ptr::eq(self.path, &*PUBLIC_PATH) {
            return Ok(found);
        }
        // A text of the catalog does not say the schemas of types: the only one of the name is meant.
        let mut all = catalog.types().filter(|def| def.name == written.name);
        let only = all.next().filter(|_| all.next().is_none());
        Ok(only.cloned())
    }

    /// The complaint that there is no type of a name.
    pub(super) fn no_type(&self, name: &ObjectName) -> Error {
        let message = format!("type \"{}\" does not exist", written(name));
        Error::new(state::UNDEFINED_OBJECT, message).at(name::object_place(name))
    }

    pub(super) fn type_there(&self, name: &ObjectName) -> Result<Arc<TypeDef>> {
        self.made_type(name)?.ok_or_else(|| self.no_type(name))
    }

    /// Where a new type comes.
    pub(super) fn new_type(&self, name: &ObjectName) -> Result<Located> {
        let at = name::object_place(name);
        let located = self.new_relation(name, false)?;
        if located.schema.is_temporary() {
            return refuse("a temporary type", at);
        }
        let name = located.name();
        self.refuse_taken_type((located.schema, name), at)?;
        Ok(located)
    }

    /// Complains about a name that a type has, or a relation, whose rows are of a type of its name.
    pub(super) fn refuse_taken_type(
        &self,
        (schema, name): (SchemaId, &str),
        at: Option<Position>,
    ) -> Result<()> {
        let place = (schema, name);
        let has_rows = self.catalog.table(place).is_some() || self.catalog.view(place).is_some();
        if has_rows || self.catalog.type_named(place).is_some() {
            return Err(sql_error!(DUPLICATE_OBJECT, "type \"{name}\" already exists").at(at));
        }
        Ok(())
    }

    /// Binds a CREATE TYPE.
    pub(super) fn create_type(
        &self,
        name: &ObjectName,
        representation: Option<&UserDefinedTypeRepresentation>,
    ) -> Result<Statement> {
        use UserDefinedTypeRepresentation as R;
        let at = name::object_place(name);
        let located = self.new_type(name)?;
        let kind = match representation {
            Some(R::Enum { labels }) => TypeKind::Enum(labels_of(labels)?),
            Some(R::Range { options }) => return self.create_range_type(located, options, at),
            Some(R::Composite { attributes }) => TypeKind::Composite(self.attributes(attributes)?),
            _ => return refuse("this kind of type", at),
        };
        let def = TypeDef {
            id: TypeId::default(),
            name: located.written.name,
            schema: located.schema,
            kind,
        };
        Ok(Statement::Structure(vec![Step::CreateType(def)]))
    }

    /// Binds a statement about types that the grammar's crate does not know.
    pub(super) fn type_statement(
        &mut self,
        syntax: &'a TypeSyntax,
    ) -> Result<(LogicalStatement, &'static str)> {
        match syntax {
            TypeSyntax::Alter(name, action) => {
                let def = self.type_there(name)?;
                Ok((self.alter_made_type(&def, action)?, "ALTER TYPE"))
            }
            TypeSyntax::CreateDomain(create) => {
                let statement = self.create_domain(create)?;
                Ok((LogicalStatement::Done(statement), "CREATE DOMAIN"))
            }
            TypeSyntax::AlterDomain(name, action) => {
                let def = self.domain_there(name)?;
                Ok((self.alter_domain(&def, action)?, "ALTER DOMAIN"))
            }
            TypeSyntax::DropDomain {
                names,
                if_exists,
                cascade,
            } => {
                let mut going = Vec::new();
                for name in names {
                    match self.made_type(name)? {
                        None if *if_exists => {}
                        _ => going.push(self.domain_there(name)?),
                    }
                }
                Ok((self.without_types(&going, *cascade)?, "DROP DOMAIN"))
            }
        }
    }

    pub(super) fn alter_made_type(
        &mut self,
        def: &Arc<TypeDef>,
        action: &'a AlterType,
    ) -> Result<LogicalStatement> {
        let mut altered = TypeDef::clone(def);
        match action {
            AlterType::AddValue {
                label,
                if_not_exists,
                neighbour,
            } => {
                let labels = enumerated(&mut altered)?;
                check_label(label)?;
                if labels.iter().any(|known| known.label == label.text) {
                    if *if_not_exists {
                        return Ok(done(Vec::new()));
                    }
                    return Err(label_exists(label));
                }
                add_label(labels, label, neighbour.as_ref())?;
            }
            AlterType::RenameValue(from, to) => {
                let labels = enumerated(&mut altered)?;
                let at = position(labels, from)?;
                check_label(to)?;
                if labels.iter().any(|known| known.label == to.text) {
                    return Err(label_exists(to));
                }
                let old = std::mem::replace(&mut labels[at].label, to.text.clone());
                let old = EnumLabel {
                    label: old,
                    place: labels[at].place,
                };
                let new = labels[at].clone();
                return self.rename_value(altered, &old, &new);
            }
            AlterType::Rename(new) => {
                altered.name = name::fold(new)?;
                self.refuse_taken_type((def.schema, &altered.name), place(new.span))?;
            }
            AlterType::SetSchema(schema) => {
                let (to, at) = (name::fold(schema)?, place(schema.span));
                let found = self.path.schema(self.catalog, &to);
                let found = found.ok_or_else(|| super::relation::missing_schema(&to).at(at))?;
                if matches!(found, PG_CATALOG | INFORMATION_SCHEMA | NOWHERE)
                    || found.is_temporary()
                {
                    return refuse("this schema for a type", at);
                }
                if found != def.schema {
                    self.refuse_taken_type((found, &def.name), at)?;
                }
                altered.schema = found;
            }
            AlterType::Attributes(actions) => return self.alter_attributes(def, actions),
            AlterType::Owner => return Ok(done(Vec::new())),
        }
        let mut steps = self.type_renamed(&altered)?;
        steps.insert(0, Step::AlterType(altered));
        Ok(done(steps))
    }

    /// How the texts that name a type are written anew, if it is to be called otherwise.
    fn type_renamed(&self, altered: &TypeDef) -> Result<Vec<Step>> {
        let there = |old: &TypeDef| (old.schema, &old.name) == (altered.schema, &altered.name);
        if self
            .catalog
            .type_by_id(altered.id)
            .is_none_or(|old| there(old))
        {
            return Ok(Vec::new());
        }
        let mut name = super::rename::written(&altered.name).to_string();
        if altered.schema != SchemaId::PUBLIC {
            let schema = crate::function::schema_name(self.catalog, altered.schema);
            name = format!("{}.{name}", super::rename::written(&schema));
        }
        self.renamed_texts(&|mention| {
            let is_it = *mention == Mention::Type(altered.id);
            Ok(is_it.then(|| Replaced::Name(name.clone())))
        })
    }

    /// The same for a value of an enumeration.
    fn label_renamed(&self, id: TypeId, (old, new): (&EnumLabel, &EnumLabel)) -> Result<Vec<Step>> {
        let wanted = Mention::Label(id, old.label.clone());
        self.renamed_texts(&|mention| match mention {
            mention if *mention == wanted => Ok(Some(Replaced::Literal(
                old.label.clone(),
                new.label.clone(),
            ))),
            Mention::Label(of, text) if *of == id && text.starts_with('{') => {
                let with = |c: &str| c.trim().trim_matches('"') == old.label;
                match text.trim_matches(['{', '}']).split(',').any(with) {
                    true => refuse(
                        &format!("a new name for a value in the array '{text}'"),
                        None,
                    ),
                    false => Ok(None),
                }
            }
            _ => Ok(None),
        })
    }

    /// The rows that have a value are written anew where it gets another name: that is in them.
    fn rename_value(
        &mut self,
        def: TypeDef,
        old: &EnumLabel,
        new: &EnumLabel,
    ) -> Result<LogicalStatement> {
        let data_type = type_of(&def);
        let literal = |label: &EnumLabel| Expr::literal(made_value(def.id, label), data_type);
        let texts = self.label_renamed(def.id, (old, new))?;
        let (old, new) = (literal(old), literal(new));
        let tables: Vec<Arc<TableEntry>> = self.catalog.tables().cloned().collect();
        let id = def.id;
        let mut all = vec![done(vec![Step::AlterType(def)])];
        for entry in tables {
            let columns = entry.def.columns.iter().enumerate();
            let made = columns.filter(|(_, column)| column.data_type.made() == Some(id));
            let positions: Vec<usize> = made.map(|(position, _)| position).collect();
            if positions.is_empty() {
                continue;
            }
            let mut altered = self.altered_entry(entry);
            for position in positions {
                let value = altered.values[position].clone();
                let function = match value.data_type == data_type {
                    true => "enum_renamed",
                    false => "array_replace",
                };
                let arguments = [value, old.clone(), new.clone()].map(super::Bound::Typed);
                let renamed = self.call(function, arguments.into(), None)?;
                altered.values[position] = self.settle(renamed)?;
            }
            // The texts that follow are those of the table with all its columns.
            altered.keeps_hidden = true;
            let mut alter = self.finish_alter(altered)?;
            if let LogicalStatement::AlterTable(alter, _) = &mut alter {
                // They say of the old name what they will say of the new one.
                alter.tests = Tests::default();
            }
            all.push(alter);
        }
        all.push(done(texts));
        Ok(LogicalStatement::Each(all))
    }

    /// Binds a DROP TYPE.
    pub(super) fn drop_types(&mut self, syntax: &ast::Statement) -> Result<LogicalStatement> {
        let ast::Statement::Drop {
            names, if_exists, ..
        } = syntax
        else {
            return refuse("this statement", None);
        };
        let mut going: Vec<Arc<TypeDef>> = Vec::new();
        for name in names {
            match self.made_type(name)? {
                Some(def) if going.iter().any(|other| other.id == def.id) => {}
                Some(def) => going.push(self.range_first(def)?),
                None if *if_exists => {}
                None => return Err(self.no_type(name)),
            }
        }
        self.without_types(&going, super::table::is_cascade(syntax))
    }
}

fn done(steps: Vec<Step>) -> LogicalStatement {
    LogicalStatement::Done(Statement::Structure(steps))
}

/// A name as it was written.
fn written(name: &ObjectName) -> String {
    match name::relation(name) {
        Ok(name) => match name.schema {
            Some(schema) => format!("{schema}.{}", name.name),
            None => name.name,
        },
        Err(_) => name.to_string(),
    }
}

fn labels_of(idents: &[ast::Ident]) -> Result<Vec<EnumLabel>> {
    let most = u32::try_from(idents.len()).unwrap_or(u32::MAX);
    let room = (u32::MAX / most.saturating_add(1)).min(ROOM);
    let mut labels: Vec<EnumLabel> = Vec::with_capacity(idents.len());
    let mut known = std::collections::HashSet::with_capacity(idents.len());
    for (number, ident) in (1..).zip(idents) {
        if ident.quote_style != Some('\'') {
            return Err(name::syntax_error(&ident.value, place(ident.span)));
        }
        let label = Label {
            text: ident.value.clone(),
            span: ident.span,
        };
        check_label(&label)?;
        if !known.insert(&ident.value) {
            let message =
                "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"";
            return Err(Error::new(state::UNIQUE_VIOLATION, message).at(place(ident.span)));
        }
        labels.push(EnumLabel {
            label: label.text,
            place: room.saturating_mul(number),
        });
    }
    Ok(labels)
}

fn check_label(label: &Label) -> Result<()> {
    if label.text.len() <= LABEL_BYTES_MAX && !label.text.contains('\0') {
        return Ok(());
    }
    let message = format!("invalid enum label \"{}\"", label.text);
    Err(Error::new(state::INVALID_NAME, message)
        .with_detail(format!("Labels must be {LABEL_BYTES_MAX} bytes or less."))
        .at(place(label.span)))
}

fn label_exists(label: &Label) -> Error {
    let message = format!("enum label \"{}\" already exists", label.text);
    Error::new(state::DUPLICATE_OBJECT, message).at(place(label.span))
}

fn enumerated(def: &mut TypeDef) -> Result<&mut Vec<EnumLabel>> {
    let TypeKind::Enum(labels) = &mut def.kind else {
        return Err(sql_error!(WRONG_OBJECT_TYPE, "{} is not an enum", def.name));
    };
    Ok(labels)
}

fn position(labels: &[EnumLabel], label: &Label) -> Result<usize> {
    let found = labels.iter().position(|known| known.label == label.text);
    found.ok_or_else(|| {
        let message = format!("\"{}\" is not an existing enum label", label.text);
        Error::new(state::INVALID_PARAMETER_VALUE, message).at(place(label.span))
    })
}

/// Puts a value between others, or behind them all.
fn add_label(
    labels: &mut Vec<EnumLabel>,
    label: &Label,
    neighbour: Option<&(Side, Label)>,
) -> Result<()> {
    let at = match neighbour {
        None => labels.len(),
        Some((Side::Before, other)) => position(labels, other)?,
        Some((Side::After, other)) => position(labels, other)? + 1,
    };
    let before = at.checked_sub(1).map_or(0, |before| labels[before].place);
    let after = labels.get(at).map(|after| after.place);
    let place = match after {
        Some(after) => before + (after - before) / 2,
        None => before.saturating_add(ROOM),
    };
    if place <= before || after.is_some_and(|after| place >= after) {
        let message = format!("there is no room for enum label \"{}\" there", label.text);
        return Err(Error::new(state::PROGRAM_LIMIT_EXCEEDED, message)
            .with_hint("Make another type with all values, and change the columns to it."));
    }
    labels.insert(
        at,
        EnumLabel {
            label: label.text.clone(),
            place,
        },
    );
    Ok(())
}
