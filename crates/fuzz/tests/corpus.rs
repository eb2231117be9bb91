//! Every target takes the kept corpus, and some thousand inputs that are near it. They are the same ones each time: to
//! search for new ones is what `cargo xtask fuzz` is for.

#![allow(clippy::unwrap_used, reason = "this is for tests")]

use std::path::{Path, PathBuf};

use cacheroach_fuzz::{TARGETS, Target};

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

fn kept(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(folder(target))
        .unwrap_or_else(|error| panic!("{target} has no corpus: {error}"))
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Numbers without rhyme, always the same (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).unwrap() % end.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// Something near one of the inputs: up to four changes, some with a piece of another.
fn near(kept: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut input = kept[dice.below(kept.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len() + 1);
        match dice.below(6) {
            0 => input.insert(at, dice.byte()),
            1 => input.truncate(at),
            2 => {
                let other = &kept[dice.below(kept.len())];
                let from = dice.below(other.len());
                let piece = other[from..other.len().min(from + 1 + dice.below(32))].to_vec();
                input.splice(at..at, piece);
            }
            3 if at < input.len() => drop(input.remove(at)),
            4 if at < input.len() => input[at] ^= 1 << dice.below(8),
            _ if at < input.len() => input[at] = dice.byte(),
            _ => input.push(dice.byte()),
        }
    }
    input
}

fn run(target: &Target, input: &[u8]) {
    let outcome = std::panic::catch_unwind(|| (target.run)(input));
    assert!(outcome.is_ok(), "{} fails for {}", target.name, input.escape_ascii());
}

fn holds(name: &str) {
    let target = Target::find(name).unwrap();
    let kept = kept(name);
    assert!(!kept.is_empty(), "{name} has an empty corpus");
    for input in &kept {
        run(target, input);
    }
    let mut dice = Dice(0x5eed);
    for _ in 0..target.tries {
        run(target, &near(&kept, &mut dice));
    }
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                holds(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_run_here() {
            let all: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(all, [$(stringify!($name)),*]);
        }
    };
}

targets!(
    path, scope, host, session, token, target, framing, range, conditions, date, metadata, hash, cursor,
    upload, request,
);
