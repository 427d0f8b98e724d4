//! Order, against a broker in a few lines that knows what it has lost.

use proptest::prelude::*;

use super::*;

/// A topic of one subscription: what was written, what is still there, where the cursor stands.
#[derive(Debug)]
struct Broker {
    /// Ledgers and the entries that each got; the ids leave numbers out, as those of a real broker do.
    ledgers: Vec<(u64, u64)>,
    /// Ledgers before this one are gone.
    trimmed: usize,
    /// Index of the next entry in `log` that is not acknowledged, and of the next to send.
    cursor: usize,
    sends: usize,
}

impl Broker {
    fn log(&self) -> Vec<Position> {
        let of = |(id, count): &(u64, u64)| (0..*count).map(|entry| Position(*id, entry)).collect::<Vec<_>>();
        self.ledgers.iter().flat_map(of).collect()
    }

    fn first_there(&self) -> usize {
        self.ledgers[..self.trimmed].iter().map(|(_, count)| *count).sum::<u64>() as usize
    }

    /// The position after mark-delete. A cursor that has read a ledger which went is moved to the next one.
    fn told(&self) -> Position {
        let log = self.log();
        let first = Position(self.ledgers[self.trimmed].0, 0);
        let last = self.cursor.checked_sub(1).and_then(|last| log.get(last));
        last.filter(|last| last.0 >= first.0).map_or(first, |last| after(*last))
    }

    fn acknowledge(&mut self, entry: Position) {
        let found = self.log().iter().position(|other| *other == entry).filter(|at| *at >= self.first_there());
        if let Some(at) = found {
            self.cursor = self.cursor.max(at + 1);
            self.sends = self.sends.max(self.cursor);
        }
    }

    fn seek(&mut self, entry: Position) {
        let at = self.log().iter().position(|other| *other >= entry).unwrap_or_else(|| self.log().len());
        self.cursor = at.max(self.first_there());
        self.sends = self.cursor;
    }

    fn open(&mut self) -> &mut (u64, u64) {
        self.ledgers.last_mut().unwrap()
    }

    fn write(&mut self, count: u64) {
        self.open().1 += count;
    }

    /// Closes the last ledger; drops those that every entry of is acknowledged.
    fn roll(&mut self, trim: bool) {
        let (id, count) = *self.open();
        if count > 0 {
            self.ledgers.push((id + 3, 0));
        }
        while trim
            && self.trimmed + 1 < self.ledgers.len()
            && self.first_there() + self.ledgers[self.trimmed].1 as usize <= self.cursor
        {
            self.trimmed += 1;
        }
    }

    /// The topic is loaded by another broker: a ledger without entries goes.
    fn load(&mut self) {
        self.roll(false);
        self.open().0 += 3;
        self.sends = self.cursor;
    }

    /// What expiry or an operator does: the cursor moves on by itself.
    fn skip(&mut self, by: usize) {
        self.cursor = (self.cursor + by).min(self.log().len());
        self.sends = self.sends.max(self.cursor);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64),
    Roll { trim: bool },
    Send(usize),
    Commit,
    Acknowledge,
    Connect { behind: usize },
    Load,
    Restart,
    Skip(usize),
    Away { write: u64, skip: usize, load: bool },
}

fn step(skips: bool) -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..6_u64).prop_map(Step::Write),
        2 => any::<bool>().prop_map(|trim| Step::Roll { trim }),
        5 => (1..8_usize).prop_map(Step::Send),
        2 => Just(Step::Commit),
        2 => Just(Step::Acknowledge),
        1 => Just(Step::Restart),
        1 => Just(Step::Load),
        2 => (0..5_usize).prop_map(|behind| Step::Connect { behind }),
        u32::from(skips) => (1..9_usize).prop_map(Step::Skip),
        u32::from(skips) => (0..4_u64, 0..4_usize, any::<bool>())
            .prop_map(|(write, skip, load)| Step::Away { write, skip, load }),
    ]
}

/// A reader that agrees to gaps and says what it took and what it was told is missing.
struct Reading {
    broker: Broker,
    order: Order,
    taken: Vec<Position>,
    gaps: Vec<Gap>,
    looked: usize,
    /// Where it began to read: so many entries were before it.
    begin: usize,
    latest: bool,
    /// What the newest manifest holds: the next position, and how many were taken and how many gaps said before it.
    manifest: Option<(Position, usize, usize)>,
    /// Somebody else moves the cursor, too.
    skipped: bool,
}

