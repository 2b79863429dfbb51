//! Random FROM, WITH and subqueries.

use super::Generator;
use super::expr::{Named, Scope};
use super::text::{Dialect, Kind, Text, form, optional, raw};

/// Rows of FROM, and what may be named of them.
pub(super) struct Source {
    /// Its text.
    pub(super) text: Text,
    /// What it offers.
    pub(super) scope: Scope,
    is_join: bool,
}

impl Generator {
    /// A new name for a table.
    pub(super) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("a{}", self.aliases)
    }

    /// FROM: a table or more, or what stands for one.
    pub(super) fn from(&mut self, outer: &[Named], depth: u32) -> Source {
        let mut source = self.item(depth);
        let joins = match self.random.below(10) {
            0..=4 => 0,
            5..=8 => 1,
            _ if self.is_large => 1,
            _ => 2,
        };
        for _ in 0..joins {
            source = self.join(source, depth, joins == 1);
        }
        if self.random.chance(4) && self.may_nest() {
            source = self.lateral(source);
        }
        source.scope.outer = outer.to_vec();
        source
    }

    fn item(&mut self, depth: u32) -> Source {
        let alias = self.alias();
        if depth > 0 && self.may_nest() && self.random.chance(15) {
            self.nested += 1;
            let query = self.query(None, &[], depth - 1);
            self.nested -= 1;
            let order = match self.random.below(4) {
                0 => self.order(&query.columns, false),
                _ => raw(""),
            };
            let text = form("{0}{1}", [query.text, order]);
            return derived(text, &alias, &query.columns);
        }
        if let Some((name, columns)) = self.visible.last().cloned()
            && self.random.chance(50)
        {
            let scope = scope_of(&alias, &columns);
            let text = raw(format!("{name} AS {alias}"));
            return Source {
                text,
                scope,
                is_join: false,
            };
        }
        let table = &self.tables[self.random.below(self.tables.len() as u64) as usize];
        let column = |column: &super::schema::Column| Named {
            text: raw(format!("{alias}.{}", column.name)),
            kind: column.kind,
            is_calm: column.is_calm,
        };
        Source {
            text: raw(format!("{} AS {alias}", table.name)),
            scope: Scope {
                own: table.columns.iter().map(column).collect(),
                unique: table.has_id.then(|| vec![raw(format!("{alias}.id"))]),
                ..Scope::default()
            },
            is_join: false,
        }
    }

    fn join(&mut self, left: Source, depth: u32, is_only: bool) -> Source {
        let right = self.item(depth);
        let unique = left.scope.unique.clone().zip(right.scope.unique.clone());
        let scope = Scope {
            own: [&left.scope.own[..], &right.scope.own].concat(),
            unique: unique.map(|(l, r)| [l, r].concat()),
            ..Scope::default()
        };
        let link = match self.is_large {
            true => self.link_to_one(&left.scope.own, &right.scope),
            false => self.link(&left.scope.own, &right.scope.own),
        };
        if self.is_large && link.is_none() {
            return left;
        }
        let (kind, turned) = match self.random.below(10) {
            _ if link.is_none() => ("JOIN", "JOIN"),
            0..=3 => ("JOIN", "JOIN"),
            4..=6 => ("LEFT JOIN", "RIGHT JOIN"),
            7 => ("RIGHT JOIN", "LEFT JOIN"),
            8 => ("FULL JOIN", "FULL JOIN"),
            _ if self.is_large => ("JOIN", "JOIN"),
            _ => ("CROSS JOIN", "CROSS JOIN"),
        };
        if is_only
            && !self.is_large
            && self.random.chance(30)
            && let Some(shared) = self.shared(&left, &right)
        {
            let kinds = [kind, turned].map(|kind| kind.replace("CROSS ", ""));
            return joined_using(&shared, kinds, [left.text, right.text], scope);
        }
        let sides = [left.text, right.text];
        if kind == "CROSS JOIN" {
            let text = form("{0} CROSS JOIN {1}", sides).rewritten("{0} JOIN {1} ON true");
            return Source {
                text,
                scope,
                is_join: true,
            };
        }
        let on = match (link, self.random.below(6)) {
            (Some(_), 0) if kind != "FULL JOIN" && !self.is_large => self.predicate(1, &scope),
            (Some(link), 1) => {
                let more = optional(form(" AND {0}", [self.predicate(1, &scope)]));
                form("{0}{1}", [link, more])
            }
            (Some(link), _) => link,
            (None, _) => self.predicate(1, &scope),
        };
        let [l, r] = sides;
        let around = if left.is_join { "({0})" } else { "{0}" };
        let text = form(format!("{{0}} {kind} {{1}} ON {{2}}"), [l, r, on])
            .rewritten(format!("{{1}} {turned} {around} ON {{2}}"));
        Source {
            text,
            scope,
            is_join: true,
        }
    }

    /// A column that both sides have: that of the left one.
    fn shared(&mut self, left: &Source, right: &Source) -> Option<Named> {
        let fits = |l: &&Named| {
            let mut others = right.scope.own.iter();
            others.any(|r| r.kind == l.kind && name_of(r).is_some() && name_of(r) == name_of(l))
        };
        let both: Vec<&Named> = left.scope.own.iter().filter(fits).collect();
        match both.len() {
            0 => None,
            count => Some(both[self.random.below(count as u64) as usize].clone()),
        }
    }

    /// An equality of a column of each.
    fn link(&mut self, left: &[Named], right: &[Named]) -> Option<Text> {
        for _ in 0..6 {
            let l = &left[self.random.below(left.len() as u64) as usize];
            let fits: Vec<&Named> = right.iter().filter(|r| r.kind == l.kind).collect();
            if !fits.is_empty() {
                let r = fits[self.random.below(fits.len() as u64) as usize];
                return Some(form("{0} = {1}", [l.text.clone(), r.text.clone()]));
            }
        }
        None
    }

    /// An equality with what is unique on the right: of large tables, many with many are too many.
    fn link_to_one(&mut self, left: &[Named], right: &Scope) -> Option<Text> {
        let [one] = right.unique.as_deref()? else {
            return None;
        };
        let ints: Vec<&Named> = left.iter().filter(|l| l.kind == Kind::Int).collect();
        let l = ints.get(self.random.below(ints.len().max(1) as u64) as usize)?;
        Some(form("{0} = {1}", [l.text.clone(), one.clone()]))
    }

    /// A subquery in FROM that names what is before it. SQLite has none.
    fn lateral(&mut self, left: Source) -> Source {
        let alias = self.alias();
        self.nested += 1;
        let query = self.query(None, &left.scope.as_outer(), 0);
        self.nested -= 1;
        let more = scope_of(&alias, &query.columns);
        let order = match self.random.below(2) {
            0 => self.order(&query.columns, false),
            _ => raw(""),
        };
        let names = names(query.columns.len());
        let text = form(
            format!("{{0}} CROSS JOIN LATERAL ({{1}}{{2}}) AS {alias} ({names})"),
            [left.text, query.text, order],
        )
        .rewritten(format!("{{0}}, LATERAL ({{1}}{{2}}) AS {alias} ({names})"))
        .not_sqlite();
        let mut own = left.scope.own;
        own.retain(|named| !is_named_alike(named, &more.own));
        own.extend(more.own);
        Source {
            text,
            scope: Scope {
                own,
                ..Scope::default()
            },
            is_join: true,
        }
    }

    /// WITH, of a query that the statement may name.
    pub(super) fn with(&mut self) -> Text {
        let query = self.query(None, &[], 1);
        let name = format!("w{}", self.alias());
        let names = names(query.columns.len());
        self.visible.push((name.clone(), query.columns));
        let word = self
            .random
            .pick(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
        let word = word.expect("words");
        form(
            format!("WITH {name} ({names}) AS {word}({{0}})"),
            [query.text],
        )
        .rewritten(format!("WITH {name} ({names}) AS ({{0}})"))
    }

    /// WITH RECURSIVE, of a query that counts its rounds and so ends.
    pub(super) fn recursive(&mut self) -> Text {
        let name = format!("w{}", self.alias());
        let kind = self.any_kind();
        let first = self.query(Some(&[kind]), &[], 1).text;
        let scope = scope_of("r", &[(Kind::Int, true), (kind, false)]);
        let inside = std::mem::replace(&mut self.nested, 9);
        let value = self.expr(kind, 1, &scope, false);
        let test = self.comparison(1, &scope);
        self.nested = inside;
        let all = ["", " ALL"][self.random.below(2) as usize];
        let rounds = 1 + self.random.below(3);
        let of = kind.sql();
        self.visible
            .push((name.clone(), vec![(Kind::Int, true), (kind, false)]));
        form(
            format!(
                "WITH RECURSIVE {name} (c0, c1) AS (SELECT 0, CAST(f.c1 AS {of}) FROM ({{0}}) AS f (c1) UNION{all} \
                 SELECT r.c0 + 1, CAST({{1}} AS {of}) FROM {name} AS r WHERE r.c0 < {rounds}{{2}})"
            ),
            [first, value, optional(form(" AND {0}", [test]))],
        )
        .sqlite(format!(
            "WITH RECURSIVE first (c1) AS ({{0}}), {name} (c0, c1) AS (SELECT 0, f.c1 FROM first AS f UNION{all} \
             SELECT r.c0 + 1, {{1}} FROM {name} AS r WHERE r.c0 < {rounds}{{2}})"
        ))
    }

    /// A query in brackets as a value.
    pub(super) fn scalar_subquery(&mut self, kind: Kind, scope: &Scope, calm: bool) -> Text {
        self.nested += 1;
        let outer = scope.as_outer();
        let text = match self.random.below(3) {
            0 | 1 => {
                let source = self.from(&outer, 0);
                let filter = self.predicate(1, &source.scope);
                let call = self.aggregate(kind, &source.scope, calm);
                let filter = optional(form(" WHERE {0}", [filter]));
                form("(SELECT {0} FROM {1}{2})", [call, source.text, filter])
            }
            _ => {
                let query = self.query(Some(&[kind]), &outer, 0);
                form("(SELECT c0 FROM ({0}) AS q (c0) ORDER BY c0 NULLS LAST LIMIT 1)", [query.text])
                    .sqlite("(SELECT c0 FROM (SELECT NULL AS c0 WHERE false UNION ALL SELECT * FROM ({0})) ORDER BY c0 NULLS LAST LIMIT 1)")
            }
        };
        self.nested -= 1;
        text
    }

    /// EXISTS, IN, ANY and ALL of a query.
    pub(super) fn subquery_predicate(&mut self, depth: u32, scope: &Scope) -> Text {
        self.nested += 1;
        let outer = scope.as_outer();
        let kind = self.kind_of(scope);
        let value = self.expr(kind, depth.saturating_sub(1), scope, false);
        let not = ["", "NOT "][self.random.below(2) as usize];
        let text = match self.random.below(6) {
            0 | 1 => {
                let source = self.from(&outer, 0);
                let filter = self.predicate(2, &source.scope);
                form(
                    format!("({not}EXISTS (SELECT 1 FROM {{0}} WHERE {{1}}))"),
                    [source.text, filter],
                )
                .rewritten(format!(
                    "({not}((SELECT count(*) FROM {{0}} WHERE {{1}}) > 0))"
                ))
            }
            2 | 3 => {
                let query = self.query(Some(&[kind]), &outer, 0);
                let quantified = if not.is_empty() { "= ANY" } else { "<> ALL" };
                form(format!("({{0}} {not}IN ({{1}}))"), [value, query.text])
                    .rewritten(format!("({{0}} {quantified} ({{1}}))"))
            }
            4 => {
                let other = self.kind_of(scope);
                let second = self.expr(other, 0, scope, false);
                let query = self.query(Some(&[kind, other]), &outer, 0);
                form(
                    format!("(({{0}}, {{1}}) {not}IN ({{2}}))"),
                    [value, second, query.text],
                )
                .sqlite(format!("(({{0}}, {{1}}) {not}IN (SELECT * FROM ({{2}})))"))
            }
            _ => {
                // Said in other words the value stands in another query, where an aggregate that names
                // no column would be that query's own.
                let alone = Scope {
                    grouped: None,
                    ..scope.clone()
                };
                let value = self.expr(kind, 1, &alone, false);
                self.quantified(kind, value, &outer)
            }
        };
        self.nested -= 1;
        text
    }

    /// ANY and ALL: SQLite, and who asks in other words, counts.
    fn quantified(&mut self, kind: Kind, value: Text, outer: &[Named]) -> Text {
        let query = self.query(Some(&[kind]), outer, 0).text;
        let sign = self
            .random
            .pick(&["<", "<=", ">", ">=", "=", "<>"])
            .expect("signs");
        let (word, decides, decided, otherwise) = match self.random.below(2) {
            0 => ("ANY", "", "true", "false"),
            _ => ("ALL", "NOT ", "false", "true"),
        };
        let counted = format!(
            "(SELECT CASE WHEN count(CASE WHEN {decides}test THEN 1 END) > 0 THEN {decided} \
             WHEN count(*) > count(test) THEN NULL ELSE {otherwise} END FROM "
        );
        form(format!("({{0}} {sign} {word} ({{1}}))"), [value, query])
            .rewritten(format!(
                "{counted}(SELECT {{0}} {sign} v AS test FROM ({{1}}) AS q (v)) AS q)"
            ))
            .sqlite(format!(
                "{counted}(SELECT {{0}} {sign} v AS test FROM \
                 (SELECT NULL AS v WHERE false UNION ALL SELECT * FROM ({{1}})) AS q) AS q)"
            ))
    }
}

