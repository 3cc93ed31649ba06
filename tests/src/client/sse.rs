//! Server-sent events, as much of them as the appliance sends.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sse {
    /// The `event:` field; `message` if absent.
    pub event: String,
    /// The `data:` fields, joined by line ends.
    pub data: String,
}

/// Takes text as it comes.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    event: Option<String>,
    data: Vec<String>,
}

impl SseParser {
    /// Every event that is complete now. Comments (heartbeats, padding) are dropped.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Sse> {
        let mut out = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                out.extend(self.take_line(line.trim_end_matches('\r')));
            } else {
                self.line.push(*byte);
            }
        }
        out
    }

    fn take_line(&mut self, line: &str) -> Option<Sse> {
        if line.is_empty() {
            let (event, data) = (self.event.take(), std::mem::take(&mut self.data));
            if event.is_none() && data.is_empty() {
                return None;
            }
            return Some(Sse { event: event.unwrap_or_else(|| "message".to_owned()), data: data.join("\n") });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event = Some(value.to_owned()),
            "data" => self.data.push(value.to_owned()),
            _ => (),
        }
        None
    }
}
