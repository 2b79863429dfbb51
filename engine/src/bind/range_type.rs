//! Types of ranges that somebody makes: CREATE TYPE .. AS RANGE, and the functions of their names.
//!
//! With a type of ranges comes that of their multiranges, which goes with it. Values compare as those of the subtype
//! do everywhere: there is one operator class and one collation. The difference function, which PostgreSQL asks for
//! the sake of its indexes, is looked for and forgotten.
//!
//! A type's constructors (`textrange('a', 'b')`) are calls of functions that take any ranges, told the type by their
//! first argument.

use super::data_type::{internal_name, type_of};

use super::{Binder, Bound, Unknown, coerce::plain, collation, name};
use crate::error::{Error, Position, Result, state};
use crate::function::cast::{CastContext, cast_context};
use crate::function::{self, ArgumentType, Located};
use crate::parse::refuse;
use crate::plan::structure::Step;
use crate::plan::{Expr, Statement};
use remora_storage::catalog::{TypeDef, TypeKind};
use remora_storage::value::{PackedType, RangeType};
use remora_storage::{DataType, TypeId, Value};
use sqlparser::ast::{self, ObjectName, UserDefinedTypeRangeOption as Attribute};
use std::sync::Arc;

const RANGE_WORD: &str = "range";
const NAME_BYTES_MAX: usize = 63;

impl<'a> Binder<'a> {
    /// Binds a CREATE TYPE .. AS RANGE.
    ///
    /// # Errors
    /// 42601, 42704, 42710, 42804, 42809, 42883, 42P17 as in PostgreSQL; 0A000 for subtypes that somebody made.
    pub(super) fn create_range_type(
        &self,
        located: Located,
        attributes: &[Attribute],
        at: Option<Position>,
    ) -> Result<Statement> {
        let wrong = |message: &str| Error::new(state::SYNTAX_ERROR, message).at(at);
        for (number, one) in attributes.iter().enumerate() {
            let same =
                |other: &Attribute| std::mem::discriminant(one) == std::mem::discriminant(other);
            if attributes[..number].iter().any(same) {
                return Err(wrong("conflicting or redundant options"));
            }
        }
        let subtype = attributes.iter().find_map(|one| match one {
            Attribute::Subtype(of) => Some(of),
            _ => None,
        });
        let subtype = subtype.ok_or_else(|| wrong("type attribute \"subtype\" is required"))?;
        let subtype = self.subtype(subtype, at)?;
        let of = RangeType::new(subtype, Some(TypeId::default()));
        let Some(of) = of else {
            return refuse(&format!("a range of {}", plain(subtype)), at);
        };
        let mut multirange = None;
        for attribute in attributes {
            match attribute {
                Attribute::Subtype(_) => {}
                Attribute::SubtypeOpClass(class) => operator_class(class, subtype)?,
                Attribute::Collation(collation) => {
                    if !subtype.is_string() {
                        let message =
                            "range collation specified but subtype does not support collation";
                        return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
                    }
                    collation::test(collation, subtype)?;
                }
                Attribute::Canonical(_) => {
                    let message =
                        "cannot specify a canonical function without a pre-created shell type";
                    return Err(Error::new(state::INVALID_OBJECT_DEFINITION, message).at(at));
                }
                Attribute::SubtypeDiff(function) => self.difference(function, subtype)?,
                Attribute::MultirangeTypeName(name) => multirange = Some(name),
            }
        }
        let range = TypeDef {
            id: TypeId::default(),
            name: located.written.name.clone(),
            schema: located.schema,
            kind: TypeKind::Range(of),
        };
        let (schema, name) = match multirange {
            Some(name) => self.multirange_name(name)?,
            None => (located.schema, self.free_multirange_name(&located, at)?),
        };
        if (schema, &name) == (range.schema, &range.name) {
            return Err(taken(&name).at(at));
        }
        let multirange = TypeDef {
            id: TypeId::default(),
            name,
            schema,
            kind: TypeKind::Multirange(of),
        };
        Ok(Statement::Structure(vec![Step::CreateRange(
            range, multirange,
        )]))
    }

