use super::{from_bytes, to_bytes};
use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
enum Kind {
    #[default]
    Bare,
    #[serde(rename = "named otherwise")]
    Otherwise,
    One(f64),
    Two(i64, Option<Box<Kind>>),
    Fields {
        level: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Small { small: Kind },
    Large { large: Vec<Kind>, at: i64 },
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Inner {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<f64>,
    kinds: Vec<Kind>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct All {
    flag: bool,
    letter: char,
    below: i64,
    whole: u64,
    short: f32,
    real: f64,
    text: String,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    nothing: (),
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(skip)]
    derived: u32,
    maybe: Option<Box<Inner>>,
    inner: Vec<Inner>,
    by_kind: BTreeMap<Small, (u8, String)>,
    either: Vec<Either>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
enum Small {
    First,
    Second,
}

fn all() -> All {
    let fields = Kind::Fields { level: 200, note: Some("a note".to_owned()) };
    let two = Kind::Two(-1, Some(Box::new(Kind::Two(i64::MIN, None))));
    let kinds = vec![Kind::Bare, Kind::Otherwise, Kind::One(-0.0), two, fields, Kind::Fields { level: 1, note: None }];
    let inner = |level| Inner { level, kinds: kinds.clone() };
    All {
        flag: true,
        letter: 'ß',
        below: -129,
        whole: u64::MAX,
        short: 0.1,
        real: 1e-310,
        text: "load{job=\"a\"}".to_owned(),
        bytes: vec![0, 0x8b, 255],
        nothing: (),
        kind: Kind::Otherwise,
        derived: 0,
        maybe: Some(Box::new(inner(None))),
        inner: vec![inner(Some(7.5)), inner(None), Inner::default()],
        by_kind: BTreeMap::from([(Small::First, (127, String::new())), (Small::Second, (128, "b".to_owned()))]),
        either: vec![
            Either::Small { small: Kind::One(1.0) },
            Either::Large { large: kinds, at: i64::MAX },
            Either::Small { small: Kind::Fields { level: 3, note: None } },
        ],
    }
}

fn again<T: Serialize, U: DeserializeOwned>(data: &T) -> U {
    from_bytes(&to_bytes(data).expect("plain data")).expect("as it was written")
}

#[test]
fn data_comes_back_as_it_was() {
    assert_eq!(again::<_, All>(&all()), all());
    assert_eq!(again::<_, All>(&All::default()), All::default());
    let numbers = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE];
    assert_eq!(again::<_, [f64; 5]>(&numbers).map(f64::to_bits), numbers.map(f64::to_bits));
    let whole = [i64::MIN, -129, -1, 0, 127, 128, i64::MAX];
    assert_eq!(again::<_, [i64; 7]>(&whole), whole);
}

#[test]
fn what_a_later_version_added_left_out_or_moved_is_found_by_its_name() {
    #[derive(Serialize)]
    struct Earlier {
        gone: Inner,
        level: f64,
        also_gone: BTreeMap<String, Vec<Kind>>,
        name: String,
        last: Kind,
    }
    #[derive(PartialEq, Debug, Deserialize)]
    struct Later {
        name: String,
        #[serde(default)]
        added: Option<u8>,
        last: Kind,
        level: f64,
    }
    let kinds = all().maybe.expect("there").kinds;
    let earlier = |name: &str| Earlier {
        gone: Inner { level: Some(1.0), kinds: kinds.clone() },
        level: 2.5,
        also_gone: BTreeMap::from([("a".to_owned(), kinds.clone())]),
        name: name.to_owned(),
        last: Kind::One(3.0),
    };
    let later = |name: &str| Later { name: name.to_owned(), added: None, last: Kind::One(3.0), level: 2.5 };
    assert_eq!(again::<_, Vec<Later>>(&[earlier("a"), earlier("b")]), [later("a"), later("b")]);
    // The same bytes for who knows no fields at all.
    let by_name: Vec<BTreeMap<String, serde::de::IgnoredAny>> = again(&[earlier("a")]);
    assert_eq!(by_name[0].keys().collect::<Vec<_>>(), ["also_gone", "gone", "last", "level", "name"]);
}

#[test]
fn what_is_missing_is_named() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Needs {
        level: f64,
        name: String,
    }
    #[derive(Serialize)]
    struct Has {
        level: f64,
    }
    let bytes = to_bytes(&Has { level: 1.0 }).expect("plain data");
    let error = from_bytes::<Needs>(&bytes).expect_err("no name").to_string();
    assert!(error.contains("missing field `name`"), "{error}");
}

#[test]
fn names_stand_once_however_many_there_are() {
    let many =
        |count: usize| to_bytes(&vec![Inner { level: Some(0.5), kinds: Vec::new() }; count]).expect("plain data");
    let (one, hundred) = (many(1), many(100));
    // Of each: that it is a structure and which (three), a number (nine), an empty list (two).
    assert_eq!(hundred.len() - one.len(), 99 * 14);
}

#[test]
fn what_is_counted_only_as_it_is_written_comes_back() {
    /// The even ones of so many, by no iterator that knows how many those are.
    struct Even(u64);
    impl Serialize for Even {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_map((0..self.0).filter(|n| n % 2 == 0).map(|n| (n, n.to_string())))
        }
    }
    struct Odd(u64);
    impl Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_seq((0..self.0).filter(|n| n % 2 == 1))
        }
    }
    for count in [0, 1, 2, 300, 70_000] {
        let (even, odd): (BTreeMap<u64, String>, Vec<u64>) = again(&(Even(count), Odd(count)));
        assert!(even.len() as u64 == count.div_ceil(2) && even.iter().all(|(n, text)| n.to_string() == *text));
        assert_eq!(odd, (0..count).filter(|n| n % 2 == 1).collect::<Vec<_>>());
        assert!(from_bytes::<serde::de::IgnoredAny>(&to_bytes(&Even(count)).expect("plain data")).is_ok());
    }
}

