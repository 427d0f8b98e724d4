//! The client of the SDK with all its bounds.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

use super::Settings;
use super::failed::causes;
use crate::connect::tls;
use crate::error::{Error, Result};
use crate::limits::{S3_BYTES_PER_MS, S3_CONNECT_MS, S3_REQUEST_MS, S3_TRIES, S3_TRY_AGAIN_MS, S3_TRY_MS};

/// The region of a server that is not Amazon's and does not care.
const ANY_REGION: &str = "us-east-1";

const GIVE_CREDENTIALS: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with AWS_PROFILE, or run \
                                where a web identity or a role is given";

/// A client with these settings, after its credentials have been found.
pub(super) async fn connect(settings: &Settings) -> Result<Client> {
    let config = configuration(settings, believed(settings)?).await;
    if config.region().is_none() {
        return Err(Error::configuration(
            "looking for the region of the bucket: found none; name it with --s3-region or in AWS_REGION",
        ));
    }
    find_credentials(&config).await?;
    let mut builder = Builder::from(&config).force_path_style(settings.path_style);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(builder.build()))
}

/// How roots are given.
pub(super) const ROOTS: &str = "--s3-tls-roots or AWS_CA_BUNDLE";

/// The given roots, after they have been looked at: the client of the SDK panics where one is none.
fn believed(settings: &Settings) -> Result<TlsContext> {
    let wrong = |why: String| Error::configuration(format!("setting up TLS for S3: {why}"));
    let mut store = TrustStore::default();
    if let Some(path) = &settings.roots {
        tls::roots(Some(path), ROOTS)?;
        let pem = std::fs::read(path).map_err(|cause| wrong(format!("reading {}: {cause}", path.display())))?;
        store = TrustStore::empty().with_pem_certificate(pem);
    }
    TlsContext::builder().with_trust_store(store).build().map_err(|cause| wrong(causes(&cause)))
}

async fn configuration(settings: &Settings, believed: TlsContext) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(believed)
        .build_https();
    let (first, longest) = S3_TRY_AGAIN_MS;
    let tries = RetryConfig::standard()
        .with_max_attempts(S3_TRIES)
        .with_initial_backoff(Duration::from_millis(first))
        .with_max_backoff(Duration::from_millis(longest));
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(tries)
        .timeout_config(time_outs(0));
    let loader = match (&settings.region, &settings.endpoint) {
        (Some(region), _) => loader.region(Region::new(region.clone())),
        // The machine's own region, which is asked for over its network, is none of another server's.
        (None, Some(_)) => loader.region(
            RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new())
                .or_else(Region::from_static(ANY_REGION)),
        ),
        (None, None) => loader,
    };
    loader.load().await
}

/// The time that a request which moves so many bytes may take.
pub(super) fn time_outs(bytes: usize) -> TimeoutConfig {
    let beside = bytes as u64 / S3_BYTES_PER_MS;
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(S3_CONNECT_MS))
        .operation_attempt_timeout(Duration::from_millis(S3_TRY_MS + beside))
        .operation_timeout(Duration::from_millis(S3_REQUEST_MS + u64::from(S3_TRIES) * beside))
        .build()
}

/// Where there are none, no try will find any: that is told before the first one.
async fn find_credentials(config: &SdkConfig) -> Result<()> {
    let none = |why: String| Error::configuration(format!("looking for credentials of S3: {why}; {GIVE_CREDENTIALS}"));
    let Some(provider) = config.credentials_provider() else {
        return Err(none("none are configured".into()));
    };
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error @ (CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_))) => {
            Err(none(causes(&error)))
        }
        Err(error) => {
            Err(Error::outside("getting credentials for S3", format!("{}; {GIVE_CREDENTIALS}", causes(&error))))
        }
    }
}
