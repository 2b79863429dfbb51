//! `pg_catalog`: schemas, relations, columns, indexes and comments, in the columns that tools ask PostgreSQL for.
//!
//! Object ids are numbers of 64 bits (there is no type OID), lists of columns are text. Columns for what PostgreSQL has
//! and this engine does not are constant, or left out. Rows are made of the catalog that the statement sees, without
//! the temporary objects of other sessions.

use super::table::{Names, system_table};
use crate::function::{
    Defined, INFORMATION_SCHEMA, PG_CATALOG, constraint_oid, described, element_of, host_table_oid,
    index_oid, modifier, pg_type, schema_name, schema_oid, sequence_oid, table_oid, type_number,
    type_oid,
};
use remora_storage::catalog::{
    Collation, ColumnDef, Commented, Constraint, Deferral, Identity, IndexDef, TableDef, ViewCheck,
};
use remora_storage::{ColumnId, SchemaId};
use std::borrow::Cow;

/// The only user.
pub(super) const OWNER: i64 = 10;

/// PostgreSQL's number of a column, from 1.
pub(super) fn attnum(id: ColumnId) -> i16 {
    i16::try_from(id.0 + 1).unwrap_or(i16::MAX)
}

fn small(n: usize) -> i16 {
    i16::try_from(n).unwrap_or(i16::MAX)
}

system_table! {
    NAMESPACE = "pg_namespace", CATALOG;
    |context| let names = context.names(); for schema in schemas(&names);
    "oid" BigInt = schema_oid(schema),
    "nspname" Text = schema_name(&names.catalog, schema),
    "nspowner" BigInt = OWNER,
    "nspacl" Text = None::<&str>,
}

fn schemas(names: &Names) -> impl Iterator<Item = SchemaId> {
    let catalog = &names.catalog;
    let made = catalog.schemas().map(|schema| schema.id);
    let own = names.path.temporary().into_iter();
    let own = own.filter(|schema| catalog.objects_in(*schema).next().is_some());
    let always = [PG_CATALOG, SchemaId::PUBLIC, INFORMATION_SCHEMA];
    always.into_iter().chain(made).chain(own)
}

system_table! {
    /// Tables, views, indexes and sequences.
    CLASS = "pg_class", CATALOG;
    |context| let names = context.names(); for class in classes(&names);
    "oid" BigInt = class.oid,
    "relname" Text = class.name,
    "relnamespace" BigInt = schema_oid(class.schema),
    "reltype" BigInt = 0_i64,
    "relowner" BigInt = OWNER,
    "relam" BigInt = 0_i64,
    "relfilenode" BigInt = class.oid,
    "reltablespace" BigInt = 0_i64,
    "relpages" Integer = 0,
    "reltuples" Real = -1.0_f32,
    "relhasindex" Boolean = class.has_index,
    "relisshared" Boolean = false,
    "relpersistence" Text = match class.schema.is_temporary() {
        true => "t",
        false if class.unlogged => "u",
        false => "p",
    },
    "relkind" Text = class.kind,
    "relnatts" SmallInt = small(class.columns),
    "relchecks" SmallInt = small(class.checks),
    "relhasrules" Boolean = class.kind == "v",
    "relhastriggers" Boolean = class.has_triggers,
    "relrowsecurity" Boolean = false,
    "relispopulated" Boolean = true,
    "relispartition" Boolean = false,
    "reloptions" Text = class.check.map(|check| match check {
        ViewCheck::Local => "{check_option=local}",
        ViewCheck::Cascaded => "{check_option=cascaded}",
    }),
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
    unlogged: bool,
    check: Option<ViewCheck>,
}

impl<'c> Class<'c> {
    fn new(kind: &'static str, oid: i64, schema: SchemaId, name: &'c str, columns: usize) -> Self {
        Self {
            oid,
            name,
            schema,
            kind,
            columns,
            checks: 0,
            has_index: false,
            has_triggers: false,
            unlogged: false,
            check: None,
        }
    }
}

