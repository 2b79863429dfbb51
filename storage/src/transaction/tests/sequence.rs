//! Numbers are taken beside transactions; sequences come and go within them.

use super::core;
use crate::catalog::{SequenceDef, SequenceEntry, SequencePosition, SequenceRule, TableDef};
use crate::error::{Error, Result};
use crate::ids::ColumnId;
use crate::transaction::{Core, Transaction};
use std::collections::BTreeSet;
use std::sync::Arc;

fn create(core: &Arc<Core>, name: &str) {
    let mut tx = core.begin().unwrap();
    tx.create_sequence(SequenceDef::new(name)).unwrap();
    tx.commit().unwrap();
}

fn entry(tx: &Transaction, name: &str) -> Arc<SequenceEntry> {
    Arc::clone(tx.catalog().sequence(name).expect("the sequence"))
}

fn take(tx: &Transaction) -> i64 {
    tx.core().next_value(&entry(tx, "s")).expect("a number")
}

#[test]
fn a_number_stays_taken_when_its_transaction_rolls_back_and_nobody_waits_for_it() {
    let core = core();
    create(&core, "s");
    let (one, two) = (core.begin().unwrap(), core.begin().unwrap());
    assert_eq!((take(&one), take(&two), take(&one)), (1, 2, 3));
    drop(one);
    assert_eq!(take(&two), 4);
    assert!(two.commit().unwrap().timestamp.is_none());
    assert_eq!(take(&core.begin().unwrap()), 5);
}

#[test]
fn eight_threads_take_different_numbers() {
    const EACH: usize = 2_000;
    let core = core();
    create(&core, "s");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let core = Arc::clone(&core);
            std::thread::spawn(move || {
                let take_some = |_| {
                    let tx = core.begin().unwrap();
                    [take(&tx), take(&tx)]
                };
                (0..EACH / 2).flat_map(take_some).collect::<Vec<i64>>()
            })
        })
        .collect();
    let mut all = BTreeSet::new();
    for thread in threads {
        let numbers = thread.join().expect("a thread");
        assert!(numbers.is_sorted(), "each thread sees them rise");
        all.extend(numbers);
    }
    // All different, and none left out.
    assert!(all.into_iter().eq(1..=8 * EACH as i64));
}

#[test]
fn a_sequence_that_was_not_committed_is_its_transactions_own() {
    let core = core();
    let mut tx = core.begin().unwrap();
    let before = tx.begin_command();
    tx.create_sequence(SequenceDef::new("s")).unwrap();
    assert_eq!(take(&tx), 1);
    assert!(core.begin().unwrap().catalog().sequence("s").is_none());
    tx.rollback_to(before);
    assert!(tx.catalog().sequence("s").is_none() && !tx.has_writes());
    tx.create_sequence(SequenceDef::new("s")).unwrap();
    assert_eq!((take(&tx), take(&tx)), (1, 2));
    tx.commit().unwrap();
    assert_eq!(take(&core.begin().unwrap()), 3);
}

#[test]
fn a_restart_is_seen_at_its_commit_and_then_nobody_takes_numbers_from_before() {
    let core = core();
    create(&core, "s");
    let old = core.begin().unwrap();
    assert_eq!(take(&old), 1);
    let restart = |tx: &mut Transaction| {
        let def = entry(tx, "s").def.clone();
        let position = def.beginning();
        tx.alter_sequence(def, Some(position)).unwrap();
    };
    let mut undone = core.begin().unwrap();
    restart(&mut undone);
    assert_eq!(take(&undone), 1);
    drop(undone);
    assert_eq!(take(&old), 2);
    let mut tx = core.begin().unwrap();
    restart(&mut tx);
    assert_eq!((take(&tx), take(&old)), (1, 3));
    tx.commit().unwrap();
    assert_eq!(take(&core.begin().unwrap()), 2);
    let refused = core.next_value(&entry(&old, "s")).unwrap_err();
    assert!(matches!(&refused, Error::SchemaConflict { table } if table == "s"));
    assert!(refused.is_retryable());
}

