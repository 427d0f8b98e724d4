//! TLS, tokens, OAuth2 and client certificates on a real broker: who is let in reads all rows, who is not is told why.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::broker::{Broker, Settings};
use super::follower::Follower;
use super::input::Input;
use super::issuer::{AUDIENCE, Issuer, Mood};
use super::sender::Manner;
use super::topic::Topic;
use crate::harness::{Running, Shape, dataflow, demand_rows, project, scratch};

/// Messages of an entry.
const ENTRY: usize = 20;

/// The exit code of a run that is told the wrong things.
const CONFIGURATION: i32 = 78;

/// A broker with TLS and tokens, which asks for a new token a second after the old one has expired.
fn secure() -> &'static Broker {
    static SECURE: OnceLock<Broker> = OnceLock::new();
    SECURE.get_or_init(|| Broker::start(Settings { lines: &["authenticationRefreshCheckSeconds=1"], secure: true }))
}

fn input(seed: &str, partitions: &str, start: &str) -> Input {
    let settings = [("seed", seed), ("events", "6000"), ("sources", "50"), ("rate", "50"), ("partitions", partitions)];
    Input::generate("sensors", &[&settings[..], &[("start", start)]].concat())
}

/// A pipeline that reads within TLS and believes the broker's root.
fn within_tls(dataflow: &Path, topic: &Topic<'_>, place: &Path, flags: &[&str]) -> Follower {
    let roots = topic.broker.secret("ca.pem").display().to_string();
    let mut follower = Follower::new(dataflow, topic, place).with(&["--pulsar-tls-roots", &roots]).with(flags);
    follower.pipeline.source = topic.tls_url();
    follower
}

/// A token of a role, signed with a key, valid until so many seconds from now.
fn token(key: &[u8], role: &str, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let claims = serde_json::json!({ "sub": role, "exp": now + seconds }).to_string();
    let text = [r#"{"alg":"HS256","typ":"JWT"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let padded = |with: u8| -> Vec<u8> {
        let mut block = vec![with; 64];
        key.iter().enumerate().for_each(|(at, byte)| block[at] ^= byte);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(&text).finalize();
    let outer = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(outer))
}

fn key(broker: &Broker) -> Vec<u8> {
    fs::read(broker.secret("jwt.key")).expect("a secure broker has a key")
}

#[test]
fn rows_come_within_tls_with_a_token() {
    let input = input("61", "2", "2026-01-01T00:00:00Z");
    let topic = Topic::make(secure(), "tls", 2);
    topic.subscribe("sensors");
    input.send(&topic, ENTRY, &[Manner::default()]);
    let place = scratch();
    let admin = secure().secret("admin.jwt").display().to_string();
    let follower = within_tls(input.dataflow(), &topic, place.path(), &["--pulsar-token-file", &admin]);
    follower.demand(Shape::new(2, 2), &input.expected(ENTRY), "TLS and a token");
}

fn demand_refused(follower: Follower, words: &[&str]) {
    let ended = Running::start(&mut follower.pipeline.command(1)).end().demand(CONFIGURATION).demand_words(words);
    assert!(!ended.stderr.contains("eyJ"), "a token is in the log: {}", ended.stderr);
}

#[test]
fn who_is_not_let_in_is_told_why() {
    let topic = Topic::make(secure(), "refused", 0);
    let (place, sensors) = (scratch(), dataflow("sensors"));
    let written = |name: &str, token: String| {
        let file = place.path().join(name);
        fs::write(&file, token).unwrap();
        file.display().to_string()
    };
    let with = |flags: &[&str]| within_tls(&sensors, &topic, place.path(), flags);
    let stranger = secure().secret("stranger.jwt").display().to_string();
    demand_refused(with(&["--pulsar-token-file", &stranger]), &["AuthorizationError", "grant the role"]);
    let wrong = ["AuthenticationError", "valid token into the file of --pulsar-token-file"];
    let forged = written("forged", token(&[7; 32], "admin", 600));
    demand_refused(with(&["--pulsar-token-file", &forged]), &wrong);
    let expired = written("expired", token(&key(secure()), "admin", -600));
    demand_refused(with(&["--pulsar-token-file", &expired]), &wrong);
    demand_refused(with(&[]), &["AuthenticationError", "say who we are", "--pulsar-token-file"]);
    let gone = place.path().join("gone").display().to_string();
    demand_refused(with(&["--pulsar-token-file", &gone]), &["reading the token", &gone]);
    // Roots that the broker's certificate does not go back to.
    let others = place.path().join("others");
    let made = Command::new(project().join("scripts/stack/pulsar/tls.sh")).arg(&others).arg("1").output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let admin = secure().secret("admin.jwt").display().to_string();
    let roots = others.join("ca.pem").display().to_string();
    let mut stranger = Follower::new(&sensors, &topic, place.path()).with(&[
        "--pulsar-token-file",
        &admin,
        "--pulsar-tls-roots",
        &roots,
    ]);
    stranger.pipeline.source = topic.tls_url();
    demand_refused(stranger, &["TLS", "invalid peer certificate", "--pulsar-tls-roots"]);
}

