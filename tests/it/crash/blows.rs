//! What can happen to the processes of a run.

use std::thread;
use std::time::{Duration, Instant};

use super::life::Life;
use crate::harness::{Cluster, Ended, POLL};

/// How long the others may take to end when one of them is lost: a few seconds by contract, and a slow machine's share.
const SHARED_WITHIN: Duration = Duration::from_secs(15);

/// How long a supervisor leaves a process alone that has finished while others have not.
const LINGERS: Duration = Duration::from_secs(3);

/// How long revived processes may take until all have come through.
const REVIVED_WITHIN: Duration = Duration::from_secs(120);

/// How often each blow falls, of twenty.
const WEIGHTS: [(Blow, u64); 5] =
    [(Blow::KillOne, 8), (Blow::KillAll, 4), (Blow::Revive, 5), (Blow::Terminate, 2), (Blow::Stop, 1)];

/// A blow.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// SIGKILL to one; the others must follow.
    KillOne,
    /// SIGKILL to all, one after the other.
    KillAll,
    /// SIGKILL to one, and each that ends is started again alone at once, as a supervisor does.
    Revive,
    /// SIGTERM to one; the others must follow.
    Terminate,
    /// SIGSTOP to one; the others must notice its silence.
    Stop,
}

impl Life<'_> {
    /// Disturbs a run, which `has_begun` if all its processes have met; gives those that had to end because another did.
    pub(super) fn strike(&mut self, mut cluster: Cluster, has_begun: bool) -> Vec<Ended> {
        let running = cluster.running();
        if running.is_empty() {
            return Vec::new();
        }
        let victim = self.dice.one_of(&running);
        let blow = self.blow();
        self.tell(format!("{blow:?} of process {victim}"));
        match blow {
            // Before all have met, those that are not linked yet rightly go on waiting for the lost one to come back.
            Blow::KillOne | Blow::Terminate | Blow::Stop if !has_begun => self.kill_all(cluster),
            Blow::KillOne => {
                cluster.process(victim).kill();
                self.count("kill");
                self.share_fate(cluster, victim, blow)
            }
            Blow::KillAll => self.kill_all(cluster),
            Blow::Revive => {
                cluster.process(victim).kill();
                self.count("kill");
                self.supervise(cluster);
                Vec::new()
            }
            Blow::Terminate => {
                cluster.process(victim).signal("TERM");
                self.count("terminate");
                self.share_fate(cluster, victim, blow)
            }
            Blow::Stop => {
                cluster.process(victim).signal("STOP");
                self.count("stop");
                self.share_fate(cluster, victim, blow)
            }
        }
    }

    fn blow(&mut self) -> Blow {
        let mut thrown = self.dice.between(0, WEIGHTS.iter().map(|(_, weight)| weight).sum());
        for (blow, weight) in WEIGHTS {
            if thrown < weight {
                return blow;
            }
            thrown -= weight;
        }
        Blow::KillOne
    }

    fn kill_all(&mut self, cluster: Cluster) -> Vec<Ended> {
        cluster.kill();
        self.count("kill");
        Vec::new()
    }

    /// Waits until all but the victim have ended; a victim that is stopped sleeps on.
    fn share_fate(&mut self, mut cluster: Cluster, victim: usize, blow: Blow) -> Vec<Ended> {
        if !cluster.ends_within(SHARED_WITHIN, &[victim]) {
            self.excuse(&mut cluster, victim);
        }
        let alone = cluster.shape.processes == 1;
        let mut processes = cluster.into_processes();
        let mut victim = processes.remove(victim);
        if matches!(blow, Blow::Stop) {
            self.put_to_sleep(victim, alone);
        } else {
            assert!(victim.ends_within(SHARED_WITHIN), "the victim does not end\n{}", self.story());
            let ended = victim.end();
            if !ended.was_killed() {
                self.demand_one_of(&ended, &[143]);
            }
        }
        processes.into_iter().map(|process| process.end()).filter(|ended| !ended.was_killed()).collect()
    }

    /// Only one that had not met the victim yet, when it was lost, may go on: it waits for it to come back, and says so.
    fn excuse(&mut self, cluster: &mut Cluster, victim: usize) {
        for process in cluster.running().into_iter().filter(|process| *process != victim) {
            let said = cluster.process(process).last_words();
            let waits = said.contains("waiting for process") || said.contains("waits for");
            assert!(waits, "process {process} does not end with {victim}: {said:?}\n{}", self.story());
            self.tell(format!("{process} had not met it"));
            cluster.process(process).kill();
        }
    }

    /// Starts each process again that has not come through, until all have.
    fn supervise(&mut self, mut cluster: Cluster) {
        let (since, mut changed) = (Instant::now(), Instant::now());
        loop {
            let running = cluster.running();
            let mut through = 0;
            for process in (0..cluster.shape.processes).filter(|process| !running.contains(process)) {
                // One that has finished is needed by one that was killed when it had finished too, and meets nobody any more.
                let lingers = !running.is_empty() && changed.elapsed() > LINGERS;
                if cluster.process(process).has_succeeded() && !lingers {
                    through += 1;
                    continue;
                }
                let ended = cluster.revive(&self.pipeline, process);
                if !ended.was_killed() {
                    self.demand_one_of(&ended, &[75]);
                }
                changed = Instant::now();
            }
            if through == cluster.shape.processes {
                return;
            }
            assert!(since.elapsed() < REVIVED_WITHIN, "those that were revived do not come through\n{}", self.story());
            thread::sleep(POLL);
        }
    }
}
