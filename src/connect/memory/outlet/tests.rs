use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::error::Happened;

struct Bench {
    outlet: MemoryOutlet<u32>,
    faults: Faults,
    done: Rc<RefCell<Vec<u32>>>,
    wakes: Arc<AtomicU64>,
}

fn bench() -> Bench {
    let (faults, done, wakes) = (Faults::none(), Rc::new(RefCell::new(Vec::new())), Arc::new(AtomicU64::new(0)));
    let (log, count) = (Rc::clone(&done), Arc::clone(&wakes));
    let wake: Wake = Arc::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let outlet = MemoryOutlet::new("testing", faults.clone(), wake, move |job| {
        log.borrow_mut().push(job);
        Ok(())
    });
    Bench { outlet, faults, done, wakes }
}

impl Bench {
    fn submit(&mut self, acts: &[Act]) {
        for (ticket, act) in acts.iter().enumerate() {
            self.faults.next(act.clone());
            self.outlet.submit(ticket as u64, ticket as u32);
        }
    }

    fn tickets(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.outlet.poll()).map(|(ticket, _)| ticket).collect()
    }
}

#[test]
fn answers_come_late_swapped_or_twice_as_the_script_says() {
    let mut bench = bench();
    bench.submit(&[Act::AfterNext, Act::Fine, Act::Twice]);
    assert_eq!(bench.tickets(), [1, 0, 2, 2]);
    bench.submit(&[Act::Delay(2), Act::Fine]);
    assert_eq!(bench.tickets(), [1]);
    let wakes = bench.wakes.load(Ordering::SeqCst);
    assert!(bench.outlet.poll().is_some() || bench.wakes.load(Ordering::SeqCst) > wakes, "it is polled again");
    bench.submit(&[Act::AfterNext]);
    assert!(bench.tickets().contains(&0), "an answer without a next one comes all the same");
}

#[test]
fn held_answers_come_when_released() {
    let mut bench = bench();
    bench.submit(&[Act::Hold, Act::Fine]);
    assert_eq!(bench.tickets(), [1]);
    assert_eq!(*bench.done.borrow(), [0, 1], "the work itself is done");
    let before = bench.wakes.load(Ordering::SeqCst);
    bench.faults.release();
    assert!(bench.wakes.load(Ordering::SeqCst) > before);
    assert_eq!(bench.tickets(), [0]);
}

#[test]
fn failures_say_whether_the_work_was_done() {
    let mut bench = bench();
    bench.submit(&[Act::Fail, Act::LoseBefore, Act::LoseAfter]);
    let answers: Vec<Happened> = std::iter::from_fn(|| bench.outlet.poll())
        .map(|(_, answer)| answer.expect_err("all three fail").happened)
        .collect();
    assert_eq!(answers, [Happened::No, Happened::Unknown, Happened::Unknown]);
    assert_eq!(*bench.done.borrow(), [2]);
}

#[test]
fn a_late_job_has_not_happened_until_it_is_answered() {
    let mut bench = bench();
    bench.submit(&[Act::Late(2), Act::Fine]);
    assert_eq!((bench.tickets(), bench.done.borrow().clone()), (vec![1], vec![1]));
    assert_eq!(bench.tickets(), [0]);
    assert_eq!(*bench.done.borrow(), [1, 0]);
    bench.submit(&[Act::Late(5)]);
    drop(bench.outlet);
    assert_eq!(*bench.done.borrow(), [1, 0], "what is dropped before is never done");
}

#[test]
fn acts_without_a_part_are_drawn() {
    let mut left = 2;
    let faults = Faults::drawn(move || {
        left -= 1;
        if left == 0 { Act::Fail } else { Act::Fine }
    });
    faults.at(1, Act::LoseBefore);
    assert_eq!([faults.begin(), faults.begin(), faults.begin()], [Act::Fine, Act::LoseBefore, Act::Fail]);
}
