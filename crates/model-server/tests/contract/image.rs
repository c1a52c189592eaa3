//! Runs the program as SageMaker runs the image: `train`, then `serve`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use crate::plant::Ml;

fn command(ml: &Ml, word: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_model-server"));
    command.arg(word).env_clear().env("MILLRACE_ML_ROOT", ml.root()).stdin(Stdio::null());
    command
}

/// Trains, and says with which code the program ended.
pub(crate) fn train(ml: &Ml) -> Option<i32> {
    command(ml, "train").stderr(Stdio::null()).status().unwrap().code()
}

/// Starts a training.
pub(crate) fn start_training(ml: &Ml) -> Child {
    command(ml, "train").stderr(Stdio::null()).spawn().unwrap()
}

/// A running server. It goes with the test.
pub(crate) struct Server {
    child: Child,
    log: BufReader<ChildStderr>,
    pub(crate) address: String,
}

impl Server {
    /// Starts one on a free port, and waits until it says that it serves.
    pub(crate) fn start(ml: &Ml, environment: &[(&str, &str)]) -> Self {
        let mut command = command(ml, "serve");
        command.env("SAGEMAKER_BIND_TO_PORT", "0").envs(environment.iter().copied()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let line = next(&mut log).unwrap_or_else(|| panic!("the server has ended before it served"));
            if line["message"] == "serving" {
                break line["address"].as_str().unwrap().to_owned();
            }
        };
        Self { child, log, address }
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for its end, and gives its last word and its exit code.
    pub(crate) fn wait(&mut self) -> (String, Option<i32>) {
        let mut last = String::new();
        while let Some(line) = next(&mut self.log) {
            line["message"].as_str().unwrap_or_default().clone_into(&mut last);
        }
        (last, self.child.wait().unwrap().code())
    }

    /// A request, and what came back: status, form and body.
    pub(crate) fn ask(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String, String) {
        let mut request =
            ureq::post(format!("http://{}{path}", self.address)).config().http_status_as_error(false).build();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send(body).unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String, String) {
        let request = ureq::get(format!("http://{}{path}", self.address)).config().http_status_as_error(false).build();
        read(request.call().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> (u16, String, String) {
    let form = response.headers().get("content-type").map(|form| form.to_str().unwrap().to_owned());
    let body = response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
    (response.status().as_u16(), form.unwrap_or_default(), body)
}

/// The log's next line; `None` when the server has ended.
fn next(log: &mut BufReader<ChildStderr>) -> Option<serde_json::Value> {
    let mut line = String::new();
    if log.read_line(&mut line).unwrap() == 0 {
        return None;
    }
    Some(serde_json::from_str(&line).unwrap_or_else(|_| panic!("no line of a log: {line}")))
}