    fn subtype(&self, syntax: &ast::DataType, at: Option<Position>) -> Result<DataType> {
        if self.domain_of(syntax)?.is_some() {
            return refuse("a range of a domain", at);
        }
        let subtype = self.data_type(syntax, at)?.without_modifier();
        if super::coerce::has_order(subtype) {
            return Ok(subtype);
        }
        let message = format!(
            "data type {} has no default operator class for access method \"btree\"",
            plain(subtype)
        );
        Err(Error::new(state::UNDEFINED_OBJECT, message)
            .with_hint(
                "You must specify an operator class for the range type or define a default operator \
                 class for the subtype.",
            )
            .at(at))
    }

    /// Looks for a difference function: one of two values of the subtype that gives a DOUBLE PRECISION.
    fn difference(&self, function: &ObjectName, subtype: DataType) -> Result<()> {
        let (at, name) = (name::object_place(function), name::function(function)?);
        let types = [Some(subtype), Some(subtype)];
        let own = self.catalog.functions_named(&name).find_map(|function| {
            let mut inputs = function.types();
            let takes = inputs.by_ref().take(2).eq([subtype, subtype]);
            let gives = matches!(
                function.returns,
                remora_storage::catalog::FunctionResult::Value(DataType::Double)
            );
            (takes && gives).then_some(DataType::Double)
        });
        let known = match (name.as_str(), subtype) {
            // What `-` of floats is called.
            ("float8mi", DataType::Double) => Some(DataType::Double),
            _ => own.or_else(|| Some(function::resolve(&name, &types).ok()?.types.returns)),
        };
        match known {
            Some(DataType::Double) => Ok(()),
            None => Err(function::no_such_function(&name, &types).at(at)),
            Some(_) => {
                let subtype = plain(subtype);
                let message = format!(
                    "range subtype diff function {name}({subtype}, {subtype}) must return type double precision"
                );
                Err(Error::new(state::INVALID_OBJECT_DEFINITION, message).at(at))
            }
        }
    }

    fn multirange_name(&self, name: &ObjectName) -> Result<(remora_storage::SchemaId, String)> {
        let written = name::relation(name)?;
        let of_system = |name: &str| {
            let known = match name {
                "int" | "integer" => Some(DataType::Integer),
                other => super::data_type::named(other),
            };
            known.map(internal_name)
        };
        if written.schema.is_none()
            && let Some(system) = of_system(&written.name)
        {
            return Err(taken(system).at(name::object_place(name)));
        }
        let located = self.new_type(name)?;
        Ok((located.schema, located.written.name))
    }

    /// `intrange` gives `intmultirange`, `span` gives `span_multirange`.
    fn free_multirange_name(&self, located: &Located, at: Option<Position>) -> Result<String> {
        let range = &located.written.name;
        let mut name = match range.find(RANGE_WORD) {
            Some(start) => format!("{}multi{}", &range[..start], &range[start..]),
            None => format!("{range}_multirange"),
        };
        while name.len() > NAME_BYTES_MAX {
            name.pop();
        }
        self.refuse_taken_type((located.schema, &name), at)
            .map_err(|error| {
                error
                    .with_detail(format!(
                        "Failed while creating a multirange type for type \"{range}\"."
                    ))
                    .with_hint(
                        "You can manually specify a multirange type name using the \
                         \"multirange_type_name\" attribute.",
                    )
            })?;
        Ok(name)
    }

