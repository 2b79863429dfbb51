//! Random queries.

use super::Generator;
use super::expr::{Named, Scope};
use super::text::{Kind, Text, form, optional, raw};

/// A query and the columns it gives.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// Its text.
    pub(super) text: Text,
    /// Kind of each column, and whether it is calm.
    pub(super) columns: Vec<(Kind, bool)>,
}

/// A query of these kinds.
pub(super) fn query_of(text: Text, kinds: &[Kind], calm: bool) -> Query {
    let columns = kinds.iter().map(|kind| (*kind, calm)).collect();
    Query { text, columns }
}

impl Generator {
    /// A whole statement, and whether the order of its rows is told.
    pub(super) fn statement(&mut self) -> (Text, bool) {
        self.nested = 0;
        self.visible.clear();
        let mut with = Vec::new();
        if self.random.chance(12) {
            with.push(self.with());
        } else if self.random.chance(4) {
            with.push(self.recursive());
        }
        let query = self.query(None, &[], 2);
        let (order, is_ordered) = match self.random.below(3) {
            0 => (raw(""), false),
            _ => (self.order(&query.columns, true), true),
        };
        let body = form("{0}{1}", [query.text, order]);
        let text = match with.pop() {
            Some(with) => form("{0} {1}", [with, body]),
            None => body,
        };
        (text, is_ordered)
    }

    /// Whether a subquery may stand here yet.
    pub(super) fn may_nest(&self) -> bool {
        self.nested < 2 && !self.is_large
    }

    /// ORDER BY all columns, so that only rows that are the same may change places, and perhaps LIMIT. Not so
    /// where floats are shown: an average that differs in its last bit may come before another one, or behind.
    pub(super) fn order(&mut self, columns: &[(Kind, bool)], is_last: bool) -> Text {
        let is_exact = columns.iter().all(|(kind, _)| *kind != Kind::Real);
        let mut left: Vec<usize> = (1..=columns.len()).collect();
        let mut keys = Vec::new();
        while !left.is_empty() {
            let number = left.swap_remove(self.random.below(left.len() as u64) as usize);
            let (way, nulls) = (
                ["ASC", "DESC"][self.random.below(2) as usize],
                ["FIRST", "LAST"][self.random.below(2) as usize],
            );
            keys.push(format!("{number} {way} NULLS {nulls}"));
        }
        let order = format!(" ORDER BY {}", keys.join(", "));
        if is_last && !self.random.chance(35) || !is_exact {
            return raw(order);
        }
        let (limit, offset) = (self.random.below(6), self.random.below(4));
        let shape = format!("{order} LIMIT {limit}{{0}}");
        let fetch = format!("{order}{{0}} FETCH FIRST {limit} ROWS ONLY");
        let offset = match offset {
            0 | 1 => optional(raw(format!(" OFFSET {offset}"))),
            _ => raw(""),
        };
        form(shape, [offset]).rewritten(fetch)
    }

    /// A query without ORDER BY of these kinds, or of any.
    pub(super) fn query(&mut self, wanted: Option<&[Kind]>, outer: &[Named], depth: u32) -> Query {
        if depth > 0 && self.random.chance(12) {
            return self.set_operation(wanted, outer, depth - 1);
        }
        if self.random.chance(2) {
            return self.values(wanted);
        }
        self.select(wanted, outer, depth)
    }

    fn set_operation(&mut self, wanted: Option<&[Kind]>, outer: &[Named], depth: u32) -> Query {
        let left = self.select(wanted, outer, depth);
        let kinds: Vec<Kind> = left.columns.iter().map(|(kind, _)| *kind).collect();
        let right = self.select(Some(&kinds), outer, depth);
        let calm = left.columns.iter().zip(&right.columns);
        let columns = calm.map(|(l, r)| (l.0, l.1 && r.1)).collect();
        let arms = [left.text, right.text];
        let plain =
            |word: &str| format!("SELECT * FROM ({{0}}) AS l {word} SELECT * FROM ({{1}}) AS r");
        let text = match self.random.below(7) {
            0 => form(plain("UNION"), arms)
                .rewritten("SELECT DISTINCT * FROM ({0} UNION ALL {1}) AS u"),
            1 | 2 => form(plain("UNION ALL"), arms),
            3 => form(plain("INTERSECT"), arms),
            4 => form(plain("EXCEPT"), arms),
            5 => form("({0}) EXCEPT ALL ({1})", arms).not_sqlite(),
            _ => form("({0}) INTERSECT ALL ({1})", arms).not_sqlite(),
        };
        Query { text, columns }
    }

    fn values(&mut self, wanted: Option<&[Kind]>) -> Query {
        let kinds = self.kinds(wanted, &Scope::default());
        let count = 1 + self.random.below(3);
        let rows = (0..count).map(|_| {
            let row = kinds.iter().map(|kind| self.literal(*kind)).collect();
            form("({0})", [Text::Items(", ", row)])
        });
        let rows = Text::Items(", ", rows.collect());
        Query {
            text: form("VALUES {0}", [rows]),
            columns: kinds.into_iter().map(|kind| (kind, true)).collect(),
        }
    }

    fn kinds(&mut self, wanted: Option<&[Kind]>, scope: &Scope) -> Vec<Kind> {
        match wanted {
            Some(kinds) => kinds.to_vec(),
            None => (0..1 + self.random.below(4))
                .map(|_| self.kind_of(scope))
                .collect(),
        }
    }

