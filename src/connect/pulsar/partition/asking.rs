//! What the broker is asked and told while entries come: where the topic ends, where the cursor is, what is read.

use std::time::Duration;

use pulsar::message::proto::BaseCommand;
use tokio::time::Instant;

use super::End;
use super::stream::Stream;
use super::subscribe;
use super::taking::Stuck;
use crate::connect::pulsar::connection::{Connection, LastMessage};
use crate::connect::pulsar::failed::{Cause, Failed};
use crate::connect::pulsar::order::Verdict;
use crate::connect::pulsar::wire::command;
use crate::limits::{PULSAR_ACKNOWLEDGE_MS, PULSAR_QUIET_MS, PULSAR_REQUEST_MS, PULSAR_STALLED_MS};
use crate::snapshot::Position;

/// Why the broker is asked for its last entry and the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing has come for a while; so many entries had come then.
    Quiet(u64),
    /// Whether this entry is the next one.
    Cursor(Position),
}

/// The name of the cause that nothing comes.
pub(super) const STALLED: &str = "stalled";

/// Milliseconds for which nothing may come, after so many that were in vain: what is not delivered may stay so for long.
fn patience(stalls: u32) -> u64 {
    let (first, most) = PULSAR_STALLED_MS;
    first.saturating_mul(1 << stalls.min(8)).min(most)
}

/// The questions and acknowledgements that are out, and when the next are due.
pub(super) struct Due {
    pub question: Option<(u64, Asked, Instant)>,
    /// When to ask whether there is more, and how long to wait after that.
    pub quiet: (Instant, Duration),
    pub acknowledge: Instant,
    /// The acknowledgement whose receipt is out, and the last entry acknowledged.
    pub receipt: Option<(u64, Position)>,
    pub acknowledged: Option<Position>,
    /// Since when there is more and nothing comes.
    pub stalled: Option<Instant>,
}

impl Due {
    /// Of a subscription that begins now.
    pub fn new() -> Self {
        let now = Instant::now();
        let first = Duration::from_millis(PULSAR_QUIET_MS.0);
        Due {
            question: None,
            quiet: (now + first, first),
            acknowledge: now + Duration::from_millis(PULSAR_ACKNOWLEDGE_MS),
            receipt: None,
            acknowledged: None,
            stalled: None,
        }
    }

    /// Entries have come, so nothing is quiet.
    pub fn entries_came(&mut self) {
        let first = Duration::from_millis(PULSAR_QUIET_MS.0);
        self.quiet = (Instant::now() + first, first);
        self.stalled = None;
    }
}

