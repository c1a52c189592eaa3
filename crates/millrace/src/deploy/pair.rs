//! `deploy --peer`: a Region that is one of two, or both of them.
//!
//! A table's replica is there when its primary is deployed, and a bucket has to be there before it can be copied to. Hence the order:
//! the primary, the other one, and the primary again if it did not know the other's lake. What one has to know of the other is
//! found out by [`deployment::pair`].

use account::Place;
use deployment::aws::Aws;
use deployment::cloud::Cloud as _;
use deployment::deploy::Summary;
use deployment::pair::{Peer, Standing, find, standing};
use deployment::plan::{Request, stack_name};
use deployment::template::STORAGE;

use super::{Args, Clerk, Where, one};
use crate::ui::Ui;

/// Where the other Region of a pair is.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "AWS")]
pub(crate) struct Across {
    /// The endpoint of the other Region, if it is not AWS [variable: `MILLRACE_PEER_ENDPOINT_URL`]
    #[arg(long, value_name = "URL")]
    peer_endpoint: Option<String>,
}

impl Across {
    /// The endpoint, said or set.
    pub(crate) fn endpoint(&self) -> Option<String> {
        let set = || std::env::var_os("MILLRACE_PEER_ENDPOINT_URL")?.into_string().ok();
        self.peer_endpoint.clone().or_else(set).filter(|endpoint| !endpoint.is_empty())
    }

    /// The other Region with the same credentials.
    pub(crate) fn place(&self, here: &Where, region: &str) -> Place {
        let own = here.place();
        Place { region: Some(region.to_owned()), endpoint: self.endpoint().or(own.endpoint), profile: own.profile }
    }
}

/// Deploys this Region as one of a pair; both, where that is asked.
pub(super) async fn deploy(
    here: &Aws,
    peer: &str,
    request: &Request,
    args: &Args,
    ui: &Ui,
    clerk: &mut Clerk<'_>,
) -> anyhow::Result<Summary> {
    let there = &Aws::connect(&args.across.place(&args.place, peer)).await?;
    let run = Pair { request, args, ui };
    if !args.both {
        let (summary, _) = run.region(here, there, args.standing, clerk).await?;
        run.say_what_is_next(here, there).await?;
        return Ok(summary);
    }
    let environment = &request.environment;
    let own = standing([(here, here.region()), (there, there.region())], environment, args.standing).await?;
    let (primary, dr) = if own == Standing::Primary { (here, there) } else { (there, here) };
    let (mut sum, knew) = run.region(primary, dr, Some(Standing::Primary), clerk).await?;
    if args.dry_run && primary.stack(&stack_name(&STORAGE, environment)).await?.is_none() {
        ui.note(format_args!("{}: what would be done there shows when {} is deployed", dr.region(), primary.region()));
        return Ok(sum);
    }
    add(&mut sum, run.region(dr, primary, Some(Standing::Dr), clerk).await?.0);
    if !knew && !args.dry_run {
        // Its stacks were counted.
        let (again, _) = run.region(primary, dr, Some(Standing::Primary), clerk).await?;
        sum.created += again.created;
    }
    Ok(sum)
}

struct Pair<'a> {
    request: &'a Request,
    args: &'a Args,
    ui: &'a Ui,
}

impl Pair<'_> {
    /// Deploys one of the two. Also whether the other one's lake was known.
    async fn region(
        &self,
        own: &Aws,
        other: &Aws,
        asked: Option<Standing>,
        clerk: &mut Clerk<'_>,
    ) -> anyhow::Result<(Summary, bool)> {
        let regions = [(own, own.region()), (other, other.region())];
        let found = find(regions, &self.request.environment, asked).await?;
        self.ui.note(format_args!("{}: {} of a pair with {}", own.region(), found.standing, other.region()));
        let knew = found.lake.is_some();
        // An endpoint is told where the two have different ones: another one for both the function has anyway.
        let is_apart = own.endpoint() != other.endpoint();
        let endpoint = other.endpoint().filter(|_| is_apart).map(str::to_owned);
        let request = Request { peer: Some(Peer { endpoint, ..found }), ..self.request.clone() };
        Ok((one(own, &request, self.args, clerk).await?, knew))
    }

    /// What is still to be done until each Region knows the other.
    async fn say_what_is_next(&self, here: &Aws, there: &Aws) -> anyhow::Result<()> {
        let storage = stack_name(&STORAGE, &self.request.environment);
        let other = there.stack(&storage).await?;
        let copies_here = other.as_ref().and_then(|stack| stack.parameters.get("ReplicaBucketName"));
        let (own, peer) = (here.region(), there.region());
        if other.is_none() {
            self.ui.note(format_args!(
                "next: `millrace deploy --region {peer} --peer {own}`, and then this command again; --both does all three"
            ));
        } else if copies_here.is_none_or(String::is_empty) {
            self.ui.note(format_args!(
                "next: `millrace deploy --region {peer} --peer {own}`, which copies the lake of {peer} to the one that is here now"
            ));
        }
        Ok(())
    }
}

fn add(sum: &mut Summary, more: Summary) {
    sum.created += more.created;
    sum.updated += more.updated;
    sum.unchanged += more.unchanged;
}
