//! Joins, semi joins, subqueries and LATERAL that look rows of a large table up by a key.
//!
//! The outer side is small: a small table, a list of values, or a page of the large table itself. So a query ends
//! soon even where rules are left out.

use super::Generator;
use super::change::{fixed, scope};
use super::expr::Named;
use super::from::derived;
use super::paths::filter;
use super::schema::{Column, Table};
use super::search::Searched;
use super::text::{Dialect, Kind, Text, form, optional, raw};

/// Rows of a small table at most: changes make it larger.
const OUTER_ROWS_MAX: usize = 100;

/// The small side of a join.
struct Outer {
    /// As FROM has it.
    text: Text,
    /// Its columns.
    columns: Vec<Named>,
}

impl Outer {
    /// All columns as items of a list.
    fn items(&self) -> Vec<Text> {
        self.columns
            .iter()
            .map(|named| named.text.clone())
            .collect()
    }

    /// The names of all columns.
    fn names(&self) -> Vec<String> {
        let name = |named: &Named| named.text.render(Dialect::Remora);
        self.columns.iter().filter_map(name).collect()
    }

    /// The first column that holds what a key does.
    fn value(&self, key: &Column) -> Option<Text> {
        let named = self.columns.iter().find(|named| named.kind == key.kind);
        named.map(|named| named.text.clone())
    }
}

impl Generator {
    /// The small side for a join by a key.
    fn outer(&mut self, of: &Searched, key: &Column) -> Outer {
        match self.random.below(3) {
            0 => {
                let found = self.small_table(key.kind);
                found.unwrap_or_else(|| self.value_list(of, key))
            }
            1 => self.value_list(of, key),
            _ => self.page_beside(of, key),
        }
    }

    /// A small table that has a column of a kind.
    fn small_table(&mut self, kind: Kind) -> Option<Outer> {
        let fits = |table: &&Table| {
            let has_kind = table.columns.iter().any(|column| column.kind == kind);
            has_kind && table.rows.len() < OUTER_ROWS_MAX
        };
        let tables: Vec<&Table> = self.tables.iter().filter(fits).collect();
        let table = self.random.pick(&tables)?.clone();
        let alias = self.alias();
        Some(Outer {
            text: raw(format!("{} AS {alias}", table.name)),
            columns: scope(&table, &alias).own,
        })
    }

    /// A list of values of two keys.
    fn value_list(&mut self, of: &Searched, key: &Column) -> Outer {
        let keys = [key.clone(), self.search_key(of)];
        let rows = (0..2 + self.random.below(7)).map(|_| {
            let row = keys.iter().map(|key| self.constant_in(key)).collect();
            form("({0})", [Text::Items(", ", row)])
        });
        let values = form("VALUES {0}", [Text::Items(", ", rows.collect())]);
        self.beside(values, &keys)
    }

    /// Some rows of the large table itself.
    fn page_beside(&mut self, of: &Searched, key: &Column) -> Outer {
        let inner = Searched {
            table: of.table.clone(),
            name: self.alias(),
        };
        let keys = [key.clone(), self.any_column(of)];
        let items = keys.iter().map(|key| inner.column(key)).collect();
        let (order, rows) = (self.total_order(&inner), self.rows(&inner));
        let limit = 1 + self.random.below(12);
        let shape = format!("SELECT {{0}}{{1}} ORDER BY {order} LIMIT {limit}");
        let page = form(shape, [Text::Items(", ", items), rows]);
        self.beside(page, &keys)
    }

    /// A subquery in FROM that has these columns.
    fn beside(&mut self, query: Text, keys: &[Column]) -> Outer {
        let alias = self.alias();
        let kinds: Vec<(Kind, bool)> = keys.iter().map(|key| (key.kind, key.is_calm)).collect();
        let source = derived(query, &alias, &kinds);
        Outer {
            text: source.text,
            columns: source.scope.own,
        }
    }