    fn select(&mut self, wanted: Option<&[Kind]>, outer: &[Named], depth: u32) -> Query {
        let source = self.from(outer, depth);
        let kinds = self.kinds(wanted, &source.scope);
        let filter = match self.random.below(10) {
            0..=5 => optional(form(" WHERE {0}", [self.predicate(2, &source.scope)])),
            _ => raw(""),
        };
        let rows = form(" FROM {0}{1}", [source.text, filter]);
        match self.random.below(20) {
            0..=3 => self.grouped(&kinds, rows, &source.scope),
            4 => self.aggregated(&kinds, rows, &source.scope),
            5 if wanted.is_none() => self.grouping_sets(rows, &source.scope),
            6..=8 => self.windowed(&kinds, rows, &source.scope),
            9 => self.partitioned(&kinds, rows, &source.scope),
            _ => self.plain(&kinds, rows, &source.scope),
        }
    }

    /// Items of a select list, and whether they are calm.
    fn items(&mut self, kinds: &[Kind], scope: &Scope) -> (Vec<Text>, bool) {
        let calm = self.random.chance(50);
        let items = kinds.iter().map(|kind| self.expr(*kind, 2, scope, calm));
        (items.collect(), calm)
    }

    fn plain(&mut self, kinds: &[Kind], rows: Text, scope: &Scope) -> Query {
        let (items, calm) = self.items(kinds, scope);
        let places: Vec<String> = (1..=items.len()).map(|number| number.to_string()).collect();
        let items = Text::Items(", ", items);
        let text = match self.random.below(7) {
            0 => form(
                "SELECT {2}{0}{1}",
                [items, rows, optional(raw("DISTINCT "))],
            ),
            1 => {
                let order = places.join(", ");
                let shape = format!(
                    "SELECT * FROM (SELECT DISTINCT ON ({order}) {{0}}{{1}} ORDER BY {order}) AS o"
                );
                form("SELECT DISTINCT {0}{1}", [items, rows]).rewritten(shape)
            }
            _ => form("SELECT {0}{1}", [items, rows]),
        };
        query_of(text, kinds, calm)
    }

    /// What is true, false or NULL of rows leaves none out.
    fn partitioned(&mut self, kinds: &[Kind], rows: Text, scope: &Scope) -> Query {
        let (items, calm) = self.items(kinds, scope);
        let test = self.predicate(2, scope);
        let names: Vec<String> = (0..kinds.len()).map(|at| format!("c{at}")).collect();
        let names = names.join(", ");
        let arm = |test: &str| {
            format!(
                "SELECT {names} FROM (SELECT {{0}}, {{2}}{{1}}) AS p ({names}, test) WHERE {test}"
            )
        };
        let parts = [arm("test"), arm("NOT test"), arm("test IS NULL")].join(" UNION ALL ");
        let text = form("SELECT {0}{1}", [Text::Items(", ", items), rows, test]).rewritten(parts);
        query_of(text, kinds, calm)
    }

    fn grouped(&mut self, kinds: &[Kind], rows: Text, scope: &Scope) -> Query {
        let mut keys: Vec<Named> = Vec::new();
        for _ in 0..1 + self.random.below(2) {
            keys.extend(self.key(scope));
        }
        if keys.is_empty() {
            return self.aggregated(kinds, rows, scope);
        }
        let by = keys.iter().map(|key| key.text.clone()).collect();
        let inner = Scope {
            own: keys,
            outer: scope.outer.clone(),
            unique: None,
            grouped: Some(Box::new(scope.clone())),
        };
        let (items, calm) = self.items(kinds, &inner);
        let items = Text::Items(", ", items);
        let having = match self.random.below(4) {
            0 => optional(form(" HAVING {0}", [self.predicate(1, &inner)])),
            _ => raw(""),
        };
        let by = Text::Items(", ", by);
        let text = form("SELECT {0}{1} GROUP BY {2}{3}", [items, rows, by, having]);
        query_of(text, kinds, calm)
    }

    /// Something to group by: a column, or an expression that has one.
    pub(super) fn key(&mut self, scope: &Scope) -> Option<Named> {
        let named = match scope.own.len() {
            0 => return None,
            count => scope.own[self.random.below(count as u64) as usize].clone(),
        };
        if self.random.chance(75) {
            return Some(named);
        }
        let text = match named.kind {
            Kind::Int if named.is_calm => form("({0} % 3)", [named.text]),
            Kind::Text => form("length({0})", [named.text]),
            _ => form("({0} IS NULL)", [named.text]),
        };
        let kind = match named.kind {
            Kind::Int if named.is_calm => Kind::Int,
            Kind::Text => Kind::Int,
            _ => Kind::Bool,
        };
        Some(Named {
            text,
            kind,
            is_calm: true,
        })
    }

    /// One group of all rows.
    pub(super) fn aggregated(&mut self, kinds: &[Kind], rows: Text, scope: &Scope) -> Query {
        let items = kinds.iter().map(|kind| {
            let call = self.aggregate(*kind, scope, true);
            Text::Expr(*kind, Box::new(call))
        });
        let items = Text::Items(", ", items.collect());
        query_of(form("SELECT {0}{1}", [items, rows]), kinds, true)
    }
}
