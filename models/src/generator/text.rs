//! From token bytes to text: whole characters only, and nothing of a stop text.

/// Collects the bytes of an answer.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// Bytes of a character that is not complete yet.
    bytes: Vec<u8>,
    /// Text that may be the beginning of a stop text.
    held: String,
    stops: Vec<String>,
}

/// What can be told to the caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) text: String,
    /// A stop text appeared: the answer is over.
    pub(super) stopped: bool,
}

impl Assembler {
    pub(super) fn new(stops: Vec<String>) -> Self {
        Self { stops, ..Self::default() }
    }

    /// Adds the bytes of a token.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Output {
        self.bytes.extend_from_slice(bytes);
        let incomplete = incomplete_tail(&self.bytes);
        let complete = self.bytes.drain(..self.bytes.len() - incomplete);
        self.held.push_str(&String::from_utf8_lossy(complete.as_slice()));
        drop(complete);
        let found = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(start) = found {
            self.held.truncate(start);
            return Output { text: std::mem::take(&mut self.held), stopped: true };
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let held = self.held.split_off(self.held.len() - keep);
        Output { text: std::mem::replace(&mut self.held, held), stopped: false }
    }

    /// The rest, when no token follows.
    pub(super) fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.bytes);
        let mut text = std::mem::take(&mut self.held);
        text.push_str(&String::from_utf8_lossy(&rest));
        text
    }
}

/// Length of an unfinished character at the end of `bytes`.
fn incomplete_tail(bytes: &[u8]) -> usize {
    // A character has at most four bytes, so looking at the last three suffices.
    (1..=bytes.len().min(3))
        .find(|length| {
            let tail = bytes.split_at(bytes.len() - length).1;
            std::str::from_utf8(tail).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .unwrap_or(0)
}

/// Length of the longest end of `text` that is a proper beginning of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let ends = stop.char_indices().map(|(index, _)| index).rev();
    ends.into_iter().find(|length| stop.get(..*length).is_some_and(|start| text.ends_with(start))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], tokens: &[&[u8]]) -> (Vec<String>, bool) {
        let mut assembler = Assembler::new(stops.iter().map(|stop| (*stop).to_owned()).collect());
        let mut texts = Vec::new();
        for token in tokens {
            let output = assembler.push(token);
            texts.push(output.text);
            if output.stopped {
                return (texts, true);
            }
        }
        texts.push(assembler.finish());
        (texts, false)
    }

    #[test]
    fn characters_are_never_split() {
        let euro = "€".as_bytes();
        let (texts, _) = run(&[], &[b"a", &euro[..1], &euro[1..2], &euro[2..], b"b"]);
        assert_eq!(texts, ["a", "", "", "€", "b", ""]);
    }

    #[test]
    fn bytes_that_are_no_text_become_replacement_characters() {
        let (texts, _) = run(&[], &[b"a\xff", b"\xf0\x9f", b"b", b"\xe2\x82"]);
        assert_eq!(texts.concat(), "a\u{fffd}\u{fffd}b\u{fffd}");
    }

    #[test]
    fn stop_texts_are_cut_off_across_tokens() {
        let (texts, stopped) = run(&["\nUser:"], &[b"Hi", b"\nU", b"ser", b": x"]);
        assert_eq!((texts.concat().as_str(), stopped), ("Hi", true));
        let (texts, stopped) = run(&["\nUser:"], &[b"Hi", b"\nU", b"nd"]);
        assert_eq!((texts.concat().as_str(), stopped), ("Hi\nUnd", false));
    }
}
