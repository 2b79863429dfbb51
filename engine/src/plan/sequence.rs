//! Sequences as statements describe them: what options make of a definition.
//!
//! Rules and complaints are PostgreSQL's (`init_params`).

use crate::error::{Error, Result, state};
use crate::function::RelationName;
use remora_storage::catalog::{Identity, NameIn, SequenceDef, SequencePosition, SequenceRule};
use remora_storage::{ColumnId, DataType, TableId};

/// What is said of a sequence; what is not said stays as it is. `NO MINVALUE` and its like are
/// `Some(None)`.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct SequenceChange {
    /// AS
    pub data_type: Option<DataType>,
    /// INCREMENT BY
    pub increment: Option<i64>,
    /// MINVALUE
    pub min: Option<Option<i64>>,
    /// MAXVALUE
    pub max: Option<Option<i64>>,
    /// START WITH
    pub start: Option<i64>,
    /// RESTART, with a number or without.
    pub restart: Option<Option<i64>>,
    /// CACHE
    pub cache: Option<i64>,
    /// CYCLE
    pub cycle: Option<bool>,
    /// OWNED BY
    pub owner: Option<Option<(TableId, ColumnId)>>,
}

/// A sequence that comes with a column of a new table.
#[derive(Clone, Debug)]
pub(crate) struct ColumnSequence {
    /// The column's position.
    pub position: usize,
    /// The sequence; its owner is filled in when the table has its id.
    pub def: SequenceDef,
    /// Whether it is an identity's, and not a SERIAL's.
    pub identity: Option<Identity>,
}

/// The least and the greatest number of a type.
fn limits(data_type: DataType) -> (i64, i64) {
    match data_type {
        DataType::SmallInt => (i16::MIN.into(), i16::MAX.into()),
        DataType::Integer => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

fn invalid(message: String) -> Error {
    Error::new(state::INVALID_PARAMETER_VALUE, message)
}

impl SequenceChange {
    /// The definition of a new sequence.
    ///
    /// # Errors
    /// 22023
    pub(crate) fn create(&self, place: NameIn<'_>) -> Result<SequenceDef> {
        let def = SequenceDef {
            schema: place.schema,
            ..SequenceDef::new(place.name)
        };
        let named = Self {
            data_type: Some(self.data_type.unwrap_or(DataType::BigInt)),
            min: Some(self.min.flatten()),
            max: Some(self.max.flatten()),
            ..self.clone()
        };
        let rule = named.rule(&def)?;
        let start = self.start.unwrap_or_else(|| first(&rule));
        let def = named.finish(def, rule, start)?;
        match self.restart {
            Some(_) => Err(sql_error!(
                SYNTAX_ERROR,
                "sequence option \"RESTART\" not supported here"
            )),
            None => Ok(def),
        }
    }

    /// What becomes of a sequence that stands at a position; the position where that changes.
    ///
    /// # Errors
    /// 22023
    pub(crate) fn alter(
        &self,
        def: &SequenceDef,
        position: SequencePosition,
    ) -> Result<(SequenceDef, Option<SequencePosition>)> {
        let rule = self.rule(def)?;
        let start = self.start.unwrap_or(def.start);
        let altered = self.finish(def.clone(), rule, start)?;
        let restart = self.restart.map(|number| SequencePosition {
            last: number.unwrap_or(start),
            is_called: false,
        });
        let last = restart.unwrap_or(position).last;
        if last < rule.min {
            return Err(invalid(format!(
                "RESTART value ({last}) cannot be less than MINVALUE ({})",
                rule.min
            )));
        }
        if last > rule.max {
            return Err(invalid(format!(
                "RESTART value ({last}) cannot be greater than MAXVALUE ({})",
                rule.max
            )));
        }
        Ok((altered, restart))
    }

    /// Increment and limits.
    fn rule(&self, def: &SequenceDef) -> Result<SequenceRule> {
        let data_type = self.data_type.unwrap_or(def.data_type);
        let increment = self.increment.unwrap_or(def.rule.increment);
        if increment == 0 {
            return Err(invalid("INCREMENT must not be zero".to_owned()));
        }
        let (least, greatest) = limits(data_type);
        let (was_least, was_greatest) = limits(def.data_type);
        // A limit that was the old type's becomes the new type's.
        let keep = |limit: i64, was: i64, is: i64| Some(if limit == was { is } else { limit });
        let min = self.min.unwrap_or(keep(def.rule.min, was_least, least));
        let max = self
            .max
            .unwrap_or(keep(def.rule.max, was_greatest, greatest));
        let max = max.unwrap_or(if increment > 0 { greatest } else { -1 });
        let min = min.unwrap_or(if increment > 0 { 1 } else { least });
        for (name, limit) in [("MAXVALUE", max), ("MINVALUE", min)] {
            if !(least..=greatest).contains(&limit) {
                return Err(invalid(format!(
                    "{name} ({limit}) is out of range for sequence data type {data_type}"
                )));
            }
        }
        if min >= max {
            return Err(invalid(format!(
                "MINVALUE ({min}) must be less than MAXVALUE ({max})"
            )));
        }
        Ok(SequenceRule {
            increment,
            min,
            max,
            cycle: self.cycle.unwrap_or(def.rule.cycle),
        })
    }

    fn finish(&self, def: SequenceDef, rule: SequenceRule, start: i64) -> Result<SequenceDef> {
        if start < rule.min {
            return Err(invalid(format!(
                "START value ({start}) cannot be less than MINVALUE ({})",
                rule.min
            )));
        }
        if start > rule.max {
            return Err(invalid(format!(
                "START value ({start}) cannot be greater than MAXVALUE ({})",
                rule.max
            )));
        }
        let cache = self.cache.unwrap_or(def.cache);
        if cache <= 0 {
            return Err(invalid(format!(
                "CACHE ({cache}) must be greater than zero"
            )));
        }
        Ok(SequenceDef {
            data_type: self.data_type.unwrap_or(def.data_type),
            start,
            rule,
            cache,
            owner: self.owner.unwrap_or(def.owner),
            ..def
        })
    }
}

/// Where a sequence starts when nothing is said.
fn first(rule: &SequenceRule) -> i64 {
    match rule.increment > 0 {
        true => rule.min,
        false => rule.max,
    }
}

/// A default that takes its column's numbers from a sequence.
pub(crate) fn default_text(sequence: &RelationName) -> String {
    let name = sequence.to_string();
    format!("nextval('{}')", name.replace('\'', "''"))
}
