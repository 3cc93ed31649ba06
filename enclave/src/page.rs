//! The built page, read into memory once: part of what is served, never of what is trusted from the host later.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

/// The most that all files together may weigh.
const MAX_TOTAL_BYTES: u64 = 64 * 1024 * 1024;
const MAX_DEPTH: u32 = 8;

/// Where the build tool puts files whose names are digests of their content.
const HASHED_PREFIX: &str = "assets/";

/// WebAssembly is what the OPAQUE client runs on; nothing else may be evaluated, no text becomes script, and the page
/// needs no policy of its own to make any.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

const NOT_BUILT: &str = "Cloister is running, but its page has not been built.\n\n\
     Run deploy/run, or build it by hand: cd enclave/web && npm ci && npm run build, then start the enclave again.\n";

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("the page's folder cannot be read")]
    Read(#[source] io::Error),
    /// The folder is not that of a page.
    #[error("the page's folder holds more than {MAX_TOTAL_BYTES} bytes or is nested too deep")]
    TooLarge,
}

struct File {
    bytes: Bytes,
    media_type: &'static str,
    is_hashed: bool,
}

/// All files of the page by their path below the root, without a leading slash.
pub struct Page(HashMap<String, File>);

impl Page {
    /// Reads the folder; one that does not exist is an empty page, which says so when asked for.
    ///
    /// # Errors
    /// [`Error`] if it exists and cannot be read, or is larger than a page has reason to be.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let mut files = HashMap::new();
        if folder.exists() {
            let mut left = MAX_TOTAL_BYTES;
            collect(folder, "", 0, &mut left, &mut files)?;
        }
        Ok(Self(files))
    }

    /// How many files there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing to serve.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The file at a URL path, or `None`. The path is looked up as it is: it never reaches the file system.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Response> {
        let name = path.strip_prefix('/')?;
        let name = if name.is_empty() { "index.html" } else { name };
        match self.0.get(name) {
            Some(file) => Some(respond(file)),
            None if name == "index.html" => Some(NOT_BUILT.into_response()),
            None => None,
        }
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Page").field(&self.len()).finish()
    }
}

fn respond(file: &File) -> Response {
    let caching = if file.is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, file.media_type),
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ];
    let mut response = file.bytes.clone().into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn collect(
    folder: &Path,
    prefix: &str,
    depth: u32,
    left: &mut u64,
    files: &mut HashMap<String, File>,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::TooLarge);
    }
    for entry in fs::read_dir(folder).map_err(Error::Read)? {
        let entry = entry.map_err(Error::Read)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let kind = entry.file_type().map_err(Error::Read)?;
        let name = format!("{prefix}{name}");
        if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), depth + 1, left, files)?;
        } else if kind.is_file() {
            let size = entry.metadata().map_err(Error::Read)?.len();
            *left = left.checked_sub(size).ok_or(Error::TooLarge)?;
            let bytes = fs::read(entry.path()).map_err(Error::Read)?.into();
            let media_type = media_type(&name);
            let is_hashed = name.starts_with(HASHED_PREFIX);
            files.insert(name, File { bytes, media_type, is_hashed });
        }
    }
    Ok(())
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
