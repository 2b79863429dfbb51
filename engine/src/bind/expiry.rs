//! Tables whose rows expire: `WITH (ttl_expire_after = '1 hour')`.
//!
//! ```text
//!   CREATE TABLE session (id INT PRIMARY KEY) WITH (ttl_expire_after = '1 hour')
//!     expires_at  TIMESTAMPTZ NOT NULL DEFAULT now() + '1 hour'     a column that `*` leaves out
//!   UPDATE session SET ..           expires_at = DEFAULT besides, unless it is set, or ttl_reset = 'insert'
//!   every look at the table         .. WHERE expires_at > now()
//!
//!   .. WITH (ttl_expiration_expression = 'seen + INTERVAL ''1 day''')
//!     expires_at  TIMESTAMPTZ GENERATED ALWAYS AS (that, in UTC)    whenever one of its columns is written
//! ```
//!
//! Expiry is a part of visibility: since a transaction has one time, all its statements agree about who is there. Storage
//! knows nothing of it. What looks at rows past a scan, the checks of keys, asks `exec::referential`.

use super::altered::Altered;
use super::check::set_default;
use super::draft::Draft;
use super::foreign::refuse_hold;
use super::generated::moment;
use super::storage_parameter::eviction::{BoundParameters, refuse_reference};
use super::storage_parameter::ttl::{AFTER, COLUMN, EXPRESSION, PAUSE, RESET, Said, TRIGGERS};
use super::{Binder, storage_parameter};
use crate::error::{Error, Position, Result, state};
use crate::function::text;
use crate::parse::parse_expression;
use crate::plan::{Expr, ExprKind};
use remora_storage::catalog::{ColumnDef, Expiry, TableDef, TableEntry};
use remora_storage::{ColumnId, DataType, Value};
use sqlparser::ast;

const MICROS_A_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// When a row expires that is written now. Days and months are those of UTC, so that a table says the same in every zone.
/// Without months that is a number of microseconds.
fn default_text(after: &str) -> String {
    if let Ok(Value::Interval(span)) = text::parse(after, DataType::Interval)
        && span.months == 0
        && let Some(micros) = (i64::from(span.days))
            .checked_mul(MICROS_A_DAY)
            .and_then(|days| days.checked_add(span.micros))
    {
        return format!("now() + INTERVAL '{micros} microseconds'");
    }
    let after = after.replace('\'', "''");
    format!("timezone('UTC', timezone('UTC', now()) + INTERVAL '{after}')")
}

impl<'a> Binder<'a> {
    /// Has the rows of a new table expire.
    ///
    /// # Errors
    /// 22023; 42804 where it has a column of the name that is of another type; 42P17 and those of the expression.
    pub(super) fn expire(
        &self,
        draft: &mut Draft<'a>,
        said: Said,
        at: Option<Position>,
    ) -> Result<()> {
        if said.is_empty() {
            return Ok(());
        }
        let has_one = said.after.is_some() != said.expression.is_some();
        if !has_one || said.expression.is_some() && said.resets.is_some() {
            return Err(needs_one().at(at));
        }
        let position = match draft.table.column(COLUMN) {
            Some((position, column)) if said.expression.is_none() => {
                check_own(column).map_err(|error| error.at(at))?;
                position
            }
            _ => {
                let position = draft.push_column(COLUMN, DataType::TimestampTz, at)?;
                let column = &mut draft.table.columns[position];
                (column.unlisted, column.not_null) = (true, said.expression.is_none());
                position
            }
        };
        let expiry = Expiry {
            column: draft.table.columns[position].id,
            after: said.after,
            resets: said.resets.unwrap_or(true),
            paused: said.paused.unwrap_or(false),
            triggers: said.triggers.unwrap_or(false),
        };
        self.set_expiry(&mut draft.table, (position, expiry), said.expression)
    }

    /// Has rows expire by the column at a position, which gets its default or is generated.
    fn set_expiry(
        &self,
        table: &mut TableDef,
        (position, expiry): (usize, Expiry),
        expression: Option<String>,
    ) -> Result<()> {
        if let Some(after) = &expiry.after {
            let default = parse_expression(&default_text(after))?;
            let column = (&mut table.columns[position], table.schema);
            set_default(self.catalog, &default, column, self.path)?;
        }
        if let Some(text) = expression {
            let moment = moment(self.catalog, table, &parse_expression(&text)?)?;
            check_moment(&moment, table, expiry.column)?;
            table.columns[position].generated = Some(text);
        }
        table.expiry = Some(Box::new(expiry));
        Ok(())
    }

