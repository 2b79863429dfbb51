//! `json_to_record` and `json_to_recordset` in FROM: objects as rows of the columns that a definition list names;
//! `json_populate_record` and `json_populate_recordset`: of those that a record has.
//!
//! They are put together of what there is: each column is the object's member of its name as text, cast to its
//! type. So `json_to_recordset(x) AS t(a int)` is `SELECT (e ->> 'a')::int AS a FROM json_array_elements(x) e`.

use super::coerce::undetermined;
use super::expr::is_null;
use super::json::Target;
use super::record::part;
use super::{Binder, Bound, name};
use crate::error::{Error, Position, Result, state};
use crate::function::element_of;
use crate::parse::place;
use crate::plan::logical::Logical;
use crate::plan::project_set::ProjectSet;
use crate::plan::{Expr, ExprKind};
use remora_storage::{DataType, Value};
use sqlparser::ast;

/// What such a function reads, and whether it takes an array of objects.
pub(super) struct Reader {
    target: Target,
    is_set: bool,
}

/// The function of a name, if it is one of these.
pub(super) fn reader(name: &str) -> Option<Reader> {
    let (target, is_set) = match name {
        "json_to_record" => (Target::Json, false),
        "jsonb_to_record" => (Target::Jsonb, false),
        "json_to_recordset" => (Target::Json, true),
        "jsonb_to_recordset" => (Target::Jsonb, true),
        "json_populate_recordset" => (Target::Json, true),
        "jsonb_populate_recordset" => (Target::Jsonb, true),
        _ => return None,
    };
    Some(Reader { target, is_set })
}

impl<'a> Binder<'a> {
    /// The rows of such a call, and their columns.
    pub(super) fn rows_of_json(
        &mut self,
        reader: &Reader,
        document: Bound,
        alias: Option<&ast::TableAlias>,
        at: Option<Position>,
    ) -> Result<(Logical, Vec<usize>)> {
        let defined = alias.map_or(&[][..], |alias| &alias.columns);
        if defined.is_empty() || defined.iter().any(|column| column.data_type.is_none()) {
            let message = "a column definition list is required for functions returning \"record\"";
            return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
        }
        let document = self.coerce(document, reader.target.data_type())?;
        let (objects, object) = self.objects(reader, document, at)?;
        let object = Bound::Typed(Expr::column(object, reader.target.data_type()));
        let is_set = Expr::literal(Value::Boolean(reader.is_set), DataType::Boolean);
        let object = self.call("record_object", vec![object, Bound::Typed(is_set)], at)?;
        let mut exprs = Vec::with_capacity(defined.len());
        for column in defined {
            let at = place(column.name.span);
            let (Some(syntax), called) = (&column.data_type, name::fold(&column.name)?) else {
                continue;
            };
            let to = self.data_type(syntax, at)?;
            let value = self.member(reader.target, object.clone(), &called, to, at)?;
            exprs.push((self.columns.add(&called, to), value));
        }
        let columns = exprs.iter().map(|(column, _)| *column).collect();
        let input = Box::new(objects);
        Ok((Logical::Project { input, exprs }, columns))
    }

    /// `json_populate_recordset(base, document)` in FROM: a row for each object of an array.
    pub(super) fn populated_rows(
        &mut self,
        reader: &Reader,
        base: Bound,
        document: Bound,
        at: Option<Position>,
    ) -> Result<(Logical, Vec<usize>)> {
        let document = self.coerce(document, reader.target.data_type())?;
        let (input, object) = self.objects(reader, document, at)?;
        let object = Bound::Typed(Expr::column(object, reader.target.data_type()));
        let name = match reader.target {
            Target::Json => "json_populate_recordset",
            Target::Jsonb => "jsonb_populate_recordset",
        };
        let record = self.populate(name, vec![base, object], at)?;
        let record = self.settle(record)?;
        self.spread(input, record, at)
    }