impl Reading {
    /// Of a topic with this many entries, from the first or behind the last.
    fn begin(entries: u64, latest: bool) -> Self {
        let broker = Broker { ledgers: vec![(10, entries)], trimmed: 0, cursor: 0, sends: 0 };
        let (taken, gaps, manifest) = (Vec::new(), Vec::new(), None);
        let order = Order::new(None);
        let mut reading = Reading { broker, order, taken, gaps, looked: 0, begin: 0, latest, manifest, skipped: false };
        reading.restart();
        reading
    }

    fn connect(&mut self, behind: usize) {
        let unsaved = self.broker.cursor.saturating_sub(behind).max(self.broker.first_there());
        self.broker.cursor = unsaved;
        self.broker.sends = unsaved;
        match self.order.resume(Some(self.broker.told()), self.covered()) {
            Resume::AsItIs => {}
            Resume::Acknowledge(entry) => self.broker.acknowledge(entry),
            Resume::SeekBack(entry) => self.broker.seek(entry),
            Resume::Fetch(entry) => {
                self.broker.seek(entry);
                self.order.fetched(Some(self.broker.told()));
            }
        }
    }

    fn covered(&self) -> Option<Position> {
        self.manifest.map(|(covered, _, _)| covered)
    }

    fn commit(&mut self) {
        self.manifest = self.order.next().map(|next| (next, self.taken.len(), self.gaps.len()));
    }

    /// Forgets what no manifest holds, as a program that dies does.
    fn restart(&mut self) {
        let (_, taken, gaps) = self.manifest.unwrap_or_default();
        self.taken.truncate(taken);
        self.gaps.truncate(gaps);
        self.order = Order::new(self.covered());
        if self.manifest.is_none() {
            self.begin = if self.latest { self.broker.log().len() } else { self.broker.first_there() };
            self.broker.cursor = self.begin;
        }
        self.connect(0);
    }

    /// While nobody reads, entries come and go.
    fn away(&mut self, write: u64, skip: usize, load: bool) {
        self.broker.write(write);
        self.skipped |= skip > 0;
        self.broker.skip(skip);
        self.broker.roll(true);
        if load {
            self.broker.load();
        }
        self.restart();
    }

    /// The cursor is never past the last covered entry, or the place where reading began, unless somebody else moved it.
    fn keeps_what_is_not_covered(&self) {
        let taken = self.manifest.map_or(0, |(_, taken, _)| taken);
        let covered = self.begin + taken.saturating_sub(1);
        assert!(self.skipped || self.broker.cursor <= covered, "{:?}", self.broker);
    }

