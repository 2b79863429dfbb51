//! ALTER TABLE .. ALTER COLUMN: defaults, NOT NULL, types, and where the values come from.

use super::alter_action::uncastable;
use super::altered::Altered;
use super::check::{column_position, default_of, set_default};
use super::computed_key::{hidden_from, retype_hidden};
use super::data_type::{time_modifier, without_precision};
use super::generated::{is_generated, refuse_retyping_of_source};
use super::storage_parameter::ttl::refuse_column;
use super::{Binder, Bound, Clause, Context, coerce};
use crate::error::{Error, Position, Result, state};
use crate::parse::{ColumnAction, SequenceOptions, column_action, place, refuse};
use crate::plan::sequence::SequenceChange;
use crate::plan::structure::Step;
use remora_storage::ColumnId;
use remora_storage::catalog::{Catalog, Collation, ColumnDef, Identity, TableDef};
use sqlparser::ast::{self, AlterColumnOperation};

impl<'a> Binder<'a> {
    pub(super) fn alter_column(
        &mut self,
        altered: &mut Altered<'a>,
        ident: &'a ast::Ident,
        operation: &'a AlterColumnOperation,
        identities: &[SequenceOptions],
    ) -> Result<()> {
        use AlterColumnOperation as O;
        let position = column_position(&altered.draft.table, ident)?;
        let at = place(ident.span);
        if let O::SetDataType {
            data_type, using, ..
        } = operation
        {
            return self.alter_type(altered, position, (data_type, using.as_ref()), at);
        }
        let id = altered.draft.table.columns[position].id;
        let primary = altered.primary();
        if matches!(operation, O::SetDefault { .. } | O::DropDefault) {
            refuse_column(&altered.draft.table, id, at)?;
        }
        let is_in_key = primary.is_some_and(|key| key.columns.iter().any(|part| part.column == id));
        let column = &mut altered.draft.table.columns[position];
        match operation {
            O::SetNotNull => column.not_null = true,
            O::DropNotNull if is_in_key => {
                let message = format!("column \"{}\" is in a primary key", column.name);
                return Err(Error::new(state::INVALID_TABLE_DEFINITION, message).at(at));
            }
            O::DropNotNull => column.not_null = false,
            O::SetDefault { value }
                if column_action(value) == Some(ColumnAction::ChangeIdentity) =>
            {
                let change = identities.first().cloned().unwrap_or_default();
                return self.change_identity(altered, position, &change, at);
            }
            O::SetDefault { value } if column_action(value).is_some() => {
                let left = match column_action(value) {
                    Some(ColumnAction::DropIdentity { .. }) => {
                        std::mem::take(&mut column.sequences)
                    }
                    _ => Vec::new(),
                };
                act_on_column(column_action(value), column, &altered.draft.table.name, at)?;
                altered
                    .after
                    .extend(left.into_iter().map(Step::DropSequence));
                return Ok(());
            }
            O::AddGenerated { generated_as, .. } => {
                refuse_identity(column, &altered.draft.table.name, at)?;
                let kind = match generated_as {
                    Some(ast::GeneratedAs::Always) => Identity::Always,
                    _ => Identity::ByDefault,
                };
                let options = identities.first().cloned().unwrap_or_default();
                return altered.draft.add_identity(position, kind, &options, at);
            }
            O::SetDefault { .. } | O::DropDefault if column.identity.is_some() => {
                let (column, table) = (&column.name, &altered.draft.table.name);
                let message =
                    format!("column \"{column}\" of relation \"{table}\" is an identity column");
                return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
            }
            O::SetDefault { .. } | O::DropDefault if column.generated.is_some() => {
                let (column, table) = (&column.name, &altered.draft.table.name);
                let message =
                    format!("column \"{column}\" of relation \"{table}\" is a generated column");
                let error = Error::new(state::SYNTAX_ERROR, message).at(at);
                return Err(match operation {
                    O::DropDefault => error
                        .with_hint("Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead."),
                    _ => error,
                });
            }
            O::SetDefault { value } => {
                let schema = altered.entry.def.schema;
                set_default(self.catalog, value, (column, schema), self.path)?;
            }
            O::DropDefault => {
                column.default = None;
                column.sequences.clear();
            }
            _ => return refuse("this action on a column", at),
        }
        Ok(())
    }

    /// Applies RESTART, SET GENERATED and SET of options to an identity column and its sequence.
    fn change_identity(
        &self,
        altered: &mut Altered<'a>,
        position: usize,
        change: &SequenceOptions,
        at: Option<Position>,
    ) -> Result<()> {
        let column = &mut altered.draft.table.columns[position];
        let (Some(identity), [sequence]) = (&mut column.identity, column.sequences.as_slice())
        else {
            let table = &altered.entry.def.name;
            return Err(said_of(column, table, "is not an identity column").at(at));
        };
        *identity = match change.generated {
            None => *identity,
            Some(true) => Identity::Always,
            Some(false) => Identity::ByDefault,
        };
        let sequence = *sequence;
        let change = self.sequence_options(change, "identity column", at)?;
        if change != SequenceChange::default() {
            altered.before.push(Step::ChangeSequence(sequence, change));
        }
        Ok(())
    }

