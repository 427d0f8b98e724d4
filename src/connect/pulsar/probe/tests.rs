//! What policies mean for a run that goes on from a snapshot.

use super::super::admin::BacklogQuota;
use super::*;
use crate::connect::probe::Standing;

#[test]
fn what_takes_entries_away_is_measured_against_the_snapshot() {
    let ttl = Policies { message_ttl: Some(3_600), ..Policies::default() };
    let (standing, found, advice) = judge(&ttl, Some(600_000));
    assert_eq!(standing, Standing::Doubtful);
    assert!(found.contains("600 s old: 3000 s are left"), "{found}");
    assert!(advice.unwrap().contains("message TTL"));
    assert!(judge(&ttl, Some(3_600_000)).1.contains("may be gone"));
    assert!(!judge(&ttl, None).1.contains("snapshot"));
    let expiring = Policies { subscription_expiration: Some(60), ..Policies::default() };
    assert!(
        judge(&expiring, Some(3_599_000))
            .1
            .contains("after 60 minutes (the newest snapshot is 3599 s old: 1 s are left)")
    );
    let quota = |policy: &str| BacklogQuota { limit_size: 5_000, limit_time: 100, policy: policy.to_owned() };
    let evicting = Policies { backlog_quotas: vec![quota(EVICTION)], ..Policies::default() };
    let found = judge(&evicting, Some(200_000)).1;
    assert!(
        found.contains("older than 100 s (the newest snapshot is 200 s old") && found.contains("5000 bytes"),
        "{found}"
    );
    let stopping = Policies { backlog_quotas: vec![quota("producer_request_hold")], ..Policies::default() };
    assert_eq!(judge(&stopping, Some(200_000)).0, Standing::Good);
}
