//! The rows of `pg_catalog`: the catalog that the statement sees, without what is temporary in other sessions.
//!
//! Object ids are `function`'s (`oids`).

use super::pg_table::PgTable;
use crate::function::{
    EvalContext, INFORMATION_SCHEMA, PG_CATALOG, SearchPath, constraint_oid, described, element_of,
    host_table_oid, index_definition, index_oid, modifier, pg_type, schema_name, schema_oid,
    sequence_oid, table_oid, type_number, type_oid,
};
use remora_storage::catalog::{
    Catalog, Collation, ColumnDef, Constraint, Deferral, ForeignAction, ForeignKeyDef, Identity,
    IndexDef, SequenceDef, TableDef, TableEntry, ViewCheck, ViewDef,
};
use remora_storage::{ColumnId, IndexId, ReadView, SchemaId, Value};
use std::sync::Arc;

/// The only user.
pub(super) const OWNER: i64 = 10;

pub(super) type Row = Vec<Value>;

/// All rows of a table.
pub(super) fn rows(table: PgTable, view: &ReadView, context: &EvalContext) -> Vec<Row> {
    let scope = context.sequences.as_ref();
    let catalog = match scope {
        Some(scope) => Arc::clone(scope.shared()),
        None => view.core().shown_catalog(),
    };
    let anywhere = SearchPath::default();
    let path = scope.map_or(&anywhere, |scope| scope.path());
    let shown = Shown {
        catalog: &catalog,
        path,
    };
    match table {
        PgTable::Namespace => shown.namespaces(),
        PgTable::Class => shown.classes(),
        PgTable::Attribute => shown.attributes(),
        PgTable::Type => super::pg_type::types(&catalog),
        PgTable::Enum => super::pg_type::labels(&catalog),
        PgTable::Range => super::pg_type::ranges(&catalog),
        PgTable::Index => shown.indexes(),
        PgTable::Constraint => shown.constraints(),
        PgTable::Trigger => shown.triggers(),
        PgTable::ConstraintColumn => shown.constraint_columns(),
        PgTable::AttrDef => shown.defaults(),
        PgTable::Rewrite => shown.rules(),
        PgTable::Sequence => shown.sequences(),
        PgTable::Description => shown.comments(),
        PgTable::Database => vec![vec![
            oid(1),
            text("remora"),
            oid(OWNER),
            Value::Integer(6),
            text("C"),
            text("C"),
            yes(false),
            yes(true),
        ]],
        PgTable::Roles => vec![vec![oid(OWNER), text("remora"), yes(true), yes(true)]],
    }
}

pub(super) fn attnum(id: ColumnId) -> i16 {
    i16::try_from(id.0 + 1).unwrap_or(i16::MAX)
}

pub(super) fn oid(number: i64) -> Value {
    Value::BigInt(number)
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn yes(is: bool) -> Value {
    Value::Boolean(is)
}

fn small(n: usize) -> Value {
    Value::SmallInt(i16::try_from(n).unwrap_or(i16::MAX))
}

/// Numbers of columns as PostgreSQL writes an array.
fn numbers(columns: &[ColumnId]) -> Value {
    let numbers = columns.iter().map(|column| attnum(*column).to_string());
    Value::Text(format!("{{{}}}", numbers.collect::<Vec<_>>().join(",")))
}

/// What a session is shown of a catalog.
pub(super) struct Shown<'c> {
    catalog: &'c Catalog,
    path: &'c SearchPath,
}

/// A constraint of a table.
struct Found<'c> {
    table: &'c TableDef,
    name: &'c str,
    kind: &'static str,
    /// The index that it stands on.
    index: Option<IndexId>,
    columns: Vec<ColumnId>,
    key: Option<&'c ForeignKeyDef>,
    condition: Option<&'c str>,
    deferral: Deferral,
    not_valid: bool,
}

/// One row of `pg_class`.
struct Class<'c> {
    oid: i64,
    name: &'c str,
    schema: SchemaId,
    kind: &'static str,
    columns: usize,
    checks: usize,
    has_index: bool,
    has_triggers: bool,
    check: Option<ViewCheck>,
}

