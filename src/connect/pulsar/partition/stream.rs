//! One subscription, from its first FLOW to its end.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::opening;
use super::subscribe::{self, Ends, Subscribed};
use super::{End, Task};
use crate::connect::pulsar::budget::Reserved;
use crate::connect::pulsar::connection::{Connection, Frame};
use crate::connect::pulsar::failed::{Cause, Failed};
use crate::connect::pulsar::order::Verdict;
use crate::connect::pulsar::wire::command;
use crate::connect::pulsar::wire::entry::Head;
use crate::dataflow::edges::Gap;
use crate::error::Error;
use crate::limits::{PULSAR_ACKNOWLEDGE_MS, PULSAR_QUIET_MS, PULSAR_REQUEST_MS, PULSAR_STALLED_MS};
use crate::snapshot::Position;
use pulsar::message::proto::BaseCommand;

/// An entry that waits as it came.
struct Raw {
    position: Position,
    payload: Vec<u8>,
    head: Head,
}

/// What the first entry that waits waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stuck {
    /// Nothing.
    No,
    /// The slot has enough.
    Room,
    /// The budget has no room for it once opened.
    Budget,
    /// The schema of its version.
    Schema,
    /// The broker's word on the cursor.
    Cursor,
}

/// Why the broker is asked for its last entry and the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Nothing has come for a while; so many entries had come then.
    Quiet(u64),
    /// Whether this entry is the next one.
    Cursor(Position),
}

/// The questions and acknowledgements that are out, and when the next are due.
struct Due {
    question: Option<(u64, Asked, Instant)>,
    /// When to ask whether there is more, and how long to wait after that.
    quiet: (Instant, Duration),
    acknowledge: Instant,
    /// The acknowledgement whose receipt is out, and the last entry acknowledged.
    receipt: Option<(u64, Position)>,
    acknowledged: Option<Position>,
    /// Since when there is more and nothing comes.
    stalled: Option<Instant>,
}

/// A subscription without its connection.
struct Stream<'a> {
    task: &'a mut Task,
    consumer: u64,
    cursor: Option<Position>,
    reserved: Reserved,
    waiting: VecDeque<Raw>,
    stuck: Stuck,
    /// The budget had no room for another FLOW.
    short: bool,
    /// The entry that is known to be the next one.
    judged: Option<Position>,
    /// Entries that came.
    came: u64,
    due: Due,
}

/// What happened.
enum Event<'a> {
    Frame(Frame<'a>),
    /// All that came was looked at.
    Drained,
    /// Something that was waited for may be there, or a time has come.
    Look,
}

/// Reads until the connection ends.
pub(super) async fn run(task: &mut Task, subscribed: Subscribed) -> End {
    let Subscribed { mut connection, consumer, cursor, acknowledge } = subscribed;
    let mut stream = Stream::new(task, consumer, cursor);
    match stream.read(&mut connection, acknowledge).await {
        Err(end) => end,
        Ok(never) => match never {},
    }
}

impl<'a> Stream<'a> {
    fn new(task: &'a mut Task, consumer: u64, cursor: Option<Position>) -> Self {
        task.window.begin();
        let now = Instant::now();
        let first = Duration::from_millis(PULSAR_QUIET_MS.0);
        let due = Due {
            question: None,
            quiet: (now + first, first),
            acknowledge: now + Duration::from_millis(PULSAR_ACKNOWLEDGE_MS),
            receipt: None,
            acknowledged: None,
            stalled: None,
        };
        Stream {
            consumer,
            cursor,
            reserved: Reserved::new(std::sync::Arc::clone(&task.setting.budget)),
            waiting: VecDeque::new(),
            stuck: Stuck::No,
            short: false,
            judged: None,
            came: 0,
            due,
            task,
        }
    }

    async fn read(
        &mut self,
        connection: &mut Connection,
        acknowledge: Option<Position>,
    ) -> Result<std::convert::Infallible, End> {
        let mut out = Vec::new();
        if let Some(entry) = acknowledge {
            self.acknowledge(entry, connection, &mut out);
        }
        self.flow(true, &mut out);
        let mut drained = false;
        loop {
            if !out.is_empty() {
                connection.write(&out).await?;
                out.clear();
            }
            match self.event(connection, drained).await? {
                Event::Frame(Frame::Message { position, payload, .. }) => {
                    drained = false;
                    self.came(Position(position.0, position.1), payload)?;
                    self.flow(false, &mut out);
                    continue;
                }
                Event::Frame(Frame::Command(command)) => self.answered(&command)?,
                Event::Drained => drained = true,
                Event::Look => {}
            }
            self.pump()?;
            self.flow(true, &mut out);
            self.attend(connection, &mut out)?;
        }
    }

