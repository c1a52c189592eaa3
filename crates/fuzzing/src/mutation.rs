//! One small harm after another: what bit rot, careless producers and people who try do to bytes.

use crate::chance::Chance;

/// Longest input that is made. Bounds beyond it are the business of the bombs among the tests.
pub const INPUT_BYTES_MAX: usize = 64 << 10;

/// Most harms done to one input.
const HARMS_MAX: usize = 6;

/// Whole numbers at which widths, signs and limits change.
const EDGES: [u64; 16] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    10_000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// Numbers as text that readers get wrong.
const NUMBERS: [&str; 16] = [
    "0",
    "-0",
    "1e999",
    "1e-999",
    "-1",
    "NaN",
    "1e308",
    "4.9e-324",
    "9223372036854775808",
    "18446744073709551616",
    "253402300800",
    "-62135596800",
    "1700000000000",
    "0.1e+",
    "٣",
    "00",
];

/// What opens something, and what closes it.
const NESTS: [(&[u8], &[u8]); 5] =
    [(b"[", b"]"), (b"{\"a\":", b"}"), (b"{\"d\":{\"topic\":", b"}}"), (b"\"\\\"", b"\\\"\""), (b"[a.", b"]")];

/// Words that the readers look for. Mutation alone would not guess them.
const WORDS: [&[u8]; 52] = [
    b"{\"",
    b"\":",
    b"null",
    b"true",
    b",",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\\u0000",
    b"\\ud800",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\"topic\":\"",
    b"\"data\":\"",
    b"\"ts\":",
    b"\"timestamp\":",
    b"\"deviceId\":",
    b"\"tenant\":",
    b"\"sensorType\":",
    b"\"value\":",
    b"\"quality\":",
    b"\"bn\":",
    b"\"bt\":",
    b"\"bv\":",
    b"\"bs\":",
    b"\"n\":",
    b"\"v\":",
    b"\"t\":",
    b"\"u\":",
    b"\"vs\":",
    b"\"bver\":",
    b"2026-11-01T12:00:00Z",
    b"2026-02-30 24:60:61",
    b"9999-12-31T23:59:59.999999999+23:59",
    b"tenants/",
    b"/devices/",
    b"spBv1.0/",
    b"DBIRTH",
    b"NDEATH",
    b"STATE",
    b"timestamp,",
    b";",
    b"\t",
    b"\"\"",
    b"[metrics.",
    b"[assets.",
    b"devices = [\"*\"]",
    b"\"\"\"",
    b"\x1a\xff\xff\xff\xff\x0f",
    b"PAR1",
];

/// Mutates `input` by one to [`HARMS_MAX`] harms. `pool` is what pieces are taken from.
#[must_use]
pub(crate) fn mutate(mut input: Vec<u8>, pool: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    for _ in 0..=chance.below(HARMS_MAX) {
        harm(&mut input, pool, chance);
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

fn harm(input: &mut Vec<u8>, pool: &[Vec<u8>], chance: &mut Chance) {
    match chance.below(15) {
        0 | 1 => flip(input, chance),
        2 => {
            let at = chance.below(input.len());
            if let Some(byte) = input.get_mut(at) {
                *byte = chance.bits() as u8;
            }
        }
        3 => drop(input.drain(chance.part(input.len(), 64))),
        4 => input.truncate(chance.below(input.len() + 1)),
        5 => {
            let part = input[chance.part(input.len(), 256)].to_vec();
            insert(input, &part, chance);
        }
        6 => {
            let part = input[chance.part(input.len(), 128)].repeat(1 + chance.below(300));
            insert(input, &part, chance);
        }
        7 | 8 => {
            let word = chance.pick(&WORDS).copied().unwrap_or_default();
            if chance.below(2) == 0 { insert(input, word, chance) } else { overwrite(input, word, chance) }
        }
        9 | 10 => lie(input, chance),
        11 => nest(input, chance),
        12 => number(input, chance),
        13 => {
            let noise: Vec<u8> = (0..chance.below(32)).map(|_| chance.bits() as u8).collect();
            insert(input, &noise, chance);
        }
        _ => cross(input, pool, chance),
    }
}

fn flip(input: &mut [u8], chance: &mut Chance) {
    let at = chance.below(input.len());
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << chance.below(8);
    }
}

fn insert(input: &mut Vec<u8>, part: &[u8], chance: &mut Chance) {
    let at = chance.below(input.len() + 1);
    input.splice(at..at, part.iter().copied());
}

fn overwrite(input: &mut Vec<u8>, part: &[u8], chance: &mut Chance) {
    let at = chance.below(input.len() + 1);
    let end = (at + part.len()).min(input.len());
    input.splice(at..end, part.iter().copied());
}

/// Puts a number where a length may stand: little-endian, big-endian or as a varint.
fn lie(input: &mut Vec<u8>, chance: &mut Chance) {
    let edge = chance.pick(&EDGES).copied().unwrap_or_default().wrapping_add(chance.below(3) as u64);
    let width = 1 << chance.below(4);
    let bytes = match chance.below(3) {
        0 => edge.to_le_bytes()[..width].to_vec(),
        1 => edge.to_be_bytes()[8 - width..].to_vec(),
        _ => varint(edge),
    };
    overwrite(input, &bytes, chance);
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Puts a part into many shells, now and then without closing them.
fn nest(input: &mut Vec<u8>, chance: &mut Chance) {
    let (open, close) = chance.pick(&NESTS).copied().unwrap_or_default();
    let depth = 1 << chance.below(13);
    let part = chance.part(input.len(), 256);
    let closings = if chance.below(4) == 0 { 0 } else { depth };
    let nested = [&open.repeat(depth), &input[part.clone()], &close.repeat(closings)].concat();
    input.splice(part, nested);
}

/// Puts an extreme number in the place of one.
fn number(input: &mut Vec<u8>, chance: &mut Chance) {
    let from = chance.below(input.len());
    let digit = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = input[from.min(input.len())..].iter().position(digit).map(|at| from + at) else { return };
    let end = input[start..].iter().position(|byte| !digit(byte)).map_or(input.len(), |length| start + length);
    let number = chance.pick(&NUMBERS).copied().unwrap_or_default();
    input.splice(start..end, number.bytes());
}

/// Puts a part of another input in the place of a part.
fn cross(input: &mut Vec<u8>, pool: &[Vec<u8>], chance: &mut Chance) {
    let Some(other) = chance.pick(pool) else { return };
    let part = &other[chance.part(other.len(), 1024)];
    let place = chance.part(input.len(), 1024);
    input.splice(place, part.iter().copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_do_equal_harm() {
        let pool = [b"{\"a\":12}".to_vec(), Vec::new()];
        let run = |seed| {
            let mut chance = Chance::new(seed);
            let mut inputs = Vec::new();
            for _ in 0..200 {
                inputs.push(mutate(pool[chance.below(2)].clone(), &pool, &mut chance));
            }
            inputs
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!(run(3).iter().all(|input| input.len() <= INPUT_BYTES_MAX));
    }

    #[test]
    fn a_length_is_written_as_protobuf_writes_it() {
        // Protocol Buffers, "Encoding": 150 is 96 01.
        assert_eq!(varint(150), [0x96, 0x01]);
        assert_eq!(varint(u64::MAX).len(), 10);
    }
}
