//! Types by PostgreSQL's numbers, as its tools ask for them.

use super::Volatility::Stable;
use super::kernel::function;
use super::oids::made_of;
use super::{EvalContext, Overload, quoted_type};
use super::{element_of, type_name};
use remora_storage::value::PackedType;
use remora_storage::{DataType, Value, ValueRef};

/// A type as `pg_type` has it.
#[derive(Debug)]
pub(crate) struct PgType {
    /// Its number there.
    pub oid: i64,
    /// Its short name.
    pub name: &'static str,
    /// Its name in SQL.
    pub sql: &'static str,
    /// Bytes of a value, or -1.
    pub length: i16,
    /// Its family.
    pub category: &'static str,
}

const fn pg(
    oid: i64,
    name: &'static str,
    sql: &'static str,
    length: i16,
    category: &'static str,
) -> PgType {
    PgType {
        oid,
        name,
        sql,
        length,
        category,
    }
}

/// The types that columns can have.
pub(crate) static PG_TYPES: &[PgType] = &[
    pg(16, "bool", "boolean", 1, "B"),
    pg(17, "bytea", "bytea", -1, "U"),
    pg(20, "int8", "bigint", 8, "N"),
    pg(21, "int2", "smallint", 2, "N"),
    pg(23, "int4", "integer", 4, "N"),
    pg(25, "text", "text", -1, "S"),
    pg(114, "json", "json", -1, "U"),
    pg(700, "float4", "real", 4, "N"),
    pg(701, "float8", "double precision", 8, "N"),
    pg(1042, "bpchar", "character", -1, "S"),
    pg(1043, "varchar", "character varying", -1, "S"),
    pg(1082, "date", "date", 4, "D"),
    pg(1083, "time", "time without time zone", 8, "D"),
    pg(1114, "timestamp", "timestamp without time zone", 8, "D"),
    pg(1184, "timestamptz", "timestamp with time zone", 8, "D"),
    pg(1186, "interval", "interval", 16, "T"),
    pg(1266, "timetz", "time with time zone", 12, "D"),
    pg(1560, "bit", "bit", -1, "V"),
    pg(1562, "varbit", "bit varying", -1, "V"),
    pg(1700, "numeric", "numeric", -1, "N"),
    pg(2950, "uuid", "uuid", 16, "U"),
    pg(3802, "jsonb", "jsonb", -1, "U"),
    pg(3904, "int4range", "int4range", -1, "R"),
    pg(3906, "numrange", "numrange", -1, "R"),
    pg(3908, "tsrange", "tsrange", -1, "R"),
    pg(3910, "tstzrange", "tstzrange", -1, "R"),
    pg(3912, "daterange", "daterange", -1, "R"),
    pg(3926, "int8range", "int8range", -1, "R"),
    pg(4451, "int4multirange", "int4multirange", -1, "R"),
    pg(4532, "nummultirange", "nummultirange", -1, "R"),
    pg(4533, "tsmultirange", "tsmultirange", -1, "R"),
    pg(4534, "tstzmultirange", "tstzmultirange", -1, "R"),
    pg(4535, "datemultirange", "datemultirange", -1, "R"),
    pg(4536, "int8multirange", "int8multirange", -1, "R"),
    pg(199, "_json", "json[]", -1, "A"),
    pg(1000, "_bool", "boolean[]", -1, "A"),
    pg(1001, "_bytea", "bytea[]", -1, "A"),
    pg(1005, "_int2", "smallint[]", -1, "A"),
    pg(1007, "_int4", "integer[]", -1, "A"),
    pg(1009, "_text", "text[]", -1, "A"),
    pg(1014, "_bpchar", "character[]", -1, "A"),
    pg(1015, "_varchar", "character varying[]", -1, "A"),
    pg(1016, "_int8", "bigint[]", -1, "A"),
    pg(1021, "_float4", "real[]", -1, "A"),
    pg(1022, "_float8", "double precision[]", -1, "A"),
    pg(1115, "_timestamp", "timestamp without time zone[]", -1, "A"),
    pg(1182, "_date", "date[]", -1, "A"),
    pg(1183, "_time", "time without time zone[]", -1, "A"),
    pg(1185, "_timestamptz", "timestamp with time zone[]", -1, "A"),
    pg(1187, "_interval", "interval[]", -1, "A"),
    pg(1270, "_timetz", "time with time zone[]", -1, "A"),
    pg(1561, "_bit", "bit[]", -1, "A"),
    pg(1563, "_varbit", "bit varying[]", -1, "A"),
    pg(1231, "_numeric", "numeric[]", -1, "A"),
    pg(2951, "_uuid", "uuid[]", -1, "A"),
    pg(3807, "_jsonb", "jsonb[]", -1, "A"),
    pg(3905, "_int4range", "int4range[]", -1, "A"),
    pg(3907, "_numrange", "numrange[]", -1, "A"),
    pg(3909, "_tsrange", "tsrange[]", -1, "A"),
    pg(3911, "_tstzrange", "tstzrange[]", -1, "A"),
    pg(3913, "_daterange", "daterange[]", -1, "A"),
    pg(3927, "_int8range", "int8range[]", -1, "A"),
    pg(6150, "_int4multirange", "int4multirange[]", -1, "A"),
    pg(6151, "_nummultirange", "nummultirange[]", -1, "A"),
    pg(6152, "_tsmultirange", "tsmultirange[]", -1, "A"),
    pg(6153, "_tstzmultirange", "tstzmultirange[]", -1, "A"),
    pg(6155, "_datemultirange", "datemultirange[]", -1, "A"),
    pg(6157, "_int8multirange", "int8multirange[]", -1, "A"),
];

