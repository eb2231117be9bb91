//! Bytes, names and trees that a seed determines.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// A seed nobody chose, unless `CACHEROACH_TEST_SEED` gives one. It is printed, so that a failing run can be repeated.
pub(crate) fn seed(test: &str) -> u64 {
    let given = std::env::var("CACHEROACH_TEST_SEED").ok();
    let seed = given.map_or_else(|| RandomState::new().hash_one(test), |text| text.parse().unwrap());
    println!("{test}: CACHEROACH_TEST_SEED={seed}");
    seed
}

/// SplitMix64: quick, and different for each seed.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From a range of sizes.
    pub(crate) fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        let at = self.next() % of.len() as u64;
        of[usize::try_from(at).unwrap()]
    }

    /// Fills a buffer.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        for bytes in buffer.chunks_mut(8) {
            bytes.copy_from_slice(&self.next().to_le_bytes()[..bytes.len()]);
        }
    }
}

/// So many bytes that a seed determines.
pub(crate) struct Bytes {
    random: Random,
    left: u64,
}

impl Bytes {
    pub(crate) fn new(seed: u64, length: u64) -> Self {
        Bytes { random: Random::new(seed), left: length }
    }
}

impl Read for Bytes {
    /// Whole words but at the end, so that the bytes do not depend on how they are read.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len() - buffer.len() % 8;
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(wanted);
        self.random.fill(&mut buffer[..length]);
        self.left -= length as u64;
        Ok(length)
    }
}

/// Counts and hashes what is written.
#[derive(Default)]
pub(crate) struct Hashing {
    hash: Sha256,
    pub(crate) length: u64,
}

impl Hashing {
    pub(crate) fn hex(self) -> String {
        hex(&self.hash.finalize())
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// All files of a tree, by their path from its root: size and hash.
pub(crate) fn inventory(root: &Path) -> BTreeMap<String, (u64, String)> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let mut hashing = Hashing::default();
            io::copy(&mut File::open(&path).unwrap(), &mut hashing).unwrap();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(name, (hashing.length, hashing.hex()));
        }
    }
    found
}

/// What a tree is made of.
pub(crate) struct Shape {
    /// Text-like files of 1 to `small` KiB.
    pub(crate) files: usize,
    pub(crate) small_kib: u64,
    /// Files of random bytes, each of 1 MiB up to `large` MiB.
    pub(crate) large: usize,
    pub(crate) large_mib: u64,
}

const WORDS: [&str; 12] = [
    "roach",
    "chunk",
    "rope",
    "tenant",
    "session",
    "Grüße",
    "ファイル",
    "naïve",
    "<b>",
    "&amp;",
    "lorem",
    "0123456789",
];
const ODD_NAMES: [&str; 10] = [
    "with space",
    "it's",
    "say \"hi\"",
    "日本語",
    "caf\u{e9}",
    "cafe\u{301}",
    "a+b%20c",
    "#hash?query=1&x",
    "back\\slash",
    "[glob]*",
];

/// Makes a tree of files, some of them oddly named, empty or deep down.
pub(crate) fn plant(root: &Path, seed: u64, shape: &Shape) {
    let mut random = Random::new(seed);
    let mut text = String::new();
    while text.len() < 128 << 10 {
        text.push_str(random.one_of(&WORDS));
        text.push(if random.next().is_multiple_of(12) { '\n' } else { ' ' });
    }
    for number in 0..shape.files {
        let dir = match number % 50 {
            0 => format!("deep/{}", "d/".repeat(number / 50 % 40 + 1)),
            at => format!(
                "dir {}/{}",
                number / 500,
                random.one_of(&["a", "b c", "ü", "d.e"]).repeat(at % 3 + 1)
            ),
        };
        let odd = if number % 7 == 0 { random.one_of(&ODD_NAMES) } else { "file" };
        let dir = root.join(dir);
        fs::create_dir_all(&dir).unwrap();
        let mut file = BufWriter::new(File::create(dir.join(format!("{odd} {number}.txt"))).unwrap());
        if number % 97 == 0 {
            continue;
        }
        writeln!(file, "{number} {seed}").unwrap();
        let mut left = usize::try_from(random.within(1 << 10, shape.small_kib << 10)).unwrap();
        while left > 0 {
            let from = text.floor_char_boundary(usize::try_from(random.next() % text.len() as u64).unwrap());
            let to = text.floor_char_boundary((from + left).min(text.len()));
            if from == to {
                break;
            }
            file.write_all(&text.as_bytes()[from..to]).unwrap();
            left -= to - from;
        }
    }
    fs::create_dir_all(root.join("large")).unwrap();
    for number in 0..shape.large {
        let length = random.within(1 << 20, shape.large_mib << 20);
        let mut file = File::create(root.join(format!("large/{number}.bin"))).unwrap();
        io::copy(&mut Bytes::new(random.next(), length), &mut file).unwrap();
    }
    // At the borders of what goes in one piece, and of chunks.
    for length in [1, (512 << 10) - 1, 512 << 10, (512 << 10) + 1, (1 << 20) - 1, 1 << 20, (2 << 20) + 1] {
        let mut file = File::create(root.join(format!("large/{length} bytes"))).unwrap();
        io::copy(&mut Bytes::new(seed ^ length, length), &mut file).unwrap();
    }
}
