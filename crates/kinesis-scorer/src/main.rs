//! Wires the function: configuration, stores, handler. Decides nothing.

use function::logs;
use function::stores::Stores;
use kinesis_scorer::{Config, Scorer, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    #[expect(clippy::disallowed_methods, reason = "configuration is read here, by lookup, and nowhere else")]
    let lookup = |name: &str| std::env::var(name).ok();
    logs::init(lookup);
    let config = Config::from_lookup(lookup).inspect_err(logs::fatal)?;
    match &config.stores {
        #[cfg(feature = "embedded")]
        Stores::Folder { dir } => {
            let world = platform::embedded::Local::open(dir).inspect_err(logs::fatal)?;
            let (world, metrics) = platform::cost::metered(world, platform::metrics::EmfStdout, lambda::rate(&config)?);
            lambda::serve(Scorer::new(world, metrics, config)).await
        }
        #[cfg(feature = "aws")]
        Stores::Aws { .. } => {
            let (world, metrics, model) = lambda::connect(&config, lookup).await.inspect_err(logs::fatal)?;
            let (world, metrics) = platform::cost::metered(world, metrics, lambda::rate(&config)?);
            Box::pin(lambda::serve(Scorer::new(world, metrics, config).with_second_opinion(model))).await
        }
        #[cfg(not(all(feature = "aws", feature = "embedded")))]
        _ => Err("this build lacks the stores that are configured: features `aws` and `embedded` bring them".into()),
    }
}
