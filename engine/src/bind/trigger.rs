//! CREATE, ALTER and DROP TRIGGER, and the body of a trigger that is to be run.
//!
//! A trigger is kept as text in the definition of its table or view. It is bound once when it is made, so that
//! what is wrong with it is told then, and again when it is to fire. Names of the columns of its own table mean
//! what they meant then (`trigger_rows`); all others are looked up when it fires, as in PostgreSQL's functions.

use super::collation::of_def;
use super::trigger_rows::TriggerRows;
use super::{Binder, BoundStatement, Clause, Context, bind_within, name};
use crate::error::{Error, Position, Result, state};
use crate::function::cast::{CastContext, cast_context};
use crate::function::{Located, SearchPath};
use crate::parse::trigger::{self as syntax, BodyStatement, CreateTrigger, TriggerSyntax};
use crate::parse::{Parsed, Syntax, parse_expression, place, refuse};
use crate::plan::collation::Derivation;
use crate::plan::logical::LogicalStatement;
use crate::plan::structure::Step;
use crate::plan::{Expr, ExprKind, Statement};
use remora_storage::catalog::{
    Catalog, SourceColumn, TableDef, TableEntry, TriggerDef, TriggerEvent, TriggerTiming, ViewDef,
};
use remora_storage::{ColumnId, DataType};
use sqlparser::ast::{self, Ident, ObjectName};
use std::sync::Arc;

/// A statement of a trigger, bound.
#[derive(Debug)]
pub(crate) enum BodyPart {
    /// One that is run.
    Run(Box<BoundStatement>),
    /// SET: positions of columns of the new row, with their types, and the query of their values.
    Set(Vec<(usize, DataType)>, Box<BoundStatement>),
}

/// What a trigger is on.
#[derive(Clone)]
enum Subject {
    Table(Arc<TableEntry>),
    View(Arc<ViewDef>),
}

impl Subject {
    fn name(&self) -> &str {
        match self {
            Self::Table(table) => &table.def.name,
            Self::View(view) => &view.name,
        }
    }

    fn triggers(&self) -> &[TriggerDef] {
        match self {
            Self::Table(table) => &table.def.triggers,
            Self::View(view) => &view.triggers,
        }
    }

    /// Its columns, none of which any text names yet.
    fn columns(&self) -> Vec<SourceColumn> {
        let column = |id, name: &String, data_type| SourceColumn {
            id,
            name: name.clone(),
            data_type,
            used: false,
        };
        match self {
            Self::Table(table) => {
                let columns = table.def.columns.iter();
                columns
                    .map(|c| column(c.id, &c.name, c.data_type))
                    .collect()
            }
            Self::View(view) => {
                let columns = view.columns.iter().zip(0..);
                columns
                    .map(|(c, at)| column(ColumnId(at), &c.name, c.data_type))
                    .collect()
            }
        }
    }

    /// Complains where a trigger BEFORE a row asks for what is computed behind it.
    fn refuse_generated(
        &self,
        def: &TriggerDef,
        rows: &TriggerRows,
        names: (&Catalog, &SearchPath),
        at: Option<Position>,
    ) -> Result<()> {
        let (Self::Table(table), TriggerTiming::Before, Some(text)) =
            (self, def.timing, &def.condition)
        else {
            return Ok(());
        };
        let condition = condition(text, def, rows, names)?;
        let mut columns = table.def.columns.iter().enumerate();
        let named = columns.find(|(position, column)| {
            let is_it = |part: &Expr| matches!(part.kind, ExprKind::Parameter(n) if n == *position);
            column.generated.is_some() && condition.any(&mut |part| is_it(part))
        });
        match named {
            None => Ok(()),
            Some((_, column)) => {
                let message =
                    "BEFORE trigger's WHEN condition cannot reference NEW generated columns";
                Err(Error::new(state::INVALID_OBJECT_DEFINITION, message)
                    .with_detail(super::generated::is_generated(column))
                    .at(at))
            }
        }
    }

    /// The step that gives it other triggers.
    fn with(&self, mut triggers: Vec<TriggerDef>) -> Step {
        triggers.sort_by(|one, other| one.name.cmp(&other.name));
        match self {
            Self::Table(table) => Step::DefineTable(TableDef {
                triggers,
                ..table.def.clone()
            }),
            Self::View(view) => Step::AlterView(ViewDef {
                triggers,
                ..ViewDef::clone(view)
            }),
        }
    }
}

