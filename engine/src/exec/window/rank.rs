//! Functions of where a row stands in its partition.

use super::section::{Partition, Section};
use crate::error::Result;
use crate::function::window::WindowFunction;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Float64Array, Int32Array, Int64Array};
use std::sync::Arc;

/// Gives a result for each row of a section.
pub(super) type Ranking = fn(&Section, &[ArrayRef]) -> Result<ArrayRef>;

/// What computes the function, if it is of this kind.
pub(super) fn ranking(function: WindowFunction) -> Option<Ranking> {
    use WindowFunction as W;
    Some(match function {
        W::RowNumber => |section, _| {
            counts(section, &mut |partition, out| {
                out.extend(1..=partition.rows.len() as i64);
            })
        },
        W::Rank => |section, _| {
            counts(section, &mut |partition, out| {
                for group in partition.groups() {
                    let rank = i64::from(group.start - partition.rows.start) + 1;
                    out.resize(out.len() + group.len(), rank);
                }
            })
        },
        W::DenseRank => |section, _| {
            counts(section, &mut |partition, out| {
                for (number, group) in partition.groups().enumerate() {
                    out.resize(out.len() + group.len(), number as i64 + 1);
                }
            })
        },
        W::PercentRank => |section, _| {
            shares(section, &mut |partition, out| {
                let others = f64::from(partition.rows.end - partition.rows.start - 1);
                for group in partition.groups() {
                    let before = f64::from(group.start - partition.rows.start);
                    let share = if others > 0.0 { before / others } else { 0.0 };
                    out.resize(out.len() + group.len(), share);
                }
            })
        },
        W::CumeDist => |section, _| {
            shares(section, &mut |partition, out| {
                let rows = partition.rows.len() as f64;
                for group in partition.groups() {
                    let up_to = f64::from(group.end - partition.rows.start);
                    out.resize(out.len() + group.len(), up_to / rows);
                }
            })
        },
        W::Ntile => ntile,
        W::Lag | W::Lead | W::FirstValue | W::LastValue | W::NthValue => return None,
    })
}

fn counts(
    section: &Section,
    count: &mut dyn FnMut(&Partition<'_>, &mut Vec<i64>),
) -> Result<ArrayRef> {
    let mut out = Vec::with_capacity(section.batch.rows);
    for partition in section.partitions() {
        count(&partition, &mut out);
    }
    Ok(Arc::new(Int64Array::from(out)))
}

fn shares(
    section: &Section,
    share: &mut dyn FnMut(&Partition<'_>, &mut Vec<f64>),
) -> Result<ArrayRef> {
    let mut out = Vec::with_capacity(section.batch.rows);
    for partition in section.partitions() {
        share(&partition, &mut out);
    }
    Ok(Arc::new(Float64Array::from(out)))
}

/// Parts of a partition; the first ones are one row longer where they cannot all be equal. How many, its
/// first row says.
fn ntile(section: &Section, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let parts = arguments[0].as_primitive::<Int32Type>();
    let mut out: Vec<Option<i32>> = Vec::with_capacity(section.batch.rows);
    for partition in section.partitions() {
        let (first, rows) = (partition.rows.start as usize, partition.rows.len());
        if parts.is_null(first) {
            out.resize(out.len() + rows, None);
            continue;
        }
        let parts = parts.value(first);
        let Some(count) = usize::try_from(parts).ok().filter(|count| *count > 0) else {
            return Err(sql_error!(
                INVALID_ARGUMENT_FOR_NTILE,
                "argument of ntile must be greater than zero"
            ));
        };
        let (length, longer) = (rows / count, rows % count);
        for part in 0..count.min(rows) {
            let length = length + usize::from(part < longer);
            out.resize(out.len() + length, Some(part as i32 + 1));
        }
    }
    Ok(Arc::new(Int32Array::from(out)))
}