    /// Waits for what comes next. What came is looked at first, so everything else is done when there is no more of it.
    async fn event<'c>(&self, connection: &'c mut Connection, drained: bool) -> Result<Event<'c>, End> {
        let setting = &self.task.setting;
        let (budget, schemas, handover) = (&setting.budget, &setting.schemas, &self.task.handover);
        let wants_budget = self.short || self.stuck == Stuck::Budget;
        tokio::select! {
            biased;
            frame = connection.next() => Ok(Event::Frame(frame?)),
            () = std::future::ready(()), if !drained => Ok(Event::Drained),
            () = handover.room(), if self.stuck == Stuck::Room => Ok(Event::Look),
            () = budget.freed(), if wants_budget => Ok(Event::Look),
            () = schemas.learned(), if self.stuck == Stuck::Schema => Ok(Event::Look),
            () = sleep_until(self.next_time()) => Ok(Event::Look),
        }
    }

    /// When to look without anything having happened. A word of the budget or the schemas may fall between two waits, so where one
    /// is waited for it is looked for now and then.
    fn next_time(&self) -> Instant {
        let due = self.due.quiet.0.min(self.due.acknowledge);
        match self.stuck {
            Stuck::No if !self.short => due,
            _ => due.min(Instant::now() + Duration::from_millis(PULSAR_QUIET_MS.0)),
        }
    }

    fn came(&mut self, position: Position, payload: &[u8]) -> Result<(), End> {
        let head = opening::look(payload);
        self.came += 1;
        self.task.window.came(payload.len(), head.messages);
        let (to_come, permits) = (self.task.window.to_come(), self.task.window.permits());
        if !self.reserved.came(payload.len(), to_come) {
            let words = format!("an entry of {} bytes came where shorter ones were expected", payload.len());
            return Err(End::Again("flooded", words));
        }
        let mut counts = self.task.counts.lock();
        counts.entries += 1;
        counts.messages += head.messages as u64;
        counts.bytes += payload.len() as u64;
        counts.permits = permits;
        drop(counts);
        let first = Duration::from_millis(PULSAR_QUIET_MS.0);
        self.due.quiet = (Instant::now() + first, first);
        self.due.stalled = None;
        if self.waiting.is_empty() && self.take(position, payload, head)? {
            self.reserved.done(payload.len());
            return Ok(());
        }
        self.waiting.push_back(Raw { position, payload: payload.to_vec(), head });
        Ok(())
    }

    /// Opens what waits, as far as it may be.
    fn pump(&mut self) -> Result<(), End> {
        while let Some(raw) = self.waiting.pop_front() {
            if !self.take(raw.position, &raw.payload, raw.head)? {
                self.waiting.push_front(raw);
                return Ok(());
            }
            self.reserved.done(raw.payload.len());
        }
        Ok(())
    }

    /// Hands an entry over, or drops a repeat; false where it must wait.
    fn take(&mut self, position: Position, payload: &[u8], head: Head) -> Result<bool, End> {
        if self.judged != Some(position) && !self.judge(position)? {
            return Ok(self.stuck == Stuck::No);
        }
        self.stuck = Stuck::No;
        if !self.task.handover.has_room() {
            self.stuck = Stuck::Room;
            return Ok(false);
        }
        let bytes = head.uncompressed_size;
        let budget = std::sync::Arc::clone(&self.task.setting.budget);
        if !budget.take(bytes) {
            if !self.task.handover.is_empty() {
                self.stuck = Stuck::Budget;
                return Ok(false);
            }
            budget.take_anyway(bytes);
        }
        match opening::open(self.task, position, payload, head) {
            Ok(Some(entry)) => {
                self.task.handover.entry(entry, bytes);
                self.task.order.take(position);
                self.task.progressed = true;
                self.task.counts.lock().next = self.task.order.next();
                Ok(true)
            }
            other => {
                budget.give_back(bytes);
                self.stuck = Stuck::Schema;
                other.map(|_| false)
            }
        }
    }

    /// Whether an entry is the next one. Where it is not, it is a repeat, or stuck until the broker has said where the cursor is.
    fn judge(&mut self, position: Position) -> Result<bool, End> {
        self.stuck = Stuck::No;
        match self.task.order.arrived(position) {
            Verdict::Take => {}
            Verdict::Repeat => {
                self.task.counts.lock().repeats += 1;
                return Ok(false);
            }
            Verdict::Ask => {
                self.stuck = Stuck::Cursor;
                return Ok(false);
            }
            Verdict::LookAgain(why) => return Err(End::Again("gap", why)),
            Verdict::Missing(gap) => self.missing(position, gap)?,
        }
        self.judged = Some(position);
        Ok(true)
    }

    fn missing(&mut self, position: Position, gap: Gap) -> Result<(), End> {
        let Gap { from, to, why } = &gap;
        if !self.task.setting.accept_gap {
            return Err(End::Stop(Error::data(format!(
                "{} cannot be read on without a gap from {}:{} to {}:{}: {why}. retention, expiry or somebody who moved the \
                 subscription took what was there. --accept-gap goes on behind it and records it in the ledger",
                self.task.topic, from.0, from.1, to.0, to.1
            ))));
        }
        self.task.handover.gap(gap);
        self.task.order.agree(position);
        self.task.counts.lock().gaps += 1;
        Ok(())
    }

    /// Asks for more, if what was asked for is half used up. While entries come, only once half of them have: each of a dispatch brings
    /// many messages, and would be paid back one by one.
    fn flow(&mut self, drained: bool, out: &mut Vec<u8>) {
        let share = self.task.setting.share;
        let room = share.saturating_sub(self.reserved.waiting());
        let window = &mut self.task.window;
        self.short = false;
        if !self.waiting.is_empty() && room < share / 2 {
            return;
        }
        let Some(mut ask) = window.ask(room) else { return };
        if !drained && window.to_come() > ask.entries / 2 {
            return;
        }
        if !self.reserved.expect(ask.bytes) {
            self.short = true;
            // What others hold must not stop one that has nothing.
            let idle = self.waiting.is_empty() && self.task.handover.is_empty();
            let Some(one) = window.ask_one().filter(|_| idle) else { return };
            self.reserved.expect_anyway(one.bytes);
            ask = one;
        }
        window.asked(ask);
        command::frame(&subscribe::flow(self.consumer, ask.permits), out);
        let mut counts = self.task.counts.lock();
        counts.permits = self.task.window.permits();
        counts.bytes_held = self.reserved.held() as u64;
    }

    /// What is due by the clock: questions and acknowledgements.
    fn attend(&mut self, connection: &mut Connection, out: &mut Vec<u8>) -> Result<(), End> {
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
        command::frame(&subscribe::question(self.consumer, id), out);
        self.due.question = Some((id, asked, now));
        Ok(())
    }

    fn acknowledge(&mut self, entry: Position, connection: &mut Connection, out: &mut Vec<u8>) {
        let id = connection.next_request_id();
        command::frame(&subscribe::acknowledgement(self.consumer, id, entry), out);
        self.due.receipt = Some((id, entry));
        self.due.acknowledged = Some(entry);
    }

    fn answered(&mut self, answer: &BaseCommand) -> Result<(), End> {
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
                    tracing::warn!(partition = self.task.topic, position = ?entry, "not acknowledged: {words}");
                }
            }
        }
        let Some((_, asked, _)) = self.due.question.take_if(|(question, _, _)| *question == id) else { return Ok(()) };
        let Some(ends) = subscribe::told(answer) else {
            let words = command::refusal(answer).map_or_else(String::new, |(_, words)| words);
            return Err(Failed::new(Cause::Protocol, format!("GET_LAST_MESSAGE_ID was refused: {words}")).into());
        };
        self.task.counts.lock().last = ends.last;
        match asked {
            Asked::Cursor(position) => self.told(position, ends),
            Asked::Quiet(came) => self.quiet(came, ends),
        }
    }

    fn told(&mut self, position: Position, ends: Ends) -> Result<(), End> {
        match self.task.order.told(position, ends.cursor, self.due.acknowledged) {
            Verdict::LookAgain(why) => return Err(End::Again("gap", why)),
            Verdict::Missing(gap) => self.missing(position, gap)?,
            Verdict::Take | Verdict::Repeat | Verdict::Ask => {}
        }
        self.judged = Some(position);
        Ok(())
    }

    /// What the broker says when nothing has come for a while.
    fn quiet(&mut self, came: u64, ends: Ends) -> Result<(), End> {
        let now = Instant::now();
        let wait = (self.due.quiet.1 * 2).min(Duration::from_millis(PULSAR_QUIET_MS.1));
        if came != self.came || !self.waiting.is_empty() {
            return Ok(());
        }
        self.due.quiet = (now + wait, wait);
        let next = self.task.order.next().or(self.cursor);
        let read = ends.last.is_none_or(|last| next.is_some_and(|next| last < next));
        self.task.handover.caught_up(read);
        self.task.progressed |= read;
        if read || self.task.window.permits() <= 0 {
            self.due.stalled = None;
            return Ok(());
        }
        let since = *self.due.stalled.get_or_insert(now);
        if now >= since + Duration::from_millis(PULSAR_STALLED_MS) {
            let words =
                format!("nothing has come for {PULSAR_STALLED_MS} ms, although the last entry is {:?}", ends.last);
            return Err(End::Again("stalled", words));
        }
        Ok(())
    }
}
