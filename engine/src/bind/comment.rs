//! COMMENT ON: what is said of things.

use super::relation::missing_schema;
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::function::Located;
use crate::parse::{place, refuse};
use crate::plan::Statement;
use crate::plan::structure::Step;
use remora_storage::ColumnId;
use remora_storage::catalog::Commented;
use sqlparser::ast::{CommentObject, Ident, ObjectName, ObjectNamePart};

impl Binder<'_> {
    /// Binds a COMMENT. An empty text is none.
    pub(super) fn comment(
        &self,
        kind: CommentObject,
        name: &ObjectName,
        text: Option<&str>,
    ) -> Result<Statement> {
        let at = name::object_place(name);
        let on = match kind {
            CommentObject::Schema => {
                let schema = name::single(name)?;
                let id = self.path.schema(self.catalog, &schema);
                Commented::Schema(id.ok_or_else(|| missing_schema(&schema).at(at))?)
            }
            CommentObject::Type | CommentObject::Domain => {
                let def = self.made_type(name)?;
                let def = def.ok_or_else(|| self.no_type(name))?;
                Commented::Type(def.id)
            }
            CommentObject::Column => self.column_to_comment(name, at)?,
            CommentObject::Table | CommentObject::View => self.table_to_comment(kind, name, at)?,
            CommentObject::Index | CommentObject::Sequence => {
                let located = self.relation_there(name)?;
                let found = match kind {
                    CommentObject::Index => {
                        let index = self.catalog.index(&located);
                        index.map(|(_, index)| Commented::Index(index.def.id))
                    }
                    _ => {
                        let sequence = self.catalog.sequence(&located);
                        sequence.map(|entry| Commented::Sequence(entry.def.id))
                    }
                };
                let article = if kind == CommentObject::Index {
                    "an"
                } else {
                    "a"
                };
                found.ok_or_else(|| self.no_such(&located, article, kind, at))?
            }
            _ => {
                return refuse(
                    &format!("a comment on a {}", kind.to_string().to_lowercase()),
                    at,
                );
            }
        };
        let text = text.filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Statement::Structure(vec![Step::SetComment(on, text)]))
    }

    fn table_to_comment(
        &self,
        kind: CommentObject,
        name: &ObjectName,
        at: Option<Position>,
    ) -> Result<Commented> {
        let located = self.relation_there(name)?;
        let found = match kind {
            CommentObject::View => self.catalog.view(&located).map(|view| view.id),
            _ => self.catalog.table(&located).map(|table| table.def.id),
        };
        let found = found.ok_or_else(|| self.no_such(&located, "a", kind, at))?;
        Ok(Commented::Table(found))
    }

    /// `t.c`, of a table or view.
    fn column_to_comment(&self, name: &ObjectName, at: Option<Position>) -> Result<Commented> {
        let Some((ObjectNamePart::Identifier(column), relation)) = name.0.split_last() else {
            return refuse("this name", at);
        };
        if relation.is_empty() {
            return Err(sql_error!(SYNTAX_ERROR, "column name must be qualified").at(at));
        }
        let located = self.relation_there(&ObjectName(relation.to_vec()))?;
        let missing = |column: &Ident, folded: &str| {
            let message = format!("column \"{folded}\" of relation \"{located}\" does not exist");
            Error::new(state::UNDEFINED_COLUMN, message).at(place(column.span))
        };
        let folded = name::fold(column)?;
        if let Some(view) = self.catalog.view(&located) {
            let position = view.columns.iter().position(|found| found.name == folded);
            let position = position.ok_or_else(|| missing(column, &folded))?;
            return Ok(Commented::Column(view.id, ColumnId(position as u32)));
        }
        let entry = self.table(&located, at)?;
        match entry.def.column(&folded) {
            Some((_, found)) => Ok(Commented::Column(entry.def.id, found.id)),
            None => Err(missing(column, &folded)),
        }
    }

    fn no_such(
        &self,
        located: &Located,
        article: &str,
        kind: CommentObject,
        at: Option<Position>,
    ) -> Error {
        if !self.relation_exists(located) {
            let message = format!("relation \"{located}\" does not exist");
            return Error::new(state::UNDEFINED_TABLE, message).at(at);
        }
        let kind = kind.to_string().to_lowercase();
        let message = format!("\"{}\" is not {article} {kind}", located.name());
        Error::new(state::WRONG_OBJECT_TYPE, message).at(at)
    }
}
