//! Requests of senders, taken in whole: their series looked up by hash, then all samples judged at once.
//!
//! A series that is known costs one look into the table; only what nobody knows is taken apart, checked and given a name. The answer
//! comes after the samples are in, so that what is acknowledged is taken.

mod entries;

use super::{Driver, Handle, Input, Refused};
use crate::access::Rarely;
use crate::prometheus::text::{Families, Type};
use crate::receive::batch::Told;
use crate::receive::desk::Room;
use crate::receive::labels::{Refusal, called, shown};
use crate::receive::replicas::{Heard, Member, Replicas};
use crate::receive::{Batch, Outcome, Receive, Why};
use entries::{Entries, Entry};
use homeostat::config::Kind;
use homeostat::engine::Engine;
use homeostat::knowledge::SeriesId;
use homeostat::monitor::{Fate, Sample};
use homeostat::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::mpsc::Receiver;
use tokio::sync::oneshot;

/// No more requests are taken in together once they have so many samples.
const SAMPLES_AT_ONCE: usize = 32_768;

/// While a snapshot is taken: what changes for the first time since it began is copied first.
const SAMPLES_BESIDE_SNAPSHOT: usize = 4_096;

/// Senders that are told apart; further ones share one account.
const SENDERS_MAX: usize = 10_000;

/// The series of a sender that is full are counted anew this often: some may have been forgotten.
const COUNT_AGAIN: Span = Span::from_secs(10);

/// Series of a sender whose labels are looked at, to tell which of them has the most values.
const SERIES_LOOKED_AT: usize = 10_000;

/// A request on its way to the driver.
pub(super) struct Received {
    batch: Batch,
    sender: IpAddr,
    /// Held while the batch is, also when nobody waits for it any more.
    room: Room,
    reply: oneshot::Sender<(Batch, Result<Outcome, Refused>)>,
}

impl Handle {
    /// Hands over a request, and waits until its samples were taken in. The batch comes back to be used again, unless it was never
    /// handed over.
    pub async fn receive(&self, batch: Batch, room: Room, sender: IpAddr) -> (Option<Batch>, Result<Outcome, Refused>) {
        let (reply, answer) = oneshot::channel();
        if let Err(refused) = self.send(Input::Receive(Box::new(Received { batch, sender, room, reply }))) {
            return (None, Err(refused));
        }
        match answer.await {
            Ok((batch, outcome)) => (Some(batch), outcome),
            Err(_) => (None, Err(Refused::Gone)),
        }
    }
}

/// What is known of those who send, and of what they send. It holds no samples, and is built anew after a start.
#[derive(Default)]
pub(super) struct Table {
    entries: Entries,
    /// What families were said to be, by requests that say it beside their series.
    families: Families,
    replicas: Replicas,
    numbers: HashMap<IpAddr, u32>,
    senders: Vec<Sender>,
    /// Senders whose new series are refused.
    refused: Rarely<u32>,
}

#[derive(Default)]
struct Sender {
    /// Series that it brought, at most.
    series: u64,
    counted_at: Option<Timestamp>,
    /// Which label had the most values when it was full.
    label: String,
}

impl Driver {
    /// Takes a request in, and with it those that wait behind it: all are looked up, written down and judged at once. Answers with
    /// what else came after them.
    pub(super) fn receive(&mut self, first: Received, inbox: &Receiver<Input>) -> Option<Input> {
        let mut samples = first.batch.samples();
        let mut requests = vec![first];
        let mut other = None;
        // Where series may have to give way, one request at a time: what the next one brings would take the place of what this one says.
        let knowledge = self.engine.knowledge();
        let room = knowledge.config().limits.series_max.saturating_sub(knowledge.series_count());
        let at_once = if self.takes_snapshot() { SAMPLES_BESIDE_SNAPSHOT } else { SAMPLES_AT_ONCE };
        while samples < at_once.min(room) {
            match inbox.try_recv() {
                Ok(Input::Receive(received)) => {
                    samples += received.batch.samples();
                    requests.push(*received);
                }
                Ok(input) => {
                    other = Some(input);
                    break;
                }
                Err(_) => break,
            }
        }
        let now = self.clock.now();
        let outcomes = self.take(&requests, now);
        for (Received { batch, room, reply, .. }, outcome) in requests.into_iter().zip(outcomes) {
            // Whoever sent it may be gone.
            let _ = reply.send((batch, outcome));
            drop(room);
        }
        other
    }