impl<'c> Shown<'c> {
    pub(super) fn tables(&self) -> impl Iterator<Item = &'c Arc<TableEntry>> {
        let tables = self.catalog.tables();
        tables.filter(|table| self.path.shows(table.def.schema))
    }

    pub(super) fn views(&self) -> impl Iterator<Item = &'c Arc<ViewDef>> {
        let views = self.catalog.views();
        views.filter(|view| self.path.shows(view.schema))
    }

    fn namespaces(&self) -> Vec<Row> {
        let made = self.catalog.schemas().map(|schema| schema.id);
        let own = self.path.temporary().into_iter();
        let own = own.filter(|schema| self.catalog.objects_in(*schema).next().is_some());
        let always = [PG_CATALOG, SchemaId::PUBLIC, INFORMATION_SCHEMA];
        let all = always.into_iter().chain(made).chain(own);
        all.map(|schema| {
            vec![
                oid(schema_oid(schema)),
                Value::Text(schema_name(self.catalog, schema)),
                oid(OWNER),
                Value::Null,
            ]
        })
        .collect()
    }

    fn classes(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for entry in self.tables() {
            let def = &entry.def;
            rows.push(class(&Class {
                oid: table_oid(def.id),
                name: &def.name,
                schema: def.schema,
                kind: if def.materialized.is_some() { "m" } else { "r" },
                columns: def.shown().count(),
                checks: def.checks.len(),
                has_index: !entry.indexes.is_empty(),
                has_triggers: !def.triggers.is_empty(),
                check: None,
            }));
            rows.extend(entry.indexes.iter().map(|index| {
                class(&Class {
                    oid: index_oid(index.def.id),
                    name: &index.def.name,
                    schema: def.schema,
                    kind: "i",
                    columns: index.def.columns.len() - usize::from(index.def.partial),
                    checks: 0,
                    has_index: false,
                    has_triggers: false,
                    check: None,
                })
            }));
        }
        rows.extend(self.views().map(|view| {
            class(&Class {
                oid: table_oid(view.id),
                name: &view.name,
                schema: view.schema,
                kind: "v",
                columns: view.columns.len(),
                checks: 0,
                has_index: false,
                has_triggers: !view.triggers.is_empty(),
                check: view.check,
            })
        }));
        rows.extend(self.path.host().tables().map(|table| {
            class(&Class {
                oid: host_table_oid(&table.name),
                name: &table.name,
                schema: SchemaId::PUBLIC,
                kind: "f",
                columns: table.columns.len(),
                checks: 0,
                has_index: false,
                has_triggers: false,
                check: None,
            })
        }));
        let sequences = self.catalog.sequences().map(|entry| &entry.def);
        let sequences = sequences.filter(|def| self.path.shows(def.schema));
        rows.extend(sequences.map(|def| {
            class(&Class {
                oid: sequence_oid(def.id),
                name: &def.name,
                schema: def.schema,
                kind: "S",
                columns: 3,
                checks: 0,
                has_index: false,
                has_triggers: false,
                check: None,
            })
        }));
        rows
    }

    fn attributes(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for entry in self.tables() {
            let table = table_oid(entry.def.id);
            let columns = entry.def.shown();
            rows.extend(columns.map(|(_, column)| attribute(table, column)));
        }
        for view in self.views() {
            let columns = (0..).zip(&view.columns);
            rows.extend(columns.map(|(position, column)| {
                let column = ColumnDef::new(ColumnId(position), &column.name, column.data_type);
                attribute(table_oid(view.id), &column)
            }));
        }
        for table in self.path.host().tables() {
            rows.extend((0..).zip(&table.columns).map(|(position, (name, of))| {
                let column = ColumnDef::new(ColumnId(position), name, *of);
                attribute(host_table_oid(&table.name), &column)
            }));
        }
        rows
    }

    fn indexes(&self) -> Vec<Row> {
        let row = |(entry, def): (&TableEntry, &IndexDef)| {
            let keys = def.columns.iter().skip(usize::from(def.partial));
            let columns = keys.map(|key| {
                let column = entry.def.key_column(key.column);
                column
                    .map_or(0, |(column, _)| attnum(column.id))
                    .to_string()
            });
            let parts = columns.len();
            vec![
                oid(index_oid(def.id)),
                oid(table_oid(def.table)),
                small(parts),
                small(parts),
                yes(def.is_unique()),
                yes(def.constraint == Some(Constraint::PrimaryKey)),
                yes(def.deferral == Deferral::Never),
                yes(true),
                yes(true),
                yes(true),
                Value::Text(columns.collect::<Vec<_>>().join(" ")),
                Value::Text(index_definition(self.catalog, &entry.def, def)),
            ]
        };
        let of_table = |entry: &'c Arc<TableEntry>| {
            let indexes = entry.indexes.iter();
            indexes.map(move |index| row((entry, &index.def)))
        };
        self.tables().flat_map(of_table).collect()
    }

    fn all_constraints(&self) -> Vec<Found<'c>> {
        let mut found = Vec::new();
        for entry in self.tables() {
            let table = &entry.def;
            let bare = |name: &'c str, kind| Found {
                table,
                name,
                kind,
                index: None,
                columns: Vec::new(),
                key: None,
                condition: None,
                deferral: Deferral::Never,
                not_valid: false,
            };
            for index in &entry.indexes {
                let kind = match index.def.constraint {
                    Some(Constraint::PrimaryKey) => "p",
                    Some(Constraint::Unique) => "u",
                    None => continue,
                };
                let columns = index.def.columns.iter();
                let columns = columns.filter_map(|key| table.key_column(key.column));
                let columns = columns.map(|(column, _)| column.id);
                found.push(Found {
                    index: Some(index.def.id),
                    columns: columns.collect(),
                    deferral: index.def.deferral,
                    ..bare(&index.def.name, kind)
                });
            }
            found.extend(table.checks.iter().map(|check| Found {
                condition: Some(&check.expression),
                not_valid: check.not_valid,
                ..bare(&check.name, "c")
            }));
            found.extend(table.foreign_keys.iter().map(|key| Found {
                index: Some(key.index),
                columns: key.columns.clone(),
                key: Some(key),
                deferral: key.deferral,
                not_valid: key.not_valid,
                ..bare(&key.name, "f")
            }));
        }
        found
    }

    fn constraints(&self) -> Vec<Row> {
        let row = |found: Found<'_>| {
            let letter = |action: fn(&ForeignKeyDef) -> ForeignAction| {
                text(found.key.map_or(" ", |key| action_letter(action(key))))
            };
            let full = found.key.map(|key| if key.full { "f" } else { "s" });
            vec![
                oid(constraint_oid(found.table.id, found.name)),
                text(found.name),
                oid(schema_oid(found.table.schema)),
                text(found.kind),
                yes(found.deferral != Deferral::Never),
                yes(found.deferral == Deferral::Deferred),
                yes(!found.not_valid),
                oid(table_oid(found.table.id)),
                oid(found.index.map_or(0, index_oid)),
                oid(found.key.map_or(0, |key| table_oid(key.parent))),
                letter(|key| key.on_update),
                letter(|key| key.on_delete),
                text(full.unwrap_or(" ")),
                match found.columns.is_empty() {
                    true => Value::Null,
                    false => numbers(&found.columns),
                },
                found
                    .key
                    .map_or(Value::Null, |key| numbers(&key.referenced)),
                found.condition.map_or(Value::Null, text),
            ]
        };
        self.all_constraints().into_iter().map(row).collect()
    }

    fn constraint_columns(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for found in self.all_constraints() {
            for (at, column) in found.columns.iter().enumerate() {
                let parent = found
                    .key
                    .map(|key| (table_oid(key.parent), key.referenced[at]));
                rows.push(vec![
                    oid(constraint_oid(found.table.id, found.name)),
                    Value::Integer(i32::try_from(at + 1).unwrap_or(i32::MAX)),
                    oid(table_oid(found.table.id)),
                    Value::SmallInt(attnum(*column)),
                    parent.map_or(Value::Null, |(table, _)| oid(table)),
                    parent.map_or(Value::Null, |(_, column)| Value::SmallInt(attnum(column))),
                ]);
            }
        }
        rows
    }

    fn defaults(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for entry in self.tables() {
            let table = table_oid(entry.def.id);
            let columns = entry.def.columns.iter();
            let columns = columns.filter(|column| column.identity.is_none());
            for column in columns {
                if let Some(default) = &column.default {
                    let number = attnum(column.id);
                    let name = format!("default {number}");
                    rows.push(vec![
                        oid(constraint_oid(entry.def.id, &name)),
                        oid(table),
                        Value::SmallInt(number),
                        text(default),
                    ]);
                }
            }
        }
        rows
    }

    fn rules(&self) -> Vec<Row> {
        let row = |view: &Arc<ViewDef>| {
            vec![
                oid(constraint_oid(view.id, "_RETURN")),
                text("_RETURN"),
                oid(table_oid(view.id)),
                text("1"),
                text("O"),
                yes(true),
                text(&view.query),
            ]
        };
        self.views().map(row).collect()
    }

    fn comments(&self) -> Vec<Row> {
        let comments = self.catalog.comments();
        let shown = comments.filter(|(on, _)| {
            let schema = self.catalog.schema_of(*on);
            schema.is_some_and(|schema| self.path.shows(schema))
        });
        shown
            .map(|(on, comment)| {
                let (class, object, part) = described(on);
                vec![oid(object), oid(class), Value::Integer(part), text(comment)]
            })
            .collect()
    }

    /// Whether a sequence is no more than a part of its column.
    fn is_of_identity(&self, def: &SequenceDef) -> bool {
        let column = def.owner.and_then(|(table, column)| {
            let table = &self.catalog.table_by_id(table)?.def;
            Some(&table.columns[table.position(column)?])
        });
        column.is_some_and(|column| column.identity.is_some())
    }

    fn sequences(&self) -> Vec<Row> {
        let sequences = self.catalog.sequences().map(|entry| &entry.def);
        let shown = sequences.filter(|def| self.path.shows(def.schema));
        shown
            .map(|def| {
                vec![
                    oid(sequence_oid(def.id)),
                    oid(pg_type(def.data_type).map_or(0, |known| known.oid)),
                    Value::BigInt(def.start),
                    Value::BigInt(def.rule.increment),
                    Value::BigInt(def.rule.max),
                    Value::BigInt(def.rule.min),
                    Value::BigInt(def.cache),
                    yes(def.rule.cycle),
                    yes(self.is_of_identity(def)),
                ]
            })
            .collect()
    }
}

