//! Conditions that an index answers, over a large table.
//!
//! Each test is about a key, mostly the first one of an index, and compares it with values of its own domain, so
//! that some rows are found, and not all. Tests are joined by AND, at times with one that no index knows.

use super::Generator;
use super::change::scope;
use super::expr::{Named, Scope};
use super::schema::{Column, Table};
use super::text::{Kind, Text, form, raw};

/// Rows from which on a table is large.
pub(super) const LARGE_ROWS_MIN: usize = 1_000;

/// A large table, as a statement names it.
#[derive(Clone, Debug)]
pub(super) struct Searched {
    /// The table.
    pub(super) table: Table,
    /// Its alias, or its own name.
    pub(super) name: String,
}

impl Searched {
    /// The text that names a column.
    pub(super) fn column(&self, column: &Column) -> Text {
        raw(self.name_of(column))
    }

    /// The name of a column, with that of the table.
    pub(super) fn name_of(&self, column: &Column) -> String {
        format!("{}.{}", self.name, column.name)
    }

    /// All columns.
    pub(super) fn scope(&self) -> Scope {
        scope(&self.table, &self.name)
    }

    /// The columns that are plain keys of an index, in order, and whether each is descending.
    pub(super) fn keys_of(&self, index: usize) -> Vec<(Column, bool)> {
        let keys = self.table.indexes[index].keys.iter();
        keys.map_while(|key| {
            let name = key.trim_end_matches(" DESC");
            let column = self.table.columns.iter().find(|c| c.name == name)?;
            Some((column.clone(), name != key))
        })
        .collect()
    }
}

impl Generator {
    /// The large table under a new alias, if there is one.
    pub(super) fn searched(&mut self) -> Option<Searched> {
        let is_large = |table: &&Table| table.rows.len() > LARGE_ROWS_MIN;
        let table = self.tables.iter().find(is_large)?.clone();
        let name = self.alias();
        Some(Searched { table, name })
    }

    /// A column to search by: the first one of an index, mostly.
    pub(super) fn search_key(&mut self, of: &Searched) -> Column {
        let count = of.table.indexes.len() as u64;
        let first = match self.random.below(10) {
            0..=6 if count > 0 => of.keys_of(self.random.below(count) as usize),
            7 => vec![(of.table.columns[0].clone(), false)],
            _ => Vec::new(),
        };
        match first.into_iter().next() {
            Some((column, _)) => column,
            None => self.any_column(of),
        }
    }

    /// One of the columns.
    pub(super) fn any_column(&mut self, of: &Searched) -> Column {
        let count = of.table.columns.len() as u64;
        of.table.columns[self.random.below(count) as usize].clone()
    }

    /// A column that an index has behind this one, or `id`.
    fn second_key(&mut self, of: &Searched, first: &Column) -> Column {
        let indexes = 0..of.table.indexes.len();
        let second = indexes.filter_map(|index| match &of.keys_of(index)[..] {
            [(one, _), (two, _), ..] if one.name == first.name => Some(two.clone()),
            _ => None,
        });
        let found: Vec<Column> = second.collect();
        match found.len() as u64 {
            0 => of.table.columns[0].clone(),
            count => found[self.random.below(count) as usize].clone(),
        }
    }

    /// A value that a column may have.
    fn value_in(&mut self, column: &Column) -> String {
        match column.name.as_str() {
            "id" => self.random.below(2_400).to_string(),
            _ => column.constant(&mut self.random),
        }
    }

    /// A constant that a column may have, seldom NULL.
    pub(super) fn constant_in(&mut self, column: &Column) -> Text {
        match self.random.chance(3) {
            true => raw(format!("CAST(NULL AS {})", column.kind.sql())),
            false => Text::Literal(column.kind, self.value_in(column)),
        }
    }

