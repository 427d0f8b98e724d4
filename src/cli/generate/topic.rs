//! The flags of `minuet gen --to pulsar://…`.

use crate::cli::security::SecurityArgs;
use crate::connect::generate::{Generator, Sending, Summary, to_topic};
use crate::connect::pulsar::admin::Admin;
use crate::connect::pulsar::producer::Options;
use crate::connect::pulsar::wire::codec::Codec;
use crate::connect::pulsar::{Address, Client};
use crate::error::{Error, Result};
use crate::limits::CAPTURE_ENTRY_EVENTS;
use crate::plan::Plan;

/// Entries in flight of each partition.
const WINDOW: usize = 128;

/// How events are sent to a topic.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Pulsar: how events are sent")]
pub struct TopicArgs {
    /// Messages in an entry, up to 1000; 1 sends each alone, without batch framing [default: 1000]
    #[arg(long, value_name = "COUNT")]
    pub batch: Option<u32>,

    /// Compression of entries [default: lz4]
    #[arg(long, value_enum)]
    pub compression: Option<Codec>,

    /// Entries in flight, of each partition [default: 128]
    #[arg(long, value_name = "COUNT")]
    pub window: Option<usize>,

    /// Messages per second of the wall clock, all partitions together; --rate is of event time. As fast as it goes unless given
    #[arg(long, value_name = "RATE")]
    pub pace: Option<f64>,

    /// Make the topic with so many partitions first, if it is not there
    #[arg(long, value_name = "PARTITIONS", requires = "admin_url")]
    pub create_topic: Option<u32>,

    /// Where the broker's administration is, like http://HOST:8080
    #[arg(long, value_name = "URL")]
    pub admin_url: Option<String>,

    /// Register the dataflow's schema with the topic
    #[arg(long)]
    pub register_schema: bool,

    #[command(flatten)]
    pub security: SecurityArgs,
}

impl TopicArgs {
    /// Refuses flags that only a topic has a use for.
    pub(super) fn none_given(&self) -> Result<()> {
        let given = [
            ("--batch", self.batch.is_some()),
            ("--compression", self.compression.is_some()),
            ("--window", self.window.is_some()),
            ("--pace", self.pace.is_some()),
            ("--create-topic", self.create_topic.is_some()),
            ("--admin-url", self.admin_url.is_some()),
            ("--register-schema", self.register_schema),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((flag, _)) => Err(Error::configuration(format!("{flag} is for --to pulsar://… only"))),
        }
    }

    /// Sends what is generated.
    pub(super) fn send(&self, plan: &Plan, generator: &Generator, address: &Address) -> Result<Summary> {
        let security = self.security.security()?;
        let make = self.admin(generator, &security)?;
        let client = Client::new(address.clone(), security)?;
        let schema = serde_json::to_string(generator.schema())
            .map_err(|error| Error::bug(format!("writing the schema: {error}")))?;
        let sending = Sending {
            options: Options {
                batch: self.batch.unwrap_or(CAPTURE_ENTRY_EVENTS as u32),
                codec: self.compression.unwrap_or_default(),
                window: self.window.unwrap_or(WINDOW),
                schema: self.register_schema.then_some(schema),
            },
            pace: self.pace,
            generated_publish_time: plan.selection.time.is_none(),
        };
        to_topic(generator, &client, make.as_ref(), &sending)
    }

    fn admin(&self, generator: &Generator, security: &crate::connect::pulsar::Security) -> Result<Option<Admin>> {
        let (Some(partitions), Some(url)) = (self.create_topic, &self.admin_url) else { return Ok(None) };
        let generated = generator.spec().partitions;
        if partitions != generated {
            return Err(Error::configuration(format!(
                "--create-topic {partitions} and --partitions {generated}: give the same number"
            )));
        }
        Admin::new(url, security).map(Some)
    }
}
