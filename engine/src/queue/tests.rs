mod opening;

use super::*;
use crate::Options;
use crate::kv::{FromBytes, Json};
use crate::testing::ManualTime;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread::scope;
use std::time::UNIX_EPOCH;

const SECOND: Duration = Duration::from_secs(1);
/// Longer than any wait of these tests takes.
const LONG: Duration = Duration::from_secs(60);

fn queue() -> Queue {
    Database::in_memory().unwrap().queue("job").unwrap()
}

/// A queue with leases of ten seconds, and its clock.
fn timed(options: QueueOptions) -> (ManualTime, Queue) {
    let time = ManualTime::at(UNIX_EPOCH);
    let db_options = Options::new().time_source(Arc::new(time.clone()));
    let db = Database::in_memory_with(db_options.manual_maintenance(true)).unwrap();
    let queue = db.queue_with("job", options.lease(10 * SECOND)).unwrap();
    (time, queue)
}

fn state<T>(result: Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.sqlstate(),
    }
}

fn pop(queue: &Queue) -> String {
    queue.pop().unwrap().unwrap_or_else(|| "nothing".to_owned())
}

fn lease(queue: &Queue) -> Lease<String> {
    queue.lease().unwrap().expect("an item is ready")
}

fn count(queue: &Queue, sql: &str) -> i64 {
    let count = |conn: &Connection| conn.query_row(sql, [], |row| row.get(0));
    queue.place.with(count).unwrap()
}

#[test]
fn the_greatest_priority_is_first_and_then_the_first_pushed() {
    let queue = queue();
    for (n, priority) in [0, 5, -3, 5, 0, i32::MAX, i32::MIN].into_iter().enumerate() {
        let push = Push::new().priority(priority);
        queue.push_with(format!("{n}"), push).unwrap();
    }
    let order: Vec<String> = (0..8).map(|_| pop(&queue)).collect();
    assert_eq!(order, ["5", "1", "3", "0", "4", "2", "6", "nothing"]);
}

#[test]
fn the_next_one_is_found_by_an_index_past_leased_ones() {
    let queue = queue();
    let texts = &queue.shared.texts;
    for text in [&texts.pop, &texts.lease] {
        let text = text.replace("$1", "INTERVAL '1 second'");
        let plan = queue.place.with(|conn| {
            let mut plan = conn.prepare(&format!("EXPLAIN {text}"))?;
            let lines = plan.query_map([], |row| row.get::<_, String>(0))?;
            lines.collect::<Result<Vec<_>>>()
        });
        let plan = plan.unwrap().join("\n");
        assert!(plan.contains("Index Scan using job_ready on job"), "{plan}");
        assert!(!plan.contains("Sort"), "{plan}");
    }
}

#[test]
fn an_item_is_acknowledged_once() {
    let queue = queue();
    let id = queue.push("a").unwrap();
    let first = lease(&queue);
    assert_eq!((first.id(), first.attempts(), first.priority()), (id, 1, 0));
    assert!(queue.lease::<String>().unwrap().is_none());
    assert_eq!(queue.len().unwrap(), 1);
    let token = first.token();
    first.ack().unwrap();
    assert!(queue.is_empty().unwrap());
    let error = queue.ack_token(id, token).unwrap_err();
    assert_eq!(error.sqlstate(), "55000");
    assert_eq!(
        error.detail(),
        Some("The item is not in the queue any more.")
    );
    assert!(error.hint().is_some());
}

#[test]
fn a_lease_that_is_dropped_gives_the_item_back() {
    let queue = queue();
    queue.push("a").unwrap();
    drop(lease(&queue));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _lease = lease(&queue);
        panic!("a bug of the consumer");
    }));
    assert!(panicked.is_err());
    // A task that is cancelled.
    let mut task = Box::pin(async {
        let lease = lease(&queue);
        std::future::pending::<()>().await;
        lease.ack()
    });
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(task.as_mut().poll(&mut context), Poll::Pending));
    assert!(queue.lease::<String>().unwrap().is_none());
    drop(task);
    let last = lease(&queue);
    assert_eq!((last.payload().as_str(), last.attempts()), ("a", 4));
    last.ack().unwrap();
    assert_eq!(queue.stats().unwrap().retried, 3);
}

