//! Many threads at once: what must hold in every snapshot, and at the end.

use super::*;
use crate::ids::BLOCK_SLOTS;
use crate::pool::{Pool, PoolOptions};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::time::DatabaseTime;
use crate::transaction::RowRef;
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

pub(super) const ACCOUNTS: i32 = 50;
pub(super) const BALANCE: i32 = 100;

/// A small generator of numbers, so that a failure can be repeated.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, end: i32) -> i32 {
        // Xorshift (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as i32
    }
}

/// Moves an amount, now and then by way of a new account number, or deletes and inserts anew.
pub(super) fn transfer(core: &Arc<Core>, numbers: &mut Numbers) -> crate::Result<()> {
    let mut tx = core.begin()?;
    let (from, to) = (numbers.below(ACCOUNTS), numbers.below(ACCOUNTS));
    let (Some(had), Some(has)) = (get(&mut tx, from), get(&mut tx, to)) else {
        panic!("every account exists in every snapshot");
    };
    if from == to {
        return Ok(());
    }
    let amount = numbers.below(10);
    update(&mut tx, from, had - amount)?;
    if numbers.below(4) == 0 {
        delete(&mut tx, to)?;
        insert(&mut tx, to, has + amount)?;
    } else {
        update(&mut tx, to, has + amount)?;
    }
    if numbers.below(8) == 0 {
        tx.rollback();
        return Ok(());
    }
    tx.commit().map(drop)
}

