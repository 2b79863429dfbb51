//! A table while CREATE TABLE or ALTER TABLE puts it together.

use super::data_type::{time_modifier, without_precision};
use super::foreign::WrittenKey;
use super::index::index_column;
use super::sequence::{Numbered, is_integer, serial};
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{SequenceOptions, place};
use remora_storage::catalog::{
    Collation, ColumnDef, Constraint, Deferral, Identity, IndexColumn, IndexDef, IndexKind,
    TableDef,
};
use remora_storage::limits::COLUMNS_MAX;
use remora_storage::{ColumnId, DataType, IndexId, TableId};
use sqlparser::ast;

/// A table, while it is being put together.
pub(super) struct Draft<'n> {
    pub(super) table: TableDef,
    pub(super) primary: Option<IndexDef>,
    /// Those of UNIQUE, and others that come with the table.
    pub(super) indexes: Vec<IndexDef>,
    /// CHECKs with the column they stand beside; bound when all columns are known.
    pub(super) checks: Vec<(Option<String>, Option<String>, &'n ast::Expr)>,
    pub(super) foreign_keys: Vec<WrittenKey<'n>>,
    /// Columns said to be NULL.
    pub(super) nullable: Vec<usize>,
    /// Columns that are computed, by position, with the expressions; bound when all columns are known.
    pub(super) generated: Vec<(usize, &'n ast::Expr)>,
    /// Columns with a sequence of their own, by position.
    pub(super) numbered: Vec<(usize, Numbered)>,
}

impl<'n> Draft<'n> {
    /// What is to be added to a table.
    pub(super) fn new(table: TableDef) -> Self {
        Self {
            table,
            primary: None,
            indexes: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            nullable: Vec::new(),
            generated: Vec::new(),
            numbered: Vec::new(),
        }
    }

    pub(super) fn add_column(
        &mut self,
        column: &ast::ColumnDef,
        binder: &Binder<'_>,
    ) -> Result<()> {
        let at = place(column.name.span);
        let name = name::fold(&column.name)?;
        let serial = serial(&column.data_type);
        let data_type = match serial {
            Some(data_type) => data_type,
            None => binder.data_type(&without_precision(&column.data_type), at)?,
        };
        let position = self.push_column(&name, data_type, at)?;
        self.table.columns[position].time_modifier = time_modifier(&column.data_type);
        let domain = binder.domain_of(&column.data_type)?;
        self.table.columns[position].domain = domain.map(|def| def.id);
        if serial.is_some() {
            self.table.columns[position].not_null = true;
            self.numbered.push((position, Numbered::Serial));
        }
        Ok(())
    }

    /// Adds a column of which nothing else is said; returns its position.
    pub(super) fn push_column(
        &mut self,
        name: &str,
        data_type: DataType,
        at: Option<Position>,
    ) -> Result<usize> {
        if self.table.column(name).is_some() {
            let message = format!("column \"{name}\" specified more than once");
            return Err(Error::new(state::DUPLICATE_COLUMN, message).at(at));
        }
        let position = self.table.columns.len();
        if position >= COLUMNS_MAX {
            let message = format!("tables can have at most {COLUMNS_MAX} columns");
            return Err(Error::new(state::TOO_MANY_COLUMNS, message).at(at));
        }
        // Ids are handed out in order; nobody adds as many columns as there are ids.
        let ids = self.table.columns.iter().map(|column| column.id.0);
        let id = ColumnId(ids.max().map_or(0, |last| last + 1));
        let column = ColumnDef::new(id, name, data_type);
        self.table.columns.push(column);
        Ok(position)
    }

    /// The hidden column that is computed from an expression: one that is there, or a new one.
    pub(super) fn hidden_key(
        &mut self,
        text: String,
        data_type: DataType,
        at: Option<Position>,
    ) -> Result<ColumnId> {
        let mut columns = self.table.columns.iter();
        let same = columns.find(|column| {
            column.is_hidden()
                && column.generated.as_deref() == Some(&text)
                && column.data_type == data_type
        });
        if let Some(same) = same {
            return Ok(same.id);
        }
        let position = self.push_column("", data_type, at)?;
        let column = &mut self.table.columns[position];
        column.generated = Some(text);
        Ok(column.id)
    }

    /// Has these indexes be over the keys of columns that are compared by keys.
    pub(super) fn fold_keys(&mut self, indexes: &mut [IndexDef]) -> Result<()> {
        for part in indexes.iter_mut().flat_map(|index| &mut index.columns) {
            let column = self.table.position(part.column);
            let column = column.map(|position| &self.table.columns[position]);
            if let Some(column) = column
                && column.collation == Some(Collation::Nocase)
            {
                part.column =
                    self.hidden_key(ColumnDef::folding(&column.name), DataType::Text, None)?;
            }
        }
        Ok(())
    }

    /// Has NULLs be one value in the key that was added last.
    pub(super) fn distinguish_no_nulls(&mut self, at: Option<Position>) -> Result<()> {
        match self.indexes.last_mut() {
            Some(index) => {
                index.nulls_not_distinct = true;
                Ok(())
            }
            None => Err(name::syntax_error("NULLS", at)),
        }
    }

    pub(super) fn add_identity(
        &mut self,
        position: usize,
        kind: Identity,
        options: &SequenceOptions,
        at: Option<Position>,
    ) -> Result<()> {
        let column = &mut self.table.columns[position];
        column.not_null = true;
        if !is_integer(column.data_type) {
            return Err(sql_error!(
                INVALID_PARAMETER_VALUE,
                "identity column type must be smallint, integer, or bigint"
            )
            .at(at));
        }
        self.numbered.push((
            position,
            Numbered::Identity(kind, Box::new(options.clone())),
        ));
        self.check_one_source(position, at)
    }

    /// Whether a column has at most one of default, SERIAL, IDENTITY and an expression.
    pub(super) fn check_one_source(&self, position: usize, at: Option<Position>) -> Result<()> {
        let column = &self.table.columns[position];
        let mut numbered = self.numbered.iter().filter(|(other, _)| *other == position);
        let generated = self
            .generated
            .iter()
            .filter(|(other, _)| *other == position);
        let generated = generated.count();
        let complaint = match (numbered.next(), numbered.next()) {
            (None, _) if generated > 1 => "multiple generation clauses specified",
            (None, _) if generated > 0 && column.default.is_some() => {
                "both default and generation expression specified"
            }
            (Some((_, Numbered::Identity(..))), _) if generated > 0 => {
                "both identity and generation expression specified"
            }
            (Some((_, Numbered::Serial)), _) if generated > 0 => {
                "both default and generation expression specified"
            }
            (Some((_, Numbered::Identity(..))), None) if column.default.is_some() => {
                "both default and identity specified"
            }
            (Some((_, Numbered::Serial)), None) if column.default.is_some() => {
                "multiple default values specified"
            }
            (Some((_, Numbered::Serial)), Some(_)) => "both default and identity specified",
            (Some(_), Some(_)) => "multiple identity specifications",
            _ => return Ok(()),
        };
        let (column, table) = (&column.name, &self.table.name);
        let message = format!("{complaint} for column \"{column}\" of table \"{table}\"");
        Err(Error::new(state::SYNTAX_ERROR, message).at(at))
    }

    pub(super) fn key_columns(
        &self,
        columns: &[ast::IndexColumn],
        what: &str,
    ) -> Result<Vec<IndexColumn>> {
        let mut key: Vec<IndexColumn> = Vec::with_capacity(columns.len());
        for column in columns {
            let (ident, index_column) = index_column(&self.table, column, " named in key")?;
            if key.iter().any(|found| found.column == index_column.column) {
                return Err(sql_error!(
                    DUPLICATE_COLUMN,
                    "column \"{ident}\" appears twice in {what} constraint"
                )
                .at(place(ident.span)));
            }
            key.push(index_column);
        }
        Ok(key)
    }

    pub(super) fn add_primary(
        &mut self,
        name: Option<String>,
        key: Vec<IndexColumn>,
        at: Option<Position>,
    ) -> Result<()> {
        if self.primary.is_some() {
            let message = format!(
                "multiple primary keys for table \"{}\" are not allowed",
                self.table.name
            );
            return Err(Error::new(state::INVALID_TABLE_DEFINITION, message).at(at));
        }
        for column in &key {
            if let Some(position) = self.table.position(column.column) {
                self.table.columns[position].not_null = true;
            }
        }
        self.primary = Some(constraint_index(name, key, Constraint::PrimaryKey));
        Ok(())
    }

    /// Says when the primary key is checked.
    pub(super) fn defer_primary(&mut self, deferral: Deferral) {
        if let Some(index) = &mut self.primary {
            (index.unique, index.deferral) = (deferral == Deferral::Never, deferral);
        }
    }

    /// Says when the key that was added last is checked.
    pub(super) fn defer_unique(&mut self, deferral: Deferral) {
        if let Some(index) = self.indexes.last_mut() {
            (index.unique, index.deferral) = (deferral == Deferral::Never, deferral);
        }
    }

    /// Has the key that was said of a column be a hash index.
    pub(super) fn hash_key(&mut self, position: usize, at: Option<Position>) -> Result<()> {
        let column = self.table.columns[position].id;
        let is_of_column = |index: &&mut IndexDef| {
            let mut key = index.columns.iter();
            key.len() == 1 && key.any(|part| part.column == column)
        };
        let last = self.indexes.last_mut().filter(is_of_column);
        match last.or(self.primary.as_mut().filter(is_of_column)) {
            Some(index) => {
                index.kind = IndexKind::Hash;
                Ok(())
            }
            None => Err(name::syntax_error("USING", at)),
        }
    }

    /// Says which index the primary key is, or the key that was added last.
    pub(super) fn index_key(&mut self, is_primary: bool, kind: IndexKind) {
        let index = match is_primary {
            true => self.primary.as_mut(),
            false => self.indexes.last_mut(),
        };
        if let Some(index) = index {
            index.kind = kind;
        }
    }

    pub(super) fn add_unique(&mut self, name: Option<String>, key: Vec<IndexColumn>) {
        self.indexes
            .push(constraint_index(name, key, Constraint::Unique));
    }
}

fn constraint_index(
    name: Option<String>,
    columns: Vec<IndexColumn>,
    constraint: Constraint,
) -> IndexDef {
    IndexDef {
        partial: false,
        deferral: Deferral::Never,
        id: IndexId::default(),
        name: name.unwrap_or_default(),
        table: TableId::default(),
        columns,
        unique: true,
        kind: IndexKind::Ordered,
        constraint: Some(constraint),
        nulls_not_distinct: false,
    }
}
