//! Where state is kept, by the same names for every function.

use crate::settings::Settings;

/// Where state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stores {
    /// AWS.
    Aws {
        /// `MILLRACE_BUCKET`: the lake, with the profiles. Required.
        bucket: String,
        /// `MILLRACE_RESULTS_TABLE`: anomalies, states, incidents. Required.
        results_table: String,
        /// `MILLRACE_CHECKPOINTS_TABLE`: checkpoints. Required.
        checkpoints_table: String,
        /// `MILLRACE_S3_PATH_STYLE`: `true` puts the bucket into the path, as emulators want it. Default `false`.
        s3_path_style: bool,
    },
    /// One machine.
    Folder {
        /// `MILLRACE_DIR`: folder of the database and the lake. Chosen in place of AWS when it is set, in builds that have
        /// the embedded stores.
        dir: String,
    },
}

impl Stores {
    /// Reads where they are. `has_embedded`: this build can open a folder; one that cannot does not look at `MILLRACE_DIR`.
    pub fn read<L>(settings: &mut Settings<L>, has_embedded: bool) -> Self
    where
        L: Fn(&str) -> Option<String>,
    {
        if has_embedded && let Some(dir) = settings.optional("MILLRACE_DIR") {
            return Self::Folder { dir };
        }
        Self::Aws {
            bucket: settings.required("MILLRACE_BUCKET"),
            results_table: settings.required("MILLRACE_RESULTS_TABLE"),
            checkpoints_table: settings.required("MILLRACE_CHECKPOINTS_TABLE"),
            s3_path_style: settings.switch("MILLRACE_S3_PATH_STYLE", false),
        }
    }

    /// Clients of the stores on AWS, and what further clients are made from. Nothing is called yet.
    ///
    /// # Errors
    /// [`ConnectError`].
    #[cfg(feature = "aws")]
    pub fn connect(
        &self,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<(platform::aws::Aws, aws_types::SdkConfig), ConnectError> {
        let settings = self.on_aws()?;
        let sdk = platform::aws::from_environment(lookup)?;
        Ok((platform::aws::Aws::from_config(&sdk, settings), sdk))
    }

    /// Clients of the same tables in another Region, where `endpoint` is if it is not AWS's. The bucket of that Region has another
    /// name: these clients are for tables alone.
    ///
    /// # Errors
    /// [`ConnectError::Folder`].
    #[cfg(feature = "aws")]
    pub fn tables_in(
        &self,
        sdk: &aws_types::SdkConfig,
        region: &str,
        endpoint: Option<&str>,
    ) -> Result<platform::aws::Aws, ConnectError> {
        let there = platform::aws::in_region(sdk, region, endpoint);
        Ok(platform::aws::Aws::from_config(&there, self.on_aws()?))
    }

    #[cfg(feature = "aws")]
    fn on_aws(&self) -> Result<platform::aws::AwsSettings, ConnectError> {
        let Self::Aws { bucket, results_table, checkpoints_table, s3_path_style } = self else {
            return Err(ConnectError::Folder);
        };
        Ok(platform::aws::AwsSettings {
            bucket: bucket.clone(),
            results_table: results_table.clone(),
            checkpoints_table: checkpoints_table.clone(),
            s3_path_style: *s3_path_style,
        })
    }
}

/// Why there are no clients of AWS.
#[cfg(feature = "aws")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The stores are elsewhere.
    #[error("the configuration names a folder, not AWS")]
    Folder,
    /// The environment says no region or has no credentials.
    #[error(transparent)]
    Environment(#[from] platform::aws::EnvironmentError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::SettingsError;

    const ON_AWS: [(&str, &str); 3] = [
        ("MILLRACE_BUCKET", "lake"),
        ("MILLRACE_RESULTS_TABLE", "results"),
        ("MILLRACE_CHECKPOINTS_TABLE", "checkpoints"),
    ];

    fn stores(set: &[(&str, &str)], has_embedded: bool) -> Result<Stores, SettingsError> {
        let mut settings = Settings::new(|name: &str| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        let stores = Stores::read(&mut settings, has_embedded);
        settings.finish(stores)
    }

    #[test]
    fn a_folder_stands_in_for_aws_where_the_build_has_it() {
        let both = [&ON_AWS[..], &[("MILLRACE_DIR", "here")]].concat();
        assert_eq!(stores(&both, true), Ok(Stores::Folder { dir: "here".to_owned() }));
        assert!(matches!(stores(&both, false), Ok(Stores::Aws { s3_path_style: false, .. })));
    }

    #[test]
    fn every_name_on_aws_has_to_be_said() {
        let error = stores(&[("MILLRACE_S3_PATH_STYLE", "1")], true).unwrap_err();
        assert_eq!(error.0.len(), 4, "{error}");
        assert!(error.to_string().contains("MILLRACE_S3_PATH_STYLE must be `true` or `false`, got `1`"), "{error}");
    }

    #[cfg(feature = "aws")]
    #[test]
    fn a_folder_is_not_connected_to() {
        let folder = Stores::Folder { dir: "here".to_owned() };
        assert_eq!(folder.connect(|_| None).map(drop), Err(ConnectError::Folder));
        let aws = stores(&ON_AWS, false).unwrap();
        let error = aws.connect(|_| None).map(drop).unwrap_err();
        assert!(error.to_string().contains("AWS_REGION"), "{error}");
    }
}
