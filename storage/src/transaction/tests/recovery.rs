//! A core rebuilt from what was logged: rows in their places, indexes from rows.

use super::*;
use crate::catalog::CatalogChange;
use crate::ids::{BlockNo, Slot, Timestamp};

fn restored(core: &Core) -> TableId {
    let id = TableId(7);
    let mut def = table_def("t", DataType::Text);
    def.id = id;
    core.restore_catalog(&CatalogChange::CreateTable(def))
        .unwrap();
    let mut index = index_def(id, "t_pkey", K, true);
    index.id = IndexId(3);
    core.restore_catalog(&CatalogChange::CreateIndex(index))
        .unwrap();
    id
}

fn finish(core: &Arc<Core>, clock: Timestamp) {
    core.finish_rows().unwrap();
    core.finish_recovery(clock, &|_| {}).unwrap();
}

#[test]
fn rows_come_back_to_their_places() {
    let core = core();
    let table = restored(&core);
    let at = |block, slot| RowId::new(BlockNo(block), Slot(slot));
    let values = |k: i32, v: &str| [(K, Value::Integer(k)), (V, text(v))];
    let long = "a string that is too long for its view".to_owned();
    // Not in order, and with gaps.
    let places = [at(2, 5), at(0, 3), at(0, 63), at(0, 1)];
    for (k, row) in places.into_iter().enumerate() {
        core.restore_insert(table, row, &values(k as i32, "v"), Timestamp(5))
            .unwrap();
    }
    let mut replay = core.replay_rows().unwrap();
    let mut update = |row, column, value, begin| {
        let changed = replay.update(table, row, &[(column, value)], Timestamp(begin));
        changed.unwrap();
    };
    // Where it stands, in a chain over it because the text has no room there, and over that.
    update(at(0, 3), K, ValueRef::Integer(8), 6);
    update(at(0, 3), V, ValueRef::Text(&long), 6);
    update(at(0, 3), K, ValueRef::Integer(9), 7);
    update(at(0, 63), V, ValueRef::Null, 7);
    replay.delete(table, at(0, 1), Timestamp(7)).unwrap();
    // What cannot have been written is refused.
    for row in [at(0, 64), at(0, 3)] {
        assert!(
            core.restore_insert(table, row, &values(5, "v"), Timestamp(7))
                .is_err()
        );
    }
    for row in [at(1, 1), at(0, 1), at(0, 2)] {
        let missing = replay.delete(table, row, Timestamp(7));
        assert!(missing.is_err(), "what goes was there");
        let missing = replay.update(table, row, &[(K, ValueRef::Null)], Timestamp(7));
        assert!(missing.is_err(), "what changes was there");
    }
    drop(replay);
    core.restore_next_row(table, at(2, 9)).unwrap();
    finish(&core, Timestamp(7));

    assert_eq!(core.latest(), Timestamp(7));
    assert_eq!(core.next_ids(), (TableId(8), IndexId(4)));
    let mut tx = core.begin().unwrap();
    let mut rows = Vec::new();
    tx.view()
        .for_each_row(&t(&tx), |id, row| {
            rows.push((id, int(row.get(K)), row.get(V).to_owned()));
            Ok::<(), ()>(())
        })
        .unwrap();
    let expected = [
        (at(0, 3), 9, text(&long)),
        (at(0, 63), 2, Value::Null),
        (at(2, 5), 0, text("v")),
    ];
    assert_eq!(rows, expected);
    assert_eq!(find(&tx, 9), Some(at(0, 3)));
    assert_eq!(find(&tx, 3), None, "the deleted row is in no index");
    assert_eq!(t(&tx).indexes[0].index.len(), 3);
    // New rows come after everything that ever was.
    let new = tx.insert(&t(&tx), &[ValueRef::Integer(3), ValueRef::Null]);
    assert_eq!(new.unwrap(), at(2, 9));
    tx.commit().unwrap();
    assert_eq!(core.latest(), Timestamp(8));
}

#[test]
fn what_was_true_while_recovering_makes_nobody_too_old() {
    let core = core();
    let table = restored(&core);
    for k in 1..=2 {
        let row = RowId::new(BlockNo(0), Slot(k as u16));
        let values = [(K, Value::Integer(k)), (V, text("v"))];
        core.restore_insert(table, row, &values, Timestamp(5))
            .unwrap();
    }
    // Maintenance may look while the clock stands beyond all that will be.
    core.timeline.horizon();
    finish(&core, Timestamp(7));
    let mut tx = core.begin().unwrap();
    assert!(find(&tx, 1).is_some());
    let mut rival = core.begin().unwrap();
    assert!(delete(&mut rival, 2).unwrap());
    rival.commit().unwrap();
    let new = [ValueRef::Integer(3), ValueRef::Null];
    tx.insert(&t(&tx), &new).unwrap();
    tx.commit().unwrap();
}

#[test]
fn an_empty_table_remembers_how_far_it_had_come() {
    let core = core();
    let table = restored(&core);
    core.restore_next_row(table, RowId::new(BlockNo(4), Slot(0)))
        .unwrap();
    finish(&core, Timestamp(70));
    let mut tx = core.begin().unwrap();
    let row = tx.insert(&t(&tx), &[ValueRef::Integer(3), ValueRef::Null]);
    assert_eq!(row.unwrap(), RowId::new(BlockNo(4), Slot(0)));
}