fn class(class: &Class<'_>) -> Row {
    let persistence = if class.schema.is_temporary() {
        "t"
    } else {
        "p"
    };
    vec![
        oid(class.oid),
        text(class.name),
        oid(schema_oid(class.schema)),
        oid(0),
        oid(OWNER),
        oid(0),
        oid(class.oid),
        oid(0),
        Value::Integer(0),
        Value::Real(-1.0),
        yes(class.has_index),
        yes(false),
        text(persistence),
        text(class.kind),
        small(class.columns),
        small(class.checks),
        yes(class.kind == "v"),
        yes(class.has_triggers),
        yes(false),
        yes(true),
        yes(false),
        class.check.map_or(Value::Null, |check| {
            text(match check {
                ViewCheck::Local => "{check_option=local}",
                ViewCheck::Cascaded => "{check_option=cascaded}",
            })
        }),
    ]
}

fn attribute(table: i64, column: &ColumnDef) -> Row {
    let known = pg_type(column.data_type);
    let identity = match column.identity {
        None => "",
        Some(Identity::Always) => "a",
        Some(Identity::ByDefault) => "d",
    };
    vec![
        oid(table),
        text(&column.name),
        oid(column
            .domain
            .map_or_else(|| type_number(column.data_type), type_oid)),
        Value::SmallInt(known.map_or(-1, |known| known.length)),
        Value::SmallInt(attnum(column.id)),
        Value::Integer(0),
        Value::Integer(match column.time_modifier {
            // One of some fields of a span is shown as a whole one.
            Some(kept) if kept >> 8 == 0 => kept,
            Some(_) => -1,
            None => modifier(column.data_type),
        }),
        yes(column.not_null),
        yes(column.default.is_some() && column.identity.is_none()),
        text(identity),
        text(if column.generated.is_some() { "s" } else { "" }),
        yes(false),
        yes(true),
        oid(collation_oid(column)),
    ]
}

/// PostgreSQL's numbers, as far as it has them; as in `pg_collation`.
fn collation_oid(column: &ColumnDef) -> i64 {
    match column.collation {
        Some(Collation::C) => 950,
        Some(Collation::Posix) => 951,
        Some(Collation::UcsBasic) => 952,
        Some(Collation::Nocase) => 953,
        None if element_of(column.data_type)
            .unwrap_or(column.data_type)
            .is_string() =>
        {
            100
        }
        None => 0,
    }
}

fn action_letter(action: ForeignAction) -> &'static str {
    match action {
        ForeignAction::NoAction => "a",
        ForeignAction::Restrict => "r",
        ForeignAction::Cascade => "c",
        ForeignAction::SetNull => "n",
        ForeignAction::SetDefault => "d",
    }
}
