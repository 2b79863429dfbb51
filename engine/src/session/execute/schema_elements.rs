//! CREATE SCHEMA with what is to be in it: each element is planned and run when those before it are there.

use super::dispatch::{self, Pipe};
use crate::error::Result;
use crate::exec::Transaction;
use crate::parse::Parsed;
use crate::session::plans::call::Call;
use crate::session::plans::prepared::Prepared;
use std::sync::Arc;

/// Makes the elements of the schema of that name, which was just made.
pub(in crate::session) fn make(
    (elements, schema): (&[Arc<Parsed>], &str),
    prepared: &Prepared,
    tx: &mut Transaction,
    call: &mut Call,
) -> Result<()> {
    let own = prepared.names();
    let path = Arc::new(own.path.before(schema));
    for element in elements {
        tx.begin_command();
        let catalog = Arc::clone(tx.catalog());
        let names = crate::session::plans::prepared::Names {
            catalog: &catalog,
            path: &path,
            ..own
        };
        let element = Prepared::new(element.as_ref().clone(), names, 0)?;
        dispatch::run(&element.plan, tx, call, &mut Pipe::None)?;
    }
    Ok(())
}
