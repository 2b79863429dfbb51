//! Tables whose rows expire, and how far the sweeper is.

use super::table::{SystemContext, system_table};
use crate::error::{Error, Result};
use remora_storage::catalog::{Expiry, TableEntry};
use remora_storage::{Interval, Value, ValueRef};
use std::sync::Arc;

/// Rows that are counted before it is asked whether to go on.
const LOOK_ROWS: u64 = 4096;

system_table! {
    /// Rows that are there, and rows that wait to be swept; counted when it is asked.
    TTL = "remora_ttl", NOTHING;
    |context| let names = context.newest();
    let now = context.eval.clock.transaction_start();
    let ahead = context.core().time().ahead().map_or(0, |ahead| ahead.as_micros() as i64);
    for (table, expiry) in names.tables().filter_map(|table| Some((table, table.def.expiry.as_deref()?)));
    let found = Found::count(context, (table, expiry), now)?;
    let oldest = (found.expired > 0).then_some(found.oldest);
    "table_name" Text = &table.def.name,
    "expire_after" Text = expiry.after.as_deref(),
    "expression" Text = table.def.expiration_expression(),
    "reset" Text = if expiry.resets { "update" } else { "insert" },
    "paused" Boolean = expiry.paused,
    "triggers" Boolean = expiry.triggers,
    "live" BigInt = found.live,
    "expired" BigInt = found.expired,
    "oldest" TimestampTz = oldest.map(Value::TimestampTz),
    "lag" Interval = oldest.map(|oldest| span(now - oldest)),
    "swept" BigInt = table.rows.swept(),
    "clock_ahead" Interval = span(ahead),
}

fn span(micros: i64) -> Value {
    Value::Interval(Interval {
        months: 0,
        days: 0,
        micros,
    })
}

/// The rows of a table.
struct Found {
    live: u64,
    expired: u64,
    /// The earliest moment.
    oldest: i64,
}

impl Found {
    fn count(
        context: &SystemContext<'_>,
        (table, expiry): (&Arc<TableEntry>, &Expiry),
        now: i64,
    ) -> Result<Self> {
        let mut found = Self {
            live: 0,
            expired: 0,
            oldest: i64::MAX,
        };
        let view = context.view.clone().unrecorded();
        view.for_each_row(table, |_, row| {
            if (found.live + found.expired).is_multiple_of(LOOK_ROWS) {
                context.eval.check()?;
            }
            match row.get(expiry.column) {
                ValueRef::TimestampTz(moment) if moment <= now => {
                    found.expired += 1;
                    found.oldest = found.oldest.min(moment);
                }
                _ => found.live += 1,
            }
            Ok::<(), Error>(())
        })?;
        Ok(found)
    }
}
