//! Grows a valid value of any decodable type from the fuzzer's bytes.
//!
//! The type's own decoder asks for bytes one field at a time. Each field gets bytes from the material: single bytes,
//! which are tags of variants and lengths of lists, mostly small; longer fields zero, small, ASCII or random. When the decoder
//! refuses, the field that it read last is replaced by simpler bytes, then the one before it, and after some of them more at
//! a time are made anew, because what is wrong can be a length far in front. It ends when the decoder accepts or
//! [`REPAIRS_MAX`] is spent. What was handed out in the end is an encoding of the value.
//!
//! Limits: [`BYTES_MAX`] an encoding, [`DEPTH_MAX`] levels. Costs one decoding for each repair.

use parity_scale_codec::{Decode, Error, Input};

const REPAIRS_MAX: usize = 96;
/// So many fields are given up one by one, the rest four times as many each time.
const PATIENCE: usize = 4;
/// Fields get zeros behind this, so that lists end.
const MATERIAL_BYTES_MAX: usize = 1024;
const BYTES_MAX: usize = 4 * 1024;
const DEPTH_MAX: u32 = 16;

/// Simpler and simpler bytes for a tag or a length: the compact lengths 0 to 2 are 0, 4 and 8.
const TAGS: [u8; 4] = [4, 1, 8, 0];

/// A value made from `material`; none when its decoder refused every try.
#[must_use]
pub fn value<T: Decode>(material: &[u8]) -> Option<T> {
    let mut growth = Growth::new(material);
    for _ in 0..REPAIRS_MAX {
        growth.at = 0;
        growth.depth = 0;
        match T::decode(&mut growth) {
            Ok(value) => return Some(value),
            Err(_) if growth.repair() => {}
            Err(_) => return None,
        }
    }
    None
}

struct Field {
    start: usize,
    tries: usize,
}

struct Growth<'a> {
    material: std::slice::Iter<'a, u8>,
    encoded: Vec<u8>,
    fields: Vec<Field>,
    at: usize,
    depth: u32,
    given_up: usize,
    cut: usize,
}

impl<'a> Growth<'a> {
    fn new(material: &'a [u8]) -> Self {
        Self {
            material: material.iter(),
            encoded: Vec::new(),
            fields: Vec::new(),
            at: 0,
            depth: 0,
            given_up: 0,
            cut: 1,
        }
    }

    fn next(&mut self) -> u8 {
        if self.encoded.len() > MATERIAL_BYTES_MAX {
            return 0;
        }
        self.material.next().copied().unwrap_or(0)
    }

    fn tag(&mut self) -> u8 {
        let kind = self.next();
        match kind >> 6 {
            0 => (kind & 3) << 2,
            1 => kind & 3,
            2 => kind & 31,
            _ => self.next(),
        }
    }

    fn grow(&mut self, len: usize) {
        let start = self.encoded.len();
        self.fields.push(Field { start, tries: 0 });
        if len == 1 {
            let tag = self.tag();
            self.encoded.push(tag);
            return;
        }
        let kind = self.next();
        match kind >> 6 {
            0 => self.encoded.resize(start + len, 0),
            1 => {
                self.encoded.resize(start + len, 0);
                self.encoded[start] = kind & 7;
            }
            // Half of what is random is ASCII: texts are among the fields.
            which => {
                let mask = if which == 2 { 0x7f } else { 0xff };
                for _ in 0..len {
                    let byte = self.next() & mask;
                    self.encoded.push(byte);
                }
            }
        }
    }

    /// Puts simpler bytes where the decoder stopped, or takes fields back so that others grow in their place; false when
    /// nothing is left.
    fn repair(&mut self) -> bool {
        while self.given_up < PATIENCE
            && let Some(field) = self.fields.last_mut()
        {
            field.tries += 1;
            let (start, tries) = (field.start, field.tries);
            let len = self.encoded.len() - start;
            if len == 1 && tries <= TAGS.len() {
                self.encoded[start] = TAGS[tries - 1];
                return true;
            }
            if len > 1 && tries == 1 {
                self.encoded[start..].fill(0);
                return true;
            }
            self.encoded.truncate(start);
            self.fields.pop();
            self.given_up += 1;
        }
        let kept = self.fields.len().saturating_sub(self.cut);
        let Some(first) = self.fields.get(kept) else {
            return false;
        };
        self.encoded.truncate(first.start);
        self.fields.truncate(kept);
        if kept > 0 {
            self.cut *= 4;
        } else {
            (self.given_up, self.cut) = (0, 1);
        }
        true
    }
}

impl Input for Growth<'_> {
    fn remaining_len(&mut self) -> Result<Option<usize>, Error> {
        Ok(None)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Error> {
        if into.is_empty() {
            return Ok(());
        }
        let end = self.at + into.len();
        if end > BYTES_MAX {
            return Err("longer than grown values are".into());
        }
        if self.at == self.encoded.len() {
            self.grow(into.len());
        }
        into.copy_from_slice(&self.encoded[self.at..end]);
        self.at = end;
        Ok(())
    }

    fn descend_ref(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("deeper than grown values are".into());
        }
        Ok(())
    }

    fn ascend_ref(&mut self) {
        self.depth -= 1;
    }
}

#[cfg(test)]
mod tests {
    use parity_scale_codec::{Compact, Decode, Encode, Error, Input};

    use super::*;

    #[derive(Debug, PartialEq, Encode, Decode)]
    enum Shape {
        Nothing,
        Line(Compact<u64>, Vec<u8>),
        Pair(Box<Self>, Option<u32>),
    }

    /// A field with a rule that random bytes don't keep.
    #[derive(Debug, PartialEq, Encode)]
    struct Even(u16);

    impl Decode for Even {
        fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
            let number = u16::decode(input)?;
            if number == 0 || number % 2 == 1 {
                return Ok(Self(number & !1));
            }
            Err("uneven".into())
        }
    }

    #[test]
    fn every_variant_grows_from_some_bytes() {
        let mut seen = [false; 3];
        for seed in 0..=255_u8 {
            let material: Vec<u8> = (0..64_u8).map(|i| i.wrapping_mul(31) ^ seed).collect();
            let shape: Shape = value(&material).expect("every byte leads to a shape");
            let variant = shape.encode()[0];
            seen[usize::from(variant)] = true;
            assert_eq!(Shape::decode(&mut &shape.encode()[..]), Ok(shape));
        }
        assert_eq!(seen, [true; 3]);
    }

    #[test]
    fn a_field_that_is_refused_becomes_simpler() {
        let material = [1, 255, 2, 3, 255, 4, 4, 255, 6, 6, 255, 8, 8];
        assert!(value::<(u8, Vec<Even>, Even)>(&material).is_some());
    }

    #[test]
    fn a_type_without_values_grows_none() {
        #[derive(Debug)]
        struct Never;
        impl Decode for Never {
            fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
                u8::decode(input)?;
                Err("never".into())
            }
        }
        assert!(value::<Never>(&[1, 2, 3]).is_none());
    }
}
