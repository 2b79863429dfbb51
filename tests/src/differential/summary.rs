//! Random grouping sets and windows.

use super::Generator;
use super::expr::{Named, Scope};
use super::query::{Query, query_of};
use super::text::{Dialect, Kind, Text, form, optional, raw};

/// Whether two keys are or may be the same: what USING joins by has a name without its table's, and is the
/// column of the left table as well.
fn may_be_one(one: &Named, other: &Named) -> bool {
    let text = |key: &Named| key.text.render(Dialect::Remora).unwrap_or_default();
    let (one, other) = (text(one), text(other));
    let is_joined = !one.contains('.') || !other.contains('.');
    one == other || (is_joined && without_tables(&one) == without_tables(&other))
}

/// A text without the words before points.
fn without_tables(text: &str) -> String {
    let mut parts = text.split('.').rev();
    let last = parts.next().unwrap_or_default();
    let cut = |part: &str| {
        part.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_')
            .to_owned()
    };
    parts.fold(last.to_owned(), |end, part| cut(part) + &end)
}

impl Generator {
    /// ROLLUP, CUBE and GROUPING SETS; in other words, and for SQLite, a query for each set.
    pub(super) fn grouping_sets(&mut self, rows: Text, scope: &Scope) -> Query {
        let keys = self.different_keys(scope);
        let kind = self.any_kind();
        let call = self.aggregate(kind, scope, false);
        if keys.is_empty() {
            return self.aggregated(&[kind], rows, scope);
        }
        let shown: Vec<String> = (0..keys.len()).map(|at| format!("{{{at}}}")).collect();
        let (sets, by) = self.sets(&shown);
        let (rows_at, call_at) = (keys.len(), keys.len() + 1);
        let item = |at: usize, is_there: bool| match is_there {
            true => shown[at].clone(),
            false => format!("CAST(NULL AS {})", keys[at].kind.sql()),
        };
        // What is in no set is no key, but may depend on one.
        let is_key = |at: &usize| sets.iter().any(|set| set.contains(at));
        let all = (0..keys.len()).map(|at| item(at, is_key(&at)));
        let all = all.collect::<Vec<_>>().join(", ");
        let arm = |set: &Vec<usize>| {
            let items = (0..keys.len()).map(|at| item(at, set.contains(&at)));
            let items: Vec<String> = items.collect();
            let by = match listed(set, &shown) {
                by if by.is_empty() => by,
                by => format!(" GROUP BY {by}"),
            };
            let items = items.join(", ");
            format!("SELECT {items}, {{{call_at}}}, count(*){{{rows_at}}}{by}")
        };
        let union = sets.iter().map(arm).collect::<Vec<_>>().join(" UNION ALL ");
        let mut columns: Vec<_> = keys.iter().map(|key| (key.kind, key.is_calm)).collect();
        columns.extend([(kind, false), (Kind::Int, true)]);
        let mut arguments: Vec<Text> = keys.into_iter().map(|key| key.text).collect();
        arguments.extend([rows, Text::Expr(kind, Box::new(call))]);
        let shape = format!("SELECT {all}, {{{call_at}}}, count(*){{{rows_at}}} GROUP BY {by}");
        let text = form(shape, arguments)
            .rewritten(union.clone())
            .sqlite(union);
        Query { text, columns }
    }

