//! Random expressions of a kind over the columns in scope.

use super::Generator;
use super::schema::{constant, wide_constant};
use super::text::{Kind, Text, form, raw};

/// A column that may be named.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// How it is named.
    pub(super) text: Text,
    /// What it holds.
    pub(super) kind: Kind,
    /// Whether arithmetic with it stays within bounds.
    pub(super) is_calm: bool,
}

/// What may be named in an expression.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// Columns of the query itself.
    pub(super) own: Vec<Named>,
    /// Columns of the queries around it.
    pub(super) outer: Vec<Named>,
    /// Columns that together tell rows apart, where there are such.
    pub(super) unique: Option<Vec<Text>>,
    /// Of a query that groups: what its aggregates are about.
    pub(super) grouped: Option<Box<Scope>>,
}

impl Scope {
    /// What a subquery within it sees around it.
    pub(super) fn as_outer(&self) -> Vec<Named> {
        let plain = |named: &&Named| matches!(named.text, Text::Raw(_));
        let own = self.own.iter().filter(plain);
        own.chain(&self.outer).cloned().collect()
    }
}

const COMPARISONS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

impl Generator {
    /// An expression of a kind; a calm one can be reckoned with.
    pub(super) fn expr(&mut self, kind: Kind, depth: u32, scope: &Scope, calm: bool) -> Text {
        let inner = if depth == 0 || self.random.chance(30) {
            self.atom(kind, scope, calm)
        } else {
            self.compound(kind, depth - 1, scope, calm)
        };
        Text::Expr(kind, Box::new(inner))
    }

    /// A column, an aggregate of a grouped query, or a constant.
    fn atom(&mut self, kind: Kind, scope: &Scope, calm: bool) -> Text {
        let fits = |named: &&Named| named.kind == kind && (named.is_calm || !calm);
        if let Some(source) = &scope.grouped
            && self.random.chance(50)
        {
            return self.aggregate(kind, source, calm);
        }
        let from_outer = !scope.outer.is_empty() && self.random.chance(25);
        let columns = if from_outer { &scope.outer } else { &scope.own };
        let found: Vec<&Named> = columns.iter().filter(fits).collect();
        match found.len() {
            0 => self.literal(kind),
            _ if self.random.chance(12) => self.literal(kind),
            count => found[self.random.below(count as u64) as usize].text.clone(),
        }
    }

    /// A constant.
    pub(super) fn literal(&mut self, kind: Kind) -> Text {
        if self.random.chance(10) {
            return raw(format!("CAST(NULL AS {})", kind.sql()));
        }
        let value = match self.is_large && self.random.chance(30) {
            true => wide_constant(&mut self.random, kind),
            false => constant(&mut self.random, kind),
        };
        Text::Literal(kind, value)
    }

    fn compound(&mut self, kind: Kind, depth: u32, scope: &Scope, calm: bool) -> Text {
        match self.random.below(10) {
            0 | 1 => return self.conditional(kind, depth, scope, calm),
            2 if self.may_nest() => return self.scalar_subquery(kind, scope, calm),
            _ => {}
        }
        match kind {
            Kind::Int => self.int(depth, scope),
            Kind::Bool => self.predicate(depth, scope),
            Kind::Text => self.text(depth, scope),
            Kind::Real | Kind::Numeric => self.number(kind, depth, scope),
            Kind::Date | Kind::Bytes => self.conditional(kind, depth, scope, calm),
        }
    }

    /// CASE, COALESCE and their like.
    fn conditional(&mut self, kind: Kind, depth: u32, scope: &Scope, calm: bool) -> Text {
        let part = |this: &mut Self| this.expr(kind, depth, scope, calm);
        match self.random.below(6) {
            0 => {
                let (when, a, b) = (
                    self.expr(Kind::Bool, depth, scope, false),
                    part(self),
                    part(self),
                );
                form("CASE WHEN {0} THEN {1} ELSE {2} END", [when, a, b])
                    .rewritten("CASE WHEN ({0}) IS NOT TRUE THEN {2} ELSE {1} END")
            }
            1 => {
                let of = self.any_kind();
                let (value, at) = (
                    self.expr(of, depth, scope, false),
                    self.expr(of, 0, scope, false),
                );
                let (a, b) = (part(self), part(self));
                form("CASE {0} WHEN {1} THEN {2} ELSE {3} END", [value, at, a, b])
                    .rewritten("CASE WHEN {0} = {1} THEN {2} ELSE {3} END")
            }
            2 => {
                let (a, b) = (part(self), part(self));
                form("coalesce({0}, {1})", [a, b])
                    .rewritten("CASE WHEN {0} IS NOT NULL THEN {0} ELSE {1} END")
            }
            3 => {
                let (a, b) = (part(self), part(self));
                form("nullif({0}, {1})", [a, b])
                    .rewritten("CASE WHEN NOT coalesce({0} = {1}, false) THEN {0} END")
            }
            4 => {
                let (a, b) = (part(self), part(self));
                form("greatest({0}, {1})", [a, b])
                    .rewritten("CASE WHEN {0} >= {1} OR {1} IS NULL THEN {0} ELSE {1} END")
                    .sqlite("coalesce(max({0}, {1}), {0}, {1})")
            }
            _ => {
                let (a, b) = (part(self), part(self));
                form("least({0}, {1})", [a, b])
                    .rewritten("CASE WHEN {0} <= {1} OR {1} IS NULL THEN {0} ELSE {1} END")
                    .sqlite("coalesce(min({0}, {1}), {0}, {1})")
            }
        }
    }

