//! Content hashes of intents, and the stable pseudo-random numbers that jitter is made of.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The first 128 bits of a BLAKE3 hash.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hash(pub [u8; 16]);

impl Hash {
    /// Hashes length-prefixed parts, so that no two lists of parts collide by concatenation.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Self(bytes)
    }

    /// A number in `[0, 1)` that depends on nothing but `seeds`.
    pub fn fraction(seeds: [u64; 2]) -> f64 {
        let Self(bytes) = Self::of(&[&seeds[0].to_le_bytes(), &seeds[1].to_le_bytes()]);
        let number = bytes.iter().take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
        f64::from(number) / (f64::from(u32::MAX) + 1.0)
    }
}

impl std::str::FromStr for Hash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
        bytes.map(|bytes| Self(bytes.to_be_bytes())).ok_or_else(|| "it has 32 hexadecimal digits".to_owned())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
