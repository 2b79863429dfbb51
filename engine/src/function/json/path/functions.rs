//! The functions and operators of SQL that take paths.
//!
//! Each is there twice, with and without `_tz`: only the former compare moments with a time zone to those without
//! one. The operators are silent, and know no variables: each is null.

use super::super::invalid;
use super::super::packed::{self, Tag, View, view};
use super::super::sql::owned_jsonb;
use super::item::{Fail, Item, Outcome};
use super::run::Run;
use super::{path, show};
use crate::error::Result;
use crate::function::kernel::function;
use crate::function::native::{Boolean, Jsonb, SqlType, Text};
use crate::function::table::{TableFunction, TableRows};
use crate::function::{EvalContext, Overload, Work};
use remora_storage::value::{ColumnBuilder, PackedType};
use remora_storage::{DataType, Value, ValueRef};

/// Who calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Plain,
    /// A function of `_tz`.
    Zoned,
    Operator,
}

/// Gives the items of a call to `take`; failures of a silent one are passed over, and `false` given for them.
fn run<'v>(
    arguments: &'v [ValueRef<'v>],
    caller: Caller,
    context: &EvalContext,
    take: &mut dyn FnMut(&Run<'_>, Item<'_>) -> Outcome<bool>,
) -> Result<bool> {
    let path = path(Text::of(arguments[1]))?;
    const NONE: &[u8] = &[Tag::Object as u8, 0];
    let variables = match (caller, arguments.get(2)) {
        (Caller::Operator, _) => None,
        (_, Some(given)) => Some(Jsonb::of(*given)),
        (_, None) => Some(NONE),
    };
    if let Some(variables) = variables
        && !matches!(view(variables)?, View::Object(_))
    {
        return Err(invalid("\"vars\" argument is not an object").with_detail(
            "Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.",
        ));
    }
    let is_silent =
        caller == Caller::Operator || arguments.get(3).is_some_and(|silent| Boolean::of(*silent));
    let run = Run {
        path: &path,
        root: Jsonb::of(arguments[0]),
        variables,
        has_zone: caller == Caller::Zoned,
        context,
        work: Work::new(context),
    };
    match run.all(&mut |item| take(&run, item)) {
        Ok(_) => Ok(true),
        Err(Fail::Path(_)) if is_silent => Ok(false),
        Err(Fail::Path(error) | Fail::Hard(error)) => Err(error),
    }
}

