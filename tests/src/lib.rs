//! What the end-to-end tests stand on: the emulator, a deployed stack, a plant that sends, and readers of what was kept.
//!
//! `cargo xtask e2e` prepares everything. The tests look at the pipeline from outside: records go into the stream, and
//! what comes out is read from the bucket and the tables by the documented formats, with no code of the pipeline.
//!
//! Stream, bucket and tables are reached with the SDK clients that the workspace compiles anyway. CloudFormation is
//! called by hand, three actions over plain HTTP, and so are SNS, SQS, IAM and `IoT`: their clients would cost minutes of
//! compilation, and the emulator reads of a signature only whose it is and the service's name.

mod anomalies;
mod athena;
mod change;
mod denied;
mod desk;
mod device;
mod emulator;
mod functions;
mod grants;
mod identity;
mod inventory;
mod job;
mod lake;
mod link;
mod load;
mod model;
mod pair;
mod plant;
mod recorder;
mod recording;
mod role;
mod stack;
mod stream;
mod subscriber;
mod transcript;
mod twins;
mod wait;
mod world;

pub use anomalies::{Anomaly, Found, Raised, anomalies, checkpoints, device_states, found_in, raised};
pub use athena::{Answer, Athena};
pub use change::change;
pub use denied::is_done;
pub use desk::{Desk, Running};
pub use device::{Device, Granted, Refusal, broker_authority};
pub use functions::kill;
pub use grants::{Grant, Need, grants, needs};
pub use identity::Identity;
pub use inventory::inventory;
pub use job::{JOB, fault_begins_ms, put_job, report};
pub use lake::{Line, bronze, bronze_of, quarantine};
pub use link::{Carried, Change, Link, Stranded, Told as Carriage};
pub use load::{Ledger, Load, Publishing, Reading};
pub use model::{IMAGES, push_images};
pub use pair::{Pair, Playing, Side};
pub use plant::{Accepted, Plant, Sent};
pub use recorder::{Call, Recorder};
pub use recording::recorded;
pub use role::{holder_of, holder_of_statement, role_of_a_service};
pub use stack::{Settings, Stack};
pub use stream::{Record, records};
pub use subscriber::{Subscriber, Told};
pub use transcript::Transcript;
pub use twins::Twins;
pub use wait::until;
pub use world::World;