    fn take(&mut self, requests: &[Received], now: Timestamp) -> Vec<Result<Outcome, Refused>> {
        let mut samples = Vec::with_capacity(requests.iter().map(|request| request.batch.samples()).sum());
        let mut outcomes: Vec<(Outcome, Range<usize>)> = Vec::with_capacity(requests.len());
        // What cannot be stored is not acknowledged: the sender keeps it.
        let taken = self.storable().and_then(|()| {
            outcomes.extend(requests.iter().map(|request| self.look_up(request, now, &mut samples)));
            self.write_down(&samples, now)?;
            let turned_away = self.observe_samples(&samples, now);
            // Sent again, they are the same samples once more.
            self.storable().map(|()| turned_away)
        });
        let mut turned_away = match taken {
            Ok(turned_away) => turned_away.into_iter().peekable(),
            Err(refused) => return requests.iter().map(|_| Err(refused.clone())).collect(),
        };
        for (outcome, range) in &mut outcomes {
            outcome.taken += range.len() as u64;
            while let Some((place, fate)) = turned_away.next_if(|(place, _)| *place < range.end) {
                let sample = &samples[place];
                outcome.late_buckets += u64::from(fate == Fate::OutOfOrder && self.is_bucket(sample));
                if let Some((why, what)) = self.refused(sample, fate) {
                    outcome.taken -= 1;
                    outcome.refuse(why, 1, || {
                        let series = self.engine.knowledge().get(sample.series);
                        let name = series.map_or_else(|| "?".to_owned(), |series| shown(series.name().as_str()));
                        format!("the timestamp {} of {name} {what}", sample.at)
                    });
                }
            }
        }
        outcomes.into_iter().map(|(outcome, _)| Ok(outcome)).collect()
    }

    /// Appends the samples of a request; what is known of it before they are judged, and which of `samples` are its.
    fn look_up(&mut self, request: &Received, now: Timestamp, samples: &mut Vec<Sample>) -> (Outcome, Range<usize>) {
        let Received { batch, sender, .. } = request;
        let Driver { engine, settings, started_with, received: table, .. } = self;
        let senders = &started_with.daemon.receive;
        for (family, told) in batch.families() {
            table.families.tell(family, told);
        }
        table.make_room(engine, settings.engine.limits.series_max);
        let (mut outcome, first) = (Outcome::default(), samples.len());
        let mut in_order = true;
        for told in batch.series() {
            let count = told.samples().len() as u64;
            match table.find(&told, engine, senders, *sender, now, &mut outcome.failovers) {
                Ok(Some(series)) => {
                    in_order &= count == 1;
                    samples.extend(told.samples().map(|(at, value)| Sample { series, at, value }));
                }
                Ok(None) => (outcome.taken, outcome.standby) = (outcome.taken + count, outcome.standby + count),
                Err(Refusal { why, message }) => {
                    outcome.refuse(why, count, || format!("{}.{message}", told.place()));
                }
            }
        }
        // Series with several samples stand one behind the other; what is made of many series wants one moment after the other.
        if !in_order {
            samples[first..].sort_by_key(|sample| sample.at);
        }
        (outcome, first..samples.len())
    }

    fn is_bucket(&self, sample: &Sample) -> bool {
        self.engine.knowledge().get(sample.series).is_some_and(|series| series.kind() == Kind::Histogram)
    }