/// The name of a column of a table or subquery, without its alias.
fn name_of(named: &Named) -> Option<&str> {
    match &named.text {
        Text::Raw(text) => text.split_once('.').map(|(_, name)| name),
        _ => None,
    }
}

/// Whether a key of USING, which is named without a table, has the name of one of these columns.
fn is_named_alike(key: &Named, columns: &[Named]) -> bool {
    let text = key.text.render(Dialect::Remora);
    name_of(key).is_none()
        && columns
            .iter()
            .any(|named| name_of(named) == text.as_deref())
}

/// A join by a column that both sides have, and that can then be named without saying whose.
fn joined_using(shared: &Named, kinds: [String; 2], sides: [Text; 2], mut scope: Scope) -> Source {
    let name = name_of(shared).unwrap_or_default();
    let [kind, turned] = kinds;
    scope.own.push(Named {
        // No plain text: subqueries may have another column of that name.
        text: form(name.to_owned(), []),
        kind: shared.kind,
        is_calm: false,
    });
    Source {
        text: form(format!("{{0}} {kind} {{1}} USING ({name})"), sides)
            .rewritten(format!("{{1}} {turned} {{0}} USING ({name})")),
        scope,
        is_join: true,
    }
}

fn names(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|at| format!("c{at}")).collect();
    names.join(", ")
}

fn scope_of(alias: &str, columns: &[(Kind, bool)]) -> Scope {
    let column = |(at, (kind, is_calm)): (usize, &(Kind, bool))| Named {
        text: raw(format!("{alias}.c{at}")),
        kind: *kind,
        is_calm: *is_calm,
    };
    Scope {
        own: columns.iter().enumerate().map(column).collect(),
        ..Scope::default()
    }
}

/// A query in FROM. SQLite has no names for its columns there.
pub(super) fn derived(query: Text, alias: &str, columns: &[(Kind, bool)]) -> Source {
    let names = names(columns.len());
    let text = form(format!("({{0}}) AS {alias} ({names})"), [query]).sqlite(format!(
        "(WITH q ({names}) AS ({{0}}) SELECT * FROM q) AS {alias}"
    ));
    Source {
        text,
        scope: scope_of(alias, columns),
        is_join: false,
    }
}
