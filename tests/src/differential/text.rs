//! SQL as a tree: the same statement in three ways of writing, and what may be left out of it.
//!
//! ```text
//!   form("({0} = ANY ({1}))")          as Remora is asked
//!     .rewritten("({0} IN ({1}))")     as a second Remora is asked: another way of saying the same
//!     .sqlite("({0} IN ({1}))")        as SQLite is asked
//! ```
//!
//! The generators make such trees, the shrinker takes parts out of them. A part is taken out of all ways of
//! writing at once, because they share it: what is left still means the same everywhere.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What an expression gives, as far as the generators tell types apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Kind {
    /// SMALLINT, INTEGER, BIGINT.
    Int,
    /// BOOLEAN; SQLite has 0 and 1.
    Bool,
    /// TEXT.
    Text,
    /// DOUBLE PRECISION, of values that add up exactly.
    Real,
    /// NUMERIC, of values that SQLite's floats hold exactly.
    Numeric,
    /// DATE; SQLite has its text.
    Date,
    /// BYTEA.
    Bytes,
}

impl Kind {
    /// Its name in a cast, for all.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Int => "BIGINT",
            Self::Bool => "BOOLEAN",
            Self::Text => "TEXT",
            Self::Real => "DOUBLE PRECISION",
            Self::Numeric => "NUMERIC",
            Self::Date => "DATE",
            Self::Bytes => "BYTEA",
        }
    }

    /// A constant of it that is as plain as can be, as Remora writes it in a literal.
    pub(super) fn plain(self) -> &'static str {
        match self {
            Self::Int | Self::Real | Self::Numeric => "0",
            Self::Bool => "true",
            Self::Text | Self::Bytes => "",
            Self::Date => "2000-01-01",
        }
    }
}

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dialect {
    /// Remora, as the generator wrote it.
    Remora,
    /// Remora, in other words.
    Rewritten,
    /// SQLite.
    Sqlite,
}

/// Stands where a dialect has nothing to say what is meant.
const UNSAYABLE: &str = "\0";