    /// A join with the small side: its rows, the first of an order, or how many there are.
    pub(super) fn path_join(&mut self, of: &Searched) -> (Text, bool) {
        let key = self.search_key(of);
        let outer = self.outer(of, &key);
        let link = self.search_link(of, &key, &outer.columns);
        let (kind, turned) = match self.random.below(3) {
            0 => ("LEFT JOIN", "RIGHT JOIN"),
            _ => ("JOIN", "JOIN"),
        };
        let large = format!("{} AS {}", of.table.name, of.name);
        let source = form(
            format!("{{0}} {kind} {large} ON {{1}}"),
            [outer.text.clone(), link],
        )
        .rewritten(format!("{large} {turned} {{0}} ON {{1}}"));
        let search = match self.random.chance(30) {
            true => filter(self.search(of)),
            false => raw(""),
        };
        let own = outer.items();
        let more = [vec![raw(format!("{}.id", of.name))], self.shown(of)].concat();
        match self.random.below(4) {
            0 => {
                let parts = [more[1].clone(), source, search];
                (
                    form("SELECT count(*), count({0}) FROM {1}{2}", parts),
                    false,
                )
            }
            1 => (
                form(
                    "SELECT {0}, {1} FROM {2}{3}",
                    [fixed(own), Text::Items(", ", more), source, search],
                ),
                false,
            ),
            _ => {
                let order = self.join_order(of, &outer);
                let limit = self.limit();
                let shape = format!("SELECT {{0}}, {{1}} FROM {{2}}{{3}} ORDER BY {order}{{4}}");
                let items = Text::Items(", ", more);
                (
                    form(shape, [fixed(own), items, source, search, limit]),
                    true,
                )
            }
        }
    }

    /// An order of joined rows: by a key of the large table, and then by all that tells rows apart.
    fn join_order(&mut self, of: &Searched, outer: &Outer) -> String {
        let large = self.total_order(of);
        let small: Vec<String> = outer
            .names()
            .iter()
            .map(|name| self.term(name, false))
            .collect();
        let small = small.join(", ");
        match self.random.chance(75) {
            true => format!("{large}, {small}"),
            false => format!("{small}, {large}"),
        }
    }

    /// IN and EXISTS: rows of the small side that the large one has, or rows of the large one.
    pub(super) fn path_semi_join(&mut self, of: &Searched) -> (Text, bool) {
        let key = self.search_key(of);
        let outer = self.outer(of, &key);
        let not = ["", "NOT "][self.random.below(2) as usize];
        let large = format!("{} AS {}", of.table.name, of.name);
        let link = self.search_link(of, &key, &outer.columns);
        let more = optional(form(" AND {0}", [self.search_test(of)]));
        let own = fixed(outer.items());
        let value = outer.value(&key);
        match (self.random.below(4), value) {
            (0, Some(value)) => {
                let quantified = if not.is_empty() { "= ANY" } else { "<> ALL" };
                let parts = [own, outer.text, value, of.column(&key), self.rows(of)];
                let shape =
                    format!("SELECT {{0}} FROM {{1}} WHERE {{2}} {not}IN (SELECT {{3}}{{4}})");
                let text = form(shape, parts).rewritten(format!(
                    "SELECT {{0}} FROM {{1}} WHERE {{2}} {quantified} (SELECT {{3}}{{4}})"
                ));
                (text, false)
            }
            (1, Some(value)) => {
                let test = form(
                    format!("{{0}} {not}IN (SELECT {{1}} FROM {{2}})"),
                    [of.column(&key), value, outer.text],
                );
                self.large_rows_where(of, &large, form("{0}{1}", [test, more]))
            }
            (2, _) => {
                // A count for each row of the large table would take long.
                let shape = format!("({not}EXISTS (SELECT 1 FROM {{0}} WHERE {{1}})){{2}}");
                let test = form(shape, [outer.text, link, more]);
                self.large_rows_where(of, &large, test)
            }
            _ => {
                let test = exists(not, raw(large), form("{0}{1}", [link, more]));
                (
                    form("SELECT {0} FROM {1} WHERE {2}", [own, outer.text, test]),
                    false,
                )
            }
        }
    }