    /// The member of an object that a column of a name and type is.
    fn member(
        &mut self,
        target: Target,
        object: Bound,
        called: &str,
        to: DataType,
        at: Option<Position>,
    ) -> Result<Expr> {
        let key = Bound::Typed(Expr::literal(
            Value::Text(called.to_owned()),
            DataType::Text,
        ));
        if to.is_record() {
            let inner = self.call("->", vec![object, key], at)?;
            let inner = self.settle(inner)?;
            let none = Expr::literal(Value::Null, to);
            return self.deeper(at, |binder| binder.populated(target, none, inner, at));
        }
        let is_document = to == DataType::Json || to == Target::Jsonb.data_type();
        let is_array = element_of(to).is_some();
        let part = if is_document || is_array { "->" } else { "->>" };
        let mut value = self.call(part, vec![object, key.clone()], at)?;
        if is_array {
            value = self.call("record_array", vec![value, key], at)?;
        }
        // What is too long is refused, not cut.
        match to.is_string() {
            true => self.assign(value, called, to, at),
            false => self.cast_explicitly(value, to, at),
        }
    }

    /// `json_populate_record(base, document)`: a record with the members of an object, and of the base where it has
    /// none of a name.
    ///
    /// # Errors
    /// 42804 where the base is no record.
    pub(super) fn populate(
        &mut self,
        name: &str,
        arguments: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<Bound> {
        let target = match name.starts_with("jsonb") {
            true => Target::Jsonb,
            false => Target::Json,
        };
        let mut arguments = arguments.into_iter();
        let (Some(Bound::Typed(base)), Some(document)) = (arguments.next(), arguments.next())
        else {
            return Err(undetermined().at(at));
        };
        if !base.data_type.is_record() {
            let message = format!("first argument of {name} must be a row type");
            return Err(Error::new(state::DATATYPE_MISMATCH, message).at(at));
        }
        let document = self.coerce(document, target.data_type())?;
        self.populated(target, base, document, at).map(Bound::Typed)
    }

    /// A record of the type of a base with what a document says; the base where that is NULL.
    fn populated(
        &mut self,
        target: Target,
        base: Expr,
        document: Expr,
        at: Option<Position>,
    ) -> Result<Expr> {
        let to = base.data_type;
        let Some(fields) = self.fields(to) else {
            let message = "could not determine row type for result of json_populate_record";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
                .with_hint("Provide a non-null record argument.")
                .at(at));
        };
        let is_set = Expr::boolean(false);
        let object = vec![Bound::Typed(document.clone()), Bound::Typed(is_set)];
        let object = self.call("record_object", object, at)?;
        let mut values = Vec::with_capacity(fields.len());
        for (place, field) in fields.iter().enumerate() {
            let given = self.member(target, object.clone(), &field.name, field.data_type, at)?;
            let before = part(base.clone(), place, field);
            let value = match base.kind {
                ExprKind::Literal(Value::Null) => given,
                _ => {
                    let name = Expr::literal(Value::Text(field.name.clone()), DataType::Text);
                    let found = self.call("->", vec![object.clone(), Bound::Typed(name)], at)?;
                    let is_missing = is_null(self.settle(found)?);
                    either(is_missing, before, given)
                }
            };
            values.push((field.name.clone(), Bound::Typed(value)));
        }
        let record = Expr {
            data_type: to,
            ..self.record_of(values, at)?
        };
        Ok(either(is_null(document), base, record))
    }

    /// The objects, a row each, and their column.
    fn objects(
        &mut self,
        reader: &Reader,
        document: Expr,
        at: Option<Position>,
    ) -> Result<(Logical, usize)> {
        let input = Box::new(super::table_function::one_row());
        if !reader.is_set {
            let column = self.columns.add("object", document.data_type);
            let exprs = vec![(column, document)];
            return Ok((Logical::Project { input, exprs }, column));
        }
        let function = match reader.target {
            Target::Json => "json_array_elements",
            Target::Jsonb => "jsonb_array_elements",
        };
        let call = self.table_call(function, vec![Bound::Typed(document)], at)?;
        let column = self.columns.add("object", reader.target.data_type());
        let plan = Logical::ProjectSet(ProjectSet {
            input,
            calls: vec![(vec![column], call)],
            ordinality: None,
        });
        Ok((plan, column))
    }
}

/// `CASE WHEN condition THEN one ELSE other END`
fn either(condition: Expr, one: Expr, other: Expr) -> Expr {
    let data_type = other.data_type;
    Expr::case(vec![(condition, one)], other, data_type)
}
