//! `tenant add`: the tenant's stack, its devices, its profile, and the record of it all.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use deployment::cloud::Cloud as _;
use deployment::deploy::Settings;
use deployment::plan::{Request, Setting, Source, StackPlan, plan, stack_name};
use deployment::template::OBSERVABILITY;
use tenancy::folder::Files;
use tenancy::issue::{Done, Issued, bring_on, own_thing};
use tenancy::onboard::{ProfileDone, put_profile, write_down};
use tenancy::people::People as _;
use tenancy::profile::objections;
use tenancy::record::CertificateLine;

use super::desk::{Desk, short};
use super::{Folder, Of, device};
use crate::deploy::{Clerk, block_on};
use crate::output::{Cell, Format};
use crate::ui::{Ui, Usage};

/// What `add` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    of: Of,
    /// A device to bring on; more than once for more. Its thing has the same name, and so has its MQTT client
    #[arg(long = "device", value_name = "NAME", value_parser = device)]
    devices: Vec<String>,
    #[command(flatten)]
    folder: Folder,
    /// The tenant's profile.toml [default: one that tells the tenant's topic of everything]
    #[arg(long, value_name = "FILE")]
    tenant_profile: Option<PathBuf>,
    /// Address that is told of what is found; it gets a mail with a link to confirm
    #[arg(long, value_name = "ADDRESS", value_parser = email)]
    email: Option<String>,
    /// Value of a parameter of the tenant's stack, tenant:NAME=VALUE; more than once for more
    #[arg(long = "parameter", short, value_name = "SETTING")]
    parameters: Vec<Setting>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Replace and delete resources of the stack without asking
    #[arg(long, short, conflicts_with = "dry_run")]
    yes: bool,
}

fn email(text: &str) -> Result<String, String> {
    let parameters = OBSERVABILITY.parameters();
    let rule = parameters.iter().find(|parameter| parameter.name == "AlarmEmail");
    match rule.and_then(|rule| rule.objection(text)) {
        None if !text.is_empty() => Ok(text.to_owned()),
        None => Err("must not be empty".to_owned()),
        Some(objection) => Err(objection),
    }
}

/// Brings a tenant on.
///
/// # Errors
/// The request or the profile has mistakes, a thing belongs to another tenant, AWS refuses, or a person does not agree.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let own = plan_own(args)?;
    let profile = args.tenant_profile.as_ref().map(|path| {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        match objections(&text) {
            None => Ok((path.display().to_string(), text)),
            Some(mistakes) => bail!("nothing was changed: {} has mistakes:\n{mistakes}", path.display()),
        }
    });
    let profile = profile.transpose()?;
    block_on(async {
        let desk = Desk::open(&args.of).await?;
        let tenant = &desk.tenant;
        let mut devices = args.devices.clone();
        devices.push(tenant.verify_device());
        devices.sort();
        devices.dedup();
        for device in &devices {
            own_thing(&desk.aws, tenant, device).await.context("nothing was changed")?;
        }
        let own = fed(&desk, own).await?;
        let settings = Settings { role: desk.role().await?, is_dry: args.dry_run, only: None };
        let mut clerk = Clerk::new(ui, args.yes);
        // No zip is needed for this stack.
        let nowhere = std::path::Path::new("");
        deployment::deploy::deploy(&desk.stacks, &[own], nowhere, &settings, &mut clerk).await?;
        if args.dry_run {
            for device in &devices {
                let files = Files::of(&args.folder.certificates, &tenant.name, device);
                let words = if files.key_path().exists() { "is looked after" } else { "would be brought on" };
                ui.note(format_args!("device {device} {words}, files in {}", files.dir().display()));
            }
            return Ok(());
        }
        let facts = desk.facts().await?;
        let given = profile.as_ref().map(|(file, text)| (file.as_str(), text.as_str()));
        match put_profile(&desk.aws, tenant, &facts, given).await? {
            ProfileDone::Written => ui.note(format_args!("s3://{}/{}: written", facts.lake, tenant.profile_key())),
            ProfileDone::Kept => ui.note(format_args!("s3://{}/{}: kept", facts.lake, tenant.profile_key())),
        }
        let mut brought = Vec::new();
        for device in &devices {
            let files = Files::of(&args.folder.certificates, &tenant.name, device);
            let issued = bring_on(&desk.aws, tenant, device, &files).await?;
            tell(ui, device, &issued);
            brought.push((device, files, issued));
        }
        if let Some(email) = &args.email {
            subscribe(&desk, &facts.people_topic, email, ui).await?;
        }
        let record = write_down(&desk.aws, tenant, &facts, &args.folder.certificates, None).await?;
        ui.note(format_args!("onboarding record: s3://{}/{}", facts.lake, tenant.record_key()));
        if matches!(ui.format(), Format::Json | Format::Ndjson) {
            return ui.document(&record);
        }
        let mut rows = ui.rows(vec!["device", "certificate", "status", "expires", "files"])?;
        for (device, files, issued) in &brought {
            let line = CertificateLine::of(&issued.certificate);
            let dir = files.dir().display().to_string();
            rows.push(&[
                Cell::text(device.as_str()),
                Cell::text(&line.id),
                Cell::text(line.status.word()),
                Cell::perhaps(line.expires.as_deref()),
                Cell::perhaps((issued.done != Done::Elsewhere).then_some(dir)),
            ])?;
        }
        Ok(rows.finish()?)
    })
}