    fn different_keys(&mut self, scope: &Scope) -> Vec<Named> {
        let mut keys: Vec<Named> = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            let key = self.key(scope);
            keys.extend(key.filter(|key| !keys.iter().any(|other| may_be_one(other, key))));
        }
        keys
    }

    /// Sets of the keys, and how they are written.
    fn sets(&mut self, shown: &[String]) -> (Vec<Vec<usize>>, String) {
        let (count, all) = (shown.len(), shown.join(", "));
        match self.random.below(3) {
            0 => {
                let sets = (0..=count).rev().map(|length| (0..length).collect());
                (sets.collect(), format!("ROLLUP ({all})"))
            }
            1 => {
                let of = |bits: usize| (0..count).filter(|at| bits >> at & 1 == 1).collect();
                ((0..1 << count).map(of).collect(), format!("CUBE ({all})"))
            }
            _ => {
                let mut set = || -> Vec<usize> {
                    let is_in = |_: &usize| self.random.chance(50);
                    (0..count).filter(is_in).collect()
                };
                let sets = vec![set(), set()];
                let written = sets.iter().map(|set| format!("({})", listed(set, shown)));
                let written = written.collect::<Vec<_>>().join(", ");
                (sets, format!("GROUPING SETS ({written})"))
            }
        }
    }

    /// Window functions beside items.
    pub(super) fn windowed(&mut self, kinds: &[Kind], rows: Text, scope: &Scope) -> Query {
        let mut items: Vec<Text> = Vec::new();
        let mut named = None;
        for kind in kinds {
            let item = match self.random.below(2) {
                // No aggregate gives bytes.
                0 => self.expr(*kind, 1, scope, false),
                _ if *kind == Kind::Bytes => self.expr(*kind, 1, scope, false),
                _ => {
                    let (call, window) = self.window_call(*kind, scope);
                    match named.is_none() {
                        true => {
                            named = Some(window.clone());
                            form("{0} OVER ({1})", [call, window]).rewritten("{0} OVER w")
                        }
                        false => form("{0} OVER ({1})", [call, window]),
                    }
                }
            };
            items.push(Text::Expr(*kind, Box::new(item)));
        }
        let items = Text::Items(", ", items);
        let text = match named {
            Some(window) => form("SELECT {0}{1}", [items, rows, window])
                .rewritten("SELECT {0}{1} WINDOW w AS ({2})"),
            None => form("SELECT {0}{1}", [items, rows]),
        };
        query_of(text, kinds, false)
    }

    /// A call that gives a kind, and its window. Where the order leaves something to chance, only what does not
    /// show it.
    fn window_call(&mut self, kind: Kind, scope: &Scope) -> (Text, Text) {
        let total = scope.unique.clone().filter(|_| self.random.chance(60));
        let by_rows = total.is_some();
        let mut order: Vec<Text> = Vec::new();
        for _ in 0..1 + self.random.below(2) {
            let key = self.key(scope).map(|key| key.text);
            order.extend(key.map(|key| {
                let ways = ["", " DESC", " NULLS FIRST", " DESC NULLS LAST"];
                let way = self.random.pick(&ways).expect("ways");
                // What a dialect takes for granted is said.
                let way = match way {
                    "" => " ASC NULLS LAST",
                    " DESC" => " DESC NULLS FIRST",
                    said => said,
                };
                form(format!("{{0}}{way}"), [key])
            }));
        }
        // A key is without NULLs in its table, but not where an outer join makes up a row.
        let total = total.into_iter().flatten();
        order.extend(total.map(|key| form("{0} ASC NULLS LAST", [key])));
        let mut call = self.called(kind, scope, by_rows);
        let partition = match self.key(scope) {
            Some(key) if self.random.chance(50) => optional(form("PARTITION BY {0}", [key.text])),
            _ => raw(""),
        };
        if order.is_empty() {
            call = self.whole_call(kind, scope);
            return (call, partition);
        }
        let order = Text::Items(", ", order);
        let frame = self.frame(by_rows);
        (call, form("{0} ORDER BY {1}{2}", [partition, order, frame]))
    }

    fn called(&mut self, kind: Kind, scope: &Scope, by_rows: bool) -> Text {
        let is_aggregate = self.random.chance(45);
        if is_aggregate && kind != Kind::Text {
            return self.whole_call(kind, scope);
        }
        let value = self.expr(kind, 1, scope, false);
        // A text in quotes has no type of its own, which functions of any type refuse.
        let value = match kind {
            Kind::Text => form("CAST({0} AS TEXT)", [value]),
            _ => value,
        };
        match (kind, self.random.below(6)) {
            (Kind::Int, 0) => raw("rank()"),
            (Kind::Int, 1) => raw("dense_rank()"),
            (Kind::Int, 2) if by_rows => raw("row_number()"),
            (Kind::Int, 3) if by_rows => raw(format!("ntile({})", 1 + self.random.below(4))),
            (Kind::Real, 0) => raw("percent_rank()"),
            (Kind::Real, 1) => raw("cume_dist()"),
            (_, 2) if by_rows => form("first_value({0})", [value]),
            (_, 3) if by_rows => form("last_value({0})", [value]),
            (_, 4) if by_rows => form(
                format!("nth_value({{0}}, {})", 1 + self.random.below(3)),
                [value],
            ),
            (_, 5) if by_rows => {
                let (name, by) = (
                    ["lag", "lead"][self.random.below(2) as usize],
                    self.random.below(3),
                );
                let otherwise = self.literal(kind);
                form(
                    format!("{name}({{0}}, {by}, CAST({{1}} AS {}))", kind.sql()),
                    [value, otherwise],
                )
                .sqlite(format!("{name}({{0}}, {by}, {{1}})"))
            }
            _ => self.whole_call(kind, scope),
        }
    }

    /// An aggregate that can have a window: a call, without anything around it.
    fn whole_call(&mut self, kind: Kind, scope: &Scope) -> Text {
        let (shape, of) = match (kind, self.random.below(3)) {
            (Kind::Int, 0) => ("count(*)", Kind::Int),
            (Kind::Int, 1) => ("count({0})", self.kind_of(scope)),
            (Kind::Real | Kind::Numeric, 0) => ("sum({0})", kind),
            (Kind::Bool, _) => ("bool_and({0})", kind),
            (_, 2) => ("min({0})", kind),
            _ => ("max({0})", kind),
        };
        let value = self.expr(of, 1, scope, shape.starts_with("sum"));
        let filter = match self.random.below(5) {
            0 => optional(form(" FILTER (WHERE {0})", [self.comparison(1, scope)])),
            _ => raw(""),
        };
        let text = form(format!("{shape}{{1}}"), [value, filter]);
        match kind {
            Kind::Bool => text.sqlite("min({0}){1}"),
            _ => text,
        }
    }

    fn frame(&mut self, by_rows: bool) -> Text {
        if self.random.chance(40) {
            return raw("");
        }
        let unit = match self.random.below(3) {
            0 => "GROUPS",
            1 => "RANGE",
            _ if by_rows => "ROWS",
            _ => "GROUPS",
        };
        let (from, to) = match (unit, self.random.below(6)) {
            (_, 0) => ("UNBOUNDED PRECEDING", "UNBOUNDED FOLLOWING"),
            (_, 1) => ("CURRENT ROW", "UNBOUNDED FOLLOWING"),
            ("RANGE", _) => ("UNBOUNDED PRECEDING", "CURRENT ROW"),
            (_, 2) => ("1 PRECEDING", "1 FOLLOWING"),
            (_, 3) => ("2 PRECEDING", "1 PRECEDING"),
            (_, 4) => ("1 FOLLOWING", "3 FOLLOWING"),
            _ => ("CURRENT ROW", "1 FOLLOWING"),
        };
        let exclude = match self.random.below(6) {
            0 if by_rows => " EXCLUDE CURRENT ROW",
            1 => " EXCLUDE GROUP",
            2 if by_rows => " EXCLUDE TIES",
            _ => "",
        };
        form(
            "{0}{1}",
            [
                raw(format!(" {unit} BETWEEN {from} AND {to}")),
                optional(raw(exclude)),
            ],
        )
    }
}

fn listed(set: &[usize], shown: &[String]) -> String {
    let keys: Vec<&str> = set.iter().map(|at| shown[*at].as_str()).collect();
    keys.join(", ")
}
