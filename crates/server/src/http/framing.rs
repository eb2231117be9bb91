//! Where one HTTP/1 request ends and the next begins, stricter than hyper: whatever two parsers could read in two ways
//! is refused before hyper sees it, so that no request can be smuggled past a proxy. HTTP/2 passes untouched.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stalled::Waiting;

/// The longest line of a head. hyper's `max_buf_size` must not be above it: then a head that is too long gets hyper's 431
/// or 414 and not our 400.
pub(crate) const MAX_LINE: usize = 80 * 1024;

/// How a connection begins that speaks HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What hyper gets in place of a head that is refused: after any beginning of a line it is an error, which it answers
/// with 400.
const NO_HEAD: &[u8] = b"\0\r\n\r\n";

/// A stream that hyper can read HTTP from without being led astray. After a violation in a head hyper reads something it
/// answers with 400, after one in a body it reads an end before the body's; in either case nothing follows.
pub(crate) struct Strict<S> {
    inner: S,
    framing: Framing,
    /// What is left to be read once the peer has broken the rules.
    last_words: Option<&'static [u8]>,
    /// Is told when the connection turns out to speak HTTP/2.
    waiting: Arc<Waiting>,
}

impl<S> Strict<S> {
    /// Watches over a connection from its first byte on.
    pub(crate) fn new(inner: S, waiting: Arc<Waiting>) -> Self {
        Strict { inner, framing: Framing::default(), last_words: None, waiting }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.last_words.is_none() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
            let Err(violation) = this.framing.push(&buf.filled()[before..]) else {
                if matches!(this.framing.state, State::Through) {
                    this.waiting.speaks_http2();
                }
                return Poll::Ready(Ok(()));
            };
            buf.set_filled(before + violation.at);
            this.last_words = Some(if violation.in_head { NO_HEAD } else { b"" });
            if violation.at > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        if let Some(words) = &mut this.last_words {
            let (now, later) = words.split_at(words.len().min(buf.remaining()));
            buf.put_slice(now);
            *words = later;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }
}

/// A breach of RFC 9112, or of what is left of it when nothing ambiguous is allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Violation {
    /// How many of the bytes just pushed are fine; the line that is not may have begun in an earlier push.
    pub(crate) at: usize,
    /// Whether a head is cut short by it, not a body.
    pub(crate) in_head: bool,
    /// What is wrong.
    pub(crate) fault: Fault,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// A line ends without a carriage return.
    BareLineFeed,
    /// A carriage return that ends no line.
    BareCarriageReturn,
    /// Longer than [`MAX_LINE`].
    LongLine,
    /// Not a method, a target and HTTP/1.0 or HTTP/1.1.
    RequestLine,
    /// Not a name, a colon and a value.
    Field,
    /// A line that continues the one before.
    Folded,
    /// More than one `Content-Length`, or one that is no number.
    ContentLength,
    /// A `Transfer-Encoding` other than one `chunked`, or in HTTP/1.0.
    TransferEncoding,
    /// `Content-Length` beside `Transfer-Encoding`.
    TwoLengths,
    /// HTTP/1.1 without a `Host`, or more than one.
    Host,
    /// The size of a chunk is not 1 to 16 hexadecimal digits.
    ChunkSize,
    /// A chunk does not end where its size says.
    ChunkEnd,
}

/// The place in the stream.
#[derive(Clone, Copy, Debug)]
enum State {
    /// So many bytes of the HTTP/2 preface have been seen, and nothing else.
    Preface(usize),
    /// HTTP/2: nothing to see here.
    Through,
    /// The first line of a head, or empty lines before it.
    RequestLine,
    /// A header field, or the end of the head.
    Field(HeadSoFar),
    /// So many bytes of a body are to come.
    Body(u64),
    /// The line before a chunk.
    ChunkSize,
    /// So many bytes of a chunk are to come, then its line end.
    Chunk(u64),
    /// The rest of the line end behind a chunk.
    ChunkLineFeed,
    /// After the last chunk.
    Trailer,
}

impl State {
    fn is_head(self) -> bool {
        matches!(self, State::Preface(_) | State::Through | State::RequestLine | State::Field(_))
    }
}

/// What a head has said so far.
#[derive(Clone, Copy, Debug)]
struct HeadSoFar {
    is_1_0: bool,
    has_host: bool,
    length: Option<u64>,
    is_chunked: bool,
}

/// Follows the framing of all requests of a connection, however the bytes arrive.
#[derive(Debug)]
pub(crate) struct Framing {
    state: State,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
}

