//! Records as values: `ROW(a, b)`, the row of a table by its name, and their fields: `(r).f1`, `(r).*`.
//!
//! A record is a call of `record_of` whose type has the names of the fields. So what is asked of a record that is
//! written out, or of a table's row, is the value that stands there; no record is made for it.

use super::coerce::{cast, plain};
use super::expr::start;
use super::{Binder, Bound, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::function::element_of;
use crate::function::record::{RECORD_AS, RECORD_FIELD, RECORD_OF, RECORD_TESTS};
use crate::parse::{STAR, place, refuse};
use crate::plan::logical::Logical;
use crate::plan::{Expr, ExprKind};
use remora_storage::value::{
    ElementType, PackedType, RECORD_FIELDS_MAX, RecordField, RecordType, SqlRecord,
};
use remora_storage::{DataType, TableId, TypeId, Value};
use sqlparser::ast::{self, AccessExpr};
use std::sync::Arc;

impl<'a> Binder<'a> {
    /// The fields of a type; `None` where it has none, or they are not known.
    pub(super) fn fields(&self, data_type: DataType) -> Option<Arc<[RecordField]>> {
        match data_type {
            DataType::Packed(PackedType::Record(of)) => of.fields(),
            DataType::Packed(PackedType::Composite(id)) => match self.catalog.type_by_id(id) {
                Some(def) => def.fields().map(Arc::from),
                None => self.fields_of_relation(id),
            },
            _ => None,
        }
    }

    /// The columns of a table or view, by the number that the type of its rows has.
    fn fields_of_relation(&self, id: TypeId) -> Option<Arc<[RecordField]>> {
        let id = TableId(id.0);
        let field = |name: &str, data_type| RecordField {
            name: name.to_owned(),
            data_type,
        };
        if let Some(view) = self.catalog.view_by_id(id) {
            let columns = view.columns.iter();
            return Some(
                columns
                    .map(|column| field(&column.name, column.data_type))
                    .collect(),
            );
        }
        let entry = self.catalog.table_by_id(id)?;
        let columns = entry.def.listed();
        Some(
            columns
                .map(|(_, column)| field(&column.name, column.data_type))
                .collect(),
        )
    }

    /// The type of records with the columns of a relation, of a type that is that of its rows.
    pub(super) fn record_of_relation(&self, data_type: DataType) -> Option<DataType> {
        match data_type {
            DataType::Packed(PackedType::Composite(id))
                if self.catalog.type_by_id(id).is_none() =>
            {
                let fields = self.fields_of_relation(id)?;
                let record = PackedType::Record(RecordType::of(fields.to_vec()));
                Some(DataType::Packed(record))
            }
            _ => None,
        }
    }

    /// Refuses a column that is stored of the type of a relation's rows.
    pub(super) fn refuse_row_type(&self, data_type: DataType, at: Option<Position>) -> Result<()> {
        let found = element_of(data_type).unwrap_or(data_type);
        match self.record_of_relation(found) {
            Some(_) => refuse("a column of the type of a table's rows", at),
            None => Ok(()),
        }
    }

    /// The type that a cast names, which may be that of the rows of a relation.
    ///
    /// # Errors
    /// As [`Self::data_type`].
    pub(super) fn cast_type(
        &self,
        syntax: &ast::DataType,
        at: Option<Position>,
    ) -> Result<DataType> {
        match (self.data_type(syntax, at), syntax) {
            (Err(error), ast::DataType::Custom(name, modifiers))
                if error.sqlstate() == state::UNDEFINED_OBJECT && modifiers.is_empty() =>
            {
                let located = self.relation(name)?;
                let table = self.catalog.table(&located).map(|entry| entry.def.id);
                let found = table.or_else(|| self.catalog.view(&located).map(|view| view.id));
                let id = found.ok_or(error)?;
                Ok(DataType::Packed(PackedType::Composite(TypeId(id.0))))
            }
            (found, _) => found,
        }
    }

    /// The record of these values.
    ///
    /// # Errors
    /// 54011 where there are too many.
    pub(super) fn record_of(
        &mut self,
        values: Vec<(String, Bound)>,
        at: Option<Position>,
    ) -> Result<Expr> {
        if values.len() > RECORD_FIELDS_MAX {
            let message = format!("ROW expressions can have at most {RECORD_FIELDS_MAX} entries");
            return Err(Error::new(state::TOO_MANY_COLUMNS, message).at(at));
        }
        let (mut fields, mut exprs) = (Vec::new(), Vec::new());
        for (name, value) in values {
            let value = self.settle(value)?;
            let data_type = value.data_type;
            fields.push(RecordField { name, data_type });
            exprs.push(Bound::Typed(value));
        }
        let packed = PackedType::Record(RecordType::of(fields));
        let data_type = DataType::Packed(packed);
        if exprs.is_empty() {
            let empty = Value::Packed(packed, SqlRecord::encode([]));
            return Ok(Expr::literal(empty, data_type));
        }
        let made = self.call(RECORD_OF, exprs, at)?;
        let made = self.settle(made)?;
        Ok(Expr { data_type, ..made })
    }

    /// `ROW(a, b)`, `(a, b)`
    pub(super) fn written_record(
        &mut self,
        syntax: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = start(syntax);
        let values = self.row(syntax, cx)?.unwrap_or_default().into_iter();
        let named = values.enumerate();
        let named = named.map(|(i, value)| (format!("f{}", i + 1), value));
        let record = self.record_of(named.collect(), at)?;
        Ok(Bound::Typed(record))
    }

    /// The row of a table of this query, or of one around it; `None` where there is none of that name.
    pub(super) fn whole_row(
        &mut self,
        table: &str,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Option<Bound>> {
        if cx.clause == Clause::Generated && cx.scope.has_table(table) {
            let message = "cannot use whole-row variable in column generation expression";
            return Err(Error::new(state::INVALID_OBJECT_DEFINITION, message)
                .with_detail("This would cause the generated column to depend on its own value.")
                .at(at));
        }
        let row_type;
        let values = if cx.scope.has_table(table) {
            row_type = cx.scope.row_type(table);
            let names = cx.scope.table_star(table);
            let names: Vec<String> = names.map(|column| column.name.clone()).collect();
            let values = self.columns_of(table, at, cx)?;
            names
                .into_iter()
                .zip(values.into_iter().map(Bound::Typed))
                .collect()
        } else {
            let Some((names, found)) = self.columns_around(table) else {
                return Ok(None);
            };
            row_type = found;
            let mut values = Vec::with_capacity(names.len());
            for name in names {
                let value = self.column_of(table, &name, at, cx)?;
                values.push((name, value));
            }
            values
        };
        let record = self.record_of(values, at)?;
        let data_type = match row_type {
            Some(id) => DataType::Packed(PackedType::Composite(id)),
            None => record.data_type,
        };
        Ok(Some(Bound::Typed(Expr {
            data_type,
            ..record
        })))
    }

    /// A field of a value, `name` of [`STAR`] being all of it.
    ///
    /// # Errors
    /// 42703 where there is none of that name, 42809 where the value is no record.
    pub(super) fn field(
        &mut self,
        value: Bound,
        ident: &ast::Ident,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = place(ident.span);
        if ident.value == STAR {
            return Ok(value);
        }
        let name = name::fold(ident)?;
        let value = self.settle(value)?;
        let found = value.data_type;
        if !found.is_record() {
            let message = format!(
                "column notation .{name} applied to type {}, which is not a composite type",
                plain(found)
            );
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        if let Some(field) = self.field_named(&value, &name) {
            return Ok(Bound::Typed(field));
        }
        // `(record).function` is `function(record)`.
        match self.routine_of(&name, &[None], &[Bound::Typed(value.clone())], at) {
            Ok(Some(routine)) => {
                let arguments = self.arguments_of(&routine, vec![Bound::Typed(value)], at)?;
                self.routine_value(&routine.def, arguments, at, cx)
            }
            _ => Err(no_field(found, &name).at(at)),
        }
    }

    /// A field of a record by its name.
    pub(super) fn field_named(&self, record: &Expr, name: &str) -> Option<Expr> {
        let fields = self.fields(record.data_type)?;
        let mut named = fields.iter().enumerate();
        let (place, field) = named.find(|(_, field)| field.name == name)?;
        Some(part(record.clone(), place, field))
    }

    /// All fields of a value, with their names.
    ///
    /// # Errors
    /// 42809 where the value is no record, 42P01 where it is not known which fields it has.
    pub(super) fn all_fields(
        &mut self,
        value: Bound,
        at: Option<Position>,
    ) -> Result<Vec<(String, Expr)>> {
        let value = self.settle(value)?;
        let found = value.data_type;
        if !found.is_record() {
            let found = plain(found);
            return Err(sql_error!(WRONG_OBJECT_TYPE, "type {found} is not composite").at(at));
        }
        let Some(fields) = self.fields(found) else {
            let message = "record type has not been registered";
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        };
        let fields = fields.iter().enumerate();
        Ok(fields
            .map(|(place, field)| (field.name.clone(), part(value.clone(), place, field)))
            .collect())
    }

    /// A row that is written out, with the literals in it read as the fields of a type are.
    pub(super) fn read_as(&self, record: Expr, to: DataType) -> Expr {
        let is_written = matches!(record.data_type, DataType::Packed(PackedType::Record(_)));
        let (Some(fields), Some(named)) = (self.fields(to), self.fields(record.data_type)) else {
            return record;
        };
        if !is_written || record.data_type == to {
            return record;
        }
        let ExprKind::Call {
            overload,
            arguments,
        } = record.kind
        else {
            return record;
        };
        if overload.name != RECORD_OF || fields.len() != arguments.len() {
            let kind = ExprKind::Call {
                overload,
                arguments,
            };
            return Expr { kind, ..record };
        }
        let arguments = arguments.into_iter().zip(fields.iter());
        let arguments: Vec<Expr> = arguments
            .map(|(argument, field)| {
                let wanted = field.data_type;
                let is_literal = matches!(argument.kind, ExprKind::Literal(_));
                match argument.data_type {
                    DataType::Text if is_literal && !wanted.is_string() => {
                        cast(argument, wanted, true)
                    }
                    found if found.is_record() => self.read_as(argument, wanted),
                    _ => argument,
                }
            })
            .collect();
        let types = named.iter().zip(&arguments);
        let types = types.map(|(field, argument)| RecordField {
            name: field.name.clone(),
            data_type: argument.data_type,
        });
        let packed = PackedType::Record(RecordType::of(types.collect()));
        call(RECORD_OF, arguments, DataType::Packed(packed))
    }

    /// What `(value).*` is of, if an expression is that.
    pub(super) fn starred(
        &mut self,
        syntax: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Option<Bound>> {
        let ast::Expr::CompoundFieldAccess { root, access_chain } = syntax else {
            return Ok(None);
        };
        match access_chain.last() {
            Some(AccessExpr::Dot(ast::Expr::Identifier(last))) if last.value == STAR => {
                self.subscripts(root, access_chain, cx).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The record of a select list of which all fields are shown; where it may be another one each time it is computed, a column
    /// that has it.
    pub(super) fn computed_once(&mut self, record: Bound, cx: &mut Context<'_>) -> Bound {
        match record {
            Bound::Typed(record)
                if !record.is_stable()
                    && cx.clause == Clause::Select
                    && cx.aggregates.is_some() =>
            {
                let column = self.columns.add_for("record", &record);
                let whole = Expr::column(column, record.data_type);
                cx.records.push((column, record));
                Bound::Typed(whole)
            }
            other => other,
        }
    }

    /// The rows with the records that are computed once for each of them.
    pub(super) fn with_records(&self, plan: Logical, records: Vec<(usize, Expr)>) -> Logical {
        if records.is_empty() {
            return plan;
        }
        let passed = plan.columns().into_iter();
        let passed = passed.map(|column| (column, self.columns.expr(column)));
        let exprs = passed.chain(records).collect();
        plan.project(exprs)
    }

    /// A record with another value for a field of it.
    pub(super) fn with_field(
        &mut self,
        record: Expr,
        name: &str,
        value: Expr,
        at: Option<Position>,
    ) -> Result<Expr> {
        let (data_type, fields) = (record.data_type, self.fields(record.data_type));
        let fields = fields.iter().flat_map(|fields| fields.iter()).enumerate();
        let values = fields.map(|(place, field)| {
            Bound::Typed(match field.name == name {
                true => value.clone(),
                false => part(record.clone(), place, field),
            })
        });
        let made = self.call(RECORD_OF, values.collect(), at)?;
        let made = self.settle(made)?;
        Ok(Expr { data_type, ..made })
    }

    /// The field of a record that has one of this name.
    pub(super) fn field_of_record(&self, record: Expr, name: &str) -> Expr {
        let fields = self.fields(record.data_type);
        let mut fields = fields.iter().flat_map(|fields| fields.iter()).enumerate();
        match fields.find(|(_, field)| field.name == name) {
            Some((place, field)) => part(record, place, field),
            None => record,
        }
    }

    /// A value whose composite types are records with the same fields, at any depth: what makes JSON of it asks for no
    /// catalog.
    pub(super) fn with_field_names(&self, value: Bound) -> Bound {
        match value {
            Bound::Typed(value) => {
                let named = self.type_with_names(value.data_type);
                Bound::Typed(cast(value, named, false))
            }
            unknown => unknown,
        }
    }

    fn type_with_names(&self, data_type: DataType) -> DataType {
        match data_type {
            DataType::Packed(PackedType::Array(element)) => {
                let element = ElementType::new(self.type_with_names(element.data_type()));
                element.map_or(data_type, ElementType::array)
            }
            _ if data_type.is_record() => {
                let Some(fields) = self.fields(data_type) else {
                    return data_type;
                };
                let fields = fields.iter().map(|field| RecordField {
                    name: field.name.clone(),
                    data_type: self.type_with_names(field.data_type),
                });
                DataType::Packed(PackedType::Record(RecordType::of(fields.collect())))
            }
            other => other,
        }
    }

    /// `record IS NULL`: all of it is, or it is none. `IS NOT NULL`: none of it is, which is not the opposite.
    pub(super) fn record_is_null(
        &mut self,
        record: Expr,
        negated: bool,
        at: Option<Position>,
    ) -> Result<Bound> {
        let test = RECORD_TESTS[usize::from(negated)];
        self.call(test, vec![Bound::Typed(record)], at)
    }
}

/// Refuses a column of a type that has no name.
///
/// # Errors
/// 42P16
pub(super) fn refuse_records(name: &str, data_type: DataType, at: Option<Position>) -> Result<()> {
    match element_of(data_type).unwrap_or(data_type) {
        DataType::Packed(PackedType::Record(_)) => {
            let message = format!("column \"{name}\" has pseudo-type {}", plain(data_type));
            Err(Error::new(state::INVALID_TABLE_DEFINITION, message).at(at))
        }
        _ => Ok(()),
    }
}

/// A field of a record.
pub(super) fn part(record: Expr, place: usize, field: &RecordField) -> Expr {
    match record.kind {
        ExprKind::Call {
            overload,
            mut arguments,
        } if overload.name == RECORD_OF && place < arguments.len() => arguments.swap_remove(place),
        _ => {
            let place = Expr::literal(Value::Integer(place as i32), DataType::Integer);
            call(RECORD_FIELD, vec![record, place], field.data_type)
        }
    }
}

/// A record that is called one of another type, which has the same fields.
pub(super) fn record_as(record: Expr, to: DataType) -> Expr {
    call(RECORD_AS, vec![record], to)
}

fn call(name: &str, arguments: Vec<Expr>, data_type: DataType) -> Expr {
    let types: Vec<_> = arguments.iter().map(|one| Some(one.data_type)).collect();
    match crate::function::resolve(name, &types) {
        Ok(found) => Expr::call(found.overload, arguments, data_type),
        Err(_) => unreachable!("functions of records take any type"),
    }
}

fn no_field(found: DataType, name: &str) -> Error {
    let message = match found {
        DataType::Packed(PackedType::Composite(_)) => {
            format!("column \"{name}\" not found in data type {}", plain(found))
        }
        _ => format!("could not identify column \"{name}\" in record data type"),
    };
    Error::new(state::UNDEFINED_COLUMN, message)
}
