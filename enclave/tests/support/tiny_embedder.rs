//! An embedding model of a few kilobytes: bert architecture, random weights from a fixed seed, a real tokenizer.
//!
//! Its vectors mean nothing, but llama.cpp loads it and computes with it as with any other.

use std::path::Path;

use cloister_models::ModelDigest;
use cloister_models::gguf::{TensorType, Value, Writer};

const WIDTH: usize = 32;
const FEED_FORWARD: usize = 64;
const POSITIONS: usize = 512;

/// Writes the model and returns its digest.
pub(crate) fn write(path: &Path) -> ModelDigest {
    let bytes = bytes();
    std::fs::write(path, &bytes).unwrap();
    ModelDigest::of(&bytes)
}

fn bytes() -> Vec<u8> {
    let tokens = tokens();
    let mut writer = Writer::new("bert");
    let number = |n: usize| Value::U32(u32::try_from(n).unwrap());
    writer.set("bert.context_length", number(POSITIONS));
    writer.set("bert.embedding_length", number(WIDTH));
    writer.set("bert.feed_forward_length", number(FEED_FORWARD));
    writer.set("bert.block_count", number(1));
    writer.set("bert.attention.head_count", number(2));
    writer.set("bert.attention.layer_norm_epsilon", Value::F32(1e-12));
    writer.set("bert.attention.causal", Value::Bool(false));
    writer.set("bert.pooling_type", number(1));
    let kinds = (0..tokens.len())
        .map(|id| {
            if id == 1 {
                2
            } else if id < 5 {
                3
            } else {
                1
            }
        })
        .collect();
    let words = tokens.len();
    writer.set("tokenizer.ggml.model", Value::String("bert".to_owned()));
    writer.set("tokenizer.ggml.tokens", Value::Strings(tokens));
    writer.set("tokenizer.ggml.token_type", Value::I32s(kinds));
    writer.set("tokenizer.ggml.token_type_count", number(2));
    for (name, id) in [("padding", 0), ("unknown", 1), ("cls", 2), ("bos", 2), ("seperator", 3), ("mask", 4)] {
        writer.set(&format!("tokenizer.ggml.{name}_token_id"), number(id));
    }
    let mut seed = 1;
    let mut tensor = |name: &str, dims: &[usize]| {
        let values: Vec<f32> = (0..dims.iter().product()).map(|_| noise(&mut seed)).collect();
        writer.tensor(name, dims, TensorType::F32, &values);
    };
    tensor("token_embd.weight", &[WIDTH, words]);
    tensor("position_embd.weight", &[WIDTH, POSITIONS]);
    tensor("token_types.weight", &[WIDTH, 2]);
    for norm in ["token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"] {
        tensor(&format!("{norm}.weight"), &[WIDTH]);
        tensor(&format!("{norm}.bias"), &[WIDTH]);
    }
    for (name, dims) in [
        ("attn_q", [WIDTH, WIDTH]),
        ("attn_k", [WIDTH, WIDTH]),
        ("attn_v", [WIDTH, WIDTH]),
        ("attn_output", [WIDTH, WIDTH]),
        ("ffn_up", [WIDTH, FEED_FORWARD]),
        ("ffn_down", [FEED_FORWARD, WIDTH]),
    ] {
        tensor(&format!("blk.0.{name}.weight"), &dims);
        tensor(&format!("blk.0.{name}.bias"), &dims[1..]);
    }
    writer.to_bytes()
}

/// Single letters and digits, at the start of a word and inside, so that any text becomes tokens.
fn tokens() -> Vec<String> {
    let mut tokens: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).into();
    for letter in ('a'..='z').chain('0'..='9').chain(".,?!-".chars()) {
        tokens.push(format!("\u{2581}{letter}"));
        tokens.push(letter.to_string());
    }
    tokens
}

/// Numbers between -0.5 and 0.5 (xorshift).
fn noise(seed: &mut u32) -> f32 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    f32::from(u16::try_from(*seed >> 16).unwrap()) / 65_536.0 - 0.5
}
