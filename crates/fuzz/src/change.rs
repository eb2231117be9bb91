//! How inputs say that something genuine is to be changed.

/// Four bytes each: where, how, and with what.
pub(crate) fn changed(genuine: Vec<u8>, how: &[u8]) -> Vec<u8> {
    let mut other = genuine;
    for step in how.chunks_exact(4).take(4) {
        let at = usize::from(u16::from_le_bytes([step[0], step[1]])) % other.len().max(1);
        let byte = step[3];
        match step[2] % 4 {
            0 => other.insert(at, byte),
            1 if at < other.len() => drop(other.remove(at)),
            2 => other.truncate(at),
            _ => other.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
        }
    }
    other
}