impl Default for Framing {
    fn default() -> Self {
        Framing { state: State::Preface(0), line: Vec::new() }
    }
}

impl Framing {
    /// Takes the next bytes. After a violation there is no sense in taking more.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        if let State::Preface(seen) = self.state {
            let rest = &PREFACE[seen..];
            let same = rest.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            if same == rest.len() {
                self.state = State::Through;
            } else if same == bytes.len() {
                self.state = State::Preface(seen + same);
            } else {
                self.state = State::RequestLine;
                self.follow(&PREFACE[..seen]).map_err(|violation| Violation { at: 0, ..violation })?;
            }
        }
        match self.state {
            State::Preface(_) | State::Through => Ok(()),
            _ => self.follow(bytes),
        }
    }

    fn follow(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let violation = |state: State, fault| Violation { at, in_head: state.is_head(), fault };
            let state = self.state;
            at += match state {
                State::Preface(_) | State::Through => rest.len(),
                State::Body(left) => {
                    let (taken, left) = skip(left, rest);
                    self.state = if left == 0 { State::RequestLine } else { State::Body(left) };
                    taken
                }
                State::Chunk(0) => {
                    if rest[0] != b'\r' {
                        return Err(violation(state, Fault::ChunkEnd));
                    }
                    self.state = State::ChunkLineFeed;
                    1
                }
                State::Chunk(left) => {
                    let (taken, left) = skip(left, rest);
                    self.state = State::Chunk(left);
                    taken
                }
                State::ChunkLineFeed => {
                    if rest[0] != b'\n' {
                        return Err(violation(state, Fault::ChunkEnd));
                    }
                    self.state = State::ChunkSize;
                    1
                }
                State::RequestLine | State::Field(_) | State::ChunkSize | State::Trailer => {
                    self.line(rest)
                        .map_err(|(good, fault)| Violation { at: at + good, ..violation(state, fault) })?
                }
            };
        }
        Ok(())
    }

    /// Takes a line, or what there is of it; answers how many bytes that were. A fault comes with the number of bytes
    /// before it that may pass: none of a line that is wrong, but all of one that is only too long, which is for hyper
    /// to say.
    fn line(&mut self, rest: &[u8]) -> Result<usize, (usize, Fault)> {
        let refuse = |fault| (0, fault);
        let (end, complete) = if self.line.last() == Some(&b'\r') {
            if rest[0] != b'\n' {
                return Err(refuse(Fault::BareCarriageReturn));
            }
            self.line.pop();
            (0, Some(1))
        } else {
            match rest.iter().position(|&byte| byte == b'\r' || byte == b'\n') {
                None => (rest.len(), None),
                Some(end) if rest[end] == b'\n' => return Err(refuse(Fault::BareLineFeed)),
                Some(end) => match rest.get(end + 1) {
                    None => (rest.len(), None),
                    Some(b'\n') => (end, Some(end + 2)),
                    Some(_) => return Err(refuse(Fault::BareCarriageReturn)),
                },
            }
        };
        if self.line.len() + end > MAX_LINE {
            return Err((rest.len().min(complete.unwrap_or(usize::MAX) - 1), Fault::LongLine));
        }
        let Some(taken) = complete else {
            self.line.extend_from_slice(rest);
            return Ok(rest.len());
        };
        self.state = if self.line.is_empty() {
            after(self.state, &rest[..end]).map_err(refuse)?
        } else {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(&rest[..end]);
            after(self.state, &line).map_err(refuse)?
        };
        Ok(taken)
    }
}

/// Of `left` bytes to come, how many are here and how many are not.
fn skip(left: u64, here: &[u8]) -> (usize, u64) {
    let taken = usize::try_from(left).map_or(here.len(), |left| left.min(here.len()));
    (taken, left - taken as u64)
}

/// Where a line leads, which is given without its end.
fn after(state: State, line: &[u8]) -> Result<State, Fault> {
    match state {
        // hyper skips them too, and RFC 9112, 2.2, asks for it.
        State::RequestLine if line.is_empty() => Ok(State::RequestLine),
        State::RequestLine => request_line(line).map(State::Field),
        State::Field(head) if line.is_empty() => body(head),
        State::Field(head) => with_field(head, line).map(State::Field),
        State::ChunkSize => Ok(match chunk_size(line)? {
            0 => State::Trailer,
            size => State::Chunk(size),
        }),
        State::Trailer if line.is_empty() => Ok(State::RequestLine),
        State::Trailer => field(line).map(|_| State::Trailer),
        State::Preface(_) | State::Through | State::Body(_) | State::Chunk(_) | State::ChunkLineFeed => {
            Ok(state)
        }
    }
}

