//! Walks the steps of a path through a document.
//!
//! What is still to be done stands on a stack: an item and the step that it takes next, or the members of a
//! container that each take it. So the walk goes depth first, keeps nothing but the way to where it is, and
//! can be left wherever its caller has seen enough.
//!
//! In *lax* mode a step that wants an object, or a scalar, and meets an array goes to each of its elements, a
//! step that wants an array takes anything for an array of one, and what is not there is passed over. In *strict*
//! mode all of this is an error.

use super::super::get::{self, member};
use super::super::packed::{Members, Tag, View, embed, view};
use super::item::{Fail, Item, Outcome, Shape, fails, string, whole};
use super::{LAST_LEVEL, Node, Path, Step};
use crate::error::{Error, Result, state};
use crate::function::decimal;
use crate::function::{EvalContext, Work, json::sql::NULL};
use std::borrow::Cow;

/// What an expression is asked of.
#[derive(Clone, Copy)]
pub(super) struct Scope<'i, 'a> {
    /// `@`
    pub(super) current: &'i Item<'a>,
    /// How many elements the array has whose subscript this is.
    array: i64,
    /// Whether what is not there is passed over.
    pub(super) is_lenient: bool,
}

/// A step that is to be taken.
#[derive(Clone, Copy)]
struct Next {
    at: usize,
    /// Whether an array's elements take it, where it is not for arrays.
    unwraps: bool,
    is_lenient: bool,
}

enum Todo<'a> {
    One(Item<'a>, Next),
    /// Each of these.
    Each(Members<'a>, bool, Next),
    /// Each of these and what they hold, from a level to another.
    Below(Members<'a>, bool, Levels, Next),
}

#[derive(Clone, Copy)]
struct Levels {
    level: u32,
    first: u32,
    last: u32,
}

/// The next value among members.
fn advance<'a>(
    members: &mut Members<'a>,
    is_object: bool,
    work: &Work<'_>,
) -> Result<Option<&'a [u8]>> {
    match is_object {
        true => Ok(members.pair(work)?.map(|(_, value)| value)),
        false => members.element(work),
    }
}

/// A path on its way through a document.
pub(super) struct Run<'a> {
    pub(super) path: &'a Path,
    pub(super) root: &'a [u8],
    /// An object; `None` where all variables are null.
    pub(super) variables: Option<&'a [u8]>,
    /// Whether moments with and without a time zone may be compared.
    pub(super) has_zone: bool,
    pub(super) context: &'a EvalContext,
    pub(super) work: Work<'a>,
}

/// Who takes items; false where it has enough.
pub(super) type Taker<'t, 'a> = &'t mut dyn FnMut(Item<'a>) -> Outcome<bool>;

impl<'a> Run<'a> {
    pub(super) fn is_lax(&self) -> bool {
        !self.path.is_strict
    }

    /// Gives all items of the path to `take`, until it has enough.
    pub(super) fn all(&self, take: Taker<'_, 'a>) -> Outcome<bool> {
        let root = self.document();
        let scope = Scope {
            current: &root,
            array: 0,
            is_lenient: self.is_lax(),
        };
        self.walk(&self.path.root, scope, take)
    }