    /// Rows of the large table, all or the first.
    fn large_rows_where(&mut self, of: &Searched, large: &str, test: Text) -> (Text, bool) {
        let items = Text::Items(", ", self.shown(of));
        if self.random.chance(40) {
            return (
                form(
                    format!("SELECT {{0}} FROM {large} WHERE {{1}}"),
                    [items, test],
                ),
                false,
            );
        }
        let (order, limit) = (self.total_order(of), self.limit());
        let shape = format!("SELECT {{0}} FROM {large} WHERE {{1}} ORDER BY {order}{{2}}");
        (form(shape, [items, test, limit]), true)
    }

    /// Which rows of the large table belong to an outer row: by a key, or all on one side of it.
    fn link_or_beyond(&mut self, of: &Searched, key: &Column, outer: &[Named]) -> Text {
        let fits = outer.iter().find(|named| named.kind == key.kind);
        let Some(named) = fits.filter(|_| self.random.chance(50)) else {
            return self.search_link(of, key, outer);
        };
        let (sign, turned) = self.inequality();
        let test = form(
            format!("({{0}} {sign} {{1}})"),
            [of.column(key), named.text.clone()],
        )
        .rewritten(format!("({{1}} {turned} {{0}})"));
        Text::Expr(Kind::Bool, Box::new(test))
    }

    /// Values that are looked up for each row of the small side.
    pub(super) fn path_subqueries(&mut self, of: &Searched) -> Text {
        let key = self.search_key(of);
        let outer = self.outer(of, &key);
        let mut items = Vec::new();
        for _ in 0..1 + self.random.below(2) {
            items.push(self.looked_up(of, &key, &outer));
        }
        let parts = [fixed(outer.items()), Text::Items(", ", items), outer.text];
        form("SELECT {0}, {1} FROM {2}", parts)
    }

    fn looked_up(&mut self, of: &Searched, key: &Column, outer: &Outer) -> Text {
        let link = self.link_or_beyond(of, key, &outer.columns);
        let more = match self.random.chance(30) {
            true => optional(form(" AND {0}", [self.search_test(of)])),
            false => raw(""),
        };
        let rows = form(
            format!(" FROM {} AS {} WHERE {{0}}{{1}}", of.table.name, of.name),
            [link, more],
        );
        let column = self.any_column(of);
        let has_least = !matches!(column.kind, Kind::Bool | Kind::Bytes);
        let name = of.column(&column);
        let (kind, text) = match self.random.below(6) {
            0 => (Kind::Int, form("(SELECT count(*){0})", [rows])),
            1 if has_least => {
                let call = ["min", "max"][self.random.below(2) as usize];
                (
                    column.kind,
                    form(format!("(SELECT {call}({{1}}){{0}})"), [rows, name]),
                )
            }
            2 if !matches!(key.kind, Kind::Bool | Kind::Bytes) => {
                let (call, direction) =
                    [("min", "ASC"), ("max", "DESC")][self.random.below(2) as usize];
                let name = of.name_of(key);
                let text = form(format!("(SELECT {call}({name}){{0}})"), [rows]).rewritten(
                    format!("(SELECT {name}{{0}} ORDER BY {name} {direction} NULLS LAST LIMIT 1)"),
                );
                (key.kind, text)
            }
            _ => {
                let order = self.order_from(of, key);
                let offset = if self.random.chance(20) {
                    " OFFSET 1"
                } else {
                    ""
                };
                let shape = format!("(SELECT {{1}}{{0}} ORDER BY {order} LIMIT 1{offset})");
                (column.kind, form(shape, [rows, name]))
            }
        };
        Text::Expr(kind, Box::new(text))
    }

    /// A total order that begins with the key by which rows are looked up, mostly.
    fn order_from(&mut self, of: &Searched, key: &Column) -> String {
        if self.random.chance(30) {
            return self.total_order(of);
        }
        let is_descending = self.random.chance(50);
        let first = self.term(&of.name_of(key), is_descending);
        let last = self.term(&format!("{}.id", of.name), is_descending);
        match key.name.as_str() {
            "id" => first,
            _ => format!("{first}, {last}"),
        }
    }

