//! The statements of a work queue.

use crate::error::Result;
use crate::function::quoted;
use crate::kv::HandleTable;
use crate::session::Connection;
use remora_storage::DataType;

/// Items that come back to the ready ones in one pass.
const PASS_ROWS_MAX: usize = 1_000;
/// The longest name, in bytes: with the longest of its endings, `_hidden`, it is a name of 63.
const NAME_BYTES_MAX: usize = 56;

/// The statements of a work queue. Written once, so that a connection finds the plan of each by its text.
#[derive(Debug)]
pub(super) struct Texts {
    /// The name of the queue, as the program has given it.
    pub(super) name: String,
    table: String,
    create: String,
    items: String,
    letters: String,
    tokens: String,
    /// Priority, payload.
    pub(super) push: String,
    /// Priority, payload, delay.
    pub(super) push_later: String,
    /// No parameters.
    pub(super) pop: String,
    /// Length of the lease.
    pub(super) lease: String,
    /// Id, token.
    pub(super) ack: String,
    /// Id, token, length of the lease from now on.
    pub(super) extend: String,
    /// Id, token, delay or NULL.
    pub(super) give_back: String,
    /// Id, token, reason.
    pub(super) bury: String,
    /// Id, priority, payload, microseconds of `pushed_at` as an interval, attempts, reason.
    pub(super) bury_popped: String,
    /// Id.
    pub(super) holder: String,
    /// No parameters.
    pub(super) end_leases: String,
    /// No parameters.
    pub(super) is_due: String,
    /// No parameters.
    pub(super) delayed_are_ready: String,
    /// The most attempts.
    pub(super) run_out_are_ready: String,
    /// The most attempts.
    pub(super) bury_run_out: String,
    /// How many at most.
    pub(super) dead: String,
    /// Id.
    pub(super) revive: String,
    /// No parameters.
    pub(super) len: String,
    pub(super) is_empty: String,
    pub(super) lengths: String,
}

/// The columns of an item that it keeps as a dead letter.
const ITEM: &str = "id, priority, payload, pushed_at, attempts";
const ITEM_TYPES: [DataType; 5] = [
    DataType::BigInt,
    DataType::Integer,
    DataType::Bytea,
    DataType::TimestampTz,
    DataType::Integer,
];
/// The lease of parameters 1 and 2, as long as it has not run out.
const LEASE: &str = "id = $1 AND token = $2 AND hidden_until > now()";
const IS_DUE: &str = "hidden_until IS NOT NULL AND hidden_until <= now()";

impl Texts {
    /// The statements of the queue of this name.
    pub(super) fn new(name: &str) -> Self {
        let table = &*quoted(name);
        let dead = &*quoted(&format!("{name}_dead"));
        let sequence = quoted(&format!("{name}_token"));
        let token = format!("nextval('{}')", sequence.replace('\'', "''"));
        let next = format!(
            "(SELECT id FROM {table} WHERE hidden_until IS NULL \
              ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED) AS next"
        );
        // A row that another transaction is changing is left to it.
        let leased =
            format!("(SELECT id FROM {table} WHERE {LEASE} FOR UPDATE SKIP LOCKED) AS leased");
        let due = |which: &str| {
            format!(
                "id IN (SELECT id FROM {table} WHERE {IS_DUE} AND {which} \
                 LIMIT {PASS_ROWS_MAX} FOR UPDATE SKIP LOCKED)"
            )
        };
        let of_item = format!("item.{}", ITEM.replace(", ", ", item."));
        let bury = |deletion: &str, reason: &str| {
            format!(
                "WITH gone AS (DELETE FROM {table} AS item {deletion} RETURNING {of_item}) \
                 INSERT INTO {dead} ({ITEM}, reason) SELECT {ITEM}, {reason} FROM gone"
            )
        };
        let ran_out = "token IS NOT NULL AND attempts";
        Self {
            name: name.to_owned(),
            create: create(name),
            items: format!("SELECT {ITEM}, token, hidden_until FROM {table}"),
            tokens: format!("SELECT last_value FROM {sequence}"),
            letters: format!("SELECT {ITEM}, died_at, reason FROM {dead}"),
            push: format!("INSERT INTO {table} (priority, payload) VALUES ($1, $2) RETURNING id"),
            push_later: format!(
                "INSERT INTO {table} (priority, payload, hidden_until) \
                 VALUES ($1, $2, now() + $3::interval) RETURNING id"
            ),
            pop: format!(
                "DELETE FROM {table} AS item USING {next} WHERE item.id = next.id RETURNING {of_item}"
            ),
            lease: format!(
                "UPDATE {table} AS item SET token = {token}, attempts = attempts + 1, hidden_until = now() + $1::interval \
                 FROM {next} WHERE item.id = next.id RETURNING {of_item}, token, hidden_until"
            ),
            ack: format!("DELETE FROM {table} WHERE {LEASE}"),
            extend: format!(
                "UPDATE {table} SET hidden_until = now() + $3::interval WHERE {LEASE} RETURNING hidden_until"
            ),
            give_back: format!(
                "UPDATE {table} AS item SET token = NULL, hidden_until = now() + $3::interval \
                 FROM {leased} WHERE item.id = leased.id"
            ),
            bury: bury(&format!("USING {leased} WHERE item.id = leased.id"), "$3"),
            bury_popped: format!(
                "INSERT INTO {dead} ({ITEM}, reason) \
                 VALUES ($1, $2, $3, '1970-01-01 00:00:00+00'::timestamptz + $4::interval, $5, $6)"
            ),
            holder: format!("SELECT token, hidden_until > now() FROM {table} WHERE id = $1"),
            end_leases: format!(
                "UPDATE {table} SET hidden_until = now() \
                 WHERE hidden_until IS NOT NULL AND hidden_until > now() AND token IS NOT NULL"
            ),
            is_due: format!("SELECT 1 FROM {table} WHERE {IS_DUE} LIMIT 1"),
            delayed_are_ready: format!(
                "UPDATE {table} SET hidden_until = NULL WHERE {}",
                due("token IS NULL")
            ),
            run_out_are_ready: format!(
                "UPDATE {table} SET hidden_until = NULL, token = NULL WHERE {}",
                due(&format!("{ran_out} < $1"))
            ),
            bury_run_out: bury(
                &format!("WHERE {}", due(&format!("{ran_out} >= $1"))),
                "'the lease ran out'",
            ),
            dead: format!(
                "SELECT {ITEM}, died_at, reason FROM {dead} ORDER BY died_at, id LIMIT $1"
            ),
            revive: format!(
                "WITH back AS (DELETE FROM {dead} WHERE id = $1 RETURNING id, priority, payload, pushed_at) \
                 INSERT INTO {table} (id, priority, payload, pushed_at) SELECT * FROM back"
            ),
            len: format!("SELECT count(*) FROM {table}"),
            is_empty: format!("SELECT NOT EXISTS (SELECT FROM {table})"),
            lengths: format!(
                "SELECT count(*) FILTER (WHERE hidden_until IS NULL OR hidden_until <= now()), \
                     count(*) FILTER (WHERE hidden_until > now() AND token IS NULL), \
                     count(*) FILTER (WHERE hidden_until > now() AND token IS NOT NULL), \
                     (SELECT count(*) FROM {dead}) \
                 FROM {table}"
            ),
            table: table.to_owned(),
        }
    }

