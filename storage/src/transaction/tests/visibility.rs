//! Who sees what.

use super::*;

#[test]
fn nobody_sees_what_is_not_committed() {
    // No dirty read: Alice has paid, but not yet committed.
    let core = with_table();
    let mut alice = core.begin().unwrap();
    insert(&mut alice, 1, 10).unwrap();
    let mut bob = core.begin().unwrap();
    assert_eq!(get(&mut bob, 1), None);
    assert_eq!(get(&mut alice, 1), Some(10));
    alice.commit().unwrap();
    // And no non-repeatable read: Bob's snapshot stays what it was.
    assert_eq!(get(&mut bob, 1), None);
    assert_eq!(all(&mut bob), []);
    assert_eq!(get(&mut core.begin().unwrap(), 1), Some(10));
}

#[test]
fn a_snapshot_keeps_the_past_whatever_happens_to_it() {
    let core = with_table();
    let mut alice = core.begin().unwrap();
    for k in 0..100 {
        insert(&mut alice, k, k).unwrap();
    }
    alice.commit().unwrap();
    let mut old = core.begin().unwrap();
    let expected: Vec<(i32, i32)> = (0..100).map(|k| (k, k)).collect();
    for round in 1..4 {
        let mut tx = core.begin().unwrap();
        for k in 0..100 {
            match k % 3 {
                0 if round == 2 => assert!(delete(&mut tx, k).unwrap()),
                1 => assert!(update(&mut tx, k, k + 100 * round).unwrap()),
                _ => {}
            }
        }
        tx.commit().unwrap();
        core.collect_garbage();
        assert_eq!(all(&mut old), expected);
    }
    drop(old);
    core.collect_garbage();
    let now = all(&mut core.begin().unwrap());
    let changed = |k: i32| (k, if k % 3 == 1 { k + 300 } else { k });
    let expected: Vec<_> = (0..100).filter(|k| k % 3 != 0).map(changed).collect();
    assert_eq!(now, expected);
}

#[test]
fn a_command_does_not_see_its_own_changes() {
    // No Halloween problem: a view made before the change, in the same command, shows the past.
    let core = with_table();
    let mut tx = core.begin().unwrap();
    let row = insert(&mut tx, 1, 10).unwrap();
    tx.begin_command();
    let view = tx.view();
    let table = t(&tx);
    let changes = [(V, ValueRef::Integer(11))];
    assert!(tx.update(&table, row, &changes).unwrap());
    assert!(!tx.update(&table, row, &changes).unwrap(), "once a command");
    assert!(!tx.delete(&table, row).unwrap(), "once a command");
    assert_eq!(view.row(&table, row, |row| int(row.get(V))), Some(10));
    assert_eq!(get(&mut tx, 1), Some(11));
    // The older command's view still shows what it showed.
    assert_eq!(view.row(&table, row, |row| int(row.get(V))), Some(10));
    assert!(delete(&mut tx, 1).unwrap());
    assert_eq!(get(&mut tx, 1), None);
    assert!(!tx.update(&table, row, &changes).unwrap(), "it is gone");
    tx.commit().unwrap();
    assert_eq!(all(&mut core.begin().unwrap()), []);
}

#[test]
fn a_failed_statement_leaves_nothing_behind() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    insert(&mut tx, 1, 10).unwrap();
    insert(&mut tx, 2, 20).unwrap();
    let before = all(&mut tx);
    let entries = |tx: &Transaction| -> Vec<usize> {
        t(tx)
            .indexes
            .iter()
            .map(|index| index.index.len())
            .collect()
    };
    let entries_before = entries(&tx);
    // A statement that updates, deletes, inserts, and then fails.
    let mark = tx.begin_command();
    let table = t(&tx);
    let (one, two) = (find(&tx, 1).unwrap(), find(&tx, 2).unwrap());
    tx.update(
        &table,
        one,
        &[(K, ValueRef::Integer(3)), (V, ValueRef::Null)],
    )
    .unwrap();
    tx.delete(&table, two).unwrap();
    tx.insert(&table, &[ValueRef::Integer(2), ValueRef::Integer(21)])
        .unwrap();
    let again = tx.insert(&table, &[ValueRef::Integer(3), ValueRef::Null]);
    assert_eq!(again.unwrap_err().sqlstate(), "23505");
    tx.rollback_to(mark);
    assert_eq!(all(&mut tx), before);
    assert_eq!(entries(&tx), entries_before);
    tx.commit().unwrap();
    core.collect_garbage();
    let mut after = core.begin().unwrap();
    assert_eq!(all(&mut after), before);
    assert_eq!(entries(&after), entries_before);
}

#[test]
fn a_view_outlives_its_transaction_and_its_core() {
    let core = with_table();
    let mut tx = core.begin().unwrap();
    let row = insert(&mut tx, 1, 10).unwrap();
    tx.commit().unwrap();
    let tx = core.begin().unwrap();
    let (view, table) = (tx.view(), t(&tx));
    tx.rollback();
    let mut rival = core.begin().unwrap();
    assert!(update(&mut rival, 1, 11).unwrap());
    rival.commit().unwrap();
    core.collect_garbage();
    drop(core);
    assert_eq!(view.row(&table, row, |row| int(row.get(V))), Some(10));
}

#[test]
fn values_of_every_size_come_back() {
    let core = core();
    create(&core, DataType::Text);
    let texts = ["", "twelve bytes", "thirteen byte", &"long ".repeat(1000)];
    let read = |core: &Arc<Core>| -> Vec<String> {
        let tx = core.begin().unwrap();
        let mut seen = Vec::new();
        tx.view()
            .for_each_row(&t(&tx), |_, row| {
                seen.push(match row.get(V) {
                    ValueRef::Text(text) => text.to_owned(),
                    other => panic!("a text, not {other:?}"),
                });
                Ok::<(), ()>(())
            })
            .unwrap();
        seen
    };
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    for (k, text) in texts.iter().enumerate() {
        tx.insert(
            &t(&tx),
            &[ValueRef::Integer(k as i32), ValueRef::Text(text)],
        )
        .unwrap();
    }
    tx.commit().unwrap();
    assert_eq!(read(&core), texts);
    // Changing the other column keeps the string, changing the string keeps what is short.
    let reversed = ["thirteen byte", &"other ".repeat(500), "", "short"];
    for step in 0..3 {
        let mut tx = core.begin().unwrap();
        for (k, text) in reversed.iter().enumerate() {
            let k = k as i32 + 10 * step;
            change(&mut tx, k, &[(K, ValueRef::Integer(k + 10))]).unwrap();
            change(&mut tx, k + 10, &[(V, ValueRef::Text(text))]).unwrap();
        }
        tx.commit().unwrap();
        assert_eq!(read(&core), reversed);
        core.collect_garbage();
        assert_eq!(read(&core), reversed);
    }
}
