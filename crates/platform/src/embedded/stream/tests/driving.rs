//! The driver, on a real runtime and without a clock of its own.

use std::sync::Mutex;

use telemetry::kinesis::KinesisEvent;

use super::*;

/// A function that notes the payloads that came.
#[derive(Clone, Default)]
struct Function {
    came: Arc<Mutex<Vec<String>>>,
}

impl Function {
    fn note(&self, event: &[u8]) -> Vec<String> {
        let event = KinesisEvent::parse(event).unwrap();
        let words: Vec<String> = event
            .records
            .iter()
            .map(|record| {
                let mut bytes = Vec::new();
                record.payload_bytes(&mut bytes).unwrap();
                String::from_utf8(bytes).unwrap()
            })
            .collect();
        self.came.lock().unwrap().extend(words.clone());
        words
    }

    fn sorted(&self) -> Vec<String> {
        let mut came = self.came.lock().unwrap().clone();
        came.sort();
        came
    }
}

#[tokio::test]
async fn everything_that_is_put_while_it_runs_comes_and_room_is_made() {
    let stream = StreamHandle::new(Stream::new("plant", 4, 100));
    let function = Function::default();
    let mut mapping = Mapping::new(settings()).unwrap();
    let producer = {
        let stream = stream.clone();
        async move {
            for index in 0..200 {
                stream.put(&format!("k{index}"), format!("{index:03}").as_bytes(), at(index)).await.unwrap();
            }
            stream.end();
        }
    };
    let handler = |event: Vec<u8>| {
        let function = function.clone();
        async move {
            function.note(&event);
            Ok(br#"{"batchItemFailures":[]}"#.to_vec())
        }
    };
    tokio::join!(producer, run(&stream, &mut mapping, || at(0), handler, |_| panic!("nothing is discarded")));
    assert_eq!(function.sorted(), (0..200).map(|index| format!("{index:03}")).collect::<Vec<_>>());
    assert_eq!(stream.bytes(), 0);
}

#[tokio::test]
async fn an_error_and_a_panic_are_failures_of_the_event() {
    let stream = StreamHandle::new(Stream::new("plant", 1, 1000));
    for word in ["error", "fine", "panic"] {
        stream.put(word, word.as_bytes(), at(0)).await.unwrap();
    }
    stream.end();
    let function = Function::default();
    let mut mapping = Mapping::new(MappingSettings { batch_size: 1, retries_max: Some(1), ..settings() }).unwrap();
    let mut discarded = Vec::new();
    let handler = |event: Vec<u8>| {
        let function = function.clone();
        async move {
            match function.note(&event)[0].as_str() {
                "error" => Err("it says no".to_owned()),
                "panic" => panic!("it panics"),
                _ => Ok(Vec::new()),
            }
        }
    };
    run(&stream, &mut mapping, || at(0), handler, |one| discarded.push(one)).await;
    assert_eq!(function.sorted(), ["error", "error", "fine", "panic", "panic"]);
    let errors: Vec<&str> = discarded.iter().filter_map(|one| one.error.as_deref()).collect();
    assert_eq!(errors[0], "it says no");
    assert!(errors[1].contains("panicked"), "{errors:?}");
}

#[tokio::test]
async fn a_second_run_goes_on_after_what_was_done() {
    let words = ["a", "b", "c", "d"];
    let filled = || {
        let mut stream = Stream::new("plant", 1, 1000);
        for word in words {
            stream.put("k", word.as_bytes(), at(0)).unwrap();
        }
        stream.end();
        StreamHandle::new(stream)
    };
    let third = filled().look(|stream| stream.records_after("shardId-000000000000", None).nth(2).unwrap().sequence);
    let function = Function::default();
    let mut mapping = Mapping::new(settings()).unwrap().starting_after("shardId-000000000000", third);
    let handler = |event: Vec<u8>| {
        function.note(&event);
        std::future::ready(Ok(Vec::new()))
    };
    run(&filled(), &mut mapping, || at(0), handler, |_| {}).await;
    assert_eq!(function.sorted(), ["d"]);
}

/// A consumer that stops the run during its first event.
struct Stopping {
    stop: Arc<tokio::sync::Notify>,
    settled: usize,
}

impl Consumer for Stopping {
    type Answer = ();

    fn invoke(&mut self, _: &Invocation) -> impl Future<Output = ()> + Send + 'static {
        let stop = Arc::clone(&self.stop);
        async move {
            stop.notify_one();
            tokio::task::yield_now().await;
        }
    }

    fn settle(&mut self, _: &Invocation, _: Result<(), tokio::task::JoinError>) -> Outcome {
        self.settled += 1;
        Outcome::Success
    }

    fn discard(&mut self, _: Discarded) {}
}

#[tokio::test]
async fn a_stopped_run_waits_for_the_event_that_is_under_way_and_begins_none() {
    let stream = StreamHandle::new(Stream::new("plant", 1, 1000));
    for word in ["a", "b", "c"] {
        stream.put(word, word.as_bytes(), at(0)).await.unwrap();
    }
    let stop = Arc::new(tokio::sync::Notify::new());
    let mut consumer = Stopping { stop: Arc::clone(&stop), settled: 0 };
    let mut mapping = Mapping::new(MappingSettings { batch_size: 1, ..settings() }).unwrap();
    drive(&stream, &mut mapping, || at(0), stop.notified(), &mut consumer).await;
    assert!((1..3).contains(&consumer.settled), "{}", consumer.settled);
    assert_eq!(stream.look(|stream| stream.records_after("shardId-000000000000", None).count()), 3 - consumer.settled);
}
