//! Identities that are derived from what they name: the same wherever and however often they are computed.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The first 128 bits of SHA-256 over the parts, as 32 hexadecimal digits. Each part is preceded by its length (eight
/// bytes, the least significant first), so that no two lists of parts read the same. A stored form: it never changes.
pub fn derive<'p>(parts: impl IntoIterator<Item = &'p str>) -> String {
    const BYTES: usize = 16;
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut text = String::with_capacity(2 * BYTES);
    for byte in hash.finalize().iter().take(BYTES) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_read_the_same_one_after_the_other_are_told_apart() {
        assert_ne!(derive(["ab", "c"]), derive(["a", "bc"]));
        assert_ne!(derive(["a", ""]), derive(["a"]));
        assert_eq!(derive(["acme", "pump-7"]), derive(["acme", "pump-7"]));
    }

    #[test]
    fn no_part_at_all_is_the_hash_of_nothing() {
        // FIPS 180-4, SHA-256 of the empty message.
        assert_eq!(derive([]), "e3b0c44298fc1c149afbf4c8996fb924");
    }
}
