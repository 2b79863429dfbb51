//! Which function in SQL a call means, and what its parameters are given.
//!
//! Names of arguments and defaults tell which functions of the name can take the arguments at all; the rules for
//! types (`function::resolve`) choose among these. A function of the system that fits exactly goes before.

use super::collation::plain;
use super::function::is_variadic;
use super::mention::Mention;
use super::polymorphic::{concrete, is_polymorphic};
use super::scope::Scope;
use super::{Binder, Bound, Clause, Context, Unknown};
use crate::error::{Error, Position, Result, state};
use crate::function::cast::{CastContext, cast_context};
use crate::function::{self, ArgumentType, element_of};
use crate::parse::{VARIADIC, parse_expression};
use crate::plan::Expr;
use remora_storage::DataType;
use remora_storage::catalog::FunctionDef;
use remora_storage::value::ElementType;
use std::sync::Arc;

impl Binder<'_> {
    /// The function in SQL that a call means which says that it is none of the system's.
    ///
    /// # Errors
    /// 42725, 42883.
    pub(super) fn own_routine(
        &mut self,
        name: &str,
        names: &[Option<String>],
        arguments: &[Bound],
        at: Option<Position>,
    ) -> Result<Match> {
        let types: Vec<ArgumentType> = arguments.iter().map(Bound::data_type).collect();
        let candidates = self.candidates(name, names, &types);
        match choose(candidates, &types, Vec::new()) {
            Chosen::Own(found) => {
                self.note(Mention::Function(found.def.id), None);
                Ok(found)
            }
            Chosen::Several => Err(ambiguous(&format!("public.{name}"), names, &types).at(at)),
            _ => Err(undefined(&format!("public.{name}"), names, &types).at(at)),
        }
    }

    /// The functions in SQL of a name that can take so many arguments of these names.
    fn candidates(
        &self,
        name: &str,
        names: &[Option<String>],
        types: &[ArgumentType],
    ) -> Vec<Match> {
        let named = self.catalog.functions_named(name);
        let taken = named.filter_map(|def| {
            let (taken_by, spread) = taken_by(def, names)?;
            let many = is_polymorphic(def);
            let def = match many {
                false => Arc::clone(def),
                true => concrete(def, &given(def, &taken_by, spread, types))?,
            };
            Some(Match {
                def,
                taken_by,
                spread,
                many,
            })
        });
        let mut taken: Vec<Match> = taken.collect();
        // What says its types goes before what takes any.
        let said = taken.iter().filter(|found| !found.many).map(Match::types);
        let said: Vec<Vec<DataType>> = said.collect();
        taken.retain(|found| !found.many || !said.contains(&found.types()));
        // What takes just so many goes before what takes any number.
        let plain = taken.iter().filter(|found| !found.spread).map(Match::types);
        let plain: Vec<Vec<DataType>> = plain.collect();
        taken.retain(|found| !found.spread || !plain.contains(&found.types()));
        taken
    }

    /// The function in SQL that a call means, with its arguments in order; `None` where a function of the system
    /// is meant, or nothing is.
    ///
    /// # Errors
    /// 42725; 42883 where there are functions of the name, and none takes these.
    pub(super) fn routine_of(
        &mut self,
        name: &str,
        names: &[Option<String>],
        arguments: &[Bound],
        at: Option<Position>,
    ) -> Result<Option<Match>> {
        let types: Vec<ArgumentType> = arguments.iter().map(Bound::data_type).collect();
        let mut candidates = self.candidates(name, names, &types);
        let is_named = names.iter().any(Option::is_some);
        if candidates.is_empty() {
            let any = self.catalog.functions_named(name).next().is_some();
            return match is_named && !is_variadic(names) || any && !function::exists(name) {
                true => Err(undefined(name, names, &types).at(at)),
                false => Ok(None),
            };
        }
        let system = match is_named {
            true => None,
            false => function::exact_match(name, &types),
        };
        if system == Some(true) {
            return Ok(None);
        }
        let others = match system {
            Some(_) => function::signatures(name, types.len()),
            None => Vec::new(),
        };
        // One of the system that takes the same goes before.
        candidates.retain(|found| !others.contains(&found.types()));
        match choose(candidates, &types, others) {
            Chosen::Own(found) => {
                self.note(Mention::Function(found.def.id), None);
                Ok(Some(found))
            }
            Chosen::Other => Ok(None),
            Chosen::None if system == Some(false) => Ok(None),
            Chosen::None => Err(undefined(name, names, &types).at(at)),
            Chosen::Several => Err(ambiguous(name, names, &types).at(at)),
        }
    }

    /// The arguments of a matched call, one a parameter.
    pub(super) fn arguments_of(
        &mut self,
        found: &Match,
        arguments: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<Vec<Expr>> {
        let mut given: Vec<Option<Bound>> = vec![None; found.def.parameters.len()];
        let mut spread = Vec::new();
        for (argument, position) in arguments.into_iter().zip(&found.taken_by) {
            match found.spread && position + 1 == given.len() {
                true => spread.push(argument),
                false => given[*position] = Some(argument),
            }
        }
        if let Some(last) = given.last_mut().filter(|_| !spread.is_empty()) {
            *last = Some(self.gathered(found, spread, at)?);
        }
        let mut exprs = Vec::with_capacity(given.len());
        for (argument, parameter) in given.into_iter().zip(&found.def.parameters) {
            let argument = match (argument, &parameter.default) {
                (Some(argument), _) => argument,
                (None, Some(default)) => self.default_argument(default, at)?,
                (None, None) => Bound::Unknown(Unknown::Null),
            };
            let argument = self.coerce(argument, parameter.data_type)?;
            self.refuse_keys([&argument], "an argument of a function in SQL", at)?;
            exprs.push(plain(argument));
        }
        Ok(exprs)
    }

    /// The array of the arguments that a VARIADIC parameter takes.
    fn gathered(
        &mut self,
        found: &Match,
        arguments: Vec<Bound>,
        at: Option<Position>,
    ) -> Result<Bound> {
        let array = found.def.variadic().map(|parameter| parameter.data_type);
        let element = array.and_then(element_of).unwrap_or(DataType::Text);
        let arguments = arguments.into_iter();
        let elements = arguments.map(|argument| Ok(Bound::Typed(self.coerce(argument, element)?)));
        let elements = elements.collect::<Result<Vec<_>>>()?;
        self.call("array_of", elements, at)
    }

    fn default_argument(&mut self, text: &str, at: Option<Position>) -> Result<Bound> {
        let syntax = parse_expression(text)?;
        let scope = Scope::default();
        let mut inner = Binder::new(self.catalog);
        inner.path = self.path;
        self.lend(&mut inner);
        let bound = inner.expr(&syntax, &mut Context::new(&scope, Clause::Default));
        self.take_back(inner);
        // Its place is none in the text of the call.
        match bound.map_err(|error| error.moved(at))? {
            Bound::Unknown(Unknown::Text(text, _)) => Ok(Bound::Unknown(Unknown::Text(text, None))),
            bound => Ok(bound),
        }
    }

    /// An argument as a default gives it.
    pub(super) fn argument_of(&mut self, bound: Bound, to: DataType) -> Result<Expr> {
        if let Some(from) = bound.data_type()
            && cast_context(from, to).is_none_or(|needed| needed > CastContext::Assignment)
        {
            let message = format!(
                "argument of DEFAULT must be type {to}, not type {}",
                super::coerce::plain(from)
            );
            return Err(Error::new(state::DATATYPE_MISMATCH, message));
        }
        self.coerce(bound, to)
    }
}

