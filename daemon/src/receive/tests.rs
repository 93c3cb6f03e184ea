//! Our walk held against prost's, on requests at random, whole and damaged.

#[allow(dead_code, reason = "the tests of the running daemon take the rest")]
#[path = "../../tests/common/messages.rs"]
mod messages;

use super::batch::{Batch, SAMPLES_MAX, Told};
use super::labels::{Refusal, called};
use super::remote_write::{NotRead, Version, decode, decode_plain};
use super::{Receive, Why, check};
use crate::prometheus::text::Type;
use homeostat::time::Timestamp;
use messages::*;
use proptest::prelude::*;
use prost::Message;

const SEED: u64 = 7;
const MAX: u64 = 1 << 20;

fn taken(body: &[u8], version: Version) -> Result<Batch, NotRead> {
    let mut batch = Batch::default();
    decode(&snappy(body), version, MAX, SEED, &mut batch).map(|()| batch)
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn pairs(told: &Told<'_>) -> Pairs {
    let mut all = Vec::new();
    let read: Result<(), Refusal> = told.labels(|name, value| {
        all.push((name.to_vec(), value.to_vec()));
        Ok(())
    });
    read.expect("what prost wrote can be read");
    all
}

fn labels_of(series: &TimeSeries) -> Pairs {
    series.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect()
}

fn same_samples(told: &Told<'_>, samples: &[Sample]) {
    let read: Vec<(i64, u64)> = told.samples().map(|(at, value)| (at.millis(), value.to_bits())).collect();
    let wanted: Vec<(i64, u64)> =
        samples.iter().map(|one| (Timestamp::from_millis(one.timestamp).millis(), one.value.to_bits())).collect();
    assert_eq!(read, wanted);
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-z_]{1,8}".prop_map(String::into_bytes),
        1 => "\\PC{0,5}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

fn some_sample() -> impl Strategy<Value = Sample> {
    let at = prop_oneof![any::<i64>(), Just(0), 1_700_000_000_000..1_700_000_100_000_i64];
    (any::<u64>(), at, prop_oneof![Just(0), any::<i64>()]).prop_map(|(value, timestamp, start_timestamp)| Sample {
        value: f64::from_bits(value),
        timestamp,
        start_timestamp,
    })
}

fn some_series() -> impl Strategy<Value = TimeSeries> {
    let label = (text(), text()).prop_map(|(name, value)| Label { name, value });
    let aside = || prop::collection::vec(Just(vec![8, 1]), 0..2);
    (prop::collection::vec(label, 0..5), prop::collection::vec(some_sample(), 0..4), aside(), aside())
        .prop_map(|(labels, samples, exemplars, histograms)| TimeSeries { labels, samples, exemplars, histograms })
}

fn some_request() -> impl Strategy<Value = WriteRequest> {
    let metadata = (0..9, "[a-z]{1,6}").prop_map(|(kind, name)| Metadata {
        kind,
        metric_family_name: name,
        help: "Some.".to_owned(),
    });
    (prop::collection::vec(some_series(), 0..6), prop::collection::vec(metadata, 0..3))
        .prop_map(|(timeseries, metadata)| WriteRequest { timeseries, metadata })
}

/// The same bytes with fields of every series torn apart, as any order of fields is allowed.
fn torn(series: &TimeSeries) -> Vec<u8> {
    let none = TimeSeries::default;
    let (first, last) = series.labels.split_at(series.labels.len() / 2);
    let mut bytes = Vec::new();
    for part in [
        TimeSeries { labels: first.to_vec(), ..none() },
        TimeSeries { samples: series.samples.clone(), histograms: series.histograms.clone(), ..none() },
        TimeSeries { labels: last.to_vec(), exemplars: series.exemplars.clone(), ..none() },
    ] {
        bytes.extend(part.encode_to_vec());
    }
    bytes
}

/// The same cases in each run.
fn settings() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    }
}

/// `tag` is the number of a field of bytes under 16.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    super::proto::put(&mut all, u32::from(tag), bytes);
    all
}

/// Where, with which byte and in which way bytes are changed.
type Damage = Vec<(prop::sample::Index, u8, u8)>;

pub fn damage(least: usize) -> impl Strategy<Value = Damage> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), least..6)
}

