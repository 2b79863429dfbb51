//! A disk that fills while eight sessions read and write, on a simulated disk.
//!
//! 1. Each session counts in a row of its own, and adds rows that take room. Each commit has a place in the order
//!    of all, so that what may be read is known: the counters after some number of commits.
//! 2. The disk gets full, and there is room again, at random moments. While it is full reads give the last
//!    durable state, exactly, and writes get 53100 or 08007. A commit with 08007 is there when there is room, one with
//!    53100 never.
//! 3. At a random moment the process is killed, the power fails, or the database is closed; mostly while the disk is
//!    full. What opens, full or not, has all that was acknowledged, and goes on when there is room.
//!
//! [`story`] does that with one thread, so that a seed gives the same run; [`crowd`] with a thread a session.

mod crowd;
mod story;

pub use crowd::{Crowd, crowd};
pub use story::{Count, story};

use remora::{Connection, Error};

/// Sessions.
const SESSIONS: usize = 8;
/// The database: a counter for each session, and a table that takes room.
const TABLES: &str = "CREATE TABLE counters (id INTEGER PRIMARY KEY, n BIGINT NOT NULL); \
     CREATE TABLE notes (id INTEGER, n BIGINT, text TEXT, PRIMARY KEY (id, n)); \
     INSERT INTO counters SELECT id, 0 FROM generate_series(0, 7) AS s (id)";
const DISK_FULL: &str = "53100";
/// The transaction has seen what is not durable, and shows nothing of it.
const NOT_DURABLE: &str = "40001";
const OUTCOME_UNKNOWN: &str = "08007";

/// All counters.
fn counters(conn: &Connection) -> Result<Vec<i64>, Error> {
    let mut statement = conn.prepare("SELECT n FROM counters ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(row.get(0)?);
    }
    Ok(found)
}

/// Text of so many characters that does not become shorter.
fn noise(seed: u64, length: u64) -> String {
    let mut random = crate::random::Random::new(seed);
    let letter = |_| char::from(b'!' + random.below(90) as u8);
    (0..length).map(letter).filter(|c| *c != '\'').collect()
}

/// The commit that counts `session` from `n` - 1 to `n`, with so long a text.
fn change(session: usize, n: i64, length: u64) -> String {
    let text = noise((session as u64) << 32 | n as u64, length);
    format!(
        "UPDATE counters SET n = {n} WHERE id = {session}; \
         INSERT INTO notes VALUES ({session}, {n}, '{text}')"
    )
}
