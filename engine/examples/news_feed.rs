//! A news feed: a post is pushed into the inboxes of its readers where these are few, and pulled by them where they are many.
//!
//! ```text
//! cargo run --release -p remora-db --example news_feed
//! ```
#![allow(clippy::print_stdout, reason = "it tells what it does")]

use remora::{Connection, Database, Result};
use std::time::Instant;

/// Authors with more readers than this are pulled.
const PUSHED_MAX: i64 = 100;
const READERS: i64 = 1000;
const POSTS: i64 = 2000;
const LOOKS: i64 = 2000;

const SCHEMA: &str = "
    CREATE TABLE author (id BIGINT PRIMARY KEY, readers BIGINT NOT NULL DEFAULT 0, is_pulled BOOLEAN NOT NULL DEFAULT false);
    CREATE TABLE follow (author BIGINT REFERENCES author, reader BIGINT, PRIMARY KEY (author, reader));
    CREATE INDEX follow_reader ON follow (reader);
    CREATE TABLE post (id BIGINT PRIMARY KEY DEFAULT snowflake_id(), author BIGINT NOT NULL, said TEXT NOT NULL);
    CREATE INDEX post_author ON post (author, id);
    CREATE TABLE inbox (reader BIGINT, post BIGINT, PRIMARY KEY (reader, post)) WITH (ttl_expire_after = '30 days')";

/// Follows an author, who is pulled from the moment on that there are too many to push to.
fn follow(conn: &mut Connection, reader: i64, author: i64) -> Result<()> {
    conn.transact(|tx| {
        let added = tx.execute(
            "INSERT INTO follow VALUES ($1, $2) ON CONFLICT DO NOTHING",
            [author, reader],
        )?;
        tx.execute(
            "UPDATE author SET readers = readers + $2, is_pulled = is_pulled OR readers + $2 > $3 WHERE id = $1",
            [author, added as i64, PUSHED_MAX],
        )?;
        Ok(())
    })
}

fn post(conn: &mut Connection, author: i64, said: &str) -> Result<i64> {
    conn.transact(|tx| {
        let sql = "INSERT INTO post (author, said) VALUES ($1, $2) RETURNING id";
        let id: i64 = tx.query_row(sql, (author, said), |row| row.get(0))?;
        let sql = "SELECT is_pulled FROM author WHERE id = $1";
        if !tx.query_row(sql, [author], |row| row.get::<_, bool>(0))? {
            tx.execute(
                "INSERT INTO inbox (reader, post) SELECT reader, $2 FROM follow WHERE author = $1",
                [author, id],
            )?;
        }
        Ok(id)
    })
}

/// The latest posts of all whom a reader follows. Those of an author who has grown may be both pushed and pulled.
fn feed(conn: &Connection, reader: i64) -> Result<Vec<String>> {
    let mut statement = conn.prepare_cached(
        "SELECT said FROM post JOIN (
             (SELECT post AS id FROM inbox WHERE reader = $1 ORDER BY post DESC LIMIT 10)
             UNION
             (SELECT p.id FROM follow f JOIN author a ON a.id = f.author AND a.is_pulled JOIN post p ON p.author = a.id
              WHERE f.reader = $1 ORDER BY p.id DESC LIMIT 10)
         ) latest USING (id) ORDER BY id DESC LIMIT 10",
    )?;
    let found = statement.query_map([reader], |row| row.get(0))?;
    found.collect()
}

fn main() -> Result<()> {
    let db = Database::in_memory()?;
    let mut conn = db.connect()?;
    conn.execute_batch(SCHEMA)?;
    conn.execute(
        "INSERT INTO author (id) SELECT id FROM generate_series(1, 50) AS g (id)",
        [],
    )?;

    follow(&mut conn, 7, 2)?;
    post(&mut conn, 2, "pushed")?;
    // Everybody follows the first author, who is pulled in the end; each of the others has few readers.
    for reader in 1..=READERS {
        follow(&mut conn, reader, 1)?;
        follow(&mut conn, reader, 2 + reader % 49)?;
    }
    post(&mut conn, 1, "pulled")?;
    assert_eq!(feed(&conn, 7)?, ["pulled", "pushed"]);
    let inboxes: i64 = conn.query_row("SELECT count(*) FROM inbox", [], |row| row.get(0))?;
    assert_eq!(inboxes, 1, "the post of the first author is in no inbox");

    let begun = Instant::now();
    for n in 0..POSTS {
        post(&mut conn, 1 + n % 50, &format!("post {n}"))?;
    }
    let rate = POSTS as f64 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} posts a second, most of them into 20 inboxes");
    let begun = Instant::now();
    for n in 0..LOOKS {
        assert_eq!(feed(&conn, 1 + n % READERS)?.len(), 10);
    }
    let rate = LOOKS as f64 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} looks at a feed a second");
    Ok(())
}
