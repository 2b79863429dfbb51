//! Types that somebody made: their values from text, and what is asked of enumerations.
//!
//! Which values an enumeration has is in the catalog ([`EvalContext::types`]); one value by itself can be compared
//! and written as text without it.

use super::Volatility::Volatile;
use super::generic::GenericCall;
use super::{EvalContext, Overload, Pattern, SearchPath, quote_ident, schema_name};
use crate::error::{Error, Result, state};
use remora_storage::catalog::{Catalog, EnumLabel, TypeDef};
use remora_storage::value::{ElementType, PackedType, TypeNames, enum_value};
use remora_storage::{DataType, TypeId, Value, ValueRef};
use std::sync::Arc;

/// What types are called: with their schemas, unless they are found without.
#[derive(Debug)]
pub(crate) struct TypesShown {
    catalog: Arc<Catalog>,
    path: Option<Arc<SearchPath>>,
}

impl TypesShown {
    /// Along a path, or else as SQL that is read anywhere.
    pub(crate) fn along(catalog: &Arc<Catalog>, path: Option<&Arc<SearchPath>>) -> Arc<Self> {
        Arc::new(Self {
            catalog: Arc::clone(catalog),
            path: path.map(Arc::clone),
        })
    }
}

impl TypeNames for TypesShown {
    fn type_name(&self, id: TypeId) -> Option<String> {
        let catalog = &self.catalog;
        let def = catalog.type_by_id(id)?;
        let named = |schema| catalog.type_named((schema, def.name.as_str()));
        let is_found = match &self.path {
            None => def.schema.is_public(),
            Some(path) => {
                let found = path.schemas(catalog).find_map(named);
                found.is_some_and(|found| found.id == id)
            }
        };
        let quoted = |name: &str| quote_ident(name).unwrap_or_else(|_| name.to_owned());
        let name = quoted(&def.name);
        Some(match is_found {
            true => name,
            false => format!("{}.{name}", quoted(&schema_name(catalog, def.schema))),
        })
    }
}

/// A value of an enumeration by its name.
///
/// # Errors
/// 22P02 where it has none of that name.
pub(crate) fn parse_enum(text: &str, id: TypeId, context: &EvalContext) -> Result<Value> {
    let def = type_of(id, context)?;
    let mut labels = labels(def).iter();
    match labels.find(|label| label.label == text) {
        Some(label) => Ok(value(id, label)),
        None => Err(Error::new(
            state::INVALID_TEXT_REPRESENTATION,
            format!("invalid input value for enum {}: \"{text}\"", def.name),
        )),
    }
}

/// The value that a name stands for.
pub(crate) fn value(id: TypeId, label: &EnumLabel) -> Value {
    Value::Packed(PackedType::Enum(id), enum_value(label.place, &label.label))
}

fn labels(def: &TypeDef) -> &[EnumLabel] {
    def.labels().unwrap_or_default()
}

fn type_of(id: TypeId, context: &EvalContext) -> Result<&TypeDef> {
    let types = context.types.as_deref();
    let found = types.and_then(|types| types.get(id));
    found.map(|def| &**def).ok_or_else(|| {
        let message = format!("type {id} is not known here");
        Error::new(state::UNDEFINED_OBJECT, message)
    })
}

/// The values of the type of a call's first argument.
fn all<'c>(call: &'c GenericCall<'_>) -> Result<(TypeId, &'c [EnumLabel])> {
    let id = call.types.first().and_then(|data_type| data_type.made());
    let id = id.unwrap_or_default();
    Ok((id, labels(type_of(id, call.context)?)))
}

/// The values between two, of which one that is NULL is no bound.
fn range(call: &GenericCall<'_>) -> Result<Value> {
    let (id, labels) = all(call)?;
    let bound = |at: usize| call.values.get(at).and_then(|bound| bound.bytes());
    let (first, last) = match call.values.len() {
        1 => (None, None),
        _ => (bound(0), bound(1)),
    };
    let Some(element) = ElementType::new(DataType::Packed(PackedType::Enum(id))) else {
        return Ok(Value::Null);
    };
    let values: Vec<Value> = labels.iter().map(|label| value(id, label)).collect();
    let within = values.iter().map(Value::as_ref).filter(|value| {
        let bytes = value.bytes();
        first.is_none_or(|first| Some(first) <= bytes)
            && last.is_none_or(|last| bytes <= Some(last))
    });
    Ok(Value::array(element, within))
}

fn end(call: &GenericCall<'_>, pick: fn(&[EnumLabel]) -> Option<&EnumLabel>) -> Result<Value> {
    let (id, labels) = all(call)?;
    Ok(pick(labels).map_or(Value::Null, |label| value(id, label)))
}

/// A value of an enumeration by the name that it has now.
fn renamed(call: &GenericCall<'_>) -> Result<Value> {
    Ok(match call.values {
        [value, from, to] if value.is_identical(*from) => ValueRef::to_owned(*to),
        [value, ..] => ValueRef::to_owned(*value),
        [] => Value::Null,
    })
}

/// What a condition of a domain that does not hold comes to.
fn domain_error(call: &GenericCall<'_>) -> Result<Value> {
    let state = match call.values {
        [_, ValueRef::Boolean(true), _] => state::NOT_NULL_VIOLATION,
        _ => state::CHECK_VIOLATION,
    };
    match call.values {
        [ValueRef::Text(message), ..] => Err(Error::new(state, *message)),
        _ => Ok(Value::Null),
    }
}

static ENUMS: &[Overload] = &[
    Overload::generic(
        "enum_first",
        &[Pattern::Enum],
        Pattern::Enum,
        "The first value of an enumeration.",
        |call| end(call, <[EnumLabel]>::first),
    )
    .called_on_null(),
    Overload::generic(
        "enum_last",
        &[Pattern::Enum],
        Pattern::Enum,
        "The last value of an enumeration.",
        |call| end(call, <[EnumLabel]>::last),
    )
    .called_on_null(),
    Overload::generic(
        "enum_range",
        &[Pattern::Enum],
        Pattern::Enums,
        "All values of an enumeration, in order.",
        range,
    )
    .called_on_null(),
    Overload::generic(
        "enum_range",
        &[Pattern::Enum, Pattern::Enum],
        Pattern::Enums,
        "The values of an enumeration between two, in order; NULL is no bound.",
        range,
    )
    .called_on_null(),
    Overload::generic(
        "enum_renamed",
        &[Pattern::Enum, Pattern::Enum, Pattern::Enum],
        Pattern::Enum,
        "The third for the second: what ALTER TYPE RENAME VALUE makes of values.",
        renamed,
    ),
    Overload::generic(
        "domain_error",
        &[
            Pattern::Is(DataType::Text),
            Pattern::Is(DataType::Boolean),
            Pattern::Any,
        ],
        Pattern::Is(DataType::Boolean),
        "Fails with a message: what a domain does with values that are none of its own.",
        domain_error,
    )
    .called_on_null()
    .volatility(Volatile),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[ENUMS];