pub fn harm(bytes: &mut Vec<u8>, damage: &Damage) {
    for (index, byte, how) in damage {
        if bytes.is_empty() {
            break;
        }
        let at = index.index(bytes.len());
        match how {
            0 => bytes[at] = *byte,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, *byte),
            _ => bytes.extend_from_within(at..),
        }
    }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn requests_of_1_0_say_what_prost_says(request in some_request()) {
        let batch = taken(&request.encode_to_vec(), Version::One).expect("whole");
        let wanted: Vec<&TimeSeries> = request.timeseries.iter().filter(|one| !one.samples.is_empty()).collect();
        prop_assert_eq!(batch.series().count(), wanted.len());
        for (told, series) in batch.series().zip(&wanted) {
            prop_assert_eq!(pairs(&told), labels_of(series));
            same_samples(&told, &series.samples);
        }
        // One series has one hash, and others have others.
        for (told, series) in batch.series().zip(&wanted) {
            for (other_told, other) in batch.series().zip(&wanted) {
                prop_assert_eq!(told.hash() == other_told.hash(), series.labels == other.labels);
            }
        }
        let count = |of: fn(&TimeSeries) -> usize| request.timeseries.iter().map(of).sum::<usize>() as u64;
        prop_assert_eq!(batch.exemplars, count(|one| one.exemplars.len()));
        prop_assert_eq!(batch.histograms, count(|one| one.histograms.len()));
        let families: Vec<(&str, Type)> = batch.families().collect();
        let told: Vec<(&str, Type)> =
            request.metadata.iter().map(|one| (one.metric_family_name.as_str(), Type::of_number(one.kind as u64))).collect();
        prop_assert_eq!(families, told);
    }

    #[test]
    fn the_order_of_fields_says_nothing(request in some_request()) {
        let whole: Vec<u8> = request.timeseries.iter().flat_map(|one| field(1, &one.encode_to_vec())).collect();
        let apart: Vec<u8> = request.timeseries.iter().flat_map(|one| field(1, &torn(one))).collect();
        prop_assert_eq!(WriteRequest::decode(&whole[..]), WriteRequest::decode(&apart[..]), "prost agrees");
        let (whole, apart) = (taken(&whole, Version::One).expect("whole"), taken(&apart, Version::One).expect("whole"));
        prop_assert_eq!(whole.series().count(), apart.series().count());
        for (one, other) in whole.series().zip(apart.series()) {
            prop_assert_eq!(pairs(&one), pairs(&other));
            prop_assert_eq!(one.hash(), other.hash());
            prop_assert!(one.samples().map(|(at, value)| (at, value.to_bits()))
                .eq(other.samples().map(|(at, value)| (at, value.to_bits()))));
        }
    }

    #[test]
    fn requests_of_2_0_say_what_prost_says(request in some_request(), kind in 0..9) {
        let request2 = two(&request.timeseries, kind);
        let mut bytes = request2.encode_to_vec();
        // Symbols may stand behind what refers to them; numbers may be unpacked.
        let symbols: Vec<u8> = request2.symbols.iter().flat_map(|symbol| field(4, symbol)).collect();
        let mut unpacked = Vec::new();
        for one in &request2.timeseries {
            let mut series = Vec::new();
            for reference in &one.labels_refs {
                series.push(1 << 3);
                super::proto::put_varint(&mut series, u64::from(*reference));
            }
            series.extend(TimeSeries2 { labels_refs: Vec::new(), ..one.clone() }.encode_to_vec());
            unpacked.extend(field(5, &series));
        }
        unpacked.extend(symbols);
        let read = Request2::decode(&unpacked[..]);
        prop_assert_eq!(read.as_ref(), Ok(&request2), "prost agrees");
        for bytes in [std::mem::take(&mut bytes), unpacked] {
            let batch = taken(&bytes, Version::Two).expect("whole");
            let wanted: Vec<&TimeSeries> = request.timeseries.iter().filter(|one| !one.samples.is_empty()).collect();
            prop_assert_eq!(batch.series().count(), wanted.len());
            for (told, series) in batch.series().zip(&wanted) {
                prop_assert_eq!(pairs(&told), labels_of(series));
                prop_assert_eq!(told.told(), Type::of_number(kind as u64));
                same_samples(&told, &series.samples);
                for (other_told, other) in batch.series().zip(&wanted) {
                    prop_assert_eq!(told.hash() == other_told.hash(), series.labels == other.labels);
                }
            }
            let count = |of: fn(&TimeSeries) -> usize| request.timeseries.iter().map(of).sum::<usize>() as u64;
            prop_assert_eq!(batch.exemplars, count(|one| one.exemplars.len()));
            prop_assert_eq!(batch.histograms, count(|one| one.histograms.len()));
        }
    }

    /// Whatever bytes come: an answer, and memory that is bounded by them.
    #[test]
    fn damaged_requests_are_taken_or_refused(
        request in some_request(),
        damage in damage(1),
    ) {
        for (version, mut bytes) in
            [(Version::One, request.encode_to_vec()), (Version::Two, two(&request.timeseries, 1).encode_to_vec())]
        {
            harm(&mut bytes, &damage);
            let mut batch = Batch { arena: bytes.clone(), ..Batch::default() };
            let read = decode_plain(version, SEED, &mut batch);
            prop_assert!(batch.arena.len() <= 4 * bytes.len(), "{} of {}", batch.arena.len(), bytes.len());
            prop_assert!(batch.samples.len() <= bytes.len() / 2 && batch.series.len() <= batch.samples.len());
            prop_assert!(batch.symbols.len() <= bytes.len() / 2);
            if read.is_ok() {
                for told in batch.series() {
                    let Receive { replica_labels, cluster_labels, .. } = Receive::default();
                    if let Err(refusal) = called(&told, &replica_labels, &cluster_labels) {
                        prop_assert_eq!(refusal.why, Why::Labels);
                    }
                }
            }
            // As a body that is damaged where it is packed.
            let mut body = snappy(&bytes);
            let at = damage[0].0.index(body.len());
            body[at] ^= damage[0].1;
            let _ = decode(&body, version, MAX, SEED, &mut Batch::default());
        }
    }
}

