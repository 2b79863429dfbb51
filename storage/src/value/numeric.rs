//! NUMERIC: a mantissa of 128 bits with a scale per value, and PostgreSQL's NaN and infinities.
//!
//! A value is `mantissa / 10^scale`; the scale is what is displayed, so `1.50` and `1.5` are equal
//! and yet print differently. Any 38 digits fit, and 39 up to 2^127; a declared precision is at most
//! 38. In an array of bare NUMERIC a value takes 17 bytes: the mantissa as a
//! little-endian `i128`, then one byte of scale, 0 to 38, or one of three marks that say that the
//! value is no finite number.

use std::cmp::Ordering;

/// What sort of number a [`Numeric`] is. The order is PostgreSQL's: NaN is above everything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NumericKind {
    /// Below every finite number.
    NegativeInfinity,
    /// `mantissa / 10^scale`
    Finite,
    /// Above every finite number.
    Infinity,
    /// Not a number; equal to itself.
    NaN,
}

/// A decimal number.
#[derive(Clone, Copy, Debug)]
pub struct Numeric {
    kind: NumericKind,
    mantissa: i128,
    scale: u8,
}

impl Numeric {
    /// Bytes of a value in an array of bare NUMERIC.
    pub const BYTES: usize = 17;
    /// The largest scale.
    pub const SCALE_MAX: u8 = 38;
    /// Not a number.
    pub const NAN: Self = Self {
        kind: NumericKind::NaN,
        mantissa: 0,
        scale: 0,
    };
    /// Above every finite number.
    pub const INFINITY: Self = Self {
        kind: NumericKind::Infinity,
        mantissa: 0,
        scale: 0,
    };
    /// Below every finite number.
    pub const NEG_INFINITY: Self = Self {
        kind: NumericKind::NegativeInfinity,
        mantissa: 0,
        scale: 0,
    };
    /// Zero.
    pub const ZERO: Self = Self {
        kind: NumericKind::Finite,
        mantissa: 0,
        scale: 0,
    };
    /// The first mantissa magnitude that has more than 38 digits: no `NUMERIC(p,s)` holds it.
    pub const MANTISSA_LIMIT: i128 = 10_i128.pow(38);

    /// `mantissa / 10^scale`, or `None` where that needs more scale than [`Self::SCALE_MAX`].
    pub fn new(mantissa: i128, scale: u8) -> Option<Self> {
        (scale <= Self::SCALE_MAX).then_some(Self {
            kind: NumericKind::Finite,
            mantissa,
            scale,
        })
    }

    /// What sort of number this is.
    pub fn kind(self) -> NumericKind {
        self.kind
    }

    /// Whether the value is neither NaN nor infinite.
    pub fn is_finite(self) -> bool {
        self.kind == NumericKind::Finite
    }

    /// The digits, of a finite value.
    pub fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// Digits shown after the point.
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// The same value without trailing zeros after the point: equal values give equal parts.
    #[must_use]
    pub fn normalized(self) -> Self {
        let Self {
            kind,
            mut mantissa,
            mut scale,
        } = self;
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        Self {
            kind,
            mantissa,
            scale,
        }
    }

    /// The form in arrays and rows of bare NUMERIC.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.mantissa.to_le_bytes());
        bytes[16] = match self.kind {
            NumericKind::Finite => self.scale,
            NumericKind::NaN => 0xFF,
            NumericKind::Infinity => 0xFE,
            NumericKind::NegativeInfinity => 0xFD,
        };
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for any other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let mut mantissa = [0; 16];
        mantissa.copy_from_slice(&bytes[..16]);
        match bytes[16] {
            0xFF => Some(Self::NAN),
            0xFE => Some(Self::INFINITY),
            0xFD => Some(Self::NEG_INFINITY),
            scale => Self::new(i128::from_le_bytes(mantissa), scale),
        }
    }

    /// The form in arrays and rows of `NUMERIC(p,s)`: the mantissa alone, `i128::MAX` for NaN.
    ///
    /// # Panics
    /// When the value was not cast to the column's scale before, or is infinite.
    pub fn to_fixed(self, scale: u8) -> i128 {
        match self.kind {
            NumericKind::NaN => i128::MAX,
            NumericKind::Finite if self.scale == scale => self.mantissa,
            _ => panic!("a numeric is cast to its column's type before it is stored"),
        }
    }

    /// Reads what [`Self::to_fixed`] wrote. Mantissas that it never writes read as NaN.
    pub fn from_fixed(mantissa: i128, scale: u8) -> Self {
        if mantissa.unsigned_abs() >= Self::MANTISSA_LIMIT as u128 {
            return Self::NAN;
        }
        Self::new(mantissa, scale).unwrap_or(Self::NAN)
    }

    /// A total order of finite values without overflow: whole parts first, then fractions.
    fn cmp_finite(self, other: Self) -> Ordering {
        if self.scale == other.scale {
            return self.mantissa.cmp(&other.mantissa);
        }
        let (one, two) = (
            10_i128.pow(self.scale.into()),
            10_i128.pow(other.scale.into()),
        );
        let whole = (self.mantissa / one).cmp(&(other.mantissa / two));
        let widen = |n: Self, unit: i128| {
            (n.mantissa % unit) * 10_i128.pow((Self::SCALE_MAX - n.scale).into())
        };
        whole.then_with(|| widen(self, one).cmp(&widen(other, two)))
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.kind.cmp(&other.kind) {
            Ordering::Equal if self.is_finite() => self.cmp_finite(*other),
            order => order,
        }
    }
}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Numeric {}

impl std::hash::Hash for Numeric {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let n = self.normalized();
        (n.kind, n.mantissa, n.scale).hash(state);
    }
}

impl From<i64> for Numeric {
    fn from(n: i64) -> Self {
        Self {
            kind: NumericKind::Finite,
            mantissa: n.into(),
            scale: 0,
        }
    }
}
