use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;

use super::*;
use crate::error::{Fault, Happened};

/// A wake that can be waited for.
fn wake() -> (Wake, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    let wake: Wake = Arc::new(move || {
        let _ = sender.send(());
    });
    (wake, receiver)
}

fn wait_for<J>(outlet: &mut ThreadOutlet<J>, woken: &mpsc::Receiver<()>) -> Answer {
    loop {
        if let Some(answer) = outlet.poll() {
            return answer;
        }
        woken.recv().expect("the wake is held by the outlet");
    }
}

#[test]
fn every_job_is_answered_in_order() {
    let (wake, woken) = wake();
    let mut outlet = ThreadOutlet::start("doubler", wake, |job: u64| {
        assert_eq!(thread::current().name(), Some("doubler"));
        if job == 3 { Err(Error::data("three")) } else { Ok(()) }
    })
    .expect("a thread can be started");
    for job in 0..6 {
        outlet.submit(job + 100, job);
    }
    for job in 0..6 {
        let (ticket, answer) = wait_for(&mut outlet, &woken);
        assert_eq!(ticket, job + 100);
        assert_eq!(answer.is_err(), job == 3);
    }
    assert!(outlet.poll().is_none());
}

#[test]
fn a_full_queue_is_an_answer_and_never_blocks() {
    let (wake, woken) = wake();
    let (go, gate) = mpsc::channel::<()>();
    let mut outlet = ThreadOutlet::with_queue("slow", 2, wake, move |(): ()| {
        let _ = gate.recv();
        Ok(())
    })
    .expect("a thread can be started");
    for ticket in 0..10 {
        outlet.submit(ticket, ());
    }
    let mut refused = 0;
    while let Some((_, answer)) = outlet.poll() {
        let error = answer.expect_err("nothing has been let through yet");
        assert_eq!((error.fault, error.happened), (Fault::Bug, Happened::No));
        refused += 1;
    }
    assert_eq!(refused, 8);
    drop(go);
    for _ in refused..10 {
        assert!(wait_for(&mut outlet, &woken).1.is_ok());
    }
}

#[test]
fn dropping_ends_the_thread_before_the_next_job() {
    let (wake, _woken) = wake();
    let done = Arc::new(AtomicUsize::new(0));
    let (started, in_hand) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let (alive, ended) = mpsc::channel::<()>();
    let count = Arc::clone(&done);
    let mut outlet = ThreadOutlet::start("dropped", wake, move |(): ()| {
        let _ends_with_the_thread = &alive;
        let _ = started.send(());
        let _ = gate.recv();
        count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
    .expect("a thread can be started");
    for ticket in 0..100 {
        outlet.submit(ticket, ());
    }
    in_hand.recv().expect("the first job begins");
    drop(outlet);
    drop(go);
    assert!(ended.recv().is_err(), "the thread lets go of its work");
    assert_eq!(done.load(Ordering::SeqCst), 1);
}

#[test]
fn a_thread_that_panics_answers_its_jobs_as_a_bug() {
    let (wake, woken) = wake();
    let mut outlet = ThreadOutlet::start("panicking", wake, |(): ()| panic!("a test panics here on purpose"))
        .expect("a thread can be started");
    outlet.submit(7, ());
    let (ticket, answer) = wait_for(&mut outlet, &woken);
    let error = answer.expect_err("the job cannot have succeeded");
    assert_eq!((ticket, error.fault, error.happened), (7, Fault::Bug, Happened::Unknown));
}
