//! Unit vectors in contiguous memory, and the two inner products that everything else is made of.
//!
//! Both loops work on fixed-size pieces so that the compiler turns them into SIMD. They are compiled several times, and
//! the first call chooses the one for this processor: what all x86-64 processors have is a quarter as wide.

use multiversion::multiversion;

use super::Error;

/// Components of a vector: what all-MiniLM-L6-v2 makes (requirement S0-16). Shorter vectors are filled up with zeros.
pub const DIM: usize = 384;

const LANES: usize = 16;

/// Rows of [`DIM`] `f32` each, one after the other.
#[derive(Debug, Default, Clone)]
pub struct Matrix {
    values: Vec<f32>,
}

impl Matrix {
    /// Appends a vector, scaled to unit length so that the inner product is the cosine.
    ///
    /// # Errors
    /// [`Error::Dimension`] or [`Error::NotFinite`]. A zero vector is kept as it is: it is like nothing.
    pub fn push(&mut self, vector: &[f32]) -> Result<(), Error> {
        let unit = unit(vector)?;
        self.values.extend_from_slice(&unit);
        Ok(())
    }

    /// How many rows there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.values.len() / DIM
    }

    /// Whether there is no row.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The vector at `row`, if there is one.
    #[must_use]
    pub fn row(&self, row: usize) -> Option<&[f32]> {
        let start = row.checked_mul(DIM)?;
        self.values.get(start..start.checked_add(DIM)?)
    }

    /// Keeps the rows for which `keep` says so, in order.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut kept = 0;
        for row in 0..self.len() {
            if keep(row) {
                self.values.copy_within(row * DIM..(row + 1) * DIM, kept * DIM);
                kept += 1;
            }
        }
        self.values.truncate(kept * DIM);
    }
}

/// `vector` scaled to unit length.
///
/// # Errors
/// [`Error::Dimension`] or [`Error::NotFinite`].
pub fn unit(vector: &[f32]) -> Result<[f32; DIM], Error> {
    let mut out = [0.0; DIM];
    out.get_mut(..vector.len()).ok_or(Error::Dimension(vector.len()))?.copy_from_slice(vector);
    if !out.iter().all(|v| v.is_finite()) {
        return Err(Error::NotFinite);
    }
    let norm = dot(&out, &out).sqrt();
    if norm > 0.0 && norm.is_finite() {
        for value in &mut out {
            *value /= norm;
        }
    }
    Ok(out)
}

/// The inner product; of unit vectors, the cosine. Components that one side lacks count as zero.
#[must_use]
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f32 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a.zip(b) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// A vector in one byte a component. The scale is not kept: it is common to a segment and ranks nothing differently.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Quantised(pub(super) [i8; DIM]);

impl Quantised {
    /// Rounds `vector * scale` into the range of a byte.
    #[must_use]
    pub fn new(vector: &[f32], scale: f32) -> Self {
        let mut out = [0_i8; DIM];
        for (to, from) in out.iter_mut().zip(vector) {
            #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of the type first")]
            let value = (from * scale).round().clamp(-127.0, 127.0) as i8;
            *to = value;
        }
        Self(out)
    }

    /// The inner product of the quantised components; at most 127² · 384 < 2²³, so `f32` holds it exactly.
    #[must_use]
    pub fn dot(&self, other: &Self) -> i32 {
        dot_bytes(&self.0, &other.0)
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw", "x86_64+avx2"))]
fn dot_bytes(a: &[i8; DIM], b: &[i8; DIM]) -> i32 {
    let mut sum = 0_i32;
    for (x, y) in a.iter().zip(b) {
        sum += i32::from(*x) * i32::from(*y);
    }
    sum
}

impl std::fmt::Debug for Quantised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Quantised(..)")
    }
}
