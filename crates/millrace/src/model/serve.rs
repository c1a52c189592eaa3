//! `model serve`: the container's server on this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use model_server::program::end;
use model_server::server::Server;
use model_server::settings::Limits;
use tokio::net::TcpListener;

use super::shelf::{Store, Which};
use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  millrace model serve pumps.millrace
  millrace model serve pumps@2 --tenant acme --port 9000

  curl --data-binary @rows.jsonl -H 'Content-Type: application/jsonlines' http://127.0.0.1:8080/invocations
  curl http://127.0.0.1:8080/ping

Rows are text/csv in the model's columns, application/jsonlines, or application/json {\"instances\":[…]}; there is a result for each
row, in order. It serves until it is interrupted, and answers what is under way. There is no TLS and nobody is asked who they
are: mind who can reach another --address.";

/// What `model serve` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    store: Store,
    /// Interface to listen at
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// Port to listen at, 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8_080)]
    port: u16,
}

/// Serves.
pub(super) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let model = args.which.load(&args.store.dir).await?;
        let address = SocketAddr::new(args.address, args.port);
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen at {address}: choose another --port"))?;
        let stop = end()?;
        ui.note(format_args!("{} at http://{}", model.card.full_name(), listener.local_addr()?));
        Ok(Server::new(model, Limits::default()).run(listener, stop).await?)
    })
}