fn classes(names: &Names) -> Vec<Class<'_>> {
    let mut classes = Vec::new();
    for entry in names.tables() {
        let def = &entry.def;
        let kind = if def.materialized.is_some() { "m" } else { "r" };
        let columns = def.shown().count();
        classes.push(Class {
            checks: def.checks.len(),
            has_index: !entry.indexes.is_empty(),
            has_triggers: !def.triggers.is_empty(),
            unlogged: def.unlogged,
            ..Class::new(kind, table_oid(def.id), def.schema, &def.name, columns)
        });
        classes.extend(entry.indexes.iter().map(|index| {
            let columns = index.def.columns.len() - usize::from(index.def.partial);
            let oid = index_oid(index.def.id);
            Class {
                unlogged: def.unlogged,
                ..Class::new("i", oid, def.schema, &index.def.name, columns)
            }
        }));
    }
    classes.extend(names.views().map(|view| {
        let (oid, columns) = (table_oid(view.id), view.columns.len());
        Class {
            has_triggers: !view.triggers.is_empty(),
            check: view.check,
            ..Class::new("v", oid, view.schema, &view.name, columns)
        }
    }));
    classes.extend(names.path.host().tables().map(|table| {
        let (oid, columns) = (host_table_oid(&table.name), table.columns.len());
        Class::new("f", oid, SchemaId::PUBLIC, &table.name, columns)
    }));
    classes.extend(names.sequences().map(|entry| {
        let def = &entry.def;
        Class::new("S", sequence_oid(def.id), def.schema, &def.name, 3)
    }));
    classes
}

system_table! {
    /// Columns of tables and views.
    ATTRIBUTE = "pg_attribute", CATALOG;
    |context| let names = context.names(); for (table, column) in attributes(&names);
    let known = pg_type(column.data_type);
    "attrelid" BigInt = table,
    "attname" Text = &column.name,
    "atttypid" BigInt = column.domain.map_or_else(|| type_number(column.data_type), type_oid),
    "attlen" SmallInt = known.map_or(-1, |known| known.length),
    "attnum" SmallInt = attnum(column.id),
    "attndims" Integer = 0,
    "atttypmod" Integer = match column.time_modifier {
        // One of some fields of a span is shown as a whole one.
        Some(kept) if kept >> 8 == 0 => kept,
        Some(_) => -1,
        None => modifier(column.data_type),
    },
    "attnotnull" Boolean = column.not_null,
    "atthasdef" Boolean = column.default.is_some() && column.identity.is_none(),
    "attidentity" Text = match column.identity {
        None => "",
        Some(Identity::Always) => "a",
        Some(Identity::ByDefault) => "d",
    },
    "attgenerated" Text = if column.generated.is_some() { "s" } else { "" },
    "attisdropped" Boolean = false,
    "attislocal" Boolean = true,
    "attcollation" BigInt = collation_oid(&column),
}

fn attributes(names: &Names) -> Vec<(i64, Cow<'_, ColumnDef>)> {
    let mut columns = Vec::new();
    for entry in names.tables() {
        let shown = entry.def.shown();
        columns.extend(shown.map(|(_, column)| (table_oid(entry.def.id), Cow::Borrowed(column))));
    }
    let made = |at, name, of| Cow::Owned(ColumnDef::new(ColumnId(at), name, of));
    for view in names.views() {
        let shown = (0..).zip(&view.columns);
        let shown = shown.map(|(at, column)| made(at, &*column.name, column.data_type));
        columns.extend(shown.map(|column| (table_oid(view.id), column)));
    }
    for table in names.path.host().tables() {
        let shown = (0..).zip(&table.columns);
        let shown = shown.map(|(at, (name, of))| made(at, &**name, *of));
        columns.extend(shown.map(|column| (host_table_oid(&table.name), column)));
    }
    columns
}

