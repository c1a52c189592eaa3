//! The results table.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

use super::Aws;
use crate::results::Results;
use account::Trouble;

/// An attribute as JSON. A number that JSON's numbers of 64 bits cannot hold stays a text, so that no digit is lost.
fn json(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::N(digits) => match digits.parse::<serde_json::Number>() {
            Ok(number) => Value::Number(number),
            Err(_) => Value::String(digits),
        },
        AttributeValue::Bool(truth) => Value::Bool(truth),
        AttributeValue::M(fields) => Value::Object(object(fields)),
        AttributeValue::L(values) => values.into_iter().map(json).collect(),
        AttributeValue::Ss(texts) => texts.into_iter().map(Value::String).collect(),
        AttributeValue::Ns(numbers) => numbers.into_iter().map(|digits| json(AttributeValue::N(digits))).collect(),
        AttributeValue::B(bytes) => Value::String(base64_simd::STANDARD.encode_to_string(bytes)),
        _ => Value::Null,
    }
}

fn object(fields: impl IntoIterator<Item = (String, AttributeValue)>) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name, json(value))).collect()
}

async fn all(query: QueryFluentBuilder, table: &str) -> Result<Vec<Value>, Trouble> {
    let mut pages = query.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Trouble::of("Query", table, &error))?;
        found.extend(page.items().iter().map(|item| Value::Object(object(item.clone()))));
    }
    Ok(found)
}

impl Results for Aws {
    async fn of_day(&self, table: &str, tenant: &str, day: &str) -> Result<Vec<Value>, Trouble> {
        let query = self.dynamodb.query().table_name(table).index_name("by_day");
        let query = query.key_condition_expression("#day = :day").expression_attribute_names("#day", "day");
        let query = query.expression_attribute_values(":day", AttributeValue::S(format!("{tenant}#{day}")));
        all(query, table).await
    }

    async fn of_device(&self, table: &str, tenant: &str, device: &str) -> Result<Vec<Value>, Trouble> {
        let query = self.dynamodb.query().table_name(table).key_condition_expression("pk = :device");
        let query = query.expression_attribute_values(":device", AttributeValue::S(format!("{tenant}#{device}")));
        all(query.consistent_read(true), table).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_keeps_its_values() {
        let fields = [
            ("s".to_owned(), AttributeValue::S("a".to_owned())),
            ("n".to_owned(), AttributeValue::N("1.5".to_owned())),
            ("l".to_owned(), AttributeValue::L(vec![AttributeValue::Bool(true), AttributeValue::Null(true)])),
        ];
        assert_eq!(Value::Object(object(fields)), serde_json::json!({"s": "a", "n": 1.5, "l": [true, null]}));
    }
}
