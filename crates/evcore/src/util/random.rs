//! Random bytes that nobody can guess.

use std::io;

/// Fills `bytes` with random bytes from the operating system, fit for keys
/// (`evutil_secure_rng_get_bytes`).
///
/// The operating system seeds itself and mixes in what it comes by, so that there is no need for
/// `evutil_secure_rng_add_bytes` and no device file to be set.
///
/// # Errors
///
/// What the operating system said. Systems of today do not fail here.
#[doc(alias = "evutil_secure_rng_get_bytes")]
pub fn secure_random_bytes(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(io::Error::from)
}

/// Makes sure that there are random bytes to be had, waiting until the operating system has seeded
/// itself (`evutil_secure_rng_init`). There is no need to call it first.
///
/// # Errors
///
/// As [`secure_random_bytes`].
#[doc(alias = "evutil_secure_rng_init")]
pub fn secure_random_init() -> io::Result<()> {
    secure_random_bytes(&mut [0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_buffer_is_filled_and_no_two_are_alike() {
        secure_random_init().unwrap();
        let mut bytes = vec![0_u8; 1 << 16];
        secure_random_bytes(&mut bytes).unwrap();
        let mut blocks: Vec<&[u8]> = bytes.chunks(16).collect();
        assert!(blocks.iter().all(|block| *block != [0; 16]));
        blocks.sort_unstable();
        blocks.dedup();
        assert_eq!(blocks.len(), (1 << 16) / 16);
        secure_random_bytes(&mut []).unwrap();
    }

    #[test]
    fn no_bit_is_preferred() {
        let mut bytes = vec![0_u8; 1 << 16];
        secure_random_bytes(&mut bytes).unwrap();
        let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
        // 2^19 bits: ten standard deviations, of 362 bits, on either side of a half.
        assert!((258_524..265_764).contains(&ones), "{ones} of 524,288 bits are set");
    }
}
