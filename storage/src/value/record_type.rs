//! Which fields the records of an expression have: their names and types.
//!
//! `ROW(1, 'a')` is of PostgreSQL's type `record`, and what its fields are is known beside the type. Here it is
//! part of the type: a [`RecordType`] is the number of a list of fields. Equal lists have one number, for the life
//! of the process. Nothing with such a number is ever written to a disk: a column that is stored is of a type that
//! has a name.
//!
//! A number costs what its list takes. Lists come with the texts of statements, so that a program has few of them;
//! one that makes up names all the time gets [`RecordType::ANY`] once there are [`RECORD_TYPES_MAX`]: its
//! records are values like others, and only their fields cannot be named.

use super::DataType;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// The most lists of fields that are told apart.
pub const RECORD_TYPES_MAX: usize = 65_536;

/// A field of a record or of a composite type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

/// The fields of a record, by number.
///
/// ```
/// use remora_storage::value::{DataType, RecordField, RecordType};
/// let field = RecordField { name: "f1".to_owned(), data_type: DataType::Integer };
/// let found = RecordType::of(vec![field.clone()]);
/// assert_eq!(found, RecordType::of(vec![field]));
/// assert_eq!(found.fields().expect("they are known")[0].name, "f1");
/// assert!(RecordType::ANY.fields().is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(from = "()", into = "()")]
pub struct RecordType(u32);

impl From<()> for RecordType {
    fn from((): ()) -> Self {
        Self::ANY
    }
}

impl From<RecordType> for () {
    fn from(_: RecordType) -> Self {}
}

#[derive(Default)]
struct Known {
    lists: Vec<Arc<[RecordField]>>,
    numbers: HashMap<Arc<[RecordField]>, u32>,
}

static KNOWN: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);

impl RecordType {
    /// Any record: which fields it has is not known.
    pub const ANY: Self = Self(0);

    /// That of records with these fields.
    pub fn of(fields: Vec<RecordField>) -> Self {
        if let Some(number) = KNOWN.read().numbers.get(fields.as_slice()) {
            return Self(*number);
        }
        let fields: Arc<[RecordField]> = fields.into();
        let mut known = KNOWN.write();
        if let Some(number) = known.numbers.get(&fields) {
            return Self(*number);
        }
        if known.lists.len() >= RECORD_TYPES_MAX {
            return Self::ANY;
        }
        known.lists.push(Arc::clone(&fields));
        let number = known.lists.len() as u32;
        known.numbers.insert(fields, number);
        Self(number)
    }

    /// The fields, where they are known.
    pub fn fields(self) -> Option<Arc<[RecordField]>> {
        let at = (self.0 as usize).checked_sub(1)?;
        KNOWN.read().lists.get(at).cloned()
    }

    /// See [`DataType::code`].
    pub(super) const fn number(self) -> u32 {
        self.0
    }

    /// See [`DataType::from_code`].
    pub(super) const fn numbered(number: u32) -> Self {
        Self(number)
    }
}