#[test]
fn a_lease_that_has_run_out_cannot_be_acknowledged() {
    let (time, queue) = timed(QueueOptions::new());
    let id = queue.push("a").unwrap();
    let mut late = lease(&queue);
    assert_eq!(late.deadline(), UNIX_EPOCH + 10 * SECOND);
    time.advance(9 * SECOND);
    assert!(queue.lease::<String>().unwrap().is_none());
    late.extend(20 * SECOND).unwrap();
    assert_eq!(late.deadline(), UNIX_EPOCH + 29 * SECOND);
    time.advance(19 * SECOND);
    assert!(queue.lease::<String>().unwrap().is_none());
    time.advance(SECOND);

    // Nobody has it yet, and it fails all the same.
    let token = late.token();
    let error = queue.ack_token(id, token).unwrap_err();
    assert_eq!(error.sqlstate(), "55000");
    assert!(error.detail().unwrap().starts_with("No consumer has"));
    assert_eq!(state(late.extend(SECOND)), "55000");

    let next = lease(&queue);
    assert!(next.token() > token && next.attempts() == 2);
    let error = late.ack().unwrap_err();
    let told = format!("The item is leased again, with token {}.", next.token());
    assert_eq!(error.detail(), Some(&*told));
    next.ack().unwrap();
    let stats = queue.stats().unwrap();
    assert_eq!((stats.leased, stats.ran_out, stats.acked), (2, 1, 1));
}

#[test]
fn a_lease_that_has_run_out_changes_nothing_when_it_ends() {
    let (time, queue) = timed(QueueOptions::new());
    queue.push("a").unwrap();
    let (dropped, failed, retried) = {
        let take = || {
            let taken = lease(&queue);
            time.advance(10 * SECOND);
            taken
        };
        (take(), take(), take())
    };
    let mine = lease(&queue);
    drop(dropped);
    assert_eq!(state(failed.fail("no")), "55000");
    assert_eq!(state(retried.retry_after(SECOND)), "55000");
    assert!(queue.lease::<String>().unwrap().is_none());
    mine.ack().unwrap();
    assert_eq!(queue.dead(9).unwrap(), []);
}

#[test]
fn items_come_back_when_their_time_has_come() {
    let (time, queue) = timed(QueueOptions::new());
    let later = Push::new().priority(1).delay(5 * SECOND);
    queue.push_with("later", later).unwrap();
    queue.push("now").unwrap();
    let first = lease(&queue);
    assert_eq!(first.payload(), "now");
    first.retry_after(7 * SECOND).unwrap();
    assert_eq!(pop(&queue), "nothing");
    assert_eq!(queue.stats().unwrap().delayed_len, 2);
    time.advance(5 * SECOND);
    assert_eq!(pop(&queue), "later");
    assert_eq!(pop(&queue), "nothing");
    time.advance(2 * SECOND);
    let again = lease(&queue);
    assert_eq!(again.attempts(), 2);
    again.ack().unwrap();
}

#[test]
fn an_item_with_all_its_attempts_is_a_dead_letter() {
    let (time, queue) = timed(QueueOptions::new().max_attempts(2));
    for what in ["dropped", "retried", "run out"] {
        queue.push(what).unwrap();
        drop(lease(&queue));
        let last = lease(&queue);
        match what {
            "dropped" => drop(last),
            "retried" => last.retry_after(SECOND).unwrap(),
            _ => {
                time.advance(10 * SECOND);
                assert_eq!(state(last.ack()), "55000");
            }
        }
        assert!(queue.lease::<String>().unwrap().is_none(), "{what}");
    }
    queue.push("failed").unwrap();
    lease(&queue).fail("not to be done").unwrap();
    let dead = queue.dead(10).unwrap();
    let told: Vec<_> = dead
        .iter()
        .map(|letter| {
            (
                letter.payload_as::<String>().unwrap(),
                letter.attempts,
                &*letter.reason,
            )
        })
        .collect();
    let given_back = "the last attempt was given back";
    let expected = [
        ("dropped".to_owned(), 2, given_back),
        ("retried".to_owned(), 2, given_back),
        ("run out".to_owned(), 2, "the lease ran out"),
        ("failed".to_owned(), 1, "not to be done"),
    ];
    assert_eq!(told, expected);
    assert_eq!(queue.dead(1).unwrap().len(), 1);
    assert!(queue.is_empty().unwrap());
    let stats = queue.stats().unwrap();
    assert_eq!((stats.died, stats.dead_len, stats.ran_out), (4, 4, 1));

    assert!(queue.revive(dead[2].id).unwrap());
    assert!(!queue.revive(dead[2].id).unwrap());
    let revived = lease(&queue);
    assert_eq!((revived.id(), revived.attempts()), (dead[2].id, 1));
    assert_eq!(revived.pushed_at(), dead[2].pushed_at);
    revived.ack().unwrap();
}

#[test]
fn an_item_that_is_not_of_the_type_is_a_dead_letter() {
    let queue = queue();
    queue.push(b"\xff").unwrap();
    queue.push(b"\xfe").unwrap();
    assert_eq!(state(queue.pop::<String>()), "22021");
    assert_eq!(state(queue.lease::<Json<u8>>()), "22P02");
    assert_eq!(pop(&queue), "nothing");
    let dead = queue.dead(9).unwrap();
    assert_eq!((dead[0].attempts, dead[1].attempts), (0, 1));
    assert_eq!(Vec::from_bytes(&dead[0].payload).unwrap(), b"\xff");
    assert!(dead[0].reason.contains("not UTF-8"), "{}", dead[0].reason);
    let pushed_at = "SELECT count(*) FROM job_dead WHERE pushed_at BETWEEN now() - INTERVAL '1 minute' AND now()";
    assert_eq!(count(&queue, pushed_at), 2);
}

