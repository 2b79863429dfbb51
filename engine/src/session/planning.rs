//! How a session comes by the plan of a statement: from its cache, or from parser and planner.

use super::core::Session;
use super::prepared::{Names, Prepared};
use crate::activity::SessionRecord;
use crate::bind::declaration;
use crate::error::Result;
use crate::parse::{Parsed, PreparedSyntax, Syntax};
use crate::plan::Statement;

impl Session {
    /// Plans a statement for the catalog it would see now.
    pub(super) fn prepare(&mut self, parsed: Parsed) -> Result<Prepared> {
        self.check_not_failed(parsed.gets_out_of_failure())?;
        if let Syntax::Prepared(syntax @ PreparedSyntax::Execute { .. }) = &parsed.syntax {
            return self.named_statement(syntax, parsed.parameters);
        }
        self.planned = SessionRecord::number_after(self.planned);
        let catalog = self.catalog();
        if let Syntax::Cursor(syntax) = &parsed.syntax
            && let Some((declare, query)) = declaration(syntax)?
        {
            return Prepared::declaring(query, declare, self.names(&catalog), self.planned);
        }
        let prepared = Prepared::new(parsed, self.names(&catalog), self.planned)?;
        match &prepared.plan.planned.statement {
            Statement::Fetch(fetch) => {
                let columns = self.cursor_columns(&fetch.name)?;
                Ok(match fetch.schema {
                    Some(_) => prepared.showing(&columns),
                    None => prepared,
                })
            }
            _ => Ok(prepared),
        }
    }

    /// The plan that an earlier run of the same text has left, if it is still good.
    pub(super) fn cached(&mut self, sql: &str) -> Option<Prepared> {
        let catalog = match &self.block.tx {
            Some(tx) => tx.catalog(),
            None => &self.store.catalog(),
        };
        let names = Names {
            catalog,
            path: &self.path,
            effort: self.settings.effort(),
        };
        self.cache.get(sql, names, &self.ledger)
    }

    /// Keeps a plan for the next run of the same text.
    pub(super) fn keep(&mut self, sql: &str, prepared: &Prepared) {
        let is_fetch = matches!(prepared.plan.planned.statement, Statement::Fetch(_));
        // A name may come to mean another statement, or cursor.
        if prepared.arguments.is_some() || prepared.declare.is_some() || is_fetch {
            return;
        }
        self.cache.offer(sql, prepared, &self.ledger);
    }
}