    /// Two constants, mostly the lower one first, and not far apart where a column has many values.
    fn bounds_in(&mut self, column: &Column) -> [Text; 2] {
        let low = self.value_in(column);
        let high = match (column.kind, low.parse::<i64>()) {
            (Kind::Int, Ok(low)) if column.is_wide || column.name == "id" => {
                (low + self.random.below(60) as i64).to_string()
            }
            (Kind::Text, _) if self.random.chance(50) => format!("{low}é"),
            _ => self.value_in(column),
        };
        let is_number = matches!(column.kind, Kind::Int | Kind::Real | Kind::Numeric);
        let is_turned = match (low.parse::<f64>(), high.parse::<f64>()) {
            (Ok(low), Ok(high)) if is_number => low > high,
            _ => low > high,
        };
        let bounds = [low, high].map(|value| Text::Literal(column.kind, value));
        match is_turned && !self.random.chance(10) {
            true => {
                let [high, low] = bounds;
                [low, high]
            }
            false => bounds,
        }
    }

    /// Tests of keys joined by AND, at times with any other predicate.
    pub(super) fn search(&mut self, of: &Searched) -> Text {
        let count = 1 + self.random.below(3) * self.random.below(2);
        let mut tests: Vec<Text> = (0..count).map(|_| self.search_test(of)).collect();
        if self.random.chance(25) {
            tests.push(self.predicate(1, &of.scope()));
        }
        Text::Items(" AND ", tests)
    }

    /// A test of one key.
    pub(super) fn search_test(&mut self, of: &Searched) -> Text {
        let column = self.search_key(of);
        let key = of.column(&column);
        let text = match self.random.below(16) {
            3 => self.bound(&column, key),
            4 | 5 => self.between_bounds(&column, key),
            6 | 7 => self.one_of(&column, key),
            8 => self.alternatives(of),
            9 => form("({0} IS NULL)", [key]),
            10 => form("({0} IS NOT NULL)", [key]).rewritten("(NOT {0} IS NULL)"),
            11 | 12 if column.kind == Kind::Text => self.beginning(&column, key),
            13 => self.row_comparison(of, &column),
            14 => form(
                "({0} IS NOT DISTINCT FROM {1})",
                [key, self.constant_in(&column)],
            ),
            15 => form("({0} <> {1})", [key, self.constant_in(&column)]),
            _ => self.equality(&column, key),
        };
        Text::Expr(Kind::Bool, Box::new(text))
    }

    fn equality(&mut self, column: &Column, key: Text) -> Text {
        form("({0} = {1})", [key, self.constant_in(column)]).rewritten("({1} = {0})")
    }

    fn bound(&mut self, column: &Column, key: Text) -> Text {
        let (sign, turned) = self.inequality();
        form(
            format!("({{0}} {sign} {{1}})"),
            [key, self.constant_in(column)],
        )
        .rewritten(format!("({{1}} {turned} {{0}})"))
    }

    /// A sign, and the sign for the sides swapped.
    pub(super) fn inequality(&mut self) -> (&'static str, &'static str) {
        let signs = [("<", ">"), ("<=", ">="), (">", "<"), (">=", "<=")];
        self.random.pick(&signs).expect("signs")
    }

    fn between_bounds(&mut self, column: &Column, key: Text) -> Text {
        let [low, high] = self.bounds_in(column);
        let parts = [key, low, high];
        match self.random.below(3) {
            0 => form("({0} > {1} AND {0} < {2})", parts)
                .rewritten("(NOT ({0} <= {1} OR {0} >= {2}))"),
            _ => form("({0} BETWEEN {1} AND {2})", parts).rewritten("({0} >= {1} AND {0} <= {2})"),
        }
    }

    fn one_of(&mut self, column: &Column, key: Text) -> Text {
        let count = match self.random.below(3) {
            0 => 1 + self.random.below(40),
            _ => 1 + self.random.below(5),
        };
        let values = (0..count).map(|_| self.constant_in(column)).collect();
        form("({0} IN ({1}))", [key, Text::Items(", ", values)])
            .rewritten("({0} = ANY (ARRAY[{1}]))")
    }

    /// Equalities of one column or several, joined by OR.
    fn alternatives(&mut self, of: &Searched) -> Text {
        let mut column = self.search_key(of);
        let mut tests = Vec::new();
        for _ in 0..2 + self.random.below(3) {
            let key = of.column(&column);
            let test = match self.random.below(6) {
                0 => form("({0} IS NULL)", [key]),
                1 => self.between_bounds(&column, key),
                _ => self.equality(&column, key),
            };
            tests.push(Text::Expr(Kind::Bool, Box::new(test)));
            if self.random.chance(50) {
                column = self.search_key(of);
            }
        }
        form("({0})", [Text::Items(" OR ", tests)])
    }

