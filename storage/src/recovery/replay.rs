//! Applies the log to the core, frame by frame.

use super::fits::{self, Misfit};
use super::restore::{Place, check_foreign_keys};
use super::scan::Found;
use crate::catalog::CatalogChange;
use crate::checkpoint::manifest::MANIFEST;
use crate::codec::{DecodeError, Decoder};
use crate::error::{Error, Result};
use crate::ids::{RowId, Slot, Timestamp};
use crate::transaction::{Core, RowReplay};
use crate::wal::Operation;

/// What is applied, and how much of it there was.
pub(super) struct Replay<'c> {
    core: &'c Core,
    rows: RowReplay<'c>,
    /// Rows that came, changed or went.
    pub(super) changes: u64,
    /// Whether the commit that is being applied changes the catalog.
    is_catalog_changed: bool,
}

impl<'c> Replay<'c> {
    pub(super) fn new(core: &'c Core) -> Result<Self> {
        Ok(Self {
            core,
            rows: core.replay_rows()?,
            changes: 0,
            is_catalog_changed: false,
        })
    }

    /// Applies the operations of one commit, or of a part of one.
    pub(super) fn frame(&mut self, found: &Found<'_>) -> Result<()> {
        let damaged = |error: DecodeError| found.damaged(error);
        let (mut decoder, mut values) = (Decoder::new(found.body), Vec::new());
        for _ in 0..found.header.operations {
            let place = Place {
                path: found.path,
                offset: found.offset_of(decoder.offset()),
            };
            let operation = Operation::decode(&mut decoder, &mut values).map_err(damaged)?;
            self.apply(&operation, found.header.timestamp, &place)?;
            self.is_catalog_changed |= matches!(operation, Operation::Catalog(_));
        }
        if self.is_catalog_changed && !found.header.goes_on {
            self.is_catalog_changed = false;
            let place = Place {
                path: found.path,
                offset: found.body_offset,
            };
            check_foreign_keys(self.core, &place)?;
        }
        decoder.finish().map_err(damaged)
    }

    /// Applies what fits of a commit behind a loss; returns how much does not, and why the first does not. An
    /// insertion needs its table, a change or deletion its row.
    pub(super) fn frame_as_far_as_it_fits(&mut self, found: &Found<'_>) -> Result<Misfits> {
        let (mut decoder, mut values) = (Decoder::new(found.body), Vec::new());
        let mut misfits = Misfits::default();
        for left in (0..u64::from(found.header.operations)).rev() {
            let place = Place {
                path: found.path,
                offset: found.offset_of(decoder.offset()),
            };
            match Operation::decode(&mut decoder, &mut values) {
                Ok(operation) => {
                    let applied = self.apply(&operation, found.header.timestamp, &place);
                    misfits.count(1, applied)?;
                }
                Err(error) => {
                    misfits.count(left + 1, Err(found.damaged(error)))?;
                    break;
                }
            }
        }
        if !found.header.goes_on {
            self.drop_unfit_foreign_keys(&mut misfits)?;
        }
        Ok(misfits)
    }

    /// Drops the foreign keys that refer to what is lost. Within a transaction what they refer to may be to come.
    pub(super) fn drop_unfit_foreign_keys(&mut self, misfits: &mut Misfits) -> Result<()> {
        let catalog = self.core.catalog();
        for table in catalog.tables() {
            let keys = table.def.foreign_keys.iter();
            for key in keys.filter(|key| !catalog.is_fit(table, key)) {
                self.rows.forget_table();
                let change = CatalogChange::DropForeignKey(table.def.id, key.name.clone());
                self.core.restore_catalog(&change)?;
                let name = format!("foreign key {} of {}", key.name, table.def.name);
                let place = Place {
                    path: MANIFEST,
                    offset: 0,
                };
                misfits.count(1, Err(place.error(name)))?;
            }
        }
        Ok(())
    }

    /// Applies one operation, if it fits the state before.
    pub(super) fn apply(
        &mut self,
        operation: &Operation<'_>,
        begin: Timestamp,
        place: &Place<'_>,
    ) -> Result<()> {
        let checked = self.check(operation);
        checked.map_err(|misfit| place.error(misfit))?;
        let applied = match operation {
            Operation::Insert(table, row, values) => self.rows.insert(*table, *row, values, begin),
            Operation::Update(table, row, values) => self.rows.update(*table, *row, values, begin),
            Operation::Delete(table, row) => self.rows.delete(*table, *row, begin),
            Operation::DeleteSome(table, block, slots) => {
                let rows = slots.iter().map(|slot| RowId::new(*block, slot));
                // All of them, also where one is missing: a salvage goes on.
                let deleted = rows.map(|row| self.rows.delete(*table, row, begin));
                deleted.fold(Ok(()), Result::and)
            }
            Operation::Catalog(change) => {
                self.rows.forget_table();
                self.core.restore_catalog(change)
            }
            Operation::Sequence(id, position) => self.core.restore_sequence(*id, *position),
            Operation::Time(micros) => {
                self.core.time().raise(*micros);
                Ok(())
            }
        };
        self.changes += changes(operation);
        applied.map_err(|error| place.refused(error))
    }

    fn check(&mut self, operation: &Operation<'_>) -> Result<(), Misfit> {
        match operation {
            Operation::Insert(table, row, values) | Operation::Update(table, row, values) => {
                let def = fits::row(self.rows.table(*table), *table, *row)?;
                let mut values = values.iter();
                values.try_for_each(|(id, value)| fits::value(def, *id, value))
            }
            Operation::Delete(table, row) => {
                fits::row(self.rows.table(*table), *table, *row).map(drop)
            }
            Operation::DeleteSome(table, block, _) => {
                let first = RowId::new(*block, Slot(0));
                fits::row(self.rows.table(*table), *table, first).map(drop)
            }
            Operation::Catalog(change) => fits::change(&self.core.catalog(), change),
            Operation::Sequence(id, position) => {
                fits::position(&self.core.catalog(), *id, *position)
            }
            Operation::Time(_) => Ok(()),
        }
    }
}

/// What of a commit does not fit the state before it.
#[derive(Default)]
pub(super) struct Misfits {
    pub(super) count: u64,
    pub(super) first: Option<Error>,
}

impl Misfits {
    /// Counts what a result says; returns errors of another kind.
    fn count(&mut self, more: u64, result: Result<()>) -> Result<()> {
        match result {
            Err(error @ Error::Corrupt { .. }) => {
                self.count += more;
                self.first.get_or_insert(error);
                Ok(())
            }
            other => other,
        }
    }

    /// Adds those of another commit.
    pub(super) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.take().or(other.first);
    }
}

/// How many rows an operation changes.
fn changes(operation: &Operation<'_>) -> u64 {
    match operation {
        Operation::Insert(..) | Operation::Update(..) | Operation::Delete(..) => 1,
        Operation::DeleteSome(.., slots) => slots.len() as u64,
        Operation::Catalog(_) | Operation::Sequence(..) | Operation::Time(_) => 0,
    }
}
