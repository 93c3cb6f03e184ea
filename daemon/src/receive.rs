//! Samples that others send: Prometheus' remote-write and OpenTelemetry's OTLP.
//!
//! A request is taken apart where it came in, on whatever thread; the driver looks its series up and judges its samples. Senders
//! are strangers: each has its own limits, and what a request can make grow is bounded before room is made for it.

pub mod batch;
pub mod desk;
pub mod labels;
pub mod otlp;
pub mod proto;
pub mod quota;
pub mod remote_write;
pub mod replicas;
mod tally;

#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use tally::{Protocol, Tally};

use serde::{Deserialize, Serialize};

/// What is taken of senders.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Receive {
    /// The largest body of a request as it is sent, in bytes. 1024 to 268435456.
    pub body_max: u64,
    /// The same when it is uncompressed. 1024 to 1073741824.
    pub body_uncompressed_max: u64,
    /// Samples that one address may send per second, ten seconds' worth at once; null: as many as it likes. 1 and more.
    pub samples_per_second_max: Option<u64>,
    /// Series that one address may bring; null: as many as limits.series_max. 1 and more.
    pub series_per_sender_max: Option<u64>,
    /// Labels that tell replicas apart which send the same: they are dropped, and one replica is listened to at a time. Another
    /// takes over after a minute without samples of it.
    pub replica_labels: Vec<String>,
    /// Labels by which replicas that send the same are known to belong together: those that agree in their values.
    pub cluster_labels: Vec<String>,
}

impl Default for Receive {
    fn default() -> Receive {
        Receive {
            body_max: 8 << 20,
            body_uncompressed_max: 32 << 20,
            samples_per_second_max: None,
            series_per_sender_max: None,
            replica_labels: Vec::new(),
            cluster_labels: vec!["cluster".to_owned()],
        }
    }
}

/// More labels than this tell no replicas apart.
const REPLICA_LABELS_MAX: usize = 10;

/// Checks the section; what is wrong comes with its dotted key.
pub fn check(receive: &Receive) -> Result<(), (String, String)> {
    let refuse = |key: &str, problem: String| Err((format!("receive.{key}"), problem));
    for (key, value, most) in
        [("body_max", receive.body_max, 256 << 20), ("body_uncompressed_max", receive.body_uncompressed_max, 1 << 30)]
    {
        if !(1024..=most).contains(&value) {
            return refuse(key, format!("{value} is outside 1024 to {most}"));
        }
    }
    for (key, value) in [
        ("samples_per_second_max", receive.samples_per_second_max),
        ("series_per_sender_max", receive.series_per_sender_max),
    ] {
        if value == Some(0) {
            return refuse(key, "0 would take nothing; null is without a limit".to_owned());
        }
    }
    for (key, labels) in [("replica_labels", &receive.replica_labels), ("cluster_labels", &receive.cluster_labels)] {
        if labels.len() > REPLICA_LABELS_MAX {
            return refuse(key, format!("{} are over {REPLICA_LABELS_MAX}", labels.len()));
        }
        for (at, label) in labels.iter().enumerate() {
            let other = if key == "cluster_labels" { &receive.replica_labels[..] } else { &[] };
            if label.is_empty() || label == "__name__" || labels[..at].contains(label) || other.contains(label) {
                let problem = format!("`{}` is no label of its own", labels::shown(label));
                return refuse(&format!("{key}[{at}]"), problem);
            }
        }
    }
    Ok(())
}

/// Why something that was sent is not taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Why {
    /// Labels that make no series.
    Labels,
    /// `limits.series_max` series are held, and all are alive.
    NoRoom,
    /// Its sender has brought `receive.series_per_sender_max` series.
    SenderFull,
    /// Same time, other value.
    Conflict,
    OutOfOrder,
    TooNew,
    TooOld,
    /// A data point of OTLP of which no series can be made.
    Point,
}

impl Why {
    pub const ALL: [Why; 8] = [
        Why::Labels,
        Why::NoRoom,
        Why::SenderFull,
        Why::Conflict,
        Why::OutOfOrder,
        Why::TooNew,
        Why::TooOld,
        Why::Point,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Labels => "labels",
            Why::NoRoom => "no_room",
            Why::SenderFull => "sender_full",
            Why::Conflict => "conflict",
            Why::OutOfOrder => "out_of_order",
            Why::TooNew => "too_new",
            Why::TooOld => "too_old",
            Why::Point => "point",
        }
    }
}

/// What became of the samples of a request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// Samples that are in memory now, or had nothing to say: ends of series, no numbers, the same once more.
    pub taken: u64,
    /// Of those, the ones of replicas that another one stands for.
    pub standby: u64,
    pub refused: [u64; Why::ALL.len()],
    /// What is wrong with the first that was refused, of each reason.
    pub said: Vec<String>,
    /// How often another replica took over.
    pub failovers: u64,
    /// Of those taken, buckets that came too late for their histogram, and were left out of it.
    pub late_buckets: u64,
}

impl Outcome {
    /// So many samples are refused for one reason; the first of a reason says what is wrong.
    pub fn refuse(&mut self, why: Why, samples: u64, message: impl FnOnce() -> String) {
        let refused = &mut self.refused[why as usize];
        if *refused == 0 {
            self.said.push(message());
        }
        *refused += samples;
    }

    pub fn refused_all(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// What was refused, in one line; none: nothing was.
    pub fn told(&self) -> Option<String> {
        let counts = Why::ALL.into_iter().map(|why| (why, self.refused[why as usize])).filter(|(_, count)| *count > 0);
        let counts: Vec<String> = counts.map(|(why, count)| format!("{count} {}", why.as_str())).collect();
        let (taken, refused) = (self.taken, self.refused_all());
        (refused > 0).then(|| {
            let said = self.said.join("; ");
            format!("{refused} samples were refused ({}), {taken} taken: {said}", counts.join(", "))
        })
    }
}
