//! What is uploaded.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::Result;

/// How much of a body is made at a time.
const BLOCK: usize = 256 * 1024;

/// Bytes that look random, follow from a seed, and differ for different seeds in every block: nothing a server
/// could deduplicate or compress.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    seed: u64,
    length: usize,
    sent: usize,
}

impl Content {
    pub(crate) fn new(seed: u64, length: usize) -> Self {
        Self { seed, length, sent: 0 }
    }

    pub(super) fn empty() -> Self {
        Self::new(0, 0)
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.part(0, self.length)
    }

    /// So many bytes from somewhere in it.
    pub(crate) fn part(&self, offset: usize, length: usize) -> Vec<u8> {
        let first = offset - offset % BLOCK;
        let mut all = vec![0; offset + length - first];
        for (index, block) in all.chunks_mut(BLOCK).enumerate() {
            self.fill(first + index * BLOCK, block);
        }
        all.split_off(offset - first)
    }

    pub(crate) fn write_to(&self, mut file: File) -> Result<()> {
        let mut block = vec![0; BLOCK];
        for offset in (0..self.length).step_by(BLOCK) {
            let block = &mut block[..BLOCK.min(self.length - offset)];
            self.fill(offset, block);
            file.write_all(block)?;
        }
        Ok(())
    }

    /// SplitMix64 over the position, so that any block can be made by itself.
    fn fill(&self, offset: usize, block: &mut [u8]) {
        let mut state = self.seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(offset as u64);
        for word in block.chunks_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = mix(state).to_le_bytes();
            word.copy_from_slice(&mixed[..word.len()]);
        }
    }
}

/// Numbers that look random for those that follow each other.
pub(crate) fn mix(state: u64) -> u64 {
    let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        let left = self.length - self.sent;
        if left == 0 {
            return Poll::Ready(None);
        }
        let mut block = vec![0; left.min(BLOCK)];
        self.fill(self.sent, &mut block);
        self.sent += block.len();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(block)))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent == self.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.length - self.sent) as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn contents_differ_in_every_block_and_repeat_for_a_seed() {
        let first = Content::new(1, 2 * BLOCK).bytes();
        let second = Content::new(2, 2 * BLOCK).bytes();
        assert_eq!(first, Content::new(1, 2 * BLOCK).bytes());
        assert_ne!(first[..BLOCK], first[BLOCK..]);
        assert_ne!(first[..BLOCK], second[..BLOCK]);
        assert_ne!(first[BLOCK..], second[BLOCK..]);
    }

    #[tokio::test]
    async fn what_is_sent_is_what_bytes_says() {
        let content = Content::new(7, 2 * BLOCK + 100);
        assert_eq!(content.clone().collect().await.unwrap().to_bytes(), content.bytes());
    }

    #[test]
    fn a_part_is_what_the_whole_has_there() {
        let content = Content::new(7, 3 * BLOCK + 100);
        let all = content.bytes();
        for (offset, length) in [(0, 5), (BLOCK - 3, 7), (BLOCK, BLOCK), (5, 2 * BLOCK), (3 * BLOCK + 90, 10)]
        {
            assert_eq!(content.part(offset, length), all[offset..offset + length], "{offset}");
        }
        let mut file = tempfile::tempfile().unwrap();
        content.write_to(file.try_clone().unwrap()).unwrap();
        let mut written = Vec::new();
        std::io::Seek::rewind(&mut file).unwrap();
        std::io::Read::read_to_end(&mut file, &mut written).unwrap();
        assert_eq!(written, all);
    }
}
