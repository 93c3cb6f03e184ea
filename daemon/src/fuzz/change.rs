//! Changes at random: of bytes, of numbers in a text, of whole stretches, and of pieces that another input has.

/// A sequence of numbers from a seed (splitmix64).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number under `end`; 0 where there is none.
    pub fn under(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// An input grows to this at most, in bytes.
const LEN_MAX: usize = 64 << 10;

/// At which numbers readers of binary forms stumble.
const BYTES: [u8; 9] = [0, 1, 0x7f, 0x80, 0x81, 0xc1, 0xdd, 0xdf, 0xff];

/// And those of texts.
const TEXTS: [&str; 40] = [
    "\0",
    "\n",
    "\r\n",
    "\t",
    " ",
    "  ",
    "\"",
    "'",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    ":",
    ";",
    "#",
    "=",
    "-",
    "+",
    "|",
    ">",
    "&a ",
    "*a",
    "<<: *a",
    "---",
    "{{",
    "\u{feff}",
    "ß",
    "\u{202e}",
    "NaN",
    "-Inf",
    "1e999",
    "-0",
    "18446744073709551616",
    "9223372036854775807",
    "0x1F",
    "9999-12-31T23:59:60Z",
];

/// One of the kept inputs, changed one to eight times.
pub fn changed(kept: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = kept[chance.under(kept.len())].clone();
    for _ in 0..=chance.under(8) {
        change(&mut bytes, kept, chance);
        bytes.truncate(LEN_MAX);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, kept: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.under(bytes.len() + 1);
    let end = (at + 1 + chance.under(16)).min(bytes.len()).max(at);
    match chance.under(12) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << chance.under(8),
        2 if at < bytes.len() => bytes[at] = BYTES[chance.under(BYTES.len())],
        3 => bytes.insert(at, chance.next() as u8),
        4 => bytes.truncate(at),
        5 => _ = bytes.drain(at..end),
        6 => {
            let piece = bytes[at..end].to_vec();
            let times = 1 << chance.under(8);
            bytes.splice(at..at, piece.repeat(times));
        }
        7 | 8 => {
            let other = &kept[chance.under(kept.len())];
            let from = chance.under(other.len() + 1);
            let until = (from + 1 + chance.under(64)).min(other.len()).max(from);
            bytes.splice(at..end, other[from..until].iter().copied());
        }
        9 | 10 => _ = bytes.splice(at..end.min(at + 1), TEXTS[chance.under(TEXTS.len())].bytes()),
        _ => number(bytes, at, chance),
    }
}

/// Puts another number in the place of the next one that is written in figures.
fn number(bytes: &mut Vec<u8>, from: usize, chance: &mut Chance) {
    let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit).map(|start| from + start) else { return };
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = match chance.under(5) {
        0 => 0,
        1 => chance.next() % 100,
        2 => 1 << chance.under(64),
        3 => u64::MAX >> chance.under(64),
        _ => chance.next(),
    };
    bytes.splice(start..start + length, value.to_string().into_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_comes_again_from_its_seed_and_others_are_others() {
        let kept = [b"timestamp,value\n1,2\n".to_vec(), b"a 1 2\n".to_vec()];
        let case = |seed| changed(&kept, &mut Chance::new(seed));
        let cases: Vec<Vec<u8>> = (0..500).map(case).collect();
        assert_eq!(cases, (0..500).map(case).collect::<Vec<_>>());
        let same = cases.iter().filter(|bytes| kept.contains(bytes)).count();
        assert!(same < 50, "{same} of 500 are as they were");
        assert!(cases.iter().all(|bytes| bytes.len() <= LEN_MAX));
    }
}
