//! PostgreSQL's messages, as far as somebody in between must know them.

use std::collections::HashMap;

/// Asks for TLS; it is refused, since nobody could look into it.
const SSL: u32 = 80_877_103;
/// Asks for encryption by GSSAPI; likewise.
const GSS: u32 = 80_877_104;

/// A message, whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Frame {
    /// What it is; 0 for those that open a connection, which have no kind.
    pub(super) kind: u8,
    /// All of it.
    pub(super) bytes: Vec<u8>,
}

impl Frame {
    /// A client's message that runs statements as they stand.
    pub(super) fn query(sql: &str) -> Frame {
        let length = u32::try_from(sql.len() + 5).unwrap();
        let bytes = [&b"Q"[..], &length.to_be_bytes(), sql.as_bytes(), b"\0"].concat();
        Frame { kind: b'Q', bytes }
    }

    /// Whether a client asks for encryption.
    pub(super) fn asks_for_encryption(&self) -> bool {
        let code = self.bytes.get(4..8).and_then(|code| code.try_into().ok()).map(u32::from_be_bytes);
        self.kind == 0 && matches!(code, Some(SSL | GSS))
    }

    /// What comes after kind and length.
    fn body(&self) -> &[u8] {
        &self.bytes[if self.kind == 0 { 4 } else { 5 }..]
    }

    fn texts(&self) -> impl Iterator<Item = String> {
        self.body().split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned())
    }
}

/// Cuts what comes into messages.
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// A client's first messages have no kind.
    opening: bool,
}

impl Frames {
    pub(super) fn of_client() -> Self {
        Frames { buffer: Vec::new(), opening: true }
    }

    pub(super) fn of_server() -> Self {
        Frames { buffer: Vec::new(), opening: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, if all of it has come.
    pub(super) fn next(&mut self) -> Option<Frame> {
        let skip = usize::from(!self.opening);
        let length: [u8; 4] = self.buffer.get(skip..skip + 4)?.try_into().ok()?;
        // A length counts itself.
        let end = skip + usize::try_from(u32::from_be_bytes(length)).ok()?.max(4);
        if self.buffer.len() < end {
            return None;
        }
        let rest = self.buffer.split_off(end);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        let kind = if self.opening { 0 } else { bytes[0] };
        let frame = Frame { kind, bytes };
        // After a refusal of encryption the client opens once more.
        self.opening = self.opening && frame.asks_for_encryption();
        Some(frame)
    }
}

/// What a client sends before it waits for an answer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Batch {
    pub(super) frames: Vec<Frame>,
    /// The statements it runs; not those that it only prepares.
    pub(super) statements: Vec<String>,
    /// Whether the server says in the end that it is ready for more.
    pub(super) is_answered: bool,
}

impl Batch {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.frames.iter().flat_map(|frame| frame.bytes.clone()).collect()
    }

    /// Whether it ends a transaction, well or not.
    pub(super) fn ends_transaction(&self) -> bool {
        self.statements.iter().any(|sql| {
            let first = sql.trim_start().split([' ', ';', '\n']).next().unwrap_or_default();
            ["COMMIT", "END", "ROLLBACK"].iter().any(|word| first.eq_ignore_ascii_case(word))
        })
    }
}

/// Gathers a client's messages, and knows what the statements it prepared say.
#[derive(Default)]
pub(super) struct Batches {
    prepared: HashMap<String, String>,
    filling: Batch,
}

impl Batches {
    /// Takes the next message; answers the batch that it completes.
    pub(super) fn push(&mut self, frame: Frame) -> Option<Batch> {
        let mut texts = frame.texts();
        match frame.kind {
            b'P' => {
                let (name, sql) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
                self.prepared.insert(name, sql);
            }
            b'B' => {
                let name = texts.nth(1).unwrap_or_default();
                self.filling.statements.extend(self.prepared.get(&name).cloned());
            }
            b'Q' => self.filling.statements.extend(texts.next()),
            _ => {}
        }
        let kind = frame.kind;
        drop(texts);
        self.filling.frames.push(frame);
        // A synchronisation and a plain query are answered in full; the others come through as they are.
        let ends = matches!(kind, b'S' | b'Q' | b'X' | b'H' | b'd' | b'c' | b'f' | b'p' | 0);
        self.filling.is_answered = matches!(kind, b'S' | b'Q');
        ends.then(|| std::mem::take(&mut self.filling))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As tokio-postgres sends it: a start, a plain query, a statement prepared and then run.
    const CLIENT: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f\
        \0\0\0\x17\0\x03\0\0user\0postgres\0\0\
        Q\0\0\0\x0aBEGIN\0\
        P\0\0\0\x13s0\0SELECT $1\0\0\0\
        D\0\0\0\x08Ss0\0\
        S\0\0\0\x04\
        B\0\0\0\x0e\0s0\0\0\0\0\0\0\0\
        E\0\0\0\x09\0\0\0\0\0\
        S\0\0\0\x04\
        Q\0\0\0\x0bCOMMIT\0\
        X\0\0\0\x04";

    fn batches(pieces: usize) -> Vec<Batch> {
        let (mut frames, mut batches, mut found) = (Frames::of_client(), Batches::default(), Vec::new());
        for piece in CLIENT.chunks(pieces) {
            frames.push(piece);
            while let Some(frame) = frames.next() {
                found.extend(batches.push(frame));
            }
        }
        found
    }

    #[test]
    fn a_conversation_is_cut_into_batches_however_it_comes() {
        let whole = batches(CLIENT.len());
        let said: Vec<_> =
            whole.iter().map(|batch| (batch.statements.join("; "), batch.is_answered)).collect();
        let said: Vec<_> = said.iter().map(|(sql, answered)| (sql.as_str(), *answered)).collect();
        let expected = [
            ("", false),
            ("", false),
            ("BEGIN", true),
            ("", true),
            ("SELECT $1", true),
            ("COMMIT", true),
            ("", false),
        ];
        assert_eq!(said, expected);
        assert!(whole[0].frames[0].asks_for_encryption() && !whole[1].frames[0].asks_for_encryption());
        assert!(whole[5].ends_transaction() && !whole[2].ends_transaction());
        assert_eq!(whole.iter().flat_map(Batch::bytes).collect::<Vec<_>>(), CLIENT, "nothing is lost");
        for pieces in 1..40 {
            assert_eq!(batches(pieces), whole, "in pieces of {pieces}");
        }
    }

    #[test]
    fn a_servers_messages_have_kinds_from_the_first() {
        let mut frames = Frames::of_server();
        frames.push(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05IA\0\0\0\x0b\0\0\0\x01");
        let kinds: Vec<_> = std::iter::from_fn(|| frames.next()).map(|frame| frame.kind).collect();
        assert_eq!(kinds, b"RZ");
        frames.push(b"x\0\0");
        assert_eq!(frames.next().unwrap().kind, b'A');
        assert_eq!(Frame::query("SELECT 1").bytes, b"Q\0\0\0\x0dSELECT 1\0");
    }
}