#[test]
fn a_full_queue_lets_producers_wait() {
    let db = Database::in_memory().unwrap();
    let queue = db
        .queue_with("job", QueueOptions::new().max_len(2))
        .unwrap();
    queue.push("a").unwrap();
    queue.push("b").unwrap();
    let at_once = Push::new().timeout(Duration::ZERO);
    assert_eq!(state(queue.push_with("c", at_once)), "55P03");
    // The bound on waiting was for that push alone.
    scope(|scope| {
        let waits = scope.spawn(|| queue.push("c"));
        std::thread::sleep(2 * LOOK);
        assert!(!waits.is_finished());
        let taken = lease(&queue);
        std::thread::sleep(2 * LOOK);
        assert!(!waits.is_finished(), "a leased item has its place");
        taken.ack().unwrap();
        waits.join().unwrap().unwrap();
    });
    let long = Push::new().timeout(Duration::MAX);
    assert_eq!(pop(&queue), "b");
    queue.push_with("d", long).unwrap();

    // Another bound, and then one that stays.
    db.queue_with("job", QueueOptions::new().max_len(3))
        .unwrap()
        .push("e")
        .unwrap();
    let same = db.queue("job").unwrap();
    assert_eq!(state(same.push_with("f", at_once)), "55P03");
    let conn = db.connect().unwrap();
    conn.execute_batch("ALTER TABLE job SET (on_full = 'error')")
        .unwrap();
    assert_eq!(state(queue.push("f")), "53400");
}

#[test]
fn a_push_with_a_bound_leaves_the_setting_of_a_session() {
    let db = Database::in_memory().unwrap();
    let queue = db
        .queue_with("job", QueueOptions::new().max_len(1))
        .unwrap();
    let mut conn = db.connect().unwrap();
    conn.execute("SET lock_timeout = '7s'", []).unwrap();
    let briefly = Push::new().timeout(Duration::from_millis(2));
    let show = |conn: &Connection| -> String {
        conn.query_row(LOCK_TIMEOUT, [], |row| row.get(0)).unwrap()
    };
    queue.within(&conn).push_with("a", briefly).unwrap();
    assert_eq!(show(&conn), "7s");
    assert_eq!(state(queue.within(&conn).push_with("b", briefly)), "55P03");
    assert_eq!(show(&conn), "7s");
    let tx = conn.transaction().unwrap();
    assert_eq!(state(queue.within(&tx).push_with("b", briefly)), "55P03");
    tx.rollback().unwrap();
    assert_eq!(show(&conn), "7s");
}

#[test]
fn waiting_consumers_are_woken() {
    let queue = queue();
    assert!(queue.pop_wait::<String>(Duration::ZERO).unwrap().is_none());
    assert!(queue.lease_wait::<String>(LOOK).unwrap().is_none());
    let (sum, db) = (AtomicUsize::new(0), Database::in_memory().unwrap());
    let jobs = db.queue("job").unwrap();
    scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(Json(n)) = jobs.pop_wait::<Json<usize>>(LONG).unwrap() {
                    if n == 0 {
                        break;
                    }
                    sum.fetch_add(n, SeqCst);
                }
            });
        }
        (1..=50).for_each(|n| _ = jobs.push(Json(n)).unwrap());
        // Of a transaction, and of SQL: they look for these themselves.
        db.transact(|tx| (1..=50).try_for_each(|n| jobs.within(tx).push(Json(n)).map(drop)))
            .unwrap();
        let conn = db.connect().unwrap();
        let sql =
            "INSERT INTO job (payload) SELECT n::text::bytea FROM generate_series(1, 50) AS g (n)";
        conn.execute(sql, []).unwrap();
        while sum.load(SeqCst) < 3 * 1275 {
            std::thread::yield_now();
        }
        (0..4).for_each(|_| _ = jobs.push(Json(0)).unwrap());
    });
    assert_eq!(sum.load(SeqCst), 3 * 1275);
    assert_eq!(jobs.stats().unwrap().popped, 154);
}

#[test]
fn delayed_items_wake_consumers() {
    let queue = queue();
    let soon = Push::new().delay(2 * LOOK);
    queue.push_with("later", soon).unwrap();
    let taken = queue.pop_wait::<String>(LONG).unwrap();
    assert_eq!(taken.as_deref(), Some("later"));
}

