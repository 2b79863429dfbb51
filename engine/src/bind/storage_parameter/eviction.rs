//! The parameters of tables with bounds: caches, which give up rows, `WITH (eviction = 'lru', max_bytes = '64MB', max_rows =
//! 100000)`; and tables that refuse more rows, or wait for room, `WITH (max_rows = 1000, on_full = 'wait')`.

use super::{invalid, said};
use crate::error::{Error, Position, Result, state};
use crate::function::amounts;
use remora_storage::catalog::{Bound, Eviction, TableDef};
use remora_storage::table::EvictionPolicy;
use sqlparser::ast;
use std::fmt::Display;
use std::ops::RangeInclusive;

const POLICY: &str = "eviction";
const BYTES: &str = "max_bytes";
const ROWS: &str = "max_rows";
const PRIORITY: &str = "eviction_priority";
const ON_FULL: &str = "on_full";

/// A cache that takes fewer bytes has no room for its first block and its key.
const BYTES_RANGE: RangeInclusive<u64> = (64 << 10)..=(1 << 50);
const ROWS_RANGE: RangeInclusive<u64> = 1..=(1 << 48);
const PRIORITY_RANGE: RangeInclusive<i64> = -1000..=1000;

/// The parameters of bounds that a statement sets or resets: `Some(None)` for one that it resets.
#[derive(Default)]
pub(in crate::bind) struct BoundParameters {
    policy: Option<Option<EvictionPolicy>>,
    max_bytes: Option<Option<u64>>,
    max_rows: Option<Option<u64>>,
    priority: Option<i32>,
    /// Whether an insertion waits for room.
    waits: Option<Option<bool>>,
}

