//! The actions of ALTER TABLE: in which order PostgreSQL takes them, and what it calls them.

use super::name;
use crate::error::{Position, Result};
use crate::parse::refuse;
use sqlparser::ast::{self, AlterColumnOperation, AlterTableOperation};

/// When it is an action's turn, as in PostgreSQL.
pub(super) fn turn(operation: &AlterTableOperation, at: Option<Position>) -> Result<u8> {
    use AlterColumnOperation as C;
    use AlterTableOperation as O;
    Ok(match operation {
        O::DropColumn { .. } | O::DropConstraint { .. } => 0,
        O::AlterColumn { op, .. } => match op {
            C::DropDefault | C::DropNotNull => 0,
            C::SetDataType { .. } => 1,
            C::SetNotNull => 3,
            C::SetDefault { .. } | C::AddGenerated { .. } => 5,
        },
        O::AddColumn {
            column_position: None,
            ..
        } => 2,
        O::AddConstraint {
            not_valid: true, ..
        } => return refuse("NOT VALID", at),
        O::AddConstraint {
            constraint: ast::TableConstraint::PrimaryKey(_) | ast::TableConstraint::Unique(_),
            ..
        } => 4,
        O::AddConstraint { .. } => 5,
        O::RenameColumn { .. } | O::RenameTable { .. } | O::RenameConstraint { .. } => {
            return Err(name::syntax_error("RENAME", at));
        }
        _ => return refuse("this action of ALTER TABLE", at),
    })
}

/// An action as PostgreSQL calls it.
pub(super) fn action_name(operation: &AlterTableOperation) -> &'static str {
    use AlterColumnOperation as C;
    use AlterTableOperation as O;
    match operation {
        O::AddColumn { .. } => "ADD COLUMN",
        O::AddConstraint { .. } => "ADD CONSTRAINT",
        O::DropColumn { .. } => "DROP COLUMN",
        O::DropConstraint { .. } => "DROP CONSTRAINT",
        O::AlterColumn { op, .. } => match op {
            C::SetDataType { .. } => "ALTER COLUMN ... SET DATA TYPE",
            C::SetNotNull => "ALTER COLUMN ... SET NOT NULL",
            C::DropNotNull => "ALTER COLUMN ... DROP NOT NULL",
            C::SetDefault { .. } => "ALTER COLUMN ... SET DEFAULT",
            C::DropDefault => "ALTER COLUMN ... DROP DEFAULT",
            C::AddGenerated { .. } => "ALTER COLUMN ... ADD IDENTITY",
        },
        _ => "",
    }
}
