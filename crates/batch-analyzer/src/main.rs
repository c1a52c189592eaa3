//! Wires the function: configuration, stores, handler. Decides nothing.

use batch_analyzer::{Config, lambda};
use function::logs;
use function::stores::Stores;

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
            lambda::serve(world, config).await
        }
        #[cfg(feature = "aws")]
        Stores::Aws { .. } => {
            let (world, _) = config.stores.connect(lookup).inspect_err(logs::fatal)?;
            Box::pin(lambda::serve(world, config)).await
        }
        #[cfg(not(all(feature = "aws", feature = "embedded")))]
        _ => Err("this build lacks the stores that are configured: features `aws` and `embedded` bring them".into()),
    }
}
