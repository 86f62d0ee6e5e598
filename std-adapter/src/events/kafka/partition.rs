//! Which partition of a topic a key belongs to, as Kafka's own producers choose it.

/// The partition of a key, of so many. All producers that use the default partitioner of Kafka's Java client choose the same one.
pub(super) fn of_key(key: &[u8], partitions: usize) -> usize {
    // Without the sign bit, as `Utils.toPositive`.
    (murmur2(key) & 0x7fff_ffff) as usize % partitions
}

/// MurmurHash2 with 32 bits, with Kafka's seed: `org.apache.kafka.common.utils.Utils.murmur2`.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let (words, rest) = data.as_chunks::<4>();
    // Lengths beyond 32 bits are not those of keys.
    let mut hash = SEED ^ data.len() as u32;
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_are_those_of_kafka() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_partition_is_that_of_the_hash_without_its_sign() {
        assert_eq!(of_key(b"abc", 10), 479_470_107 % 10);
        assert_eq!(of_key(b"21", 7), (-973_932_308_i32 & i32::MAX) as usize % 7);
        assert_eq!(of_key(b"21", 1), 0);
    }
}
