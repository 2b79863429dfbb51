//! How a session comes by the plan of a statement: from its cache, or from parser and planner.

use super::core::Session;
use super::prepared::{Call, Names, Prepared};
use super::template::Template;
use crate::activity::SessionRecord;
use crate::bind::declaration;
use crate::error::{Error, Result, state};
use crate::parse::{Parsed, PreparedSyntax, Syntax, parse};
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
        let found = self.kept(sql).flatten();
        self.cache.count(found.is_some());
        found
    }

    /// What the cache has for a key.
    fn kept(&mut self, key: &str) -> Option<Option<Prepared>> {
        let catalog = match &self.block.tx {
            Some(tx) => tx.catalog(),
            None => &self.store.catalog(),
        };
        let names = Names {
            catalog,
            path: &self.path,
            effort: self.settings.effort(),
        };
        self.cache.get(key, names, &self.ledger)
    }

    /// A plan that earlier runs have left, of this text or of texts that differ from it in literals. Those of this
    /// one become the parameters of `call`, if it has none.
    pub(super) fn find(&mut self, sql: &str, call: &mut Call) -> Result<Option<Prepared>> {
        let found = self.find_kept(sql, call);
        self.cache.count(found.is_some());
        Ok(found)
    }

    fn find_kept(&mut self, sql: &str, call: &mut Call) -> Option<Prepared> {
        let of_text = self.kept(sql).flatten();
        if of_text.is_some() || !call.context.parameters.is_empty() {
            return of_text;
        }
        let mut template = std::mem::take(&mut self.template);
        let of_template = match template.read(sql) {
            true => self.of_template(&template),
            false => None,
        };
        if of_template.is_some() {
            call.give_literals(&mut template.literals);
        }
        self.template = template;
        of_template
    }

    /// The plan of a template. It is made when the second text of it comes.
    fn of_template(&mut self, template: &Template) -> Option<Prepared> {
        if let Some(kept) = self.kept(&template.key) {
            return kept;
        }
        if !self.cache.was_seen(&template.key) {
            return None;
        }
        let made = self.plan_template(template);
        self.cache.insert(&template.key, made.clone(), &self.ledger);
        made
    }

    fn plan_template(&mut self, template: &Template) -> Option<Prepared> {
        let parsed = parse(template.text()).ok()?.pop()?;
        self.planned = SessionRecord::number_after(self.planned);
        let catalog = self.catalog();
        let names = self.names(&catalog);
        let prepared = Prepared::of_literals(parsed, names, template.types(), self.planned);
        prepared.ok().filter(Prepared::is_template)
    }

    /// The error of a statement whose literals were parameters, as it would be if they were literals: those that
    /// planning finds have a place in the text.
    pub(super) fn placed(&self, error: Error, sql: &str) -> Error {
        let may_be_found =
            error.sqlstate().starts_with("22") || error.sqlstate() == state::CHECK_VIOLATION;
        if !may_be_found {
            return error;
        }
        let catalog = self.catalog();
        let names = self.names(&catalog);
        let planned =
            one_statement(sql).and_then(|parsed| Prepared::new(parsed, names, self.planned));
        match planned {
            Err(found) if found.sqlstate() == error.sqlstate() => found,
            _ => error,
        }
    }

    /// Plans a text, and leaves the plan for the next run of it.
    pub(super) fn prepare_to_keep(&mut self, sql: &str) -> Result<Prepared> {
        let prepared = self.prepare(one_statement(sql)?)?;
        self.keep(sql, &prepared);
        Ok(prepared)
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

/// Parses a text that must hold exactly one statement.
pub(super) fn one_statement(sql: &str) -> Result<Parsed> {
    let mut parsed = parse(sql)?;
    match (parsed.pop(), parsed.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(Error::new(state::SYNTAX_ERROR, "there is no statement")),
        (Some(_), false) => Err(Error::new(
            state::SYNTAX_ERROR,
            "cannot insert multiple commands into a prepared statement",
        )),
    }
}
