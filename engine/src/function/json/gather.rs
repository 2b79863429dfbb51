//! Documents that grow by a member at a time: what `json_agg` and its kin keep for a group.

use super::invalid;
use super::over_packed::packed_key;
use super::packed::{self, Tag};
use super::sql::{NULL, key_of, owned_jsonb};
use super::write::write_quoted;
use crate::error::Result;
use crate::function::native::{Json, Jsonb, SqlType};
use crate::function::{Work, check_size};
use remora_storage::{Value, ValueRef};

/// A document that grows.
pub(in crate::function) trait Document:
    Default + Clone + Send + 'static
{
    /// Takes in the arguments of a row, which are JSON or JSONB, or NULL.
    fn add(&mut self, row: &[ValueRef<'_>], work: &Work<'_>) -> Result<()>;
    /// The document as a value.
    fn value(&self, work: &Work<'_>) -> Result<Value>;
    /// Bytes held beside itself.
    fn heap(&self) -> usize;
}

fn null_key() -> crate::error::Error {
    invalid("field name must not be null")
}

/// `json_agg`; with `LINES`, a line each but for the first, as PostgreSQL lists rows and arrays.
#[derive(Clone, Default, Debug)]
pub(in crate::function) struct JsonArray<const LINES: bool>(String);

impl<const LINES: bool> Document for JsonArray<LINES> {
    fn add(&mut self, row: &[ValueRef<'_>], _: &Work<'_>) -> Result<()> {
        self.0
            .push_str(match (self.0.is_empty(), LINES && !row[0].is_null()) {
                (true, _) => "[",
                (false, false) => ", ",
                (false, true) => ", \n ",
            });
        self.0.push_str(match row[0] {
            ValueRef::Null => "null",
            value => Json::of(value),
        });
        check_size(Some(self.0.len()))?;
        Ok(())
    }

    fn value(&self, _: &Work<'_>) -> Result<Value> {
        Ok(Value::Text(format!("{}]", self.0)))
    }

    fn heap(&self) -> usize {
        self.0.capacity()
    }
}

/// `json_object_agg`: every pair, in the order in which they come.
#[derive(Clone, Default, Debug)]
pub(in crate::function) struct JsonObject(String);

impl Document for JsonObject {
    fn add(&mut self, row: &[ValueRef<'_>], work: &Work<'_>) -> Result<()> {
        let key = match row[0] {
            ValueRef::Null => None,
            key => key_of(Json::of(key), work)?,
        };
        let key = key.ok_or_else(null_key)?;
        self.0.push_str(if self.0.is_empty() { "{ " } else { ", " });
        write_quoted(&mut self.0, &key, work)?;
        self.0.push_str(" : ");
        self.0.push_str(match row[1] {
            ValueRef::Null => "null",
            value => Json::of(value),
        });
        check_size(Some(self.0.len()))?;
        Ok(())
    }

    fn value(&self, _: &Work<'_>) -> Result<Value> {
        Ok(Value::Text(format!("{} }}", self.0)))
    }

    fn heap(&self) -> usize {
        self.0.capacity()
    }
}

fn or_null<'a>(value: ValueRef<'a>) -> &'a [u8] {
    match value {
        ValueRef::Null => NULL,
        value => packed::embed(Jsonb::of(value)),
    }
}

/// `jsonb_agg`.
#[derive(Clone, Default, Debug)]
pub(in crate::function) struct JsonbArray {
    count: usize,
    elements: Vec<u8>,
}

impl Document for JsonbArray {
    fn add(&mut self, row: &[ValueRef<'_>], _: &Work<'_>) -> Result<()> {
        self.count += 1;
        self.elements.extend_from_slice(or_null(row[0]));
        check_size(Some(self.elements.len()))?;
        Ok(())
    }

    fn value(&self, work: &Work<'_>) -> Result<Value> {
        let mut out = Vec::with_capacity(self.elements.len() + 8);
        packed::pack_count(&mut out, Tag::Array, self.count)?;
        out.extend_from_slice(&self.elements);
        packed::bounded(packed::lifted(out), work).map(owned_jsonb)
    }

    fn heap(&self) -> usize {
        self.elements.capacity()
    }
}

/// `jsonb_object_agg`: of several pairs with one key, the last.
#[derive(Clone, Default, Debug)]
pub(in crate::function) struct JsonbObject {
    pairs: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

impl Document for JsonbObject {
    fn add(&mut self, row: &[ValueRef<'_>], work: &Work<'_>) -> Result<()> {
        let key = match row[0] {
            ValueRef::Null => None,
            key => packed_key(Jsonb::of(key), work)?,
        };
        let key = key.ok_or_else(null_key)?;
        let value = or_null(row[1]).to_vec();
        self.bytes += key.len() + value.len();
        self.pairs.push((key, value));
        check_size(Some(self.bytes))?;
        Ok(())
    }

    fn value(&self, work: &Work<'_>) -> Result<Value> {
        packed::bounded(packed::pack_object(&self.pairs, work)?, work).map(owned_jsonb)
    }

    fn heap(&self) -> usize {
        self.bytes + self.pairs.capacity() * size_of::<(String, Vec<u8>)>()
    }
}