    fn int(&mut self, depth: u32, scope: &Scope) -> Text {
        let a = self.expr(Kind::Int, depth, scope, true);
        let small = raw((2 + self.random.below(4)).to_string());
        match self.random.below(12) {
            0..=2 => form("({0} + {1})", [a, self.expr(Kind::Int, depth, scope, true)]),
            3 | 4 => form("({0} - {1})", [a, self.expr(Kind::Int, depth, scope, true)]),
            5 => form("({0} * {1})", [a, small]),
            6 => form("({0} / {1})", [a, small]),
            7 => form("({0} % {1})", [a, small]).rewritten("mod({0}, {1})"),
            8 => {
                let b = self.expr(Kind::Int, depth, scope, true);
                form("({0} / nullif({1}, 0))", [a, b])
            }
            9 => form("abs({0})", [a]).rewritten("CASE WHEN {0} < 0 THEN - {0} ELSE {0} END"),
            10 => {
                let text = self.expr(Kind::Text, depth, scope, false);
                form("length({0})", [text]).rewritten("char_length({0})")
            }
            _ => {
                let date = self.expr(Kind::Date, depth, scope, false);
                form("CAST(extract(month FROM {0}) AS INTEGER)", [date])
                    .sqlite("CAST(strftime('%m', {0}) AS INTEGER)")
            }
        }
    }

    fn text(&mut self, depth: u32, scope: &Scope) -> Text {
        let a = self.expr(Kind::Text, depth, scope, true);
        match self.random.below(8) {
            0 | 1 => form(
                "({0} || {1})",
                [a, self.expr(Kind::Text, depth, scope, true)],
            ),
            2 => {
                let (from, length) = (self.small(1, 4), self.small(0, 4));
                form("substr({0}, {1}, {2})", [a, from, length])
                    .rewritten("substring({0} FROM {1} FOR {2})")
            }
            3 => form("lower({0})", [a]),
            4 => form("upper({0})", [a]),
            5 => form("replace({0}, 'a', 'bc')", [a]),
            6 => form("trim({0})", [a]).rewritten("btrim({0})"),
            _ => {
                let int = self.expr(Kind::Int, depth, scope, false);
                form("CAST({0} AS TEXT)", [int])
            }
        }
    }

    fn number(&mut self, kind: Kind, depth: u32, scope: &Scope) -> Text {
        let a = self.expr(kind, depth, scope, true);
        match self.random.below(5) {
            0 => form("({0} + {1})", [a, self.expr(kind, depth, scope, true)]),
            1 => form("({0} - {1})", [a, self.expr(kind, depth, scope, true)]),
            2 => form("({0} * 2)", [a]).rewritten("({0} + {0})"),
            3 => form("abs({0})", [a]),
            _ => {
                let int = self.expr(Kind::Int, depth, scope, true);
                form(format!("CAST({{0}} AS {})", kind.sql()), [int]).sqlite("CAST({0} AS REAL)")
            }
        }
    }

    fn small(&mut self, from: u64, count: u64) -> Text {
        raw((from + self.random.below(count)).to_string())
    }

    /// A kind.
    pub(super) fn any_kind(&mut self) -> Kind {
        let kinds = [
            Kind::Int,
            Kind::Int,
            Kind::Int,
            Kind::Text,
            Kind::Text,
            Kind::Bool,
            Kind::Real,
            Kind::Numeric,
            Kind::Date,
            Kind::Bytes,
        ];
        self.random.pick(&kinds).expect("kinds")
    }

    /// The kind of one of the columns, mostly.
    pub(super) fn kind_of(&mut self, scope: &Scope) -> Kind {
        match scope.own.len() {
            0 => self.any_kind(),
            _ if self.random.chance(10) => self.any_kind(),
            count => scope.own[self.random.below(count as u64) as usize].kind,
        }
    }

