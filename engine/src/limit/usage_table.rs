//! The table of what is used of limits: `remora_internal.rate_limit`, in a schema that no search path has.
//!
//! It is made in a transaction of its own when something is taken first. Its rows expire like others. Written and read by key,
//! below SQL: no text and no plan.

use super::decision::Decision;
use super::limits::{Kind, Limit, Usage};
use crate::activity::{Backoff, Interrupt};
use crate::error::Result;
use remora_storage::catalog::{
    Catalog, ColumnDef, Constraint, Deferral, Expiry, IndexColumn, IndexDef, IndexEntry, IndexKind,
    TableDef, TableEntry,
};
use remora_storage::transaction::{Core, ReadView, Transaction};
use remora_storage::{
    ColumnId, DataType, Durability, IndexId, Isolation, RowId, TableId, TransactionId,
    TransactionOptions, ValueRef,
};
use std::sync::Arc;

const SCHEMA: &str = "remora_internal";
const TABLE: &str = "rate_limit";
const KEY: ColumnId = ColumnId(0);
const KIND: ColumnId = ColumnId(1);
const USAGE: ColumnId = ColumnId(2);
const EXPIRES_AT: ColumnId = ColumnId(3);
const COLUMNS: [(ColumnId, &str, DataType); 4] = [
    (KEY, "key", DataType::Text),
    (KIND, "kind", DataType::Text),
    (USAGE, "usage", DataType::Bytea),
    (EXPIRES_AT, "expires_at", DataType::TimestampTz),
];
/// The longest key.
const KEY_BYTES_MAX: usize = 64 << 10;

/// So much longer a row stays whose time was given by the call: the next one may be given an earlier one than the clock's.
const DAY: i64 = 24 * 3600 * 1_000_000;

/// A key and the kind of limit that it is used with: they do not meet those of other kinds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct UsageKey {
    pub(crate) key: String,
    pub(crate) kind: Kind,
}

impl UsageKey {
    /// # Errors
    /// 54000 where the key is too long.
    pub(crate) fn new(key: &str, kind: Kind) -> Result<Self> {
        if key.len() > KEY_BYTES_MAX {
            return Err(sql_error!(
                PROGRAM_LIMIT_EXCEEDED,
                "key of a rate limit is too long: {} bytes of at most {KEY_BYTES_MAX}",
                key.len()
            ));
        }
        Ok(Self {
            key: key.to_owned(),
            kind,
        })
    }

    fn values(&self) -> [ValueRef<'_>; 2] {
        [ValueRef::Text(&self.key), ValueRef::Text(self.kind.name())]
    }
}

/// A key as the table has it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) row: Option<RowId>,
    pub(crate) usage: Option<Usage>,
}

/// The table, and the index by which rows are found.
#[derive(Clone, Debug)]
pub(crate) struct UsageTable {
    table: Arc<TableEntry>,
    index: Arc<IndexEntry>,
}

impl UsageTable {
    /// The table, if it is there and looks as it should.
    pub(crate) fn find(catalog: &Catalog) -> Option<Self> {
        let schema = catalog.schema(SCHEMA)?;
        let table = catalog.table((schema.id, TABLE))?;
        let columns = table.def.columns.iter();
        let columns = columns.map(|column| (column.id, column.data_type));
        let index = table.indexes.iter().find(|index| index.def.unique)?;
        let is_as_made = columns.eq(COLUMNS.map(|(id, _, data_type)| (id, data_type)));
        is_as_made.then(|| Self {
            table: Arc::clone(table),
            index: Arc::clone(index),
        })
    }

    /// The table, which is made if it is not there.
    ///
    /// # Errors
    /// 42809 where there is something else of this name; those of a commit.
    pub(crate) fn find_or_make(core: &Arc<Core>) -> Result<Self> {
        let mut backoff = Backoff::default();
        loop {
            if let Some(found) = Self::find(&core.catalog()) {
                return Ok(found);
            }
            let mut tx = core.begin()?;
            let made = Self::make(&mut tx).and_then(|_| Ok(tx.commit()?));
            match made {
                Err(error) if error.is_retryable() && backoff.pause(&Interrupt::default()) => {}
                made => _ = made?,
            }
        }
    }

