//! What the texts of the catalog name beside tables: functions, types, and values of enumerations.
//!
//! A text (a default, a condition, the query of a view ..) holds names, not ids. Whoever wants to know what it depends
//! on binds it, and the binder notes what it meets, each with its place in the text. So what a text names keeps it from
//! going ([`Binder::add_naming`]), and where something gets another name, the text is written anew
//! ([`Binder::renamed_texts`]).
//!
//! The bodies of functions that are strings, and those of triggers, are read when they run, as in PostgreSQL: what
//! they name does not count.

use super::check::{bind_check, positions};
use super::dependents::{Dependents, described};
use super::materialized::as_view;
use super::trigger_rows::TriggerRows;
use super::{Binder, Clause, Context};
use crate::error::{Position, Result};
use crate::parse::{Replaced, parse_expression, parse_query, refuse, replace_at};
use crate::plan::structure::Step;
use remora_storage::catalog::{
    ColumnDef, FunctionBody, FunctionDef, TableDef, TableEntry, TriggerDef, TypeDef, TypeKind,
    ViewDef,
};
use remora_storage::{ColumnId, DataType, TableId, TypeId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Something that a text names.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Mention {
    /// A function in SQL.
    Function(TableId),
    /// A type.
    Type(TypeId),
    /// A literal that is a value, or an array of values, of an enumeration.
    Label(TypeId, String),
}

impl Mention {
    pub(super) fn type_id(&self) -> Option<TypeId> {
        match self {
            Self::Function(_) => None,
            Self::Type(id) | Self::Label(id, _) => Some(*id),
        }
    }
}

/// What a text names, and where; nowhere in it, where something that it names does.
pub(super) type Mentions = Vec<(Mention, Option<Position>)>;

/// What stands in the place of something that a text names, if anything else.
pub(super) type Rename<'r> = &'r dyn Fn(&Mention) -> Result<Option<Replaced>>;

/// Says on what a text depends, of what it names.
pub(super) type DependsOn<'d> = &'d dyn Fn(&Mentions) -> Option<String>;

impl Binder<'_> {
    /// Notes that the text that is being bound names something.
    pub(super) fn note(&self, what: Mention, at: Option<Position>) {
        let mut mentions = self.mentions.borrow_mut();
        if !mentions.iter().any(|known| *known == (what.clone(), at)) {
            mentions.push((what, at));
        }
    }

    /// What an expression over a table's columns names; `of` is the column whose value it is.
    pub(super) fn named_in(
        &self,
        text: &str,
        table: &TableDef,
        of: Option<&ColumnDef>,
    ) -> Mentions {
        let Ok(syntax) = parse_expression(text) else {
            return Mentions::new();
        };
        let scope = positions(&table.name, &table.columns);
        let mut binder = Binder::new(self.catalog);
        // What cannot be bound names what was found so far.
        let bound = binder.expr(&syntax, &mut Context::new(&scope, Clause::Check));
        if let (Ok(bound), Some(column)) = (bound, of) {
            let _ = binder.assign_to(bound, column, None);
        }
        binder.mentions.into_inner()
    }

    /// What a view's query names.
    pub(super) fn named_by_view(&self, view: &ViewDef) -> Mentions {
        let Ok(query) = parse_query(&view.query) else {
            return Mentions::new();
        };
        let mut binder = Binder::new(self.catalog);
        binder.names = Some(&view.sources);
        let _ = binder.query(&query, &[]);
        binder.mentions.into_inner()
    }

    /// What the body of a function names, if it was bound when it was made.
    pub(super) fn named_by_body(&self, def: &FunctionDef) -> Mentions {
        match &def.body {
            FunctionBody::Text(_) => Mentions::new(),
            FunctionBody::Bound { .. } => {
                let mut binder = Binder::new(self.catalog);
                let _ = binder.body(def, None);
                binder.mentions.into_inner()
            }
        }
    }

    /// The same of a function's body and of the defaults of its parameters.
    fn named_by_function(&self, def: &FunctionDef) -> Mentions {
        let mut all = self.named_by_body(def);
        for parameter in &def.parameters {
            if let Some(text) = &parameter.default {
                all.append(&mut self.named_in_value(text, parameter.data_type));
            }
        }
        all
    }

    fn named_in_value(&self, text: &str, data_type: DataType) -> Mentions {
        let value = ColumnDef::new(ColumnId::default(), "value", data_type);
        self.named_in(text, &TableDef::new("", Vec::new()), Some(&value))
    }

    fn named_in_domain_check(&self, text: &str, base: DataType) -> Mentions {
        let value = ColumnDef::new(ColumnId::default(), "value", base);
        self.named_in(text, &TableDef::new("", vec![value]), None)
    }

    /// What the default of a domain names.
    pub(super) fn named_by_default(&self, def: &TypeDef) -> Mentions {
        let default = def
            .domain()
            .and_then(|domain| Some((domain.default.as_ref()?, domain.base)));
        default.map_or_else(Mentions::new, |(text, base)| {
            self.named_in_value(text, base)
        })
    }

    fn named_by_trigger(&self, trigger: &TriggerDef, table: &TableDef) -> Mentions {
        let Some(Ok(syntax)) = trigger.condition.as_deref().map(parse_expression) else {
            return Mentions::new();
        };
        let columns = table.columns.iter();
        let now: Vec<_> = columns.map(|c| (c.id, c.data_type)).collect();
        let rows = TriggerRows::new(trigger, &now);
        let scope = super::scope::Scope::default();
        let mut binder = Binder::new(self.catalog);
        binder.trigger = Some(&rows);
        let _ = binder.expr(&syntax, &mut Context::new(&scope, Clause::TriggerWhen));
        binder.mentions.into_inner()
    }

    /// Adds what depends on something by what its texts name, but for what is in `except`.
    pub(super) fn add_naming(&self, found: &mut Dependents, except: &[TableId], of: DependsOn<'_>) {
        let catalog = self.catalog;
        for function in catalog.functions().filter(|f| !except.contains(&f.id)) {
            if let Some(on) = of(&self.named_by_function(function)) {
                found.add_function(function, &on);
            }
        }
        let views = catalog.views().map(|view| ViewDef::clone(view));
        let materialized = catalog.materialized();
        let materialized = materialized.map(|(table, query)| as_view(&table.def, query));
        for view in views.chain(materialized) {
            if found.has_view(view.id) || except.contains(&view.id) {
                continue;
            }
            if let Some(on) = of(&self.named_by_view(&view)) {
                found.add_view((view.id, described(self, view.id)), &on);
            }
        }
        for table in catalog.tables().filter(|t| !except.contains(&t.def.id)) {
            self.add_naming_of_table(found, table, of);
        }
    }

    fn add_naming_of_table(
        &self,
        found: &mut Dependents,
        table: &Arc<TableEntry>,
        of: DependsOn<'_>,
    ) {
        let def = &table.def;
        let name = self.shown_name((def.schema, def.name.as_str()));
        for column in &def.columns {
            let on = |text: &String| of(&self.named_in(text, def, Some(column)));
            let column_name = &column.name;
            if found.loses(def.id, column_name) {
                continue;
            }
            if let Some(on) = column.default.as_ref().and_then(on) {
                let what = format!("default value for column {column_name} of table {name}");
                found.lose_default(table, column.id, format!("{what} depends on {on}"));
            }
            if let Some(on) = column.generated.as_ref().and_then(on) {
                match column.is_hidden() {
                    true => found.lose_keys(table, column.id, &on),
                    false => self.lose_column(found, table, column, &on),
                }
            }
        }
        let scope = positions(&def.name, &def.columns);
        for check in &def.checks {
            let bound = parse_expression(&check.expression)
                .and_then(|syntax| bind_check(self.catalog, &syntax, (&scope, &def.columns)));
            let columns = bound.map_or_else(|_| BTreeSet::new(), |bound| bound.columns());
            let mut columns = columns.into_iter().map(|at| &def.columns[at].name);
            // It goes with a column of its own.
            if columns.any(|column| found.loses(def.id, column)) {
                continue;
            }
            if let Some(on) = of(&self.named_in(&check.expression, def, None)) {
                let check = &check.name;
                let line = format!("constraint {check} on table {name} depends on {on}");
                found.lose_check(table, check, line);
            }
        }
        for trigger in &def.triggers {
            if let Some(on) = of(&self.named_by_trigger(trigger, def)) {
                let trigger = &trigger.name;
                let line = format!("trigger {trigger} on table {name} depends on {on}");
                found.lose_trigger(table, trigger, line);
            }
        }
    }

    /// Adds the conditions of domains that name something.
    pub(super) fn add_naming_domains(
        &self,
        found: &mut Dependents,
        except: &[TypeId],
        of: DependsOn<'_>,
    ) {
        for def in self.catalog.types().filter(|def| !except.contains(&def.id)) {
            let mut altered = TypeDef::clone(def);
            let TypeKind::Domain(domain) = &mut altered.kind else {
                continue;
            };
            let base = domain.base;
            domain.checks.retain(|check| {
                let on = of(&self.named_in_domain_check(&check.expression, base));
                if let Some(on) = &on {
                    let check = &check.name;
                    found
                        .lines
                        .push(format!("constraint {check} depends on {on}"));
                }
                on.is_none()
            });
            if altered != **def {
                found.domains.push(altered);
            }
        }
    }

    /// How all texts are written anew where what they name gets another name.
    ///
    /// # Errors
    /// 0A000 where a text cannot be.
    pub(super) fn renamed_texts(&self, rename: Rename<'_>) -> Result<Vec<Step>> {
        let catalog = self.catalog;
        let mut steps = Vec::new();
        for def in catalog.types() {
            let mut altered = TypeDef::clone(def);
            if let TypeKind::Domain(domain) = &mut altered.kind {
                let base = domain.base;
                for check in &mut domain.checks {
                    let named = self.named_in_domain_check(&check.expression, base);
                    renamed(&mut check.expression, &named, rename)?;
                }
                if let Some(default) = &mut domain.default {
                    renamed(default, &self.named_in_value(default, base), rename)?;
                }
            }
            if altered != **def {
                steps.push(Step::AlterType(altered));
            }
        }
        for function in catalog.functions() {
            let mut altered = FunctionDef::clone(function);
            if let FunctionBody::Bound { query, .. } = &mut altered.body {
                renamed(query, &self.named_by_body(function), rename)?;
            }
            for parameter in &mut altered.parameters {
                if let Some(default) = &mut parameter.default {
                    let named = self.named_in_value(default, parameter.data_type);
                    renamed(default, &named, rename)?;
                }
            }
            if altered != **function {
                steps.push(Step::AlterFunction(altered));
            }
        }
        for view in catalog.views() {
            let mut altered = ViewDef::clone(view);
            renamed(&mut altered.query, &self.named_by_view(view), rename)?;
            if altered != **view {
                steps.push(Step::AlterView(altered));
            }
        }
        for table in catalog.tables() {
            let altered = self.renamed_in_table(&table.def, rename)?;
            if altered != table.def {
                steps.push(Step::DefineTable(altered));
            }
        }
        Ok(steps)
    }

    /// A table with its texts written anew.
    fn renamed_in_table(&self, def: &TableDef, rename: Rename<'_>) -> Result<TableDef> {
        let mut altered = def.clone();
        for (column, old) in altered.columns.iter_mut().zip(&def.columns) {
            let texts = [&mut column.default, &mut column.generated];
            for text in texts.into_iter().flatten() {
                renamed(text, &self.named_in(text, def, Some(old)), rename)?;
            }
        }
        for check in &mut altered.checks {
            let named = self.named_in(&check.expression, def, None);
            renamed(&mut check.expression, &named, rename)?;
        }
        for trigger in &mut altered.triggers {
            let named = self.named_by_trigger(trigger, def);
            if let Some(condition) = &mut trigger.condition {
                renamed(condition, &named, rename)?;
            }
        }
        if let Some(query) = &mut altered.materialized {
            let named = self.named_by_view(&as_view(def, query));
            renamed(&mut query.query, &named, rename)?;
        }
        Ok(altered)
    }
}

/// The functions among what a text names.
pub(super) fn functions(mentions: &Mentions) -> Vec<TableId> {
    let functions = mentions.iter().filter_map(|(mention, _)| match mention {
        Mention::Function(id) => Some(*id),
        Mention::Type(_) | Mention::Label(..) => None,
    });
    functions.collect()
}

/// Writes a text anew.
fn renamed(text: &mut String, named: &Mentions, rename: Rename<'_>) -> Result<()> {
    let mut others = Vec::new();
    for (mention, at) in named {
        if let (Some(at), Some(other)) = (at, rename(mention)?) {
            others.push((*at, other));
        }
    }
    if others.is_empty() {
        return Ok(());
    }
    match replace_at(text, others)? {
        Some(other) => *text = other,
        None => return refuse(&format!("a new name for what \"{text}\" names"), None),
    }
    Ok(())
}