/// Has a transaction go on by another rule.
fn alter(tx: &mut Transaction, change: impl FnOnce(&mut SequenceRule)) -> Result<()> {
    let mut def = entry(tx, "s").def.clone();
    change(&mut def.rule);
    tx.alter_sequence(def, None)
}

#[test]
fn another_rule_goes_on_where_the_sequence_stands() {
    let core = core();
    create(&core, "s");
    let old = core.begin().unwrap();
    assert_eq!(take(&old), 1);
    let mut tx = core.begin().unwrap();
    alter(&mut tx, |rule| rule.increment = 10).unwrap();
    assert_eq!((take(&tx), take(&tx)), (11, 21));
    alter(&mut tx, |rule| rule.increment = 100).unwrap();
    assert_eq!(take(&tx), 121);
    tx.commit().unwrap();
    assert_eq!(take(&core.begin().unwrap()), 221);
    let refused = core.next_value(&entry(&old, "s")).unwrap_err();
    assert!(matches!(refused, Error::SchemaConflict { .. }));
}

#[test]
fn a_rule_that_is_rolled_back_has_moved_nothing_for_others() {
    let core = core();
    create(&core, "s");
    let other = core.begin().unwrap();
    (1..=100).for_each(|number| assert_eq!(take(&other), number));
    let changes: [fn(&mut SequenceRule); 3] = [
        |rule| rule.increment = -1,
        |rule| (rule.max, rule.cycle) = (100, true),
        |rule| rule.increment = i64::MAX / 2,
    ];
    for (change, taken) in changes.into_iter().zip([99, 1, 100 + i64::MAX / 2]) {
        let mut tx = core.begin().unwrap();
        let before = tx.begin_command();
        alter(&mut tx, change).unwrap();
        assert_eq!(take(&tx), taken);
        tx.rollback_to(before);
        alter(&mut tx, change).unwrap();
        assert_eq!(take(&tx), taken);
        drop(tx);
    }
    assert_eq!(take(&core.begin().unwrap()), 101);
}

/// Else both would have it: the one by the old rule, and those to come by the new one.
#[test]
fn another_rule_is_refused_where_others_took_numbers_meanwhile() {
    let core = core();
    create(&core, "s");
    let other = core.begin().unwrap();
    assert_eq!(take(&other), 1);
    let mut tx = core.begin().unwrap();
    alter(&mut tx, |rule| rule.increment = 2).unwrap();
    assert_eq!(take(&tx), 3);
    assert_eq!((take(&other), take(&other)), (2, 3));
    let refused = tx.commit().unwrap_err();
    assert!(matches!(&refused, Error::SchemaConflict { table } if table == "s"));
    assert!(refused.is_retryable());
    // Nothing has happened: neither to the rule, nor to who takes numbers.
    assert_eq!((take(&other), take(&core.begin().unwrap())), (4, 5));
}

#[test]
fn of_two_sequences_none_is_retired_where_one_has_moved() {
    let core = core();
    create(&core, "other");
    create(&core, "s");
    let old = core.begin().unwrap();
    let mut tx = core.begin().unwrap();
    let def = entry(&tx, "other").def.clone();
    let beginning = def.beginning();
    tx.alter_sequence(def, Some(beginning)).unwrap();
    alter(&mut tx, |rule| rule.increment = 2).unwrap();
    assert_eq!(take(&old), 1);
    assert!(tx.commit().is_err());
    assert_eq!(core.next_value(&entry(&old, "other")).unwrap(), 1);
}

#[test]
fn limits_that_the_sequence_has_left_behind_are_refused() {
    let core = core();
    create(&core, "s");
    let mut tx = core.begin().unwrap();
    (1..=5).for_each(|number| assert_eq!(take(&tx), number));
    let refused = alter(&mut tx, |rule| rule.max = 4).unwrap_err();
    assert!(matches!(refused, Error::SchemaConflict { .. }));
    alter(&mut tx, |rule| rule.max = 5).unwrap();
    assert!(core.next_value(&entry(&tx, "s")).is_err());
}

