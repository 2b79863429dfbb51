//! Queries that an index answers: pages, groups, and least and greatest values of a large table.
//!
//! Each query searches the table (`search`), or stands beside a few rows that are joined to it (`beside`). Orders
//! are total, and say where NULLs are: they end with `id`, or name all that is shown.

use super::Generator;
use super::schema::Column;
use super::search::Searched;
use super::text::{Kind, Text, form, optional, raw};

impl Generator {
    /// A query over the large table, if there is one, and whether it says in which order its rows come.
    pub(super) fn path_query(&mut self) -> Option<(Text, bool)> {
        let of = self.searched()?;
        self.nested = 0;
        self.visible.clear();
        Some(match self.random.below(20) {
            0..=4 => (self.page(&of), true),
            5 => (self.found(&of), false),
            6 => (self.first_values(&of), true),
            7 => (self.first_groups(&of), true),
            8 => (self.first_of_each(&of), true),
            9 => (self.ends(&of), false),
            10..=12 => self.path_join(&of),
            13..=15 => self.path_semi_join(&of),
            16 | 17 => (self.path_subqueries(&of), false),
            _ => (self.path_lateral(&of), false),
        })
    }

    /// UPDATE or DELETE of what a search finds, in the large table, if there is one.
    pub(super) fn path_change(&mut self) -> Option<Text> {
        let mut of = self.searched()?;
        of.name.clone_from(&of.table.name);
        let name = &of.table.name;
        let search = self.search(&of);
        let column = self.search_key(&of);
        let returning = optional(raw(format!(" RETURNING {name}.id")));
        if of.table.has_more_keys() || column.name == "id" || self.random.chance(30) {
            // Some rows of them: there must be many left.
            let part = self.random.below(4);
            let shape = format!("DELETE FROM {name} WHERE {{0}} AND {name}.id % 4 = {part}{{1}}");
            return Some(form(shape, [search, returning]));
        }
        let value = match column.kind {
            Kind::Int if column.is_wide => {
                let step = self.random.below(40) as i64 - 9;
                form(format!("({{0}} + {step})"), [raw(column.name.clone())])
            }
            _ => self.constant_in(&column),
        };
        let shape = format!("UPDATE {name} SET {} = {{0}}{{1}}{{2}}", column.name);
        Some(form(shape, [value, filter(search), returning]))
    }

    /// Columns to show, and perhaps something made of them.
    pub(super) fn shown(&mut self, of: &Searched) -> Vec<Text> {
        let count = 1 + self.random.below(3);
        let mut items: Vec<Text> = (0..count)
            .map(|_| {
                let column = self.any_column(of);
                of.column(&column)
            })
            .collect();
        if self.random.chance(15) {
            let kind = self.any_kind();
            items.push(self.expr(kind, 1, &of.scope(), false));
        }
        items
    }

    /// A key of ORDER BY. In an index NULLs are last, going up, and first, going down.
    pub(super) fn term(&mut self, name: &str, is_descending: bool) -> String {
        let (direction, nulls, others) = match is_descending {
            true => ("DESC", "FIRST", "LAST"),
            false => ("ASC", "LAST", "FIRST"),
        };
        let nulls = if self.random.chance(75) {
            nulls
        } else {
            others
        };
        format!("{name} {direction} NULLS {nulls}")
    }

    /// Columns to order by: those of an index, mostly, forwards or backwards.
    fn order_columns(&mut self, of: &Searched) -> Vec<(Column, bool)> {
        let count = of.table.indexes.len() as u64;
        let mut columns = match self.random.chance(70) && count > 0 {
            true => of.keys_of(self.random.below(count) as usize),
            false => Vec::new(),
        };
        if columns.is_empty() {
            columns.push((self.search_key(of), false));
        }
        columns.truncate(1 + self.random.below(2) as usize);
        let is_turned = self.random.chance(50);
        for (_, is_descending) in &mut columns {
            *is_descending ^= is_turned ^ self.random.chance(10);
        }
        columns
    }