fn request_line(line: &[u8]) -> Result<HeadSoFar, Fault> {
    let mut words = line.split(|&byte| byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let is_1_0 = match version {
        Some(b"HTTP/1.1") => false,
        Some(b"HTTP/1.0") => true,
        _ => return Err(Fault::RequestLine),
    };
    let well_formed = method.is_some_and(is_token)
        && target.is_some_and(|target| {
            !target.is_empty() && target.iter().all(|&byte| byte > b' ' && byte != 0x7f)
        })
        && words.next().is_none();
    let head = HeadSoFar { is_1_0, has_host: false, length: None, is_chunked: false };
    well_formed.then_some(head).ok_or(Fault::RequestLine)
}

fn with_field(mut head: HeadSoFar, line: &[u8]) -> Result<HeadSoFar, Fault> {
    let (name, value) = field(line)?;
    if name.eq_ignore_ascii_case(b"content-length") {
        if head.length.is_some() {
            return Err(Fault::ContentLength);
        }
        head.length = Some(number(value, 10).ok_or(Fault::ContentLength)?);
    } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
        if head.is_chunked || head.is_1_0 || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Fault::TransferEncoding);
        }
        head.is_chunked = true;
    } else if name.eq_ignore_ascii_case(b"host") {
        if head.has_host {
            return Err(Fault::Host);
        }
        head.has_host = true;
    }
    if head.length.is_some() && head.is_chunked { Err(Fault::TwoLengths) } else { Ok(head) }
}

/// What follows a head.
fn body(head: HeadSoFar) -> Result<State, Fault> {
    if !head.has_host && !head.is_1_0 {
        return Err(Fault::Host);
    }
    Ok(match head.length {
        _ if head.is_chunked => State::ChunkSize,
        None | Some(0) => State::RequestLine,
        Some(length) => State::Body(length),
    })
}

/// The size of a chunk, from a line that may have extensions. Spaces before them are refused: not everyone skips them.
fn chunk_size(line: &[u8]) -> Result<u64, Fault> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let fits = digits.len() <= 16 && line.iter().all(|&byte| is_text(byte));
    fits.then(|| number(digits, 16)).flatten().ok_or(Fault::ChunkSize)
}

/// The name of a field and its value without the spaces around.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Fault::Folded);
    }
    let colon = line.iter().position(|&byte| byte == b':').ok_or(Fault::Field)?;
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    if is_token(name) && value.iter().all(|&byte| is_text(byte)) {
        Ok((name, value))
    } else {
        Err(Fault::Field)
    }
}

/// Without spaces and tabs around; `trim_ascii` would take form feeds too.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Digits and nothing else.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    // `from_str_radix` would take a sign.
    if text.starts_with('+') { None } else { u64::from_str_radix(text, radix).ok() }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

