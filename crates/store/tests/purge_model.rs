//! The purge as a model: uploads, collectors, movers and a reader that may stop after any step, deadlines that may pass
//! between any two, and the purge of what is left. A step is one transaction or one call to the chunk tier. The store's
//! engines are written after it (`src/purge.rs`, `src/regions.rs`); four designs that look right are found wrong by the
//! same exploration.
//!
//! Three uploads, two of them of the same chunk; two chunks; two collectors; one reader. Then two uploads of one chunk and
//! two movers of it. `CACHEROACH_TEST_FULL=1` gives all three the same chunk as well, and explores that, too.

use stateright::{Checker as _, Model, Property};

const UPLOADS: usize = 3;
const CHUNKS: usize = 2;
const MOVERS: usize = 2;
/// Generations are below this.
const GENERATIONS: usize = 8;
/// All lives there may be.
const LIVES: usize = GENERATIONS * CHUNKS;

/// A state is small, so that many fit.
fn small(number: usize) -> u8 {
    u8::try_from(number).expect("a handful of each")
}

/// A chunk and its generation as one small number.
type Life = u8;

fn life(chunk: usize, generation: u8) -> Life {
    small(chunk * GENERATIONS) + generation
}

/// What is done otherwise than in the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Design {
    /// Nothing.
    Protocol,
    /// Collectors look at no leases but spare what is not live yet, as an age limit would.
    AgeLimit,
    /// A chunk without a row begins with the first generation that nobody is erasing, and names are no better.
    GenerationsAgain,
    /// Commit trusts that what it leased is there.
    UncheckedCommit,
    /// A mover trusts that what it wrote is there.
    UncheckedMove,
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Stage {
    Idle,
    /// It must write the bytes.
    Leased,
    Written,
    /// Somebody else made the chunk live first: the bytes just written are nobody's.
    Beaten,
    /// All it needs is live, as far as it knows.
    Ready,
    /// There is a file of it.
    File,
    /// There was one.
    Deleted,
    /// It died, or was told to begin again.
    Over,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Upload {
    stage: Stage,
    /// The life that it was told to write, or to rely on.
    generation: u8,
    /// It has a lease whose deadline is ahead.
    leases: bool,
    /// The life in the row of its lease: movers take it along.
    leased: u8,
}

/// How far a mover is with the one move that it makes, of the first chunk.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
enum Moving {
    #[default]
    Idle,
    /// It must write the bytes anew.
    Leased,
    Written,
    /// The chunk is in another life by now, or the lease is over: the bytes just written are nobody's.
    Beaten,
    Over,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
struct Mover {
    stage: Moving,
    /// From this life to that one.
    from: u8,
    to: u8,
    /// It has a lease.
    leases: bool,
}

/// A chunk's row; the generation 0 is none, the place 0 is that of a pending one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
struct Row {
    generation: u8,
    place: u8,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Collector {
    /// What it was handed out; 0 is nothing.
    life: Life,
    place: u8,
    erased: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Reader {
    Idle,
    /// It opened a file of this chunk and knows where the bytes are.
    Opened {
        chunk: u8,
        place: u8,
    },
    /// It got these bytes for that chunk.
    Got {
        wanted: u8,
        got: u8,
    },
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct State {
    rows: [Row; CHUNKS],
    /// Of each life that is over, where its bytes are; 0: it was dropped, or there never was one.
    condemned: [u8; LIVES],
    last_generation: u8,
    /// At which places there are bytes.
    bytes: u32,
    uploads: [Upload; UPLOADS],
    movers: [Mover; MOVERS],
    collectors: [Collector; 2],
    reader: Reader,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Lease(usize),
    Write(usize),
    Live(usize),
    Discard(usize),
    Commit(usize),
    Die(usize),
    Expire(usize),
    Delete(usize),
    Condemn(usize, usize),
    TakeOver(usize, Life),
    Erase(usize),
    Drop(usize),
    CollectorDies(usize),
    Sweep(usize),
    MoveLease(usize),
    MoveWrite(usize),
    MoveRow(usize),
    MoveDiscard(usize),
    MoverDies(usize),
    MoveExpires(usize),
    MoveSweep(usize),
    Open(usize),
    Read,
}

struct Purging {
    design: Design,
    /// Which chunk each upload brings.
    chunks: [usize; UPLOADS],
    /// How many of the uploads, and of the movers, there are.
    uploads: usize,
    movers: usize,
}

impl Purging {
    fn new(design: Design) -> Self {
        Purging { design, chunks: [0, 0, 1], uploads: UPLOADS, movers: 0 }
    }

    /// Where an upload writes. A tier gives out no place twice; names that carry nothing but a number that begins again do.
    fn place(&self, upload: usize, generation: u8) -> u8 {
        match self.design {
            Design::GenerationsAgain => life(self.chunks[upload], generation),
            _ => small(LIVES + upload),
        }
    }

    /// Where a mover writes.
    fn home(mover: usize) -> u8 {
        small(LIVES + UPLOADS + mover)
    }

    /// Of which chunk the bytes at a place are.
    fn content(&self, place: u8) -> u8 {
        let place = usize::from(place);
        small(match place.checked_sub(LIVES) {
            None => place / GENERATIONS,
            Some(upload) if upload < UPLOADS => self.chunks[upload],
            Some(_) => 0,
        })
    }

    fn has_file(&self, state: &State, chunk: usize) -> bool {
        (0..UPLOADS).any(|at| self.chunks[at] == chunk && state.uploads[at].stage == Stage::File)
    }

    fn is_leased(&self, state: &State, chunk: usize) -> bool {
        (0..UPLOADS).any(|at| self.chunks[at] == chunk && state.uploads[at].leases)
    }

    fn may_condemn(&self, state: &State, chunk: usize) -> bool {
        let row = state.rows[chunk];
        let spared = match self.design {
            Design::AgeLimit => row.place == 0 && self.is_leased(state, chunk),
            _ => self.is_leased(state, chunk),
        };
        row.generation != 0 && !spared && !self.has_file(state, chunk)
    }

    fn next_generation(&self, state: &mut State, chunk: usize) -> u8 {
        if self.design == Design::GenerationsAgain {
            let is_free = |generation: &u8| state.condemned[usize::from(life(chunk, *generation))] == 0;
            return (1..4).find(is_free).unwrap_or(3);
        }
        state.last_generation += 1;
        state.last_generation
    }

    fn is_named(state: &State, place: u8) -> bool {
        state.rows.iter().any(|row| row.place == place) || state.condemned.contains(&place)
    }

    /// Bytes of an upload that no row names, or may name in a moment.
    fn may_sweep(&self, state: &State, upload: usize) -> bool {
        let (place, row) = (self.place(upload, 0), state.rows[self.chunks[upload]]);
        let is_pending = row.place == 0 && row.generation == state.uploads[upload].generation;
        matches!(self.design, Design::Protocol | Design::UncheckedMove)
            && state.bytes & bit(place) != 0
            && !is_pending
            && !Self::is_named(state, place)
    }

    /// A step of an upload; none if it is not at that point.
    fn upload(&self, state: &State, step: Step) -> Option<State> {
        let mut next = *state;
        let (Step::Lease(at)
        | Step::Write(at)
        | Step::Live(at)
        | Step::Discard(at)
        | Step::Commit(at)
        | Step::Die(at)
        | Step::Expire(at)
        | Step::Delete(at)) = step
        else {
            return None;
        };
        let (chunk, upload) = (self.chunks[at], state.uploads[at]);
        let row = state.rows[chunk];
        let place = self.place(at, upload.generation);
        let own = &mut next.uploads[at];
        match (step, upload.stage) {
            (Step::Lease(_), Stage::Idle) => {
                own.leases = true;
                own.stage = if row.place == 0 { Stage::Leased } else { Stage::Ready };
                (own.generation, own.leased) = (row.generation, row.generation);
                if row.generation == 0 {
                    let generation = self.next_generation(&mut next, chunk);
                    next.rows[chunk] = Row { generation, place: 0 };
                    let own = &mut next.uploads[at];
                    (own.generation, own.leased) = (generation, generation);
                }
            }
            (Step::Write(_), Stage::Leased) => {
                own.stage = Stage::Written;
                next.bytes |= bit(place);
            }
            // The deadline is looked at in the same transaction.
            (Step::Live(_), Stage::Written) if !upload.leases => own.stage = Stage::Over,
            (Step::Live(_), Stage::Written) => {
                let first = row.generation == upload.generation && row.place == 0;
                let own_bytes = first || self.design == Design::GenerationsAgain;
                own.stage = if own_bytes { Stage::Ready } else { Stage::Beaten };
                if first {
                    next.rows[chunk].place = place;
                }
            }
            (Step::Discard(_), Stage::Beaten) => {
                own.stage = Stage::Ready;
                next.bytes &= !bit(place);
            }
            (Step::Commit(_), Stage::Ready) => {
                let is_there = row.place != 0 && row.generation == upload.leased;
                let trusts = matches!(self.design, Design::UncheckedCommit | Design::AgeLimit);
                own.stage = if trusts || (upload.leases && is_there) { Stage::File } else { Stage::Over };
                own.leases = false;
            }
            (Step::Die(_), Stage::Leased | Stage::Written | Stage::Beaten | Stage::Ready) => {
                own.stage = Stage::Over;
            }
            (Step::Expire(_), _) if upload.leases => own.leases = false,
            (Step::Delete(_), Stage::File) => own.stage = Stage::Deleted,
            _ => return None,
        }
        Some(next)
    }

    /// A step of a collector, or of the sweep.
    fn collector(&self, state: &State, step: Step) -> Option<State> {
        let mut next = *state;
        match step {
            Step::Condemn(at, chunk) if state.collectors[at].life == 0 && self.may_condemn(state, chunk) => {
                let row = state.rows[chunk];
                next.rows[chunk] = Row::default();
                if row.place != 0 {
                    let life = life(chunk, row.generation);
                    next.condemned[usize::from(life)] = row.place;
                    next.collectors[at] = Collector { life, place: row.place, erased: false };
                }
            }
            Step::TakeOver(at, life) if state.collectors[at].life == 0 => {
                let place = Some(state.condemned[usize::from(life)]).filter(|place| *place != 0)?;
                next.collectors[at] = Collector { life, place, erased: false };
            }
            Step::Erase(at) if state.collectors[at].life != 0 && !state.collectors[at].erased => {
                next.collectors[at].erased = true;
                next.bytes &= !bit(state.collectors[at].place);
            }
            Step::Drop(at) if state.collectors[at].erased => {
                next.condemned[usize::from(state.collectors[at].life)] = 0;
                next.collectors[at] = Collector::default();
            }
            Step::CollectorDies(at) if state.collectors[at].life != 0 => {
                next.collectors[at] = Collector::default();
            }
            Step::Sweep(upload) if self.may_sweep(state, upload) => {
                next.bytes &= !bit(self.place(upload, 0));
            }
            _ => return None,
        }
        // They are alike.
        next.collectors.sort_unstable();
        Some(next)
    }

    /// A step of a mover, or of the sweep behind it.
    fn mover(&self, state: &State, step: Step) -> Option<State> {
        let mut next = *state;
        let (Step::MoveLease(at)
        | Step::MoveWrite(at)
        | Step::MoveRow(at)
        | Step::MoveDiscard(at)
        | Step::MoverDies(at)
        | Step::MoveExpires(at)
        | Step::MoveSweep(at)) = step
        else {
            return None;
        };
        let (mover, row, place) = (state.movers[at], state.rows[0], Self::home(at));
        let own = &mut next.movers[at];
        match (step, mover.stage) {
            (Step::MoveLease(_), Moving::Idle) if row.place != 0 => {
                let to = self.next_generation(&mut next, 0);
                next.movers[at] = Mover { stage: Moving::Leased, from: row.generation, to, leases: true };
            }
            (Step::MoveWrite(_), Moving::Leased) => {
                own.stage = Moving::Written;
                next.bytes |= bit(place);
            }
            (Step::MoveRow(_), Moving::Written) => {
                own.leases = false;
                let is_mine = mover.leases || self.design == Design::UncheckedMove;
                if is_mine && row.generation == mover.from && row.place != 0 {
                    own.stage = Moving::Over;
                    next.condemned[usize::from(life(0, row.generation))] = row.place;
                    next.rows[0] = Row { generation: mover.to, place };
                    let leases = next.uploads.iter_mut().zip(self.chunks).filter(|(_, chunk)| *chunk == 0);
                    for (upload, _) in leases.filter(|(upload, _)| upload.leased == mover.from) {
                        upload.leased = mover.to;
                    }
                } else {
                    own.stage = Moving::Beaten;
                }
            }
            (Step::MoveDiscard(_), Moving::Beaten) => {
                own.stage = Moving::Over;
                next.bytes &= !bit(place);
            }
            (Step::MoverDies(_), Moving::Leased | Moving::Written | Moving::Beaten) => {
                own.stage = Moving::Over;
            }
            (Step::MoveExpires(_), _) if mover.leases => own.leases = false,
            (Step::MoveSweep(_), _)
                if state.bytes & bit(place) != 0 && !mover.leases && !Self::is_named(state, place) =>
            {
                next.bytes &= !bit(place);
            }
            _ => return None,
        }
        Some(next)
    }

    fn reader(&self, state: &State, step: Step) -> Option<State> {
        let mut next = *state;
        next.reader = match (step, state.reader) {
            (Step::Open(chunk), Reader::Idle) if self.has_file(state, chunk) => {
                Reader::Opened { chunk: small(chunk), place: state.rows[chunk].place }
            }
            (Step::Read, Reader::Opened { chunk, place }) if state.bytes & bit(place) != 0 => {
                Reader::Got { wanted: chunk, got: self.content(place) }
            }
            // Moved: it asks again where the bytes are.
            (Step::Read, Reader::Opened { chunk, place })
                if self.has_file(state, chunk.into()) && state.rows[usize::from(chunk)].place != place =>
            {
                Reader::Opened { chunk, place: state.rows[usize::from(chunk)].place }
            }
            // Nothing there: an aborted answer.
            (Step::Read, Reader::Opened { .. }) => Reader::Idle,
            (Step::Read, Reader::Got { .. }) => Reader::Idle,
            _ => return None,
        };
        Some(next)
    }

    fn step(&self, state: &State, step: Step) -> Option<State> {
        self.upload(state, step)
            .or_else(|| self.collector(state, step))
            .or_else(|| self.mover(state, step))
            .or_else(|| self.reader(state, step))
    }

    /// All deadlines pass, and one collector goes on until there is nothing to do.
    fn purged(&self, mut state: State) -> State {
        let ends = (0..UPLOADS).flat_map(|at| [Step::Die(at), Step::Expire(at)]);
        let moves = (0..MOVERS).flat_map(|at| [Step::MoverDies(at), Step::MoveExpires(at)]);
        let collector = (0..CHUNKS).map(|chunk| Step::Condemn(0, chunk));
        let takes = (1..small(LIVES)).map(|life| Step::TakeOver(0, life));
        let all: Vec<Step> = ends
            .chain(moves)
            .chain([Step::Erase(1), Step::Drop(1), Step::Erase(0), Step::Drop(0)])
            .chain(collector)
            .chain(takes)
            .chain((0..UPLOADS).map(Step::Sweep))
            .chain((0..MOVERS).map(Step::MoveSweep))
            .collect();
        while let Some(next) = all.iter().find_map(|step| self.step(&state, *step)) {
            state = next;
        }
        state
    }
}

fn bit(place: u8) -> u32 {
    1 << place
}

fn every_file_is_whole(model: &Purging, state: &State) -> bool {
    (0..CHUNKS).filter(|chunk| model.has_file(state, *chunk)).all(|chunk| {
        let row = state.rows[chunk];
        row.place != 0 && state.bytes & bit(row.place) != 0
    })
}

fn readers_get_their_own_bytes(_: &Purging, state: &State) -> bool {
    !matches!(state.reader, Reader::Got { wanted, got } if wanted != got)
}

fn nothing_else_stays(model: &Purging, state: &State) -> bool {
    let end = model.purged(*state);
    let is_row_needed = |chunk: usize| end.rows[chunk].generation == 0 || model.has_file(&end, chunk);
    let named = end.rows.iter().filter(|row| row.place != 0).fold(0, |named, row| named | bit(row.place));
    (0..CHUNKS).all(is_row_needed)
        && end.condemned.iter().all(|place| *place == 0)
        && end.bytes & !named == 0
        && every_file_is_whole(model, &end)
}

impl Model for Purging {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let upload = Upload { stage: Stage::Idle, generation: 0, leases: false, leased: 0 };
        vec![State {
            rows: Default::default(),
            condemned: Default::default(),
            last_generation: 0,
            bytes: 0,
            uploads: [upload; UPLOADS],
            movers: Default::default(),
            collectors: Default::default(),
            reader: Reader::Idle,
        }]
    }

    /// All there are: what can't be done now leads nowhere.
    fn actions(&self, _: &State, steps: &mut Vec<Step>) {
        for at in 0..self.uploads {
            steps.extend([Step::Lease(at), Step::Write(at), Step::Live(at), Step::Discard(at)]);
            steps.extend([
                Step::Commit(at),
                Step::Die(at),
                Step::Expire(at),
                Step::Delete(at),
                Step::Sweep(at),
            ]);
        }
        for at in 0..self.movers {
            steps.extend([
                Step::MoveLease(at),
                Step::MoveWrite(at),
                Step::MoveRow(at),
                Step::MoveDiscard(at),
            ]);
            steps.extend([Step::MoverDies(at), Step::MoveExpires(at), Step::MoveSweep(at)]);
        }
        for at in 0..2 {
            steps.extend((0..CHUNKS).map(|chunk| Step::Condemn(at, chunk)));
            steps.extend((1..small(LIVES)).map(|life| Step::TakeOver(at, life)));
            steps.extend([Step::Erase(at), Step::Drop(at), Step::CollectorDies(at)]);
        }
        steps.extend((0..CHUNKS).map(Step::Open));
        steps.push(Step::Read);
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        self.step(last, step).filter(|next| next != last)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let whole = Property::always("every file is whole", every_file_is_whole);
        if self.design != Design::Protocol {
            // With no other, the search ends with the first file that is lost.
            return vec![whole];
        }
        vec![
            whole,
            Property::always("readers get their own bytes", readers_get_their_own_bytes),
            Property::always("nothing else stays", nothing_else_stays),
        ]
    }
}

fn explore(model: Purging) {
    let checker = model.checker().threads(2).spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
    assert!(checker.unique_state_count() > 10_000, "uploads, collectors and the reader all move");
}

/// How many steps it takes to lose a file.
fn counterexample(design: Design) -> Vec<Step> {
    let movers = usize::from(design == Design::UncheckedMove);
    let checker = Purging { movers, ..Purging::new(design) }.checker().spawn_bfs().join();
    let path = checker.discovery("every file is whole").expect("this design loses files");
    path.into_actions()
}

#[test]
fn f29_no_interleaving_of_uploads_and_purges_loses_a_byte() {
    explore(Purging::new(Design::Protocol));
    if std::env::var_os("CACHEROACH_TEST_FULL").is_some() {
        explore(Purging { chunks: [0, 0, 0], ..Purging::new(Design::Protocol) });
    }
}

#[test]
fn f29_an_age_limit_instead_of_leases_loses_files() {
    let steps = counterexample(Design::AgeLimit);
    assert!(steps.iter().any(|step| matches!(step, Step::Condemn(..))), "{steps:?}");
}

#[test]
fn f31_generations_that_begin_again_lose_files() {
    let steps = counterexample(Design::GenerationsAgain);
    assert!(steps.iter().any(|step| matches!(step, Step::TakeOver(..))), "{steps:?}");
}

#[test]
fn f30_a_commit_that_checks_nothing_loses_files() {
    let steps = counterexample(Design::UncheckedCommit);
    assert!(steps.iter().any(|step| matches!(step, Step::Expire(_))), "{steps:?}");
}

#[test]
fn f29_no_interleaving_of_moves_with_uploads_and_purges_loses_a_byte() {
    explore(Purging { uploads: 2, movers: 1, ..Purging::new(Design::Protocol) });
    explore(Purging { uploads: 1, movers: MOVERS, ..Purging::new(Design::Protocol) });
}

#[test]
fn f29_a_mover_that_checks_nothing_loses_files() {
    let steps = counterexample(Design::UncheckedMove);
    assert!(steps.iter().any(|step| matches!(step, Step::MoveSweep(_))), "{steps:?}");
}
