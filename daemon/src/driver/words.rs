//! What people and other programs say: durable first, then taken in, then acknowledged.

use super::handle::{Input, Reply};
use super::{Driver, Refused};
use homeostat::event::Event;
use homeostat::feedback::Signal;
use homeostat::knowledge::proposals::Answer;
use homeostat::rollout::Order;
use homeostat::time::Timestamp;
use std::sync::mpsc::Receiver;

/// Signals that share one synchronisation with the disk.
const SIGNALS_AT_ONCE: usize = 1_000;

impl Driver {
    /// Takes a signal in, and with it those that wait behind it: all are stored at once. Answers with what else came after them.
    pub(super) fn signals(&mut self, first: (Signal, Reply<u64>), inbox: &Receiver<Input>) -> Option<Input> {
        let mut said = vec![first];
        let mut other = None;
        while said.len() < SIGNALS_AT_ONCE {
            match inbox.try_recv() {
                Ok(Input::Signal { signal, reply }) => said.push((signal, reply)),
                Ok(input) => {
                    other = Some(input);
                    break;
                }
                Err(_) => break,
            }
        }
        let now = self.clock.now();
        let (mut events, mut replies) = (Vec::with_capacity(said.len()), Vec::with_capacity(said.len()));
        for (signal, reply) in said {
            match self.storable().and_then(|()| self.known(&signal)) {
                Ok(()) => {
                    let mut event = self.engine.numbered(Signal { at: now, ..signal });
                    let Event::Signalled { signal } = &mut event else {
                        unreachable!("a signal gives a signalled event")
                    };
                    // Those before it are not taken in yet.
                    signal.id += events.len() as u64;
                    replies.push((signal.id, reply));
                    events.push(event);
                }
                Err(refused) => _ = reply.send(Err(refused)),
            }
        }
        let stored = self.take_in(events, now);
        for (id, reply) in replies {
            let _ = reply.send(stored.clone().map(|()| id));
        }
        other
    }

    /// A signal is about a series that is known, or about none.
    fn known(&self, signal: &Signal) -> Result<(), Refused> {
        match &signal.series {
            Some(name) if self.engine.knowledge().find(name).is_none() => Err(Refused::UnknownSeries(name.clone())),
            _ => Ok(()),
        }
    }

    pub(super) fn answer(
        &mut self,
        id: u64,
        answer: Answer,
        comment: Option<String>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        self.storable()?;
        let event = self.engine.answered(id, answer, comment)?;
        self.take_in(vec![event], now)
    }

    pub(super) fn order(
        &mut self,
        rule: &str,
        order: Order,
        comment: Option<String>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        self.storable()?;
        let event = self.engine.ordered(rule, order, comment)?;
        self.take_in(vec![event], now)
    }

    /// All or none.
    fn take_in(&mut self, events: Vec<Event>, now: Timestamp) -> Result<(), Refused> {
        if events.is_empty() {
            return Ok(());
        }
        // What cannot be stored is given back, and nothing has changed.
        let stored: Vec<(Timestamp, Event)> = events.into_iter().map(|event| (now, event)).collect();
        let first = self.store.append(&stored).map_err(|error| Refused::NotStored(self.failed(&error)))?;
        crate::log::notable(stored.iter().map(|(_, event)| event));
        for (seq, (at, event)) in (first..).zip(stored) {
            self.engine.take_in(&event, now);
            self.publish(seq, at, event);
        }
        Ok(())
    }
}
