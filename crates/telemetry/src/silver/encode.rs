//! The encodings of Parquet that the columns use, written for whole columns at once.
//!
//! Forms are those of the Parquet format, `Encodings.md`: run length and bit-packed
//! hybrid (RLE = 3), delta binary packed (5), delta byte array (7) and byte stream split (9).
//!
//! What this does not do: levels beyond one bit (a column is required, or has nothing in some rows), and widths above 32 bits
//! for dictionaries.

use super::thrift::{varint, zigzag};

/// Bits that `value` needs.
pub(super) fn width(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

/// Appends `values` with `width` bits each, the lowest bits first, the last byte filled with zeros.
fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let (mut bits, mut held) = (0_u64, 0_u32);
    for value in values {
        bits |= value << held;
        held += width;
        if held >= u64::BITS {
            out.extend_from_slice(&bits.to_le_bytes());
            held -= u64::BITS;
            // What did not fit; all of it did where nothing was held before.
            bits = value.checked_shr(width - held).unwrap_or(0);
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..held.div_ceil(8) as usize]);
}

/// Values that follow one another and are equal, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) value: u32,
    pub(super) count: u32,
}

/// Values of one column as runs.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    /// Appends `value`, `count` times.
    pub(super) fn push(&mut self, value: u32, count: u32) {
        match self.0.last_mut() {
            Some(run) if run.value == value => run.count += count,
            _ => self.0.push(Run { value, count }),
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends the data page of a dictionary with `entries` entries: the width, then the numbers.
    pub(super) fn encode(&self, entries: usize, group: &mut Vec<u32>, out: &mut Vec<u8>) {
        let width = width(entries.saturating_sub(1) as u64);
        out.push(width as u8);
        self.hybrid(width, group, out);
    }

    /// Appends definition levels, of which 1 says that there is a value: their length, then the levels.
    pub(super) fn levels(&self, group: &mut Vec<u32>, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        self.hybrid(1, group, out);
        let bytes = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&bytes.to_le_bytes());
    }

    /// Appends the numbers with `width` bits each.
    fn hybrid(&self, width: u32, group: &mut Vec<u32>, out: &mut Vec<u8>) {
        group.clear();
        for run in &self.0 {
            let mut count = run.count;
            if count < 8 {
                (0..count).for_each(|_| group.push(run.value));
                continue;
            }
            // Whole groups of eight are packed; what is open is filled up before a longer run may stand for itself.
            let open = (8 - group.len() % 8) as u32 % 8;
            group.extend(std::iter::repeat_n(run.value, open as usize));
            count -= open;
            if count >= 8 {
                packed(group, width, out);
                varint(u64::from(count) << 1, out);
                out.extend_from_slice(&run.value.to_le_bytes()[..width.div_ceil(8) as usize]);
            } else {
                group.extend(std::iter::repeat_n(run.value, count as usize));
            }
        }
        packed(group, width, out);
    }
}

/// Appends a bit-packed run of `group`, which is empty afterwards. Only the last of a page may not be full; it is filled with
/// zeros that no reader counts.
fn packed(group: &mut Vec<u32>, width: u32, out: &mut Vec<u8>) {
    if group.is_empty() {
        return;
    }
    group.resize(group.len().next_multiple_of(8), 0);
    varint((group.len() as u64 / 8) << 1 | 1, out);
    pack(group.iter().map(|value| u64::from(*value)), width, out);
    group.clear();
}

/// Values of a block and of each of its parts, for [`deltas`].
const BLOCK: usize = 128;
const PART: usize = 32;

/// Appends differences from value to value: for numbers that rise or stay.
pub(super) fn deltas(values: &[i64], out: &mut Vec<u8>) {
    differences(values, i64::wrapping_sub, out);
}

/// [`deltas`] of numbers with 32 bits: their differences wrap around there.
pub(super) fn deltas32(values: &[i64], out: &mut Vec<u8>) {
    differences(values, |a, b| i64::from(a.wrapping_sub(b) as i32), out);
}

