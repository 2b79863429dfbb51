//! How a session comes by the plan of a statement: from its cache, or from parser and planner.

use super::call::Call;
use super::plan_cache::Kept;
use super::prepared::{Names, Prepared};
use super::template::Template;
use crate::activity::{SessionRecord, relieved};
use crate::bind::declaration;
use crate::error::{Error, Result, state};
use crate::parse::{self, Parsed, PreparedSyntax, Syntax};
use crate::plan::Statement;
use crate::session::api::given::Given;
use crate::session::execute::core::Session;
use remora_storage::pool::{Ledger, Owner};
use std::sync::Arc;

impl Session {
    /// Plans a statement for the catalog it would see now.
    pub(in crate::session) fn prepare(&mut self, parsed: Parsed) -> Result<Prepared> {
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
    pub(in crate::session) fn cached(&mut self, sql: &str) -> Option<Prepared> {
        self.freshen_cache();
        let kept = self.cache.get(self.cache.key(sql));
        let found = match kept {
            Some(Kept::Plan(prepared)) => Some(prepared),
            // A template's plan has parameters that the caller knows nothing of.
            Some(Kept::Literals(..) | Kept::NoPlan) | None => self.take_over(sql),
        };
        self.cache.count(found.is_some());
        found
    }

    fn freshen_cache(&mut self) {
        let catalog = match &self.block.tx {
            Some(tx) => tx.catalog(),
            None => &self.store.catalog(),
        };
        let names = Names {
            catalog,
            path: &self.path,
            effort: self.settings.effort(),
        };
        if self.cache.freshen(names, &self.ledger) && self.block.tx.is_none() {
            self.sessions
                .plans
                .follow(names.catalog, self.ledger.pressure().rises());
        }
    }

    /// A plan that another session has left.
    #[cold]
    fn take_over(&mut self, text: &str) -> Option<Prepared> {
        let number = SessionRecord::number_after(self.planned);
        let catalog = self.catalog();
        let names = self.names(&catalog);
        let found = self.sessions.plans.get(text, names, number)?;
        self.planned = number;
        let key = self.cache.key(text);
        self.cache
            .insert(key, Kept::Plan(found.clone()), &self.ledger);
        Some(found)
    }

    /// Leaves a plan to other sessions. What an open transaction has defined is not theirs yet.
    #[cold]
    fn hand_on(&self, text: &str, prepared: &Prepared) {
        if self.block.tx.is_none() {
            self.sessions.plans.offer(text, prepared, &self.ledger);
        }
    }

    /// A plan that earlier runs have left, of this text or of texts that differ from it in literals. What was gathered for
    /// `call` becomes its parameters; where nothing was, the literals do.
    pub(in crate::session) fn find(&mut self, sql: &str, call: &mut Call) -> Option<Prepared> {
        self.freshen_cache();
        let found = self.find_kept(sql, call.collected());
        call.take_collected();
        self.cache.count(found.is_some());
        found
    }

    fn find_kept(&mut self, sql: &str, parameters: &mut Given) -> Option<Prepared> {
        let key = self.cache.key(sql);
        match self.cache.get(key) {
            Some(Kept::Plan(prepared)) => return Some(prepared),
            Some(Kept::Literals(prepared, literals)) if parameters.is_empty() => {
                parameters.copy(&literals);
                return Some(prepared);
            }
            _ if !parameters.is_empty() => return self.take_over(sql),
            Some(Kept::Literals(..) | Kept::NoPlan) | None => {}
        }
        let of_template = match self.template.read(sql) {
            true => self.of_template(),
            false => None,
        };
        let Some(prepared) = of_template else {
            return self.take_over(sql);
        };
        let literals = &mut self.template.literals;
        let with_literals = (&prepared, literals.as_slice());
        self.cache.offer_literals(key, with_literals, &self.ledger);
        parameters.copy(literals);
        Some(prepared)
    }

    /// The plan of the template that was read. It is made when the second text of it comes.
    fn of_template(&mut self) -> Option<Prepared> {
        let key = self.cache.key(&self.template.key);
        match self.cache.get(key) {
            Some(Kept::Plan(prepared)) => return Some(prepared),
            Some(Kept::Literals(..) | Kept::NoPlan) => return None,
            None => {}
        }
        let was_seen = self.cache.was_template_seen(key);
        let template = std::mem::take(&mut self.template);
        let found = match self.take_over(&template.key) {
            None if was_seen => self.plan_template(&template),
            found => found,
        };
        self.template = template;
        found
    }

    /// Plans a template, and keeps what came of it.
    fn plan_template(&mut self, template: &Template) -> Option<Prepared> {
        let made = self.made_of(template);
        let kept = match &made {
            Some(made) => {
                self.hand_on(&template.key, made);
                Kept::Plan(made.clone())
            }
            None => Kept::NoPlan,
        };
        let key = self.cache.key(&template.key);
        self.cache.insert(key, kept, &self.ledger);
        made
    }

    fn made_of(&mut self, template: &Template) -> Option<Prepared> {
        let parsed = parse::parse(template.text()).ok()?.pop()?;
        self.planned = SessionRecord::number_after(self.planned);
        let catalog = self.catalog();
        let names = self.names(&catalog);
        let prepared = Prepared::of_literals(parsed, names, template.types(), self.planned);
        prepared.ok().filter(Prepared::is_template)
    }

    /// The error of a statement whose literals were parameters, as it would be if they were literals: those that
    /// planning finds have a place in the text.
    pub(in crate::session) fn placed(&self, error: Error, sql: &str) -> Error {
        let may_be_found =
            error.sqlstate().starts_with("22") || error.sqlstate() == state::CHECK_VIOLATION;
        if !may_be_found {
            return error;
        }
        let catalog = self.catalog();
        let names = self.names(&catalog);
        let planned = one_statement(sql, &self.ledger)
            .and_then(|parsed| Prepared::new(parsed, names, self.planned));
        match planned {
            Err(found) if found.sqlstate() == error.sqlstate() => found,
            _ => error,
        }
    }

    /// Plans a text, and leaves the plan for the next run of it.
    pub(in crate::session) fn prepare_to_keep(&mut self, sql: &str) -> Result<Prepared> {
        let prepared = self.prepare(one_statement(sql, &self.ledger)?)?;
        self.keep(sql, &prepared);
        Ok(prepared)
    }

    /// Keeps a plan for the next run of the same text.
    pub(in crate::session) fn keep(&mut self, sql: &str, prepared: &Prepared) {
        let is_fetch = matches!(prepared.plan.planned.statement, Statement::Fetch(_));
        // A name may come to mean another statement, or cursor.
        if prepared.arguments.is_some() || prepared.declare.is_some() || is_fetch {
            return;
        }
        if self.cache.offer(sql, prepared, &self.ledger) {
            self.hand_on(sql, prepared);
        }
    }
}

/// Parses a text. Where that takes much, it is reserved for as long as anything that comes of it lives.
///
/// # Errors
/// Those of the parser; 53200.
pub(in crate::session) fn parsed(sql: &str, ledger: &Arc<Ledger>) -> Result<Vec<Parsed>> {
    let bytes = parse::memory(sql);
    if bytes == 0 {
        return parse::parse(sql);
    }
    let memory = relieved(ledger, || ledger.reserve(Owner::Query, bytes as u64))?;
    let memory = Arc::new(memory);
    let mut parsed = parse::parse(sql)?;
    for statement in &mut parsed {
        statement.memory = Some(Arc::clone(&memory));
    }
    Ok(parsed)
}

/// Parses a text that must hold exactly one statement.
pub(in crate::session) fn one_statement(sql: &str, ledger: &Arc<Ledger>) -> Result<Parsed> {
    let mut parsed = parsed(sql, ledger)?;
    match (parsed.pop(), parsed.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(sql_error!(SYNTAX_ERROR, "there is no statement")),
        (Some(_), false) => Err(sql_error!(
            SYNTAX_ERROR,
            "cannot insert multiple commands into a prepared statement"
        )),
    }
}