    /// Makes the table as part of a transaction.
    ///
    /// # Errors
    /// 42809 where there is something else of this name; 40001 where another transaction makes it.
    pub(crate) fn make(tx: &mut Transaction) -> Result<Self> {
        let schema = match tx.catalog().schema(SCHEMA) {
            Some(schema) => schema.id,
            None => tx.create_schema(SCHEMA.to_owned())?,
        };
        let other = || {
            sql_error!(
                WRONG_OBJECT_TYPE,
                "\"{SCHEMA}.{TABLE}\" is not the table of rate limits"
            )
            .with_hint("Drop or rename it: a new one is made.")
        };
        if tx.catalog().has_name((schema, TABLE)) {
            return Err(other());
        }
        let table = tx.create_table(TableDef {
            schema,
            ..definition()
        })?;
        tx.create_index(primary_key(table))?;
        Self::find(tx.catalog()).ok_or_else(other)
    }

    /// The row of a key and what it says is used: nothing, if others have written it.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) fn read(&self, view: &ReadView, key: &UsageKey) -> Result<Found> {
        let rows = view.lookup(&self.table, &self.index, &key.values())?;
        let Some(row) = rows.first() else {
            return Ok(Found::default());
        };
        let usage = view.row(&self.table, *row, |values| match values.get(USAGE) {
            ValueRef::Bytea(bytes) => Usage::from_bytes(key.kind, bytes),
            _ => None,
        });
        Ok(Found {
            row: Some(*row),
            usage: usage.flatten(),
        })
    }

    /// Writes what is used; `row` says what was. `expires_at` is by the clock.
    ///
    /// # Errors
    /// 40001 where another transaction has written it meanwhile; 53200.
    pub(crate) fn write(
        &self,
        tx: &mut Transaction,
        key: &UsageKey,
        row: Option<RowId>,
        written: Option<(&Usage, i64)>,
    ) -> Result<()> {
        let bytes = written.map(|(usage, expires_at)| (usage.to_bytes(), expires_at));
        match (row, &bytes) {
            (None, None) => {}
            (Some(row), None) => _ = tx.delete(&self.table, row)?,
            (Some(row), Some((usage, expires_at))) => {
                let changes = [
                    (USAGE, ValueRef::Bytea(usage)),
                    (EXPIRES_AT, ValueRef::TimestampTz(*expires_at)),
                ];
                tx.update(&self.table, row, &changes)?;
            }
            (None, Some((usage, expires_at))) => {
                let [key, kind] = key.values();
                let expires_at = ValueRef::TimestampTz(*expires_at);
                tx.insert(
                    &self.table,
                    &[key, kind, ValueRef::Bytea(usage), expires_at],
                )?;
            }
        }
        Ok(())
    }
}

impl Usage {
    /// When a row of it may go, by the clock. A call's time may be `given` by it.
    pub(crate) fn expires_at(&self, now: i64, given: bool) -> i64 {
        let extra = if given { DAY } else { 0 };
        now.saturating_add(self.lasts()).saturating_add(extra)
    }
}

/// Decides on a call in a transaction of its own, which is committed. Nobody waits until that is durable.
///
/// `caller` is a transaction that waits for this one meanwhile.
///
/// # Errors
/// 22023; 55000 where the caller has taken from the key itself; 40001 where others had it for too long; 53200, 53300.
pub(crate) fn decide_alone(
    core: &Arc<Core>,
    (key, limit, cost): (&str, &Limit, f64),
    at: Option<i64>,
    (caller, interrupt): (Option<TransactionId>, &Interrupt),
) -> Result<Decision> {
    let key = UsageKey::new(key, limit.kind())?;
    let mut backoff = Backoff::default();
    loop {
        let error = match decide_once(core, (&key, limit, cost), at) {
            Err(error) if error.is_retryable() => error,
            decided => return decided,
        };
        if caller.is_some() && error.rival() == caller {
            return Err(sql_error!(
                OBJECT_NOT_IN_PREREQUISITE_STATE,
                "the transaction has taken from the limit of key \"{}\" itself",
                key.key
            )
            .with_hint("Call it with \"autonomous\" always or never."));
        }
        if !backoff.pause(interrupt) {
            return Err(error);
        }
    }
}