#[test]
fn what_a_transaction_does_it_can_undo() {
    let db = Database::in_memory().unwrap();
    let (queue, mut conn) = (db.queue("job").unwrap(), db.connect().unwrap());
    queue.push("a").unwrap();
    let tx = conn.transaction().unwrap();
    assert_eq!(
        queue.within(&tx).pop::<String>().unwrap().as_deref(),
        Some("a")
    );
    assert_eq!(pop(&queue), "nothing");
    queue.within(&tx).push("b").unwrap();
    assert_eq!(queue.within(&tx).len().unwrap(), 1);
    tx.rollback().unwrap();

    // Acknowledged with its work, and dropped too early: the transaction decides.
    let taken = lease(&queue);
    let tx = conn.transaction().unwrap();
    taken.ack_within(&tx).unwrap();
    drop(taken);
    tx.commit().unwrap();
    assert!(queue.is_empty().unwrap());

    queue.push("c").unwrap();
    let taken = lease(&queue);
    let tx = conn.transaction().unwrap();
    taken.ack_within(&tx).unwrap();
    tx.rollback().unwrap();
    drop(taken);
    assert_eq!(pop(&queue), "c");
}

#[test]
fn takers_do_not_meet() {
    const ITEMS: usize = 400;
    let queue = queue();
    (0..ITEMS).for_each(|n| _ = queue.push(Json(n)).unwrap());
    let (taken, clash) = (AtomicUsize::new(0), AtomicUsize::new(0));
    scope(|scope| {
        for thread in 0..4 {
            let (queue, taken, clash) = (&queue, &taken, &clash);
            scope.spawn(move || {
                loop {
                    let found = match queue.lease::<Json<usize>>() {
                        Ok(Some(lease)) if (lease.id() + thread) % 7 == 0 => {
                            lease.retry_after(Duration::ZERO)
                        }
                        Ok(Some(lease)) => lease.ack().map(|()| _ = taken.fetch_add(1, SeqCst)),
                        Ok(None) if queue.is_empty().unwrap() => break,
                        Ok(None) => Ok(()),
                        Err(error) => Err(error),
                    };
                    clash.fetch_add(usize::from(found.is_err()), SeqCst);
                }
            });
        }
    });
    assert_eq!((taken.load(SeqCst), clash.load(SeqCst)), (ITEMS, 0));
}

#[test]
fn a_closed_queue_is_drained() {
    let db = Database::in_memory().unwrap();
    let queue = db.queue("job").unwrap();
    (0..20).for_each(|n| _ = queue.push(Json(n)).unwrap());
    scope(|scope| {
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = 0;
                    while let Some(lease) = queue.lease_wait::<Json<u8>>(LONG).unwrap() {
                        lease.ack().unwrap();
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        assert_eq!(queue.close(LONG).unwrap(), 0);
        let done: i32 = consumers
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(done, 20);
    });
    assert_eq!(state(queue.push("late")), "55000");
    assert_eq!(state(db.queue("job").unwrap().push("late")), "55000");
    assert_eq!(state(queue.revive(1)), "55000");
    db.queue("other").unwrap().push("of another queue").unwrap();
}

#[test]
fn a_queue_that_is_not_drained_tells_what_is_left() {
    let queue = queue();
    (0..3).for_each(|n| _ = queue.push(Json(n)).unwrap());
    let open = lease(&queue);
    scope(|scope| {
        let waits = scope.spawn(|| {
            queue.pop::<String>().unwrap().unwrap();
            queue.pop::<String>().unwrap().unwrap();
            queue.pop_wait::<String>(LONG).unwrap()
        });
        std::thread::sleep(LOOK);
        assert_eq!(queue.close(5 * LOOK).unwrap(), 1);
        assert_eq!(waits.join().unwrap(), None);
    });
    open.ack().unwrap();
    assert_eq!(queue.close(Duration::ZERO).unwrap(), 0);
}

#[test]
fn handles_and_leases_go_from_thread_to_thread() {
    fn is_free<T: Send + Sync + 'static>() {}
    is_free::<Queue>();
    is_free::<Lease<String>>();
}

#[test]
fn stats_tell_what_is_in_the_queue() {
    let queue = queue();
    (0..4).for_each(|_| _ = queue.push("a").unwrap());
    queue.push_with("b", Push::new().delay(LONG)).unwrap();
    let open = lease(&queue);
    pop(&queue);
    lease(&queue).fail("no").unwrap();
    let stats = queue.stats().unwrap();
    let lengths = [
        stats.ready_len,
        stats.delayed_len,
        stats.leased_len,
        stats.dead_len,
    ];
    assert_eq!(lengths, [1, 1, 1, 1]);
    assert_eq!(
        (stats.pushed, stats.popped, stats.leased, stats.died),
        (5, 1, 2, 1)
    );
    assert!(stats.pushes_per_second > stats.done_per_second && stats.done_per_second > 0.0);
    drop(open);
}
