//! Functions that give what their argument is at another row.

use super::super::batch::internal;
use super::frame::Frames;
use super::section::Section;
use crate::error::Result;
use crate::function::aggregate::FrameRows;
use crate::function::window::WindowFunction;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, UInt32Array, new_null_array};

/// The argument, for each row of a section, at the row that the function picks.
pub(super) fn pick(
    function: WindowFunction,
    arguments: &[ArrayRef],
    section: &Section,
    frames: Option<&Frames>,
) -> Result<ArrayRef> {
    match frames {
        None => shifted(arguments, function == WindowFunction::Lag, section),
        Some(frames) => {
            let rows = of_frames(function, arguments, section, frames)?;
            arrow_select::take::take(&arguments[0], &rows, None).map_err(internal)
        }
    }
}

/// lag and lead: so many rows away, within the partition.
fn shifted(arguments: &[ArrayRef], back: bool, section: &Section) -> Result<ArrayRef> {
    let values = &arguments[0];
    let by = arguments.get(1).map(|by| by.as_primitive::<Int32Type>());
    let null = new_null_array(values.data_type(), 1);
    let default = arguments.get(2);
    let mut picks: Vec<(usize, usize)> = Vec::with_capacity(section.batch.rows);
    for partition in section.partitions() {
        for row in partition.rows.clone() {
            let by = match by {
                None => Some(1),
                Some(by) => by
                    .is_valid(row as usize)
                    .then(|| i64::from(by.value(row as usize))),
            };
            let found = by.map(|by| i64::from(row) + if back { -by } else { by });
            let found = found.map(|found| u32::try_from(found).unwrap_or(u32::MAX));
            picks.push(match found {
                None => (1, 0),
                Some(found) if partition.rows.contains(&found) => (0, found as usize),
                Some(_) if default.is_some() => (2, row as usize),
                Some(_) => (1, 0),
            });
        }
    }
    let mut from: Vec<&dyn Array> = vec![values.as_ref(), null.as_ref()];
    from.extend(default.map(|default| default.as_ref() as &dyn Array));
    arrow_select::interleave::interleave(&from, &picks).map_err(internal)
}

fn of_frames(
    function: WindowFunction,
    arguments: &[ArrayRef],
    section: &Section,
    frames: &Frames,
) -> Result<UInt32Array> {
    use WindowFunction as W;
    let number = arguments
        .get(1)
        .map(|number| number.as_primitive::<Int32Type>());
    let nth = |frame: &FrameRows, row: usize| -> Result<Option<u32>> {
        let Some(number) = number.filter(|number| number.is_valid(row)) else {
            return Ok(None);
        };
        match usize::try_from(number.value(row)) {
            Ok(number @ 1..) => Ok(frame.nth(number - 1)),
            _ => Err(sql_error!(
                INVALID_ARGUMENT_FOR_NTH_VALUE,
                "argument of nth_value must be greater than zero"
            )),
        }
    };
    let rows = (0..section.batch.rows).map(|row| {
        let frame = frames.of(row);
        match function {
            W::NthValue => nth(frame, row),
            W::LastValue => Ok(frame
                .count()
                .checked_sub(1)
                .and_then(|last| frame.nth(last))),
            _ => Ok(frame.nth(0)),
        }
    });
    rows.collect()
}
