//! Damage: small changes that leave most of an encoding as it was, so that a decoder gets past the first field.
//!
//! A recipe is read four bytes at a time: what to do, where (two bytes), with what.

/// Longest recipe that is followed, in bytes.
const RECIPE_BYTES_MAX: usize = 16;

/// Changes `bytes` in at most four places, as `recipe` says.
pub fn mutate(bytes: &mut Vec<u8>, recipe: &[u8]) {
    for step in recipe[..recipe.len().min(RECIPE_BYTES_MAX)].chunks_exact(4) {
        let (action, value) = (step[0], step[3]);
        let place = usize::from(u16::from_le_bytes([step[1], step[2]]));
        if bytes.is_empty() {
            bytes.push(value);
            continue;
        }
        let at = place % bytes.len();
        match action % 8 {
            0 | 1 => bytes[at] ^= 1 << (value % 8),
            2 => bytes[at] = value,
            3 => bytes[at] = bytes[at].wrapping_add(if value < 128 { 1 } else { 255 }),
            4 => bytes.insert(at, value),
            5 => drop(bytes.remove(at)),
            6 => bytes.truncate(at),
            _ => {
                let end = (at + usize::from(value % 40)).min(bytes.len());
                let copied = bytes[at..end].to_vec();
                let to = usize::from(value) % bytes.len();
                bytes.splice(to..to, copied);
            }
        }
    }
}

/// `text` with the damage of `recipe`; what is no text any more becomes replacement characters.
#[must_use]
pub fn damage_text(text: &str, recipe: &[u8]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    mutate(&mut bytes, recipe);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_small_and_total() {
        let whole: Vec<u8> = (0..200).collect();
        for action in 0..=255 {
            let mut bytes = whole.clone();
            mutate(&mut bytes, &[action, 100, 0, 77]);
            assert_eq!(bytes[..77], whole[..77], "in the middle only");
            assert!(bytes.len() <= whole.len() + 40);
        }
        let mut nothing = Vec::new();
        mutate(&mut nothing, &[6, 0, 0, 1, 5, 0, 0, 1]);
        assert_eq!(nothing, Vec::<u8>::new());
    }
}
