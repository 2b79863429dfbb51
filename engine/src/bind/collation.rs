//! Collations: what `COLLATE` names, and how texts are compared that have one.
//!
//! Texts are compared by their bytes, which is what `"C"` means and its like. Where `nocase` is what decides, their keys
//! are compared instead (`function/collation.rs`): comparisons, sorts, groups and indexes have the key in the place of
//! the text, and nobody behind the binder knows of it. What is not done by keys is refused: searches within
//! texts, as PostgreSQL refuses them for collations that are not deterministic, and what compares texts that lie within
//! others.

use super::coerce::cast;
use super::name;
use super::{Binder, Bound};
use crate::error::{Error, Position, Result, state};
use crate::function::{COLLATE, KEY, KEYS, OF_PAIR, PAIR, element_of, only};
use crate::parse::refuse;
use crate::plan::collation::{Derivation, is_collatable, said};
use crate::plan::{Expr, ExprKind};
use remora_storage::catalog::{Collation, ColumnDef};
use remora_storage::{DataType, Value};
use sqlparser::ast;

/// The collation of a name, which has to go with a type; `None` for the default.
///
/// # Errors
/// 42704 where there is none of the name, 42804 where values of the type have none.
pub(super) fn named(collation: &ast::ObjectName, of: DataType) -> Result<Option<Collation>> {
    let at = name::object_place(collation);
    let called = name::function(collation)?;
    // Unlike PostgreSQL's, the collation of this name is one of SQLite's, whose users write it as they like.
    let is_nocase = called.eq_ignore_ascii_case(Collation::Nocase.name());
    let found = match called.as_str() {
        "default" => None,
        _ if is_nocase => Some(Collation::Nocase),
        _ => {
            let mut all = Collation::ALL.into_iter();
            let Some(found) = all.find(|found| found.name() == called) else {
                let message =
                    format!("collation \"{called}\" for encoding \"UTF8\" does not exist");
                return Err(Error::new(state::UNDEFINED_OBJECT, message).at(at));
            };
            Some(found)
        }
    };
    if element_of(of).unwrap_or(of).is_string() {
        return Ok(found);
    }
    let message = format!(
        "collations are not supported by type {}",
        super::coerce::plain(of)
    );
    Err(Error::new(state::DATATYPE_MISMATCH, message).at(at))
}

/// Tests a collation where none but those can be that compare bytes.
///
/// # Errors
/// As [`named`]; 0A000.
pub(super) fn test(collation: &ast::ObjectName, of: DataType) -> Result<()> {
    match named(collation, of)? {
        Some(Collation::Nocase) => refuse("collation nocase here", name::object_place(collation)),
        _ => Ok(()),
    }
}

/// The collation of a column.
///
/// # Errors
/// As [`named`]; 0A000 for arrays.
pub(super) fn of_column(column: &mut ColumnDef, collation: &ast::ObjectName) -> Result<()> {
    if !column.data_type.is_string() {
        test(collation, column.data_type)?;
    }
    column.collation = named(collation, column.data_type)?;
    Ok(())
}