    /// The first rows for each row of the small side, and perhaps the first for each of those. SQLite has no LATERAL.
    pub(super) fn path_lateral(&mut self, of: &Searched) -> Text {
        let key = self.search_key(of);
        let outer = self.outer(of, &key);
        let (first, alias) = (self.first_rows(of, &key, &outer.columns), self.alias());
        let first_columns = columns_of(&alias, &key);
        let small = fixed(outer.items());
        let shown = format!("{alias}.c0, {alias}.c1");
        let join = self.lateral_words();
        if self.random.chance(40) {
            let shape = format!("SELECT {{0}}, {shown} FROM {{1}} {}", join("{2}", &alias));
            return form(shape, [small, outer.text, first]).not_sqlite();
        }
        let inner = Searched {
            table: of.table.clone(),
            name: self.alias(),
        };
        let inner_key = self.search_key(&inner);
        let is_within = self.random.chance(50);
        let around = [&first_columns[..], &outer.columns].concat();
        let second = self.first_rows(&inner, &inner_key, &around);
        let (other, whole) = (self.alias(), self.alias());
        let other_join = self.lateral_words();
        let parts = [small, outer.text, first, second];
        let shape = match is_within {
            // All rows of both, so that no order within decides.
            true => {
                let within = format!(
                    "(SELECT {shown}, {other}.c0 FROM {{2}} AS {alias} (c0, c1) {})",
                    other_join("{3}", &other)
                );
                format!(
                    "SELECT {{0}}, {whole}.* FROM {{1}} {}",
                    join(&within, &whole)
                )
            }
            false => format!(
                "SELECT {{0}}, {shown}, {other}.c0, {other}.c1 FROM {{1}} {} {}",
                join("{2}", &alias),
                other_join("{3}", &other)
            ),
        };
        form(shape, parts).not_sqlite()
    }

    /// CROSS JOIN LATERAL, or LEFT JOIN LATERAL.
    fn lateral_words(&mut self) -> fn(&str, &str) -> String {
        match self.random.below(3) {
            0 => |query, alias| format!("LEFT JOIN LATERAL {query} AS {alias} ON true"),
            _ => |query, alias| format!("CROSS JOIN LATERAL {query} AS {alias}"),
        }
    }

    /// A subquery of the first rows that belong to a row around it: `id` and the key.
    fn first_rows(&mut self, of: &Searched, key: &Column, around: &[Named]) -> Text {
        let link = self.link_or_beyond(of, key, around);
        let more = match self.random.chance(30) {
            true => optional(form(" AND {0}", [self.search_test(of)])),
            false => raw(""),
        };
        let (order, limit) = (self.order_from(of, key), 1 + self.random.below(3));
        let (table, name) = (&of.table.name, &of.name);
        let shape = format!(
            "(SELECT {name}.id AS c0, {} AS c1 FROM {table} AS {name} WHERE {{0}}{{1}} ORDER BY {order} LIMIT {limit})",
            of.name_of(key)
        );
        form(shape, [link, more])
    }
}

/// EXISTS; in other words, a count.
fn exists(not: &str, source: Text, test: Text) -> Text {
    form(
        format!("({not}EXISTS (SELECT 1 FROM {{0}} WHERE {{1}}))"),
        [source, test],
    )
    .rewritten(format!(
        "({not}((SELECT count(*) FROM {{0}} WHERE {{1}}) > 0))"
    ))
}

/// The columns of [`Generator::first_rows`] under an alias.
fn columns_of(alias: &str, key: &Column) -> [Named; 2] {
    [("c0", Kind::Int, true), ("c1", key.kind, key.is_calm)].map(|(name, kind, is_calm)| Named {
        text: raw(format!("{alias}.{name}")),
        kind,
        is_calm,
    })
}
