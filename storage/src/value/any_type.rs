//! Types of parameters that take values of many types: PostgreSQL's polymorphic types.
//!
//! There are two families. In one call, those of the first stand for one type of elements, and all of it that is
//! given must be of that type; those of the second stand for the type that all of it can be brought to.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A type that stands for others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "the variants are PostgreSQL's types: anyelement .."
)]
pub enum AnyType {
    Element,
    Array,
    NonArray,
    Enum,
    Range,
    Multirange,
    Compatible,
    CompatibleArray,
    CompatibleNonArray,
    CompatibleRange,
    CompatibleMultirange,
}

impl AnyType {
    const ALL: [Self; 11] = [
        Self::Element,
        Self::Array,
        Self::NonArray,
        Self::Enum,
        Self::Range,
        Self::Multirange,
        Self::Compatible,
        Self::CompatibleArray,
        Self::CompatibleNonArray,
        Self::CompatibleRange,
        Self::CompatibleMultirange,
    ];

    /// The type of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// PostgreSQL's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Element => "anyelement",
            Self::Array => "anyarray",
            Self::NonArray => "anynonarray",
            Self::Enum => "anyenum",
            Self::Range => "anyrange",
            Self::Multirange => "anymultirange",
            Self::Compatible => "anycompatible",
            Self::CompatibleArray => "anycompatiblearray",
            Self::CompatibleNonArray => "anycompatiblenonarray",
            Self::CompatibleRange => "anycompatiblerange",
            Self::CompatibleMultirange => "anycompatiblemultirange",
        }
    }

    /// Whether it is of the second family.
    pub fn is_compatible(self) -> bool {
        !matches!(
            self,
            Self::Element
                | Self::Array
                | Self::NonArray
                | Self::Enum
                | Self::Range
                | Self::Multirange
        )
    }

    pub(super) const fn number(self) -> u32 {
        self as u32
    }

    pub(super) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }
}

impl fmt::Display for AnyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
