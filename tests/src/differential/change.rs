//! Random INSERT, UPDATE and DELETE.

use super::Generator;
use super::expr::{Named, Scope};
use super::schema::{Column, Table};
use super::search::LARGE_ROWS_MIN;
use super::text::{Kind, Text, form, optional, raw};

impl Generator {
    /// A change of one of the tables.
    pub(super) fn change(&mut self) -> Text {
        let table = self.tables[self.random.below(self.tables.len() as u64) as usize].clone();
        let is_large = table.rows.len() > LARGE_ROWS_MIN;
        match self.random.below(8) {
            0..=2 => self.insert(&table),
            // Else few rows would be left, and all pairs were tried for that.
            6.. if is_large => self.path_change().expect("there is a large table"),
            3 => self.insert_query(&table),
            4 => self.update(&table),
            5 => self.update_from(&table),
            6 => self.delete(&table),
            _ => self.delete_using(&table),
        }
    }

    /// Within a change there are no subqueries: what is stored must be the same to the last bit.
    fn flat<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        let nested = std::mem::replace(&mut self.nested, u32::MAX);
        let result = f(self);
        self.nested = nested;
        result
    }

    fn insert(&mut self, table: &Table) -> Text {
        let shown: Vec<usize> = (0..table.columns.len())
            .filter(|at| (*at == 0 && table.has_id) || self.random.chance(85))
            .collect();
        let shown = if shown.is_empty() { vec![0] } else { shown };
        let mut rows = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            let id = self.new_id();
            let row = table.row(&mut self.random, id);
            let value = |at: &usize| match &row[*at] {
                Some(value) => Text::Literal(table.columns[*at].kind, value.clone()),
                None => raw("NULL"),
            };
            let values = shown.iter().map(value).collect();
            rows.push(form("({0})", [fixed(values)]));
        }
        let columns: Vec<&str> = shown
            .iter()
            .map(|at| table.columns[*at].name.as_str())
            .collect();
        let conflict = self.on_conflict(table);
        let returning = self.returning(table, &table.name);
        let head = format!("INSERT INTO {} ({})", table.name, columns.join(", "));
        form(
            format!("{head} VALUES {{0}}{{1}}{{2}}"),
            [Text::Items(", ", rows), conflict, returning],
        )
    }

    /// One that is new, mostly.
    fn new_id(&mut self) -> i64 {
        match self.random.chance(25) {
            true => self.random.below(12) as i64,
            false => {
                self.ids += 1;
                self.ids
            }
        }
    }

    fn on_conflict(&mut self, table: &Table) -> Text {
        let others: Vec<&Column> = table.columns.iter().filter(|c| c.name != "id").collect();
        // Which of two keys is looked at first is nobody's business.
        let can = table.has_id && !table.has_more_keys() && !others.is_empty();
        match self.random.below(4) {
            0 => optional(raw(" ON CONFLICT DO NOTHING")),
            1 if can => raw(" ON CONFLICT (id) DO NOTHING"),
            2 if can => {
                let column = others[self.random.below(others.len() as u64) as usize];
                let scope = Scope {
                    own: [scope(table, &table.name).own, scope(table, "excluded").own].concat(),
                    ..Scope::default()
                };
                let (value, test) = self.flat(|this| {
                    (
                        this.expr(column.kind, 1, &scope, false),
                        this.predicate(1, &scope),
                    )
                });
                let shape = format!(
                    " ON CONFLICT (id) DO UPDATE SET {} = {{0}}{{1}}",
                    column.name
                );
                form(shape, [value, optional(form(" WHERE {0}", [test]))])
            }
            _ => raw(""),
        }
    }

    fn returning(&mut self, table: &Table, name: &str) -> Text {
        if self.random.chance(60) {
            return raw("");
        }
        let scope = scope(table, name);
        let kind = self.kind_of(&scope);
        let value = self.flat(|this| this.expr(kind, 1, &scope, false));
        let columns = table.columns.iter().map(|c| raw(c.name.clone()));
        let items = columns.chain([value]).collect();
        optional(form(" RETURNING {0}", [Text::Items(", ", items)]))
    }

    fn insert_query(&mut self, table: &Table) -> Text {
        let from = self.tables[self.random.below(self.tables.len() as u64) as usize].clone();
        if from.rows.len() > 100 || (table.has_id && !from.has_id) {
            return self.insert(table);
        }
        let scope = scope(&from, "s");
        self.ids += 10_000;
        let ids = self.ids;
        let (values, test) = self.flat(|this| {
            let value = |column: &Column| match column.name.as_str() {
                "id" => raw(format!("s.id + {ids}")),
                _ => this.expr(column.kind, 1, &scope, true),
            };
            let values: Vec<Text> = table.columns.iter().map(value).collect();
            (values, this.predicate(1, &scope))
        });
        // An order, so that it is not always that of the rows.
        let shape = format!(
            "INSERT INTO {} SELECT {{0}} FROM {} AS s WHERE {{1}}{{2}}",
            table.name, from.name
        );
        let returning = self.returning(table, &table.name);
        form(shape, [fixed(values), test, returning])
    }

    fn update(&mut self, table: &Table) -> Text {
        let scope = scope(table, &table.name);
        let Some((column, value)) = self.assignment(table, &scope) else {
            return self.delete(table);
        };
        let test = self.changed(&scope);
        let returning = self.returning(table, &table.name);
        form(
            format!("UPDATE {} SET {column} = {{0}}{{1}}{{2}}", table.name),
            [value, test, returning],
        )
    }

    /// Which rows: those of a predicate, or all.
    fn changed(&mut self, scope: &Scope) -> Text {
        let test = self.flat(|this| this.predicate(2, scope));
        optional(form(" WHERE {0}", [test]))
    }

    fn assignment(&mut self, table: &Table, scope: &Scope) -> Option<(String, Text)> {
        let others: Vec<&Column> = table.columns.iter().filter(|c| c.name != "id").collect();
        let column = others[self.random.below(others.len().max(1) as u64) as usize];
        // Whether keys meet on the way depends on the order of rows.
        if table.has_more_keys() {
            return None;
        }
        let value = self.flat(|this| this.expr(column.kind, 2, scope, column.kind != Kind::Int));
        Some((column.name.clone(), value))
    }

    /// UPDATE with FROM: each row has at most one that it is joined to.
    fn update_from(&mut self, table: &Table) -> Text {
        let other = self.tables[self.random.below(self.tables.len() as u64) as usize].clone();
        let own = scope(table, &table.name);
        let ints: Vec<&Named> = own
            .own
            .iter()
            .filter(|named| named.kind == Kind::Int)
            .collect();
        if ints.is_empty() || !other.has_id {
            return self.update(table);
        }
        let by = ints[self.random.below(ints.len() as u64) as usize]
            .text
            .clone();
        let both = Scope {
            own: [own.own.clone(), scope(&other, "s").own].concat(),
            ..Scope::default()
        };
        let Some((column, value)) = self.assignment(table, &both) else {
            return self.delete(table);
        };
        let test = self.flat(|this| this.predicate(1, &both));
        let returning = self.returning(table, &table.name);
        form(
            format!(
                "UPDATE {} SET {column} = {{0}} FROM {} AS s WHERE s.id = {{1}}{{2}}{{3}}",
                table.name, other.name
            ),
            [
                value,
                by,
                optional(form(" AND {0}", [test])),
                qualified(returning, table),
            ],
        )
    }

    fn delete(&mut self, table: &Table) -> Text {
        let scope = scope(table, &table.name);
        let test = self.flat(|this| this.predicate(2, &scope));
        let returning = self.returning(table, &table.name);
        form(
            format!("DELETE FROM {} WHERE {{0}}{{1}}", table.name),
            [test, returning],
        )
    }

    /// DELETE with USING, which SQLite does not have.
    fn delete_using(&mut self, table: &Table) -> Text {
        let other = self.tables[self.random.below(self.tables.len() as u64) as usize].clone();
        let both = Scope {
            own: [scope(table, &table.name).own, scope(&other, "s").own].concat(),
            ..Scope::default()
        };
        let test = self.flat(|this| this.predicate(2, &both));
        let (name, other) = (&table.name, &other.name);
        let exists =
            format!("DELETE FROM {name} WHERE EXISTS (SELECT 1 FROM {other} AS s WHERE {{0}})");
        form(
            format!("DELETE FROM {name} USING {other} AS s WHERE {{0}}"),
            [test],
        )
        .rewritten(exists.clone())
        .sqlite(exists)
    }
}

/// Items of which none may be left out.
pub(super) fn fixed(items: Vec<Text>) -> Text {
    let shape: Vec<String> = (0..items.len()).map(|at| format!("{{{at}}}")).collect();
    form(shape.join(", "), items)
}

fn qualified(returning: Text, table: &Table) -> Text {
    match returning {
        Text::Raw(_) => returning,
        // Names alone would be those of both tables, or SQLite would have them refused.
        _ => raw(format!(
            " RETURNING {}.{}",
            table.name, table.columns[0].name
        )),
    }
}

/// The columns of a table, named with what the statement calls it.
pub(super) fn scope(table: &Table, name: &str) -> Scope {
    let named = |column: &Column| Named {
        text: raw(format!("{name}.{}", column.name)),
        kind: column.kind,
        is_calm: column.is_calm,
    };
    Scope {
        own: table.columns.iter().map(named).collect(),
        ..Scope::default()
    }
}
