//! Who may open the store besides the machine: making a recovery identity in shares, and reading one, whole or in shares.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cloister_enclave::keys::shares::{self, Share, Split};
use zeroize::Zeroizing;

use super::{Exit, complain, complain_chain, print};

/// A file of one age identity, or of one share, and what stands around it.
const MAX_FILE_BYTES: usize = 4096;

/// Makes a recovery identity that nobody holds alone: shares for officers, any few of whom can open the store.
#[derive(clap::Args)]
pub(super) struct NewRecovery {
    /// How many shares to make, 2 to 16.
    #[arg(long, default_value_t = 3)]
    shares: u8,
    /// How many of them are enough to open the store, at least 2.
    #[arg(long, default_value_t = 2)]
    threshold: u8,
    /// The folder to write `share-1.txt`, `share-2.txt`, … into. Nothing in it is overwritten.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// The owner's recovery identity.
#[derive(clap::Args)]
pub(super) struct Identity {
    /// The file with the age identity (AGE-SECRET-KEY-1…); `-` for standard input, so that it need not touch a disk.
    #[arg(long, value_name = "FILE", conflicts_with = "share")]
    identity: Option<PathBuf>,
    /// A file with a share of the identity (CLOISTER-SHARE-1-…). Given as often as shares are needed.
    #[arg(long, value_name = "FILE")]
    share: Vec<PathBuf>,
}

impl Identity {
    /// The identity, if one was given; nothing after a complaint about what was given.
    pub(super) fn read(&self) -> Result<Option<Zeroizing<String>>, Exit> {
        let unreadable = |path: &Path| {
            complain(&format_args!("{} cannot be read", path.display()));
            Exit::NotStarted
        };
        if let Some(path) = &self.identity {
            return read_line(path).map(Some).map_err(|_| unreadable(path));
        }
        let mut given = Vec::new();
        for path in &self.share {
            let text = read_line(path).map_err(|_| unreadable(path))?;
            given.push(Share::parse(&text).map_err(|error| {
                complain(&format_args!("{}: {error}", path.display()));
                Exit::NotStarted
            })?);
        }
        if given.is_empty() {
            return Ok(None);
        }
        shares::combine(&given).map(Some).map_err(|error| {
            complain(&error);
            Exit::NotStarted
        })
    }
}

/// The first line that says something; comment lines, as age writes them, are passed over.
fn read_line(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE_BYTES));
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_string(&mut text)?;
    } else {
        File::open(path)?.take(limit).read_to_string(&mut text)?;
    }
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(Zeroizing::new(line.unwrap_or_default().to_owned()))
}

/// Runs `new-recovery`.
pub(super) fn make(args: &NewRecovery) -> Exit {
    let split = match Split::new(args.threshold, args.shares) {
        Ok(split) => split,
        Err(error) => {
            complain(&error);
            return Exit::NotStarted;
        }
    };
    if let Err(error) = write(&split, args) {
        complain_chain(&error);
        return Exit::NotStarted;
    }
    print(&split.recipient);
    complain(&format_args!(
        "{} shares are in {}: give each officer one, and keep none together; any {} of them open the store. Put the line \
         above into root_key.recovery_recipient",
        args.shares,
        args.out.display(),
        args.threshold
    ));
    Exit::Done
}

fn write(split: &Split, args: &NewRecovery) -> io::Result<()> {
    fs::create_dir_all(&args.out)?;
    for (number, share) in (1..).zip(&split.shares) {
        let path = args.out.join(format!("share-{number}.txt"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let text = share.to_text();
        writeln!(
            file,
            "# Share {number} of {} of the recovery identity {}.\n# Any {} of them open the store. Keep it offline, and \
             apart from the others.\n{}",
            args.shares, split.recipient, args.threshold, *text
        )?;
        file.sync_all()?;
    }
    Ok(())
}
