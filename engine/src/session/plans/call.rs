//! One call of a statement: its parameters, and what it works with.

use super::prepared::Prepared;
use super::session_planner::SessionPlanner;
use crate::activity::SessionRecord;
use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::Transaction;
use crate::function::{
    EvalContext, MemoryTracker, Patience, SearchPath, SessionSequences, StatementClock,
    StatementScope, cast, text,
};
use crate::notification::Outbox;
use crate::session::api::given::Given;
use remora_storage::pool::{Claim, Ledger};
use remora_storage::time::DatabaseTime;
use remora_storage::{DataType, Value};
use std::sync::Arc;

/// What one call of a statement works with; kept by a prepared statement from call to call, so
/// that a call by key allocates nothing but its strings.
#[derive(Debug)]
pub(in crate::session) struct Call {
    /// Parameters (as given, then as cast), clock, session, ledger.
    pub(in crate::session) context: ExecContext,
    /// The rows of a read by key, one after another; or the row of a point select.
    pub(in crate::session) rows: Vec<Value>,
    /// Where parameters are gathered.
    given: Given,
}

impl Call {
    pub(in crate::session) fn new(
        session: &Arc<SessionRecord>,
        ledger: &Arc<Ledger>,
        planner: &Arc<SessionPlanner>,
        time: &Arc<DatabaseTime>,
    ) -> Self {
        Self {
            context: ExecContext {
                eval: EvalContext {
                    clock: StatementClock::of(time),
                    session: Some(Arc::clone(session)),
                    statement: None,
                    scope: None,
                    style: None,
                    types: None,
                    patience: Patience::default(),
                    memory: MemoryTracker::new(ledger),
                },
                parameters: Arc::from([]),
                ledger: Arc::clone(ledger),
                claim: Claim::Ordinary,
                with: None,
                profiling: None,
                planner: Arc::<SessionPlanner>::clone(planner),
                trigger_depth: 0,
            },
            rows: Vec::new(),
            given: Given::default(),
        }
    }

    /// Gives the statement what its functions may use of the database, as its transaction sees it.
    #[cold]
    pub(in crate::session) fn use_scope(
        &mut self,
        (tx, path): (&Transaction, &Arc<SearchPath>),
        read_only: bool,
        is_synchronous: bool,
        session: &Arc<SessionSequences>,
    ) {
        let (catalog, core) = (Arc::clone(tx.catalog()), Arc::clone(tx.core()));
        let names = (catalog, Arc::clone(path));
        let scope = StatementScope::new(names, core, read_only, is_synchronous, session);
        self.context.eval.statement = Some(scope);
    }

    /// Lets functions of the statement look at the rows that it sees.
    #[cold]
    pub(in crate::session) fn show_rows(&self, tx: &Transaction) {
        if let Some(scope) = self.scope() {
            scope.show(tx.id(), tx.view());
        }
    }

    /// The scope of the statement, if its functions need one.
    pub(in crate::session) fn scope(&self) -> Option<&StatementScope> {
        self.context.eval.statement.as_deref()
    }

    /// Takes the messages to other sessions that the statement has sent.
    pub(in crate::session) fn take_outbox(&self) -> Outbox {
        let scope = self.context.eval.statement.as_ref();
        scope.map(|scope| scope.take_outbox()).unwrap_or_default()
    }

    /// Takes the parameters of the next call.
    pub(in crate::session) fn give(&mut self, params: impl crate::session::Params) -> Result<()> {
        self.collect(params)?;
        self.take_collected();
        Ok(())
    }

    /// Gathers parameters; the literals of the text may take their place.
    pub(in crate::session) fn collect(
        &mut self,
        params: impl crate::session::Params,
    ) -> Result<()> {
        self.given.begin();
        params.collect_into(&mut self.given)
    }

    /// The parameters that were gathered, and the place of rows.
    pub(in crate::session) fn given_and_rows(&mut self) -> (&[Value], &mut Vec<Value>) {
        (&self.given, &mut self.rows)
    }

    /// The parameters of the call, and the place of rows.
    pub(in crate::session) fn parameters_and_rows(&mut self) -> (&[Value], &mut Vec<Value>) {
        (&self.context.parameters, &mut self.rows)
    }

    /// The parameters that were gathered.
    pub(in crate::session) fn collected(&mut self) -> &mut Given {
        &mut self.given
    }

    /// Makes what was gathered the parameters of the call.
    pub(in crate::session) fn take_collected(&mut self) {
        let parameters = &mut self.context.parameters;
        if self.given.is_empty() && parameters.is_empty() {
            return;
        }
        match Arc::get_mut(parameters) {
            Some(places) if places.len() == self.given.len() => self.given.exchange(places),
            _ => *parameters = self.given.take(),
        }
    }

    /// Forgets what a look-up has left that is large, and all rows but one of so many columns: the rest is used again.
    pub(in crate::session) fn forget_large(&mut self, columns: usize) {
        self.given.forget_large();
        self.rows.truncate(columns);
        self.rows.iter_mut().for_each(Value::forget_large);
    }

    /// Forgets what belongs to one statement, so that another can use it; its lists stay allocated.
    pub(in crate::session) fn clear(&mut self) {
        self.rows.clear();
        self.given.forget();
        let ExecContext {
            eval, parameters, ..
        } = &mut self.context;
        (eval.statement, eval.scope, eval.types) = (None, None, None);
        match Arc::get_mut(parameters) {
            Some(parameters) => parameters.fill(Value::Null),
            // A query that is still being read holds the list.
            None => *parameters = Arc::default(),
        }
        self.context.claim = Claim::Ordinary;
        self.context.with = None;
        self.context.profiling = None;
        self.context.trigger_depth = 0;
    }

    /// Casts the parameters to the types that the plan gives them. Doing it again is harmless.
    pub(in crate::session) fn bind(&mut self, prepared: &Prepared) -> Result<()> {
        if prepared.catalog().has_types() {
            self.context.eval.types = Some(Arc::clone(prepared.catalog().type_space()));
        }
        self.cast_to(&prepared.plan.planned.parameters)
    }

    /// The same where the types are known otherwise.
    pub(in crate::session) fn cast_to(&mut self, types: &[DataType]) -> Result<()> {
        let found = self.context.parameters.len();
        if found != types.len() {
            return Err(sql_error!(
                PROTOCOL_VIOLATION,
                "{found} parameters were supplied, but the statement requires {}",
                types.len()
            ));
        }
        let fits = |(value, to): (&Value, &DataType)| value.is_of(*to);
        if self.context.parameters.iter().zip(types).all(fits) {
            return Ok(());
        }
        let ExecContext {
            eval, parameters, ..
        } = &mut self.context;
        if let Some(parameters) = Arc::get_mut(parameters) {
            for (value, to) in parameters.iter_mut().zip(types) {
                *value = cast_parameter(value, *to, eval)?;
            }
            return Ok(());
        }
        // A query that is still being read holds the list.
        let cast = |(value, to): (&Value, &DataType)| cast_parameter(value, *to, eval);
        *parameters = parameters
            .iter()
            .zip(types)
            .map(cast)
            .collect::<Result<_>>()?;
        Ok(())
    }
}

fn cast_parameter(value: &Value, to: DataType, eval: &EvalContext) -> Result<Value> {
    match value {
        // Text is untyped, as a quoted literal is.
        Value::Text(text) if !to.is_string() && to.made().is_none() => {
            text::parse_in(text, to, text::Reading::of(eval.style()))
        }
        _ if value.is_of(to) => Ok(value.clone()),
        _ => cast::cast_value(value.as_ref(), to, false, eval),
    }
}
