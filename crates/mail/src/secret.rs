//! Values that never print: no `Debug`, no `Display`, wiped when dropped, compared in constant time.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A password or key in the clear.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes, for the moment in which they are needed.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether both hold the same bytes; the time taken depends on the lengths only.
    pub fn same_as(&self, other: &[u8]) -> bool {
        self.0.as_slice().ct_eq(other).into()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "(secret)");
    }

    #[test]
    fn comparison_looks_at_all_bytes() {
        assert!(Secret::new("abc").same_as(b"abc"));
        assert!(!Secret::new("abc").same_as(b"abd"));
        assert!(!Secret::new("abc").same_as(b"abcd"));
    }
}
