//! Records on their way to the disk, in parts: what lies as it does in its record goes there from where it is.

use std::io::IoSlice;
use std::ops::Range;

use super::record::HEADER;
use crate::buffers::ALIGNMENT;

/// How many records are written at once: as many as uploads send together.
pub(super) const GROUP: usize = 8;

/// Records one behind the other.
pub(super) struct Records<'a> {
    /// Aligned, with room for [`GROUP`] records: headers, what shares a block with one, and all that lies elsewhere.
    memory: &'a mut [u8],
    filled: usize,
    parts: Vec<Part<'a>>,
}

/// Whole blocks.
enum Part<'a> {
    /// In the memory.
    Copied(Range<usize>),
    /// Where they were.
    There(&'a [u8]),
}

impl<'a> Records<'a> {
    /// None yet.
    pub(super) fn new(memory: &'a mut [u8]) -> Self {
        Records { memory, filled: 0, parts: Vec::new() }
    }

    /// Adds a record; answers how long it is.
    pub(super) fn add(&mut self, header: &[u8; HEADER], bytes: &'a [u8]) -> usize {
        let there = blocks(bytes);
        let (front, back) = (&bytes[..there.start], &bytes[there.end..]);
        let (start, split) = (self.filled, self.filled + HEADER + front.len());
        self.filled = (split + back.len()).next_multiple_of(ALIGNMENT);
        self.memory[start..][..HEADER].copy_from_slice(header);
        self.memory[start + HEADER..split].copy_from_slice(front);
        self.memory[split..][..back.len()].copy_from_slice(back);
        self.memory[split + back.len()..self.filled].fill(0);
        if there.is_empty() {
            self.parts.push(Part::Copied(start..self.filled));
        } else {
            self.parts.push(Part::Copied(start..split));
            self.parts.push(Part::There(&bytes[there.clone()]));
            self.parts.push(Part::Copied(split..self.filled));
        }
        self.filled - start + there.len()
    }

    /// All of them, to be written where the first one begins.
    pub(super) fn parts(&self) -> Vec<IoSlice<'_>> {
        let parts = self.parts.iter().map(|part| match part {
            Part::Copied(range) => IoSlice::new(&self.memory[range.clone()]),
            Part::There(bytes) => IoSlice::new(bytes),
        });
        parts.collect()
    }
}

/// Which of a chunk's bytes lie in aligned blocks that are blocks of its record too.
fn blocks(bytes: &[u8]) -> Range<usize> {
    let front = ALIGNMENT - HEADER;
    if bytes.as_ptr().addr() % ALIGNMENT != HEADER || bytes.len() < front {
        return bytes.len()..bytes.len();
    }
    let whole = (bytes.len() - front) / ALIGNMENT * ALIGNMENT;
    front..front + whole
}

#[cfg(test)]
mod tests {
    use cacheroach_model::CHUNK_SIZE;

    use super::*;
    use crate::buffers::{Aligned, Buffers};

    #[test]
    fn a_record_is_the_same_wherever_its_bytes_lie() {
        let header = [7; HEADER];
        for length in [0, 1, 3967, 3968, 3969, 8063, 8064, 70_000, CHUNK_SIZE] {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut buffer = Buffers::default().take();
            buffer.fill(&bytes);
            let buffer = buffer.freeze();
            let mut memory = Aligned::zeroed(GROUP * (CHUNK_SIZE + ALIGNMENT));
            memory.fill(0xff);
            let mut records = Records::new(&mut memory);
            let mut expected = Vec::new();
            // Misaligned by one byte, and as in a record.
            let elsewhere = [&[0], &bytes[..]].concat();
            for bytes in [&elsewhere[1..], &buffer, &elsewhere[1..]] {
                let before = expected.len();
                expected.extend([&header[..], bytes].concat());
                expected.resize(expected.len().next_multiple_of(ALIGNMENT), 0);
                assert_eq!(records.add(&header, bytes), expected.len() - before);
            }
            let parts = records.parts();
            assert!(parts.iter().all(|part| part.len() % ALIGNMENT == 0));
            let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            assert_eq!(all, expected, "{length} bytes");
            assert_eq!(records.filled < expected.len(), length >= 8064, "{length} bytes");
        }
    }
}
