//! Operators and functions of JSONB.

use super::change::{self, Change};
use super::packed::{self, Members, View, view};
use super::sql::{self, jsonb, jsonb_text, owned_jsonb};
use super::write::{self, Layout};
use super::{arguments, contain, get, invalid, strip};
use crate::error::Result;
use crate::function::kernel::function;
use crate::function::native::{Jsonb, SqlType, Text};
use crate::function::{EvalContext, Overload, Work, check_size};
use remora_storage::{Value, ValueRef};

/// Names that are looked for one after the other.
const FEW: usize = 8;

/// The value that the second argument names: a key, the number of an element, or a path.
fn part<'a>(value: &'a [u8], step: ValueRef<'_>, work: &Work<'_>) -> Result<Option<&'a [u8]>> {
    match step {
        ValueRef::Text(name) => get::field(value, name, work),
        ValueRef::Integer(index) => get::element(value, index.into(), work),
        path => match arguments::path(path, work)? {
            Some(path) => get::at_path(value, &path, work),
            None => Ok(None),
        },
    }
}

fn part_jsonb(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    Ok(jsonb(part(Jsonb::of(arguments[0]), arguments[1], work)?))
}

fn part_text(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    jsonb_text(part(Jsonb::of(arguments[0]), arguments[1], work)?, work)
}

fn extract(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let steps: Vec<&str> = arguments[1..].iter().map(|step| Text::of(*step)).collect();
    let work = &Work::new(context);
    let found = get::at_path(Jsonb::of(arguments[0]), &steps, work)?;
    Ok(jsonb(found))
}

fn extract_text(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let steps: Vec<&str> = arguments[1..].iter().map(|step| Text::of(*step)).collect();
    let work = &Work::new(context);
    let found = get::at_path(Jsonb::of(arguments[0]), &steps, work)?;
    jsonb_text(found, work)
}

fn contains(context: &EvalContext, value: &[u8], part: &[u8]) -> Result<bool> {
    contain::contains(value, part, context)
}

fn contained(context: &EvalContext, part: &[u8], value: &[u8]) -> Result<bool> {
    contain::contains(value, part, context)
}