#[test]
fn a_table_of_more_names_than_any_memory_has_is_refused() {
    let mut bytes = Vec::new();
    // One shape of many fields without a letter.
    crate::varint::put(1, &mut bytes);
    crate::varint::put(100_000, &mut bytes);
    bytes.extend([0; 100_002]);
    let error = from_bytes::<serde::de::IgnoredAny>(&bytes).expect_err("too many").to_string();
    assert!(error.contains("more names than any memory has"), "{error}");
}

#[test]
fn values_within_each_other_have_an_end() {
    // One list in the other, two hundred times; for who reads them and for who goes past them.
    let mut deep = vec![0, 0];
    deep.extend([super::mark::LIST, 1].repeat(200));
    deep.push(super::mark::NONE);
    #[derive(Debug, Deserialize)]
    struct Nested(#[expect(dead_code, reason = "it is never made")] Vec<Nested>);
    let read = from_bytes::<Nested>(&deep).expect_err("too deep").to_string();
    let passed = from_bytes::<serde::de::IgnoredAny>(&deep).expect_err("too deep").to_string();
    assert!(read.contains("within each other") && read == passed, "{read}; {passed}");
}

#[test]
fn half_of_it_is_told_with_its_place() {
    let bytes = to_bytes(&all()).expect("plain data");
    for end in 0..bytes.len() {
        let error = from_bytes::<All>(&bytes[..end]).expect_err("half").to_string();
        assert!(!error.is_empty());
    }
    let mut longer = bytes.clone();
    longer.push(0);
    let error = from_bytes::<All>(&longer).expect_err("more").to_string();
    assert_eq!(error, format!("more than one value at byte {} of {}", bytes.len(), longer.len()));
}

proptest! {
    /// Whatever the bytes: an error, or data that can be written and read again.
    #[test]
    fn bytes_that_were_changed_do_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = to_bytes(&all()).expect("plain data");
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let _ = from_bytes::<serde::de::IgnoredAny>(&bytes);
        if let Ok(read) = from_bytes::<All>(&bytes) {
            let written = to_bytes(&read).expect("plain data");
            let read = from_bytes::<All>(&written).expect("as it was written");
            prop_assert_eq!(to_bytes(&read).expect("plain data"), written);
        }
    }
}
