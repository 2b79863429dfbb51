//! Functions that make JSON of anything: `to_json`, `json_build_object`, `json_agg` and their kin.
//!
//! Each of their arguments is made JSON (or JSONB) first, by the `to_json` of its type, so that what follows
//! takes one type only.

use super::coerce::{plain, require_type};
use super::expr::start;
use super::{Binder, Bound, Context};
use crate::error::{Error, Position, Result, state};
use crate::function::element_of;
use remora_storage::DataType;
use remora_storage::value::PackedType;
use sqlparser::ast::{self, FunctionArg};

/// What a function makes of its arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Json,
    Jsonb,
}

impl Target {
    fn converter(self) -> &'static str {
        match self {
            Self::Json => "to_json",
            Self::Jsonb => "to_jsonb",
        }
    }

    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Json => DataType::Json,
            Self::Jsonb => DataType::Packed(PackedType::Jsonb),
        }
    }
}

/// An argument that was made JSON.
pub(super) struct Made {
    pub(super) value: Bound,
    /// Whether it was a row or an array, which `json_agg` puts on a line each.
    pub(super) is_structured: bool,
}

/// What the function of a name makes of all its arguments, if it is one of these.
pub(super) fn target(name: &str) -> Option<Target> {
    Some(match name {
        "to_json" | "row_to_json" | "array_to_json" | "json_build_object" | "json_build_array"
        | "json_agg" | "json_object_agg" => Target::Json,
        "to_jsonb" | "jsonb_build_object" | "jsonb_build_array" | "jsonb_agg"
        | "jsonb_object_agg" => Target::Jsonb,
        _ => return None,
    })
}

impl<'a> Binder<'a> {
    /// An argument of such a function.
    pub(super) fn json_argument(
        &mut self,
        function: &str,
        target: Target,
        argument: &'a FunctionArg,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Made> {
        let value = self.argument(argument, at, cx)?;
        if matches!(function, "to_json" | "to_jsonb" | "json_agg" | "jsonb_agg") {
            require_type(&value, at)?;
        }
        let value = self.with_field_names(value);
        let found = value.data_type();
        let is_record = found.is_some_and(DataType::is_record);
        let is_structured = is_record || found.and_then(element_of).is_some();
        let is_document = value.data_type() == Some(target.data_type());
        let value = match function {
            // These are of rows and arrays only: others find no function.
            "row_to_json" if !is_record && !is_document => value,
            "array_to_json" | "to_json" | "to_jsonb" => value,
            _ => self.as_json(target, value, at)?,
        };
        Ok(Made {
            value,
            is_structured,
        })
    }

    fn as_json(&mut self, target: Target, value: Bound, at: Option<Position>) -> Result<Bound> {
        let value = Bound::Typed(self.settle(value)?);
        self.call(target.converter(), vec![value], at)
    }

    /// `document['key'][0]`: the value at a path, which is NULL where there is none.
    pub(super) fn json_subscripts(
        &mut self,
        document: Bound,
        chain: &'a [ast::AccessExpr],
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let (steps, _) = self.json_steps(chain, at, cx)?;
        let mut arguments = vec![document];
        arguments.extend(steps);
        self.call("jsonb_extract_path", arguments, at)
    }

    /// The steps of such a path, and whether the first is a number.
    pub(super) fn json_steps(
        &mut self,
        chain: &'a [ast::AccessExpr],
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<(Vec<Bound>, bool)> {
        let (mut steps, mut is_number) = (Vec::with_capacity(chain.len()), false);
        for access in chain {
            let ast::AccessExpr::Subscript(ast::Subscript::Index { index }) = access else {
                let message = "jsonb subscript does not support slices";
                return Err(Error::new(state::DATATYPE_MISMATCH, message).at(at));
            };
            let step = self.expr(index, cx)?;
            let is_step = |found: DataType| {
                found.is_string() || matches!(found, DataType::SmallInt | DataType::Integer)
            };
            if !step.data_type().is_none_or(is_step) {
                let found = plain(step.data_type().unwrap_or(DataType::Text));
                let message = format!("subscript type {found} is not supported");
                return Err(Error::new(state::DATATYPE_MISMATCH, message)
                    .with_hint("jsonb subscript must be coercible to either integer or text.")
                    .at(start(index)));
            }
            if steps.is_empty() {
                is_number = step.data_type().is_some_and(DataType::is_number);
            }
            steps.push(Bound::Typed(self.coerce(step, DataType::Text)?));
        }
        Ok((steps, is_number))
    }
}
