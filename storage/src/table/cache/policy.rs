//! Eviction policies.

use serde::{Deserialize, Serialize};

/// Which rows a cache gives up first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvictionPolicy {
    /// Rows that were used longest ago.
    #[default]
    Lru,
    /// Rows that were used least often, where long ago counts less.
    Lfu,
    /// Rows that came first.
    Fifo,
    /// Any.
    Random,
    /// Rows that expire first.
    Ttl,
}

impl EvictionPolicy {
    /// All policies, each at the place of its number.
    pub const ALL: [Self; 5] = [Self::Lru, Self::Lfu, Self::Fifo, Self::Random, Self::Ttl];

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lru => "lru",
            Self::Lfu => "lfu",
            Self::Fifo => "fifo",
            Self::Random => "random",
            Self::Ttl => "ttl",
        }
    }
}