    fn send(&mut self) {
        let log = self.broker.log();
        let Some(entry) = log.get(self.broker.sends).copied() else { return };
        self.broker.sends += 1;
        let mut verdict = self.order.arrived(entry);
        if verdict == Verdict::Ask {
            let acknowledged = self.taken.last().and_then(|last| self.order.acknowledgeable(after(*last)));
            verdict = self.order.told(entry, Some(self.broker.told()), acknowledged);
        }
        match verdict {
            Verdict::Take => {
                self.order.take(entry);
                self.taken.push(entry);
            }
            Verdict::Repeat => {}
            Verdict::Ask => unreachable!("it was told"),
            Verdict::LookAgain(_) => {
                self.looked += 1;
                self.connect(0);
            }
            Verdict::Missing(gap) => {
                self.gaps.push(gap);
                self.order.agree(entry);
                assert_eq!(self.order.arrived(entry), Verdict::Take);
                self.order.take(entry);
                self.taken.push(entry);
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Write(count) => self.broker.write(*count),
            Step::Roll { trim } => self.broker.roll(*trim),
            Step::Send(count) => (0..*count).for_each(|_| self.send()),
            Step::Commit => self.commit(),
            Step::Acknowledge => {
                let upto = self.covered().and_then(|covered| self.order.acknowledgeable(covered));
                upto.into_iter().for_each(|entry| self.broker.acknowledge(entry));
            }
            Step::Connect { behind } => self.connect(*behind),
            Step::Load => {
                self.broker.load();
                self.connect(0);
                if self.taken.is_empty() {
                    // Until the new place is in a manifest, nobody can tell a dropped ledger from one that was trimmed.
                    self.commit();
                }
            }
            Step::Restart => self.restart(),
            Step::Skip(by) => {
                self.skipped = true;
                // A program that has read all there is is sent the first entry as it is written.
                for _ in self.broker.log() {
                    if self.taken.is_empty() {
                        self.send();
                    }
                }
                self.broker.skip(*by);
            }
            Step::Away { write, skip, load } => self.away(*write, *skip, *load),
        }
    }

    fn run(mut self, steps: &[Step]) -> Self {
        for step in steps {
            self.step(step);
            self.keeps_what_is_not_covered();
        }
        let rest = 3 * self.broker.log().len() + 10;
        (0..rest).for_each(|_| self.send());
        self
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Roll-overs, trimmed ledgers, reconnects and cursors that fall back: all is read once, and nothing is refused or looked at twice.
    #[test]
    fn what_is_ordinary_is_never_doubted(
        entries in 0..4_u64,
        latest in any::<bool>(),
        steps in prop::collection::vec(step(false), 1..60),
    ) {
        let reading = Reading::begin(entries, latest).run(&steps);
        prop_assert_eq!(&reading.taken, &reading.broker.log()[reading.begin..]);
        prop_assert!(reading.gaps.is_empty(), "{:?}", reading.gaps);
        prop_assert_eq!(reading.looked, 0);
    }

    /// Whatever moves the cursor: each entry is taken once and in order, or lies in a gap that was said.
    #[test]
    fn what_is_lost_is_said(
        entries in 0..4_u64,
        latest in any::<bool>(),
        steps in prop::collection::vec(step(true), 1..60),
    ) {
        let reading = Reading::begin(entries, latest).run(&steps);
        prop_assert!(reading.taken.windows(2).all(|two| two[0] < two[1]));
        for entry in reading.broker.log().split_off(reading.begin) {
            let said = reading.gaps.iter().any(|gap| gap.from <= entry && entry < gap.to);
            // One after the last taken has not been sent yet, because the cursor was moved over it: the next to come will say so.
            let open = reading.taken.last().is_none_or(|last| entry > *last);
            prop_assert!(reading.taken.contains(&entry) || said || open, "{entry:?} of {reading:?}", reading = reading.taken);
        }
        for gap in &reading.gaps {
            prop_assert!(!reading.taken.iter().any(|entry| gap.from <= *entry && *entry < gap.to));
        }
    }
}

#[test]
fn a_cursor_exactly_behind_the_last_entry_is_proof() {
    let mut order = Order::new(Some(Position(28, 4)));
    assert_eq!(order.resume(Some(Position(28, 4)), order.next()), Resume::AsItIs);
    assert_eq!(order.arrived(Position(40, 0)), Verdict::Ask);
    assert_eq!(order.told(Position(40, 0), Some(Position(28, 4)), None), Verdict::Take);
    order.take(Position(40, 0));
    assert_eq!(order.next(), Some(Position(40, 1)));
}

#[test]
fn a_cursor_beyond_it_is_not() {
    let mut order = Order::new(Some(Position(28, 4)));
    assert_eq!(order.resume(Some(Position(40, 0)), order.next()), Resume::SeekBack(Position(28, 3)));
    let Verdict::Missing(gap) = order.arrived(Position(40, 0)) else { panic!("it was looked at") };
    assert_eq!((gap.from, gap.to), (Position(28, 4), Position(40, 0)));
    assert!(gap.why.contains("28:3"), "{}", gap.why);
}

#[test]
fn a_cursor_moved_over_what_is_still_there_is_moved_back() {
    let mut order = Order::new(Some(Position(28, 4)));
    assert_eq!(order.resume(Some(Position(28, 9)), order.next()), Resume::SeekBack(Position(28, 3)));
    assert_eq!(order.arrived(Position(28, 3)), Verdict::Repeat);
    assert_eq!(order.arrived(Position(28, 4)), Verdict::Take);
}

#[test]
fn a_hole_is_looked_at_once_more_and_then_missing() {
    let mut order = Order::new(Some(Position(5, 7)));
    assert_eq!(order.resume(Some(Position(5, 2)), order.next()), Resume::Acknowledge(Position(5, 5)));
    assert!(matches!(order.arrived(Position(5, 9)), Verdict::LookAgain(_)));
    assert_eq!(order.resume(Some(Position(5, 2)), order.next()), Resume::SeekBack(Position(5, 6)));
    assert_eq!(order.arrived(Position(5, 6)), Verdict::Repeat);
    assert!(matches!(order.arrived(Position(5, 9)), Verdict::Missing(_)));
    order.agree(Position(5, 9));
    order.take(Position(5, 9));
    assert_eq!(order.arrived(Position(5, 10)), Verdict::Take);
}

#[test]
fn the_last_entry_read_is_never_acknowledged() {
    let mut order = Order::new(None);
    for entry in [Position(3, 0), Position(3, 1), Position(3, 2)] {
        order.take(entry);
    }
    assert_eq!(order.arrived(Position(7, 0)), Verdict::Ask);
    assert_eq!(order.told(Position(7, 0), None, None), Verdict::Take);
    order.take(Position(7, 0));
    assert_eq!(order.acknowledgeable(Position(3, 3)), Some(Position(3, 1)));
    assert_eq!(order.acknowledgeable(Position(7, 1)), Some(Position(3, 2)));
    assert_eq!(order.acknowledgeable(Position(3, 1)), None);
    assert_eq!(order.acknowledgeable(Position(7, 0)), None);
}

#[test]
fn an_unknown_cursor_needs_the_witness() {
    let mut order = Order::new(Some(Position(5, 1)));
    assert_eq!(order.resume(None, order.next()), Resume::AsItIs);
    assert!(matches!(order.arrived(Position(8, 0)), Verdict::LookAgain(_)));
}

/// Nothing was ever sent when the first manifest was stored.
#[test]
fn what_goes_before_the_first_entry_is_missed() {
    let mut order = Order::new(None);
    assert_eq!(order.resume(Some(Position(12, 0)), None), Resume::AsItIs);
    assert_eq!((order.placed(), order.placed()), (Some(Position(12, 0)), None));
    let again = || Order::new(Some(Position(12, 0)));
    // A thousand entries were sent and skipped. They are still there.
    let mut order = again();
    assert_eq!(order.resume(Some(Position(12, 1_000)), order.next()), Resume::SeekBack(Position(12, 0)));
    assert_eq!(order.arrived(Position(12, 0)), Verdict::Take);
    // They are gone.
    let mut order = again();
    assert_eq!(order.resume(Some(Position(15, 0)), order.next()), Resume::SeekBack(Position(12, 0)));
    let Verdict::Missing(gap) = order.arrived(Position(15, 0)) else { panic!("nobody can tell") };
    assert_eq!((gap.from, gap.to), (Position(12, 0), Position(15, 0)));
    // The subscription was made anew, at the beginning of what is there.
    let mut order = Order::new(Some(Position(12, 7)));
    assert_eq!(order.resume(Some(Position(9, 0)), order.next()), Resume::Acknowledge(Position(12, 5)));
    assert_eq!(order.arrived(Position(12, 6)), Verdict::Repeat);
    assert_eq!(order.arrived(Position(12, 7)), Verdict::Take);
}

#[test]
fn an_empty_ledger_may_be_dropped_while_the_program_watches() {
    let mut order = Order::new(Some(Position(12, 0)));
    assert_eq!(order.resume(Some(Position(12, 0)), order.next()), Resume::AsItIs);
    assert_eq!(order.resume(Some(Position(15, 0)), order.next()), Resume::AsItIs);
    assert_eq!(order.placed(), Some(Position(15, 0)));
    assert_eq!(order.arrived(Position(15, 0)), Verdict::Take);
    order.take(Position(15, 0));
    assert_eq!(order.resume(Some(Position(20, 0)), None), Resume::SeekBack(Position(15, 0)), "it was not empty");
}

#[test]
fn the_entry_before_the_place_where_reading_begins_is_its_witness() {
    let mut order = Order::new(None);
    assert_eq!(order.resume(Some(Position(12, 7)), None), Resume::Fetch(Position(12, 6)));
    order.fetched(Some(Position(12, 6)));
    assert_eq!(order.placed(), Some(Position(12, 7)));
    assert_eq!(order.arrived(Position(12, 6)), Verdict::Repeat);
    assert_eq!(order.arrived(Position(12, 7)), Verdict::Take);
    // Where it is gone, reading begins behind it.
    let mut order = Order::new(None);
    assert_eq!(order.resume(Some(Position(12, 7)), None), Resume::Fetch(Position(12, 6)));
    order.fetched(Some(Position(15, 0)));
    assert_eq!((order.placed(), order.next()), (Some(Position(15, 0)), Some(Position(15, 0))));
    assert_eq!(order.arrived(Position(15, 0)), Verdict::Take);
}

/// What no manifest covers is read again after a restart, so the broker must keep it.
#[test]
fn a_seek_without_a_manifest_goes_to_the_first_entry_read() {
    let mut order = Order::new(None);
    assert_eq!(order.resume(None, None), Resume::AsItIs, "the broker does not tell");
    for entry in 4..9 {
        order.take(Position(5, entry));
    }
    assert!(matches!(order.arrived(Position(5, 11)), Verdict::LookAgain(_)));
    assert_eq!(order.resume(Some(Position(5, 3)), None), Resume::SeekBack(Position(5, 3)));
    let mut order = Order::new(None);
    assert_eq!(order.resume(Some(Position(5, 0)), None), Resume::AsItIs);
    (0..9).for_each(|entry| order.take(Position(5, entry)));
    assert_eq!(order.resume(Some(Position(5, 20)), None), Resume::SeekBack(Position(5, 0)));
}