fn differences(values: &[i64], minus: impl Fn(i64, i64) -> i64, out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / PART) as u64, out);
    varint(values.len() as u64, out);
    let Some((first, rest)) = values.split_first() else { return zigzag(0, out) };
    zigzag(*first, out);
    let mut before = *first;
    let mut block = [0_i64; BLOCK];
    for values in rest.chunks(BLOCK) {
        for (delta, value) in block.iter_mut().zip(values) {
            (*delta, before) = (minus(*value, before), *value);
        }
        let deltas = &block[..values.len()];
        let least = deltas.iter().copied().min().unwrap_or_default();
        zigzag(least, out);
        let above = |delta: &i64| delta.wrapping_sub(least) as u64;
        let widths = out.len();
        out.extend_from_slice(&[0; BLOCK / PART]);
        for (index, part) in deltas.chunks(PART).enumerate() {
            let width = width(part.iter().map(above).fold(0, |all, delta| all | delta));
            out[widths + index] = width as u8;
            if width > 0 {
                let filled = part.iter().map(above).chain(std::iter::repeat_n(0, PART - part.len()));
                pack(filled, width, out);
            }
        }
    }
}

/// Appends texts as how much each shares with the one before, how much follows, and what follows.
pub(super) fn shared(shared: &[i64], own: &[i64], bytes: &[u8], out: &mut Vec<u8>) {
    deltas(shared, out);
    deltas(own, out);
    out.extend_from_slice(bytes);
}

/// Appends the first bytes of all values, then the second bytes, and so on: what is alike in all comes to stand together.
pub(super) fn streams<const N: usize, T: Copy>(values: &[T], bytes: impl Fn(T) -> [u8; N], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + N * values.len(), 0);
    for (index, stream) in out[start..].chunks_exact_mut(values.len().max(1)).enumerate() {
        for (place, value) in stream.iter_mut().zip(values) {
            *place = bytes(*value)[index];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_format_is_packed_as_there() {
        let mut out = Vec::new();
        pack(0..8, 3, &mut out);
        assert_eq!(out, [0b1000_1000, 0b1100_0110, 0b1111_1010]);
    }

    #[test]
    fn the_examples_of_deltas_come_out_as_in_the_format() {
        // 1 to 5: least delta 1, nothing above it.
        let mut out = Vec::new();
        deltas(&[1, 2, 3, 4, 5], &mut out);
        assert_eq!(out, [0x80, 0x01, 4, 5, 2, 2, 0, 0, 0, 0]);
        // 7, 5, 3, 1, 2, 3, 4, 5: least delta -2, then 0 0 0 3 3 3 3 with two bits.
        out.clear();
        deltas(&[7, 5, 3, 1, 2, 3, 4, 5], &mut out);
        assert_eq!(out[..10], [0x80, 0x01, 4, 8, 14, 3, 2, 0, 0, 0]);
        assert_eq!(out[10..], [0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_long_run_stands_for_itself_and_short_ones_are_packed_in_eights() {
        let (mut runs, mut out) = (Runs::default(), Vec::new());
        runs.push(1, 3);
        runs.push(0, 2);
        runs.push(1, 20);
        runs.encode(2, &mut Vec::new(), &mut out);
        // Width 1; one packed group 11100111; 17 times 1.
        assert_eq!(out, [1, 0b11, 0b1110_0111, 17 << 1, 1]);
    }

    #[test]
    fn a_dictionary_of_one_needs_no_bits() {
        let (mut runs, mut out) = (Runs::default(), Vec::new());
        runs.push(0, 300);
        runs.encode(1, &mut Vec::new(), &mut out);
        assert_eq!(out, [0, 0xd8, 0x04]);
    }

    #[test]
    fn streams_put_equal_places_together() {
        let mut out = Vec::new();
        streams(&[0x0102_u16, 0x0304], u16::to_be_bytes, &mut out);
        assert_eq!(out, [1, 3, 2, 4]);
    }
}