/// A piece of SQL.
#[derive(Clone, Debug)]
pub(super) enum Text {
    /// As it stands.
    Raw(String),
    /// Shapes with places `{0}`, `{1}` .. for the arguments, a shape for each dialect.
    Form([Cow<'static, str>; 3], Vec<Text>),
    /// What may be left out.
    Optional(Box<Text>),
    /// Items with something between them; one must stay.
    Items(&'static str, Vec<Text>),
    /// An expression: another of its kind may stand there.
    Expr(Kind, Box<Text>),
    /// A constant, which a prepared statement gets as a parameter.
    Literal(Kind, String),
}

/// Arguments in a shape that is the same for all.
pub(super) fn form(shape: impl Into<Cow<'static, str>>, arguments: impl Into<Vec<Text>>) -> Text {
    let shape = shape.into();
    Text::Form([shape.clone(), shape.clone(), shape], arguments.into())
}

/// As it stands.
pub(super) fn raw(text: impl Into<String>) -> Text {
    Text::Raw(text.into())
}

/// An argument that may be left out.
pub(super) fn optional(text: Text) -> Text {
    Text::Optional(Box::new(text))
}

impl Text {
    /// The same, as SQLite writes it.
    #[must_use]
    pub(super) fn sqlite(self, shape: impl Into<Cow<'static, str>>) -> Self {
        self.shaped(2, shape.into())
    }

    /// The same, in a way that SQLite does not have.
    #[must_use]
    pub(super) fn not_sqlite(self) -> Self {
        self.shaped(2, UNSAYABLE.into())
    }

    /// The same in other words.
    #[must_use]
    pub(super) fn rewritten(self, shape: impl Into<Cow<'static, str>>) -> Self {
        self.shaped(1, shape.into())
    }

    fn shaped(self, at: usize, shape: Cow<'static, str>) -> Self {
        let Self::Form(mut shapes, arguments) = self else {
            unreachable!("only forms have shapes");
        };
        shapes[at] = shape;
        Self::Form(shapes, arguments)
    }

    /// The statement with its constants in it; `None` where the dialect cannot say it.
    pub(super) fn render(&self, dialect: Dialect) -> Option<String> {
        let mut out = String::new();
        self.write(dialect, &mut out, &mut None);
        (!out.contains(UNSAYABLE)).then_some(out)
    }

    /// The statement with parameters, and what they are.
    pub(super) fn with_parameters(&self, dialect: Dialect) -> (String, Vec<(Kind, String)>) {
        let (mut out, mut parameters) = (String::new(), Some(Vec::new()));
        self.write(dialect, &mut out, &mut parameters);
        (out, parameters.unwrap_or_default())
    }

    fn write(
        &self,
        dialect: Dialect,
        out: &mut String,
        parameters: &mut Option<Vec<(Kind, String)>>,
    ) {
        match self {
            Self::Raw(text) => out.push_str(text),
            Self::Optional(text) | Self::Expr(_, text) => text.write(dialect, out, parameters),
            Self::Items(between, items) => {
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push_str(between);
                    }
                    item.write(dialect, out, parameters);
                }
            }
            Self::Form(shapes, arguments) => {
                let shape = &shapes[dialect as usize];
                let mut rest: &str = shape;
                while let Some(open) = rest.find('{') {
                    let close = open + rest[open..].find('}').expect("a place is closed");
                    out.push_str(&rest[..open]);
                    let place: usize = rest[open + 1..close].parse().expect("a place's number");
                    arguments[place].write(dialect, out, parameters);
                    rest = &rest[close + 1..];
                }
                out.push_str(rest);
            }
            Self::Literal(kind, value) => match parameters {
                Some(parameters) => {
                    parameters.push((*kind, value.clone()));
                    let number = parameters.len();
                    // Writing to a String does not fail.
                    let _ = write!(out, "CAST(${number} AS {})", kind.sql());
                }
                None => out.push_str(&literal(*kind, value, dialect)),
            },
        }
    }

    /// Parts of it, in order.
    pub(super) fn parts(&self) -> &[Self] {
        match self {
            Self::Raw(_) | Self::Literal(..) => &[],
            Self::Optional(text) | Self::Expr(_, text) => std::slice::from_ref(text),
            Self::Form(_, parts) | Self::Items(_, parts) => parts,
        }
    }

    /// Parts of it, in order.
    pub(super) fn parts_mut(&mut self) -> &mut [Self] {
        match self {
            Self::Raw(_) | Self::Literal(..) => &mut [],
            Self::Optional(text) | Self::Expr(_, text) => std::slice::from_mut(text),
            Self::Form(_, parts) | Self::Items(_, parts) => parts,
        }
    }
}

fn literal(kind: Kind, value: &str, dialect: Dialect) -> String {
    let is_sqlite = dialect == Dialect::Sqlite;
    let quoted = || format!("'{}'", value.replace('\'', "''"));
    match kind {
        Kind::Int if value == i64::MIN.to_string() && is_sqlite => {
            "(-9223372036854775807 - 1)".to_owned()
        }
        Kind::Int if value == i64::MIN.to_string() => format!("CAST('{value}' AS BIGINT)"),
        Kind::Int | Kind::Numeric if value.starts_with('-') => format!("({value})"),
        Kind::Int | Kind::Numeric | Kind::Bool => value.to_owned(),
        Kind::Text => quoted(),
        Kind::Real => format!("CAST({value} AS DOUBLE PRECISION)"),
        Kind::Date if is_sqlite => quoted(),
        Kind::Date => format!("DATE {}", quoted()),
        Kind::Bytes if is_sqlite => format!("x'{value}'"),
        Kind::Bytes => format!("CAST('\\x{value}' AS BYTEA)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_written_as_each_one_has_it() {
        let five = Text::Literal(Kind::Int, "-5".to_owned());
        let text = form("greatest({0}, {1})", [raw("a"), five])
            .rewritten("CASE WHEN {0} > {1} THEN {0} ELSE {1} END")
            .sqlite("max({0}, {1})");
        let written = |dialect| text.render(dialect).expect("it can be said");
        assert_eq!(written(Dialect::Remora), "greatest(a, (-5))");
        assert_eq!(
            written(Dialect::Rewritten),
            "CASE WHEN a > (-5) THEN a ELSE (-5) END"
        );
        assert_eq!(written(Dialect::Sqlite), "max(a, (-5))");
        assert_eq!(text.clone().not_sqlite().render(Dialect::Sqlite), None);
        let (sql, parameters) = text.with_parameters(Dialect::Remora);
        assert_eq!(sql, "greatest(a, CAST($1 AS BIGINT))");
        assert_eq!(parameters, [(Kind::Int, "-5".to_owned())]);
    }
}