    /// A type that goes by itself; that of multiranges goes with their ranges only.
    ///
    /// # Errors
    /// 2BP01
    pub(super) fn range_first(&self, def: Arc<TypeDef>) -> Result<Arc<TypeDef>> {
        let TypeKind::Multirange(of) = def.kind else {
            return Ok(def);
        };
        let range = of.made().and_then(|id| self.catalog.type_by_id(id));
        let Some(range) = range else { return Ok(def) };
        let (one, other) = (self.shown_type(&def), self.shown_type(range));
        let message = format!("cannot drop type {one} because type {other} requires it");
        Err(Error::new(state::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .with_hint(format!("You can drop type {other} instead.")))
    }

    /// The type of ranges or multiranges of a name that somebody made.
    pub(super) fn made_ranges(&self, name: &str) -> Option<DataType> {
        let catalog = self.catalog;
        let mut schemas = self.path.schemas(catalog);
        let def = schemas.find_map(|schema| catalog.type_named((schema, name)));
        def.filter(|def| def.ranges().is_some())
            .map(|def| type_of(def))
    }

    /// `textrange('a', 'b')`, `textmultirange(r, s)`
    pub(super) fn range_call(
        &mut self,
        of: DataType,
        name: &str,
        mut arguments: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<Bound> {
        let DataType::Packed(packed) = of else {
            return self.call(name, arguments, at);
        };
        let none = || Bound::Typed(Expr::literal(Value::Null, of));
        match (packed, arguments.len()) {
            (_, 1) if matches!(arguments[0], Bound::Unknown(_)) => {
                let argument = arguments.remove(0);
                Ok(Bound::Typed(self.cast_explicitly(argument, of, at)?))
            }
            (PackedType::Range(range), 2 | 3) => {
                let types: Vec<ArgumentType> = arguments.iter().map(Bound::data_type).collect();
                let wanted = [range.subtype(), range.subtype(), DataType::Text];
                let fits = types.iter().zip(wanted).all(|(known, wanted)| {
                    known.is_none_or(|known| {
                        cast_context(known, wanted) == Some(CastContext::Implicit)
                    })
                });
                if !fits {
                    return Err(function::no_such_function(name, &types).at(at));
                }
                let flags = Bound::Unknown(Unknown::Text("[)".to_owned(), at));
                let given = arguments.into_iter().chain([flags]).zip(wanted);
                let mut all = vec![none()];
                for (argument, wanted) in given {
                    all.push(Bound::Typed(self.coerce(argument, wanted)?));
                }
                self.call("range_between", all, at)
            }
            (PackedType::Multirange(_), 0) => {
                let nothing = Bound::Unknown(Unknown::Text("{}".to_owned(), at));
                Ok(Bound::Typed(self.coerce(nothing, of)?))
            }
            (PackedType::Multirange(_), _) => self.ranges_together(of, arguments, at),
            _ => {
                let types: Vec<ArgumentType> = arguments.iter().map(Bound::data_type).collect();
                Err(function::no_such_function(name, &types).at(at))
            }
        }
    }

    /// The multirange of ranges, or of an array of them.
    pub(super) fn ranges_together(
        &mut self,
        of: DataType,
        arguments: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<Bound> {
        let mut all = vec![Bound::Typed(Expr::literal(Value::Null, of))];
        all.extend(arguments);
        self.call("ranges_together", all, at)
    }
}

fn taken(name: &str) -> Error {
    sql_error!(DUPLICATE_OBJECT, "type \"{name}\" already exists")
}

/// There is one operator class for each type.
fn operator_class(class: &ObjectName, subtype: DataType) -> Result<()> {
    let (at, name) = (name::object_place(class), name::function(class)?);
    let known = name.strip_suffix("_ops").and_then(|of| match of {
        "text_pattern" | "varchar_pattern" | "varchar" => Some(DataType::Text),
        "array" => Some(subtype).filter(|of| function::element_of(*of).is_some()),
        other => super::data_type::named(other),
    });
    match known {
        Some(of) if cast_context(subtype, of.without_modifier()) == Some(CastContext::Implicit) => {
            Ok(())
        }
        Some(_) => {
            let subtype = plain(subtype);
            let message = format!("operator class \"{name}\" does not accept data type {subtype}");
            Err(Error::new(state::DATATYPE_MISMATCH, message).at(at))
        }
        None => {
            let message =
                format!("operator class \"{name}\" does not exist for access method \"btree\"");
            Err(Error::new(state::UNDEFINED_OBJECT, message).at(at))
        }
    }
}