/// What a call means.
enum Chosen {
    /// A function in SQL.
    Own(Match),
    /// One of the others.
    Other,
    /// Nothing takes the arguments.
    None,
    /// Several fit equally.
    Several,
}

/// Chooses among functions in SQL and `others`, of these types. Two functions in SQL that want the same types of
/// the arguments fit equally, whatever defaults they need.
fn choose(
    mut candidates: Vec<Match>,
    types: &[ArgumentType],
    others: Vec<Vec<DataType>>,
) -> Chosen {
    let own = candidates.len();
    let signatures: Vec<Vec<DataType>> =
        candidates.iter().map(Match::types).chain(others).collect();
    match function::choose_among(types, &signatures) {
        function::Choice::One(at) if at < own => {
            let found = candidates.swap_remove(at);
            let wanted = found.types();
            match candidates.iter().any(|other| other.types() == wanted) {
                true => Chosen::Several,
                false => Chosen::Own(found),
            }
        }
        function::Choice::One(_) => Chosen::Other,
        function::Choice::None => Chosen::None,
        function::Choice::Several => Chosen::Several,
    }
}

/// A function that fits a call.
pub(super) struct Match {
    pub(super) def: Arc<FunctionDef>,
    /// For each argument, the position of the parameter that takes it.
    taken_by: Vec<usize>,
    /// Whether its last parameter takes arguments one by one.
    spread: bool,
    /// Whether it stands for a function that takes values of many types.
    many: bool,
}

