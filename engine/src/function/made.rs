//! Types that somebody made: their values from text, and what is asked of enumerations.
//!
//! Which values an enumeration has, and which fields a composite type, is in the catalog ([`EvalContext::types`]); one value by itself can be compared
//! and written as text without it.

use super::Volatility::Volatile;
use super::cast::{CastContext, cast_context, cast_value};
use super::generic::GenericCall;
use super::{
    EvalContext, Overload, Pattern, SearchPath, quoted_type, record, schema_name, text, type_name,
};
use crate::error::{Error, Result, state};
use crate::function::kernel::function;
use remora_storage::catalog::{Catalog, EnumLabel, TypeDef};
use remora_storage::value::{
    ElementType, PackedType, RecordField, SqlRecord, TypeNames, enum_value,
};
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
        let Some(def) = catalog.type_by_id(id) else {
            // That of the rows of a relation.
            return catalog.type_name(id);
        };
        let named = |schema| catalog.type_named((schema, def.name.as_str()));
        let is_found = match &self.path {
            None => def.schema.is_public(),
            Some(path) => {
                let found = path.schemas(catalog).find_map(named);
                found.is_some_and(|found| found.id == id)
            }
        };
        let name = quoted_type(&def.name);
        Some(match is_found {
            true => name,
            false => format!("{}.{name}", quoted_type(&schema_name(catalog, def.schema))),
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
        None => Err(sql_error!(
            INVALID_TEXT_REPRESENTATION,
            "invalid input value for enum {}: \"{text}\"",
            def.name
        )),
    }
}

/// The value that a name stands for.
pub(crate) fn value(id: TypeId, label: &EnumLabel) -> Value {
    Value::Packed(PackedType::Enum(id), enum_value(label.place, &label.label))
}

/// A value of a composite type by its text.
///
/// # Errors
/// 22P02 where it is none, and those of the fields' types.
pub(crate) fn parse_composite(text: &str, id: TypeId, context: &EvalContext) -> Result<Value> {
    let fields = type_of(id, context)?.fields().unwrap_or_default();
    let bytes = text::parse_record(text, fields, context)?;
    Ok(Value::Packed(PackedType::Composite(id), bytes))
}

/// A record as a value of a composite type.
///
/// # Errors
/// 42846 where it has too many fields or too few, or one has no cast; and those of the casts.
pub(crate) fn to_composite(
    record: SqlRecord<'_>,
    id: TypeId,
    explicit: bool,
    context: &EvalContext,
) -> Result<Value> {
    let def = type_of(id, context)?;
    let fields = def.fields().unwrap_or_default();
    let bytes = with_fields(record, fields, &def.name, explicit, context)?;
    Ok(Value::Packed(PackedType::Composite(id), bytes))
}

/// The bytes of a record whose fields were cast to these.
///
/// # Errors
/// As [`to_composite`].
pub(crate) fn with_fields(
    record: SqlRecord<'_>,
    fields: &[RecordField],
    name: &str,
    explicit: bool,
    context: &EvalContext,
) -> Result<Vec<u8>> {
    let refused = |detail: String| {
        let message = format!("cannot cast type record to {name}");
        Error::new(state::CANNOT_COERCE, message).with_detail(detail)
    };
    if record.len() != fields.len() {
        let how = if record.len() < fields.len() {
            "few"
        } else {
            "many"
        };
        return Err(refused(format!("Input has too {how} columns.")));
    }
    let mut values = Vec::with_capacity(fields.len());
    for (at, ((found, value), field)) in record.iter().zip(fields).enumerate() {
        let to = field.data_type;
        let allowed = found == to
            || cast_context(found, to)
                .is_some_and(|least| explicit || least <= CastContext::Assignment);
        if !allowed {
            let (found, to) = (type_name(found), type_name(to));
            let at = at + 1;
            return Err(refused(format!(
                "Cannot cast type {found} to {to} in column {at}."
            )));
        }
        values.push(cast_value(value, to, explicit, context)?);
    }
    let types = fields.iter().map(|field| field.data_type);
    record::encode(types.zip(values.iter().map(Value::as_ref)))
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

/// The function that a cast to a domain fails by.
pub(crate) const DOMAIN_ERROR: &str = "domain_error";

static ENUMS: &[Overload] = &[
    function!(generic "enum_first"(Pattern::Enum) -> Pattern::Enum, "The first value of an enumeration.",
        |call| end(call, <[EnumLabel]>::first)),
    function!(generic "enum_last"(Pattern::Enum) -> Pattern::Enum, "The last value of an enumeration.",
        |call| end(call, <[EnumLabel]>::last)),
    function!(generic "enum_range"(Pattern::Enum) -> Pattern::Enums,
        "All values of an enumeration, in order.", range),
    function!(generic "enum_range"(Pattern::Enum, Pattern::Enum) -> Pattern::Enums,
        "The values of an enumeration between two, in order; NULL is no bound.", range),
    function!(strict generic "enum_renamed"(Pattern::Enum, Pattern::Enum, Pattern::Enum) -> Pattern::Enum,
        "The third for the second: what ALTER TYPE RENAME VALUE makes of values.", renamed),
    function!(generic DOMAIN_ERROR(Pattern::Is(DataType::Text), BOOLEAN, Pattern::Any) -> BOOLEAN,
        "Fails with a message: what a domain does with values that are none of its own.", domain_error)
    .volatility(Volatile),
];

/// All overloads of this file.
const BOOLEAN: Pattern = Pattern::Is(DataType::Boolean);

pub(super) static FUNCTIONS: &[&[Overload]] = &[ENUMS];