impl Binder<'_> {
    /// Binds a statement about triggers.
    pub(super) fn trigger(&self, syntax: &TriggerSyntax) -> Result<(Statement, &'static str)> {
        match syntax {
            TriggerSyntax::Create(create) => Ok((self.create_trigger(create)?, "CREATE TRIGGER")),
            TriggerSyntax::Drop(drop) => Ok((self.drop_trigger(drop)?, "DROP TRIGGER")),
            TriggerSyntax::Rename { name, table, to } => {
                Ok((self.rename_trigger(name, table, to)?, "ALTER TRIGGER"))
            }
        }
    }

    fn subject(&self, table: &ObjectName) -> Result<Subject> {
        let at = name::object_place(table);
        let located = self.relation_there(table)?;
        if let Some(view) = self.catalog.view(&located) {
            return Ok(Subject::View(Arc::clone(view)));
        }
        let found = self.subject_table(&located, at)?;
        Ok(Subject::Table(found))
    }

    fn subject_table(&self, located: &Located, at: Option<Position>) -> Result<Arc<TableEntry>> {
        let table = self.table(located, at)?;
        match table.def.materialized {
            None => Ok(table),
            Some(_) => {
                let message = format!("relation \"{located}\" cannot have triggers");
                Err(Error::new(state::WRONG_OBJECT_TYPE, message)
                    .with_detail("This operation is not supported for materialized views.")
                    .at(at))
            }
        }
    }

    fn create_trigger(&self, create: &CreateTrigger) -> Result<Statement> {
        let at = place(create.name.span);
        let subject = self.subject(&create.table)?;
        let mut def = TriggerDef {
            name: name::fold(&create.name)?,
            timing: create.timing,
            events: create.events.clone(),
            of: Vec::new(),
            for_each_row: create.for_each_row.unwrap_or(false),
            old_table: create.old_table.as_ref().map(name::fold).transpose()?,
            new_table: create.new_table.as_ref().map(name::fold).transpose()?,
            condition: create.condition.as_ref().map(ToString::to_string),
            body: create.body.clone(),
            columns: subject.columns(),
            disabled: false,
        };
        for column in &create.of {
            let wanted = name::fold(column)?;
            let found = def.columns.iter().find(|found| found.name == wanted);
            let Some(found) = found else {
                let relation = subject.name();
                let message =
                    format!("column \"{wanted}\" of relation \"{relation}\" does not exist");
                return Err(Error::new(state::UNDEFINED_COLUMN, message).at(place(column.span)));
            };
            if def.of.contains(&found.id) {
                let message = format!("column \"{wanted}\" specified more than once");
                return Err(Error::new(state::DUPLICATE_COLUMN, message).at(place(column.span)));
            }
            def.of.push(found.id);
        }
        refuse_combination(&def, &subject, at)?;
        let there = subject
            .triggers()
            .iter()
            .any(|other| other.name == def.name);
        if there && create.if_not_exists {
            return Ok(Statement::Structure(Vec::new()));
        }
        if there && !create.or_replace {
            return Err(taken(&def.name, subject.name()).at(at));
        }
        let now: Vec<_> = def.columns.iter().map(|c| (c.id, c.data_type)).collect();
        let rows = TriggerRows::new(&def, &now);
        let told = create.for_each_row.is_some();
        bind_texts(&def, &now, &rows, (self.catalog, self.path)).map_err(|error| {
            let error = error.moved(at);
            match error.hint() {
                Some(hint) if !told && hint.contains("FOR EACH ROW") => error.with_hint(
                    "A trigger fires FOR EACH STATEMENT unless it says FOR EACH ROW, and only then it knows \
                     NEW and OLD.",
                ),
                _ => error,
            }
        })?;
        subject.refuse_generated(&def, &rows, (self.catalog, self.path), at)?;
        rows.mark(&mut def.columns);
        let mut triggers = subject.triggers().to_vec();
        triggers.retain(|other| other.name != def.name);
        triggers.push(def);
        Ok(Statement::Structure(vec![subject.with(triggers)]))
    }

    fn drop_trigger(&self, drop: &syntax::DropTrigger) -> Result<Statement> {
        let nothing = Statement::Structure(Vec::new());
        let subject = match self.subject(&drop.table) {
            Err(error)
                if drop.if_exists
                    && [state::UNDEFINED_TABLE, state::INVALID_SCHEMA_NAME]
                        .contains(&error.sqlstate()) =>
            {
                return Ok(nothing);
            }
            other => other?,
        };
        let name = name::fold(&drop.name)?;
        let mut triggers = subject.triggers().to_vec();
        triggers.retain(|trigger| trigger.name != name);
        if triggers.len() == subject.triggers().len() {
            return match drop.if_exists {
                true => Ok(nothing),
                false => Err(no_trigger(&name, subject.name()).at(place(drop.name.span))),
            };
        }
        Ok(Statement::Structure(vec![subject.with(triggers)]))
    }

    fn rename_trigger(&self, old: &Ident, table: &ObjectName, to: &Ident) -> Result<Statement> {
        let subject = self.subject(table)?;
        let (old_name, new_name) = (name::fold(old)?, name::fold(to)?);
        let mut triggers = subject.triggers().to_vec();
        if old_name != new_name && triggers.iter().any(|other| other.name == new_name) {
            return Err(taken(&new_name, subject.name()).at(place(to.span)));
        }
        let Some(trigger) = triggers.iter_mut().find(|trigger| trigger.name == old_name) else {
            return Err(no_trigger(&old_name, subject.name()).at(place(old.span)));
        };
        trigger.name = new_name;
        Ok(Statement::Structure(vec![subject.with(triggers)]))
    }
}

