//! The catalog as a value.

use super::*;
use crate::pool::{Ledger, Pool};
use crate::value::DataType;

fn entry(pool: &Arc<Pool>, id: u32, name: &str) -> Arc<TableEntry> {
    in_schema(pool, id, name, SchemaId::PUBLIC)
}

fn in_schema(pool: &Arc<Pool>, id: u32, name: &str, schema: SchemaId) -> Arc<TableEntry> {
    let def = TableDef {
        id: TableId(id),
        schema,
        ..TableDef::new(name, Vec::new())
    };
    Arc::new(TableEntry::new(def, pool))
}

#[test]
fn a_name_that_moves_from_one_table_to_another_merges() {
    let pool = Pool::new(Ledger::new(1 << 20));
    let mut base = Catalog::default();
    let old = entry(&pool, 1, "t");
    base.set_table(TableId(1), Some(old)).unwrap();
    let mut own = base.clone();
    own.set_table(TableId(1), None).unwrap();
    let dropped = own.clone();
    own.set_table(TableId(2), Some(entry(&pool, 2, "t")))
        .unwrap();
    let mut latest = base.clone();
    latest
        .set_table(TableId(3), Some(entry(&pool, 3, "u")))
        .unwrap();
    let [one, two] = [TableId(1), TableId(2)].map(CatalogObject::Table);
    let steps = [(one, &dropped), (two, &own)];
    let merged = Catalog::merge(&base, &latest, &steps).unwrap();
    assert_eq!(merged.table("t").map(|t| t.def.id), Some(TableId(2)));
    assert_eq!(merged.table("u").map(|t| t.def.id), Some(TableId(3)));
    assert!(merged.table_by_id(TableId(1)).is_none());
    // The name is free again, for whoever has it now.
    assert!(merged.has_name("t"));
    let mut more = own.clone();
    let taken = more.set_table(TableId(4), Some(entry(&pool, 4, "t")));
    assert!(matches!(taken, Err(Error::DuplicateRelation(name)) if name == "t"));
    assert!(more.table_by_id(TableId(4)).is_none());
    let mut rival = latest.clone();
    rival.set_table(TableId(1), None).unwrap();
    let merged = Catalog::merge(&base, &rival, &steps);
    assert!(matches!(merged, Err(Error::SchemaConflict { .. })));
}

/// A replay of the log would find the name taken: so must the commit.
#[test]
fn a_name_that_was_needed_for_a_while_has_to_be_free() {
    let pool = Pool::new(Ledger::new(1 << 20));
    let base = Catalog::default();
    let mut created = base.clone();
    let table = CatalogObject::Table(TableId(1));
    created
        .set_table(TableId(1), Some(entry(&pool, 1, "t")))
        .unwrap();
    let steps = [(table, &created), (table, &base)];
    assert!(Catalog::merge(&base, &base, &steps).is_ok());
    let mut rival = base.clone();
    rival
        .set_table(TableId(2), Some(entry(&pool, 2, "t")))
        .unwrap();
    let merged = Catalog::merge(&base, &rival, &steps);
    assert!(matches!(merged, Err(Error::SchemaConflict { table }) if table == "t"));
}

fn sequence(id: u32, name: &str) -> Arc<SequenceEntry> {
    Arc::new(SequenceEntry::new(SequenceDef {
        id: SequenceId(id),
        ..SequenceDef::new(name)
    }))
}

/// One makes a default of a sequence while the other one drops it: whoever commits last is refused.
#[test]
fn a_default_and_its_sequence_cannot_part_in_two_transactions() {
    let pool = Pool::new(Ledger::new(1 << 20));
    let (s, t) = (SequenceId(7), TableId(1));
    let mut base = Catalog::default();
    base.set_sequence(s, Some(sequence(7, "s"))).unwrap();
    let mut user = base.clone();
    let mut def = TableDef::new(
        "t",
        vec![ColumnDef::new(ColumnId(1), "k", DataType::BigInt)],
    );
    (def.id, def.columns[0].sequences) = (t, vec![s]);
    user.set_table(t, Some(Arc::new(TableEntry::new(def, &pool))))
        .unwrap();
    let mut dropper = base.clone();
    dropper.set_sequence(s, None).unwrap();
    let refused = |merged: Result<Catalog>| {
        assert!(matches!(merged, Err(Error::SchemaConflict { table }) if table == "t"));
    };
    let uses = [(CatalogObject::Table(t), &user)];
    refused(Catalog::merge(&base, &dropper, &uses));
    let drops = [(CatalogObject::Sequence(s), &dropper)];
    refused(Catalog::merge(&base, &user, &drops));
    assert_eq!(user.users_of(s).count(), 1);
}

