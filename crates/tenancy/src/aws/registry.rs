//! Things and certificates in AWS `IoT`.

use std::collections::BTreeMap;

use aws_sdk_iot::types::{AttributePayload, CertificateStatus};

use super::Aws;
use crate::registry::{Certificate, Registry, Status, Thing};
use account::{Kind, Trouble};

/// Largest page of most lists (AWS `IoT` API Reference).
const PAGE: i32 = 250;

fn status(status: Option<&CertificateStatus>) -> Status {
    match status {
        Some(CertificateStatus::Active) => Status::Active,
        Some(CertificateStatus::Inactive) => Status::Inactive,
        Some(CertificateStatus::Revoked) => Status::Revoked,
        _ => Status::Pending,
    }
}

/// `None` for what is not there.
fn there<T>(answer: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(trouble) if trouble.kind == Kind::Missing => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// The id at the end of a certificate's ARN; `None` for a principal of another kind.
fn certificate_id(arn: &str) -> Option<String> {
    arn.split_once(":cert/").map(|(_, id)| id.to_owned())
}

impl Registry for Aws {
    async fn thing(&self, name: &str) -> Result<Option<Thing>, Trouble> {
        let answer = self.iot.describe_thing().thing_name(name).send().await;
        let found = there(answer.map_err(|error| Trouble::of("DescribeThing", name, &error)))?;
        Ok(found.map(|found| Thing {
            arn: found.thing_arn().unwrap_or_default().to_owned(),
            attributes: found.attributes().map(|all| all.clone().into_iter().collect()).unwrap_or_default(),
        }))
    }

    async fn make_thing(&self, name: &str, attributes: &BTreeMap<String, String>) -> Result<(), Trouble> {
        let attributes = attributes.clone().into_iter().collect();
        let payload = AttributePayload::builder().set_attributes(Some(attributes)).build();
        let answer = self.iot.create_thing().thing_name(name).attribute_payload(payload).send().await;
        answer.map(drop).map_err(|error| Trouble::of("CreateThing", name, &error))
    }

    async fn delete_thing(&self, name: &str) -> Result<(), Trouble> {
        let answer = self.iot.delete_thing().thing_name(name).send().await;
        there(answer.map_err(|error| Trouble::of("DeleteThing", name, &error))).map(drop)
    }

    async fn things(&self, attribute: &str, value: &str) -> Result<Vec<String>, Trouble> {
        let call = self.iot.list_things().attribute_name(attribute).attribute_value(value).max_results(PAGE);
        let mut pages = call.into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("ListThings", value, &error))?;
            // Looked at once more: not every registry filters.
            let own = page.things().iter().filter(|thing| {
                thing.attributes().and_then(|all| all.get(attribute)).is_some_and(|found| found == value)
            });
            names.extend(own.filter_map(|thing| thing.thing_name()).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    async fn principals(&self, thing: &str) -> Result<Vec<String>, Trouble> {
        let mut ids = Vec::new();
        let mut token = None;
        loop {
            let call = self.iot.list_thing_principals().thing_name(thing).max_results(PAGE).set_next_token(token);
            let page = call.send().await.map_err(|error| Trouble::of("ListThingPrincipals", thing, &error))?;
            ids.extend(page.principals().iter().filter_map(|arn| certificate_id(arn)));
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(ids);
            }
        }
    }

    async fn certificate(&self, id: &str) -> Result<Option<Certificate>, Trouble> {
        let answer = self.iot.describe_certificate().certificate_id(id).send().await;
        let found = there(answer.map_err(|error| Trouble::of("DescribeCertificate", id, &error)))?;
        let Some(found) = found
            .as_ref()
            .and_then(aws_sdk_iot::operation::describe_certificate::DescribeCertificateOutput::certificate_description)
        else {
            return Ok(None);
        };
        Ok(Some(Certificate {
            id: found.certificate_id().unwrap_or(id).to_owned(),
            arn: found
                .certificate_arn()
                .ok_or_else(|| Trouble::incomplete("DescribeCertificate", "no ARN"))?
                .to_owned(),
            status: status(found.status()),
            pem: found.certificate_pem().unwrap_or_default().to_owned(),
            expires: found
                .validity()
                .and_then(|validity| validity.not_after())
                .map(aws_sdk_iot::primitives::DateTime::secs),
        }))
    }

    async fn inactive_certificates(&self, count_max: usize) -> Result<Vec<String>, Trouble> {
        let mut ids = Vec::new();
        let mut marker = None;
        while ids.len() < count_max {
            let call = self.iot.list_certificates().page_size(PAGE).ascending_order(false).set_marker(marker);
            let page = call.send().await.map_err(|error| Trouble::of("ListCertificates", "*", &error))?;
            let inactive = page.certificates().iter().filter(|one| status(one.status()) == Status::Inactive);
            ids.extend(inactive.filter_map(|one| one.certificate_id()).map(str::to_owned));
            marker = page.next_marker().map(str::to_owned);
            if marker.is_none() {
                break;
            }
        }
        ids.truncate(count_max);
        Ok(ids)
    }

    async fn sign(&self, csr: &str) -> Result<Certificate, Trouble> {
        let call = self.iot.create_certificate_from_csr().certificate_signing_request(csr).set_as_active(false);
        let made = call.send().await.map_err(|error| Trouble::of("CreateCertificateFromCsr", "request", &error))?;
        let (Some(id), Some(arn), Some(pem)) = (made.certificate_id(), made.certificate_arn(), made.certificate_pem())
        else {
            return Err(Trouble::incomplete("CreateCertificateFromCsr", "id, ARN or certificate is missing"));
        };
        let (arn, pem) = (arn.to_owned(), pem.to_owned());
        Ok(Certificate { id: id.to_owned(), arn, status: Status::Inactive, pem, expires: None })
    }

    async fn register(&self, pem: &str) -> Result<(), Trouble> {
        let call = self.iot.register_certificate_without_ca().certificate_pem(pem).status(CertificateStatus::Inactive);
        let made = call.send().await;
        match made.map_err(|error| Trouble::of("RegisterCertificateWithoutCA", "certificate", &error)) {
            Err(trouble) if trouble.kind == Kind::AlreadyThere => Ok(()),
            made => made.map(drop),
        }
    }

    async fn set_status(&self, id: &str, status: Status) -> Result<(), Trouble> {
        let wanted = match status {
            Status::Active => CertificateStatus::Active,
            Status::Revoked => CertificateStatus::Revoked,
            Status::Inactive | Status::Pending => CertificateStatus::Inactive,
        };
        let answer = self.iot.update_certificate().certificate_id(id).new_status(wanted).send().await;
        answer.map(drop).map_err(|error| Trouble::of("UpdateCertificate", id, &error))
    }

    async fn delete_certificate(&self, id: &str) -> Result<(), Trouble> {
        let answer = self.iot.delete_certificate().certificate_id(id).force_delete(true).send().await;
        there(answer.map_err(|error| Trouble::of("DeleteCertificate", id, &error))).map(drop)
    }

    async fn attach_thing(&self, thing: &str, certificate: &str) -> Result<(), Trouble> {
        let answer = self.iot.attach_thing_principal().thing_name(thing).principal(certificate).send().await;
        answer.map(drop).map_err(|error| Trouble::of("AttachThingPrincipal", thing, &error))
    }

    async fn detach_thing(&self, thing: &str, certificate: &str) -> Result<(), Trouble> {
        let answer = self.iot.detach_thing_principal().thing_name(thing).principal(certificate).send().await;
        there(answer.map_err(|error| Trouble::of("DetachThingPrincipal", thing, &error))).map(drop)
    }

    async fn attach_policy(&self, policy: &str, certificate: &str) -> Result<(), Trouble> {
        let answer = self.iot.attach_policy().policy_name(policy).target(certificate).send().await;
        answer.map(drop).map_err(|error| Trouble::of("AttachPolicy", policy, &error))
    }

    async fn policies(&self, certificate: &str) -> Result<Vec<String>, Trouble> {
        let mut names = Vec::new();
        let mut marker = None;
        loop {
            let call = self.iot.list_attached_policies().target(certificate).page_size(PAGE).set_marker(marker);
            let page = call.send().await.map_err(|error| Trouble::of("ListAttachedPolicies", certificate, &error))?;
            names.extend(page.policies().iter().filter_map(|policy| policy.policy_name()).map(str::to_owned));
            marker = page.next_marker().map(str::to_owned);
            if marker.is_none() {
                return Ok(names);
            }
        }
    }

    async fn policy_targets(&self, policy: &str) -> Result<Vec<String>, Trouble> {
        let mut ids = Vec::new();
        let mut marker = None;
        loop {
            let call = self.iot.list_targets_for_policy().policy_name(policy).page_size(PAGE).set_marker(marker);
            let page = call.send().await.map_err(|error| Trouble::of("ListTargetsForPolicy", policy, &error));
            let Some(page) = there(page)? else { return Ok(ids) };
            ids.extend(page.targets().iter().filter_map(|arn| certificate_id(arn)));
            marker = page.next_marker().map(str::to_owned);
            if marker.is_none() {
                return Ok(ids);
            }
        }
    }

    async fn things_of(&self, certificate: &str) -> Result<Vec<String>, Trouble> {
        let answer = self.iot.list_principal_things().principal(certificate).max_results(PAGE).send().await;
        let answer = answer.map_err(|error| Trouble::of("ListPrincipalThings", certificate, &error))?;
        Ok(answer.things().to_vec())
    }

    async fn policy_document(&self, policy: &str) -> Result<Option<String>, Trouble> {
        let answer = self.iot.get_policy().policy_name(policy).send().await;
        let found = there(answer.map_err(|error| Trouble::of("GetPolicy", policy, &error)))?;
        Ok(found.and_then(|found| found.policy_document().map(str::to_owned)))
    }

    async fn endpoint(&self) -> Result<String, Trouble> {
        let answer = self.iot.describe_endpoint().endpoint_type("iot:Data-ATS").send().await;
        let answer = answer.map_err(|error| Trouble::of("DescribeEndpoint", "iot:Data-ATS", &error))?;
        let address = answer.endpoint_address().ok_or_else(|| Trouble::incomplete("DescribeEndpoint", "no address"))?;
        // An emulator's address has a port, which is not that of its broker.
        Ok(address.split(':').next().unwrap_or_default().to_owned())
    }
}