fn exists(arguments: &[ValueRef<'_>], caller: Caller, context: &EvalContext) -> Result<Value> {
    let mut found = false;
    let is_right = run(arguments, caller, context, &mut |run, _| {
        found = true;
        Ok(!run.is_lax())
    })?;
    Ok(match is_right {
        true => Value::Boolean(found),
        false => Value::Null,
    })
}

/// Documents, one behind the other.
#[derive(Debug, Default)]
struct Gathered {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Gathered {
    fn get(&self, at: usize) -> Option<&[u8]> {
        let end = *self.ends.get(at)?;
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[begin..end])
    }
}

/// All items as documents.
fn gather(arguments: &[ValueRef<'_>], caller: Caller, context: &EvalContext) -> Result<Gathered> {
    let mut found = Gathered::default();
    let work = Work::new(context);
    run(arguments, caller, context, &mut |_, item| {
        let document = item.document(context)?;
        let end = found.bytes.len() + document.len();
        work.reach(end + size_of_val(&found.ends[..]))?;
        found.bytes.extend_from_slice(&document);
        found.ends.push(end);
        Ok(true)
    })?;
    Ok(found)
}

fn matches(arguments: &[ValueRef<'_>], caller: Caller, context: &EvalContext) -> Result<Value> {
    let found = gather(arguments, caller, context)?;
    let only = match (found.get(0), found.get(1)) {
        (Some(only), None) => only.first().copied(),
        _ => None,
    };
    const TRUE: u8 = Tag::True as u8;
    const FALSE: u8 = Tag::False as u8;
    const NULL: u8 = Tag::Null as u8;
    let is_silent =
        caller == Caller::Operator || arguments.get(3).is_some_and(|silent| Boolean::of(*silent));
    match only {
        Some(TRUE) => Ok(Value::Boolean(true)),
        Some(FALSE) => Ok(Value::Boolean(false)),
        Some(NULL) => Ok(Value::Null),
        _ if is_silent => Ok(Value::Null),
        _ => Err(sql_error!(
            SINGLETON_SQL_JSON_ITEM_REQUIRED,
            "single boolean result is expected"
        )),
    }
}

fn array(arguments: &[ValueRef<'_>], caller: Caller, context: &EvalContext) -> Result<Value> {
    let found = gather(arguments, caller, context)?;
    let work = Work::new(context);
    let mut elements = Vec::with_capacity(found.ends.len());
    elements.extend((0..).map_while(|at| found.get(at)));
    packed::pack_array(&elements, &work).map(owned_jsonb)
}

fn first(arguments: &[ValueRef<'_>], caller: Caller, context: &EvalContext) -> Result<Value> {
    let mut found = Value::Null;
    run(arguments, caller, context, &mut |_, item| {
        if matches!(found, Value::Null) {
            found = owned_jsonb(item.document(context)?.into_owned());
        }
        Ok(true)
    })?;
    Ok(found)
}

/// A function for one of each number of arguments.
macro_rules! family {
    ($name:literal -> $r:ident, $doc:literal, $f:ident, $caller:ident) => {
        [
            function!(strict row $name(Jsonb, Text) -> $r, $doc,
                |arguments, context| $f(arguments, Caller::$caller, context)),
            function!(strict row $name(Jsonb, Text, Jsonb) -> $r, $doc,
                |arguments, context| $f(arguments, Caller::$caller, context)),
            function!(strict row $name(Jsonb, Text, Jsonb, Boolean) -> $r, $doc,
                |arguments, context| $f(arguments, Caller::$caller, context)),
        ]
    };
}

static EXISTS: [Overload; 3] =
    family!("jsonb_path_exists" -> Boolean, "Whether a path leads anywhere.", exists, Plain);
static EXISTS_TZ: [Overload; 3] =
    family!("jsonb_path_exists_tz" -> Boolean, "Whether a path leads anywhere.", exists, Zoned);
static MATCH: [Overload; 3] =
    family!("jsonb_path_match" -> Boolean, "What a path's test comes to.", matches, Plain);
static MATCH_TZ: [Overload; 3] =
    family!("jsonb_path_match_tz" -> Boolean, "What a path's test comes to.", matches, Zoned);
static ARRAY: [Overload; 3] =
    family!("jsonb_path_query_array" -> Jsonb, "A path's items as an array.", array, Plain);
static ARRAY_TZ: [Overload; 3] =
    family!("jsonb_path_query_array_tz" -> Jsonb, "A path's items as an array.", array, Zoned);
static FIRST: [Overload; 3] =
    family!("jsonb_path_query_first" -> Jsonb, "A path's first item.", first, Plain);
static FIRST_TZ: [Overload; 3] =
    family!("jsonb_path_query_first_tz" -> Jsonb, "A path's first item.", first, Zoned);

static OPERATORS: &[Overload] = &[
    function!(strict row "@?"(Jsonb, Text) -> Boolean, "Whether a path leads anywhere.",
        |arguments, context| exists(arguments, Caller::Operator, context)),
    function!(strict row "@@"(Jsonb, Text) -> Boolean, "What a path's test comes to.",
        |arguments, context| matches(arguments, Caller::Operator, context)),
    function!(strict row "jsonb_path_exists_opr"(Jsonb, Text) -> Boolean, "The operator @?.",
        |arguments, context| exists(arguments, Caller::Operator, context)),
    function!(strict row "jsonb_path_match_opr"(Jsonb, Text) -> Boolean, "The operator @@.",
        |arguments, context| matches(arguments, Caller::Operator, context)),
    function!("jsonpath"(Text) -> Text, "A path in its one form.",
        |text| path(text).map(|path| show::show(&path))),
];

/// All overloads of paths.
pub(in crate::function) static FUNCTIONS: &[&[Overload]] = &[
    &EXISTS, &EXISTS_TZ, &MATCH, &MATCH_TZ, &ARRAY, &ARRAY_TZ, &FIRST, &FIRST_TZ, OPERATORS,
];

/// `jsonb_path_query`, whose items are all found when the first is asked for.
#[derive(Debug)]
struct Items {
    arguments: Vec<Value>,
    is_zoned: bool,
    found: Option<Gathered>,
    given: usize,
}

impl TableRows for Items {
    fn next(
        &mut self,
        wanted: usize,
        columns: &mut [ColumnBuilder],
        context: &EvalContext,
    ) -> Result<usize> {
        let found = match &mut self.found {
            Some(found) => found,
            None => {
                let arguments: Vec<ValueRef<'_>> =
                    self.arguments.iter().map(Value::as_ref).collect();
                let caller = if self.is_zoned {
                    Caller::Zoned
                } else {
                    Caller::Plain
                };
                self.found.insert(gather(&arguments, caller, context)?)
            }
        };
        for given in 0..wanted {
            context.check()?;
            let Some(item) = found.get(self.given) else {
                return Ok(given);
            };
            self.given += 1;
            if let Some(column) = columns.first_mut() {
                column.push(ValueRef::Packed(PackedType::Jsonb, item));
            }
        }
        Ok(wanted)
    }
}

const JSONB: DataType = DataType::Packed(PackedType::Jsonb);
const ARGUMENTS: &[DataType] = &[JSONB, DataType::Text, JSONB, DataType::Boolean];

const fn query(name: &'static str, count: usize, is_zoned: bool) -> TableFunction {
    TableFunction {
        name,
        arguments: ARGUMENTS.split_at(count).0,
        returns: JSONB,
        columns: &[],
        generic: None,
        strict: true,
        start: if is_zoned { start_zoned } else { start },
        doc: "The items that a path leads to",
    }
}

fn items(arguments: &[Value], is_zoned: bool) -> Box<dyn TableRows> {
    Box::new(Items {
        arguments: arguments.to_vec(),
        is_zoned,
        found: None,
        given: 0,
    })
}

fn start(arguments: &[Value], _: &EvalContext) -> Result<Box<dyn TableRows>> {
    Ok(items(arguments, false))
}

fn start_zoned(arguments: &[Value], _: &EvalContext) -> Result<Box<dyn TableRows>> {
    Ok(items(arguments, true))
}

/// All table functions of paths.
pub(in crate::function) const TABLE_FUNCTIONS: &[TableFunction] = &[
    query("jsonb_path_query", 2, false),
    query("jsonb_path_query", 3, false),
    query("jsonb_path_query", 4, false),
    query("jsonb_path_query_tz", 2, true),
    query("jsonb_path_query_tz", 3, true),
    query("jsonb_path_query_tz", 4, true),
];
