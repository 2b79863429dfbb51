//! From logical plans to physical ones.

use crate::error::Result;
use crate::parse::Parsed;
use crate::plan::statement::Planned;
use remora_storage::DataType;
use remora_storage::catalog::Catalog;

/// Binds, optimises and plans a statement against a catalog. `parameters` are the types the caller
/// knows (`None`: to be inferred).
///
/// # Errors
/// 42xxx where names, types or grammar do not fit; 0A000 for what is not supported.
pub fn plan(
    _statement: &Parsed,
    _catalog: &Catalog,
    _parameters: &[Option<DataType>],
) -> Result<Planned> {
    todo!()
}