    /// A total order of the large table's rows.
    pub(super) fn total_order(&mut self, of: &Searched) -> String {
        let columns = self.order_columns(of);
        let mut terms = Vec::new();
        let has_id = columns.iter().any(|(column, _)| column.name == "id");
        let last = columns
            .last()
            .is_some_and(|(_, is_descending)| *is_descending);
        for (column, is_descending) in columns {
            terms.push(self.term(&of.name_of(&column), is_descending));
        }
        if !has_id {
            let is_descending = last ^ self.random.chance(20);
            terms.push(self.term(&format!("{}.id", of.name), is_descending));
        }
        terms.join(", ")
    }

    /// FROM with the large table, and mostly WHERE.
    pub(super) fn rows(&mut self, of: &Searched) -> Text {
        let from = format!(" FROM {} AS {}{{0}}", of.table.name, of.name);
        let search = match self.random.chance(85) {
            true => filter(self.search(of)),
            false => raw(""),
        };
        form(from, [search])
    }

    /// LIMIT and OFFSET; in a statement with parameters, perhaps as such.
    pub(super) fn limit(&mut self) -> Text {
        let (limit, offset) = (self.random.below(21), self.random.below(6));
        let offset = match self.random.chance(40) {
            true => optional(raw(format!(" OFFSET {offset}"))),
            false => raw(""),
        };
        match self.random.below(3) {
            0 => form(
                " LIMIT {0}{1}",
                [Text::Literal(Kind::Int, limit.to_string()), offset],
            ),
            _ => form(format!(" LIMIT {limit}{{0}}"), [offset])
                .rewritten(format!("{{0}} FETCH FIRST {limit} ROWS ONLY")),
        }
    }

    /// A page of the rows; in other words, rows with a number.
    fn page(&mut self, of: &Searched) -> Text {
        let shown = self.shown(of);
        let (order, rows) = (self.total_order(of), self.rows(of));
        if self.random.chance(30) {
            return self.numbered_page(shown, &order, rows);
        }
        let limit = self.limit();
        let shape = format!("SELECT {{0}}{{1}} ORDER BY {order}{{2}}");
        let page = form(shape, [Text::Items(", ", shown), rows, limit]);
        match self.random.below(8) {
            0 => form("{0} FOR UPDATE", [page])
                .sqlite("{0}")
                .rewritten("{0}"),
            1 => form("SELECT * FROM ({0}) AS q", [page]).rewritten("{0}"),
            _ => page,
        }
    }

    fn numbered_page(&mut self, shown: Vec<Text>, order: &str, rows: Text) -> Text {
        let (limit, offset) = (self.random.below(21), self.random.below(6));
        let names: Vec<String> = (0..shown.len()).map(|at| format!("c{at}")).collect();
        let (names, end) = (names.join(", "), limit + offset);
        form(
            format!("SELECT {{0}}{{1}} ORDER BY {order} LIMIT {limit} OFFSET {offset}"),
            [Text::Items(", ", shown), rows],
        )
        .rewritten(format!(
            "SELECT {names} FROM (SELECT {{0}}, row_number() OVER (ORDER BY {order}){{1}}) AS q ({names}, n) \
             WHERE n > {offset} AND n <= {end} ORDER BY n"
        ))
    }

    /// What is found, without an order, or how much it is.
    fn found(&mut self, of: &Searched) -> Text {
        let (items, rows) = (self.shown(of), self.rows(of));
        let parts = [Text::Items(", ", items), rows];
        match self.random.below(2) {
            0 => form("SELECT {0}{1}", parts).rewritten("SELECT {0}{1} OFFSET 0"),
            _ => form("SELECT count(*){1}", parts)
                .rewritten("SELECT count(*) FROM (SELECT {0}{1} OFFSET 0) AS q"),
        }
    }