/// ALTER TABLE .. ENABLE or DISABLE TRIGGER: a name, or ALL or USER.
///
/// # Errors
/// 42704
pub(super) fn enable(table: &mut TableDef, ident: &Ident, enabled: bool) -> Result<()> {
    let all = ident.quote_style.is_none()
        && ["all", "user"]
            .iter()
            .any(|word| ident.value.eq_ignore_ascii_case(word));
    let wanted = name::fold_label(ident)?;
    let mut found = false;
    for trigger in &mut table.triggers {
        if all || trigger.name == wanted {
            trigger.disabled = !enabled;
            found = true;
        }
    }
    match all || found {
        true => Ok(()),
        false => Err(no_trigger(&wanted, &table.name).at(place(ident.span))),
    }
}

fn no_trigger(trigger: &str, table: &str) -> Error {
    let message = format!("trigger \"{trigger}\" for table \"{table}\" does not exist");
    Error::new(state::UNDEFINED_OBJECT, message)
}

fn taken(trigger: &str, table: &str) -> Error {
    let message = format!("trigger \"{trigger}\" for relation \"{table}\" already exists");
    Error::new(state::DUPLICATE_OBJECT, message)
}

/// What cannot be said together, in PostgreSQL's words.
fn refuse_combination(def: &TriggerDef, subject: &Subject, at: Option<Position>) -> Result<()> {
    use TriggerTiming::{After, InsteadOf};
    let fires_at = |event| def.events.contains(&event);
    let name = subject.name();
    let wrong_kind = |kind: &str, detail: &str| {
        Err(sql_error!(WRONG_OBJECT_TYPE, "\"{name}\" is a {kind}")
            .with_detail(detail)
            .at(at))
    };
    let twice = def.events.iter().enumerate();
    if twice
        .clone()
        .any(|(at, event)| def.events[..at].contains(event))
    {
        return Err(sql_error!(SYNTAX_ERROR, "duplicate trigger events specified").at(at));
    }
    match (subject, def.timing) {
        (Subject::Table(_), InsteadOf) => {
            return wrong_kind("table", "Tables cannot have INSTEAD OF triggers.");
        }
        (Subject::View(_), timing) if timing != InsteadOf && def.for_each_row => {
            return wrong_kind(
                "view",
                "Views cannot have row-level BEFORE or AFTER triggers.",
            );
        }
        (Subject::View(_), _) if fires_at(TriggerEvent::Truncate) => {
            return wrong_kind("view", "Views cannot have TRUNCATE triggers.");
        }
        (Subject::View(_), _) if def.old_table.is_some() || def.new_table.is_some() => {
            return wrong_kind("view", "Triggers on views cannot have transition tables.");
        }
        _ => {}
    }
    let unsupported = |message: &str| Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(at));
    if def.for_each_row && fires_at(TriggerEvent::Truncate) {
        return unsupported("TRUNCATE FOR EACH ROW triggers are not supported");
    }
    if def.timing == InsteadOf {
        if !def.for_each_row {
            return unsupported("INSTEAD OF triggers must be FOR EACH ROW");
        }
        if def.condition.is_some() {
            return unsupported("INSTEAD OF triggers cannot have WHEN conditions");
        }
        if !def.of.is_empty() {
            return unsupported("INSTEAD OF triggers cannot have column lists");
        }
    }
    if def.old_table.is_none() && def.new_table.is_none() {
        return Ok(());
    }
    let invalid = |message: &str| Err(Error::new(state::INVALID_OBJECT_DEFINITION, message).at(at));
    if def.timing != After {
        return invalid("transition table name can only be specified for an AFTER trigger");
    }
    if fires_at(TriggerEvent::Truncate) {
        return invalid("TRUNCATE triggers with transition tables are not supported");
    }
    if def.events.len() > 1 {
        return unsupported(
            "transition tables cannot be specified for triggers with more than one event",
        );
    }
    if !def.of.is_empty() {
        return unsupported("transition tables cannot be specified for triggers with column lists");
    }
    if def.new_table.is_some() && fires_at(TriggerEvent::Delete) {
        return invalid("NEW TABLE can only be specified for an INSERT or UPDATE trigger");
    }
    if def.old_table.is_some() && fires_at(TriggerEvent::Insert) {
        return invalid("OLD TABLE can only be specified for a DELETE or UPDATE trigger");
    }
    match def.old_table == def.new_table {
        true => invalid("OLD TABLE name and NEW TABLE name cannot be the same"),
        false => Ok(()),
    }
}

