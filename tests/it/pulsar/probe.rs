//! `minuet check --connect` on a topic: what its namespace does with old entries.

use serde_json::json;

use super::broker::Broker;
use super::topic::Topic;
use crate::harness::{dataflow, run};

/// What is said of retention, and how.
fn retention(topic: &Topic<'_>) -> String {
    let folder = dataflow("sensors").display().to_string();
    let admin = format!("http://127.0.0.1:{}", topic.broker.web_port());
    let url = topic.url();
    let ended =
        run(["check", &folder, "--connect", "--source", &url, "--admin-url", &admin].map(str::to_owned)).demand(0);
    let lines: Vec<&str> = ended.stdout.lines().skip_while(|line| !line.contains("compare retention")).collect();
    assert!(!lines.is_empty(), "{}", ended.stdout);
    lines.join("\n")
}

#[test]
fn what_a_namespace_takes_away_is_named() {
    let broker = Broker::shared();
    let topic = Topic::make(broker, "probed", 1);
    let said = retention(&topic);
    assert!(said.starts_with("ok"), "{said}");
    let set = |policy: &str, value: serde_json::Value| {
        broker.admin("POST", &format!("namespaces/it/probed/{policy}"), Some(&value));
    };
    set("messageTTL", json!(3_600));
    set("subscriptionExpirationTime", json!(90));
    let quota = json!({ "limitSize": 1_000_000_000, "limitTime": -1, "policy": "consumer_backlog_eviction" });
    set("backlogQuota?backlogQuotaType=destination_storage", quota);
    let said = retention(&topic);
    assert!(said.starts_with("doubt"), "{said}");
    for words in
        ["3600 s after they were sent", "deleted after 90 minutes", "beyond 1000000000 bytes", "let nothing expire"]
    {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
}
