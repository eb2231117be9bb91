//! In which steps a large file goes up: chunks that the server may have are offered, the others sent.

use cacheroach_model::CHUNK_SIZE;

/// How many chunks a server takes in one offer.
const MOST: usize = 64;
/// How many are sent at most before the next offer: one by one, and in streams, which lose time when they end.
const LONGEST: usize = 64;
const LONGEST_STREAM: usize = 512;

/// One call to the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// So many chunks are offered.
    Offer(usize),
    /// So many bytes are sent, in one piece.
    Send(usize),
    /// So many bytes are sent, piece by piece in one call.
    Stream(usize),
}

/// Offers grow while all of them is taken. Where a chunk is not there it is sent; where many are not, more and more are sent
/// before the next offer, so that a new content costs few questions, and a changed chunk little more than itself.
#[derive(Clone, Debug)]
pub(super) struct Course {
    size: u64,
    /// The most that is sent at once.
    piece: usize,
    /// Whether the server knows of offers.
    offers: bool,
    /// Whether it knows of streams.
    streams: bool,
    /// How many chunks go into the next offer.
    window: usize,
    /// How many are sent after the next offer of which nothing is taken.
    stretch: usize,
    /// How many bytes are sent before the next offer.
    owed: usize,
    /// Whether all of the last offer was taken.
    hits: bool,
}

impl Course {
    /// Through a file of a size.
    pub(super) fn new(size: u64, piece: usize, offers: bool, streams: bool) -> Self {
        Course { size, piece, offers, streams, window: 1, stretch: 1, owed: 0, hits: false }
    }

    /// The same, going on where the answer to a call may have been lost: an offer of all that it may have been about makes the
    /// server tell how far it came.
    pub(super) fn resumed(self) -> Self {
        Course { window: MOST, ..self }
    }