    /// Makes the tables that are not there, with a bound if one is given, and checks those that are.
    ///
    /// # Errors
    /// 22023 where the name is too long, 42809 where a table has other columns.
    pub(super) fn set_up(&self, conn: &Connection, max_len: Option<u64>) -> Result<()> {
        if self.name.len() > NAME_BYTES_MAX {
            return Err(sql_error!(
                INVALID_PARAMETER_VALUE,
                "the name of a queue is too long: \"{}\"",
                self.name
            )
            .with_detail(format!(
                "It has {} bytes, and may have {NAME_BYTES_MAX}.",
                self.name.len()
            )));
        }
        let table = HandleTable {
            name: &self.name,
            kind: "work queue",
        };
        if table.is_there(conn)? {
            self.check_items(conn, &table)?;
        }
        if self.check(conn, &table).is_err() {
            table.make(conn, &self.create)?;
        }
        self.check(conn, &table)?;
        max_len.map_or(Ok(()), |max_len| self.bound(conn, max_len))
    }

    fn check_items(&self, conn: &Connection, table: &HandleTable<'_>) -> Result<()> {
        let wanted = [&ITEM_TYPES[..], &[DataType::BigInt, DataType::TimestampTz]].concat();
        table.check(conn, &self.items, &wanted, &[&self.push, &self.pop])
    }

    fn check(&self, conn: &Connection, table: &HandleTable<'_>) -> Result<()> {
        self.check_items(conn, table)?;
        let wanted = [&ITEM_TYPES[..], &[DataType::TimestampTz, DataType::Text]].concat();
        let others = [&*self.tokens, &self.lease, &self.bury, &self.revive];
        table.check(conn, &self.letters, &wanted, &others)
    }

    /// Gives the table this bound, if it has another.
    fn bound(&self, conn: &Connection, max_len: u64) -> Result<()> {
        let bound = format!("max_rows = {max_len}, on_full = 'wait'");
        let made = conn.schema(Some(&self.name))?;
        match made.iter().any(|sql| sql.contains(&bound)) {
            true => Ok(()),
            false => conn.execute_batch(&format!("ALTER TABLE {} SET ({bound})", self.table)),
        }
    }
}

/// The statements that make a queue, or what is missing of it.
fn create(name: &str) -> String {
    let of = |part: &str| quoted(&format!("{name}_{part}"));
    let (table, dead, sequence) = (quoted(name), of("dead"), of("token"));
    let (ready, hidden) = (of("ready"), of("hidden"));
    format!(
        "CREATE TABLE IF NOT EXISTS {table} (\
             id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, \
             priority INTEGER NOT NULL DEFAULT 0, \
             payload BYTEA NOT NULL, \
             pushed_at TIMESTAMPTZ NOT NULL DEFAULT now(), \
             attempts INTEGER NOT NULL DEFAULT 0, \
             token BIGINT, \
             hidden_until TIMESTAMPTZ); \
         CREATE SEQUENCE IF NOT EXISTS {sequence} OWNED BY {table}.token; \
         CREATE INDEX IF NOT EXISTS {ready} ON {table} (priority DESC, id) WHERE hidden_until IS NULL; \
         CREATE INDEX IF NOT EXISTS {hidden} ON {table} (hidden_until) WHERE hidden_until IS NOT NULL; \
         CREATE TABLE IF NOT EXISTS {dead} (\
             id BIGINT PRIMARY KEY, \
             priority INTEGER NOT NULL, \
             payload BYTEA NOT NULL, \
             pushed_at TIMESTAMPTZ NOT NULL, \
             attempts INTEGER NOT NULL, \
             died_at TIMESTAMPTZ NOT NULL DEFAULT now(), \
             reason TEXT NOT NULL)"
    )
}