    /// Whether a sender is told that a sample was not taken, and in which words. What says nothing, or the same as before, is taken.
    fn refused(&self, sample: &Sample, fate: Fate) -> Option<(Why, &'static str)> {
        match fate {
            Fate::Conflict => Some((Why::Conflict, "is there with another value")),
            // Buckets of one histogram may come in several requests side by side. Each by itself is in order: what comes too late
            // for its histogram is no mistake of the sender's.
            Fate::OutOfOrder => (!self.is_bucket(sample)).then_some((Why::OutOfOrder, "is older than the newest")),
            Fate::TooNew => Some((Why::TooNew, "is over ten minutes ahead of this machine's clock")),
            Fate::TooOld | Fate::UnknownSeries => Some((Why::TooOld, "is older than the learning window reaches back")),
            Fate::Admitted | Fate::Folded | Fate::NotFinite | Fate::Stale | Fate::Duplicate => None,
        }
    }
}

impl Table {
    /// Where a series is held; new ones are made. None: another replica stands for the one that sent it.
    fn find(
        &mut self,
        told: &Told<'_>,
        engine: &mut Engine,
        settings: &Receive,
        sender: IpAddr,
        now: Timestamp,
        failovers: &mut u64,
    ) -> Result<Option<SeriesId>, Refusal> {
        // A replica that was forgotten is looked for anew, as if its series had never come.
        let known = self.entries.get(&told.hash()).copied();
        let known = known.filter(|entry| entry.member.is_none_or(|member| self.replicas.knows(member)));
        let heard = match known.and_then(|entry| entry.member) {
            None => true,
            Some(member) => self.hears(member, now, failovers),
        };
        if let Some(id) = known.and_then(|entry| entry.id).filter(|id| engine.knowledge().get(*id).is_some()) {
            return Ok(heard.then_some(id));
        }
        if known.is_some() && !heard {
            return Ok(None);
        }
        let called = called(told, &settings.replica_labels, &settings.cluster_labels)?;
        let member = match &called.replica {
            None => None,
            Some(replica) => Some(self.replicas.member(replica, now).ok_or_else(|| Refusal {
                why: Why::Labels,
                message: format!(
                    "labels: `{}` tells no replica apart: it is too long, or ten thousand others are known",
                    shown(&replica.replica.join(","))
                ),
            })?),
        };
        let (address, sender) = (sender, self.sender(sender));
        if let (None, Some(member)) = (known, member)
            && !self.hears(member, now, failovers)
        {
            self.entries.put(told.hash(), Entry { id: None, member: Some(member), sender });
            return Ok(None);
        }
        let id = match engine.knowledge().id(&called.name) {
            Some(id) => id,
            None => {
                let kind = self.kind(told.told(), called.name.metric());
                let room = self.check_room(sender, engine, settings, now).and_then(|()| {
                    engine.intern(&called.name, kind, now).map_err(|error| {
                        self.look(sender, engine, now);
                        let label = &self.senders[sender as usize].label;
                        Refusal { why: Why::NoRoom, message: format!("labels: {error}{label}") }
                    })
                });
                let id = room.inspect_err(|refusal| self.tell(sender, address, refusal, now))?;
                self.senders[sender as usize].series += 1;
                id
            }
        };
        self.entries.put(told.hash(), Entry { id: Some(id), member, sender });
        Ok(Some(id))
    }

    fn hears(&mut self, member: Member, now: Timestamp, failovers: &mut u64) -> bool {
        match self.replicas.heard(member, now) {
            Heard::Yes => true,
            Heard::No => false,
            Heard::TakesOver => {
                *failovers += 1;
                tracing::warn!(
                    "nothing came of its replica for a minute: {} takes over",
                    shown(self.replicas.name(member))
                );
                true
            }
        }
    }

    /// What a series measures: as it says itself, else as its family was said to.
    fn kind(&self, told: Type, metric: &str) -> Option<Kind> {
        match told {
            Type::Unknown => self.families.kind(metric),
            told => told.kind(metric),
        }
    }

    fn sender(&mut self, address: IpAddr) -> u32 {
        let next = self.senders.len();
        let number = match self.numbers.get(&address) {
            Some(number) => return *number,
            // The last account is that of all who came too late for one of their own.
            None if next == SENDERS_MAX => return next as u32 - 1,
            None => next as u32,
        };
        self.numbers.insert(address, number);
        self.senders.push(Sender::default());
        number
    }

