//! Subscriptions in SNS.

use super::Aws;
use crate::people::{People, Subscription};
use account::Trouble;

impl People for Aws {
    async fn subscriptions(&self, topic: &str) -> Result<Vec<Subscription>, Trouble> {
        let mut pages = self.sns.list_subscriptions_by_topic().topic_arn(topic).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Trouble::of("ListSubscriptionsByTopic", topic, &error))?;
            found.extend(page.subscriptions().iter().map(|one| Subscription {
                protocol: one.protocol().unwrap_or_default().to_owned(),
                endpoint: one.endpoint().unwrap_or_default().to_owned(),
                // In place of an ARN one that waits has the word `PendingConfirmation` (SNS API Reference).
                is_confirmed: one.subscription_arn().is_some_and(|arn| arn.starts_with("arn:")),
            }));
        }
        Ok(found)
    }

    async fn subscribe(&self, topic: &str, email: &str) -> Result<(), Trouble> {
        let answer = self.sns.subscribe().topic_arn(topic).protocol("email").endpoint(email).send().await;
        answer.map(drop).map_err(|error| Trouble::of("Subscribe", topic, &error))
    }
}