impl BoundParameters {
    /// Takes a parameter, if it is one of bounds.
    ///
    /// # Errors
    /// 22023
    pub(in crate::bind) fn take(&mut self, name: &str, value: Option<&ast::Expr>) -> Result<bool> {
        match name {
            POLICY => self.policy = Some(Some(policy(&said(value))?)),
            BYTES => {
                let text = said(value);
                let bytes = amounts::bytes(&text).map_err(|error| {
                    let message = format!("invalid value for option \"{BYTES}\": {text}");
                    invalid(message)
                        .with_detail(error.message().to_owned())
                        .with_hint("Say how many bytes: '64MB', '2GB'.")
                })?;
                self.max_bytes = Some(Some(within(
                    BYTES,
                    &text,
                    u64::try_from(bytes),
                    BYTES_RANGE,
                )?));
            }
            ROWS => {
                let text = said(value);
                self.max_rows = Some(Some(within(ROWS, &text, text.parse(), ROWS_RANGE)?));
            }
            PRIORITY => {
                let text = said(value);
                let priority = within(PRIORITY, &text, text.parse(), PRIORITY_RANGE)?;
                self.priority = Some(priority as i32);
            }
            ON_FULL => self.waits = Some(Some(waits(&said(value))?)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Resets a parameter, if it is one of bounds.
    pub(in crate::bind) fn reset(&mut self, name: &str) -> bool {
        match name {
            POLICY => self.policy = Some(None),
            BYTES => self.max_bytes = Some(None),
            ROWS => self.max_rows = Some(None),
            PRIORITY => self.priority = Some(0),
            ON_FULL => self.waits = Some(None),
            _ => return false,
        }
        true
    }

    pub(in crate::bind) fn is_empty(&self) -> bool {
        self.policy.is_none()
            && self.max_bytes.is_none()
            && self.max_rows.is_none()
            && self.priority.is_none()
            && self.waits.is_none()
    }

    /// Returns how a table evicts by these parameters, and by what it said before.
    ///
    /// # Errors
    /// 22023
    fn eviction(&self, table: &TableDef) -> Result<Option<Eviction>> {
        let before = table.eviction.as_deref();
        let Some(policy) = self.policy.unwrap_or(before.map(|before| before.policy)) else {
            // RESET of the policy resets what belongs to it as well, unless the statement sets that.
            let is_lost =
                self.max_bytes.flatten().is_some() || self.priority.is_some_and(|set| set != 0);
            return match is_lost {
                true => Err(
                    invalid(format!("\"{BYTES}\" and \"{PRIORITY}\" need \"{POLICY}\"")).with_hint(
                        format!(
                            "Say which rows go first: WITH ({POLICY} = 'lru', {BYTES} = '64MB')."
                        ),
                    ),
                ),
                false => Ok(None),
            };
        };
        let max_bytes = self
            .max_bytes
            .unwrap_or(before.and_then(|before| before.max_bytes));
        let max_rows = self.max_rows.unwrap_or(max_rows(table));
        if max_bytes.is_none() && max_rows.is_none() {
            return Err(
                invalid(format!("\"{POLICY}\" needs a bound")).with_hint(format!(
                    "Set \"{BYTES}\" or \"{ROWS}\", or RESET ({POLICY})."
                )),
            );
        }
        if self.waits.flatten().is_some() {
            return Err(invalid(format!("\"{ON_FULL}\" says nothing of a cache"))
                .with_detail("A cache gives up rows where others are full."));
        }
        let priority = self
            .priority
            .unwrap_or(before.map_or(0, |before| before.priority));
        Ok(Some(Eviction {
            policy,
            max_bytes,
            max_rows,
            priority,
        }))
    }

    /// Returns the bound of a table that is no cache.
    ///
    /// # Errors
    /// 22023
    fn bound(&self, table: &TableDef) -> Result<Option<Bound>> {
        let before = match self.policy {
            // The bound of what was a cache goes with the policy.
            Some(None) if table.eviction.is_some() => None,
            _ => max_rows(table),
        };
        let waits = self.waits.unwrap_or(table.bound.map(|before| before.waits));
        match self.max_rows.unwrap_or(before) {
            Some(max_rows) => Ok(Some(Bound {
                max_rows,
                waits: waits.unwrap_or(false),
            })),
            None if self.waits.flatten().is_some() => {
                Err(invalid(format!("\"{ON_FULL}\" needs \"{ROWS}\"")))
            }
            None => Ok(None),
        }
    }

    /// Sets how a table evicts, or when it is full.
    ///
    /// # Errors
    /// 22023
    pub(in crate::bind) fn set(&self, table: &mut TableDef, at: Option<Position>) -> Result<()> {
        let eviction = self.eviction(table).map_err(|error| error.at(at))?;
        table.bound = match &eviction {
            Some(_) => None,
            None => self.bound(table).map_err(|error| error.at(at))?,
        };
        table.eviction = eviction.map(Box::new);
        check_eviction(table).map_err(|error| error.at(at))
    }
}

/// The bound in rows that a table has.
fn max_rows(table: &TableDef) -> Option<u64> {
    match &table.eviction {
        Some(eviction) => eviction.max_rows,
        None => table.bound.map(|bound| bound.max_rows),
    }
}

fn waits(text: &str) -> Result<bool> {
    match text {
        "wait" => Ok(true),
        "error" => Ok(false),
        _ => {
            let message = format!("invalid value for enum option \"{ON_FULL}\": {text}");
            Err(invalid(message).with_detail("Valid values are \"error\", \"wait\"."))
        }
    }
}

/// Tests that a table can evict as it says.
///
/// # Errors
/// 22023
pub(in crate::bind) fn check_eviction(table: &TableDef) -> Result<()> {
    let is_by_expiry = |eviction: &&Eviction| eviction.policy == EvictionPolicy::Ttl;
    match table.eviction.as_deref().filter(is_by_expiry) {
        Some(_) if table.expiry.is_none() => Err(invalid(format!(
            "{POLICY} by \"ttl\" needs rows that expire"
        ))
        .with_hint("Set \"ttl_expire_after\" as well.")),
        _ => Ok(()),
    }
}

/// The error for a foreign key to a table that may give up the row.
pub(in crate::bind) fn refuse_reference(key: &str, parent: &str) -> Error {
    let message = format!("foreign key \"{key}\" refers to a cache, \"{parent}\"");
    Error::new(state::FEATURE_NOT_SUPPORTED, message)
        .with_detail("A cache may give up any row at any time.")
        .with_hint(format!(
            "Drop the foreign key, or ALTER TABLE {parent} RESET ({POLICY})."
        ))
}

fn policy(text: &str) -> Result<EvictionPolicy> {
    let found = EvictionPolicy::ALL
        .into_iter()
        .find(|policy| policy.name() == text);
    found.ok_or_else(|| {
        let message = format!("invalid value for enum option \"{POLICY}\": {text}");
        let names = EvictionPolicy::ALL.map(|policy| format!("\"{}\"", policy.name()));
        invalid(message).with_detail(format!("Valid values are {}.", names.join(", ")))
    })
}

/// Returns a number that is within its range.
fn within<N: PartialOrd + Display, E>(
    name: &str,
    text: &str,
    number: Result<N, E>,
    range: RangeInclusive<N>,
) -> Result<N> {
    match number {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => {
            let (least, most) = (range.start(), range.end());
            let detail = format!("Valid values are between \"{least}\" and \"{most}\".");
            Err(
                invalid(format!("value {text} out of bounds for option \"{name}\""))
                    .with_detail(detail),
            )
        }
    }
}