/// The condition of a trigger that fires, and its statements; `now` are the columns of its table.
///
/// # Errors
/// Those of binding them.
pub(crate) fn bind_trigger(
    def: &TriggerDef,
    now: &[(ColumnId, DataType)],
    names: (&Catalog, &SearchPath),
) -> Result<(Option<Expr>, Vec<BodyPart>)> {
    let collations = collations_of(def, now, names)?;
    let rows = TriggerRows::new(def, now).with_collations(collations);
    bind_texts(def, now, &rows, names)
}

/// The collations of the columns of the table or view that a trigger is of.
fn collations_of(
    def: &TriggerDef,
    now: &[(ColumnId, DataType)],
    (catalog, path): (&Catalog, &SearchPath),
) -> Result<Vec<Derivation>> {
    let is_of = |triggers: &[TriggerDef]| triggers.iter().any(|other| other == def);
    if let Some(table) = catalog.tables().find(|table| is_of(&table.def.triggers)) {
        let column = |id: ColumnId| {
            let position = table.def.position(id)?;
            Some(of_def(&table.def.columns[position]))
        };
        let found = now.iter().map(|(id, _)| column(*id));
        return Ok(found
            .map(|one| one.unwrap_or(Derivation::Default))
            .collect());
    }
    let Some(view) = catalog.views().find(|view| is_of(&view.triggers)) else {
        return Ok(Vec::new());
    };
    let mut binder = Binder::new(catalog);
    binder.path = path;
    let source = binder.view(view, &view.name, None)?;
    let columns = source.scope.columns.iter();
    Ok(columns
        .map(|column| binder.columns.collations.of_column(column.column))
        .collect())
}

fn bind_texts(
    def: &TriggerDef,
    now: &[(ColumnId, DataType)],
    rows: &TriggerRows,
    names: (&Catalog, &SearchPath),
) -> Result<(Option<Expr>, Vec<BodyPart>)> {
    let condition = match &def.condition {
        None => None,
        Some(text) => Some(condition(text, def, rows, names)?),
    };
    let parameters = rows.parameters(now);
    let mut parts = Vec::new();
    for statement in syntax::parse_body(&def.body)? {
        parts.push(match statement {
            BodyStatement::Statement(parsed) => {
                let bound = bind_one(&parsed, names, &parameters, rows, &[])?;
                BodyPart::Run(Box::new(bound))
            }
            BodyStatement::Set(columns, query) => {
                let columns = set_columns(def, rows, &columns)?;
                let types: Vec<DataType> =
                    columns.iter().map(|(_, data_type)| *data_type).collect();
                let bound = bind_one(&query, names, &parameters, rows, &types)?;
                check_assigned(&bound, &types)?;
                BodyPart::Set(columns, Box::new(bound))
            }
        });
    }
    Ok((condition, parts))
}