#[test]
fn what_is_too_much_is_refused_before_there_is_room_for_it() {
    let refused = |body: &[u8], version| decode(body, version, MAX, SEED, &mut Batch::default()).expect_err("refused");
    // A few bytes that say they are 4 GiB, and a body that is: nothing of it is unpacked.
    assert_eq!(
        refused(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0], Version::One),
        NotRead::TooLarge { len: u64::from(u32::MAX), max: MAX }
    );
    let bomb = snappy(&vec![0; 8 << 20]);
    assert!(bomb.len() < 1 << 19);
    assert!(refused(&bomb, Version::Two).is_too_large());
    assert!(matches!(refused(&[0xff; 20], Version::One), NotRead::Snappy(_)));
    assert!(matches!(refused(&[], Version::One), NotRead::Snappy(_)));
    assert!(matches!(refused(b"\x05hello", Version::One), NotRead::Snappy(_)));
    // Two bytes a sample.
    let samples = field(1, &[0x12, 0].repeat(SAMPLES_MAX + 1));
    let mut batch = Batch { arena: samples, ..Batch::default() };
    assert_eq!(
        decode_plain(Version::One, SEED, &mut batch),
        Err(NotRead::TooMany { what: "samples", max: SAMPLES_MAX })
    );
    let symbols = [0x22, 0].repeat(2_000_000);
    let mut batch = Batch { arena: symbols, ..Batch::default() };
    assert!(matches!(decode_plain(Version::Two, SEED, &mut batch), Err(NotRead::TooMany { what: "symbols", .. })));
    // A series of millions of labels is refused for them, and takes no more memory than its bytes.
    let sample = [0x12, 0];
    let labels = [field(1, &vec![0; 4 << 20]), sample.to_vec()].concat();
    let mut batch = Batch { arena: [field(4, b""), field(5, &labels)].concat(), ..Batch::default() };
    decode_plain(Version::Two, SEED, &mut batch).expect("it can be read");
    let told = batch.series().next().expect("a series");
    let refusal = called(&told, &[], &[]).expect_err("empty names");
    assert!(refusal.message.contains("labels[0].name is empty"), "{}", refusal.message);
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    let request = one(vec![series(&[("__name__", "a")], &[(1, 1.0)]), series(&[("__name__", "b")], &[(2, 2.0)])]);
    let bytes = request.encode_to_vec();
    let told = |bytes: &[u8], version| taken(bytes, version).expect_err("refused").to_string();
    assert_eq!(
        told(&bytes[..bytes.len() - 1], Version::One),
        "WriteRequest: it is cut off; nothing of the request was taken"
    );
    let over_long = field(1, &[0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]);
    assert!(
        told(&[bytes.clone(), over_long].concat(), Version::One)
            .starts_with("timeseries[2]: a number has more than ten bytes")
    );
    let sample = field(1, &field(2, &[0x08, 1]));
    assert!(told(&sample, Version::One).starts_with("timeseries[0].samples: it has another wire type"));
    let metadata = field(3, &[0x0a, 1, 0]);
    assert!(told(&metadata, Version::One).starts_with("metadata[0]: it has another wire type"));

    // One version's bytes under the other's name, and those of release candidates.
    let said = told(&bytes, Version::Two);
    assert!(said.starts_with("Request: a field from 1 to 3") && said.contains("release candidate 4"), "{said}");
    let mut candidate = two(&request.timeseries, COUNTER);
    assert_eq!(
        taken(&candidate.encode_to_vec(), Version::One).expect("nothing").samples(),
        0,
        "fields are reserved for that"
    );
    candidate.timeseries[1].created_timestamp = 5;
    let said = told(&candidate.encode_to_vec(), Version::Two);
    assert!(said.starts_with("timeseries[1].created_timestamp: field 6"), "{said}");
    let mut symbols = two(&request.timeseries, COUNTER);
    symbols.symbols[0] = b"a".to_vec();
    assert!(
        told(&symbols.encode_to_vec(), Version::Two)
            .starts_with("symbols[0]: the first symbol has to be the empty text")
    );

    // Of references that lead nowhere the series is refused, not the request.
    for (refs, wanted) in [(vec![1, 900], "symbol 900 is not among"), (vec![1, 2, 1], "odd number of elements")] {
        let mut request = two(&request.timeseries, COUNTER);
        request.timeseries[0].labels_refs = refs;
        let batch = taken(&request.encode_to_vec(), Version::Two).expect("whole");
        let [bad, good] = &batch.series().collect::<Vec<_>>()[..] else { panic!("two series") };
        let refusal = called(bad, &[], &[]).expect_err("no labels");
        assert!(refusal.message.contains(wanted), "{}", refusal.message);
        assert_eq!(called(good, &[], &[]).expect("a series").name.as_str(), "b");
    }
}

