//! Statements that a session knows by name: PREPARE, EXECUTE, DEALLOCATE.
//!
//! PREPARE plans a statement, EXECUTE runs it as if it had been written out there. So an EXECUTE is never
//! planned itself: when it is prepared it becomes the statement of that name, with the arguments beside it that are
//! evaluated first. Names do not belong to transactions; they last until they are given up.

use super::call::Call;
use super::prepared::{Names, Prepared};
use crate::bind::{Arguments, bind_arguments, statement_name};
use crate::error::{Error, Result, state};
use crate::exec;
use crate::function::StatementShown;
use crate::parse::PreparedSyntax;
use crate::session::execute::core::Session;
use remora_storage::DataType;
use remora_storage::pool::{Owner, Reservation};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// What a statement is taken to need, a byte of its text.
const BYTES_PER_TEXT_BYTE: u64 = 64;

/// The statements of a session.
#[derive(Debug, Default)]
pub(in crate::session) struct NamedStatements {
    all: HashMap<String, Named>,
    /// What is shown of them, once it was asked for since the last one came or went.
    shown: OnceLock<Arc<[StatementShown]>>,
}

#[derive(Debug)]
struct Named {
    prepared: Prepared,
    /// The text that named it.
    text: Arc<str>,
    /// When.
    micros: i64,
    _memory: Reservation,
}

impl NamedStatements {
    /// What is shown of them.
    pub(in crate::session) fn shown(&self) -> Arc<[StatementShown]> {
        let shown = || {
            let mut all: Vec<StatementShown> = (self.all.iter())
                .map(|(name, named)| StatementShown {
                    name: name.clone(),
                    statement: named.text.to_string(),
                    prepared: named.micros,
                    parameters: named.prepared.plan.planned.parameters.clone(),
                })
                .collect();
            all.sort_by(|one, other| one.name.cmp(&other.name));
            all.into()
        };
        Arc::clone(self.shown.get_or_init(shown))
    }

    fn change(&mut self) -> &mut HashMap<String, Named> {
        self.shown.take();
        &mut self.all
    }
}

impl Session {
    /// PREPARE: `outer` is that statement itself.
    pub(in crate::session) fn name_statement(
        &mut self,
        outer: &Prepared,
        name: &str,
        types: &[DataType],
    ) -> Result<()> {
        let Some(PreparedSyntax::Prepare { statement, .. }) = outer.prepared_syntax() else {
            unreachable!("only PREPARE is planned as one");
        };
        if self.named.all.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Error::new(state::DUPLICATE_PREPARED_STATEMENT, message));
        }
        let bytes = statement.text.len() as u64 * BYTES_PER_TEXT_BYTE;
        let memory = self.ledger.reserve(Owner::Cache, bytes)?;
        let prepared =
            Prepared::of_types(Arc::clone(statement), self.names(&self.catalog()), types)?;
        let named = Named {
            prepared,
            text: Arc::clone(outer.text()),
            micros: self.store.time().tell(),
            _memory: memory,
        };
        self.named.change().insert(name.to_owned(), named);
        Ok(())
    }

    /// The statement that an EXECUTE means.
    pub(in crate::session) fn named_statement(
        &mut self,
        syntax: &PreparedSyntax,
        own: usize,
    ) -> Result<Prepared> {
        let PreparedSyntax::Execute { name, arguments } = syntax else {
            unreachable!("others are planned");
        };
        let name = statement_name(name)?;
        let catalog = self.catalog();
        let Some(named) = self.named.all.get_mut(&name) else {
            return Err(unknown(&name));
        };
        let names = Names {
            catalog: &catalog,
            path: &self.path,
            effort: self.settings.effort(),
        };
        named.prepared.refresh(names)?;
        let types = &named.prepared.plan.planned.parameters;
        let arguments = bind_arguments(arguments, (&name, types), own, (&catalog, &self.path))?;
        Ok(named.prepared.with_arguments(arguments))
    }

    /// DEALLOCATE of one, or of all.
    pub(in crate::session) fn forget_statement(&mut self, name: Option<&str>) -> Result<()> {
        match name {
            None => self.named.change().clear(),
            Some(name) => {
                let gone = self.named.change().remove(name);
                gone.map(drop).ok_or_else(|| unknown(name))?;
            }
        }
        Ok(())
    }
}

fn unknown(name: &str) -> Error {
    let message = format!("prepared statement \"{name}\" does not exist");
    Error::new(state::UNDEFINED_PREPARED_STATEMENT, message)
}

impl Call {
    /// Puts the values of an EXECUTE's arguments in the place of its own parameters.
    pub(in crate::session) fn take_arguments(&mut self, arguments: &Arguments) -> Result<()> {
        self.cast_to(&arguments.parameters)?;
        let values = exec::constants(&arguments.exprs, &self.context)?;
        self.context.parameters = values.into();
        Ok(())
    }
}
