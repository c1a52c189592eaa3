//! Functions in Lambda.

use account::Trouble;

use super::{Aws, there};
use crate::ports::{FunctionState, Functions, Looked};

/// The alias that events and schedules invoke.
const ALIAS: &str = "live";

impl Functions for Aws {
    async fn function(&self, name: &str) -> Looked<Option<FunctionState>> {
        let call = self.lambda.get_function_configuration().function_name(name).qualifier(ALIAS);
        let answer = call.send().await.map_err(|error| Trouble::of("GetFunctionConfiguration", name, &error));
        let Some(answer) = there(answer)? else { return Ok(None) };
        let code = answer.code_sha256();
        let code = code.ok_or_else(|| Trouble::incomplete("GetFunctionConfiguration", "no hash of the code"))?;
        let architecture = answer.architectures().first().map(|one| one.as_str().to_owned());
        // Lambda Developer Guide: a function that says none has x86_64.
        let architecture = architecture.unwrap_or_else(|| "x86_64".to_owned());
        Ok(Some(FunctionState { code_sha256: code.to_owned(), architecture }))
    }
}
