//! One subscription, from its first FLOW to its end.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::asking::Due;
use super::subscribe::{self, Subscribed};
use super::taking::{Raw, Seen, Stuck};
use super::{End, Task};
use crate::connect::pulsar::budget::Reserved;
use crate::connect::pulsar::connection::{Connection, Frame};
use crate::connect::pulsar::wire::command;
use crate::limits::{PULSAR_LINGER_MS, PULSAR_LOOK_MS};
use crate::snapshot::Position;

/// A subscription without its connection.
pub(super) struct Stream<'a> {
    pub task: &'a mut Task,
    pub consumer: u64,
    pub cursor: Option<Position>,
    pub reserved: Reserved,
    pub waiting: VecDeque<Raw>,
    pub stuck: Stuck,
    /// The budget had no room for another FLOW.
    pub short: bool,
    /// The entry that is known to be the next one.
    pub judged: Option<Position>,
    /// Entries that came.
    pub came: u64,
    /// What of them is not counted yet.
    pub seen: Seen,
    /// When the slot is to be told of what was handed over.
    pub tell: Option<Instant>,
    pub due: Due,
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
    let Err(end) = stream.read(&mut connection, acknowledge).await;
    stream.count();
    end
}

impl<'a> Stream<'a> {
    fn new(task: &'a mut Task, consumer: u64, cursor: Option<Position>) -> Self {
        task.window.begin();
        Stream {
            consumer,
            cursor,
            reserved: Reserved::new(Arc::clone(&task.setting.budget)),
            waiting: VecDeque::new(),
            stuck: Stuck::No,
            short: false,
            judged: None,
            came: 0,
            seen: Seen::default(),
            tell: None,
            due: Due::new(),
            task,
        }
    }

    async fn read(&mut self, connection: &mut Connection, acknowledge: Option<Position>) -> Result<Infallible, End> {
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
            self.tell();
            self.flow(true, &mut out);
            self.count();
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
        let due = self.tell.map_or(due, |tell| tell.min(due));
        match self.stuck {
            Stuck::Budget | Stuck::Schema => due.min(Instant::now() + Duration::from_millis(PULSAR_LOOK_MS)),
            _ if self.short => due.min(Instant::now() + Duration::from_millis(PULSAR_LOOK_MS)),
            Stuck::No | Stuck::Room | Stuck::Cursor => due,
        }
    }

    /// Tells the slot of what was handed over, a moment later: then more may have come, and waking it costs more than reading one.
    fn tell(&mut self) {
        let handover = &self.task.handover;
        if !handover.is_untold() {
            self.tell = None;
            return;
        }
        let now = Instant::now();
        if *self.tell.get_or_insert(now + Duration::from_millis(PULSAR_LINGER_MS)) <= now {
            handover.tell();
            self.tell = None;
        }
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
    }
}