    /// How a text begins. SQLite has LIKE, which is told to tell cases apart.
    fn beginning(&mut self, column: &Column, key: Text) -> Text {
        let length = 1 + self.random.below(3) as usize;
        let value = self.value_in(column);
        // Only what is no sign in a pattern.
        let letters = value.chars().filter(|c| c.is_alphanumeric());
        let prefix: String = letters.take(length).collect();
        let pattern = Text::Literal(Kind::Text, format!("{prefix}%"));
        let parts = [key, Text::Literal(Kind::Text, prefix), pattern];
        let sqlite = "(substr({0}, 1, length({1})) = {1})";
        match self.random.below(3) {
            0 => form("({0} ^@ {1})", parts)
                .rewritten("({0} LIKE {2})")
                .sqlite(sqlite),
            1 => form("starts_with({0}, {1})", parts)
                .rewritten("({0} LIKE {2})")
                .sqlite(sqlite),
            _ => form("({0} LIKE {2})", parts).rewritten("starts_with({0}, {1})"),
        }
    }

    /// Two columns compared at once, as for the page after a row.
    fn row_comparison(&mut self, of: &Searched, first: &Column) -> Text {
        let second = self.second_key(of, first);
        let (sign, _) = self.inequality();
        let parts = [
            of.column(first),
            of.column(&second),
            self.constant_in(first),
            self.constant_in(&second),
        ];
        let strict = sign.trim_end_matches('=');
        form(format!("(({{0}}, {{1}}) {sign} ({{2}}, {{3}}))"), parts).rewritten(format!(
            "({{0}} {strict} {{2}} OR ({{0}} = {{2}} AND {{1}} {sign} {{3}}))"
        ))
    }

    /// How rows of the large table belong to a row of a small one: by a key.
    pub(super) fn search_link(&mut self, of: &Searched, key: &Column, outer: &[Named]) -> Text {
        let fits: Vec<&Named> = outer
            .iter()
            .filter(|named| named.kind == key.kind)
            .collect();
        let Some(named) = fits.get(self.random.below(fits.len().max(1) as u64) as usize) else {
            return self.search_test(of);
        };
        let other = fits[self.random.below(fits.len() as u64) as usize]
            .text
            .clone();
        let parts = [of.column(key), named.text.clone()];
        let text = match self.random.below(12) {
            0 => form("({0} IS NOT DISTINCT FROM {1})", parts),
            1 | 2 => band(key, named, other, parts),
            3 => {
                let [key, value] = parts;
                let (one, two) = (self.search_test(of), self.search_test(of));
                form(
                    "(({0} = {1} AND {2}) OR ({0} = {1} AND {3}))",
                    [key, value, one, two],
                )
                .rewritten("({0} = {1} AND ({2} OR {3}))")
            }
            4 => {
                let [own, value] = parts;
                let items = vec![value, other, self.constant_in(key)];
                form("({0} IN ({1}))", [own, Text::Items(", ", items)])
            }
            5 | 6 => {
                let [key, value] = parts;
                form("({0} = {1} AND {2})", [key, value, self.search_test(of)])
            }
            _ => form("({0} = {1})", parts).rewritten("({1} = {0})"),
        };
        Text::Expr(Kind::Bool, Box::new(text))
    }
}

/// A key between two values that are near those of another row.
fn band(key: &Column, named: &Named, other: Text, [own, value]: [Text; 2]) -> Text {
    match key.kind {
        Kind::Int if key.is_calm && named.is_calm => {
            form("({0} BETWEEN {1} - 1 AND {1} + 1)", [own, value])
                .rewritten("({0} >= {1} - 1 AND {0} <= {1} + 1)")
        }
        Kind::Text => form("({0} >= {1} AND {0} < ({1} || 'b'))", [own, value])
            .rewritten("({0} BETWEEN {1} AND ({1} || 'b') AND {0} <> ({1} || 'b'))"),
        _ => form("({0} >= {1} AND {0} <= {2})", [own, value, other]),
    }
}