/// What an operator or function does with its texts.
enum Role {
    /// It asks which is greater, or whether they are alike.
    Compares,
    /// It gives one of them back.
    Chooses,
    /// It looks for one within the other.
    Searches(&'static str),
    /// It compares what lies within values.
    Within,
    /// Nothing for which it matters.
    Other,
}

fn role(name: &str, arguments: &[Expr]) -> Role {
    let of_any = name.strip_suffix(" ANY").or(name.strip_suffix(" ALL"));
    let is_text = |expr: &Expr| expr.data_type.is_string();
    match of_any.unwrap_or(name) {
        "=" | "<>" | "<" | "<=" | ">" | ">=" | "is_distinct_from" | "is_not_distinct_from" => {
            match of_any.is_some() || arguments.iter().all(is_text) {
                true => Role::Compares,
                false => Role::Within,
            }
        }
        "greatest" | "least" if arguments.iter().all(is_text) => Role::Chooses,
        "greatest" | "least" | "nullif" | "@>" | "<@" | "&&" | "array_position"
        | "array_positions" | "array_remove" | "array_replace" | "width_bucket" => Role::Within,
        "~~" | "!~~" => Role::Searches("LIKE"),
        "~~*" | "!~~*" => Role::Searches("ILIKE"),
        "~" | "~*" | "!~" | "!~*" => Role::Searches("regular expressions"),
        "substring" if arguments.get(1).is_some_and(is_text) => {
            Role::Searches("regular expressions")
        }
        other if other.starts_with("regexp_") => Role::Searches("regular expressions"),
        "position" | "strpos" | "replace" | "split_part" | "starts_with" | "^@"
        | "string_to_array" | "string_to_table" => Role::Searches("substring searches"),
        _ => Role::Other,
    }
}

impl Binder<'_> {
    /// An expression whose collation is said.
    pub(super) fn with_collation(
        &mut self,
        bound: Bound,
        collation: &ast::ObjectName,
    ) -> Result<Bound> {
        let found = named(collation, bound.data_type().unwrap_or(DataType::Text))?;
        self.columns.collations.are_said();
        let expr = self.settle(bound)?;
        Ok(Bound::Typed(saying(plain(expr), found)))
    }

    /// The columns of a table, which are numbered by position, have their collations.
    pub(super) fn collate_positions(&mut self, columns: &[ColumnDef]) {
        for (position, column) in columns.iter().enumerate() {
            self.columns.collations.set(position, of_def(column));
        }
    }

    /// Whether values derived so are compared by `nocase`.
    ///
    /// # Errors
    /// 42P21, 42P22 where that cannot be said; 0A000.
    pub(super) fn is_nocase(found: Derivation, at: Option<Position>) -> Result<bool> {
        check_said(found, at)?;
        match found {
            Derivation::Implicit(Collation::Nocase)
            | Derivation::Explicit(Some(Collation::Nocase)) => Ok(true),
            Derivation::Conflict(..) => {
                let message = "could not determine which collation to use for string comparison";
                Err(Error::new(state::INDETERMINATE_COLLATION, message)
                    .with_hint("Use the COLLATE clause to set the collation explicitly.")
                    .at(at))
            }
            Derivation::Within => refuse("comparing rows with texts of collation nocase", at),
            _ => Ok(false),
        }
    }

    /// A call whose arguments are what they have to be, with what it compares made comparable.
    ///
    /// # Errors
    /// 42P21, 42P22, 0A000.
    pub(super) fn collated_call(&self, mut call: Expr, at: Option<Position>) -> Result<Expr> {
        if self.columns.collations.is_empty() {
            return Ok(call);
        }
        let ExprKind::Call {
            overload,
            arguments,
        } = &mut call.kind
        else {
            return Ok(call);
        };
        self.check_search(overload.name, arguments, at)?;
        let found = self.joint(arguments);
        if !is_collatable(call.data_type) {
            arguments.iter_mut().for_each(drop_said);
        }
        match role(overload.name, arguments) {
            Role::Compares if Self::is_nocase(found, at)? => {
                for argument in arguments {
                    into(argument, |argument| keys_of(argument, at))?;
                }
            }
            Role::Chooses if Self::is_nocase(found, at)? => {
                for argument in arguments {
                    into(argument, |argument| Ok(over_text(PAIR, argument)))?;
                }
                return Ok(of_pair(call, found));
            }
            Role::Within if Self::is_nocase(found, at)? => {
                return refuse("comparing what lies within values by collation nocase", at);
            }
            _ => {}
        }
        Ok(call)
    }

    /// The collation of a column of a table whose values are those of a column of a query.
    ///
    /// # Errors
    /// 42P22 where that has none; 0A000.
    pub(super) fn collation_kept(
        &self,
        column: &ColumnDef,
        source: usize,
    ) -> Result<Option<Collation>> {
        let refused = match self.columns.collations.of_column(source) {
            Derivation::Implicit(found) if column.data_type.is_string() => return Ok(Some(found)),
            Derivation::Implicit(Collation::Nocase) => {
                return refuse("an array of texts of collation nocase in a column", None);
            }
            Derivation::Conflict(..) => "no collation was derived for column",
            Derivation::Within if column.data_type.is_string() => {
                return refuse("a column of a field of a row with collations", None);
            }
            _ => return Ok(None),
        };
        let (name, of) = (&column.name, super::coerce::plain(column.data_type));
        let message = format!("{refused} \"{name}\" with collatable type {of}");
        Err(Error::new(state::INDETERMINATE_COLLATION, message)
            .with_hint("Use the COLLATE clause to set the collation explicitly."))
    }

