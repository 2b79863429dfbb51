//! Lists of parameters: `[]`, `()`, arrays, tuples, slices, [`params!`](crate::params) and
//! [`params_from_iter`].

use super::given::Given;
use super::to_sql::{ToSql, ToSqlOutput};
use crate::error::Result;
use remora_storage::Value;

mod sealed {
    pub trait Sealed {}
}
use sealed::Sealed;

/// The parameters of one call, in order.
///
/// | written as | when |
/// |---|---|
/// | `[]` or `()` | there are none |
/// | `[1, 2, 3]` | up to 32 of one type |
/// | `(1, "one", None::<i32>)` | up to 16 of any types |
/// | `params![1, "one"]` | any number of any types |
/// | `params_from_iter(values)` | an iterator has them |
///
/// The trait is sealed: what can be a *value* is open, see [`ToSql`].
pub trait Params: Sealed {
    /// Appends the values.
    #[doc(hidden)]
    fn collect_into(self, given: &mut Given) -> Result<()>;
}

#[inline]
fn push(given: &mut Given, value: &(impl ToSql + ?Sized)) -> Result<()> {
    given.push(value.to_sql()?);
    Ok(())
}

impl Sealed for [&(dyn ToSql + Send + Sync); 0] {}
impl Params for [&(dyn ToSql + Send + Sync); 0] {
    fn collect_into(self, _given: &mut Given) -> Result<()> {
        Ok(())
    }
}

impl Sealed for () {}
impl Params for () {
    fn collect_into(self, _given: &mut Given) -> Result<()> {
        Ok(())
    }
}

impl Sealed for &[&dyn ToSql] {}
impl Params for &[&dyn ToSql] {
    fn collect_into(self, given: &mut Given) -> Result<()> {
        self.iter().try_for_each(|value| push(given, *value))
    }
}

impl Sealed for &[Value] {}
impl Params for &[Value] {
    fn collect_into(self, given: &mut Given) -> Result<()> {
        given.copy(self);
        Ok(())
    }
}

impl Sealed for Vec<Value> {}
impl Params for Vec<Value> {
    fn collect_into(self, given: &mut Given) -> Result<()> {
        self.into_iter()
            .for_each(|value| given.push(ToSqlOutput::Owned(value)));
        Ok(())
    }
}

macro_rules! arrays {
    ($($count:literal)+) => {$(
        impl<T: ToSql> Sealed for [T; $count] {}
        impl<T: ToSql> Params for [T; $count] {
            fn collect_into(self, given: &mut Given) -> Result<()> {
                self.iter().try_for_each(|value| push(given, value))
            }
        }
        impl<T: ToSql + ?Sized> Sealed for &[&T; $count] {}
        impl<T: ToSql + ?Sized> Params for &[&T; $count] {
            fn collect_into(self, given: &mut Given) -> Result<()> {
                self.iter().try_for_each(|value| push(given, *value))
            }
        }
    )+};
}

arrays!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: ToSql),+> Sealed for ($($name,)+) {}
        impl<$($name: ToSql),+> Params for ($($name,)+) {
            fn collect_into(self, given: &mut Given) -> Result<()> {
                #[allow(non_snake_case, reason = "the type parameters lend their names")]
                let ($($name,)+) = self;
                $(push(given, &$name)?;)+
                Ok(())
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);
tuples!(A B C D E F G H I J K);
tuples!(A B C D E F G H I J K L);
tuples!(A B C D E F G H I J K L M);
tuples!(A B C D E F G H I J K L M N);
tuples!(A B C D E F G H I J K L M N O);
tuples!(A B C D E F G H I J K L M N O P);

/// Parameters from an iterator; see [`params_from_iter`].
#[derive(Clone, Debug)]
pub struct ParamsFromIter<I>(I);

/// Parameters from anything that iterates over values.
///
/// ```
/// # let db = remora::Database::in_memory()?;
/// # let conn = db.connect()?;
/// conn.execute("CREATE TABLE t (a BIGINT, b BIGINT)", [])?;
/// let row: Vec<i64> = vec![1, 2];
/// conn.execute("INSERT INTO t VALUES (?, ?)", remora::params_from_iter(row))?;
/// # Ok::<(), remora::Error>(())
/// ```
pub fn params_from_iter<I>(iterator: I) -> ParamsFromIter<I>
where
    I: IntoIterator,
    I::Item: ToSql,
{
    ParamsFromIter(iterator)
}

impl<I> Sealed for ParamsFromIter<I> {}
impl<I> Params for ParamsFromIter<I>
where
    I: IntoIterator,
    I::Item: ToSql,
{
    fn collect_into(self, given: &mut Given) -> Result<()> {
        self.0.into_iter().try_for_each(|value| push(given, &value))
    }
}

/// Parameters of any number and any types: `params![1_i64, "one", None::<bool>]`.
#[macro_export]
macro_rules! params {
    () => {
        &[] as &[&dyn $crate::ToSql]
    };
    ($($value:expr),+ $(,)?) => {
        &[$(&$value as &dyn $crate::ToSql),+] as &[&dyn $crate::ToSql]
    };
}