fn bind_one(
    parsed: &Parsed,
    names: (&Catalog, &SearchPath),
    parameters: &[Option<DataType>],
    rows: &TriggerRows,
    wanted: &[DataType],
) -> Result<BoundStatement> {
    if parsed.parameters > 0 {
        return Err(sql_error!(UNDEFINED_PARAMETER, "there is no parameter $1"));
    }
    use ast::Statement as S;
    let is_fit = match &parsed.syntax {
        Syntax::Statement(statement) => matches!(
            **statement,
            S::Query(_)
                | S::Insert(_)
                | S::Update(_)
                | S::Delete(_)
                | S::Merge(_)
                | S::NOTIFY { .. }
        ),
        _ => false,
    };
    if !is_fit {
        return refuse("this statement in a trigger", None);
    }
    bind_within(parsed, names, parameters, Some(rows), wanted)
}

fn condition(
    text: &str,
    def: &TriggerDef,
    rows: &TriggerRows,
    (catalog, path): (&Catalog, &SearchPath),
) -> Result<Expr> {
    let syntax = parse_expression(text)?;
    let scope = super::scope::Scope::default();
    let mut binder = Binder::new(catalog);
    binder.path = path;
    binder.trigger = Some(rows);
    let mut cx = Context::new(&scope, Clause::TriggerWhen);
    let bound = binder.condition_of(&syntax, "WHEN", &mut cx);
    let invalid = |message: String| Error::new(state::INVALID_OBJECT_DEFINITION, message);
    let expr = bound.map_err(|error| match error.hint() {
        Some(hint) if hint.contains("FOR EACH ROW") => match def.events.first() {
            _ if !def.for_each_row => {
                let message = "statement trigger's WHEN condition cannot reference column values";
                invalid(message.to_owned()).with_hint("A trigger FOR EACH ROW can.")
            }
            Some(TriggerEvent::Insert) => invalid(cannot_reference("INSERT", "OLD")),
            _ => invalid(cannot_reference("DELETE", "NEW")),
        },
        _ => error,
    })?;
    let width = rows.parameters_of_a_row();
    let names = |old: bool| {
        expr.any(&mut |part| match part.kind {
            ExprKind::Parameter(number) => (number >= width) == old,
            _ => false,
        })
    };
    for (event, old, word, row) in [
        (TriggerEvent::Insert, true, "INSERT", "OLD"),
        (TriggerEvent::Delete, false, "DELETE", "NEW"),
    ] {
        if def.events.contains(&event) && names(old) {
            return Err(invalid(cannot_reference(word, row)));
        }
    }
    Ok(expr)
}

fn cannot_reference(event: &str, row: &str) -> String {
    format!("{event} trigger's WHEN condition cannot reference {row} values")
}

/// The columns of the new row that a SET is about.
fn set_columns(
    def: &TriggerDef,
    rows: &TriggerRows,
    idents: &[Ident],
) -> Result<Vec<(usize, DataType)>> {
    let may_set = def.timing != TriggerTiming::After && rows.has_new;
    if !may_set {
        let message = "NEW can be set only by a trigger BEFORE or INSTEAD OF an INSERT or UPDATE, FOR EACH ROW";
        return Err(Error::new(state::INVALID_OBJECT_DEFINITION, message));
    }
    let mut columns = Vec::with_capacity(idents.len());
    for ident in idents {
        let wanted = name::fold(ident)?;
        let Some(column) = rows.position(&wanted) else {
            let message = format!("record \"new\" has no field \"{wanted}\"");
            return Err(Error::new(state::UNDEFINED_COLUMN, message));
        };
        columns.push(column);
    }
    Ok(columns)
}

/// Complains where a value cannot be assigned to its column.
fn check_assigned(bound: &BoundStatement, types: &[DataType]) -> Result<()> {
    let LogicalStatement::Query(query) = &bound.statement else {
        return refuse("this form of SET", None);
    };
    for ((_, column), to) in query.output.iter().zip(types) {
        let from = bound.columns.field(*column).data_type;
        let fits = from == *to
            || cast_context(from, *to).is_some_and(|needed| needed <= CastContext::Assignment);
        if !fits {
            let message = format!(
                "a value of type {} cannot be assigned to a column of type {}",
                super::coerce::plain(from),
                super::coerce::plain(*to)
            );
            return Err(Error::new(state::DATATYPE_MISMATCH, message));
        }
    }
    Ok(())
}

/// The name of a trigger that names a column of its table, or fires where it is set.
pub(super) fn using(table: &TableDef, column: ColumnId) -> impl Iterator<Item = &TriggerDef> {
    let triggers = table.triggers.iter();
    triggers.filter(move |trigger| trigger.uses(column))
}