#[test]
fn the_wrong_port_is_told_whatever_it_answers() {
    let topic = Topic::make(secure(), "ports", 0);
    let (place, sensors) = (scratch(), dataflow("sensors"));
    let admin = secure().secret("admin.jwt").display().to_string();
    let says = |source: String, words: &[&str]| {
        let mut follower = within_tls(&sensors, &topic, place.path(), &["--pulsar-token-file", &admin]);
        follower.pipeline.source = source;
        follower.pipeline.start(1).until_said(words);
    };
    let swapped = |url: String, from: &str, to: &str| url.replacen(from, to, 1);
    says(swapped(topic.url(), "pulsar://127.0.0.1", "pulsar+ssl://localhost"), &["without TLS", "pulsar://"]);
    says(swapped(topic.tls_url(), "pulsar+ssl://", "pulsar://"), &["TLS on this port"]);
}

#[test]
fn a_token_is_renewed_when_the_broker_asks_and_when_it_is_connected_again() {
    let early = input("62", "1", "2026-01-01T00:00:00Z");
    let later = input("63", "1", "2026-01-01T00:10:00Z");
    let topic = Topic::make(secure(), "renewed", 1);
    topic.subscribe("sensors");
    early.send(&topic, ENTRY, &[Manner::default()]);
    let place = scratch();
    let file = place.path().join("token");
    let write = |token: String| {
        // Moved to its place, as whoever renews a token should do.
        fs::write(file.with_extension("new"), token).unwrap();
        fs::rename(file.with_extension("new"), &file).unwrap();
    };
    write(token(&key(secure()), "admin", 15));
    let flags = ["--pulsar-token-file", &file.display().to_string()];
    let follower = within_tls(early.dataflow(), &topic, place.path(), &flags);
    let mut cluster = follower.start(Shape::new(2, 1));
    cluster.process(0).until("the early messages", || follower.has_committed(6_000));
    write(token(&key(secure()), "admin", 600));
    // The broker asks within a second after the first token has expired.
    thread::sleep(Duration::from_secs(20));
    assert_eq!(cluster.process(0).last_words(), "", "no connection is lost for a token that is renewed in time");
    // A connection that begins while the file holds rubbish is tried again until it does not.
    write(token(&[7; 32], "admin", 600));
    topic.unload();
    cluster.process(0).until_said(&["connecting again", "AuthenticationError", "--pulsar-token-file"]);
    write(token(&key(secure()), "admin", 600));
    later.send(&topic, ENTRY, &[Manner::default()]);
    cluster.process(0).until("the later messages", || follower.has_committed(12_000));
    // The broker does ask: one whose token is not renewed is sent away.
    write(token(&key(secure()), "admin", 8));
    topic.unload();
    thread::sleep(Duration::from_secs(5));
    let lost = cluster.process(0).lines_with("connecting again").len();
    thread::sleep(Duration::from_secs(8));
    assert!(cluster.process(0).lines_with("connecting again").len() > lost, "no token is asked for");
    assert_eq!(follower.stop(cluster), 12_000);
    // The later ones are late: the clock has gone on in the silence.
    demand_rows(&follower.pipeline.rows(), &early.expected(ENTRY).rows, "a renewed token");
}

#[test]
fn certificates_that_are_renewed_count_from_the_next_connect_on() {
    let early = input("66", "1", "2026-01-01T00:00:00Z");
    let later = input("67", "1", "2026-01-01T00:10:00Z");
    let topic = Topic::make(secure(), "certificates", 1);
    topic.subscribe("sensors");
    early.send(&topic, ENTRY, &[Manner::default()]);
    let place = scratch();
    let at = |name: &str| place.path().join(name);
    let write = |name: &str, bytes: &[u8]| {
        fs::write(at("new"), bytes).unwrap();
        fs::rename(at("new"), at(name)).unwrap();
    };
    let good = |name: &str| fs::read(secure().secret(name)).unwrap();
    let files = ["ca.pem", "client.pem", "client.key"];
    files.iter().for_each(|name| write(name, &good(name)));
    let [roots, certificate, key] = files.map(|name| at(name).display().to_string());
    let token = secure().secret("admin.jwt").display().to_string();
    let mut follower = Follower::new(early.dataflow(), &topic, place.path())
        .with(&["--pulsar-tls-roots", &roots, "--pulsar-token-file", &token])
        .with(&["--pulsar-tls-cert", &certificate, "--pulsar-tls-key", &key]);
    follower.pipeline.source = topic.tls_url();
    let mut cluster = follower.start(Shape::new(1, 1));
    cluster.process(0).until("the early messages", || follower.has_committed(6_000));
    // Roots that the broker's certificate does not go back to, and a certificate that is none.
    for (name, bytes, words) in [
        ("ca.pem", good("client.pem"), "invalid peer certificate"),
        ("client.pem", b"half a certificate".to_vec(), "client.pem: found none"),
        ("client.key", good("server.key"), "using the client certificate"),
    ] {
        write(name, &bytes);
        topic.unload();
        cluster.process(0).until_said(&["connecting again", words]);
        write(name, &good(name));
    }
    later.send(&topic, ENTRY, &[Manner::default()]);
    cluster.process(0).until("the later messages", || follower.has_committed(12_000));
    assert_eq!(follower.stop(cluster), 12_000);
}