#[test]
fn another_name_shares_the_numbers() {
    let core = core();
    create(&core, "s");
    let old = core.begin().unwrap();
    let mut tx = core.begin().unwrap();
    let mut def = entry(&tx, "s").def.clone();
    def.cache = 20;
    tx.alter_sequence(def, None).unwrap();
    assert_eq!((take(&tx), take(&old)), (1, 2));
    tx.commit().unwrap();
    assert_eq!((take(&old), take(&core.begin().unwrap())), (3, 4));
}

/// Threads take numbers while another one changes the rule again and again: none comes twice.
#[test]
fn no_number_comes_twice_while_the_rule_changes() {
    const NUMBERS: usize = 3_000;
    let core = core();
    create(&core, "s");
    let takers: Vec<_> = (0..3)
        .map(|_| {
            let core = Arc::clone(&core);
            std::thread::spawn(move || {
                let mut numbers = Vec::new();
                while numbers.len() < NUMBERS {
                    let tx = core.begin().unwrap();
                    match core.next_value(&entry(&tx, "s")) {
                        Ok(number) => numbers.push(number),
                        Err(error) => assert!(error.is_retryable(), "{error}"),
                    }
                    if numbers.len() % 16 == 0 {
                        std::thread::yield_now();
                    }
                }
                numbers
            })
        })
        .collect();
    let (mut all, mut count) = (BTreeSet::new(), 0);
    while !takers.iter().all(std::thread::JoinHandle::is_finished) {
        let mut tx = core.begin().unwrap();
        let by = count as i64 % 3 + 1;
        let altered = alter(&mut tx, |rule| rule.increment = by);
        let number = altered.and_then(|()| core.next_value(&entry(&tx, "s")));
        if let Ok(number) = number
            && tx.commit().is_ok()
        {
            assert!(all.insert(number), "{number} twice");
            count += 1;
        }
    }
    for taker in takers {
        for number in taker.join().expect("a thread") {
            assert!(all.insert(number), "{number} twice");
        }
    }
    assert_eq!(all.len(), 3 * NUMBERS + count);
}

#[test]
fn a_sequence_does_not_go_with_a_table_that_went_meanwhile() {
    let core = core();
    create(&core, "s");
    let mut tx = core.begin().unwrap();
    let table = tx.create_table(TableDef::new("t", Vec::new())).unwrap();
    tx.commit().unwrap();
    let (mut one, mut two) = (core.begin().unwrap(), core.begin().unwrap());
    let mut def = entry(&one, "s").def.clone();
    def.owner = Some((table, ColumnId(0)));
    one.alter_sequence(def.clone(), None).unwrap();
    two.drop_table(table).unwrap();
    two.commit().unwrap();
    let refused = one.commit().unwrap_err();
    assert!(matches!(refused, Error::SchemaConflict { table } if table == "s"));
}

#[test]
fn who_changes_a_sequence_second_is_refused_and_so_is_a_name_given_twice() {
    let core = core();
    create(&core, "s");
    let (mut one, mut two) = (core.begin().unwrap(), core.begin().unwrap());
    let id = entry(&one, "s").def.id;
    one.drop_sequence(id).unwrap();
    two.drop_sequence(id).unwrap();
    two.commit().unwrap();
    assert!(matches!(one.commit(), Err(Error::SchemaConflict { table }) if table == "s"));
    let (mut one, mut two) = (core.begin().unwrap(), core.begin().unwrap());
    one.create_sequence(SequenceDef::new("s")).unwrap();
    two.create_sequence(SequenceDef::new("s")).unwrap();
    let again = two.create_sequence(SequenceDef::new("s"));
    assert!(matches!(again, Err(Error::DuplicateRelation(name)) if name == "s"));
    one.commit().unwrap();
    assert!(matches!(two.commit(), Err(Error::SchemaConflict { .. })));
}

#[test]
fn a_sequence_is_set_for_all_at_once() {
    let core = core();
    create(&core, "s");
    let (one, two) = (core.begin().unwrap(), core.begin().unwrap());
    assert_eq!(take(&one), 1);
    let position = SequencePosition {
        last: 50,
        is_called: false,
    };
    core.set_value(&entry(&one, "s"), position).unwrap();
    drop(one);
    assert_eq!((take(&two), take(&two)), (50, 51));
}
