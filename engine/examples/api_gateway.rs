//! An API gateway: each client has a limit, log-ins that fail are counted though nothing else of them stays, and a payment that is sent
//! again is answered again.
//!
//! ```text
//! cargo run --release -p remora-db --example api_gateway
//! ```
#![allow(clippy::print_stdout, reason = "it tells what it does")]

use remora::kv::Json;
use remora::limit::Limit;
use remora::{Connection, Database, Error, Limiter, OptionalExtension, Result, sqlstate};
use std::time::{Duration, Instant};

const DAY: Duration = Duration::from_secs(24 * 3600);
const REQUESTS: i64 = 50_000;
const CLIENTS: i64 = 500;

const SCHEMA: &str = "
    CREATE TABLE client (name TEXT PRIMARY KEY, secret TEXT NOT NULL, cents BIGINT NOT NULL CHECK (cents >= 0));
    INSERT INTO client SELECT 'client ' || n, 'secret ' || n, 10000 FROM generate_series(0, 499) AS g (n)";

struct Request<'r> {
    client: &'r str,
    secret: &'r str,
    /// The client's name of this payment, the same when it is sent again.
    key: &'r str,
    cents: i64,
}

/// Answers, by the numbers of HTTP.
#[derive(PartialEq, Debug)]
enum Answer {
    /// 200: what the client has left.
    Paid(i64),
    /// 401
    Unknown,
    /// 402
    NoMoney,
    /// 422: the key was used for another payment.
    OtherRequest,
    /// 429: after this time.
    TooMany(Duration),
}

struct Gateway {
    conn: Connection,
    /// 20 requests at once, and 10 a second, for each client.
    limiter: Limiter,
}

impl Gateway {
    fn new(db: &Database) -> Result<Self> {
        Ok(Self {
            conn: db.connect()?,
            limiter: db.limiter(Limit::token_bucket(20.0, 10.0)?),
        })
    }

    fn answer(&mut self, request: &Request<'_>) -> Result<Answer> {
        let decision = self.limiter.take(request.client, 1.0)?;
        if !decision.allowed {
            return Ok(Answer::TooMany(decision.retry_after));
        }
        if let Some(refused) = self.log_in(request)? {
            return Ok(refused);
        }
        let paid = pay(&mut self.conn, request);
        match paid {
            Ok(left) => Ok(Answer::Paid(left)),
            Err(error) => match error.sqlstate() {
                sqlstate::CHECK_VIOLATION => Ok(Answer::NoMoney),
                sqlstate::INVALID_PARAMETER_VALUE => Ok(Answer::OtherRequest),
                _ => Err(error),
            },
        }
    }

    /// Looks the client up. Five wrong secrets in a quarter of an hour, and nobody gets in.
    fn log_in(&self, request: &Request<'_>) -> Result<Option<Answer>> {
        let Request { client, secret, .. } = *request;
        let tries = "SELECT remaining >= 1, extract(epoch FROM retry_after)::double precision
                     FROM rate_limit_fixed('log-in of ' || $1, 5, '15 minutes', cost => 0)";
        let (is_open, wait) = self.conn.query_row(tries, [client], |row| {
            Ok((row.get::<_, bool>(0)?, row.get::<_, f64>(1)?))
        })?;
        if !is_open {
            return Ok(Some(Answer::TooMany(Duration::from_secs_f64(wait))));
        }
        let known = "SELECT FROM client WHERE name = $1 AND secret = $2";
        let found = self.conn.query_row(known, [client, secret], |_| Ok(()));
        if found.optional()?.is_some() {
            return Ok(None);
        }
        // It commits by itself, whatever becomes of a transaction around it.
        let count =
            "SELECT rate_limit_fixed('log-in of ' || $1, 5, '15 minutes', autonomous => true)";
        self.conn.execute(count, [client])?;
        Ok(Some(Answer::Unknown))
    }
}

/// Pays once, however often it is sent. The day's limit of payments is part of the transaction: one that fails takes nothing from it.
fn pay(conn: &mut Connection, request: &Request<'_>) -> Result<i64> {
    let key = format!("{} {}", request.client, request.key);
    let Json(left) = conn.transact_once(&key, Json(request.cents), DAY, |tx| {
        let limit = "SELECT (rate_limit_fixed('payments of ' || $1, 1000, '1 day')).allowed";
        if !tx.query_row(limit, [request.client], |row| row.get::<_, bool>(0))? {
            return Err(Error::new(
                sqlstate::CHECK_VIOLATION,
                "no more payments today",
            ));
        }
        let pay = "UPDATE client SET cents = cents - $2 WHERE name = $1 RETURNING cents";
        let left: i64 = tx.query_row(pay, (request.client, request.cents), |row| row.get(0))?;
        Ok(Json(left))
    })?;
    Ok(left)
}

fn main() -> Result<()> {
    let db = Database::in_memory()?;
    db.connect()?.execute_batch(SCHEMA)?;
    let mut gateway = Gateway::new(&db)?;
    let request = Request {
        client: "client 7",
        secret: "secret 7",
        key: "order 1",
        cents: 4000,
    };

    // The answer was lost, so the client sends it again; and once with other cents, by mistake.
    assert_eq!(gateway.answer(&request)?, Answer::Paid(6000));
    assert_eq!(gateway.answer(&request)?, Answer::Paid(6000));
    let other = Request {
        cents: 1,
        ..request
    };
    assert_eq!(gateway.answer(&other)?, Answer::OtherRequest);
    let dear = Request {
        key: "order 2",
        cents: 9000,
        ..request
    };
    assert_eq!(gateway.answer(&dear)?, Answer::NoMoney);
    let conn = db.connect()?;
    let payments =
        "SELECT (1000 - (rate_limit_peek('payments of client 7', 'fixed')).remaining)::bigint";
    let payments: i64 = conn.query_row(payments, [], |row| row.get(0))?;
    assert_eq!(payments, 1, "what has failed was given back");

    // A guesser has five tries; then the owner, too, has to wait.
    let guess = Request {
        client: "client 8",
        secret: "a guess",
        ..request
    };
    for _ in 0..5 {
        assert_eq!(gateway.answer(&guess)?, Answer::Unknown);
    }
    assert!(matches!(gateway.answer(&guess)?, Answer::TooMany(_)));

    // One who sends as fast as he can gets his burst, and his rate.
    let mut passed = 0;
    let fast = Request {
        client: "client 9",
        secret: "secret 9",
        ..request
    };
    while !matches!(gateway.answer(&fast)?, Answer::TooMany(_)) {
        passed += 1;
    }
    println!("{passed} of a burst passed");
    assert!(passed >= 20);

    let begun = Instant::now();
    let (mut paid, mut refused) = (0, 0);
    for n in 0..REQUESTS {
        let number = 10 + n % (CLIENTS - 10);
        let (client, secret) = (format!("client {number}"), format!("secret {number}"));
        let answer = gateway.answer(&Request {
            client: &client,
            secret: &secret,
            key: &format!("round {n}"),
            cents: 1,
        })?;
        match answer {
            Answer::Paid(_) => paid += 1,
            Answer::TooMany(_) => refused += 1,
            other => return Err(Error::new(sqlstate::INTERNAL_ERROR, format!("{other:?}"))),
        }
    }
    let rate = REQUESTS as f64 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} requests a second: {paid} payments, {refused} refused");
    Ok(())
}
