//! Chat models of any size: llama architecture, random weights from a fixed seed, a real byte-level tokenizer.
//!
//! What it says means nothing, but it says it as any model does: llama.cpp loads it, tokenises real text with it, and
//! draws words one after another. Same bytes on every machine, so its digest can stand in a configuration.

use std::collections::HashSet;
use std::path::Path;

use cloister_models::ModelDigest;
use cloister_models::gguf::{TensorType, Value, Writer};

/// How large a model is, and whether it ever ends its turn.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    width: usize,
    heads: usize,
    layers: usize,
    feed_forward: usize,
    /// If not, it speaks until the limit of tokens.
    ends: bool,
}

/// Half a megabyte: what tests load.
pub const TINY: Shape = Shape { width: 64, heads: 4, layers: 2, feed_forward: 128, ends: true };
/// 155 MB of weights to be read for every token, so that a token takes as long as one of a small real model.
pub const SLOW: Shape = Shape { width: 512, heads: 8, layers: 12, feed_forward: 1408, ends: false };

/// Tokens that fit into its context at most.
pub const CONTEXT_TOKENS: u32 = 32_768;

const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/// Whole words that it can say (each also with a space before it).
const WORDS: &str = "the of and to in is that for it as was with be by on not he his but at are this have from or had an \
    they which one you were all her she there would their we him been has when who will no more if out so what up its \
    about into than them can only other time new some could these two may first then do any like my now over such our \
    man me even most made after also well before must through years where much your way down should because long each \
    just state those people too how little world good very make year still see own work men day get here old life both \
    between being under three never know same last while us off might great go come since against right came take used \
    answer question document page section model key seal enclave report proof tenant record";

/// Writes a model and returns its digest.
///
/// # Errors
/// Those of the file system.
pub fn write(path: &Path, shape: Shape) -> std::io::Result<ModelDigest> {
    let bytes = bytes(shape);
    std::fs::write(path, &bytes)?;
    Ok(ModelDigest::of(&bytes))
}

/// A model's file.
#[must_use]
pub fn bytes(shape: Shape) -> Vec<u8> {
    let Shape { width, layers, feed_forward, .. } = shape;
    let vocabulary = Vocabulary::new(shape.ends);
    let mut writer = Writer::new("llama");
    describe(&mut writer, &vocabulary, shape);
    let mut numbers = Numbers(0x5eed_c105_7e5e_ed00);
    let embedding = numbers.take(width * vocabulary.tokens.len(), 1.0);
    writer.tensor("token_embd.weight", &[width, vocabulary.tokens.len()], TensorType::F32, &embedding);
    writer.tensor("output_norm.weight", &[width], TensorType::F32, &vec![1.0; width]);
    let mut output = Vec::new();
    for token in 0..vocabulary.tokens.len() {
        // Only words and the end of a turn are ever likely: single bytes would make no readable text.
        let spread = if vocabulary.is_said(token) { 6.0 / square_root(width) } else { 0.0 };
        output.extend(numbers.take(width, spread));
    }
    writer.tensor("output.weight", &[width, vocabulary.tokens.len()], TensorType::F32, &output);
    for layer in 0..layers {
        for norm in ["attn_norm", "ffn_norm"] {
            writer.tensor(&format!("blk.{layer}.{norm}.weight"), &[width], TensorType::F32, &vec![1.0; width]);
        }
        for (name, dims) in [
            ("attn_q", [width, width]),
            ("attn_k", [width, width]),
            ("attn_v", [width, width]),
            ("attn_output", [width, width]),
            ("ffn_gate", [width, feed_forward]),
            ("ffn_up", [width, feed_forward]),
            ("ffn_down", [feed_forward, width]),
        ] {
            let weights = numbers.take(dims[0] * dims[1], 1.5 / square_root(dims[0]));
            writer.tensor(&format!("blk.{layer}.{name}.weight"), &dims, TensorType::F32, &weights);
        }
    }
    writer.to_bytes()
}