    /// ALTER TABLE .. SET of expiry: rows that are there get their time from now on; those that have one keep it.
    pub(super) fn alter_expiry(
        &mut self,
        altered: &mut Altered<'a>,
        said: Said,
        at: Option<Position>,
    ) -> Result<()> {
        let known = altered.draft.table.expiry.clone();
        match known {
            Some(expiry) => {
                let position = altered.draft.table.position(expiry.column);
                let position = position.expect("the column is there as long as rows expire");
                let keeps_way = match expiry.after {
                    Some(_) => said.expression.is_none(),
                    None => said.after.is_none() && said.resets.is_none(),
                };
                if !keeps_way {
                    return Err(needs_one().at(at));
                }
                let expiry = Expiry {
                    column: expiry.column,
                    after: said.after.or(expiry.after),
                    resets: said.resets.unwrap_or(expiry.resets),
                    paused: said.paused.unwrap_or(expiry.paused),
                    triggers: said.triggers.unwrap_or(expiry.triggers),
                };
                self.set_expiry(
                    &mut altered.draft.table,
                    (position, expiry),
                    said.expression,
                )
            }
            None => {
                self.refuse_references(&altered.entry, at)?;
                self.expire(&mut altered.draft, said, at)?;
                let position = altered.draft.table.columns.len() - 1;
                if position == altered.values.len() {
                    let column = &altered.draft.table.columns[position];
                    let begun = self.default_value(column)?;
                    altered.values.push(begun);
                }
                Ok(())
            }
        }
    }

    /// ALTER TABLE .. RESET of expiry: what has expired until then is gone.
    pub(super) fn drop_expiry(&mut self, altered: &mut Altered<'a>) -> Result<()> {
        let Some(expiry) = altered.draft.table.expiry.take() else {
            return Ok(());
        };
        if let Some(position) = altered.draft.table.position(expiry.column) {
            let column = &mut altered.draft.table.columns[position];
            match column.unlisted {
                true => {
                    let name = ast::Ident::with_quote('"', &column.name);
                    self.drop_column(altered, &name, false, false)?;
                }
                false => {
                    column.default = None;
                    let kept = altered.values[position].clone();
                    let data_type = kept.data_type;
                    // Computed, if only to what it is: rows are written anew, without those that have expired.
                    altered.values[position] = Expr::new(ExprKind::Coalesce(vec![kept]), data_type);
                }
            }
        }
        Ok(())
    }

    /// ALTER TABLE .. SET or RESET of the parameters of a cache.
    ///
    /// # Errors
    /// 22023; 0A000 where other tables refer to the table.
    pub(super) fn alter_eviction(
        &self,
        altered: &mut Altered<'a>,
        parameters: &BoundParameters,
        at: Option<Position>,
    ) -> Result<()> {
        parameters.set(&mut altered.draft.table, at)?;
        let mut references = altered.entry.references.iter();
        match references.next() {
            Some(reference) if altered.draft.table.eviction.is_some() => {
                Err(refuse_reference(&reference.key.name, &altered.entry.def.name).at(at))
            }
            _ => Ok(()),
        }
    }

    /// The rows of a table that other tables refer to can only expire if something becomes of theirs.
    fn refuse_references(&self, entry: &TableEntry, at: Option<Position>) -> Result<()> {
        let mut keys = entry.references.iter().map(|reference| &reference.key);
        keys.try_for_each(|key| refuse_hold(key, &entry.def.name).map_err(|error| error.at(at)))
    }
}

/// Whether a column of the table's own can say when its rows expire.
fn check_own(column: &ColumnDef) -> Result<()> {
    if column.data_type != DataType::TimestampTz {
        let message = format!(
            "column \"{COLUMN}\" says when rows expire, and must be of type timestamp with time zone"
        );
        return Err(Error::new(state::DATATYPE_MISMATCH, message));
    }
    if column.default.is_some() || column.generated.is_some() {
        let message = format!("column \"{COLUMN}\" gets its value from \"{AFTER}\"");
        return Err(Error::new(state::INVALID_TABLE_DEFINITION, message)
            .with_hint("Leave out DEFAULT and GENERATED."));
    }
    Ok(())
}

fn needs_one() -> Error {
    let message = format!("rows expire by \"{AFTER}\" or by \"{EXPRESSION}\"");
    storage_parameter::invalid(message)
        .with_detail(format!(
            "\"{PAUSE}\" and \"{TRIGGERS}\" go with both, \"{RESET}\" with the first."
        ))
        .with_hint(format!(
            "Say WITH ({AFTER} = '1 hour'), or RESET one before you set the other."
        ))
}

/// Tests that a moment is the same for the same row at all times, and not computed from itself.
///
/// # Errors
/// 42P17
fn check_moment(moment: &Expr, table: &TableDef, column: ColumnId) -> Result<()> {
    let mut columns = moment.columns().into_iter().map(|at| &table.columns[at]);
    let is_computed = columns.any(|other| other.generated.is_some() || other.id == column);
    let message = match moment.is_immutable() {
        true if !is_computed => return Ok(()),
        true => "cannot use a generated column in an expiration expression",
        false => "expiration expression is not immutable",
    };
    Err(Error::new(state::INVALID_OBJECT_DEFINITION, message)
        .with_hint("Use columns of the row, and functions that give the same at all times."))
}
