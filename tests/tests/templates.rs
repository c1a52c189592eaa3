//! The templates of `infra/` among each other, against the code and the guides they speak of, and all of them on the emulator.
//!
//! What CloudFormation itself would refuse is the linter's business (`cargo xtask lint`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use e2e::{Settings, Stack, World};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {path}"))
}

/// Name and text of every template.
fn templates() -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("infra")).context("cannot list infra/")? {
        let name = PathBuf::from(entry?.file_name());
        if name.extension().is_some_and(|extension| extension == "yaml") {
            let path = format!("infra/{}", name.display());
            found.push((path.clone(), text(&path)?));
        }
    }
    found.sort();
    assert!(!found.is_empty(), "infra/ holds no template");
    Ok(found)
}

/// The lines of a section at the left edge, as `Parameters:`, up to the next one.
fn section<'t>(template: &'t str, name: &str) -> Vec<&'t str> {
    let is_comment = |line: &str| line.trim_start().starts_with('#');
    let lines = template.lines().skip_while(|line| *line != format!("{name}:")).skip(1);
    lines.take_while(|line| line.starts_with(' ') || line.is_empty()).filter(|line| !is_comment(line)).collect()
}

/// The entries of a section, each with its own lines.
fn entries<'t>(template: &'t str, name: &str) -> Vec<(&'t str, Vec<&'t str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in section(template, name) {
        let inner = line.strip_prefix("  ").unwrap_or(line);
        match (inner.strip_suffix(':'), found.last_mut()) {
            (Some(key), _) if !inner.starts_with(' ') => found.push((key, Vec::new())),
            (_, Some((_, lines))) => lines.push(inner.trim()),
            (_, None) => {}
        }
    }
    found
}

/// The texts between `open` and `close`, in order.
fn between<'t>(text: &'t str, open: &'t str, close: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

#[test]
fn every_parameter_says_what_it_is_and_what_it_takes() -> Result<()> {
    for (path, template) in templates()? {
        for (parameter, lines) in entries(&template, "Parameters") {
            let says = |key: &str| lines.iter().any(|line| line.starts_with(&format!("{key}:")));
            assert!(says("Description"), "{path}: {parameter} is not described");
            if !says("AllowedValues") {
                let is_number = lines.contains(&"Type: Number");
                let bound = if is_number { says("MinValue") } else { says("AllowedPattern") };
                assert!(bound, "{path}: {parameter} takes anything");
                assert!(is_number || says("ConstraintDescription"), "{path}: {parameter} refuses without a reason");
            }
        }
    }
    Ok(())
}

#[test]
fn what_a_template_gives_another_takes() -> Result<()> {
    let all = templates()?;
    let outputs: BTreeSet<&str> =
        all.iter().flat_map(|(_, template)| entries(template, "Outputs")).map(|(output, _)| output).collect();
    for (path, template) in &all {
        for (parameter, lines) in entries(template, "Parameters") {
            let lines = lines.join(" ");
            if lines.contains("output of this name") || lines.contains("output FailureQueueName") {
                let output = if parameter.ends_with("FailureQueueName") { "FailureQueueName" } else { parameter };
                assert!(outputs.contains(output), "{path}: {parameter} is the output of no template");
            }
        }
    }
    Ok(())
}

/// What an alarm is for, and what the dashboard draws, is a metric that `BatchMetrics` has.
#[test]
fn alarms_and_dashboard_know_our_metrics_by_their_names() -> Result<()> {
    let emitted = text("crates/platform/src/metrics.rs")?;
    let template = text("infra/observability.yaml")?;
    let alarms = between(&template, "Namespace: IoT/Manufacturing\n      MetricName: ", "\n");
    let drawn = between(&template, "[\"IoT/Manufacturing\",\"", "\"");
    let named: BTreeSet<&str> = alarms.chain(drawn).collect();
    assert!(named.len() >= 4, "{named:?} are too few: the template is written in another way");
    for metric in named {
        assert!(emitted.contains(&format!("(\"{metric}\", ")), "no function emits {metric}");
    }
    Ok(())
}

#[test]
fn the_dashboard_is_json() -> Result<()> {
    let template = text("infra/observability.yaml")?;
    let body = between(&template, "DashboardBody: !Sub |-\n", "\nOutputs:").next().context("there is a dashboard")?;
    let dashboard: Value = serde_json::from_str(body).context("the dashboard is no JSON")?;
    assert!(dashboard["widgets"].as_array().is_some_and(|widgets| !widgets.is_empty()));
    Ok(())
}