    /// Whether a sender may bring another series.
    fn check_room(&mut self, sender: u32, engine: &Engine, settings: &Receive, now: Timestamp) -> Result<(), Refusal> {
        let Some(max) = settings.series_per_sender_max else { return Ok(()) };
        if self.senders[sender as usize].series < max {
            return Ok(());
        }
        self.look(sender, engine, now);
        let Sender { series, label, .. } = &self.senders[sender as usize];
        if *series < max {
            return Ok(());
        }
        let message = format!(
            "labels: its sender has brought {series} series, and receive.series_per_sender_max is {max}{label}"
        );
        Err(Refusal { why: Why::SenderFull, message })
    }

    /// Tells in the log whose new series are refused, and why: whoever reads that may not be who sends them.
    fn tell(&mut self, sender: u32, address: IpAddr, refusal: &Refusal, now: Timestamp) {
        if let Some(before) = self.refused.tell(sender, now) {
            // Where in the request it stands is for the sender alone.
            let why = refusal.message.trim_start_matches("labels: ");
            tracing::warn!(before, "new series of the sender {address} are refused: {why}");
        }
    }

    /// Counts the series of a sender, and finds the label that has the most values.
    fn look(&mut self, number: u32, engine: &Engine, now: Timestamp) {
        let sender = &mut self.senders[number as usize];
        if sender.counted_at.is_some_and(|at| now.since(at) < COUNT_AGAIN) {
            return;
        }
        let ids = self.entries.iter().filter(|(_, entry)| entry.sender == number).filter_map(|(_, entry)| entry.id);
        let held: BTreeSet<SeriesId> = ids.filter(|id| engine.knowledge().get(*id).is_some()).collect();
        sender.counted_at = Some(now);
        sender.series = held.len() as u64;
        let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for series in held.iter().take(SERIES_LOOKED_AT).filter_map(|id| engine.knowledge().get(*id)) {
            for (name, value) in series.name().parts().1 {
                values.entry(name).or_default().insert(value);
            }
        }
        let most = values.iter().max_by_key(|(_, values)| values.len());
        sender.label = most.map_or_else(String::new, |(label, values)| {
            let example = values.last().map_or("", String::as_str);
            format!(
                "; of its labels `{}` has the most values ({}, like `{}`)",
                shown(label),
                values.len(),
                shown(example)
            )
        });
    }

    /// Lets go of what the engine has forgotten, when entries are many. A series has two when it is sent both ways.
    fn make_room(&mut self, engine: &Engine, series_max: usize) {
        let most = 4 * series_max + 1024;
        if self.entries.len() <= most {
            return;
        }
        self.entries.retain(|_, entry| entry.id.is_some_and(|id| engine.knowledge().get(id).is_some()));
        // Whoever sends one series in more ways than that has them looked up anew.
        if self.entries.len() > most / 2 {
            self.entries = Entries::default();
        }
    }
}

/// A driver that takes one request when it is told to, for tests of who hands it over.
#[cfg(test)]
pub struct Late(std::cell::RefCell<Option<Received>>, std::sync::mpsc::Receiver<Input>);

#[cfg(test)]
pub fn late() -> (Handle, Late) {
    let (inbox, receiver) = std::sync::mpsc::sync_channel(1);
    let (live, _) = tokio::sync::broadcast::channel(1);
    (Handle { inbox, live }, Late(std::cell::RefCell::default(), receiver))
}

#[cfg(test)]
impl Late {
    /// Whether a request was handed over.
    pub fn waits(&self) -> bool {
        if let Ok(Input::Receive(received)) = self.1.try_recv() {
            *self.0.borrow_mut() = Some(*received);
        }
        self.0.borrow().is_some()
    }

    /// Takes it. Whoever sent it may be gone.
    pub fn take(&self) {
        let received = self.0.borrow_mut().take().expect("it was handed over");
        let _ = received.reply.send((received.batch, Ok(Outcome::default())));
    }
}

#[cfg(test)]
mod tests;