/// Transfers until so many have been committed; those that lost to a rival are tried again.
pub(super) fn keep_on(
    seed: u64,
    wanted: u32,
    transfer: impl Fn(&mut Numbers) -> crate::Result<()>,
) {
    let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut committed = 0;
    while committed < wanted {
        match transfer(&mut numbers) {
            Ok(()) => committed += 1,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
}

/// All the money is there, by the table and by the index; `check` looks at each row besides.
pub(super) fn audit(core: &Arc<Core>, check: impl Fn(&RowRef<'_>)) {
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let (mut count, mut sum) = (0, 0);
    let view = tx.view();
    view.for_each_row(&t(&tx), |_, row| {
        count += 1;
        sum += int(row.get(V));
        check(row);
        Ok::<(), ()>(())
    })
    .unwrap();
    assert_eq!((count, sum), (ACCOUNTS, ACCOUNTS * BALANCE));
    let balances = (0..ACCOUNTS).map(|k| get(&mut tx, k).expect("an account"));
    assert_eq!(balances.sum::<i32>(), ACCOUNTS * BALANCE, "by the index");
}

pub(super) fn assert_no_entry_is_left_over(core: &Arc<Core>) {
    for index in &t(&core.begin().unwrap()).indexes {
        assert_eq!(
            index.index.len(),
            ACCOUNTS as usize,
            "entries of index {}",
            index.def.name
        );
    }
}

#[test]
fn money_is_neither_made_nor_lost() {
    let core = Core::new(Ledger::new(256 << 20), false).unwrap();
    create(&core, DataType::Integer);
    let mut tx = core.begin().unwrap();
    for k in 0..ACCOUNTS {
        insert(&mut tx, k, BALANCE).unwrap();
    }
    tx.commit().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (1..=4_u64)
            .map(|seed| {
                let core = &core;
                scope.spawn(move || keep_on(seed, 1500, |numbers| transfer(core, numbers)))
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    audit(&core, |_| ());
                }
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Relaxed);
    });
    audit(&core, |_| ());
    core.collect_garbage();
    let mut tx = core.begin().unwrap();
    assert_eq!(all(&mut tx).len(), ACCOUNTS as usize);
    assert_no_entry_is_left_over(&core);
}

/// Reports of very different lengths read the accounts again and again while money moves, and find
/// each time what they found at first; meanwhile what none of them sees is collected all the time.
#[test]
fn reports_read_the_same_for_as_long_as_they_run() {
    // Freed memory is zeroed, so that who still reads it notices.
    let options = PoolOptions {
        secure_delete: true,
    };
    let pool = Pool::with_options(Ledger::new(256 << 20), options);
    let core = Core::with_pool(pool, DatabaseTime::default(), false).unwrap();
    create(&core, DataType::Integer);
    let mut tx = core.begin().unwrap();
    for k in 0..ACCOUNTS {
        insert(&mut tx, k, BALANCE).unwrap();
    }
    tx.commit().unwrap();
    let longest = core.begin().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (1..=2_u64)
            .map(|seed| {
                let core = &core;
                scope.spawn(move || keep_on(seed, 3000, |numbers| transfer(core, numbers)))
            })
            .collect();
        for length in [2, 20, 200] {
            let (core, done) = (&core, &done);
            scope.spawn(move || {
                while !done.load(Relaxed) {
                    let mut tx = core.begin().unwrap();
                    let first = all(&mut tx);
                    assert_eq!(
                        first.iter().map(|(_, v)| v).sum::<i32>(),
                        ACCOUNTS * BALANCE
                    );
                    for _ in 0..length {
                        assert_eq!(all(&mut tx), first);
                    }
                }
            });
        }
        scope.spawn(|| {
            while !done.load(Relaxed) {
                core.prune_all();
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Relaxed);
    });
    core.prune_all();
    let mut longest = longest;
    let first: Vec<_> = (0..ACCOUNTS).map(|k| (k, BALANCE)).collect();
    assert_eq!(all(&mut longest), first);
    drop(longest);
    assert_eq!(core.collect_garbage(), 0);
    audit(&core, |_| ());
    assert_no_entry_is_left_over(&core);
}

#[test]
fn of_many_inserters_of_one_key_one_wins() {
    let core = with_table();
    for key in 0..200 {
        let winners: usize = thread::scope(|scope| {
            let insert = |v| {
                let core = &core;
                scope.spawn(move || {
                    let mut tx = core.begin().unwrap();
                    insert(&mut tx, key, v).and_then(|_| tx.commit()).is_ok()
                })
            };
            let threads: Vec<_> = (0..3).map(insert).collect();
            let won = threads.into_iter().map(|thread| thread.join().unwrap());
            won.filter(|won| *won).count()
        });
        assert!(winners <= 1, "key {key} was inserted twice");
    }
    core.collect_garbage();
    all(&mut core.begin().unwrap());
}

/// Transfers and audits go on while one thread does nothing but replace blocks: freeze, thaw, freeze.
#[test]
fn money_is_safe_while_blocks_are_replaced() {
    const NOTE: &str = "a note that is too long to be in the row itself";
    let core = Core::new(Ledger::new(256 << 20), false).unwrap();
    let mut def = table_def("t", DataType::Integer);
    def.columns
        .push(ColumnDef::new(ColumnId(3), "note", DataType::Text));
    let mut tx = core.begin().unwrap();
    tx.begin_command();
    let id = tx.create_table(def).unwrap();
    tx.create_index(index_def(id, "t_pkey", K, true)).unwrap();
    tx.create_index(index_def(id, "t_v", V, false)).unwrap();
    tx.begin_command();
    let values = |k: i32| {
        [
            ValueRef::Integer(k),
            ValueRef::Integer(BALANCE),
            ValueRef::Text(NOTE),
        ]
    };
    for k in 0..ACCOUNTS {
        tx.insert(&t(&tx), &values(k)).unwrap();
    }
    tx.commit().unwrap();
    // One column changes at a time: the note, or the balance; the other string stays where it is.
    let transfer = |numbers: &mut Numbers| -> crate::Result<()> {
        let mut tx = core.begin()?;
        let (from, to) = (numbers.below(ACCOUNTS), numbers.below(ACCOUNTS));
        let (had, has) = (get(&mut tx, from).unwrap(), get(&mut tx, to).unwrap());
        if from == to {
            return Ok(());
        }
        let amount = numbers.below(10);
        update(&mut tx, from, had - amount)?;
        match numbers.below(8) {
            0 => {
                delete(&mut tx, to)?;
                tx.begin_command();
                let mut values = values(to);
                values[1] = ValueRef::Integer(has + amount);
                tx.insert(&t(&tx), &values)?;
            }
            1 => {
                change(&mut tx, to, &[(ColumnId(3), ValueRef::Text(NOTE))])?;
                update(&mut tx, to, has + amount)?;
            }
            _ => {
                update(&mut tx, to, has + amount)?;
            }
        }
        if numbers.below(6) == 0 {
            tx.rollback();
            return Ok(());
        }
        tx.commit().map(drop)
    };
    let audit = || {
        audit(&core, |row| {
            assert_eq!(row.get(ColumnId(3)), ValueRef::Text(NOTE));
        });
    };
    let done = AtomicBool::new(false);
    let moved = AtomicU64::new(0);
    thread::scope(|scope| {
        let writers: Vec<_> = (1..=3_u64)
            .map(|seed| {
                let (transfer, moved) = (&transfer, &moved);
                // On a busy machine the first thousand may pass before a block was ever free: the writers
                // then pause, longer and longer.
                scope.spawn(move || {
                    keep_on(seed, 1000, transfer);
                    let mut pause = Duration::from_micros(100);
                    for more in 1.. {
                        if moved.load(Relaxed) > 0 {
                            break;
                        }
                        thread::sleep(pause);
                        pause = (pause * 2).min(Duration::from_secs(1));
                        keep_on(seed + more * 3, 1, transfer);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Relaxed) {
                audit();
            }
        });
        scope.spawn(|| {
            let mut round = 0;
            while !done.load(Relaxed) {
                round += 1;
                if round % 8 == 0 {
                    compact::close(&core);
                }
                moved.fetch_add(core.compact(None).unwrap().rows, Relaxed);
                compact::thaw(&core);
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Relaxed);
    });
    assert!(moved.into_inner() > 0);
    audit();
    core.compact(None).unwrap();
    assert_eq!(core.collect_garbage(), 0);
    audit();
    assert_no_entry_is_left_over(&core);
}

#[test]
fn rows_added_by_many_threads_are_all_there_and_fill_the_blocks() {
    const THREADS: i32 = 4;
    const ROWS: i32 = 3000;
    let core = Core::new(Ledger::new(256 << 20), false).unwrap();
    create(&core, DataType::Integer);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let core = &core;
            scope.spawn(move || {
                for k in number * ROWS..(number + 1) * ROWS {
                    let mut tx = core.begin().unwrap();
                    insert(&mut tx, k, number).unwrap();
                    match k % 10 {
                        0 => tx.rollback(),
                        _ => tx.commit().map(drop).unwrap(),
                    }
                }
            });
        }
    });
    let left = (0..THREADS * ROWS).filter(|k| k % 10 > 0);
    let expected: Vec<_> = left.map(|k| (k, k / ROWS)).collect();
    let mut tx = core.begin().unwrap();
    let mut rows = all(&mut tx);
    rows.sort_unstable();
    assert_eq!(rows, expected);

    // One thread alone fills what the others have left open before it opens a block of its own.
    // Each of them may have left one of the largest size.
    let before = t(&tx).rows.next_row().block();
    let mut fresh = Vec::new();
    for k in 0..THREADS * BLOCK_SLOTS as i32 {
        fresh.push(insert(&mut tx, THREADS * ROWS + k, 0).unwrap());
        if fresh.last().is_some_and(|row| row.block() > before) {
            break;
        }
    }
    let count = fresh.len();
    let opened = fresh.iter().position(|row| row.block() > before);
    let filled = &fresh[..opened.expect("more than all blocks hold")];
    let blocks: BTreeSet<_> = filled.iter().map(|row| row.block()).collect();
    for block in blocks {
        let last = fresh.iter().rev().find(|row| row.block() == block);
        let table = t(&tx);
        let operation = tx.registration.enter();
        let place = table.rows.place(*last.unwrap(), &operation);
        let full = place.map(|(block, _)| block.is_full());
        assert_eq!(full, Some(true), "block {block}");
    }
    fresh.sort_unstable();
    fresh.dedup();
    assert_eq!(fresh.len(), count, "no id is given twice");
}