    fn document(&self) -> Item<'a> {
        Item::Value(Cow::Borrowed(embed(self.root)))
    }

    /// Gives the items of a node to `take`; false where that had enough.
    pub(super) fn walk(
        &self,
        node: &'a Node,
        scope: Scope<'_, 'a>,
        take: Taker<'_, 'a>,
    ) -> Outcome<bool> {
        let item = match node {
            Node::Steps(first, steps) => return self.steps(first, steps, scope, take),
            Node::Null => Item::Value(Cow::Borrowed(NULL)),
            Node::Bool(value) => truth(Some(*value)),
            Node::Number(value) => Item::of_number(*value)?,
            Node::String(text) => Item::Value(Cow::Owned(string(text))),
            Node::Variable(name) => self.variable(name)?,
            Node::Root => self.document(),
            Node::Current => scope.current.clone(),
            Node::Last => Item::Value(Cow::Owned(whole(scope.array - 1))),
            Node::Arithmetic(operator, left, right) => {
                self.arithmetic(*operator, left, right, scope)?
            }
            Node::Sign(is_minus, inner) => return self.sign(*is_minus, inner, scope, take),
            test => truth(self.test(test, scope)?),
        };
        take(item)
    }

    /// All items of a node; with `unwraps`, arrays give their elements in lax mode.
    pub(super) fn collect(
        &self,
        node: &'a Node,
        scope: Scope<'_, 'a>,
        unwraps: bool,
    ) -> Outcome<Vec<Item<'a>>> {
        let mut out = Vec::new();
        let more = |out: &[Item<'_>]| self.work.reach(2 * size_of_val(out));
        self.walk(node, scope, &mut |item| {
            more(&out)?;
            match item.shape()? {
                Shape::Array(mut members) if unwraps && self.is_lax() => {
                    while let Some(element) = members.element(&self.work)? {
                        more(&out)?;
                        out.push(Item::Value(Cow::Borrowed(element)));
                    }
                }
                _ => out.push(item),
            }
            Ok(true)
        })?;
        Ok(out)
    }

    fn variable(&self, name: &str) -> Outcome<Item<'a>> {
        let Some(variables) = self.variables else {
            return Ok(Item::Value(Cow::Borrowed(NULL)));
        };
        match get::field(variables, name, &self.work)? {
            Some(value) => Ok(Item::Value(Cow::Borrowed(value))),
            None => {
                let message = format!("could not find jsonpath variable \"{name}\"");
                Err(Error::new(state::UNDEFINED_OBJECT, message).into())
            }
        }
    }

    /// `-a` and `+a`, of each item.
    fn sign(
        &self,
        is_minus: bool,
        inner: &'a Node,
        scope: Scope<'_, 'a>,
        take: Taker<'_, 'a>,
    ) -> Outcome<bool> {
        for item in self.collect(inner, scope, true)? {
            let Some(number) = item.number()? else {
                let sign = if is_minus { '-' } else { '+' };
                return fails(
                    state::SQL_JSON_NUMBER_NOT_FOUND,
                    format!("operand of unary jsonpath operator {sign} is not a numeric value"),
                );
            };
            let signed = if is_minus {
                decimal::negate(number).map_err(Fail::Path)?
            } else {
                number
            };
            if !take(Item::of_number(signed)?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn steps(
        &self,
        first: &'a Node,
        steps: &'a [Step],
        scope: Scope<'_, 'a>,
        take: Taker<'_, 'a>,
    ) -> Outcome<bool> {
        let next = Next {
            at: 0,
            unwraps: self.is_lax(),
            is_lenient: scope.is_lenient,
        };
        let mut stack = Vec::new();
        self.walk(first, scope, &mut |item| {
            stack.push(Todo::One(item, next));
            Ok(true)
        })?;
        stack.reverse();
        while let Some(todo) = stack.pop() {
            self.context.check()?;
            let (item, next) = match todo {
                Todo::One(item, next) => (item, next),
                Todo::Each(mut members, is_object, next) => {
                    if let Some(value) = advance(&mut members, is_object, &self.work)? {
                        stack.push(Todo::Each(members, is_object, next));
                        stack.push(Todo::One(Item::Value(Cow::Borrowed(value)), next));
                    }
                    continue;
                }
                Todo::Below(members, is_object, levels, next) => {
                    below(members, is_object, levels, next, &mut stack, &self.work)?;
                    continue;
                }
            };
            let Some(step) = steps.get(next.at) else {
                match take(item)? {
                    true => continue,
                    false => return Ok(false),
                }
            };
            let done = stack.len();
            let scope = Scope {
                is_lenient: next.is_lenient,
                ..scope
            };
            self.step(step, item, next, scope, &mut stack)?;
            stack[done..].reverse();
        }
        Ok(true)
    }

    /// Puts on the stack where a step leads from an item.
    fn step(
        &self,
        step: &'a Step,
        item: Item<'a>,
        here: Next,
        scope: Scope<'_, 'a>,
        stack: &mut Vec<Todo<'a>>,
    ) -> Outcome<()> {
        let next = Next {
            at: here.at + 1,
            unwraps: self.is_lax(),
            ..here
        };
        let shape = item.shape()?;
        if let (true, Shape::Array(members)) = (here.unwraps && is_of_members(step), &shape) {
            let here = Next {
                unwraps: false,
                ..here
            };
            stack.push(Todo::Each(*members, false, here));
            return Ok(());
        }
        match step {
            Step::Key(name) => match key(shape, name, &self.work)? {
                Ok(Some(value)) => stack.push(Todo::One(Item::Value(value), next)),
                Ok(None) if !here.is_lenient => {
                    let message = format!("JSON object does not contain key \"{name}\"");
                    return fails(state::SQL_JSON_MEMBER_NOT_FOUND, message);
                }
                Err(()) if !here.is_lenient => {
                    let message = "jsonpath member accessor can only be applied to an object";
                    return fails(state::SQL_JSON_MEMBER_NOT_FOUND, message);
                }
                _ => {}
            },
            Step::AnyKey => match shape {
                Shape::Object(members) => stack.push(Todo::Each(members, true, next)),
                Shape::Pair(pair) => {
                    let members = pair.members().into_iter();
                    stack.extend(members.map(|(_, value)| Todo::One(Item::Value(value), next)));
                }
                _ if here.is_lenient => {}
                _ => {
                    let message =
                        "jsonpath wildcard member accessor can only be applied to an object";
                    return fails(state::SQL_JSON_OBJECT_NOT_FOUND, message);
                }
            },
            Step::AnyElement => match shape {
                Shape::Array(members) => stack.push(Todo::Each(members, false, next)),
                _ if self.is_lax() => stack.push(Todo::One(item, next)),
                _ if here.is_lenient => {}
                _ => {
                    let message =
                        "jsonpath wildcard array accessor can only be applied to an array";
                    return fails(state::SQL_JSON_ARRAY_NOT_FOUND, message);
                }
            },
            Step::Elements(list) => self.elements(list, item, next, scope, stack)?,
            Step::AnyLevel(first, last) => {
                let next = Next {
                    is_lenient: true,
                    ..next
                };
                levels(item, shape, *first, *last, next, stack);
            }
            Step::Filter(test) => {
                let scope = Scope {
                    current: &item,
                    ..scope
                };
                if self.test(test, scope)? == Some(true) {
                    stack.push(Todo::One(item, next));
                }
            }
            Step::Method(method) => {
                let mut give = |item| stack.push(Todo::One(item, next));
                self.method(*method, &item, here.is_lenient, &mut give)?;
            }
            Step::Moment(template) => {
                let moment = self.moment(&item, template.as_deref())?;
                stack.push(Todo::One(moment, next));
            }
        }
        Ok(())
    }

    /// `[1, 3 to last]`
    fn elements(
        &self,
        list: &'a [(Node, Option<Node>)],
        item: Item<'a>,
        next: Next,
        scope: Scope<'_, 'a>,
        stack: &mut Vec<Todo<'a>>,
    ) -> Outcome<()> {
        let members = match item.shape()? {
            Shape::Array(members) => Some(members),
            _ if self.is_lax() => None,
            _ if scope.is_lenient => return Ok(()),
            _ => {
                let message = "jsonpath array accessor can only be applied to an array";
                return fails(state::SQL_JSON_ARRAY_NOT_FOUND, message);
            }
        };
        let count = members.map_or(1, |members| members.left as i64);
        let scope = Scope {
            array: count,
            ..scope
        };
        for (first, last) in list {
            let first = self.subscript(first, scope)?;
            let last = match last {
                Some(last) => self.subscript(last, scope)?,
                None => first,
            };
            if !scope.is_lenient && (first < 0 || first > last || last >= count) {
                let message = "jsonpath array subscript is out of bounds";
                return fails(state::INVALID_SQL_JSON_SUBSCRIPT, message);
            }
            let (first, last) = (first.max(0), last.min(count - 1));
            if first > last {
                continue;
            }
            match members {
                None => stack.push(Todo::One(item.clone(), next)),
                Some(mut members) => {
                    for _ in 0..first {
                        members.element(&self.work)?;
                    }
                    members.left = (last - first + 1) as usize;
                    stack.push(Todo::Each(members, false, next));
                }
            }
        }
        Ok(())
    }

    fn subscript(&self, node: &'a Node, scope: Scope<'_, 'a>) -> Outcome<i64> {
        let found = self.collect(node, scope, false)?;
        let number = match found.as_slice() {
            [only] => only.number()?,
            _ => None,
        };
        let Some(number) = number else {
            let message = "jsonpath array subscript is not a single numeric value";
            return fails(state::INVALID_SQL_JSON_SUBSCRIPT, message);
        };
        let whole = decimal::truncate(number, 0).map(decimal::to_i128);
        match whole.map(|whole| whole.and_then(|whole| i32::try_from(whole).ok())) {
            Ok(Some(whole)) => Ok(whole.into()),
            _ => {
                let message = "jsonpath array subscript is out of integer range";
                fails(state::INVALID_SQL_JSON_SUBSCRIPT, message)
            }
        }
    }
}

/// Whether a step goes to an array's elements in lax mode.
fn is_of_members(step: &Step) -> bool {
    use super::Method::{Size, Type};
    match step {
        Step::Key(_) | Step::AnyKey | Step::Filter(_) | Step::Moment(_) => true,
        Step::Method(method) => !matches!(method, Type | Size),
        Step::AnyElement | Step::Elements(_) | Step::AnyLevel(..) => false,
    }
}

/// The value of a key; `Err` where the shape is no object.
fn key<'a>(
    shape: Shape<'a>,
    name: &str,
    work: &Work<'_>,
) -> Result<std::result::Result<Option<Cow<'a, [u8]>>, ()>> {
    Ok(match shape {
        Shape::Object(members) => Ok(member(members, name, work)?.map(Cow::Borrowed)),
        Shape::Pair(pair) => {
            let found = pair.members().into_iter().find(|(key, _)| *key == name);
            Ok(found.map(|(_, value)| value))
        }
        Shape::Array(_) | Shape::Scalar => Err(()),
    })
}

