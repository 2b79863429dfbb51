//! The actions of ALTER TABLE: in which order PostgreSQL takes them, and what it calls them.

use super::{coerce, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{ColumnAction, column_action, refuse};
use remora_storage::DataType;
use remora_storage::catalog::ColumnDef;
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
            C::SetDefault { value } if drops_expression(value) => 0,
            C::SetDefault { .. } | C::AddGenerated { .. } => 5,
        },
        O::AddColumn {
            column_position: None,
            ..
        } => 2,
        O::AddConstraint {
            constraint:
                ast::TableConstraint::PrimaryKey(_)
                | ast::TableConstraint::Unique(_)
                | ast::TableConstraint::PrimaryKeyUsingIndex(_)
                | ast::TableConstraint::UniqueUsingIndex(_),
            ..
        } => 4,
        O::AddConstraint { .. } | O::ValidateConstraint { .. } => 5,
        O::EnableTrigger { .. } | O::DisableTrigger { .. } | O::SetLogged | O::SetUnlogged => 6,
        O::RenameColumn { .. } | O::RenameTable { .. } | O::RenameConstraint { .. } => {
            return Err(name::syntax_error("RENAME", at));
        }
        _ => return refuse("this action of ALTER TABLE", at),
    })
}

fn drops_expression(default: &ast::Expr) -> bool {
    let action = column_action(default);
    matches!(
        action,
        Some(ColumnAction::DropExpression { .. } | ColumnAction::DropIdentity { .. })
    )
}

/// Counts the options of identity columns that the parser has put beside the statement for an action.
pub(super) fn identities_of(operation: &AlterTableOperation) -> usize {
    use AlterColumnOperation as C;
    use AlterTableOperation as O;
    match operation {
        O::AddColumn { column_def, .. } => {
            let options = column_def.options.iter();
            let is_identity = |option: &&ast::ColumnOptionDef| {
                matches!(
                    option.option,
                    ast::ColumnOption::Generated {
                        generation_expr: None,
                        ..
                    }
                )
            };
            options.filter(is_identity).count()
        }
        O::AlterColumn { op, .. } => match op {
            C::AddGenerated { .. } => 1,
            C::SetDefault { value } => {
                usize::from(column_action(value) == Some(ColumnAction::ChangeIdentity))
            }
            _ => 0,
        },
        _ => 0,
    }
}

/// An action as PostgreSQL calls it.
pub(super) fn action_name(operation: &AlterTableOperation) -> &'static str {
    use AlterColumnOperation as C;
    use AlterTableOperation as O;
    match operation {
        O::AddColumn { .. } => "ADD COLUMN",
        O::AddConstraint { .. } => "ADD CONSTRAINT",
        O::ValidateConstraint { .. } => "VALIDATE CONSTRAINT",
        O::DropColumn { .. } => "DROP COLUMN",
        O::DropConstraint { .. } => "DROP CONSTRAINT",
        O::EnableTrigger { .. } => "ENABLE TRIGGER",
        O::DisableTrigger { .. } => "DISABLE TRIGGER",
        O::SetLogged => "SET LOGGED",
        O::SetUnlogged => "SET UNLOGGED",
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

/// What PostgreSQL says where a value cannot become one of the new type.
pub(super) fn uncastable(error: Error, column: &ColumnDef, to: DataType, using: bool) -> Error {
    if error.sqlstate() != state::DATATYPE_MISMATCH {
        return error;
    }
    let (name, plain) = (&column.name, coerce::plain(to));
    let (what, hint) = match using {
        true => (
            "result of USING clause for column",
            "You might need to add an explicit cast.".to_owned(),
        ),
        false => (
            "column",
            format!("You might need to specify \"USING {name}::{to}\"."),
        ),
    };
    let message = format!("{what} \"{name}\" cannot be cast automatically to type {plain}");
    Error::new(state::DATATYPE_MISMATCH, message)
        .with_hint(hint)
        .at(error.position())
}