#[test]
fn oauth2_gives_the_token() {
    let input = input("64", "2", "2026-01-01T00:00:00Z");
    let topic = Topic::make(secure(), "oauth2", 2);
    topic.subscribe("sensors");
    input.send(&topic, ENTRY, &[Manner::default()]);
    let place = scratch();
    let issuer = Issuer::start(token(&key(secure()), "admin", 600));
    let with = |good| {
        let credentials = issuer.credentials(place.path(), good).display().to_string();
        let flags = ["--pulsar-oauth2-issuer", &issuer.url(), "--pulsar-oauth2-credentials", &credentials];
        let mut follower = within_tls(input.dataflow(), &topic, place.path(), &flags);
        follower = follower.with(&["--pulsar-oauth2-audience", AUDIENCE]);
        // The issuer is on loopback whatever proxy this machine goes through.
        follower.pipeline.environment = vec![("NO_PROXY".to_owned(), "127.0.0.1".to_owned())];
        follower
    };
    demand_refused(with(false), &["invalid_client", &issuer.url()]);
    assert_eq!(issuer.given(), 0);
    with(true).demand(Shape::new(2, 1), &input.expected(ENTRY), "OAuth2");
    assert_eq!(issuer.given(), 1, "a token is kept until it is about to expire");
}

#[test]
fn an_issuer_that_is_away_at_the_start_is_waited_for() {
    let input = input("66", "1", "2026-01-01T00:00:00Z");
    let topic = Topic::make(secure(), "oauth2-away", 1);
    topic.subscribe("sensors");
    input.send(&topic, ENTRY, &[Manner::default()]);
    let place = scratch();
    let issuer = Issuer::start(token(&key(secure()), "admin", 600));
    let credentials = issuer.credentials(place.path(), true).display().to_string();
    let flags = ["--pulsar-oauth2-issuer", &issuer.url(), "--pulsar-oauth2-credentials", &credentials];
    let mut follower = within_tls(input.dataflow(), &topic, place.path(), &flags);
    follower = follower.with(&["--pulsar-oauth2-audience", AUDIENCE]);
    follower.pipeline.environment = vec![("NO_PROXY".to_owned(), "127.0.0.1".to_owned())];
    issuer.set(Mood::Gone);
    let mut cluster = follower.start(Shape::new(1, 1));
    for (mood, words) in [
        (Mood::Gone, "request failed; the issuer of --pulsar-oauth2-issuer"),
        (Mood::Busy, "http status code 503"),
        (Mood::Silent, "getting credentials: nothing in 4000 ms"),
        (Mood::NoToken, "temporarily_unavailable"),
    ] {
        issuer.set(mood);
        cluster.process(0).until_said(&["looking up", "again", words]);
    }
    assert_eq!(issuer.given(), 0);
    issuer.set(Mood::Good);
    follower.comes_to(cluster, &input.expected(ENTRY), "after the issuer was away");
}

#[test]
fn a_client_certificate_is_who_we_are() {
    let providers = "authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken,\
                     org.apache.pulsar.broker.authentication.AuthenticationProviderTls";
    let lines = ["tlsRequireTrustedClientCertOnConnect=true", providers];
    let broker = Broker::start(Settings { lines: &lines, secure: true });
    let input = input("65", "2", "2026-01-01T00:00:00Z");
    let topic = Topic::make(&broker, "certificate", 2);
    topic.subscribe("sensors");
    input.send(&topic, ENTRY, &[Manner::default()]);
    let place = scratch();
    let [certificate, key] = ["client.pem", "client.key"].map(|name| broker.secret(name).display().to_string());
    let without = within_tls(input.dataflow(), &topic, place.path(), &[]);
    demand_refused(without, &["client certificate", "--pulsar-tls-cert"]);
    let flags = ["--pulsar-tls-cert", &certificate, "--pulsar-tls-key", &key];
    let follower = within_tls(input.dataflow(), &topic, place.path(), &flags);
    follower.demand(Shape::new(2, 1), &input.expected(ENTRY), "a client certificate");
}
