//! The lake asked and rolled up on one machine: what `infra/sql` is on Athena, and who writes the layer that it reads.
//!
//! Bronze and silver lie as each batch wrote them, orphans among them. Here the hours that are over are sealed, which says what
//! of them is committed; their readings are written once more, each once and in few objects; and summaries are made of those.
//! The decision is `docs/adr/0013-the-lake-in-three-layers.md`.
//!
//! - [`hour`] and [`place`]: partitions and names.
//! - [`table`]: what tables there are, and their columns; a test holds them against `infra/analytics.yaml`.
//! - [`question`]: the texts of `infra/sql` and their parameters.
//! - [`engine`]: SQL over the folder, in bounded memory, by `DataFusion`.
//! - [`seal`]: which hours are over, and what was committed in them.
//! - [`run`]: rows of a product under a name of their own, then the marker.
//! - [`rollup`]: what is to be done, in order; [`compact`]: what many small files became.
//! - [`verify`]: whether all that was committed is there.
//!
//! What it does not do: change or remove anything that was written, or ask S3. There Athena asks, with the same texts.

pub mod compact;
pub mod engine;
pub mod error;
pub mod hour;
mod lines;
pub mod place;
mod provider;
pub mod question;
pub mod rollup;
pub mod run;
pub mod seal;
pub mod table;
pub mod verify;
mod world;

pub use engine::Engine;
pub use error::LakeError;
pub use hour::Hour;
pub use world::LakeWorld;
