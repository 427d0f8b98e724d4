//! Order, against a broker in a few lines that knows what it has lost.

use proptest::prelude::*;

use super::*;

/// A topic of one subscription: what was written, what is still there, where the cursor stands.
#[derive(Debug)]
struct Broker {
    /// Entries that each ledger got; the ids leave numbers out, as those of a real broker do.
    ledgers: Vec<u64>,
    /// Ledgers before this one are gone.
    trimmed: usize,
    /// Index of the next entry in `log` that is not acknowledged, and of the next to send.
    cursor: usize,
    sends: usize,
}

impl Broker {
    fn log(&self) -> Vec<Position> {
        let of = |(index, count): (usize, &u64)| (0..*count).map(move |entry| Position(10 + 3 * index as u64, entry));
        self.ledgers.iter().enumerate().flat_map(of).collect()
    }

    fn first_there(&self) -> usize {
        self.ledgers[..self.trimmed].iter().sum::<u64>() as usize
    }

    /// The position after mark-delete, in one of the two ways a broker may say it at a ledger's end.
    fn told(&self, early: bool) -> Position {
        let log = self.log();
        match (self.cursor.checked_sub(1).and_then(|last| log.get(last)), log.get(self.cursor)) {
            (_, Some(next)) if early && self.trimmed == 0 => *next,
            (Some(last), _) => after(*last),
            (None, Some(next)) => *next,
            (None, None) => Position(10, 0),
        }
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

    /// Closes the last ledger; drops those that every entry of is acknowledged.
    fn roll(&mut self, trim: bool) {
        if *self.ledgers.last().unwrap() > 0 {
            self.ledgers.push(0);
        }
        while trim
            && self.trimmed + 1 < self.ledgers.len()
            && self.first_there() + self.ledgers[self.trimmed] as usize <= self.cursor
        {
            self.trimmed += 1;
        }
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
    Restart,
    Skip(usize),
}

fn step(skips: bool) -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..6_u64).prop_map(Step::Write),
        2 => any::<bool>().prop_map(|trim| Step::Roll { trim }),
        5 => (1..8_usize).prop_map(Step::Send),
        2 => Just(Step::Commit),
        2 => Just(Step::Acknowledge),
        1 => Just(Step::Restart),
        2 => (0..5_usize).prop_map(|behind| Step::Connect { behind }),
        u32::from(skips) => (1..9_usize).prop_map(Step::Skip),
    ]
}

/// A reader that agrees to gaps and says what it took and what it was told is missing.
struct Reading {
    broker: Broker,
    order: Order,
    taken: Vec<Position>,
    gaps: Vec<Gap>,
    looked: usize,
    /// What the newest manifest holds: the next position, and how many were taken and how many gaps said before it.
    manifest: Option<(Position, usize, usize)>,
    /// Somebody else moves the cursor, too.
    skipped: bool,
}

impl Reading {
    fn connect(&mut self, behind: usize) {
        let unsaved = self.broker.cursor.saturating_sub(behind).max(self.broker.first_there());
        self.broker.cursor = unsaved;
        self.broker.sends = unsaved;
        match self.order.resume(Some(self.broker.told(false)), self.covered()) {
            Resume::AsItIs => {}
            Resume::Acknowledge(entry) => self.broker.acknowledge(entry),
            Resume::SeekBack(entry) => self.broker.seek(entry),
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
            self.broker.seek(Position(0, 0));
        }
        self.connect(0);
    }

    /// The cursor is never past the last covered entry, unless somebody else moved it.
    fn keeps_what_is_not_covered(&self) {
        let covered = self.manifest.map_or(0, |(_, taken, _)| taken);
        assert!(self.skipped || self.broker.cursor <= covered.saturating_sub(1), "{:?}", self.broker);
    }

    fn send(&mut self) {
        let log = self.broker.log();
        let Some(entry) = log.get(self.broker.sends).copied() else { return };
        self.broker.sends += 1;
        let mut verdict = self.order.arrived(entry);
        if verdict == Verdict::Ask {
            let acknowledged = self.taken.last().and_then(|last| self.order.acknowledgeable(after(*last)));
            verdict = self.order.told(entry, Some(self.broker.told(false)), acknowledged);
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

    fn run(steps: &[Step]) -> Reading {
        let broker = Broker { ledgers: vec![0], trimmed: 0, cursor: 0, sends: 0 };
        let order = Order::new(None);
        let (taken, gaps, manifest) = (Vec::new(), Vec::new(), None);
        let mut reading = Reading { broker, order, taken, gaps, looked: 0, manifest, skipped: false };
        for step in steps {
            match step {
                Step::Write(count) => *reading.broker.ledgers.last_mut().unwrap() += count,
                Step::Roll { trim } => reading.broker.roll(*trim),
                Step::Send(count) => (0..*count).for_each(|_| reading.send()),
                Step::Commit => reading.commit(),
                Step::Acknowledge => {
                    let upto = reading.covered().and_then(|covered| reading.order.acknowledgeable(covered));
                    upto.into_iter().for_each(|entry| reading.broker.acknowledge(entry));
                }
                Step::Connect { behind } => reading.connect(*behind),
                Step::Restart => reading.restart(),
                Step::Skip(by) => {
                    reading.skipped = true;
                    reading.broker.skip(*by);
                }
            }
            reading.keeps_what_is_not_covered();
        }
        let rest = 3 * reading.broker.log().len() + 10;
        (0..rest).for_each(|_| reading.send());
        reading
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Roll-overs, trimmed ledgers, reconnects and cursors that fall back: all is read once, and nothing is refused or looked at twice.
    #[test]
    fn what_is_ordinary_is_never_doubted(steps in prop::collection::vec(step(false), 1..60)) {
        let reading = Reading::run(&steps);
        prop_assert_eq!(&reading.taken, &reading.broker.log());
        prop_assert!(reading.gaps.is_empty(), "{:?}", reading.gaps);
        prop_assert_eq!(reading.looked, 0);
    }

    /// Whatever moves the cursor: each entry is taken once and in order, or lies in a gap that was said.
    #[test]
    fn what_is_lost_is_said(steps in prop::collection::vec(step(true), 1..60)) {
        let reading = Reading::run(&steps);
        prop_assert!(reading.taken.windows(2).all(|two| two[0] < two[1]));
        // What was skipped before the first entry was read is nobody's: reading begins where the cursor stands.
        let begin = reading.taken.first().copied();
        for entry in reading.broker.log().into_iter().filter(|entry| begin.is_some_and(|begin| *entry > begin)) {
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
