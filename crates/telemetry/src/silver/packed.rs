//! A sequence number in 24 bytes: 56 decimal digits are below 2¹⁹², and as a number the digits that Kinesis leaves equal
//! from record to record are equal bytes.

use crate::sequence::SequenceNumber;

/// Bytes of a packed sequence number.
pub(super) const BYTES: usize = 24;

/// Digits that one 64-bit number surely holds.
const CHUNK: usize = 14;
const CHUNK_VALUE: u64 = 100_000_000_000_000;

/// Big-endian, so that byte order is number order.
pub(super) fn pack(seq: &SequenceNumber) -> [u8; BYTES] {
    // Three limbs, the least significant first.
    let mut limbs = [0_u64; 3];
    for chunk in seq.as_bytes().chunks(CHUNK) {
        let mut carry = u128::from(chunk.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0')));
        for limb in &mut limbs {
            carry += u128::from(*limb) * u128::from(CHUNK_VALUE);
            *limb = carry as u64;
            carry >>= 64;
        }
    }
    let mut bytes = [0; BYTES];
    for (place, limb) in bytes.chunks_mut(8).zip(limbs.iter().rev()) {
        place.copy_from_slice(&limb.to_be_bytes());
    }
    bytes
}

/// The number again, unless it has more than 56 digits or another length.
pub(super) fn unpack(bytes: &[u8]) -> Option<SequenceNumber> {
    if bytes.len() != BYTES {
        return None;
    }
    // Three limbs, the most significant first.
    let mut limbs = [0_u64; 3];
    for (limb, place) in limbs.iter_mut().zip(bytes.chunks(8)) {
        *limb = place.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    }
    let mut digits = [b'0'; crate::sequence::DIGITS];
    for chunk in digits.chunks_mut(CHUNK).rev() {
        let mut rest = 0_u128;
        for limb in &mut limbs {
            let value = rest << 64 | u128::from(*limb);
            *limb = (value / u128::from(CHUNK_VALUE)) as u64;
            rest = value % u128::from(CHUNK_VALUE);
        }
        for digit in chunk.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    if limbs != [0; 3] {
        return None;
    }
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_the_range_survive_and_beyond_is_refused() {
        for text in ["0".to_owned(), "9".repeat(56), "49590338271490256608559692538361571095921575989136588898".into()]
        {
            let seq: SequenceNumber = text.parse().unwrap();
            assert_eq!(unpack(&pack(&seq)), Some(seq));
        }
        assert_eq!(pack(&"258".parse().unwrap())[22..], [1, 2]);
        assert_eq!(unpack(&[0xff; BYTES]), None);
        assert_eq!(unpack(&[0; 23]), None);
    }

    proptest! {
        #[test]
        fn packed_order_is_number_order(a in "[0-9]{1,56}", b in "[0-9]{1,56}") {
            let (x, y): (SequenceNumber, SequenceNumber) = (a.parse().unwrap(), b.parse().unwrap());
            prop_assert_eq!(unpack(&pack(&x)), Some(x));
            prop_assert_eq!(pack(&x).cmp(&pack(&y)), x.cmp(&y));
        }
    }
}