fn describe(writer: &mut Writer, vocabulary: &Vocabulary, shape: Shape) {
    let text = |text: &str| Value::String(text.to_owned());
    let number = |number: usize| Value::U32(u32::try_from(number).expect("small constants"));
    writer.set("general.type", text("model"));
    writer.set("general.name", text("Cloister tiny chat (random weights)"));
    writer.set("general.file_type", Value::U32(0)); // F32
    writer.set("llama.context_length", Value::U32(CONTEXT_TOKENS));
    writer.set("llama.embedding_length", number(shape.width));
    writer.set("llama.feed_forward_length", number(shape.feed_forward));
    writer.set("llama.block_count", number(shape.layers));
    writer.set("llama.attention.head_count", number(shape.heads));
    writer.set("llama.attention.head_count_kv", number(shape.heads));
    writer.set("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5));
    writer.set("llama.rope.dimension_count", number(shape.width / shape.heads));
    writer.set("llama.vocab_size", number(vocabulary.tokens.len()));
    writer.set("tokenizer.ggml.model", text("gpt2"));
    writer.set("tokenizer.ggml.pre", text("gpt-2"));
    let first_special = vocabulary.tokens.len() - SPECIAL.len();
    let kind = |index| if index < first_special { 1 } else { 3 }; // normal, control
    writer.set("tokenizer.ggml.token_type", Value::I32s((0..vocabulary.tokens.len()).map(kind).collect()));
    writer.set("tokenizer.ggml.tokens", Value::Strings(vocabulary.tokens.clone()));
    writer.set("tokenizer.ggml.merges", Value::Strings(vocabulary.merges.clone()));
    writer.set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    writer.set("tokenizer.ggml.bos_token_id", number(first_special));
    writer.set("tokenizer.ggml.eos_token_id", number(first_special + 2));
}

/// Byte-level BPE: 256 bytes, the beginnings of all words as merges, three control tokens.
struct Vocabulary {
    tokens: Vec<String>,
    merges: Vec<String>,
    said: HashSet<String>,
}

impl Vocabulary {
    fn new(ends: bool) -> Self {
        let mut tokens: Vec<String> = (0..=255).map(|byte| byte_character(byte).to_string()).collect();
        let mut known: HashSet<String> = tokens.iter().cloned().collect();
        let mut merges = Vec::new();
        let mut said = HashSet::new();
        for word in WORDS.split_ascii_whitespace() {
            for word in [format!("\u{120}{word}"), word.to_owned()] {
                let mut begin = String::new();
                for letter in word.chars() {
                    let longer = format!("{begin}{letter}");
                    if known.insert(longer.clone()) {
                        merges.push(format!("{begin} {letter}"));
                        tokens.push(longer.clone());
                    }
                    begin = longer;
                }
                if word.starts_with('\u{120}') {
                    said.insert(word);
                }
            }
        }
        said.extend([",", "."].map(str::to_owned));
        if ends {
            said.insert(SPECIAL[2].to_owned());
        }
        tokens.extend(SPECIAL.map(str::to_owned));
        Self { tokens, merges, said }
    }

    fn is_said(&self, token: usize) -> bool {
        self.tokens.get(token).is_some_and(|token| self.said.contains(token))
    }
}

/// The printable character that stands for a byte in byte-level BPE (GPT-2's `bytes_to_unicode`).
fn byte_character(byte: u8) -> char {
    let stands_for_itself = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if stands_for_itself(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|byte| !stands_for_itself(*byte)).count();
    let number = 256 + u32::try_from(before).expect("below 256");
    char::from_u32(number).expect("no surrogate below 512")
}

fn square_root(width: usize) -> f32 {
    f32::from(u16::try_from(width).expect("small constants")).sqrt()
}

/// Random numbers that are the same everywhere (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    /// Numbers of mean 0, roughly normal, of the given spread.
    fn take(&mut self, count: usize, spread: f32) -> Vec<f32> {
        let twelfths = |numbers: &mut Self| (0..12).map(|_| numbers.uniform()).sum::<f32>() - 6.0;
        (0..count).map(|_| twelfths(self) * spread).collect()
    }

    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = u16::try_from((mixed ^ (mixed >> 31)) >> 48).expect("16 bits");
        f32::from(bits) / 65_536.0
    }
}