/// Whether any, or all, of the names exist; NULL is no name.
fn exist(arguments: &[ValueRef<'_>], wanted: bool, context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    let value = Jsonb::of(arguments[0]);
    let names = arguments::names(arguments[1], work)?;
    let known = match names.len() > FEW {
        true => Some(get::names(value, work)?),
        false => None,
    };
    for name in names.into_iter().flatten() {
        let exists = match &known {
            Some(known) => known.contains(name.as_bytes()),
            None => get::exists(value, name, work)?,
        };
        if exists == wanted {
            return Ok(Value::Boolean(wanted));
        }
    }
    Ok(Value::Boolean(!wanted))
}

fn any_exists(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    exist(arguments, true, context)
}

fn all_exist(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    exist(arguments, false, context)
}

fn delete_list(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    let names: Vec<&str> = arguments::names(arguments[1], work)?
        .into_iter()
        .flatten()
        .collect();
    change::delete_names(Jsonb::of(arguments[0]), &names, work).map(owned_jsonb)
}

/// A change at the end of the path that is the second argument.
fn change(arguments: &[ValueRef<'_>], change: Change<'_>, context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    if arguments::dimensions(arguments[1]).len() > 1 {
        return Err(sql_error!(
            ARRAY_SUBSCRIPT_ERROR,
            "wrong number of array subscripts"
        ));
    }
    let path = arguments::names(arguments[1], work)?;
    let changed = change::change_at(Jsonb::of(arguments[0]), &path, change, work)?;
    sized(changed, work)
}

fn delete_path(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    change(arguments, Change::Delete, context)
}

/// The fourth argument, if there is one.
fn flag(arguments: &[ValueRef<'_>], default: bool) -> bool {
    match arguments.get(3) {
        Some(ValueRef::Boolean(flag)) => *flag,
        _ => default,
    }
}

fn set(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let new = Jsonb::of(arguments[2]);
    let create = flag(arguments, true);
    change(
        arguments,
        if create {
            Change::Set(new)
        } else {
            Change::Replace(new)
        },
        context,
    )
}

fn insert(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let new = Jsonb::of(arguments[2]);
    let behind = flag(arguments, false);
    change(
        arguments,
        if behind {
            Change::InsertAfter(new)
        } else {
            Change::InsertBefore(new)
        },
        context,
    )
}

/// `jsonb_set_lax`: the fifth argument says what a NULL as the new value means.
fn set_lax(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let others = [Some(&arguments[0]), Some(&arguments[1]), arguments.get(3)];
    if others.into_iter().flatten().any(|value| value.is_null()) {
        return Ok(Value::Null);
    }
    let treatment = match arguments.get(4) {
        None => "use_json_null",
        Some(ValueRef::Text(treatment)) => treatment,
        Some(_) => "",
    };
    let known = [
        "delete_key",
        "return_target",
        "use_json_null",
        "raise_exception",
    ];
    if !known.contains(&treatment) {
        return Err(invalid(
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \
             \"raise_exception\"",
        ));
    }
    if !arguments[2].is_null() {
        return set(arguments, context);
    }
    match treatment {
        "use_json_null" => {
            let create = flag(arguments, true);
            let null = if create { Change::Set(sql::NULL) } else { Change::Replace(sql::NULL) };
            change(arguments, null, context)
        }
        "delete_key" => delete_path(arguments, context),
        "return_target" => Ok(arguments[0].to_owned()),
        _ => Err(sql_error!(NULL_VALUE_NOT_ALLOWED, "JSON value must not be null")
            .with_detail(
                "Exception was raised because null_value_treatment is \"raise_exception\".",
            )
            .with_hint(
                "To avoid, either change the null_value_treatment argument or ensure that an SQL NULL \
                 is not passed.",
            )),
    }
}

fn exists(context: &EvalContext, value: &[u8], name: &str) -> Result<bool> {
    get::exists(value, name, &Work::new(context))
}

fn delete_element(context: &EvalContext, value: &[u8], index: i32) -> Result<Vec<u8>> {
    change::delete_element(value, index.into(), &Work::new(context))
}

fn length(value: &[u8]) -> Result<i32> {
    match view(value)? {
        View::Array(Members { left, .. }) => Ok(left as i32),
        View::Object(_) => Err(invalid("cannot get array length of a non-array")),
        View::Scalar(..) => Err(invalid("cannot get array length of a scalar")),
    }
}

/// An argument as JSONB, NULL as null.
fn or_null<'a>(value: &ValueRef<'a>) -> &'a [u8] {
    match value {
        ValueRef::Null => sql::NULL,
        other => Jsonb::of(*other),
    }
}

fn sized(value: Vec<u8>, work: &Work<'_>) -> Result<Value> {
    check_size(Some(value.len()))?;
    packed::bounded(value, work).map(owned_jsonb)
}

/// `jsonb_build_object`: keys and values in turn, all as JSONB.
fn build_object(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    if !arguments.len().is_multiple_of(2) {
        return Err(arguments::odd("jsonb_build_object"));
    }
    let work = &Work::new(context);
    let mut pairs = Vec::with_capacity(arguments.len() / 2);
    for (i, pair) in arguments.chunks_exact(2).enumerate() {
        let key = match pair[0] {
            ValueRef::Null => None,
            key => packed_key(Jsonb::of(key), work)?,
        };
        let null = || invalid(format!("argument {}: key must not be null", 2 * i + 1));
        pairs.push((key.ok_or_else(null)?, or_null(&pair[1])));
    }
    sized(packed::pack_object(&pairs, work)?, work)
}

/// What a key of an object is made of: any scalar. `None` for null.
pub(in crate::function) fn packed_key(value: &[u8], work: &Work<'_>) -> Result<Option<String>> {
    match view(value)? {
        View::Scalar(..) => write::to_text(value, work),
        _ => Err(invalid(
            "key value must be scalar, not array, composite, or json",
        )),
    }
}

fn build_array(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    let elements: Vec<&[u8]> = arguments.iter().map(or_null).collect();
    sized(packed::pack_array(&elements, work)?, work)
}

fn empty_object(_: &[ValueRef<'_>], _: &EvalContext) -> Result<Value> {
    packed::pack_object::<&str, &[u8]>(&[], &Work::unasked()).map(owned_jsonb)
}

/// `jsonb_object`: strings from an array of keys and values in turn, or from one of each.
fn object(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    let pairs = arguments::text_pairs(arguments, work)?;
    packed::pack_texts(&pairs, work).map(owned_jsonb)
}

static PARTS: &[Overload] = &[
    function!(strict row "->"(Jsonb, Text) -> Jsonb, "The value of a key.", part_jsonb),
    function!(strict row "->"(Jsonb, Integer) -> Jsonb, "An element.", part_jsonb),
    function!(strict row "->>"(Jsonb, Text) -> Text, "The value of a key, as text.", part_text),
    function!(strict row "->>"(Jsonb, Integer) -> Text, "An element, as text.", part_text),
    function!(strict row "#>"(Jsonb, TextArray) -> Jsonb, "The value at a path.", part_jsonb),
    function!(strict row "#>>"(Jsonb, TextArray) -> Text, "The value at a path, as text.", part_text),
    function!(strict row "jsonb_extract_path"(Jsonb, Text) -> Jsonb, "The value at a path.", extract)
        .variadic(),
    function!(strict row "jsonb_extract_path_text"(Jsonb, Text) -> Text,
        "The value at a path, as text.", extract_text).variadic(),
];

static TESTS: &[Overload] = &[
    function!(patient "@>"(Jsonb, Jsonb) -> Boolean, "Whether the first holds the second.", contains),
    function!(patient "<@"(Jsonb, Jsonb) -> Boolean, "Whether the second holds the first.", contained),
    function!(patient "?"(Jsonb, Text) -> Boolean, "Whether a key or string is there.", exists),
    function!(strict row "?|"(Jsonb, TextArray) -> Boolean, "Whether any of them is there.", any_exists),
    function!(strict row "?&"(Jsonb, TextArray) -> Boolean, "Whether all of them are there.", all_exist),
    function!("jsonb_array_length"(Jsonb) -> Integer, "How many elements an array has.", length),
    function!("jsonb_typeof"(Jsonb) -> Text, "The kind of a value.",
        |value| write::type_name(value).map(str::to_owned)),
    function!(patient "jsonb_pretty"(Jsonb) -> Text, "A value, a member a line.",
        |context, value| write::to_string(value, Layout::Pretty, &Work::new(context))),
];

static CHANGES: &[Overload] = &[
    function!(patient "||"(Jsonb, Jsonb) -> Jsonb, "The members of both.",
        |context, one, two| change::concatenate(one, two, &Work::new(context))),
    function!(patient "-"(Jsonb, Text) -> Jsonb, "Without a key or a string.",
        |context, value, name| change::delete_names(value, &[name], &Work::new(context))),
    function!(patient "-"(Jsonb, Integer) -> Jsonb, "Without an element.", delete_element),
    function!(strict row "-"(Jsonb, TextArray) -> Jsonb, "Without some keys or strings.", delete_list),
    function!(strict row "#-"(Jsonb, TextArray) -> Jsonb, "Without what is at a path.", delete_path),
    function!(patient "jsonb_strip_nulls"(Jsonb) -> Jsonb, "A value without pairs of null.",
        |context, value| strip::strip_packed(value, &Work::new(context))),
    function!(strict row "jsonb_set"(Jsonb, TextArray, Jsonb) -> Jsonb,
        "With another value at a path.", set),
    function!(strict row "jsonb_set"(Jsonb, TextArray, Jsonb, Boolean) -> Jsonb,
        "With another value at a path; whether there may be none yet.", set),
    function!(row "jsonb_set_lax"(Jsonb, TextArray, Jsonb) -> Jsonb,
        "With another value at a path, null for NULL.", set_lax),
    function!(row "jsonb_set_lax"(Jsonb, TextArray, Jsonb, Boolean) -> Jsonb,
        "With another value at a path, null for NULL.", set_lax),
    function!(row "jsonb_set_lax"(Jsonb, TextArray, Jsonb, Boolean, Text) -> Jsonb,
        "With another value at a path; what NULL means.", set_lax),
    function!(strict row "jsonb_insert"(Jsonb, TextArray, Jsonb) -> Jsonb,
        "With a new value at a path.", insert),
    function!(strict row "jsonb_insert"(Jsonb, TextArray, Jsonb, Boolean) -> Jsonb,
        "With a new value at a path; whether behind what is there.", insert),
];

static MAKERS: &[Overload] = &[
    function!(row "jsonb_build_object"() -> Jsonb, "An object without pairs.", empty_object),
    function!(row "jsonb_build_object"(Jsonb) -> Jsonb, "An object of keys and values.", build_object)
        .variadic(),
    function!(row "jsonb_build_array"() -> Jsonb, "An array without elements.", build_array),
    function!(row "jsonb_build_array"(Jsonb) -> Jsonb, "An array of values.", build_array).variadic(),
    function!(strict row "jsonb_object"(TextArray) -> Jsonb, "An object of strings.", object),
    function!(strict row "jsonb_object"(TextArray, TextArray) -> Jsonb,
        "An object of keys and strings.", object),
];

/// What operators are called, too.
static NAMES: &[Overload] = &[
    function!(patient "jsonb_contains"(Jsonb, Jsonb) -> Boolean, "The operator @>.", contains),
    function!(patient "jsonb_contained"(Jsonb, Jsonb) -> Boolean, "The operator <@.", contained),
    function!(patient "jsonb_exists"(Jsonb, Text) -> Boolean, "The operator ?.", exists),
    function!(strict row "jsonb_exists_any"(Jsonb, TextArray) -> Boolean, "The operator ?|.", any_exists),
    function!(strict row "jsonb_exists_all"(Jsonb, TextArray) -> Boolean, "The operator ?&.", all_exist),
    function!(patient "jsonb_concat"(Jsonb, Jsonb) -> Jsonb, "The operator ||.",
        |context, one, two| change::concatenate(one, two, &Work::new(context))),
    function!(patient "jsonb_delete"(Jsonb, Text) -> Jsonb, "The operator -.",
        |context, value, name| change::delete_names(value, &[name], &Work::new(context))),
    function!(patient "jsonb_delete"(Jsonb, Integer) -> Jsonb, "The operator -.", delete_element),
    function!(strict row "jsonb_delete"(Jsonb, TextArray) -> Jsonb, "The operator -.", delete_list),
    function!(strict row "jsonb_delete_path"(Jsonb, TextArray) -> Jsonb, "The operator #-.", delete_path),
];

/// All overloads of this file.
pub(in crate::function) static FUNCTIONS: &[&[Overload]] = &[PARTS, TESTS, CHANGES, MAKERS, NAMES];
