//! Fate is shared: whatever ends one process ends the others, within seconds and with the exit code for it.

use std::fs;
use std::thread;
use std::time::Duration;

use super::super::harness::{Cluster, Hosts, Pipeline, Running, Shape, files, scratch};
use super::{DATA, PEER, TERMINATED, demand_end, long, under_way};

/// How long the others may take to end when one is lost: silence is borne for five seconds, and the rest is a slow machine's share.
const SHARED_WITHIN: Duration = Duration::from_secs(12);

/// A pause that is borne: shorter than the silence after which a peer counts as lost.
const PAUSE: Duration = Duration::from_millis(1_500);

/// Demands that all but the victim end soon with the exit code for a lost peer, and that they name it; gives the victim.
fn demand_shared(mut cluster: Cluster, victim: usize) -> Running {
    let ended = cluster.ends_within(SHARED_WITHIN, &[victim]);
    assert!(ended, "processes {:?} still run {SHARED_WITHIN:?} after {victim} was lost", cluster.running());
    let mut processes = cluster.into_processes();
    let victim_process = processes.remove(victim);
    let named = format!("process {victim} ");
    let mut said = String::new();
    for process in processes {
        said.push_str(&process.end().demand(PEER).demand_words(&["went away"]).stderr);
    }
    assert!(said.contains(&named), "nobody names {named:?}:\n{said}");
    victim_process
}

#[test]
fn a_killed_process_takes_the_others_with_it() {
    let place = scratch();
    let (calm, _) = long(place.path());
    for victim in 0..3 {
        let pipeline = calm.at(&place.path().join(format!("without-{victim}")));
        let mut cluster = under_way(&pipeline, Shape::new(2, 3));
        cluster.process(victim).kill();
        assert!(demand_shared(cluster, victim).end().was_killed());
        demand_end(&calm, &pipeline, Shape::new(3, 2));
    }
}

#[test]
fn a_stopped_process_is_missed_and_may_write_nothing_when_it_goes_on() {
    let place = scratch();
    let (calm, _) = long(place.path());
    for victim in 0..2 {
        let pipeline = calm.at(&place.path().join(format!("without-{victim}")));
        let mut cluster = under_way(&pipeline, Shape::new(1, 2));
        cluster.process(victim).signal("STOP");
        let sleeper = demand_shared(cluster, victim);
        let next = Cluster::start(&pipeline, Shape::new(2, 3)).end();
        let next = if next.iter().all(|one| one.status.success()) {
            next.into_iter().next().unwrap()
        } else {
            // It was stopped while it held the lock of the sink's folder: the others say so, and it must go before they can go on.
            assert!(next.iter().any(|one| one.stderr.contains("lock")), "{}", next[0].stderr);
            sleeper.signal("KILL");
            pipeline.run_in(Shape::new(2, 3))
        };
        calm.demand(&pipeline, &next.summary(), "while one sleeps");
        sleeper.signal("CONT");
        let woken = sleeper.end();
        assert!(woken.was_killed() || matches!(woken.status.code(), Some(75 | 76)), "it ended with {}", woken.status);
        demand_end(&calm, &pipeline, Shape::new(1, 1));
    }
}

#[test]
fn a_short_pause_is_borne() {
    let place = scratch();
    let (calm, pipeline) = long(place.path());
    let mut cluster = under_way(&pipeline, Shape::new(2, 2));
    for process in [1, 0] {
        cluster.process(process).signal("STOP");
        thread::sleep(PAUSE);
        cluster.process(process).signal("CONT");
    }
    calm.demand(&pipeline, &cluster.succeed().summary(), "after two pauses");
}

#[test]
fn a_process_that_is_asked_to_end_takes_the_others_with_it() {
    let place = scratch();
    let (calm, _) = long(place.path());
    for victim in 0..2 {
        let pipeline = calm.at(&place.path().join(format!("without-{victim}")));
        let mut cluster = under_way(&pipeline, Shape::new(2, 2));
        cluster.process(victim).signal("TERM");
        demand_shared(cluster, victim).end().demand(TERMINATED);
        demand_end(&calm, &pipeline, Shape::new(1, 3));
    }
}

