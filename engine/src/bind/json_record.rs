//! `json_to_record` and `json_to_recordset` in FROM: objects as rows of the columns that a definition list names.
//!
//! They are put together of what there is: each column is the object's member of its name as text, cast to its
//! type. So `json_to_recordset(x) AS t(a int)` is `SELECT (e ->> 'a')::int AS a FROM json_array_elements(x) e`.

use super::json::Target;
use super::{Binder, Bound, name};
use crate::error::{Error, Position, Result, state};
use crate::function::element_of;
use crate::parse::place;
use crate::plan::Expr;
use crate::plan::logical::Logical;
use crate::plan::project_set::ProjectSet;
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
            let member = Bound::Typed(Expr::literal(Value::Text(called.clone()), DataType::Text));
            let is_document = to == DataType::Json || to == Target::Jsonb.data_type();
            let is_array = element_of(to).is_some();
            let part = if is_document || is_array { "->" } else { "->>" };
            let mut value = self.call(part, vec![object.clone(), member.clone()], at)?;
            if is_array {
                value = self.call("record_array", vec![value, member], at)?;
            }
            // What is too long is refused, not cut.
            let value = match to.is_string() {
                true => self.assign(value, &called, to, at)?,
                false => self.cast_explicitly(value, to, at)?,
            };
            exprs.push((self.columns.add(&called, to), value));
        }
        let columns = exprs.iter().map(|(column, _)| *column).collect();
        let input = Box::new(objects);
        Ok((Logical::Project { input, exprs }, columns))
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
