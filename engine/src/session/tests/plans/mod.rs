//! Plans that are kept.

use super::*;

mod plan_cache;
mod templates;