/// Returns PostgreSQL's number of a collation where it has one, as in `pg_collation`.
fn collation_oid(column: &ColumnDef) -> i64 {
    let of = element_of(column.data_type).unwrap_or(column.data_type);
    match column.collation {
        Some(Collation::C) => 950,
        Some(Collation::Posix) => 951,
        Some(Collation::UcsBasic) => 952,
        Some(Collation::Nocase) => 953,
        None if of.is_string() => 100,
        None => 0,
    }
}

system_table! {
    INDEX = "pg_index", CATALOG;
    |context|
    let names = context.names();
    for (table, def) in names.tables().flat_map(|entry| {
        entry.indexes.iter().map(|index| (&entry.def, &index.def))
    });
    let keys = keys(table, def);
    "indexrelid" BigInt = index_oid(def.id),
    "indrelid" BigInt = table_oid(def.table),
    "indnatts" SmallInt = small(keys.len()),
    "indnkeyatts" SmallInt = small(keys.len()),
    "indisunique" Boolean = def.is_unique(),
    "indisprimary" Boolean = def.constraint == Some(Constraint::PrimaryKey),
    "indimmediate" Boolean = def.deferral == Deferral::Never,
    "indisvalid" Boolean = true,
    "indisready" Boolean = true,
    "indislive" Boolean = true,
    "indkey" Text = keys.join(" "),
    "indexdef" Text = context.definition(&names, Defined::Index(def.id, 0))?,
}

/// Returns the numbers of an index's columns; 0 for an expression.
fn keys(table: &TableDef, def: &IndexDef) -> Vec<String> {
    let keys = def.columns.iter().skip(usize::from(def.partial));
    let number = keys.map(|key| {
        let column = table.key_column(key.column);
        column.map_or(0, |(column, _)| attnum(column.id))
    });
    number.map(|number| number.to_string()).collect()
}

system_table! {
    /// Defaults.
    ATTRDEF = "pg_attrdef", CATALOG;
    |context|
    let names = context.names();
    for (table, column, default) in names.tables().flat_map(|entry| {
        let columns = entry.def.columns.iter().filter(|column| column.identity.is_none());
        columns.filter_map(|column| Some((entry.def.id, column, column.default.as_ref()?)))
    });
    let number = attnum(column.id);
    "oid" BigInt = constraint_oid(table, &format!("default {number}")),
    "adrelid" BigInt = table_oid(table),
    "adnum" SmallInt = number,
    "adbin" Text = default,
}

system_table! {
    /// Queries of views.
    REWRITE = "pg_rewrite", CATALOG;
    |context| let names = context.names(); for view in names.views();
    "oid" BigInt = constraint_oid(view.id, "_RETURN"),
    "rulename" Text = "_RETURN",
    "ev_class" BigInt = table_oid(view.id),
    "ev_type" Text = "1",
    "ev_enabled" Text = "O",
    "is_instead" Boolean = true,
    "ev_action" Text = &view.query,
}

system_table! {
    /// Comments.
    DESCRIPTION = "pg_description", CATALOG;
    |context|
    let names = context.names();
    for (on, comment) in names.catalog.comments().filter(|(on, _)| is_shown(&names, *on));
    let (class, object, part) = described(on);
    "objoid" BigInt = object,
    "classoid" BigInt = class,
    "objsubid" Integer = part,
    "description" Text = comment,
}

fn is_shown(names: &Names, on: Commented) -> bool {
    let schema = names.catalog.schema_of(on);
    schema.is_some_and(|schema| names.shows(schema))
}

system_table! {
    DATABASE = "pg_database", CATALOG;
    |_context| for name in std::iter::once("remora");
    "oid" BigInt = 1_i64,
    "datname" Text = name,
    "datdba" BigInt = OWNER,
    "encoding" Integer = 6,
    "datcollate" Text = "C",
    "datctype" Text = "C",
    "datistemplate" Boolean = false,
    "datallowconn" Boolean = true,
}

system_table! {
    /// The only user.
    ROLES = "pg_roles", CATALOG;
    |_context| for name in std::iter::once("remora");
    "oid" BigInt = OWNER,
    "rolname" Text = name,
    "rolsuper" Boolean = true,
    "rolcanlogin" Boolean = true,
}
