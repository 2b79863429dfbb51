//! Arrays from and to text: `{1,2,NULL}`, `{{a,"b c"},{d,e}}`, `[0:1]={7,8}`.

use super::super::array::{array_value, check_bounds, too_large, too_many_dimensions};
use super::super::cast::cast_value;
use super::super::{EvalContext, Work};
use super::scanner::{Scanner, is_space, write_part};
use super::{Style, without_blanks, write_counted};
use crate::error::{Error, Result, state};
use remora_storage::limits::VALUE_BYTES_MAX;
use remora_storage::value::{
    ARRAY_DIMENSIONS_MAX, ARRAY_ELEMENTS_MAX, Dimension, ElementType, SqlArray, SqlArrayBuilder,
};
use remora_storage::{Value, ValueRef};

/// The work of an element beside that over its bytes.
const ELEMENT_WORK: usize = 16;

/// Reads an array.
///
/// # Errors
/// 22P02 with what is wrong, 54000 where it has too many dimensions or elements, and those of the elements' type.
pub(crate) fn parse(text: &str, element: ElementType, context: &EvalContext) -> Result<Value> {
    let work = Work::new(context);
    Reader {
        whole: text,
        scanner: Scanner {
            rest: without_blanks(text, &work)?,
        },
        context,
        work,
    }
    .array(element)
}

/// Appends an array's text form.
pub(super) fn write_array(
    out: &mut String,
    array: &SqlArray<'_>,
    style: &Style,
    work: &Work<'_>,
) -> Result<()> {
    let dimensions: Vec<Dimension> = array.dimensions().collect();
    if dimensions.is_empty() {
        out.push_str("{}");
        return Ok(());
    }
    if dimensions.iter().any(|one| one.first != 1) {
        for one in &dimensions {
            out.push_str(&format!("[{}:{}]", one.first, one.last()));
        }
        out.push('=');
    }
    let mut scratch = String::new();
    for (at, value) in array.iter().enumerate() {
        work.spend(ELEMENT_WORK)?;
        // A brace opens for each dimension that begins here, and closes for each that ends.
        let opened = ends_at(&dimensions, at);
        if at > 0 {
            out.push(',');
        }
        out.extend(std::iter::repeat_n('{', opened));
        if value.is_null() {
            out.push_str("NULL");
        } else {
            scratch.clear();
            write_counted(&mut scratch, value, array.element_type(), style, work)?;
            write_element(out, &scratch, work)?;
        }
        out.extend(std::iter::repeat_n('}', ends_at(&dimensions, at + 1)));
    }
    Ok(())
}

/// Of how many dimensions a row begins at the element of this number, or one has ended before it.
fn ends_at(dimensions: &[Dimension], at: usize) -> usize {
    let mut size = 1;
    let inner = dimensions.iter().rev().take_while(|one| {
        size *= one.length as usize;
        at.is_multiple_of(size)
    });
    inner.count()
}

fn write_element(out: &mut String, text: &str, work: &Work<'_>) -> Result<()> {
    if !text.eq_ignore_ascii_case("null") {
        return write_part(out, text, "{},", Some('\\'), work);
    }
    out.push_str(&format!("\"{text}\""));
    Ok(())
}

/// What is left of an array's text.
struct Reader<'t> {
    whole: &'t str,
    scanner: Scanner<'t>,
    context: &'t EvalContext,
    work: Work<'t>,
}

/// What was read last between braces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Open,
    Comma,
    Item,
}