impl Match {
    /// The types that it wants the arguments to have.
    fn types(&self) -> Vec<DataType> {
        let positions = self.taken_by.iter();
        let last = self.def.parameters.len();
        let types = positions.map(|position| {
            let data_type = self.def.parameters[*position].data_type;
            match self.spread && position + 1 == last {
                true => element_of(data_type).unwrap_or(data_type),
                false => data_type,
            }
        });
        types.collect()
    }
}

/// The types of the arguments, each with the position of its parameter: those that are taken one by one are the
/// elements of an array.
fn given(
    def: &FunctionDef,
    taken_by: &[usize],
    spread: bool,
    types: &[ArgumentType],
) -> Vec<(usize, ArgumentType)> {
    let last = def.parameters.len();
    let given = taken_by.iter().zip(types).map(|(position, known)| {
        let known = match spread && position + 1 == last {
            true => known.and_then(ElementType::new).map(ElementType::array),
            false => *known,
        };
        (*position, known)
    });
    given.collect()
}

/// Which parameters take the arguments of a call, if they can, and whether the last one takes them one by one.
fn taken_by(def: &FunctionDef, names: &[Option<String>]) -> Option<(Vec<usize>, bool)> {
    let last = def.parameters.len().checked_sub(1);
    let variadic = def.variadic().and(last);
    if is_variadic(names) && (variadic.is_none() || names.len() != def.parameters.len()) {
        return None;
    }
    let mut spread = false;
    let mut taken = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let position = match name {
            None if variadic.is_some_and(|last| at >= last) => {
                spread = true;
                taken.push(def.parameters.len() - 1);
                continue;
            }
            None => at,
            Some(name) if name == VARIADIC => at,
            Some(name) => {
                let mut parameters = def.parameters.iter();
                parameters.position(|parameter| parameter.name.as_ref() == Some(name))?
            }
        };
        if position >= def.parameters.len() || taken.contains(&position) {
            return None;
        }
        taken.push(position);
    }
    let mut parameters = def.parameters.iter().enumerate();
    let complete = parameters
        .all(|(position, parameter)| parameter.default.is_some() || taken.contains(&position));
    complete.then_some((taken, spread))
}

/// A function as complaints name it.
pub(super) fn signature(def: &FunctionDef) -> String {
    let types: Vec<String> = def.types().map(|data_type| data_type.to_string()).collect();
    format!("{}({})", def.name, types.join(", "))
}

fn described(name: &str, names: &[Option<String>], types: &[ArgumentType]) -> String {
    let arguments = types.iter().zip(names).map(|(data_type, name)| {
        let data_type = match data_type {
            Some(data_type) => super::coerce::plain(*data_type),
            None => "unknown".to_owned(),
        };
        match name {
            Some(name) if name != VARIADIC => format!("{name} => {data_type}"),
            _ => data_type,
        }
    });
    let arguments: Vec<String> = arguments.collect();
    format!("{name}({})", arguments.join(", "))
}

pub(super) fn undefined(name: &str, names: &[Option<String>], types: &[ArgumentType]) -> Error {
    let message = format!("function {} does not exist", described(name, names, types));
    Error::new(state::UNDEFINED_FUNCTION, message).with_hint(
        "No function matches the given name and argument types. You might need to add explicit type \
         casts.",
    )
}

fn ambiguous(name: &str, names: &[Option<String>], types: &[ArgumentType]) -> Error {
    let message = format!("function {} is not unique", described(name, names, types));
    Error::new(state::AMBIGUOUS_FUNCTION, message).with_hint(
        "Could not choose a best candidate function. You might need to add explicit type casts.",
    )
}
