//! Writer for GGUF version 3, the file format of llama.cpp.
//!
//! Only what our converter needs: a few value types, F32 and `Q8_0` tensors. The output depends on nothing but the
//! input: same calls, same bytes. Reading is llama.cpp's business.
//! Format: `ggml/include/gguf.h` of llama.cpp.

use std::io::{self, Write};

use half::f16;

/// Alignment of tensor data in the file, bytes (the format's default).
const ALIGNMENT: usize = 32;
/// Values per `Q8_0` block.
const Q8_0_BLOCK: usize = 32;

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Unsigned 32-bit number.
    U32(u32),
    /// 32-bit floating point number.
    F32(f32),
    /// Truth value.
    Bool(bool),
    /// UTF-8 text.
    String(String),
    /// List of texts.
    Strings(Vec<String>),
    /// List of signed 32-bit numbers.
    I32s(Vec<i32>),
    /// List of 32-bit floating point numbers.
    F32s(Vec<f32>),
}

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorType {
    /// 32-bit floating point.
    F32,
    /// Blocks of 32 signed bytes with one 16-bit scale.
    Q8_0,
}

#[derive(Debug)]
struct Tensor {
    name: String,
    /// Fastest-changing dimension first.
    dims: Vec<u64>,
    kind: TensorType,
    data: Vec<u8>,
}

/// Collects metadata and tensors, then writes the file.
#[derive(Debug, Default)]
pub struct Writer {
    metadata: Vec<(String, Value)>,
    tensors: Vec<Tensor>,
}

impl Writer {
    /// Starts a file for a model architecture, such as `bert` or `llama`.
    #[must_use]
    pub fn new(architecture: &str) -> Self {
        let mut writer = Self::default();
        writer.set("general.architecture", Value::String(architecture.to_owned()));
        writer
    }

    /// Adds a metadata value.
    pub fn set(&mut self, key: &str, value: Value) {
        self.metadata.push((key.to_owned(), value));
    }

    /// Adds a tensor, `dims` with the fastest-changing dimension first (so the reverse of C order).
    ///
    /// # Panics
    /// If the number of values is not the product of `dims`, or a `Q8_0` row is not a multiple of 32 values.
    pub fn tensor(&mut self, name: &str, dims: &[usize], kind: TensorType, values: &[f32]) {
        assert_eq!(values.len(), dims.iter().product::<usize>(), "shape and values of {name} differ");
        let data = match kind {
            TensorType::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorType::Q8_0 => {
                let row = dims.first().copied().unwrap_or_default();
                assert_eq!(row % Q8_0_BLOCK, 0, "rows of {name} are no whole blocks");
                quantise_q8_0(values)
            }
        };
        self.tensors.push(Tensor {
            name: name.to_owned(),
            dims: dims.iter().copied().map(length).collect(),
            kind,
            data,
        });
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut header = Vec::new();
        header.extend_from_slice(b"GGUF");
        header.extend_from_slice(&3_u32.to_le_bytes());
        header.extend_from_slice(&length(self.tensors.len()).to_le_bytes());
        header.extend_from_slice(&length(self.metadata.len()).to_le_bytes());
        for (key, value) in &self.metadata {
            put_string(&mut header, key);
            put_value(&mut header, value);
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            put_string(&mut header, &tensor.name);
            put_u32(&mut header, tensor.dims.len());
            for dim in &tensor.dims {
                header.extend_from_slice(&dim.to_le_bytes());
            }
            let kind: u32 = match tensor.kind {
                TensorType::F32 => 0,
                TensorType::Q8_0 => 8,
            };
            header.extend_from_slice(&kind.to_le_bytes());
            header.extend_from_slice(&length(offset).to_le_bytes());
            offset += tensor.data.len().next_multiple_of(ALIGNMENT);
        }
        pad(&mut header);
        out.write_all(&header)?;
        for tensor in &self.tensors {
            out.write_all(&tensor.data)?;
            let rest = tensor.data.len().next_multiple_of(ALIGNMENT) - tensor.data.len();
            out.write_all(&vec![0; rest])?;
        }
        Ok(())
    }

    /// The file as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes).expect("a vector takes all bytes");
        bytes
    }
}

/// Quantises as llama.cpp's reference does: scale = largest magnitude / 127, values rounded half away from zero.
fn quantise_q8_0(values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len() / Q8_0_BLOCK * (Q8_0_BLOCK + 2));
    for block in values.chunks_exact(Q8_0_BLOCK) {
        let largest = block.iter().fold(0_f32, |most, value| most.max(value.abs()));
        let scale = largest / 127.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        bytes.extend_from_slice(&f16::from_f32(scale).to_le_bytes());
        for value in block {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "|value| ≤ largest, so the product lies in -127..=127; float casts saturate anyway"
            )]
            let quantised = (value * inverse).round() as i8;
            bytes.extend_from_slice(&quantised.to_le_bytes());
        }
    }
    bytes
}

fn length(length: usize) -> u64 {
    u64::try_from(length).expect("usize fits into 64 bits")
}

fn put_u32(out: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("a handful of dimensions");
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&length(text.len()).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Type numbers of `enum gguf_type`.
fn put_value(out: &mut Vec<u8>, value: &Value) {
    const U32: u32 = 4;
    const I32: u32 = 5;
    const F32: u32 = 6;
    const BOOL: u32 = 7;
    const STRING: u32 = 8;
    const ARRAY: u32 = 9;
    let array_of = |out: &mut Vec<u8>, kind: u32, len: usize| {
        out.extend_from_slice(&ARRAY.to_le_bytes());
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&length(len).to_le_bytes());
    };
    match value {
        Value::U32(number) => {
            out.extend_from_slice(&U32.to_le_bytes());
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::F32(number) => {
            out.extend_from_slice(&F32.to_le_bytes());
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Bool(truth) => {
            out.extend_from_slice(&BOOL.to_le_bytes());
            out.push(u8::from(*truth));
        }
        Value::String(text) => {
            out.extend_from_slice(&STRING.to_le_bytes());
            put_string(out, text);
        }
        Value::Strings(texts) => {
            array_of(out, STRING, texts.len());
            texts.iter().for_each(|text| put_string(out, text));
        }
        Value::I32s(numbers) => {
            array_of(out, I32, numbers.len());
            numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        }
        Value::F32s(numbers) => {
            array_of(out, F32, numbers.len());
            numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        }
    }
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}
