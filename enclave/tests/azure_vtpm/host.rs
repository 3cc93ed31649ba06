//! A host that stands between the guest and its TPM, and one that plays back what a TPM once said.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

pub(crate) const NV_READ: u32 = 0x014E;
pub(crate) const QUOTE: u32 = 0x0158;
pub(crate) const NV_READ_PUBLIC: u32 = 0x0169;
pub(crate) const PCR_READ: u32 = 0x017E;

/// Passes commands on to a TPM, and its answers back as `change` leaves them, in pieces of `piece` bytes.
pub(crate) struct Host<F> {
    tpm: UnixStream,
    answer: VecDeque<u8>,
    piece: usize,
    change: F,
}

impl<F: FnMut(u32, &mut Vec<u8>)> Host<F> {
    pub(crate) fn new(tpm: &Path, piece: usize, change: F) -> Self {
        Self { tpm: UnixStream::connect(tpm).unwrap(), answer: VecDeque::new(), piece, change }
    }
}

impl<F: FnMut(u32, &mut Vec<u8>)> Write for Host<F> {
    fn write(&mut self, command: &[u8]) -> io::Result<usize> {
        assert!(self.answer.is_empty(), "a command before the last answer was read");
        self.tpm.write_all(command)?;
        let mut answer = vec![0; 4096];
        let length = self.tpm.read(&mut answer)?;
        answer.truncate(length);
        let code = u32::from_be_bytes(command[6..10].try_into().unwrap());
        (self.change)(code, &mut answer);
        self.answer = answer.into();
        Ok(command.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F> Read for Host<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = bytes.len().min(self.piece);
        self.answer.read(&mut bytes[..length])
    }
}

/// Answers in order, whatever is asked.
pub(crate) struct Playback {
    answers: VecDeque<Vec<u8>>,
}

impl Playback {
    pub(crate) fn new(answers: Vec<Vec<u8>>) -> Self {
        Self { answers: answers.into() }
    }
}

impl Write for Playback {
    fn write(&mut self, command: &[u8]) -> io::Result<usize> {
        Ok(command.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Playback {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some(answer) = self.answers.pop_front() else { return Ok(0) };
        let length = answer.len().min(bytes.len());
        bytes[..length].copy_from_slice(&answer[..length]);
        Ok(length)
    }
}

/// A refusal of a TPM.
pub(crate) fn refusal(code: u32) -> Vec<u8> {
    [[0x80, 0x01, 0, 0, 0, 10].as_slice(), &code.to_be_bytes()].concat()
}
