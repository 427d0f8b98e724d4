//! One subscription, from its first FLOW to its end.
//!
//! It waits, looks at all that has come, and only then sees to everything else: the slot, permits, counts, questions. So what is shared
//! or costs a look at the clock is touched once for all entries of a read.

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

/// Reads until the connection ends.
pub(super) async fn run(task: &mut Task, subscribed: Subscribed) -> End {
    let Subscribed { mut connection, consumer, cursor, acknowledge } = subscribed;
    let mut stream = Stream::new(task, consumer, cursor);
    let Err(end) = stream.read(&mut connection, acknowledge).await;
    stream.hand_over();
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
        loop {
            self.take_in(connection)?;
            self.pump()?;
            self.hand_over();
            self.tell();
            self.flow(&mut out);
            self.reserved.settle();
            self.count();
            self.attend(connection, &mut out)?;
            if out.is_empty() {
                self.wait(connection).await?;
            } else {
                connection.write(&out).await?;
                out.clear();
            }
        }
    }

    /// Looks at all that has come, as far as it was taken from the socket: what is done for each entry is little.
    fn take_in(&mut self, connection: &mut Connection) -> Result<(), End> {
        let before = self.came;
        while let Some(frame) = connection.next_ready()? {
            match frame {
                Frame::Message { position, payload, .. } => self.came(Position(position.0, position.1), payload)?,
                Frame::Command(command) => self.answered(&command)?,
            }
        }
        if self.came > before {
            self.due.entries_came();
        }
        Ok(())
    }

    /// Waits until something happens or a time has come.
    async fn wait(&self, connection: &mut Connection) -> Result<(), End> {
        let setting = &self.task.setting;
        let (budget, schemas, handover) = (&setting.budget, &setting.schemas, &self.task.handover);
        let wants_budget = self.short || self.stuck == Stuck::Budget;
        tokio::select! {
            biased;
            came = connection.more() => came?,
            () = handover.room(), if self.stuck == Stuck::Room => {}
            () = budget.freed(), if wants_budget => {}
            () = schemas.learned(), if self.stuck == Stuck::Schema => {}
            () = sleep_until(self.next_time()) => {}
        }
        Ok(())
    }

    /// Hands over what is opened.
    pub(super) fn hand_over(&mut self) {
        self.task.handover.hand_over(&mut self.task.opened);
    }

    /// Says whether the broker has no more than what is handed over.
    pub(super) fn caught_up(&mut self, is: bool) {
        self.hand_over();
        self.task.handover.caught_up(is);
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

    /// Asks for more, if what was asked for is half used up.
    fn flow(&mut self, out: &mut Vec<u8>) {
        let share = self.task.setting.share;
        let room = share.saturating_sub(self.reserved.waiting());
        let window = &mut self.task.window;
        self.short = false;
        if !self.waiting.is_empty() && room < share / 2 {
            return;
        }
        let Some(mut ask) = window.ask(room) else { return };
        if !self.reserved.expect(ask.bytes) {
            self.short = true;
            // What others hold must not stop one that has nothing.
            let idle = self.waiting.is_empty() && self.task.opened.is_empty() && self.task.handover.is_empty();
            let Some(one) = window.ask_one().filter(|_| idle) else { return };
            self.reserved.expect_anyway(one.bytes);
            ask = one;
        }
        window.asked(ask);
        command::frame(&subscribe::flow(self.consumer, ask.permits), out);
    }
}
