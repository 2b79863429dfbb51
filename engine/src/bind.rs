//! From SQL text to planned statements. (Stub: signatures only; becomes parse/, bind/, optimize/.)

use crate::error::Result;
use crate::plan::statement::Planned;
use remora_storage::DataType;
use remora_storage::catalog::Catalog;

/// SQL text, split and parsed: one item a statement, with the text it came from.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The statement's syntax tree.
    pub ast: sqlparser::ast::Statement,
    /// How many parameters it has (`?` are numbered from left to right; `$n` as written).
    pub parameters: usize,
}

/// Parses a text of any number of statements.
///
/// # Errors
/// 42601 with place; 54001 where the text nests too deeply. No statement runs before all parse.
pub fn parse(_sql: &str) -> Result<Vec<Parsed>> {
    todo!()
}

/// Binds, optimises and plans a statement against a catalog. `parameters` are the types the caller
/// knows (`None`: to be inferred).
pub fn plan(
    _statement: &Parsed,
    _catalog: &Catalog,
    _parameters: &[Option<DataType>],
) -> Result<Planned> {
    todo!()
}
