//! Tokens and passwords: made, digested and compared without telling by the time it takes.
//!
//! A token is long and random, so its SHA-256 is enough; a password is what people think of, so it has bcrypt, which is slow on
//! purpose. What was checked once is remembered by a keyed digest, so that a scrape every few seconds costs nothing.

use ring::digest::{Context, SHA256};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::HashSet;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use subtle::ConstantTimeEq;

pub type Digest = [u8; 32];

/// Random bytes of a token that is made here.
const TOKEN_BYTES: usize = 32;

/// What a token begins with, so that a scanner for leaked secrets can know one.
const TOKEN_START: &str = "hst_";

/// The cost of new hashes; one takes some tenths of a second.
pub const BCRYPT_COST: u32 = 12;

/// Hashes of a higher cost would keep the processor for seconds.
const BCRYPT_COST_MAX: u32 = 15;

/// Below this a stolen file is guessed through.
const BCRYPT_COST_MIN: u32 = 8;

/// bcrypt looks at no more bytes of a password.
pub const PASSWORD_LEN_MAX: usize = 72;

/// Checked passwords that are remembered; then all are forgotten and checked again.
const REMEMBERED_MAX: usize = 1000;

pub fn finished(context: Context) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

pub fn digest(bytes: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    finished(context)
}

pub fn same(one: &Digest, other: &Digest) -> bool {
    one.ct_eq(other).into()
}

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn from_hex(text: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(digest)
}

/// Whether it can be sent as a token.
pub fn sendable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(bytes)
}

/// A new token.
pub fn token() -> Result<String, String> {
    Ok(format!("{TOKEN_START}{}", to_hex(&random::<TOKEN_BYTES>()?)))
}

/// The bcrypt hash of a new password.
pub fn bcrypt(password: &str) -> Result<String, String> {
    if password.is_empty() {
        return Err("the password is empty".to_owned());
    }
    if password.len() > PASSWORD_LEN_MAX {
        return Err(format!("bcrypt takes {PASSWORD_LEN_MAX} bytes of a password; this one has {}", password.len()));
    }
    bcrypt::hash(password, BCRYPT_COST).map_err(|error| format!("no hash can be made: {error}"))
}

/// Whether a text is a hash that can be checked in reasonable time.
pub fn check_bcrypt(hash: &str) -> Result<(), String> {
    let parts = bcrypt::HashParts::from_str(hash).map_err(|_| "a bcrypt hash is wanted".to_owned())?;
    match parts.get_cost() {
        cost if cost > BCRYPT_COST_MAX => Err(format!("a cost of {cost} is over {BCRYPT_COST_MAX}")),
        cost if cost < BCRYPT_COST_MIN => Err(format!("a cost of {cost} is under {BCRYPT_COST_MIN}")),
        _ => Ok(()),
    }
}

/// Takes as long as the hash is meant to; not for the thread that answers.
pub fn is_password(password: &str, hash: &str) -> bool {
    password.len() <= PASSWORD_LEN_MAX && bcrypt::verify(password, hash).unwrap_or(false)
}

/// Passwords that were right.
pub struct Remembered {
    key: hmac::Key,
    right: Mutex<HashSet<Digest>>,
}

impl Remembered {
    pub fn new() -> Result<Remembered, String> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()?);
        Ok(Remembered { key, right: Mutex::default() })
    }

    /// What stands for the hash and a password; with another hash it is another one.
    pub fn mark(&self, hash: &str, password: &str) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [hash, password] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        let mut mark = [0; 32];
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }

    pub fn knows(&self, mark: &Digest) -> bool {
        self.right.lock().unwrap_or_else(PoisonError::into_inner).contains(mark)
    }

    pub fn remember(&self, mark: Digest) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= REMEMBERED_MAX {
            right.clear();
        }
        right.insert(mark);
    }
}

/// The bytes that a text in base 64 stands for (RFC 4648, with or without its end).
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let (mut bytes, mut word, mut bits) = (Vec::with_capacity(text.len() * 3 / 4), 0_u32, 0);
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        word = (word << 6 | u32::from(digit)) & 0xFFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits & 0xFF) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_that_sha256sum_prints_and_tokens_differ() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(to_hex(&digest(b"abc")), hex);
        assert_eq!(from_hex(hex), Some(digest(b"abc")));
        assert_eq!(from_hex(&hex.to_uppercase()), Some(digest(b"abc")));
        for bad in ["", "abc", &hex[1..], &format!("{}é", &hex[..62]), &format!("+{}", &hex[1..])] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
        let (one, other) = (token().expect("random"), token().expect("random"));
        assert!(one != other && one.len() == 68 && sendable(&one), "{one}");
        assert!(same(&digest(b"a"), &digest(b"a")) && !same(&digest(b"a"), &digest(b"b")));
    }

    #[test]
    fn a_hash_is_checked_before_a_password_is() {
        const SOMEBODYS: &str = "$2b$10$abcdefghijklmnopqrstuuPjj.Jfb7vWHlTm7gXP9J8zb9Z4H7Nry";
        assert!(check_bcrypt(SOMEBODYS).is_ok());
        for bad in ["", "open sesame", "$1$abc$def", "$2b$04$abcdefghijklmnopqrstuuPjj.Jfb7vWHlTm7gXP9J8zb9Z4H7Nry"] {
            let problem = check_bcrypt(bad).expect_err(bad);
            assert!(bad.is_empty() || !problem.contains(bad), "{problem}");
        }
        assert!(check_bcrypt(&SOMEBODYS.replace("$10$", "$16$")).is_err());
        let hash = ::bcrypt::hash("open sesame", 8).expect("a hash");
        assert!(is_password("open sesame", &hash) && !is_password("open says me", &hash));
        assert!(!is_password(&"x".repeat(73), &hash) && bcrypt(&"x".repeat(73)).is_err() && bcrypt("").is_err());
    }

    #[test]
    fn what_was_right_is_remembered_for_that_hash_alone() {
        let remembered = Remembered::new().expect("random");
        let mark = remembered.mark("hash", "password");
        assert!(!remembered.knows(&mark));
        remembered.remember(mark);
        assert!(remembered.knows(&mark) && !remembered.knows(&remembered.mark("other", "password")));
        assert!(!remembered.knows(&remembered.mark("hashp", "assword")));
        for n in 0..REMEMBERED_MAX {
            remembered.remember(remembered.mark("many", &n.to_string()));
        }
        assert!(!remembered.knows(&mark), "bounded");
    }

    #[test]
    fn base64_is_read_as_it_is_written() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("QTpiOmM=", "A:b:c")] {
            assert_eq!(from_base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(from_base64("a b"), None);
        assert_eq!(from_base64("é"), None);
    }
}
