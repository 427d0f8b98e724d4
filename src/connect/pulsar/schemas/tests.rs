//! Versions of a schema, as a broker's double tells them.

use pulsar_double::{ALWAYS, Double, Fault, Reply, Settings, Type};

use super::*;
use crate::connect::pulsar::{Auth, Security};
use crate::error::Fault as Whose;

const TOPIC: &str = "persistent://t/n/events";
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_version_is_a_number() {
    assert_eq!(number(&7_u64.to_be_bytes()), "7");
    assert_eq!(number(&[1, 255]), "[01, ff]");
}

#[test]
fn only_avro_is_taken() {
    let of = |kind: schema::Type| proto::Schema {
        r#type: kind as i32,
        schema_data: b"\"long\"".to_vec(),
        ..proto::Schema::default()
    };
    assert_eq!(json(&of(schema::Type::Avro)).unwrap(), "\"long\"");
    let why = json(&of(schema::Type::Json)).unwrap_err();
    assert!(why.contains("not Avro"), "{why}");
}

fn double() -> Double {
    let double = Double::start(Settings::default());
    double.create_topic(TOPIC, 0);
    double
}

fn schemas(double: &Double, absent: Duration, lasting: Duration) -> Arc<Schemas> {
    let security = Security { auth: Auth::None, roots: None, client: None };
    let client = Client::new(format!("{}/t/n/events", double.url()).parse().unwrap(), security).unwrap();
    Schemas::new(client, TOPIC.to_owned(), Arc::new(|_| Ok(())), Patience { absent, lasting })
}

/// What is known of a version in the end, and after how long.
async fn known(schemas: &Arc<Schemas>, version: &[u8]) -> (Result<Writer>, Duration) {
    let (begun, version) = (Instant::now(), SchemaVersion::new(version).unwrap());
    loop {
        match schemas.writer(&version) {
            Ok(Some(writer)) => return (Ok(writer), begun.elapsed()),
            Ok(None) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => return (Err(error), begun.elapsed()),
        }
        assert!(begun.elapsed() < LIMIT, "it is never known");
    }
}

#[tokio::test]
async fn a_version_that_the_broker_does_not_have_is_unreadable_once_it_has_said_so_for_long() {
    let double = double();
    let gone = double.register_schema(TOPIC, 4, "\"int\"");
    let there = double.register_schema(TOPIC, 4, "\"long\"");
    double.forget_schema(TOPIC, 0);
    let absent = Duration::from_millis(900);
    let schemas = schemas(&double, absent, LIMIT);
    let (writer, after) = known(&schemas, &gone).await;
    assert_eq!(writer.unwrap(), Writer::Unreadable("schema version 0: the broker does not have it".into()));
    assert!(after >= absent, "{after:?}");
    assert_eq!(known(&schemas, &there).await.0.unwrap(), Writer::Schema("\"long\"".into()));
}

/// A token that runs out, a topic that moves: as many refusals as one likes, and then it is read.
#[tokio::test]
async fn a_refusal_that_says_nothing_of_the_version_rejects_nothing() {
    let refusals = [
        (Type::Connect, ServerError::AuthenticationError),
        (Type::GetSchema, ServerError::AuthorizationError),
        (Type::GetSchema, ServerError::TopicNotFound),
    ];
    for (kind, error) in refusals {
        let double = double();
        let version = double.register_schema(TOPIC, 4, "\"int\"");
        double.plan(None, Fault::Answer(kind, Reply::Error(error)), 8);
        let writer = known(&schemas(&double, Duration::ZERO, LIMIT), &version).await.0;
        assert_eq!(writer.unwrap(), Writer::Schema("\"int\"".into()), "{error:?}");
    }
}

#[tokio::test]
async fn a_refusal_that_lasts_ends_the_run() {
    let double = double();
    let version = double.register_schema(TOPIC, 4, "\"int\"");
    double.plan(None, Fault::Answer(Type::GetSchema, Reply::Error(ServerError::AuthorizationError)), ALWAYS);
    let lasting = Duration::from_millis(500);
    let (failed, after) = known(&schemas(&double, LIMIT, lasting), &version).await;
    let error = failed.expect_err("nobody may read it");
    assert_eq!(error.fault, Whose::Configuration);
    assert!(error.to_string().contains("schema version 0"), "{error}");
    assert!(after >= lasting, "{after:?}");
}
