//! C2SP tlog-tiles: paths, hash tiles and entry bundles.

use super::{Error, Hash, NodeSource};

/// A tile spans this many levels of the tree.
pub const TILE_HEIGHT: u8 = 8;
/// A full tile has this many hashes; a full bundle this many entries.
pub const TILE_WIDTH: u64 = 256;
/// The longest entry, in bytes.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// Which tile: `width` is 256 for a full one and never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TileRef {
    /// Level among tiles: its hashes are nodes of level `8 · level` of the tree.
    pub level: u8,
    /// Index among the tiles of the level.
    pub index: u64,
    /// Number of hashes, 1 to 256.
    pub width: u64,
}

impl TileRef {
    /// Path of the tile under the log's prefix.
    #[must_use]
    pub fn path(&self) -> String {
        tile_path(self.level, self.index, self.width)
    }

    /// The tiles of one level of a tree of that size, in order; the last may be partial.
    pub fn of_level(level: u8, size: u64) -> impl Iterator<Item = Self> {
        let nodes = size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0);
        let full = (0..nodes / TILE_WIDTH).map(move |index| Self { level, index, width: TILE_WIDTH });
        let rest = nodes % TILE_WIDTH;
        let partial = Self { level, index: nodes / TILE_WIDTH, width: rest };
        full.chain((rest > 0).then_some(partial))
    }

    /// Every tile of a tree of that size, level by level.
    pub fn of_tree(size: u64) -> impl Iterator<Item = Self> {
        (0..TILE_HEIGHT).flat_map(move |level| Self::of_level(level, size))
    }
}

/// `1234067` → `x001/x234/067`.
#[must_use]
pub fn index_path(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// `tile/<level>/<index>` with `.p/<width>` for partial tiles.
#[must_use]
pub fn tile_path(level: u8, index: u64, width: u64) -> String {
    format!("tile/{level}/{}", with_width(index, width))
}

/// `tile/entries/<index>` with `.p/<width>` for partial bundles.
#[must_use]
pub fn entries_path(index: u64, width: u64) -> String {
    format!("tile/entries/{}", with_width(index, width))
}

fn with_width(index: u64, width: u64) -> String {
    let path = index_path(index);
    if width == TILE_WIDTH { path } else { format!("{path}.p/{width}") }
}

/// Every hash tile of the first `size` leaves, with its bytes.
///
/// # Errors
///
/// [`Error::MissingNode`] if the source does not know that many.
pub fn hash_tiles(source: &impl NodeSource, size: u64) -> Result<Vec<(TileRef, Vec<u8>)>, Error> {
    TileRef::of_tree(size)
        .map(|tile| {
            let level = tile.level * TILE_HEIGHT;
            let first = tile.index * TILE_WIDTH;
            let hashes = (first..first + tile.width)
                .map(|index| source.node(level, index).ok_or(Error::MissingNode { level, index }))
                .collect::<Result<Vec<Hash>, Error>>()?;
            Ok((tile, hashes.concat()))
        })
        .collect()
}

/// Appends an entry to a bundle: two bytes of length, big-endian, then the entry.
///
/// # Errors
///
/// [`Error::EntryTooLong`]; the bundle is then unchanged.
pub fn encode_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), Error> {
    let len = u16::try_from(entry.len()).map_err(|_| Error::EntryTooLong)?;
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Reads the entries of a bundle; the caller knows how many there must be.
#[must_use]
pub const fn parse_bundle(bundle: &[u8]) -> Entries<'_> {
    Entries { rest: bundle }
}

/// The entries of a bundle. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self
            .rest
            .split_first_chunk::<2>()
            .and_then(|(len, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*len))));
        let Some((entry, rest)) = entry else {
            self.rest = &[];
            return Some(Err(Error::TruncatedBundle));
        };
        self.rest = rest;
        Some(Ok(entry))
    }
}
