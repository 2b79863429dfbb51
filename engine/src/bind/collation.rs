//! Collations: strings compare by their bytes, which is what "C" means and its like. So a collation is a name that
//! is tested, and nothing comes of it.

use super::name;
use super::subquery::unwrapped;
use crate::error::{Error, Result, state};
use crate::parse::refuse;
use remora_storage::DataType;
use sqlparser::ast;

/// Tests whether a collation is one that there is, and goes with a type.
///
/// # Errors
/// 42804 where values of the type have no collation, 0A000.
pub(super) fn test(collation: &ast::ObjectName, of: DataType) -> Result<()> {
    let at = name::object_place(collation);
    let called = name::function(collation)?;
    if !matches!(called.as_str(), "C" | "POSIX" | "ucs_basic" | "default") {
        return refuse(&format!("collation \"{called}\""), at);
    }
    let of = crate::function::element_of(of).unwrap_or(of);
    if of.is_string() {
        return Ok(());
    }
    let message = format!(
        "collations are not supported by type {}",
        super::coerce::plain(of)
    );
    Err(Error::new(state::DATATYPE_MISMATCH, message).at(at))
}

/// Tests whether two operands that say their collations say the same.
///
/// # Errors
/// 42P21
pub(super) fn test_alike(left: &ast::Expr, right: &ast::Expr) -> Result<()> {
    let said = |side| match unwrapped(side) {
        ast::Expr::Collate { collation, .. } => Some(collation),
        _ => None,
    };
    let (Some(left), Some(right)) = (said(left), said(right)) else {
        return Ok(());
    };
    let (one, other) = (name::function(left)?, name::function(right)?);
    if one == other {
        return Ok(());
    }
    let message =
        format!("collation mismatch between explicit collations \"{one}\" and \"{other}\"");
    Err(Error::new(state::COLLATION_MISMATCH, message).at(name::object_place(right)))
}