/// Begins `.**`.
fn levels<'a>(
    item: Item<'a>,
    shape: Shape<'a>,
    first: u32,
    last: u32,
    next: Next,
    stack: &mut Vec<Todo<'a>>,
) {
    let levels = Levels {
        level: 1,
        first,
        last,
    };
    if first == 0 {
        stack.push(Todo::One(item, next));
    }
    match shape {
        _ if last == 0 => {}
        Shape::Array(members) => stack.push(Todo::Below(members, false, levels, next)),
        Shape::Object(members) => stack.push(Todo::Below(members, true, levels, next)),
        Shape::Pair(pair) => {
            for (_, value) in pair.members() {
                let shape = Item::Value(value.clone()).shape();
                let inner = Levels { level: 2, ..levels };
                if first <= 1 {
                    stack.push(Todo::One(Item::Value(value), next));
                }
                match shape {
                    Ok(Shape::Array(members)) => {
                        stack.push(Todo::Below(members, false, inner, next));
                    }
                    Ok(Shape::Object(members)) => {
                        stack.push(Todo::Below(members, true, inner, next));
                    }
                    _ => {}
                }
            }
        }
        Shape::Scalar => {}
    }
}

/// Takes the next of members for `.**`, and puts what it holds behind it.
fn below<'a>(
    mut members: Members<'a>,
    is_object: bool,
    levels: Levels,
    next: Next,
    stack: &mut Vec<Todo<'a>>,
    work: &Work<'_>,
) -> Result<()> {
    let Some(value) = advance(&mut members, is_object, work)? else {
        return Ok(());
    };
    stack.push(Todo::Below(members, is_object, levels, next));
    let held = match view(value)? {
        View::Array(members) => Some((members, false)),
        View::Object(members) => Some((members, true)),
        View::Scalar(..) => None,
    };
    if let Some((members, is_object)) = held
        && levels.level < levels.last
    {
        let inner = Levels {
            level: levels.level + 1,
            ..levels
        };
        stack.push(Todo::Below(members, is_object, inner, next));
    }
    let is_lowest = held.is_none() && (levels.first, levels.last) == (LAST_LEVEL, LAST_LEVEL);
    if levels.level >= levels.first || is_lowest {
        stack.push(Todo::One(Item::Value(Cow::Borrowed(value)), next));
    }
    Ok(())
}

/// A truth value as an item; unknown is null.
fn truth(value: Option<bool>) -> Item<'static> {
    const TRUE: &[u8] = &[Tag::True as u8];
    const FALSE: &[u8] = &[Tag::False as u8];
    Item::Value(Cow::Borrowed(match value {
        Some(true) => TRUE,
        Some(false) => FALSE,
        None => NULL,
    }))
}
