//! PREPARE, EXECUTE, DEALLOCATE: statements that a session knows by name.

use super::{Aside, Parsed, Syntax};
use sqlparser::ast;
use std::sync::Arc;

/// One of the three.
#[derive(Clone, Debug)]
pub(crate) enum PreparedSyntax {
    /// PREPARE, with the types that parameters are said to have.
    Prepare {
        name: ast::Ident,
        types: Vec<ast::DataType>,
        statement: Arc<Parsed>,
    },
    /// EXECUTE, with the values of parameters.
    Execute {
        name: ast::ObjectName,
        arguments: Vec<ast::Expr>,
    },
    /// DEALLOCATE of one, or of all.
    Deallocate(Option<ast::Ident>),
}

/// What a statement is. What was taken out of the text, and its parameters, are those of the
/// statement that is prepared.
pub(super) fn syntax(
    statement: ast::Statement,
    aside: &mut Aside,
    parameters: &mut usize,
    text: &Arc<str>,
) -> Syntax {
    use ast::Statement as S;
    match statement {
        S::Prepare {
            name,
            data_types,
            statement,
        } => Syntax::Prepared(PreparedSyntax::Prepare {
            name,
            types: data_types,
            statement: Arc::new(Parsed {
                syntax: Syntax::Statement(statement),
                aside: std::mem::take(aside),
                alone: None,
                parameters: std::mem::take(parameters),
                text: Arc::clone(text),
                memory: None,
            }),
        }),
        S::Execute {
            name: Some(name),
            parameters,
            immediate: false,
            into,
            using,
            output: false,
            default: false,
            ..
        } if into.is_empty() && using.is_empty() => Syntax::Prepared(PreparedSyntax::Execute {
            name,
            arguments: parameters,
        }),
        S::Deallocate { name, .. } => {
            let is_all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
            Syntax::Prepared(PreparedSyntax::Deallocate((!is_all).then_some(name)))
        }
        other => Syntax::Statement(Box::new(other)),
    }
}