/// What PostgreSQL calls a type; none where it has no number of its own.
pub(crate) fn pg_type(data_type: DataType) -> Option<&'static PgType> {
    let plain = type_name(data_type);
    PG_TYPES.iter().find(|known| known.sql == plain)
}

/// The modifier of a type as `pg_attribute` has it, or -1.
pub(crate) fn modifier(data_type: DataType) -> i32 {
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX - 4) + 4;
    match element_of(data_type).unwrap_or(data_type) {
        DataType::Varchar(Some(n)) | DataType::Char(n) => number(n),
        DataType::Packed(PackedType::Bit(n) | PackedType::VarBit(n)) if n > 0 => {
            i32::try_from(n).unwrap_or(i32::MAX)
        }
        DataType::Numeric(Some(m)) => (i32::from(m.precision) << 16 | i32::from(m.scale)) + 4,
        _ => -1,
    }
}

fn shown(oid: i64, modifier: Option<i64>, context: &EvalContext) -> String {
    if let Some((id, is_array)) = made_of(oid)
        && let Some(def) = context.types.as_deref().and_then(|types| types.get(id))
    {
        let brackets = if is_array { "[]" } else { "" };
        let name = quoted_type(&def.name);
        return format!("{name}{brackets}");
    }
    let Some(known) = PG_TYPES.iter().find(|known| known.oid == oid) else {
        return "???".to_owned();
    };
    let held = modifier.filter(|modifier| *modifier >= 4).map(|m| m - 4);
    let (element, brackets) = match known.sql.strip_suffix("[]") {
        Some(element) => (element, "[]"),
        None => (known.sql, ""),
    };
    match (known.name.trim_start_matches('_'), held) {
        ("timestamp" | "timestamptz" | "time" | "timetz" | "interval", _) => {
            match modifier.filter(|digits| (0..=6).contains(digits)) {
                Some(digits) => match element.split_once(' ') {
                    Some((first, zone)) => format!("{first}({digits}) {zone}{brackets}"),
                    None => format!("{element}({digits}){brackets}"),
                },
                None => known.sql.to_owned(),
            }
        }
        ("bit" | "varbit", _) => match modifier.filter(|bits| *bits > 0) {
            Some(bits) => format!("{element}({bits}){brackets}"),
            None => known.sql.to_owned(),
        },
        ("varchar" | "bpchar", Some(n)) => format!("{element}({n}){brackets}"),
        ("numeric", Some(m)) => format!("numeric({},{}){brackets}", m >> 16, m & 0xffff),
        _ => known.sql.to_owned(),
    }
}

static TYPES: &[Overload] = &[
    function!(row "format_type"(BigInt, BigInt) -> Text, "The name of a type by its number and modifier.",
    |arguments, context| Ok(match arguments {
        [ValueRef::BigInt(oid), modifier] => {
            let modifier = match modifier {
                ValueRef::BigInt(modifier) => Some(*modifier),
                _ => None,
            };
            Value::Text(shown(*oid, modifier, context))
        }
        _ => Value::Null,
    }))
    .volatility(Stable),
    function!(strict row "pg_get_expr"(Text, BigInt) -> Text, "An expression of the catalog, which is text already.",
        |arguments, _| Ok(match arguments[0] {
            ValueRef::Text(text) => Value::Text(text.to_owned()),
            _ => Value::Null,
        }))
    .volatility(Stable),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[TYPES];
