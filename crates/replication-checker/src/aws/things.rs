//! Things, certificates and policies in AWS `IoT`.

use account::Trouble;
use aws_sdk_iot::types::ThingAttribute;

use super::{Aws, there};
use crate::gather::gather;
use crate::ports::{Listed, Looked, Rule, Thing, Things};

/// Largest page of most lists (AWS `IoT` API Reference).
const PAGE: i32 = 250;

/// The id at the end of a certificate's ARN; `None` for a principal of another kind.
fn certificate_id(arn: &str) -> Option<String> {
    arn.split_once(":cert/").map(|(_, id)| id.to_owned())
}

fn thing(thing: &ThingAttribute) -> Option<Thing> {
    let attributes = thing.attributes().map(|all| all.clone().into_iter().collect()).unwrap_or_default();
    Some(Thing { name: thing.thing_name()?.to_owned(), attributes })
}

impl<T> Listed<T> {
    /// Whether that was enough: more than the bound is left out.
    fn bound(&mut self, count_max: usize) -> bool {
        if self.all.len() > count_max {
            self.all.truncate(count_max);
            self.is_cut = true;
        }
        self.is_cut
    }
}

impl Aws {
    async fn policy(&self, name: String) -> Looked<Option<(String, String)>> {
        let answer = self.iot.get_policy().policy_name(&name).send().await;
        // Gone since the listing: as if it had not been in it.
        let found = there(answer.map_err(|error| Trouble::of("GetPolicy", &name, &error)))?;
        let document = found.map(|found| found.policy_document().unwrap_or_default().to_owned());
        Ok(document.map(|document| (name, document)))
    }
}

impl Things for Aws {
    async fn things(&self, attribute: &str, value: &str, count_max: usize) -> Looked<Listed<Thing>> {
        let call = self.iot.list_things().attribute_name(attribute).attribute_value(value).max_results(PAGE);
        let mut pages = call.into_paginator().send();
        let mut listed = Listed::default();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("ListThings", value, &error))?;
            // Looked at once more: not every registry filters.
            let own = page.things().iter().filter_map(thing);
            listed.all.extend(own.filter(|thing| thing.attributes.get(attribute).is_some_and(|found| found == value)));
            if listed.bound(count_max) {
                break;
            }
        }
        Ok(listed)
    }

    async fn principals(&self, thing: &str) -> Looked<Vec<String>> {
        let mut ids = Vec::new();
        let mut pages = self.iot.list_thing_principals().thing_name(thing).max_results(PAGE).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("ListThingPrincipals", thing, &error))?;
            ids.extend(page.principals().iter().filter_map(|arn| certificate_id(arn)));
        }
        Ok(ids)
    }

    async fn certificates(&self, count_max: usize) -> Looked<Listed<(String, String)>> {
        let mut listed = Listed::default();
        let mut marker = None;
        loop {
            let call = self.iot.list_certificates().page_size(PAGE).set_marker(marker);
            let page = call.send().await.map_err(|error| Trouble::of("ListCertificates", "*", &error))?;
            listed.all.extend(page.certificates().iter().filter_map(|certificate| {
                let status = certificate.status().map_or("UNKNOWN", |status| status.as_str());
                Some((certificate.certificate_id()?.to_owned(), status.to_owned()))
            }));
            marker = page.next_marker().map(str::to_owned);
            if listed.bound(count_max) || marker.is_none() {
                return Ok(listed);
            }
        }
    }

    async fn policies(&self, prefix: &str, count_max: usize) -> Looked<Listed<(String, String)>> {
        let mut names = Listed::default();
        let mut marker = None;
        loop {
            let call = self.iot.list_policies().page_size(PAGE).set_marker(marker);
            let page = call.send().await.map_err(|error| Trouble::of("ListPolicies", prefix, &error))?;
            let own = page.policies().iter().filter_map(|policy| policy.policy_name());
            names.all.extend(own.filter(|name| name.starts_with(prefix)).map(str::to_owned));
            marker = page.next_marker().map(str::to_owned);
            if names.bound(count_max) || marker.is_none() {
                break;
            }
        }
        let found = gather(names.all.into_iter().map(|name| self.policy(name))).await?;
        Ok(Listed { all: found.into_iter().flatten().collect(), is_cut: names.is_cut })
    }

    async fn holders(&self, policy: &str, count_max: usize) -> Looked<Listed<String>> {
        let mut listed = Listed::default();
        let mut marker = None;
        loop {
            let call = self.iot.list_targets_for_policy().policy_name(policy).page_size(PAGE).set_marker(marker);
            let page = call.send().await.map_err(|error| Trouble::of("ListTargetsForPolicy", policy, &error))?;
            listed.all.extend(page.targets().iter().filter_map(|arn| certificate_id(arn)));
            marker = page.next_marker().map(str::to_owned);
            if listed.bound(count_max) || marker.is_none() {
                return Ok(listed);
            }
        }
    }

    async fn rules(&self, prefix: &str, count_max: usize) -> Looked<Listed<Rule>> {
        let mut names = Listed::default();
        let mut pages = self.iot.list_topic_rules().into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("ListTopicRules", prefix, &error))?;
            let own = page.rules().iter().filter_map(|rule| rule.rule_name());
            names.all.extend(own.filter(|name| name.starts_with(prefix)).map(str::to_owned));
            if names.bound(count_max) {
                break;
            }
        }
        let found = gather(names.all.into_iter().map(|name| self.rule(name))).await?;
        Ok(Listed { all: found.into_iter().flatten().collect(), is_cut: names.is_cut })
    }
}
