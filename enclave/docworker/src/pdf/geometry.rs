//! The little plane geometry that text on a page needs (ISO 32000-2, 8.3).

/// An affine map `[a b c d e f]`: `x' = a·x + c·y + e`, `y' = b·x + d·y + f`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Matrix {
    pub(super) a: f64,
    pub(super) b: f64,
    pub(super) c: f64,
    pub(super) d: f64,
    pub(super) e: f64,
    pub(super) f: f64,
}

impl Matrix {
    pub(super) const IDENTITY: Self = Self { a: 1.0, b: 0.0, c: 0.0, d: 1.0, e: 0.0, f: 0.0 };

    /// From the six operands of `cm` and `Tm` or the entries of a `/Matrix`.
    pub(super) fn from_numbers(numbers: &[f64]) -> Option<Self> {
        let [a, b, c, d, e, f] = numbers.try_into().ok()?;
        Some(Self { a, b, c, d, e, f })
    }

    pub(super) const fn translation(x: f64, y: f64) -> Self {
        Self { e: x, f: y, ..Self::IDENTITY }
    }

    /// First `self`, then `outer`.
    pub(super) fn then(self, outer: Self) -> Self {
        Self {
            a: self.a * outer.a + self.b * outer.c,
            b: self.a * outer.b + self.b * outer.d,
            c: self.c * outer.a + self.d * outer.c,
            d: self.c * outer.b + self.d * outer.d,
            e: self.e * outer.a + self.f * outer.c + outer.e,
            f: self.e * outer.b + self.f * outer.d + outer.f,
        }
    }

    /// How long a unit along the baseline is on the page, and how tall a unit across it.
    pub(super) fn scales(self) -> (f64, f64) {
        (self.a.hypot(self.b), self.c.hypot(self.d))
    }

    /// The origin in axes that lie along and across the baseline, so that turned text has lines too.
    pub(super) fn origin_on_baseline(self) -> (f64, f64) {
        let length = self.a.hypot(self.b);
        if !(length > 0.0 && length.is_finite()) {
            return (self.e, self.f);
        }
        let (x, y) = (self.a / length, self.b / length);
        (self.e * x + self.f * y, self.f * x - self.e * y)
    }
}