#[test]
fn the_guide_says_what_to_do_about_every_alarm() -> Result<()> {
    let guide = text("docs/operations/alarms.md")?;
    let mut alarms = 0;
    for (path, template) in templates()? {
        for names in between(&template, "AlarmName: ", "\n") {
            // The shortest form of the name, which has no tenant in it where the others have.
            let name = names.rsplit("${Environment}-").next().unwrap_or_default();
            let name = name.trim_start_matches("tenant-${Tenant}-").trim_end_matches(['"', ']']);
            assert!(guide.contains(&format!("`{name}`")), "docs/operations/alarms.md is silent about {name} of {path}");
            alarms += 1;
        }
    }
    assert!(alarms > 10, "only {alarms} alarms were found: the templates are written in another way");
    Ok(())
}

/// The filter of the table's stream names the kinds of item as who writes them does.
#[test]
fn the_filter_lets_through_what_the_pipeline_writes() -> Result<()> {
    let written = text("crates/platform/src/aws/items.rs")?;
    let template = text("infra/alerts.yaml")?;
    let kinds: Vec<&str> = between(&template, "\"kind\":{\"S\":[\"", "\"]").collect();
    assert_eq!(kinds, ["anomaly", "state"]);
    for kind in kinds {
        assert!(written.contains(&format!("&str = \"{kind}\";")), "no item is of the kind {kind}");
    }
    Ok(())
}

/// What runs is a version, which the alias names: nothing invokes the function itself, and a change of its code or of any setting is a
/// change of the revision, which is in the function and in its version. What the revision is made of is tested where it is made.
#[test]
fn every_function_is_published_by_its_revision_and_invoked_by_its_alias() -> Result<()> {
    let mut functions = 0;
    for (path, template) in templates()? {
        let resources = entries(&template, "Resources");
        let of_type = |kind: &str| {
            let kind = format!("Type: AWS::Lambda::{kind}");
            resources.iter().filter(move |(_, lines)| lines.contains(&kind.as_str())).collect::<Vec<_>>()
        };
        for (function, lines) in of_type("Function") {
            functions += 1;
            let has = |lines: &[&str], line: &str| lines.contains(&line);
            let named = lines.iter().any(|line| line.starts_with("Description: ") && line.contains("${Revision}"));
            assert!(named, "{path}: {function} could be published without having changed, which Lambda refuses");
            let own = format!("FunctionName: !Ref {function}");
            let (versions, aliases) = (of_type("Version"), of_type("Alias"));
            let version = versions.iter().find(|(_, lines)| has(lines, &own)).context("it has no version")?;
            assert!(
                has(&version.1, "Description: !Ref Revision"),
                "{path}: {} does not follow the revision",
                version.0
            );
            assert!(has(&version.1, "UpdateReplacePolicy: Retain"), "{path}: nothing to go back to");
            let alias = aliases.iter().find(|(_, lines)| has(lines, &own)).context("it has no alias")?;
            assert!(
                has(&alias.1, &format!("FunctionVersion: !GetAtt {}.Version", version.0))
                    && has(&alias.1, "Name: live")
            );
            for (resource, lines) in &resources {
                // What is said of the alias by its name is said of the alias; an alarm is on all that the function does.
                if [version.0, alias.0].contains(resource)
                    || has(lines, "Qualifier: live")
                    || has(lines, "Type: AWS::CloudWatch::Alarm")
                {
                    continue;
                }
                let text = lines.join("\n") + "\n";
                for reference in
                    [format!("!Ref {function}\n"), format!("!Ref {function}}}"), format!("!GetAtt {function}.")]
                {
                    assert!(!text.contains(&reference), "{path}: {resource} names {function} and not its alias");
                }
            }
        }
    }
    assert_eq!(functions, 4, "the templates are written in another way");
    Ok(())
}

#[tokio::test]
async fn two_environments_with_a_tenant_each_stand_side_by_side() -> Result<()> {
    let Some(world) = World::find() else { return Ok(()) };
    let mut stacks = Vec::new();
    for _ in 0..2 {
        let pipeline = Stack::deploy(&world, Settings { shards: 1, batch_records: 100 }).await?;
        let alerts = Stack::deploy_alerts(&pipeline, 120).await?;
        let observability = Stack::deploy_observability(&pipeline, &alerts).await?;
        let tenant = Stack::deploy_tenant(&pipeline, &observability, "acme").await?;
        assert!(tenant.output("DevicePolicyName").ends_with("-acme-device"));
        stacks.extend([pipeline, alerts, observability, tenant]);
    }
    let tables: BTreeSet<&str> = stacks.iter().step_by(4).map(|pipeline| pipeline.output("ResultsTableName")).collect();
    assert_eq!(tables.len(), 2, "{tables:?}");
    for stack in stacks.iter().rev() {
        stack.delete().await?;
    }
    for table in tables {
        let kept = world.dynamodb.describe_table().table_name(table).send().await;
        assert!(kept.is_ok(), "{table} went with its stack");
    }
    Ok(())
}