    /// Fails where a function looks for texts within others in a way that keys are no help for.
    ///
    /// # Errors
    /// 0A000, 42P21, 42P22.
    pub(super) fn check_search(
        &self,
        function: &str,
        arguments: &[Expr],
        at: Option<Position>,
    ) -> Result<()> {
        let found = self.joint(arguments);
        check_said(found, at)?;
        match role(function, arguments) {
            Role::Searches(what) if Self::is_nocase(found, at)? => {
                let message = format!("nondeterministic collations are not supported for {what}");
                Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
                    .with_hint("Say another collation: COLLATE \"C\".")
                    .at(at))
            }
            _ => Ok(()),
        }
    }

    /// The collation by which values are compared with each other.
    pub(super) fn joint(&self, exprs: &[Expr]) -> Derivation {
        let found = exprs.iter().map(|expr| self.columns.collations.of(expr));
        found.fold(Derivation::Default, Derivation::and)
    }

    /// Values that are compared with each other as their keys.
    pub(super) fn keys(&self, exprs: Vec<Expr>, at: Option<Position>) -> Result<Vec<Expr>> {
        if self.columns.collations.is_empty() {
            return Ok(exprs);
        }
        let found = Self::is_nocase(self.joint(&exprs), at)?;
        let keys = exprs.into_iter().map(|mut expr| {
            drop_said(&mut expr);
            if found { key_of(expr, at) } else { Ok(expr) }
        });
        keys.collect()
    }

    /// What a value is sorted or grouped by, in the place of a text: itself, or its key.
    ///
    /// # Errors
    /// 42P21, 0A000.
    pub(super) fn sorted_key(&self, mut expr: Expr, at: Option<Position>) -> Result<Expr> {
        if self.columns.collations.is_empty() {
            return Ok(expr);
        }
        let found = self.columns.collations.of(&expr);
        drop_said(&mut expr);
        match self.has_key(found, at)? {
            true => key_of(expr, at),
            false => Ok(expr),
        }
    }

    /// Whether values derived so are sorted and grouped by their keys.
    ///
    /// # Errors
    /// 42P21, 0A000.
    pub(super) fn has_key(&self, found: Derivation, at: Option<Position>) -> Result<bool> {
        match found {
            Derivation::Conflict(one, other) => Err(implicit_mismatch(one, other).at(at)),
            other => Self::is_nocase(other, at),
        }
    }

    /// Fails where values are compared that have keys, in a way that does not know of them.
    ///
    /// # Errors
    /// 42P21, 0A000.
    pub(super) fn refuse_keys<'e>(
        &self,
        exprs: impl IntoIterator<Item = &'e Expr>,
        what: &str,
        at: Option<Position>,
    ) -> Result<()> {
        for expr in exprs {
            if self.has_key(self.columns.collations.of(expr), at)? {
                return refuse(&format!("{what} of collation nocase"), at);
            }
        }
        Ok(())
    }

    /// [`Binder::refuse_keys`] for columns.
    ///
    /// # Errors
    /// 42P21, 0A000.
    pub(super) fn has_keyed_column(
        &self,
        columns: impl IntoIterator<Item = usize>,
    ) -> Result<bool> {
        for column in columns {
            let found = self.columns.collations.of_column(column);
            if self.has_key(found, None)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The collation that a column of a table has.
pub(super) fn of_def(column: &ColumnDef) -> Derivation {
    match column.collation {
        Some(found) => Derivation::Implicit(found),
        None => Derivation::Default,
    }
}

/// What is said of queries whose columns do not agree.
pub(super) fn implicit_mismatch(one: Collation, other: Collation) -> Error {
    let (one, other) = (one.name(), other.name());
    let message =
        format!("collation mismatch between implicit collations \"{one}\" and \"{other}\"");
    Error::new(state::COLLATION_MISMATCH, message).with_hint(
        "You can choose the collation by applying the COLLATE clause to one or both expressions.",
    )
}

/// Fails where two collations are said.
fn check_said(found: Derivation, at: Option<Position>) -> Result<()> {
    let Derivation::Clash(one, other) = found else {
        return Ok(());
    };
    let name = |found: Option<Collation>| found.map_or("default", Collation::name);
    let (one, other) = (name(one), name(other));
    let message =
        format!("collation mismatch between explicit collations \"{one}\" and \"{other}\"");
    Err(Error::new(state::COLLATION_MISMATCH, message).at(at))
}

/// An expression that says its collation.
pub(super) fn saying(expr: Expr, found: Option<Collation>) -> Expr {
    let name = found.map_or("default", Collation::name).to_owned();
    let name = Expr::literal(Value::Text(name), DataType::Text);
    let data_type = expr.data_type;
    call(COLLATE, vec![expr, name], data_type)
}

/// An expression without the collation that it says.
pub(super) fn plain(mut expr: Expr) -> Expr {
    drop_said(&mut expr);
    expr
}

fn drop_said(expr: &mut Expr) {
    if let Some((of, _)) = said(expr) {
        *expr = of.clone();
    }
    if let ExprKind::Cast { input, .. } = &mut expr.kind {
        drop_said(input);
    }
}

fn into(expr: &mut Expr, f: impl FnOnce(Expr) -> Result<Expr>) -> Result<()> {
    *expr = f(expr.take())?;
    Ok(())
}

/// The key of a text.
pub(super) fn key_of(expr: Expr, at: Option<Position>) -> Result<Expr> {
    match expr.data_type.is_string() {
        true => Ok(over_text(KEY, expr)),
        false => refuse("comparing such values by collation nocase", at),
    }
}

/// The key of a text; of an array those of its elements, in no shape.
fn keys_of(expr: Expr, at: Option<Position>) -> Result<Expr> {
    if !element_of(expr.data_type).is_some_and(DataType::is_string) {
        return key_of(expr, at);
    }
    let data_type = expr.data_type;
    let ExprKind::Call {
        overload,
        arguments,
    } = expr.kind
    else {
        return Ok(call(KEYS, vec![expr], data_type));
    };
    if overload.name != "array_of" {
        let kind = ExprKind::Call {
            overload,
            arguments,
        };
        return Ok(call(KEYS, vec![Expr { kind, data_type }], data_type));
    }
    let keys = arguments.into_iter().map(|element| key_of(element, at));
    Ok(Expr::call(
        overload,
        keys.collect::<Result<_>>()?,
        data_type,
    ))
}

/// Whether an aggregate chooses among pairs.
pub(super) fn are_pairs(arguments: &[Expr]) -> bool {
    let is_pair = |expr: &Expr| matches!(&expr.kind, ExprKind::Call { overload, .. } if overload.name == PAIR);
    arguments.iter().any(is_pair)
}

/// What is chosen among values as their pairs.
pub(super) fn pair_of(expr: Expr) -> Expr {
    over_text(PAIR, plain(expr))
}

/// The text of what was chosen among pairs; its collation is what it was.
pub(super) fn of_pair(chosen: Expr, found: Derivation) -> Expr {
    let data_type = chosen.data_type;
    let text = cast(over_text(OF_PAIR, chosen), data_type, false);
    match found {
        Derivation::Explicit(said) => saying(text, said),
        _ => text,
    }
}

fn over_text(name: &str, expr: Expr) -> Expr {
    call(
        name,
        vec![cast(expr, DataType::Text, false)],
        DataType::Text,
    )
}

fn call(name: &str, arguments: Vec<Expr>, data_type: DataType) -> Expr {
    let overload = only(name).expect("the functions of collations are there");
    Expr::call(overload, arguments, data_type)
}