/// The tenant's stack alone, of all that an environment has.
fn plan_own(args: &Args) -> anyhow::Result<StackPlan> {
    let name = &args.of.name;
    if let Some(other) = args.parameters.iter().find(|it| it.stack != "tenant" && it.stack != format!("tenant-{name}"))
    {
        let words = format!(
            "`{}` is not the tenant's stack: say --parameter tenant:NAME=VALUE, or use `millrace deploy`",
            other.stack
        );
        return Err(Usage(words).into());
    }
    let request = Request {
        environment: args.of.environment.environment.clone(),
        tenants: vec![name.clone()],
        settings: args.parameters.clone(),
        ..Request::default()
    };
    let stacks = plan(&request).map_err(|error| Usage(error.to_string()))?;
    stacks.into_iter().find(|stack| stack.template.name == "tenant").context("the plan has no stack of the tenant")
}

/// The plan with the outputs of the environment's stacks, which are not deployed along.
async fn fed(desk: &Desk, mut own: StackPlan) -> anyhow::Result<StackPlan> {
    let mut missing = Vec::new();
    for (parameter, source) in own.given.clone() {
        let Source::Output { of, key } = source else { continue };
        let Some(template) = deployment::plan::TEMPLATES.iter().find(|template| template.name == of) else { continue };
        let stack = stack_name(template, &desk.tenant.environment);
        match desk.stacks.stack(&stack).await?.and_then(|stack| stack.outputs.get(key).cloned()) {
            Some(value) => drop(own.given.insert(parameter, Source::Text(value))),
            None if own.template.parameters().iter().any(|it| it.name == parameter && it.default.is_some()) => {
                own.given.remove(parameter);
            }
            None => missing.push(format!("{key} of `{stack}`")),
        }
    }
    if missing.is_empty() {
        return Ok(own);
    }
    bail!(
        "nothing was changed: the environment `{}` is not deployed (no {}): run `millrace deploy` first",
        desk.tenant.environment,
        missing.join(", ")
    )
}

fn tell(ui: &Ui, device: &str, issued: &Issued) {
    for id in &issued.cleared {
        ui.note(format_args!("device {device}: certificate {} of an interrupted run is deleted", short(id)));
    }
    let words = match issued.done {
        Done::Unchanged => "is as it should be",
        Done::Made => "has a new key and certificate",
        Done::Finished => "is finished, an earlier run had begun",
        Done::Elsewhere => {
            "has an active certificate whose key is not here: nothing was changed; `tenant rotate` makes a new one"
        }
    };
    ui.note(format_args!("device {device}: {words}"));
}

async fn subscribe(desk: &Desk, topic: &str, email: &str, ui: &Ui) -> anyhow::Result<()> {
    let known = desk.aws.subscriptions(topic).await?;
    if let Some(found) = known.iter().find(|one| one.protocol == "email" && one.endpoint == email) {
        let words =
            if found.is_confirmed { "is subscribed" } else { "has not confirmed yet: follow the link in the mail" };
        ui.note(format_args!("{email} {words}"));
        return Ok(());
    }
    desk.aws.subscribe(topic, email).await?;
    ui.note(format_args!("{email} gets a mail: nothing is told before the link in it is followed"));
    Ok(())
}
