//! Whole jobs over simulated stores: what is found, what is refused, and that neither repetition nor loss of the process changes
//! what comes of a job.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the failure")]

mod jobs {
    pub(crate) mod plant;

    mod faults;
    mod findings;
    mod refused;
    mod waiting;
}