    /// The first of the different values.
    fn first_values(&mut self, of: &Searched) -> Text {
        let columns = self.order_columns(of);
        let names: Vec<String> = columns
            .iter()
            .map(|(column, _)| of.name_of(column))
            .collect();
        let terms: Vec<String> = columns
            .iter()
            .map(|(column, is_descending)| self.term(&of.name_of(column), *is_descending))
            .collect();
        let (names, terms) = (names.join(", "), terms.join(", "));
        let (rows, limit) = (self.rows(of), self.limit());
        form(
            format!("SELECT DISTINCT {names}{{0}} ORDER BY {terms}{{1}}"),
            [rows, limit],
        )
        .rewritten(format!(
            "SELECT {names}{{0}} GROUP BY {names} ORDER BY {terms}{{1}}"
        ))
    }

    /// The first of the groups.
    fn first_groups(&mut self, of: &Searched) -> Text {
        let (column, is_descending) = self.order_columns(of).remove(0);
        let name = of.name_of(&column);
        let (kind, scope) = (self.any_kind(), of.scope());
        let call = Text::Expr(kind, Box::new(self.aggregate(kind, &scope, true)));
        let (rows, limit) = (self.rows(of), self.limit());
        let nulls = self.term("", is_descending);
        form(
            format!("SELECT {name}, {{0}}, count(*){{1}} GROUP BY {name} ORDER BY {name}{nulls}{{2}}"),
            [call, rows, limit],
        )
        .rewritten(format!(
            "SELECT * FROM (SELECT {name}, {{0}}, count(*){{1}} GROUP BY {name}) AS q (c0, c1, c2) ORDER BY c0{nulls}{{2}}"
        ))
    }

    /// The first row of each group. SQLite, as the other words, numbers the rows.
    fn first_of_each(&mut self, of: &Searched) -> Text {
        let (column, is_descending) = self.order_columns(of).remove(0);
        let (name, id) = (of.name_of(&column), format!("{}.id", of.name));
        let other = self.any_column(of);
        let other = of.name_of(&other);
        let nulls = self.term("", is_descending);
        let is_turned = self.random.chance(30);
        let within = self.term(&id, is_descending ^ is_turned);
        let (rows, limit) = (self.rows(of), self.limit());
        let numbered = format!(
            "FROM (SELECT {name} AS c0, {id} AS c1, {other} AS c2, row_number() OVER (PARTITION BY {name} ORDER BY {within}) AS n{{0}}) AS q \
             WHERE n = 1 ORDER BY c0{nulls}{{1}}"
        );
        form(
            format!("SELECT DISTINCT ON ({name}) {name}, {id}, {other}{{0}} ORDER BY {name}{nulls}, {within}{{1}}"),
            [rows, limit],
        )
        .rewritten(format!("SELECT c0, c1, c2 {numbered}"))
        .sqlite(format!("SELECT c0, c1, c2 {numbered}"))
    }

    /// Least and greatest values; in other words, the first of an order each.
    fn ends(&mut self, of: &Searched) -> Text {
        let rows = self.rows(of);
        let (mut calls, mut firsts) = (Vec::new(), Vec::new());
        for _ in 0..1 + self.random.below(3) {
            let column = self.search_key(of);
            let name = of.name_of(&column);
            if matches!(column.kind, Kind::Bool | Kind::Bytes) {
                continue;
            }
            let (call, direction) =
                [("min", "ASC"), ("max", "DESC")][self.random.below(2) as usize];
            calls.push(format!("{call}({name})"));
            firsts.push(format!(
                "(SELECT {name}{{0}} ORDER BY {name} {direction} NULLS LAST LIMIT 1)"
            ));
        }
        if calls.is_empty() {
            return form("SELECT count(*){0}", [rows]);
        }
        form(format!("SELECT {}{{0}}", calls.join(", ")), [rows])
            .rewritten(format!("SELECT {}", firsts.join(", ")))
    }
}

/// WHERE, which may be left out.
pub(super) fn filter(search: Text) -> Text {
    optional(form(" WHERE {0}", [search]))
}