    /// Something that is true, false or NULL.
    pub(super) fn predicate(&mut self, depth: u32, scope: &Scope) -> Text {
        let text = match self.random.below(14) {
            0..=3 => self.comparison(depth, scope),
            4 => {
                let (a, b) = (self.condition(depth, scope), self.condition(depth, scope));
                form("({0} AND {1})", [a, b]).rewritten("(NOT ((NOT {0}) OR (NOT {1})))")
            }
            5 => {
                let (a, b) = (self.condition(depth, scope), self.condition(depth, scope));
                form("({0} OR {1})", [a, b]).rewritten("(NOT ((NOT {0}) AND (NOT {1})))")
            }
            6 => form("(NOT {0})", [self.condition(depth, scope)]).rewritten("({0} = false)"),
            7 => self.test(depth, scope),
            8 => self.listed(depth, scope),
            9 => self.between(depth, scope),
            10 => self.like(depth, scope),
            11 | 12 if self.may_nest() => self.subquery_predicate(depth, scope),
            _ => self.comparison(depth, scope),
        };
        Text::Expr(Kind::Bool, Box::new(text))
    }

    fn condition(&mut self, depth: u32, scope: &Scope) -> Text {
        self.predicate(depth.saturating_sub(1), scope)
    }

    /// Two values compared.
    pub(super) fn comparison(&mut self, depth: u32, scope: &Scope) -> Text {
        let kind = self.kind_of(scope);
        let depth = depth.saturating_sub(1);
        let (a, b) = (
            self.expr(kind, depth, scope, false),
            self.expr(kind, depth, scope, false),
        );
        let sign = self.random.pick(&COMPARISONS).expect("signs");
        let turned = match sign {
            "<" => ">",
            "<=" => ">=",
            ">" => "<",
            ">=" => "<=",
            same => same,
        };
        match self.random.below(12) {
            0 => form("({0} IS DISTINCT FROM {1})", [a, b])
                .rewritten("(CASE WHEN {0} IS NULL THEN {1} IS NOT NULL WHEN {1} IS NULL THEN true ELSE {0} <> {1} END)"),
            1 => form("({0} IS NOT DISTINCT FROM {1})", [a, b]),
            2 => {
                let other = self.kind_of(scope);
                let (c, d) = (self.expr(other, 0, scope, false), self.expr(other, 0, scope, false));
                form(format!("(({{0}}, {{2}}) {sign} ({{1}}, {{3}}))"), [a, b, c, d])
            }
            _ => form(format!("({{0}} {sign} {{1}})"), [a, b])
                .rewritten(format!("({{1}} {turned} {{0}})")),
        }
    }

    /// IS NULL, IS TRUE and their like.
    fn test(&mut self, depth: u32, scope: &Scope) -> Text {
        let kind = self.kind_of(scope);
        let depth = depth.saturating_sub(1);
        match self.random.below(4) {
            0 => form("({0} IS NULL)", [self.expr(kind, depth, scope, false)]),
            1 => form("({0} IS NOT NULL)", [self.expr(kind, depth, scope, false)])
                .rewritten("(NOT ({0} IS NULL))"),
            _ => {
                let tests = ["TRUE", "FALSE", "NOT TRUE", "NOT FALSE"];
                let test = self.random.pick(&tests).expect("tests");
                form(format!("({{0}} IS {test})"), [self.predicate(depth, scope)])
            }
        }
    }

    /// IN with a list.
    fn listed(&mut self, depth: u32, scope: &Scope) -> Text {
        let kind = self.kind_of(scope);
        let value = self.expr(kind, depth.saturating_sub(1), scope, false);
        let count = 1 + self.random.below(4);
        let items = (0..count)
            .map(|_| self.expr(kind, 0, scope, false))
            .collect();
        let not = ["", "NOT "][self.random.below(2) as usize];
        form(
            format!("({{0}} {not}IN ({{1}}))"),
            [value, Text::Items(", ", items)],
        )
    }

    fn between(&mut self, depth: u32, scope: &Scope) -> Text {
        let kind = self.kind_of(scope);
        let value = self.expr(kind, depth.saturating_sub(1), scope, false);
        let (low, high) = (
            self.expr(kind, 0, scope, false),
            self.expr(kind, 0, scope, false),
        );
        match self.random.below(3) {
            0 => form("({0} NOT BETWEEN {1} AND {2})", [value, low, high])
                .rewritten("({0} < {1} OR {0} > {2})"),
            _ => form("({0} BETWEEN {1} AND {2})", [value, low, high])
                .rewritten("({0} >= {1} AND {0} <= {2})"),
        }
    }