    /// The step from an offset on; none at the end.
    pub(super) fn next(&self, offset: u64) -> Option<Step> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let offers = self.offers && offset.is_multiple_of(CHUNK_SIZE as u64);
        match left {
            0 => None,
            _ if offers && self.owed == 0 => Some(Step::Offer(self.window.min(left.div_ceil(CHUNK_SIZE)))),
            _ if offers => Some(self.send(left.min(self.owed))),
            _ => Some(self.send(left)),
        }
    }

    fn send(&self, bytes: usize) -> Step {
        if self.streams { Step::Stream(bytes) } else { Step::Send(bytes.min(self.piece)) }
    }

    /// How many bytes a step from an offset on is about.
    pub(super) fn length(&self, offset: u64, step: Step) -> u64 {
        match step {
            Step::Offer(chunks) => ((chunks * CHUNK_SIZE) as u64).min(self.size.saturating_sub(offset)),
            Step::Send(bytes) | Step::Stream(bytes) => bytes as u64,
        }
    }

    /// Bytes were sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.owed = self.owed.saturating_sub(bytes);
    }

    /// So many chunks were offered and so many of them taken.
    pub(super) fn offered(&mut self, chunks: usize, taken: usize) {
        self.hits = taken >= chunks;
        if self.hits {
            (self.window, self.stretch) = ((self.window * 4).min(MOST), 1);
            return;
        }
        if taken > 0 {
            (self.window, self.stretch) = (4, 1);
        } else {
            self.window = 1;
        }
        self.owed = self.stretch * CHUNK_SIZE;
        self.stretch = (self.stretch * 2).min(if self.streams { LONGEST_STREAM } else { LONGEST });
    }

    /// The server knows of no offers.
    pub(super) fn give_up_offers(&mut self) {
        self.offers = false;
    }

    /// The server knows of no streams.
    pub(super) fn give_up_streams(&mut self) {
        self.streams = false;
    }

    /// What comes after a step if it ends as the one before: where, and which.
    pub(super) fn foresee(&self, offset: u64, step: Step) -> Option<(u64, Step)> {
        let (mut after, mut at) = (self.clone(), offset + self.length(offset, step));
        match step {
            Step::Send(bytes) | Step::Stream(bytes) => after.sent(bytes),
            Step::Offer(chunks) if self.hits => after.offered(chunks, chunks),
            Step::Offer(chunks) => {
                after.offered(chunks, 0);
                at = offset;
            }
        }
        after.next(at).map(|step| (at, step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: usize = 4 * CHUNK_SIZE;

    /// Walks a file of so many chunks of which the server has some: how many were sent, and how many calls that were.
    fn walk(chunks: usize, has: impl Fn(usize) -> bool) -> (usize, usize) {
        walk_in(Course::new((chunks * CHUNK_SIZE) as u64 - 1, PIECE, true, false), chunks, has)
    }

    fn walk_in(mut course: Course, chunks: usize, has: impl Fn(usize) -> bool) -> (usize, usize) {
        let size = course.size;
        let (mut offset, mut sent, mut calls) = (0, 0, 0);
        while let Some(step) = course.next(offset) {
            let first = usize::try_from(offset).unwrap() / CHUNK_SIZE;
            calls += 1;
            match step {
                Step::Offer(offered) => {
                    assert!(offered > 0 && offered <= MOST && first + offered <= chunks);
                    let taken = (first..first + offered).take_while(|chunk| has(*chunk)).count();
                    offset += course.length(offset, Step::Offer(taken));
                    course.offered(offered, taken);
                }
                Step::Send(bytes) | Step::Stream(bytes) => {
                    assert!(bytes > 0 && (course.streams || bytes <= PIECE));
                    sent += bytes.div_ceil(CHUNK_SIZE);
                    offset += bytes as u64;
                    course.sent(bytes);
                }
            }
        }
        assert_eq!(offset, size);
        (sent, calls)
    }

    #[test]
    fn what_is_there_is_not_sent_and_what_is_not_is_sent_once() {
        assert_eq!(walk(2048, |_| true), (0, 35));
        let (sent, calls) = walk(2048, |_| false);
        assert!(sent == 2048 && calls < 2048 / 4 + 50, "{calls}");
        assert_eq!(walk(1, |_| false), (1, 2));
        let (sent, calls) = walk(2048, |chunk| chunk != 1000);
        assert!(sent == 1 && calls < 45, "{calls}");
        assert_eq!(walk(2048, |chunk| !matches!(chunk, 0 | 1000 | 2047)).0, 3);
        assert!(walk(2048, |chunk| !(1000..1100).contains(&chunk)).0 < 230);
    }

    #[test]
    fn without_offers_all_is_sent_in_pieces() {
        let mut course = Course::new(10 * CHUNK_SIZE as u64 + 1, PIECE, true, false);
        assert_eq!(course.next(0), Some(Step::Offer(1)));
        assert_eq!(course.clone().resumed().next(0), Some(Step::Offer(11)));
        assert_eq!(course.next(5), Some(Step::Send(PIECE)), "not within a chunk");
        course.give_up_offers();
        assert_eq!(course.next(0), Some(Step::Send(PIECE)));
        assert_eq!(course.next(8 * CHUNK_SIZE as u64), Some(Step::Send(2 * CHUNK_SIZE + 1)));
        assert_eq!(course.next(10 * CHUNK_SIZE as u64 + 1), None);
    }

    #[test]
    fn in_streams_what_is_new_goes_in_few_calls() {
        let stream = |chunks: usize| Course::new((chunks * CHUNK_SIZE) as u64 - 1, PIECE, true, true);
        let (sent, calls) = walk_in(stream(2048), 2048, |_| false);
        assert!(sent == 2048 && calls < 30, "{calls}");
        assert_eq!(walk_in(stream(2048), 2048, |chunk| !matches!(chunk, 0 | 1000 | 2047)).0, 3);
        let mut course = stream(100);
        course.give_up_offers();
        assert_eq!(course.next(5), Some(Step::Stream(100 * CHUNK_SIZE - 6)), "all of it");
        course.give_up_streams();
        assert_eq!(course.next(5), Some(Step::Send(PIECE)));
    }

    #[test]
    fn the_step_after_is_foreseen() {
        let mut course = Course::new(100 * CHUNK_SIZE as u64, PIECE, true, false);
        assert_eq!(course.foresee(0, Step::Offer(1)), Some((0, Step::Send(CHUNK_SIZE))));
        course.offered(1, 1);
        let after = CHUNK_SIZE as u64;
        assert_eq!(course.foresee(after, Step::Offer(4)), Some((5 * after, Step::Offer(16))));
        course.offered(4, 0);
        assert_eq!(course.foresee(after, Step::Send(CHUNK_SIZE)), Some((2 * after, Step::Offer(1))));
    }
}
