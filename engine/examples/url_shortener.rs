//! A URL shortener: short codes, names of one's own, links that expire however often they are clicked, clicks by link, and a bound
//! on how many links there are.
//!
//! ```text
//! cargo run --release -p remora-db --example url_shortener
//! ```
#![allow(clippy::print_stdout, reason = "it tells what it does")]

use remora::{Connection, Database, OptionalExtension, Result, params};
use std::time::Instant;

const SCHEMA: &str = "
    -- A code is the number of the link in base 62, behind a first letter that no name of one's own begins with.
    CREATE SEQUENCE link_number START 100000;
    CREATE TABLE link (
        code TEXT PRIMARY KEY DEFAULT '~' || base62_encode(nextval('link_number')),
        url TEXT NOT NULL
    ) WITH (ttl_expire_after = '1 year', ttl_reset = 'insert', max_rows = 200000);
    CREATE TABLE click (code TEXT NOT NULL, at TIMESTAMPTZ NOT NULL DEFAULT now(), referrer TEXT);
    CREATE INDEX click_code ON click (code)";
const LINKS: i64 = 20_000;

fn shorten(conn: &Connection, url: &str) -> Result<String> {
    let sql = "INSERT INTO link (url) VALUES ($1) RETURNING code";
    conn.query_row(sql, [url], |row| row.get(0))
}

/// A code of one's own; `None` where it is taken.
fn shorten_as(conn: &Connection, alias: &str, url: &str) -> Result<Option<String>> {
    let sql = "INSERT INTO link VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING code";
    conn.query_row(sql, [alias, url], |row| row.get(0))
        .optional()
}

fn click(conn: &Connection, code: &str, referrer: Option<&str>) -> Result<Option<String>> {
    let url = conn
        .query_row("SELECT url FROM link WHERE code = $1", [code], |row| {
            row.get(0)
        })
        .optional()?;
    if url.is_some() {
        conn.execute(
            "INSERT INTO click (code, referrer) VALUES ($1, $2)",
            params![code, referrer],
        )?;
    }
    Ok(url)
}

fn main() -> Result<()> {
    let db = Database::in_memory()?;
    let conn = db.connect()?;
    conn.execute_batch(SCHEMA)?;

    let code = shorten(&conn, "https://example.org/a/long/path")?;
    println!("the first code is {code}");
    assert_eq!(code, "~q0U");
    let named = shorten_as(&conn, "sale", "https://example.org/sale")?;
    assert_eq!(named.as_deref(), Some("sale"));
    assert_eq!(
        shorten_as(&conn, "sale", "https://example.org/other")?,
        None
    );
    let found = click(&conn, "sale", Some("news"))?;
    assert_eq!(found.as_deref(), Some("https://example.org/sale"));
    assert_eq!(click(&conn, "nowhere", None)?, None);

    // Clicks do not keep a link: it goes when its time is over.
    conn.execute("UPDATE link SET expires_at = now() WHERE code = 'sale'", [])?;
    assert_eq!(click(&conn, "sale", None)?, None);

    let begun = Instant::now();
    let urls = (0..LINKS).map(|n| shorten(&conn, &format!("https://example.org/{n}")));
    let codes = urls.collect::<Result<Vec<_>>>()?;
    println!(
        "{:.0} links a second",
        LINKS as f64 / begun.elapsed().as_secs_f64()
    );
    let begun = Instant::now();
    for (n, code) in codes.iter().enumerate() {
        let hot = &codes[n % 100];
        click(&conn, if n % 2 == 0 { hot } else { code }, Some("feed"))?;
    }
    println!(
        "{:.0} clicks a second",
        LINKS as f64 / begun.elapsed().as_secs_f64()
    );

    let mut most = conn.prepare(
        "SELECT l.url, count(*) FROM click c JOIN link l ON l.code = c.code \
         WHERE c.at > now() - INTERVAL '1 day' GROUP BY l.url ORDER BY 2 DESC, 1 LIMIT 3",
    )?;
    let most = most.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    })?;
    for found in most {
        let (url, clicks) = found?;
        println!("{clicks} clicks: {url}");
    }

    conn.execute("ALTER TABLE link SET (max_rows = 20001)", [])?;
    let full = shorten(&conn, "https://example.org/one/too/many").err();
    assert_eq!(full.map(|error| error.sqlstate()), Some("53400"));
    Ok(())
}
