//! From a file that the host owns to a model in private memory.
//!
//! The file is hashed while it is copied into an anonymous memory file (`memfd`), the copy is sealed against any
//! change, and llama.cpp reads the copy, memory mapping off. So the bytes that were hashed are the bytes that run,
//! whatever the host does to its file meanwhile. The copy is freed as soon as llama.cpp has read it: loading needs
//! the file's size twice for a moment.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use rustix::fs::{MemfdFlags, SealFlags};
use sha2::{Digest, Sha256};

use crate::digest::{file_error, for_each_chunk};
use crate::{Error, ModelDigest, runtime};

/// Loads a model if, and only if, its file has the expected digest.
pub(crate) fn load_model(path: &Path, expected: &ModelDigest) -> Result<LlamaModel, Error> {
    let copy = private_copy(path, expected)?;
    let params = LlamaModelParams::default().with_use_mmap(false).with_n_gpu_layers(0);
    let copy_path = PathBuf::from(format!("/proc/self/fd/{}", copy.as_raw_fd()));
    LlamaModel::load_from_file(runtime::backend(), &copy_path, &params).map_err(|_| Error::NotAModel)
}

/// The file's bytes in sealed memory of our own, after their digest was found right.
fn private_copy(path: &Path, expected: &ModelDigest) -> Result<File, Error> {
    let at_path = |source| file_error(path, source);
    let original = File::open(path).map_err(at_path)?;
    if !original.metadata().map_err(at_path)?.is_file() {
        return Err(at_path(std::io::Error::other("not a regular file")));
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = rustix::fs::memfd_create("cloister-model", flags).map_err(|error| at_path(error.into()))?;
    let mut copy = File::from(memory);
    let mut hasher = Sha256::new();
    for_each_chunk(original, |chunk| {
        hasher.update(chunk);
        copy.write_all(chunk)
    })
    .map_err(at_path)?;
    let found = ModelDigest::from(<[u8; 32]>::from(hasher.finalize()));
    if found != *expected {
        return Err(Error::WrongDigest { path: path.to_owned(), expected: *expected, found });
    }
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&copy, seals).map_err(|error| at_path(error.into()))?;
    Ok(copy)
}
