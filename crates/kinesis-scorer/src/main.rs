//! Wires the function: configuration, stores, handler. Decides nothing.

use kinesis_scorer::config::{Config, Stores};
use kinesis_scorer::{Scorer, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::init_logs();
    #[expect(clippy::disallowed_methods, reason = "configuration is read here, by lookup, and nowhere else")]
    let lookup = |name: &str| std::env::var(name).ok();
    let config = Config::from_lookup(lookup).inspect_err(lambda::log_fatal)?;
    match &config.stores {
        #[cfg(feature = "embedded")]
        Stores::Folder { dir } => {
            let world = platform::embedded::Local::open(dir).inspect_err(lambda::log_fatal)?;
            let (world, metrics) = platform::cost::metered(world, platform::metrics::EmfStdout, lambda::rate(&config)?);
            lambda::serve(Scorer::new(world, metrics, config)).await
        }
        #[cfg(feature = "aws")]
        Stores::Aws { .. } => {
            let (world, metrics) = lambda::connect(&config, lookup).await?;
            let (world, metrics) = platform::cost::metered(world, metrics, lambda::rate(&config)?);
            Box::pin(lambda::serve(Scorer::new(world, metrics, config))).await
        }
        #[cfg(not(all(feature = "aws", feature = "embedded")))]
        _ => Err("this build lacks the stores that are configured: features `aws` and `embedded` bring them".into()),
    }
}