fn is_token(word: &[u8]) -> bool {
    !word.is_empty()
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::server::conn::auto;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What is refused, and where: in a head or in a body.
    fn violations() -> Vec<(Vec<u8>, Fault)> {
        let head = |fields: &str| format!("PUT /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\nxxxxx").into_bytes();
        let chunks = |body: &str| {
            let head = "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            format!("{head}{body}\r\n\r\n0\r\n\r\n").into_bytes()
        };
        vec![
            (b"GET / HTTP/1.1\nHost: a\r\n\r\n".to_vec(), Fault::BareLineFeed),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\n".to_vec(), Fault::BareLineFeed),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\n".to_vec(), Fault::BareLineFeed),
            (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), Fault::BareLineFeed),
            (b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n".to_vec(), Fault::BareCarriageReturn),
            (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n".to_vec(), Fault::BareCarriageReturn),
            (b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n".to_vec(), Fault::BareCarriageReturn),
            (head("Content-Length: 5\r\nTransfer-Encoding: chunked"), Fault::TwoLengths),
            (head("Transfer-Encoding: chunked\r\nContent-Length: 5"), Fault::TwoLengths),
            (head("Content-Length: 5\r\nContent-Length: 5"), Fault::ContentLength),
            (head("Content-Length: 5\r\ncontent-length: 6"), Fault::ContentLength),
            (head("Content-Length: 5, 5"), Fault::ContentLength),
            (head("Content-Length: +5"), Fault::ContentLength),
            (head("Content-Length: -5"), Fault::ContentLength),
            (head("Content-Length: 0x5"), Fault::ContentLength),
            (head("Content-Length: 5\x0b"), Fault::Field),
            (head("Content-Length: 5\x0c"), Fault::Field),
            (head("Content-Length:"), Fault::ContentLength),
            (head("Content-Length: 18446744073709551616"), Fault::ContentLength),
            (head("Transfer-Encoding: xchunked"), Fault::TransferEncoding),
            (head("Transfer-Encoding: gzip, chunked"), Fault::TransferEncoding),
            (head("Transfer-Encoding: chunked, identity"), Fault::TransferEncoding),
            (head("Transfer-Encoding: chunked;q=1"), Fault::TransferEncoding),
            (head("Transfer-Encoding: \"chunked\""), Fault::TransferEncoding),
            (head("Transfer-Encoding:"), Fault::TransferEncoding),
            (head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), Fault::TransferEncoding),
            (head("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), Fault::TransferEncoding),
            (b"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), Fault::TransferEncoding),
            (head("Transfer-Encoding : chunked"), Fault::Field),
            (head("Content-Length\t: 5"), Fault::Field),
            (head(": 5"), Fault::Field),
            (head("no colon"), Fault::Field),
            (head("X: a\0b"), Fault::Field),
            (head("X: a\r\n Content-Length: 5"), Fault::Folded),
            (head("X: a\r\n\tb"), Fault::Folded),
            (head("Host: a"), Fault::Host),
            (b"GET / HTTP/1.1\r\nX: y\r\n\r\n".to_vec(), Fault::Host),
            (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n".to_vec(), Fault::RequestLine),
            (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_vec(), Fault::RequestLine),
            (b"GET /\r\nHost: a\r\n\r\n".to_vec(), Fault::RequestLine),
            (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), Fault::RequestLine),
            (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n".to_vec(), Fault::RequestLine),
            (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), Fault::RequestLine),
            (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), Fault::RequestLine),
            (b"PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), Fault::RequestLine),
            (chunks("5\nhello"), Fault::BareLineFeed),
            (chunks("5;a\nhello"), Fault::BareLineFeed),
            (chunks("5;a=\rb\r\nhello"), Fault::BareCarriageReturn),
            (chunks("5 \r\nhello"), Fault::ChunkSize),
            (chunks(" 5\r\nhello"), Fault::ChunkSize),
            (chunks("+5\r\nhello"), Fault::ChunkSize),
            (chunks("0x5\r\nhello"), Fault::ChunkSize),
            (chunks("g\r\nhello"), Fault::ChunkSize),
            (chunks("\r\nhello"), Fault::ChunkSize),
            (chunks(";a\r\nhello"), Fault::ChunkSize),
            (chunks("00000000000000005\r\nhello"), Fault::ChunkSize),
            (chunks("5\r\nhellox"), Fault::ChunkEnd),
            (chunks("5\r\nhello\n"), Fault::ChunkEnd),
            (chunks("5\r\nhello\rx"), Fault::ChunkEnd),
            (chunks("0\r\nX : y"), Fault::Field),
            (chunks("0\r\nX: y\n"), Fault::BareLineFeed),
            (chunks("0\r\n y"), Fault::Folded),
        ]
    }

    fn refused(bytes: &[u8], cut: usize) -> Option<Fault> {
        let mut framing = Framing::default();
        let (first, second) = bytes.split_at(cut);
        framing.push(first).and_then(|()| framing.push(second)).err().map(|violation| violation.fault)
    }

    #[test]
    fn a57_what_is_ambiguous_is_refused_wherever_it_is_split() {
        for (bytes, fault) in violations() {
            for cut in 0..=bytes.len() {
                assert_eq!(
                    refused(&bytes, cut),
                    Some(fault),
                    "{:?} at {cut}",
                    String::from_utf8_lossy(&bytes)
                );
            }
            let mut framing = Framing::default();
            let violation = bytes.iter().find_map(|&byte| framing.push(&[byte]).err());
            assert_eq!(violation.map(|violation| violation.fault), Some(fault));
        }
    }

    #[test]
    fn a57_a_good_request_before_a_bad_one_is_passed_whole() {
        let good = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let bytes = [good, b"GET /b HTTP/1.1\r\n".as_slice(), b"Host: a\r\nHost: b\r\n\r\n"].concat();
        let violation = Framing::default().push(&bytes).unwrap_err();
        assert_eq!(violation.fault, Fault::Host);
        assert_eq!(violation.at, bytes.len() - b"Host: b\r\n\r\n".len());
    }

    #[test]
    fn a60_a_line_without_end_is_passed_to_its_limit_for_hyper_to_refuse() {
        let mut framing = Framing::default();
        framing.push(&[b'G'; MAX_LINE]).unwrap();
        let violation = framing.push(&[b'G'; 9]).unwrap_err();
        assert_eq!(violation, Violation { at: 9, in_head: true, fault: Fault::LongLine });
    }

    #[test]
    fn http_2_is_passed_through_wherever_it_is_split() {
        let bytes = [PREFACE, b"\0\0\n\r\n:\n"].concat();
        for cut in 0..=bytes.len() {
            assert_eq!(refused(&bytes, cut), None, "{cut}");
        }
        assert_eq!(refused(b"PRIX / HTTP/1.1\r\nHost: a\r\n\r\n", 2), None);
        let later = [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", PREFACE].concat();
        assert_eq!(refused(&later, 0), Some(Fault::RequestLine));
    }

    /// A valid request.
    fn request() -> impl Strategy<Value = Vec<u8>> {
        let body = prop_oneof![
            Just((String::new(), Vec::new())),
            prop::collection::vec(any::<u8>(), 0..200)
                .prop_map(|body| (format!("Content-Length: {}\r\n", body.len()), body)),
            (
                prop::collection::vec(
                    (prop::collection::vec(any::<u8>(), 1..50), "(;[a-z]=\"[ -~]\")?"),
                    0..5
                ),
                "(X-T: [ -~]*\r\n)?"
            )
                .prop_map(|(chunks, trailer)| {
                    let mut body = Vec::new();
                    for (chunk, extension) in chunks {
                        body.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
                        body.extend(chunk);
                        body.extend(b"\r\n");
                    }
                    body.extend(format!("0\r\n{trailer}\r\n").bytes());
                    ("transfer-encoding:ChunKed \r\n".to_owned(), body)
                }),
        ];
        ("(\r\n)?", "[A-Z]{1,8}", "/[!-~]{0,20}", "(X-[a-z]{1,5}:[\t -~]{0,20}\r\n){0,3}", body).prop_map(
            |(empty, method, target, fields, (length, body))| {
                let mut bytes =
                    format!("{empty}{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}{length}\r\n")
                        .into_bytes();
                bytes.extend(body);
                bytes
            },
        )
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    proptest! {
        #[test]
        fn valid_requests_pass_byte_for_byte(
            requests in prop::collection::vec(request(), 1..5), sizes in prop::collection::vec(1_usize..40, 1..20),
        ) {
            let bytes = requests.concat();
            let read = runtime().block_on(async {
                let (mut client, server) = tokio::io::duplex(1 << 20);
                client.write_all(&bytes).await.unwrap();
                drop(client);
                let (mut strict, mut read) = (Strict::new(server, Arc::default()), Vec::new());
                for size in sizes.iter().cycle() {
                    let mut buf = vec![0; *size];
                    match strict.read(&mut buf).await.unwrap() {
                        0 => break,
                        n => read.extend_from_slice(&buf[..n]),
                    }
                }
                assert!(strict.last_words.is_none());
                read
            });
            prop_assert_eq!(read, bytes);
        }

        #[test]
        fn nothing_makes_it_panic(pushes in prop::collection::vec("[A-Z /0-9a-f:;\r\n]{0,30}", 0..10)) {
            let mut framing = Framing::default();
            let _ = framing.push(b"PUT / HTTP/1.1\r\nHost: a\r\n");
            for push in pushes {
                if let Err(violation) = framing.push(push.as_bytes()) {
                    prop_assert!(violation.at <= push.len());
                    break;
                }
            }
        }
    }

    /// What a server of hyper's behind [`Strict`] answers; it echoes the target, or says 400 if the body is broken.
    async fn answer(pieces: &[&[u8]]) -> String {
        converse(pieces, false).await
    }

    /// The same for a client that ends what it sends.
    async fn answer_to_end(pieces: &[&[u8]]) -> String {
        converse(pieces, true).await
    }

    async fn converse(pieces: &[&[u8]], then_end: bool) -> String {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let serve = tokio::spawn(async move {
            let echo = service_fn(|request: hyper::Request<Incoming>| async move {
                let target = request.uri().to_string();
                let status = if request.into_body().collect().await.is_ok() { 200 } else { 400 };
                let response = hyper::Response::builder().status(status).body(Full::new(Bytes::from(target)));
                Ok::<_, Infallible>(response.unwrap())
            });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().max_buf_size(MAX_LINE);
            let _ = builder.serve_connection(TokioIo::new(Strict::new(server, Arc::default())), echo).await;
        });
        for piece in pieces {
            let _ = client.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let mut answer = Vec::new();
        // Without this, it is the server that closes.
        if then_end {
            let _ = client.shutdown().await;
        }
        client.read_to_end(&mut answer).await.unwrap();
        serve.await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn a57_hyper_answers_400_and_closes_and_the_smuggled_request_is_never_run() {
        runtime().block_on(async {
            for (bytes, fault) in violations() {
                let smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
                for cut in 0..=bytes.len() {
                    let (first, second) = bytes.split_at(cut);
                    let answer = answer(&[first, second, smuggled]).await;
                    let what =
                        || format!("{:?} at {cut}: {fault:?}: {answer}", String::from_utf8_lossy(&bytes));
                    assert!(answer.starts_with("HTTP/1.1 400"), "{}", what());
                    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{}", what());
                    assert!(!answer.contains("/smuggled"), "{}", what());
                }
            }
        });
    }

    /// The targets of the requests that are whole, as this module sees them.
    fn whole_requests(bytes: &[u8]) -> Vec<String> {
        let (mut framing, mut whole, mut start) = (Framing::default(), Vec::new(), 0);
        let mut target = None;
        for (at, &byte) in bytes.iter().enumerate() {
            let before = framing.state;
            if framing.push(&[byte]).is_err() {
                break;
            }
            match (before, framing.state) {
                (State::RequestLine | State::Preface(_), State::Field(_)) => {
                    let line = String::from_utf8_lossy(bytes[start..at].trim_ascii()).into_owned();
                    target = line.split(' ').nth(1).map(str::to_owned);
                }
                (State::RequestLine | State::Preface(_), _) => {}
                (_, State::RequestLine) => {
                    whole.extend(target.take());
                    start = at + 1;
                }
                _ => {}
            }
        }
        whole
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn a57_hyper_sees_no_request_that_is_not_seen_here(
            chunked: bool,
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, "[\r\n\t :;,0a\0]"), 0..4),
            cut: prop::sample::Index,
        ) {
            let inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n";
            let framed = if chunked {
                let size = inner.len();
                format!("Transfer-Encoding: chunked\r\n\r\n{size:x};a=b\r\n{inner}\r\n0\r\nX: y\r\n\r\n")
            } else {
                format!("Content-Length: {}\r\n\r\n{inner}", inner.len())
            };
            let outer = format!("PUT /outer HTTP/1.1\r\nHost: a\r\n{framed}");
            let mut bytes = format!("{outer}{outer}GET /last HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
            for (at, kind, byte) in changes {
                let (at, byte) = (at.index(bytes.len()), byte.as_bytes()[0]);
                match kind {
                    0 => bytes.insert(at, byte),
                    1 => bytes[at] = byte,
                    _ => drop(bytes.remove(at)),
                }
            }
            let seen = whole_requests(&bytes);
            let (first, second) = bytes.split_at(cut.index(bytes.len()));
            let answer = runtime().block_on(async {
                tokio::time::timeout(std::time::Duration::from_secs(5), answer_to_end(&[first, second])).await.unwrap()
            });
            let run: Vec<String> = answer
                .split("HTTP/1.")
                .filter(|answer| answer.get(1..).is_some_and(|rest| rest.starts_with(" 200")))
                .filter_map(|answer| Some(answer.split_once("\r\n\r\n")?.1.to_owned()))
                .collect();
            prop_assert!(seen.starts_with(&run), "{seen:?} {run:?} {:?}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn a57_requests_before_a_bad_one_are_answered() {
        runtime().block_on(async {
            let good = b"PUT /good HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
            let bad =
                b"PUT /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n";
            let all = [good.as_slice(), good, bad].concat();
            for cut in 0..all.len() {
                let (first, second) = all.split_at(cut);
                let answer = answer(&[first, second]).await;
                assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{cut}: {answer}");
                assert_eq!(answer.matches("HTTP/1.1 400").count(), 1, "{cut}: {answer}");
            }
        });
    }

    #[test]
    fn a60_heads_that_are_too_large_get_the_status_that_says_so() {
        runtime().block_on(async {
            let line = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(bytes));
            let field = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
            let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10_000));
            for (head, status) in [(line(65_536), "414"), (field, "431"), (many, "431")] {
                let answer = answer(&[head.as_bytes()]).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
            }
        });
    }
}
