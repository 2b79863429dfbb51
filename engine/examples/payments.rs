//! Payments that may be sent again: a client that has lost the answer sends its request with the same key, and nobody pays twice.
//!
//! ```text
//! cargo run --release -p remora-db --example payments
//! ```
#![allow(clippy::print_stdout, reason = "it tells what it does")]

use remora::kv::Json;
use remora::{Connection, Database, Error, OptionalExtension, Result, sqlstate};
use std::time::{Duration, Instant};

const DAY: Duration = Duration::from_secs(24 * 3600);
const PAYMENTS: i64 = 20_000;

/// From, to, and how many cents.
type Order = (i64, i64, i64);

/// Pays, and gives what the payer has left.
fn pay(conn: &mut Connection, key: &str, order: Order) -> Result<i64> {
    let (from, to, cents) = order;
    let Json(left) = conn.transact_once(key, Json(order), DAY, |tx| {
        let take =
            "UPDATE account SET cents = cents - $2 WHERE id = $1 AND cents >= $2 RETURNING cents";
        let taken = tx.query_row(take, [from, cents], |row| row.get(0));
        let left: i64 = taken.optional()?.ok_or_else(|| {
            Error::new(
                sqlstate::CHECK_VIOLATION,
                "there is not enough on the account",
            )
        })?;
        tx.execute(
            "UPDATE account SET cents = cents + $2 WHERE id = $1",
            [to, cents],
        )?;
        Ok(Json(left))
    })?;
    Ok(left)
}

fn main() -> Result<()> {
    let db = Database::in_memory()?;
    let mut paying = db.connect()?;
    let conn = db.connect()?;
    conn.execute_batch(
        "CREATE TABLE account (id BIGINT PRIMARY KEY, cents BIGINT NOT NULL);
         INSERT INTO account SELECT id, 1000 FROM generate_series(1, 1000) AS g (id)",
    )?;
    let cents = |id: i64| {
        let sql = "SELECT cents FROM account WHERE id = $1";
        conn.query_row(sql, [id], |row| row.get::<_, i64>(0))
    };

    // Sent by four threads at once, and once more later.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| pay(&mut db.connect()?, "order 1", (1, 2, 300)));
        }
    });
    assert_eq!(pay(&mut paying, "order 1", (1, 2, 300))?, 700);
    assert_eq!((cents(1)?, cents(2)?), (700, 1300));

    // The same key for something else is a mistake of the client; a payment that fails may be tried again.
    let other = pay(&mut paying, "order 1", (1, 2, 400)).err();
    assert_eq!(
        other.map(|error| error.sqlstate()),
        Some(sqlstate::INVALID_PARAMETER_VALUE)
    );
    assert!(pay(&mut paying, "order 2", (1, 2, 5000)).is_err());
    conn.execute("UPDATE account SET cents = cents + 5000 WHERE id = 1", [])?;
    println!(
        "order 2: {} cents are left",
        pay(&mut paying, "order 2", (1, 2, 5000))?
    );

    let begun = Instant::now();
    for number in 0..PAYMENTS {
        pay(
            &mut paying,
            &format!("round {number}"),
            (1 + number % 1000, 1 + (number + 1) % 1000, 1),
        )?;
    }
    let rate = PAYMENTS as f64 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} payments a second, by one thread");
    let total: i64 = conn.query_row("SELECT sum(cents)::bigint FROM account", [], |row| {
        row.get(0)
    })?;
    assert_eq!(total, 1_005_000, "no cent is lost");
    Ok(())
}