#[test]
fn a_process_that_fails_says_why_and_takes_the_others_with_it() {
    let place = scratch();
    let (calm, pipeline) = long(place.path());
    // Begun, so that the files are known; then one is damaged where nobody has read yet.
    let mut cluster = under_way(&pipeline, Shape::new(1, 2));
    cluster.process(0).kill();
    drop(cluster.end());
    let damaged = files(&place.path().join("sensors-in"), &[""]).remove(1);
    let whole = fs::read(&damaged).unwrap();
    let mut broken = whole.clone();
    let end = broken.len() - 4_000;
    broken[end..].fill(0xff);
    fs::write(&damaged, &broken).unwrap();
    let ended = Cluster::start(&pipeline, Shape::new(1, 2)).end();
    let mut codes: Vec<i32> = ended.iter().map(|one| one.status.code().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [DATA, PEER], "{}\n{}", ended[0].stderr, ended[1].stderr);
    let reason = damaged.file_name().unwrap().to_string_lossy();
    for one in ended {
        assert!(one.stderr.contains(&*reason), "{reason} is missing in:\n{}", one.stderr);
    }
    fs::write(&damaged, whole).unwrap();
    demand_end(&calm, &pipeline, Shape::new(2, 2));
}

#[test]
fn one_that_is_started_again_alone_waits_for_the_others() {
    let place = scratch();
    let (calm, pipeline) = long(place.path());
    let shape = Shape::new(1, 2);
    let mut cluster = under_way(&pipeline, shape);
    // While the others run, its own place is taken; so it begins elsewhere, and meets them there when they begin again.
    let elsewhere = Hosts::on(vec![cluster.hosts.port(0), Hosts::fresh(1).port(0)]);
    cluster.process(1).signal("STOP");
    let mut lone = elsewhere.start(&pipeline, shape, 1);
    lone.until_said(&["wait", "is running", &elsewhere.address(0)]);
    cluster.process(1).signal("CONT");
    calm.demand(&pipeline, &cluster.succeed().summary(), "while one waits");
    assert!(lone.runs(), "it did not wait");
    let begun = elsewhere.start(&pipeline, shape, 0).end().demand(0);
    calm.demand(&pipeline, &begun.summary(), "with the one that waited");
    assert_eq!(lone.end().demand(0).read(), (1, 0));
}

#[test]
fn a_supervisor_may_start_each_again_alone() {
    let place = scratch();
    let (calm, pipeline) = long(place.path());
    let shape = Shape::new(1, 3);
    let mut cluster = under_way(&pipeline, shape);
    cluster.process(1).kill();
    for process in [1, 2, 0] {
        assert!(cluster.process(process).ends_within(SHARED_WITHIN), "process {process} still runs");
        let ended = cluster.revive(&pipeline, process);
        if process != 1 {
            ended.demand(PEER);
        }
    }
    calm.demand(&pipeline, &cluster.succeed().summary(), "revived one by one");
}

/// A pipeline that is not there yet is no reason to give up, and nobody is harmed by the wait.
#[test]
fn peers_that_are_not_there_yet_are_waited_for_and_named() {
    let place = scratch();
    let (calm, pipeline) = super::short(place.path());
    let shape = Shape::new(2, 3);
    let hosts = Hosts::fresh(3);
    let start = |process: usize| hosts.start(&pipeline, shape, process);
    let mut last = start(2);
    last.until_said(&["waiting for process 0", &hosts.address(0)]);
    last.until_said(&["waiting for process 1", &hosts.address(1)]);
    let mut first = start(0);
    // Those that are dialled can only say whom they miss.
    first.until_said(&["process 0", "waits for", "1"]);
    assert!(Pipeline::manifests(&pipeline).is_empty(), "it began before all were there");
    let middle = start(1);
    let ended = first.end().demand(0);
    calm.demand(&pipeline, &ended.summary(), "after a wait");
    let read = [middle.end().demand(0).read(), last.end().demand(0).read()];
    assert!(read.iter().all(|(_, read)| *read > 0), "{read:?}");
}
