//! Eight threads, each with a session, and a disk that fills and is cleared beside them.

use super::{DISK_FULL, NOT_DURABLE, OUTCOME_UNKNOWN, SESSIONS, TABLES, change, counters};
use crate::random::Random;
use remora::testing::SimDisk;
use remora::{Connection, Database, Error, Options};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread that sees nothing happen waits, at most: then something is stuck.
const STUCK: Duration = Duration::from_secs(5);

/// Outcome of a crowd.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crowd {
    /// Commits that were acknowledged.
    pub acknowledged: u64,
    /// Commits whose outcome was unknown.
    pub unknown: u64,
    /// Writes that were refused because the disk was full.
    pub refused: u64,
    /// Reads, all of which were answered.
    pub reads: u64,
}

#[derive(Default)]
struct Shared {
    acknowledged: AtomicU64,
    unknown: AtomicU64,
    refused: AtomicU64,
    reads: AtomicU64,
    is_over: AtomicBool,
}

type Outcome<T = ()> = Result<T, String>;

/// A session's knowledge of its counter.
#[derive(Clone, Copy, Default)]
struct Own {
    acknowledged: i64,
    /// The highest number that may be there.
    possible: i64,
}

fn text(error: Error) -> String {
    format!("{error} ({})", error.sqlstate())
}

/// Has the disk get full so many times while eight sessions read and write, and then kills the process on the full
/// disk.
///
/// # Errors
/// Complaints: something was lost, refused wrongly, or did not go on.
pub fn crowd(seed: u64, times: u64) -> Outcome<Crowd> {
    let disk = SimDisk::new();
    let options = || Options::new().segment_bytes(100_000).max_memory(64 << 20);
    let open = |disk: &SimDisk| Database::open_on(Arc::new(disk.clone()), options());
    let database = open(&disk).map_err(text)?;
    let conn = database.connect().map_err(text)?;
    conn.execute_batch(TABLES).map_err(text)?;
    let shared = Shared::default();
    let known = thread::scope(|scope| {
        let start = |session: usize| {
            let (database, shared) = (&database, &shared);
            scope.spawn(move || {
                let known = live(database, session, seed, shared);
                if known.is_err() {
                    shared.is_over.store(true, Relaxed);
                }
                known
            })
        };
        let threads: Vec<_> = (0..SESSIONS).map(start).collect();
        let filled = (0..times).try_for_each(|n| fill_and_clear(&disk, &shared, n + 1 == times));
        shared.is_over.store(true, Relaxed);
        let known = threads.into_iter().map(|thread| {
            let known = thread.join();
            known.map_err(|_| "a session panicked".to_owned())?
        });
        let known: Vec<Own> = known.collect::<Outcome<_>>()?;
        filled.map(|()| known)
    })?;
    // The process dies where it is: the disk is full.
    let next = disk.restart();
    drop((conn, database));
    let database = open(&next).map_err(text)?;
    let conn = database.connect().map_err(text)?;
    let found = counters(&conn).map_err(text)?;
    for (n, known) in found.iter().zip(&known) {
        if !(known.acknowledged..=known.possible).contains(n) {
            return Err(format!(
                "{n} is there, {} was acknowledged, {} is possible",
                known.acknowledged, known.possible
            ));
        }
    }
    next.set_capacity(None);
    conn.execute_batch(&change(0, found[0] + 1, 10))
        .map_err(text)?;
    Ok(Crowd {
        acknowledged: shared.acknowledged.into_inner(),
        unknown: shared.unknown.into_inner(),
        refused: shared.refused.into_inner(),
        reads: shared.reads.into_inner(),
    })
}

/// Waits until a counter is above a number; fails where nothing happens.
fn until_above(counter: &AtomicU64, number: u64, shared: &Shared) -> Outcome {
    let began = Instant::now();
    while counter.load(Relaxed) <= number {
        if shared.is_over.load(Relaxed) || began.elapsed() > STUCK {
            return Err("nothing goes on".to_owned());
        }
        thread::yield_now();
    }
    Ok(())
}

/// The disk gets full, and stays so until writes were refused and reads were answered; then, unless it is the `last`
/// time, there is room, and commits are acknowledged.
fn fill_and_clear(disk: &SimDisk, shared: &Shared, last: bool) -> Outcome {
    let load = |counter: &AtomicU64| counter.load(Relaxed);
    disk.set_capacity(Some(disk.used() + 3_000));
    until_above(&shared.refused, load(&shared.refused) + 20, shared)?;
    until_above(&shared.reads, load(&shared.reads) + 50, shared)?;
    if last {
        return Ok(());
    }
    disk.set_capacity(None);
    until_above(
        &shared.acknowledged,
        load(&shared.acknowledged) + 20,
        shared,
    )
}

/// One session: it counts, and reads what all have counted.
fn live(database: &Database, session: usize, seed: u64, shared: &Shared) -> Outcome<Own> {
    let conn = database.connect().map_err(text)?;
    let mut random = Random::new(seed ^ (session as u64) << 40);
    let mut own = Own::default();
    while !shared.is_over.load(Relaxed) {
        match random.below(3) {
            0 => look(&conn, session, &own)?,
            _ => write(&conn, session, random.below(500), &mut own, shared)?,
        }
        shared.reads.fetch_add(1, Relaxed);
    }
    Ok(own)
}

/// Whatever is read of the own counter is acknowledged at least.
fn look(conn: &Connection, session: usize, own: &Own) -> Outcome {
    let found = counters(conn).map_err(text)?[session];
    match (own.acknowledged..=own.possible).contains(&found) {
        true => Ok(()),
        false => Err(format!(
            "read {found}, {} was acknowledged",
            own.acknowledged
        )),
    }
}

fn write(
    conn: &Connection,
    session: usize,
    length: u64,
    own: &mut Own,
    shared: &Shared,
) -> Outcome {
    // After an unknown outcome the number is what is read, once that is not on its way any more.
    let n = own.possible + 1;
    match conn.execute_batch(&change(session, n, length)) {
        Ok(()) => {
            *own = Own {
                acknowledged: n,
                possible: n,
            };
            shared.acknowledged.fetch_add(1, Relaxed);
        }
        Err(error) => match error.sqlstate() {
            OUTCOME_UNKNOWN => {
                own.possible = n;
                shared.unknown.fetch_add(1, Relaxed);
            }
            DISK_FULL => drop(shared.refused.fetch_add(1, Relaxed)),
            // It had begun with a commit that is queued: to be begun again.
            NOT_DURABLE => {}
            _ => return Err(text(error)),
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_sessions_outlive_a_full_disk() {
        let came = crowd(1, 3).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(came.acknowledged > 40 && came.refused > 40, "{came:?}");
        assert!(came.unknown > 0 && came.reads > 100, "{came:?}");
    }
}