impl Reader<'_> {
    fn array(mut self, element: ElementType) -> Result<Value> {
        let told = self.told()?;
        if !self.scanner.rest.starts_with('{') {
            return Err(
                self.malformed("Array value must start with \"{\" or dimension information.")
            );
        }
        let mut builder = SqlArrayBuilder::new(element);
        let lengths = self.elements(&mut builder)?;
        if !self.scanner.rest.is_empty() {
            return Err(self.malformed("Junk after closing right brace."));
        }
        let fits = |one: &Dimension, length: &u32| one.length == *length;
        let dimensions: Vec<Dimension> = match told {
            Some(told) if builder.is_empty() && told.iter().all(|one| one.length == 0) => {
                Vec::new()
            }
            Some(told)
                if told.len() == lengths.len()
                    && told.iter().zip(&lengths).all(|(a, b)| fits(a, b)) =>
            {
                told
            }
            Some(_) => {
                let detail = "Specified array dimensions do not match array contents.";
                return Err(self.malformed(detail));
            }
            None => lengths
                .iter()
                .map(|length| Dimension::of(*length as usize))
                .collect(),
        };
        check_bounds(&dimensions)?;
        Ok(array_value(builder, &dimensions))
    }

    /// `[1:3][0:1]=`, if it is there.
    fn told(&mut self) -> Result<Option<Vec<Dimension>>> {
        let mut told = Vec::new();
        while self.scanner.eat('[') {
            if told.len() == ARRAY_DIMENSIONS_MAX {
                return Err(too_many_dimensions(told.len() + 1));
            }
            let mut first = 1;
            let mut last = self.subscript()?;
            if self.scanner.eat(':') {
                first = last;
                last = self.subscript()?;
            }
            if !self.scanner.eat(']') {
                return Err(self.malformed("Missing \"]\" after array dimensions."));
            }
            self.scanner.skip_spaces(&self.work)?;
            if last < first {
                return Err(sql_error!(
                    ARRAY_SUBSCRIPT_ERROR,
                    "upper bound cannot be less than lower bound"
                ));
            }
            let length = i64::from(last) - i64::from(first) + 1;
            // One that is too long has other contents, too.
            let length = u32::try_from(length).map_err(|_| too_large())?;
            told.push(Dimension { length, first });
        }
        if told.is_empty() {
            return Ok(None);
        }
        if !self.scanner.eat('=') {
            return Err(self.malformed("Missing \"=\" after array dimensions."));
        }
        self.scanner.skip_spaces(&self.work)?;
        if !self.scanner.rest.starts_with('{') {
            return Err(self.malformed("Array contents must start with \"{\"."));
        }
        Ok(Some(told))
    }

    fn subscript(&mut self) -> Result<i32> {
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-');
        let digits = self.scanner.take_while(is_part);
        if digits.is_empty() {
            return Err(
                self.malformed("\"[\" must introduce explicitly-specified array dimensions.")
            );
        }
        digits.parse().map_err(|_| {
            sql_error!(
                PROGRAM_LIMIT_EXCEEDED,
                "array bound is out of integer range"
            )
        })
    }

    /// The elements up to the brace that closes the array, and how many there are along each dimension.
    fn elements(&mut self, builder: &mut SqlArrayBuilder) -> Result<Vec<u32>> {
        // Of each open brace how many items there are within it so far; and of each dimension how many there must be.
        let mut open: Vec<u32> = Vec::new();
        let mut lengths: Vec<Option<u32>> = Vec::new();
        let mut depth_of_items = None;
        let mut last = Last::Comma;
        loop {
            self.scanner.skip_spaces(&self.work)?;
            let Some(next) = self.scanner.peek() else {
                return Err(self.malformed("Unexpected end of input."));
            };
            match next {
                '{' if last == Last::Item
                    || depth_of_items.is_some_and(|depth| depth <= open.len()) =>
                {
                    return Err(self.unexpected(next));
                }
                '{' => {
                    if open.len() == ARRAY_DIMENSIONS_MAX {
                        return Err(too_many_dimensions(open.len() + 1));
                    }
                    self.scanner.take();
                    open.push(0);
                    if lengths.len() < open.len() {
                        lengths.push(None);
                    }
                    last = Last::Open;
                }
                '}' => {
                    let depth = open.len();
                    let is_empty = last == Last::Open;
                    if last == Last::Comma || (is_empty && (depth > 1 || !builder.is_empty())) {
                        return Err(self.unexpected(next));
                    }
                    self.scanner.take();
                    let found = open.pop().unwrap_or(0);
                    if *lengths[depth - 1].get_or_insert(found) != found {
                        return Err(self.uneven());
                    }
                    match open.last_mut() {
                        Some(count) => *count += 1,
                        None if is_empty => return Ok(Vec::new()),
                        None => break,
                    }
                    last = Last::Item;
                }
                ',' if last == Last::Item => {
                    self.scanner.take();
                    last = Last::Comma;
                }
                ',' => return Err(self.unexpected(next)),
                _ if last == Last::Item => return Err(self.malformed("Unexpected array element.")),
                _ => {
                    if *depth_of_items.get_or_insert(open.len()) != open.len() {
                        return Err(self.uneven());
                    }
                    self.element(builder)?;
                    if let Some(count) = open.last_mut() {
                        *count += 1;
                    }
                    last = Last::Item;
                }
            }
        }
        Ok(lengths.into_iter().flatten().collect())
    }

    fn element(&mut self, builder: &mut SqlArrayBuilder) -> Result<()> {
        self.work.spend(ELEMENT_WORK)?;
        self.work.reach(builder.bytes())?;
        if builder.len() == ARRAY_ELEMENTS_MAX || builder.bytes() > VALUE_BYTES_MAX {
            return Err(too_large());
        }
        let (text, is_quoted) = match self.scanner.eat('"') {
            true => (self.quoted()?, true),
            false => self.bare()?,
        };
        if !is_quoted && text.eq_ignore_ascii_case("null") {
            builder.push(ValueRef::Null);
            return Ok(());
        }
        let to = builder.element_type().data_type();
        let value = cast_value(ValueRef::Text(&text), to, false, self.context)?;
        builder.push(value.as_ref());
        Ok(())
    }

    fn quoted(&mut self) -> Result<String> {
        let mut text = String::new();
        while let Some(c) = self.scanner.take() {
            self.work.spend(c.len_utf8())?;
            match c {
                '"' => return Ok(text),
                '\\' => text.extend(self.scanner.take()),
                c => text.push(c),
            }
        }
        Err(self.malformed("Unexpected end of input."))
    }

    /// An element without quotation marks, and whether any of it was escaped.
    fn bare(&mut self) -> Result<(String, bool)> {
        let mut text = String::new();
        // Blanks at the end do not count, unless they are escaped.
        let (mut kept, mut is_escaped) = (0, false);
        while !self.scanner.rest.starts_with([',', '}']) {
            self.work.spend(1)?;
            match self.scanner.take() {
                None => return Err(self.malformed("Unexpected end of input.")),
                Some('{') => return Err(self.unexpected('{')),
                Some('"') => return Err(self.malformed("Unexpected array element.")),
                Some('\\') => {
                    text.extend(self.scanner.take());
                    (kept, is_escaped) = (text.len(), true);
                }
                Some(c) => {
                    text.push(c);
                    if !is_space(c) {
                        kept = text.len();
                    }
                }
            }
        }
        text.truncate(kept);
        Ok((text, is_escaped))
    }

    fn unexpected(&self, c: char) -> Error {
        self.malformed(format!("Unexpected \"{c}\" character."))
    }

    fn uneven(&self) -> Error {
        self.malformed("Multidimensional arrays must have sub-arrays with matching dimensions.")
    }

    fn malformed(&self, detail: impl Into<String>) -> Error {
        let message = format!("malformed array literal: \"{}\"", self.whole);
        Error::new(state::INVALID_TEXT_REPRESENTATION, message).with_detail(detail)
    }
}