fn decide_once(
    core: &Arc<Core>,
    (key, limit, cost): (&UsageKey, &Limit, f64),
    at: Option<i64>,
) -> Result<Decision> {
    let table = UsageTable::find_or_make(core)?;
    let mut tx = begin_alone(core)?;
    let found = table.read(&tx.view(), key)?;
    let now = core.time().tell();
    let (decision, usage) = limit.take(found.usage.as_ref(), cost, at.unwrap_or(now))?;
    if let Some(usage) = usage {
        let expires_at = usage.expires_at(now, at.is_some());
        table.write(&mut tx, key, found.row, Some((&usage, expires_at)))?;
        tx.commit()?;
    }
    Ok(decision)
}

/// Forgets what is used of a limit by a key, in a transaction of its own; returns whether anything was.
///
/// # Errors
/// 40001 where others had it for too long.
pub(crate) fn forget_alone(core: &Arc<Core>, key: &str, kind: Kind) -> Result<bool> {
    let key = UsageKey::new(key, kind)?;
    let mut backoff = Backoff::default();
    loop {
        let Some(table) = UsageTable::find(&core.catalog()) else {
            return Ok(false);
        };
        let mut tx = begin_alone(core)?;
        let found = table.read(&tx.view(), &key)?;
        if found.usage.is_none() {
            return Ok(false);
        }
        let written = table.write(&mut tx, &key, found.row, None);
        match written.and_then(|()| Ok(tx.commit()?)) {
            Err(error) if error.is_retryable() && backoff.pause(&Interrupt::default()) => {}
            done => return done.map(|_| true),
        }
    }
}

/// The usage of a limit by a key, as it is now.
///
/// # Errors
/// 53300
pub(crate) fn usage_now(core: &Arc<Core>, key: &str, kind: Kind) -> Result<Option<Usage>> {
    match UsageTable::find(&core.catalog()) {
        Some(table) => {
            let found = table.read(&core.view_latest()?, &UsageKey::new(key, kind)?)?;
            Ok(found.usage)
        }
        None => Ok(None),
    }
}

fn begin_alone(core: &Arc<Core>) -> Result<Transaction> {
    let mut tx = core.begin_with(TransactionOptions {
        isolation: Isolation::Snapshot,
        durability: Some(Durability::Buffered),
        ..TransactionOptions::default()
    })?;
    tx.begin_command();
    Ok(tx)
}

fn definition() -> TableDef {
    let mut columns = COLUMNS.map(|(id, name, data_type)| ColumnDef {
        not_null: true,
        ..ColumnDef::new(id, name, data_type)
    });
    columns[3].default = Some("now() + INTERVAL '1 day'".to_owned());
    let expiry = Expiry {
        column: EXPIRES_AT,
        after: Some("1 day".to_owned()),
        resets: false,
        triggers: false,
        paused: false,
    };
    TableDef {
        expiry: Some(Box::new(expiry)),
        ..TableDef::new(TABLE, columns.into())
    }
}

fn primary_key(table: TableId) -> IndexDef {
    let column = |column| IndexColumn {
        column,
        descending: false,
        nulls_first: false,
    };
    IndexDef {
        id: IndexId::default(),
        name: format!("{TABLE}_pkey"),
        table,
        columns: vec![column(KEY), column(KIND)],
        unique: true,
        kind: IndexKind::Ordered,
        constraint: Some(Constraint::PrimaryKey),
        nulls_not_distinct: false,
        partial: false,
        deferral: Deferral::Never,
    }
}