#[test]
fn sequences_share_the_name_space_and_are_found_by_it() {
    let pool = Pool::new(Ledger::new(1 << 20));
    let mut catalog = Catalog::default();
    let (s, t) = (SequenceId(1), TableId(1));
    catalog.set_sequence(s, Some(sequence(1, "s"))).unwrap();
    let taken = catalog.set_table(t, Some(entry(&pool, 1, "s")));
    assert!(matches!(taken, Err(Error::DuplicateRelation(name)) if name == "s"));
    catalog.set_table(t, Some(entry(&pool, 1, "t"))).unwrap();
    let taken = catalog.set_sequence(SequenceId(2), Some(sequence(2, "t")));
    assert!(matches!(taken, Err(Error::DuplicateRelation(name)) if name == "t"));
    assert!(catalog.table("s").is_none() && catalog.sequence("t").is_none());
    // Under another name it is gone from the old one.
    catalog.set_sequence(s, Some(sequence(1, "r"))).unwrap();
    assert!(catalog.sequence("r").is_some() && !catalog.has_name("s"));
}

/// Two schemas, each with a table of one name; and one that is a session's.
#[test]
fn a_name_is_taken_in_its_schema_only() {
    let pool = Pool::new(Ledger::new(1 << 20));
    let mut catalog = Catalog::default();
    let (stock, own) = (SchemaId(1), SchemaId::temporary(7));
    let def = SchemaDef {
        id: stock,
        name: "stock".to_owned(),
    };
    catalog.set_schema(stock, Some(Arc::new(def))).unwrap();
    for (id, schema) in [(1, SchemaId::PUBLIC), (2, stock), (3, own)] {
        let entry = in_schema(&pool, id, "t", schema);
        catalog.set_table(TableId(id), Some(entry)).unwrap();
    }
    assert_eq!(catalog.table("t").unwrap().def.id, TableId(1));
    assert_eq!(catalog.table((stock, "t")).unwrap().def.id, TableId(2));
    assert_eq!(catalog.table((own, "t")).unwrap().def.id, TableId(3));
    let again = in_schema(&pool, 4, "t", stock);
    assert!(catalog.set_table(TableId(4), Some(again)).is_err());
    // It moves, if there is room.
    let moved = in_schema(&pool, 3, "t", stock);
    assert!(catalog.set_table(TableId(3), Some(moved)).is_err());
    let lasting = Arc::new(catalog.clone()).lasting();
    assert_eq!(lasting.tables().count(), 2);
    assert!(lasting.table((own, "t")).is_none());
    assert_eq!(catalog.tables().count(), 3);
}

/// One puts a table into a schema that another drops; whoever is second is told.
#[test]
fn a_schema_goes_only_without_what_others_put_into_it() {
    let pool = Pool::new(Ledger::new(1 << 20));
    let mut base = Catalog::default();
    let stock = SchemaId(1);
    let def = SchemaDef {
        id: stock,
        name: "stock".to_owned(),
    };
    base.set_schema(stock, Some(Arc::new(def))).unwrap();
    let mut filled = base.clone();
    let entry = in_schema(&pool, 1, "t", stock);
    filled.set_table(TableId(1), Some(entry)).unwrap();
    let mut dropped = base.clone();
    dropped.set_schema(stock, None).unwrap();
    let fills = [(CatalogObject::Table(TableId(1)), &filled)];
    let drops = [(CatalogObject::Schema(stock), &dropped)];
    assert!(Catalog::merge(&base, &base, &fills).is_ok());
    assert!(Catalog::merge(&base, &base, &drops).is_ok());
    for (latest, steps) in [(&dropped, &fills), (&filled, &drops)] {
        let merged = Catalog::merge(&base, latest, steps);
        assert!(matches!(merged, Err(Error::SchemaConflict { .. })));
    }
}

#[test]
fn a_comment_goes_with_what_it_is_on() {
    let pool = Pool::new(Ledger::new(1 << 20));
    let mut catalog = Catalog::default();
    let table = Commented::Table(TableId(1));
    catalog.set_comment(table, Some("on nothing".into()));
    assert!(catalog.comment(table).is_none());
    let entry = in_schema(&pool, 1, "t", SchemaId::PUBLIC);
    catalog.set_table(TableId(1), Some(entry)).unwrap();
    catalog.set_comment(table, Some("on the table".into()));
    let renamed = in_schema(&pool, 1, "u", SchemaId::PUBLIC);
    catalog.set_table(TableId(1), Some(renamed)).unwrap();
    assert_eq!(&**catalog.comment(table).unwrap(), "on the table");
    catalog.set_table(TableId(1), None).unwrap();
    assert_eq!(catalog.comments().count(), 0);
}