impl Stream<'_> {
    /// What is due by the clock: questions and acknowledgements.
    pub(super) fn attend(&mut self, connection: &mut Connection, out: &mut Vec<u8>) -> Result<(), End> {
        let now = Instant::now();
        if now >= self.due.acknowledge {
            self.due.acknowledge = now + Duration::from_millis(PULSAR_ACKNOWLEDGE_MS);
            let covered = self.task.handover.covered().and_then(|next| self.task.order.acknowledgeable(next));
            if let Some(entry) = covered.filter(|entry| Some(*entry) > self.due.acknowledged) {
                self.acknowledge(entry, connection, out);
            }
        }
        if let Some((_, _, since)) = self.due.question {
            if now >= since + Duration::from_millis(PULSAR_REQUEST_MS) {
                let words = format!("GET_LAST_MESSAGE_ID was not answered in {PULSAR_REQUEST_MS} ms");
                return Err(Failed::new(Cause::TimedOut, words).into());
            }
            if now >= since + Duration::from_millis(PULSAR_QUIET_MS.1) {
                // A broker that does not answer is not one that says it has no more.
                self.caught_up(false);
            }
            self.due.quiet.0 = self.due.quiet.0.max(now + Duration::from_millis(PULSAR_QUIET_MS.0));
            return Ok(());
        }
        let asked = match (self.stuck, self.waiting.front()) {
            (Stuck::Cursor, Some(raw)) => Asked::Cursor(raw.position),
            (_, None) if now >= self.due.quiet.0 => Asked::Quiet(self.came),
            _ => {
                self.due.quiet.0 = self.due.quiet.0.max(now + Duration::from_millis(PULSAR_QUIET_MS.0));
                return Ok(());
            }
        };
        let id = connection.next_request_id();
        command::frame(&LastMessage::question(self.consumer, id), out);
        self.due.question = Some((id, asked, now));
        Ok(())
    }

    pub(super) fn acknowledge(&mut self, entry: Position, connection: &mut Connection, out: &mut Vec<u8>) {
        let id = connection.next_request_id();
        command::frame(&subscribe::acknowledgement(self.consumer, id, entry), out);
        self.due.receipt = Some((id, entry));
        self.due.acknowledged = Some(entry);
    }

    pub(super) fn answered(&mut self, answer: &BaseCommand) -> Result<(), End> {
        if answer.close_consumer.as_ref().is_some_and(|closed| closed.consumer_id == self.consumer) {
            return Err(End::Again(
                "closed_by_broker",
                "the broker closed the consumer: it moves the topic, or stops".to_owned(),
            ));
        }
        let Some(id) = command::answers(answer) else { return Ok(()) };
        if let Some((_, entry)) = self.due.receipt.filter(|(receipt, _)| *receipt == id) {
            self.due.receipt = None;
            match command::refusal(answer) {
                None => self.task.counts.lock().acknowledged = Some(entry),
                Some((_, words)) => {
                    tracing::warn!(partition = self.task.topic, position = %entry, "not acknowledged: {words}");
                }
            }
        }
        let Some((_, asked, _)) = self.due.question.take_if(|(question, _, _)| *question == id) else { return Ok(()) };
        let Some(ends) = LastMessage::told(answer) else {
            let words = command::refusal(answer).map_or_else(String::new, |(_, words)| words);
            return Err(Failed::new(Cause::Protocol, format!("GET_LAST_MESSAGE_ID was refused: {words}")).into());
        };
        self.task.counts.lock().last = ends.last;
        match asked {
            Asked::Cursor(position) => self.told(position, ends),
            Asked::Quiet(came) => self.quiet(came, ends),
        }
    }

    fn told(&mut self, position: Position, ends: LastMessage) -> Result<(), End> {
        match self.task.order.told(position, ends.cursor, self.due.acknowledged) {
            Verdict::LookAgain(why) => return Err(End::Again("gap", why)),
            Verdict::Missing(gap) => self.missing(position, gap)?,
            Verdict::Take | Verdict::Repeat | Verdict::Ask => {}
        }
        self.judged = Some(position);
        Ok(())
    }

    /// What the broker says when nothing has come for a while.
    fn quiet(&mut self, came: u64, ends: LastMessage) -> Result<(), End> {
        let now = Instant::now();
        let wait = (self.due.quiet.1 * 2).min(Duration::from_millis(PULSAR_QUIET_MS.1));
        if came != self.came || !self.waiting.is_empty() {
            return Ok(());
        }
        self.due.quiet = (now + wait, wait);
        let next = self.task.order.next().or(self.cursor);
        let read = ends.last.is_none_or(|last| next.is_some_and(|next| last < next));
        self.caught_up(read);
        self.task.progressed |= read;
        if read || self.task.window.permits() <= 0 {
            self.due.stalled = None;
            return Ok(());
        }
        let since = *self.due.stalled.get_or_insert(now);
        let patience = patience(self.task.stalls);
        if now >= since + Duration::from_millis(patience) {
            let last = ends.last.map_or_else(String::new, |last| last.to_string());
            let words = format!(
                "nothing has come for {patience} ms, although the last entry is {last}; it may be one that is not delivered: a message \
                 delayed by its producer, a transaction not committed yet, a marker of replication"
            );
            return Err(End::Again(STALLED, words));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_delivered_is_looked_for_less_and_less() {
        let all: Vec<u64> = [0, 1, 2, 3, u32::MAX].map(patience).to_vec();
        assert_eq!(all, [15_000, 30_000, 60_000, 60_000, 60_000]);
    }
}