#[test]
fn a_batch_is_used_again_and_holds_nothing_of_before() {
    let (mut batch, now) = (Batch::default(), 1_700_000_000_000);
    let large = one((0..50).map(|n| series(&[("__name__", &format!("m{n}"))], &[(now, 1.0)])).collect());
    decode(&packed(&large), Version::One, MAX, SEED, &mut batch).expect("whole");
    assert_eq!((batch.series().count(), batch.samples()), (50, 50));
    let mut small = one(vec![series(&[("__name__", "m7")], &[(now, 2.0)])]);
    small.metadata = vec![Metadata { kind: GAUGE, metric_family_name: "m7".to_owned(), help: String::new() }];
    let hash = batch.series().nth(7).expect("a series").hash();
    decode(&packed(&small), Version::One, MAX, SEED, &mut batch).expect("whole");
    let told: Vec<Told<'_>> = batch.series().collect();
    assert_eq!(
        (told.len(), told[0].hash(), told[0].place()),
        (1, hash, "timeseries[0]".to_owned()),
        "the same series, whatever stands around it"
    );
    assert_eq!(batch.families().collect::<Vec<_>>(), [("m7", Type::Gauge)]);
}

#[test]
fn settings_that_cannot_work_are_refused_by_key() {
    let labels = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let default = Receive::default;
    assert_eq!(check(&default()), Ok(()));
    for (settings, key) in [
        (Receive { body_max: 1023, ..default() }, "receive.body_max"),
        (Receive { body_max: 1 << 30, ..default() }, "receive.body_max"),
        (Receive { body_uncompressed_max: 2 << 30, ..default() }, "receive.body_uncompressed_max"),
        (Receive { samples_per_second_max: Some(0), ..default() }, "receive.samples_per_second_max"),
        (Receive { series_per_sender_max: Some(0), ..default() }, "receive.series_per_sender_max"),
        (Receive { replica_labels: labels(&["a", "a"]), ..default() }, "receive.replica_labels[1]"),
        (Receive { replica_labels: labels(&["__name__"]), ..default() }, "receive.replica_labels[0]"),
        (Receive { replica_labels: labels(&["cluster"]), ..default() }, "receive.cluster_labels[0]"),
        (Receive { cluster_labels: labels(&["x"; 11]), ..default() }, "receive.cluster_labels"),
    ] {
        assert_eq!(check(&settings).expect_err(key).0, key);
    }
}