    fn alter_type(
        &mut self,
        altered: &mut Altered<'a>,
        position: usize,
        (syntax, using): (&ast::DataType, Option<&'a ast::Expr>),
        at: Option<Position>,
    ) -> Result<()> {
        let to = self.data_type(&without_precision(syntax), at)?;
        let modifier = time_modifier(syntax);
        let domain = self.domain_of(syntax)?.map(|def| def.id);
        let column = &mut altered.draft.table.columns[position];
        let is_same = column.data_type == to
            && column.time_modifier == modifier
            && column.collation.is_none();
        if is_same && column.domain == domain && using.is_none() {
            return Ok(());
        }
        if using.is_some() && column.generated.is_some() {
            let message = "cannot specify USING when altering type of generated column";
            return Err(Error::new(state::INVALID_COLUMN_DEFINITION, message)
                .with_detail(is_generated(column))
                .at(at));
        }
        let id = column.id;
        self.refuse_retyping(&altered.entry, id, &column.name, at)?;
        refuse_column(&altered.draft.table, id, at)?;
        refuse_retyping_of_source(self.catalog, &altered.draft.table, position, at)?;
        let column = &mut altered.draft.table.columns[position];
        let value = match using {
            None => Bound::Typed(altered.values[position].clone()),
            Some(using) => self.expr(using, &mut Context::new(&altered.scope, Clause::Using))?,
        };
        let assigned = self.assign(value, &column.name, to, at);
        let value = assigned.map_err(|error| uncastable(error, column, to, using.is_some()))?;
        altered.values[position] = match modifier {
            None => value,
            Some(modifier) => coerce::cut_to(value, modifier, at)?,
        };
        (column.data_type, column.domain) = (to, domain);
        if column.collation.take() == Some(Collation::Nocase) {
            refuse_keyed(&altered.draft.table, id, self.catalog, at)?;
        }
        let column = &mut altered.draft.table.columns[position];
        column.time_modifier = modifier;
        let column = column.clone();
        self.retype_keys(altered, id, at)?;
        retype_hidden(self.catalog, &mut altered.draft.table, position)?;
        if column.default.is_some() {
            default_of(self.catalog, &column).map_err(|error| match error.sqlstate() {
                state::DATATYPE_MISMATCH => {
                    let (name, to) = (&column.name, coerce::plain(to));
                    let message = format!(
                        "default for column \"{name}\" cannot be cast automatically to type {to}"
                    );
                    Error::new(state::DATATYPE_MISMATCH, message).at(at)
                }
                _ => error,
            })?;
        }
        Ok(())
    }
}

/// An index over the keys of texts says what is unique by the collation that the column had.
fn refuse_keyed(
    table: &TableDef,
    column: ColumnId,
    catalog: &Catalog,
    at: Option<Position>,
) -> Result<()> {
    match hidden_from(catalog, table, column)?.is_empty() {
        true => Ok(()),
        false => refuse("another collation for a column that an index is over", at),
    }
}

/// Does what the grammar does not know to a column.
fn act_on_column(
    action: Option<ColumnAction>,
    column: &mut ColumnDef,
    table: &str,
    at: Option<Position>,
) -> Result<()> {
    let if_exists = match action {
        Some(ColumnAction::DropExpression { if_exists }) => if_exists,
        Some(ColumnAction::DropIdentity { if_exists }) => {
            if column.identity.take().is_some() {
                column.default = None;
                return Ok(());
            }
            return match if_exists {
                true => Ok(()),
                false => Err(said_of(column, table, "is not an identity column").at(at)),
            };
        }
        Some(ColumnAction::Tune | ColumnAction::ChangeIdentity) | None => return Ok(()),
    };
    if column.generated.take().is_some() || if_exists {
        return Ok(());
    }
    Err(said_of(column, table, "is not a stored generated column").at(at))
}

/// A column may become an identity column that is NOT NULL and has no default.
fn refuse_identity(column: &ColumnDef, table: &str, at: Option<Position>) -> Result<()> {
    let what = match column {
        column if column.identity.is_some() => "is already an identity column",
        column if !column.not_null => "must be declared NOT NULL before identity can be added",
        column if column.default.is_some() => "already has a default value",
        _ => return Ok(()),
    };
    Err(said_of(column, table, what).at(at))
}

fn said_of(column: &ColumnDef, table: &str, what: &str) -> Error {
    let message = format!("column \"{}\" of relation \"{table}\" {what}", column.name);
    Error::new(state::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}
