//! Keys and values as bytes.

use crate::error::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// A type whose values can be keys and values.
pub trait ToBytes {
    /// The bytes that are kept.
    ///
    /// # Errors
    /// 22030 where serde cannot write it.
    fn to_bytes(&self) -> Result<Cow<'_, [u8]>>;
}

/// A type that values can be read as.
pub trait FromBytes: Sized {
    /// Reads the bytes of a value.
    ///
    /// # Errors
    /// 22021 where they are no text, 22P02 where they are not of this type.
    fn from_bytes(bytes: &[u8]) -> Result<Self>;
}

/// A value that serde writes and reads, as JSON.
///
/// ```
/// use remora::kv::Json;
/// # let db = remora::Database::in_memory()?;
/// let carts = db.kv("cart")?;
/// carts.put("ann", Json(("apples", 3)))?;
/// let Json((what, count)) = carts.get::<Json<(String, u32)>>("ann")?.expect("it is there");
/// assert_eq!((what.as_str(), count), ("apples", 3));
/// assert_eq!(carts.get::<Json<bool>>("ann").unwrap_err().sqlstate(), "22P02");
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Json<T>(pub T);

macro_rules! bytes {
    ($($type:ty => |$value:ident| $bytes:expr),+ $(,)?) => {$(
        impl ToBytes for $type {
            #[inline]
            fn to_bytes(&self) -> Result<Cow<'_, [u8]>> {
                let $value = self;
                Ok(Cow::Borrowed($bytes))
            }
        }
    )+};
}

bytes! {
    [u8] => |v| v,
    Vec<u8> => |v| v,
    Cow<'_, [u8]> => |v| v,
    str => |v| v.as_bytes(),
    String => |v| v.as_bytes(),
}

impl<const N: usize> ToBytes for [u8; N] {
    #[inline]
    fn to_bytes(&self) -> Result<Cow<'_, [u8]>> {
        Ok(Cow::Borrowed(self))
    }
}

impl<T: ToBytes + ?Sized> ToBytes for &T {
    #[inline]
    fn to_bytes(&self) -> Result<Cow<'_, [u8]>> {
        (**self).to_bytes()
    }
}

impl<T: Serialize> ToBytes for Json<T> {
    fn to_bytes(&self) -> Result<Cow<'_, [u8]>> {
        let written = serde_json::to_vec(&self.0);
        written.map(Cow::Owned).map_err(|error| {
            sql_error!(
                INVALID_PARAMETER_VALUE,
                "the value cannot be written as JSON: {error}"
            )
        })
    }
}

impl FromBytes for Vec<u8> {
    #[inline]
    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(bytes.to_vec())
    }
}

impl FromBytes for String {
    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            sql_error!(
                CHARACTER_NOT_IN_REPERTOIRE,
                "the value is no text: byte {} is not UTF-8",
                error.valid_up_to()
            )
        })?;
        Ok(text.to_owned())
    }
}

impl<T: DeserializeOwned> FromBytes for Json<T> {
    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map(Self).map_err(|error| {
            sql_error!(
                INVALID_TEXT_REPRESENTATION,
                "the value is not of this type: {error}"
            )
        })
    }
}