    fn like(&mut self, depth: u32, scope: &Scope) -> Text {
        let value = self.expr(Kind::Text, depth.saturating_sub(1), scope, false);
        let patterns = ["a%", "%b", "%a%", "_", "a_", "%", "", "A%", "%b_%", "ab"];
        let pattern = self.random.pick(&patterns).expect("patterns");
        let pattern = Text::Literal(Kind::Text, pattern.to_owned());
        let not = ["", "NOT "][self.random.below(2) as usize];
        form(format!("({{0}} {not}LIKE {{1}})"), [value, pattern])
    }

    /// An aggregate of a kind over the rows of a group.
    pub(super) fn aggregate(&mut self, kind: Kind, source: &Scope, calm: bool) -> Text {
        let inner = Scope {
            own: source.own.clone(),
            ..Scope::default()
        };
        let depth = self.random.below(2) as u32;
        let (shape, of, sqlite): (&'static str, Kind, Option<&'static str>) = match kind {
            Kind::Int => match self.random.below(6) {
                0 | 1 => ("count(*)", Kind::Int, None),
                2 => ("count({0})", self.kind_of(&inner), None),
                3 => ("count(DISTINCT {0})", self.kind_of(&inner), None),
                4 => ("CAST(sum({0}) AS BIGINT)", Kind::Int, Some("sum({0})")),
                _ => (
                    ["max({0})", "min({0})"][self.random.below(2) as usize],
                    kind,
                    None,
                ),
            },
            Kind::Bool => match self.random.below(2) {
                0 => ("bool_and({0})", kind, Some("min({0})")),
                _ => ("bool_or({0})", kind, Some("max({0})")),
            },
            Kind::Text => match self.random.below(3) {
                0 => (
                    "string_agg({0}, ',' ORDER BY {0})",
                    kind,
                    Some("group_concat({0}, ',' ORDER BY {0})"),
                ),
                1 => ("max({0})", kind, None),
                _ => ("min({0})", kind, None),
            },
            Kind::Real => match self.random.below(5) {
                0 => ("sum({0})", kind, None),
                1 => ("avg({0})", kind, None),
                2 => (
                    "(CAST(sum({0}) AS DOUBLE PRECISION) / nullif(count({0}), 0))",
                    Kind::Int,
                    None,
                ),
                3 => ("max({0})", kind, None),
                _ => ("min({0})", kind, None),
            },
            Kind::Numeric => match self.random.below(4) {
                0 => ("sum({0})", kind, None),
                1 => ("sum(DISTINCT {0})", kind, None),
                2 => ("max({0})", kind, None),
                _ => ("min({0})", kind, None),
            },
            Kind::Date => (
                ["max({0})", "min({0})"][self.random.below(2) as usize],
                kind,
                None,
            ),
            // min and max of BYTEA came later than PostgreSQL 15.
            Kind::Bytes => return self.literal(kind),
        };
        let reckons = shape.contains("sum") || shape.contains("avg");
        let argument = self.expr(of, depth, &inner, reckons || calm);
        let filter = self.random.chance(20).then(|| self.predicate(1, &inner));
        filtered(shape, sqlite, argument, filter)
    }
}

/// The call with a FILTER, if there is one; in other words, a CASE within it.
fn filtered(shape: &str, sqlite: Option<&str>, argument: Text, filter: Option<Text>) -> Text {
    let Some(filter) = filter else {
        let text = form(shape.to_owned(), [argument]);
        return match sqlite {
            Some(sqlite) => text.sqlite(sqlite.to_owned()),
            None => text,
        };
    };
    let with = |shape: &str| match (shape.strip_prefix("CAST("), shape.strip_prefix('(')) {
        // The call is what is in the cast.
        (Some(call), _) => {
            let (call, rest) = call.split_once(" AS ").expect("a cast");
            format!("CAST({call} FILTER (WHERE {{1}}) AS {rest}")
        }
        (_, Some(_)) => shape.replace("{0}", "CASE WHEN {1} THEN {0} END"),
        _ => format!("{shape} FILTER (WHERE {{1}})"),
    };
    let text = form(with(shape), [argument, filter]);
    let text = match shape.contains("{0}") && !shape.contains("ORDER BY") {
        true => text.rewritten(shape.replace("{0}", "CASE WHEN {1} THEN {0} END")),
        false => text,
    };
    match sqlite {
        Some(sqlite) => text.sqlite(with(sqlite)),
        None => text,
    }
}
